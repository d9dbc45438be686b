"""An output folder as one data set: few large Parquet files in Hive partitions, for query engines.

    result = compact(source, Dataset(place), ...)

`tables` defines the tables, their order and the file of each row; `source` is the interface to an output folder; `plan`
holds the facts about each video; `rows` makes the rows; `parquet_file` writes and reads one file; `state` knows the
folder of the data set; `compaction` writes what has changed. See docs/scaling.md.
"""
