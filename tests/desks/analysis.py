"""A whole analysis of one file, up to the tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferflow.media.decode_report import DecodeReport
from ferflow.media.video import Reading, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze_video
from ferflow.store.records import FaceRows, FrameRows


@dataclass(frozen=True, slots=True)
class Analysis:
    """The rows of both tables, and what is reported."""

    frames: list[dict[str, Any]]
    faces: list[dict[str, Any]]
    report: DecodeReport


def analyse(path: Path, tools: Tools, **chosen: Any) -> Analysis:
    """Analyse a file with options."""
    options = AnalyzeOptions(**chosen)
    with open_video(path, Reading.of(options)) as video:
        found = list(analyze_video(video, "id", options, tools))
    frames, faces = (
        [row for part in found if isinstance(part, kind) for row in part.batch.to_pylist()]
        for kind in (FrameRows, FaceRows)
    )
    return Analysis(frames, faces, video.report)
