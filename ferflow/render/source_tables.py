"""Which tables of an output folder belong to a video, by its content.

>>> find_tables(Path("talk.mp4"), OutputFolder(Path("out"))).video_id
'talk-0123abcd'
"""

from __future__ import annotations

import os
from pathlib import Path

from ferflow.errors import RecordsError
from ferflow.media.fingerprint import has_changed
from ferflow.media.inputs import video_id_of
from ferflow.store.metadata import SourceInfo, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles


def find_tables(source: Path, folder: OutputFolder) -> VideoFiles | None:
    """The tables of a video, wherever it lay and whatever it was called when it was analysed; None: there are none.

    Raises:
        RecordsError: the video was analysed at this path, and has another content now.
        VideoError, OSError: the video cannot be read.
    """
    likely = video_id_of(source)
    changed = False
    # First those of its name: a folder may hold thousands of videos.
    for files in sorted(folder.finished_videos(), key=lambda one: not one.video_id.startswith(likely)):
        try:
            stored = read_metadata(files.faces).source
        except RecordsError:  # a table that cannot be read is no table of this video
            continue
        is_here = os.path.realpath(stored.path) == os.path.realpath(source)
        if is_here or _may_be(source, stored):
            if not has_changed(source, stored):
                return files
            changed = changed or is_here
    if changed:
        raise RecordsError(
            f"{source.name}: has changed since it was analysed. Run ferflow analyze again with --overwrite."
        )
    return None


def _may_be(source: Path, stored: SourceInfo) -> bool:
    """Whether the content may be the same, by what costs nothing."""
    if stored.signature is None:  # of schema 1, which knows a path only
        return False
    return source.is_dir() == Path(stored.path).is_dir() and (
        source.is_dir() or source.stat().st_size == stored.size
    )
