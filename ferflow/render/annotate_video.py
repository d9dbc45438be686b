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
from ferflow.render.removed_people import check_shows_nobody_removed
from ferflow.render.rewrite import Painter, Part, Rewrite, rewrite
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
    stretch: Part
    wanted: Rewrite


def annotate_video(request: AnnotateRequest) -> Iterator[Step | Made]:
    """Write the copy.

    Yields:
        Steps, and what was made at the end.

    Raises:
        VideoError: the source cannot be read, or the copy not encoded; or somebody was removed from the session.
        RecordsError: the tables cannot be read, or the copy not written.
    """
    metadata = read_metadata(request.persons.paths.faces)
    check_shows_nobody_removed(metadata)
    painter = Annotator.read(request.persons, request.stretch.key)
    with open_video(request.source, Reading.again(metadata.options, metadata.source)) as video:
        yield from write_steps(video, request.stretch, request.wanted, painter)


def write_steps(video: Video, stretch: Part, wanted: Rewrite, painter: Painter) -> Iterator[Step | Made]:
    """Write a copy of an open video with other pictures."""
    total_s = stretch.length_s(video)
    start_s, last_s, n_frames = None, 0.0, 0
    for frame in rewrite(video, stretch.frames(video), wanted, painter):
        n_frames += 1
        start_s = frame.time_s if start_s is None else start_s
        if frame.time_s - last_s >= _SECONDS_BETWEEN_STEPS:
            last_s = frame.time_s
            yield Step(last_s - start_s, total_s, "writing")
    report = video.report
    yield Made(n_frames, tuple(report.warnings), bool(report.gaps))
