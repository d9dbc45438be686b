"""One annotated copy of a video, from its tables; for a child process, since it decodes files of others.

for step in follow_in_child(annotate_video, request): print(step)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ferflow.analytics.person_faces import Persons
from ferflow.media.video import Reading, Video, open_video
from ferflow.render.annotate import Annotator
from ferflow.render.rewrite import Painter, Rewrite, Stretch, rewrite
from ferflow.store.metadata import read_metadata

_SECONDS_BETWEEN_STEPS = 0.5
"""Of the video, between two messages about how far it is."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is."""

    done_s: float
    """Seconds of the video."""
    of_s: float | None
    """None: unknown."""
    doing: str
    """In a word."""


@dataclass(frozen=True, slots=True)
class Made:
    """The file is written."""

    n_frames: int
    warnings: tuple[str, ...] = ()
    """About the source, a line each."""
    has_gaps: bool = False
    """Whether a part of the source could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateRequest:
    """What is annotated."""

    source: Path
    persons: Persons
    stretch: Stretch
    wanted: Rewrite


def annotate_video(request: AnnotateRequest) -> Iterator[Step | Made]:
    """Write the copy.

    Yields:
        Steps, and what was made at the end.

    Raises:
        VideoError: the source cannot be read, or the copy not encoded.
        RecordsError: the tables cannot be read, or the copy not written.
    """
    metadata = read_metadata(request.persons.paths.faces)
    painter = Annotator.read(request.persons, key="frame_index")
    with open_video(request.source, Reading.again(metadata.options, metadata.source)) as video:
        yield from write_steps(video, request.stretch, request.wanted, painter)


def write_steps(video: Video, stretch: Stretch, wanted: Rewrite, painter: Painter) -> Iterator[Step | Made]:
    """Write a copy of an open video with other pictures."""
    total_s = length_of(video, stretch)
    start_s, last_s, n_frames = None, 0.0, 0
    for frame in rewrite(video, video.frames(stretch.selection()), wanted, painter):
        n_frames += 1
        start_s = frame.time_s if start_s is None else start_s
        if frame.time_s - last_s >= _SECONDS_BETWEEN_STEPS:
            last_s = frame.time_s
            yield Step(last_s - start_s, total_s, "writing")
    report = video.report
    yield Made(n_frames, tuple(report.warnings), bool(report.gaps))


def length_of(video: Video, stretch: Stretch) -> float | None:
    """Seconds of a stretch, as far as headers say; None: unknown."""
    start_s = stretch.start.seconds if stretch.start else 0.0
    end_s = stretch.end.seconds if stretch.end else None
    total_s = video.info.duration_s_from_header
    if end_s is None or (total_s is not None and total_s < end_s):
        end_s = total_s
    return None if start_s is None or end_s is None else max(end_s - start_s, 0.0)
