"""Markers of a table of ours, stored as a run stores them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ferflow.analytics import markers
from ferflow.store.video_files import VideoFiles


def store_markers(
    paths: VideoFiles, source: Path | None, rest: Sequence[str] | None = None, *, duration_s: float = math.inf
) -> bool:
    """Whether the markers of a file, and these stretches at rest, differ from those stored before."""
    found = None if source is None else markers.markers_in(markers.read_markers(source))
    given = None if found is None else markers.GivenMarkers(source, found)
    return markers.store_markers(paths, given, rest, duration_s=duration_s)
