"""Short clips of an analysed video, annotated or anonymised; for a child process.

for step in follow_in_child(cut_clips, request): print(step)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ferflow.analytics.person_faces import Persons
from ferflow.media.video import Frame, Reading, open_video
from ferflow.media.yuv_picture import YuvPicture
from ferflow.options import CoverName
from ferflow.render.annotate import Annotator
from ferflow.render.annotate_video import Made, Step, write_steps
from ferflow.render.anonymize import AnonymizeRequest, Exceptions, anonymize_video
from ferflow.render.removed_people import check_shows_nobody_removed
from ferflow.render.rewrite import Between, Painter, Rewrite
from ferflow.store.metadata import read_metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Covers:
    """How faces are covered."""

    method: CoverName
    min_face: int | None = None
    exceptions: Exceptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsRequest:
    """The clips of one video."""

    source: Path
    persons: Persons
    cuts: tuple[tuple[Between, Rewrite], ...]
    is_annotated: bool = False
    covers: Covers | None = None
    """None: faces show."""


class _Unchanged:
    def paint(self, frame: Frame, picture: YuvPicture) -> None:
        """See `rewrite.Painter`."""


def cut_clips(request: ClipsRequest) -> Iterator[Step | Made]:
    """Write the clips.

    Yields:
        Steps, and what was made for each clip, in order.

    Raises:
        VideoError: the source cannot be read, or a clip not encoded; or somebody was removed from the session, and
            faces are not covered.
        RecordsError: the tables cannot be read, or a clip not written.
    """
    metadata = read_metadata(request.persons.paths.faces)
    check_shows_nobody_removed(metadata, is_covered=request.covers is not None)
    reading = Reading.again(metadata.options, metadata.source)
    drawn: Painter | None = Annotator.read(request.persons, "pts") if request.is_annotated else None
    for number, (between, wanted) in enumerate(request.cuts, start=1):
        doing = f"clip {number} of {len(request.cuts)}"
        for step in _cut(request, between, wanted, reading, drawn):
            yield replace(step, doing=f"{doing}, {step.doing}") if isinstance(step, Step) else step


def _cut(
    request: ClipsRequest, between: Between, wanted: Rewrite, reading: Reading, drawn: Painter | None
) -> Iterator[Step | Made]:
    if request.covers is not None:
        covers = request.covers
        anonymized = AnonymizeRequest(
            source=request.source, stretch=between, wanted=wanted, method=covers.method,
            min_face=covers.min_face, exceptions=covers.exceptions, reading=reading,
        )  # fmt: skip
        yield from anonymize_video(anonymized, drawn)
        return
    with open_video(request.source, reading) as video:
        yield from write_steps(video, between, wanted, drawn or _Unchanged())
