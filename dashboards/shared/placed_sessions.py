"""The session list with several files of a participant one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ferflow.analytics.parts import FileFacts, place_parts
from ferflow.analytics.session_list import AUTO_PART, Sessions, read_sessions
from ferflow.errors import RecordsError
from ferflow.media.creation_time import read_creation_time
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder


def read_placed_sessions(path: Path, out: Path, sources: Mapping[str, str]) -> Sessions:
    """Read the list, and give the parts of a recording their places.

    Args:
        path: the list.
        out: the output folder.
        sources: path of each finished video, by id.

    Raises:
        OptionsError: as `read_sessions`.
    """
    sessions = read_sessions(path, sources)
    parts = {video_id: row.part for video_id, row in sessions.rows.items() if row.part is not None}
    facts = {}
    for video_id, part in parts.items():
        try:
            metadata = read_metadata(OutputFolder(out).video(video_id).faces)
        except RecordsError:  # the overview says so of the video
            continue
        source = Path(sources[video_id])
        created = read_creation_time(source) if part == AUTO_PART else None
        facts[video_id] = FileFacts(source.name, metadata.duration_s, created)
    return place_parts(sessions, facts)
