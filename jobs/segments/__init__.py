"""One long video as several tasks (`--segment`): split, segments in parallel, and joined into the tables of one video.

    split       where segments begin; the plan is kept, so that a run that was interrupted goes on
    segment     everything that needs pixels, into private files; see `observe`
    join        who is who, in the order of the video, into FRAMES and FACES; see `replay`

A video that cannot be split exactly is analysed in one go, with a warning.
"""
