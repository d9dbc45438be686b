"""An output folder as one data set: few large Parquet files in Hive partitions, for engines that read 10^6 videos.

    result = compact(source, Dataset(place), ...)

`tables` says which tables there are, how they are sorted and which file a row is in; `plan` what is known of each
video; `rows` makes the rows; `parquet_file` writes and reads one file; `state` is what the folder says of itself; and
`compaction` writes what has changed. See docs/scaling.md.
"""
