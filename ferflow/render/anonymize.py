"""A copy of a video in which faces are covered, and a check of the copy: the detector is run over it.

    for step in follow_in_child(anonymize_video, request): print(step)

1. All frames are searched for faces, with a low threshold, and places are filled in between detections.
2. Each frame is covered and searched again before it is encoded; what is found is covered more strongly.
3. The written file is searched. Frames that still show something like a face are covered more strongly in another copy;
   what is left after the last one is reported.

The file gets its name after the check. Nothing but pictures and sound is copied: no title, tags, position, chapters,
subtitles or embedded pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from ferflow.analytics.person_faces import Persons
from ferflow.faces.detections import Detections, areas, iou
from ferflow.faces.shot_detector import Change, ShotCutDetector
from ferflow.media.prefetch import map_ahead, prefetch
from ferflow.media.video import Frame, Reading, Selection, Video, open_video
from ferflow.media.yuv_picture import YuvPicture
from ferflow.options import CoverName
from ferflow.render.annotate_video import Made, Step
from ferflow.render.cover import STRONGEST, Box, Cover, draw_cover
from ferflow.render.face_search import FaceFinder, keep_strongest
from ferflow.render.places_to_cover import LEAST_SCORE, PlaceCollector, Places
from ferflow.render.rewrite import Painter, Part, Rewrite, rewrite
from ferflow.render.visible_faces import (
    NONE_VISIBLE,
    ExceptedFaces,
    NobodyIsVisible,
    VisibleFaces,
    WhoIsVisible,
)
from ferflow.store.atomic_files import atomic_write
from ferflow.store.metadata import read_metadata
from ferflow.system.cpus import available_cpus
from ferflow.types import BoolArray, Float32Array, UInt8Array

T = TypeVar("T")

REPORTED_SCORE = 0.3
"""From which on a detection in the result counts as a face that may still show."""
_TARGET_SCORE = 0.25
"""The same before encoding; the margin is for what encoding changes."""
_CAREFUL_SCORE = 0.12
"""The same in frames that showed something like a face in an earlier copy: there the margin was not enough."""
_CERTAIN_SCORE = 0.55
"""From which on a detection counts anywhere; weaker ones only where the source has a face."""
_MUCH_LARGER = 6.0
"""Areas."""
_MOST_COPIES = 4
_MOST_COVERS_AGAIN = 5
_FRAMES_AROUND = 2
"""On both sides of a frame that still shows a face, also covered more strongly in the next copy."""
_FRAMES_AHEAD = 6
_STEPS_EVERY = 15
"""Frames between two messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceptions:
    """Who is not covered."""

    persons: Persons
    """Of the video."""
    visible: frozenset[int]
    """Ids of those who stay visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizeRequest:
    """What is anonymised."""

    source: Path
    stretch: Part
    wanted: Rewrite
    method: CoverName
    min_face: int | None = None
    """Height of the smallest face, pixels; None: see `face_search`."""
    exceptions: Exceptions | None = None
    """None: everybody is covered."""
    reading: Reading | None = None
    """How the source is read; None: as an analysis of the exceptions did, or as the file says."""


@dataclass(frozen=True, slots=True)
class Residue:
    """Something like a face in a frame of the result."""

    number: int
    """Of the frame in the result, from 0 on."""
    time_s: float
    """After the first frame of the result."""
    score: float
    xyxy: Box


@dataclass(frozen=True, slots=True)
class Anonymized(Made):
    """The file is written and checked."""

    residues: tuple[Residue, ...] = field(default=())
    """What may still show a face."""


def anonymize_video(request: AnonymizeRequest, drawn: Painter | None = None) -> Iterator[Step | Made]:
    """Write the copy and check it.

    Args:
        request: what is anonymised.
        drawn: draws over the covers; None: nothing is drawn.

    Yields:
        Steps, and what was made at the end.

    Raises:
        VideoError: the source cannot be read, or the copy not encoded.
        RecordsError: the tables of the exceptions cannot be read, or the copy not written.
        ModelError: the detector is missing or altered.
    """
    reading, who = _read_exceptions(request)
    with open_video(request.source, reading) as video:
        finder = FaceFinder.make(video.size, request.min_face)
        places = yield from _search(video, request, finder, who)
    with atomic_write(request.wanted.target, out=request.wanted.out) as part:
        wanted = replace(request.wanted, part=part)
        for copy in range(1, _MOST_COPIES + 1):
            painter = CoveringPainter(places, finder, request.method, who, drawn)
            with open_video(request.source, reading) as video:
                made = yield from _write(video, request.stretch, wanted, painter)
            found = yield from _check(part, finder, made, places)
            if not found or copy == _MOST_COPIES:
                break
            places = places.with_more(_strengthen(found, made.index, places, STRONGEST + copy - 1))
    yield Anonymized(len(made.index), made.warnings, made.has_gaps, tuple(found))


def _read_exceptions(request: AnonymizeRequest) -> tuple[Reading, WhoIsVisible]:
    if request.exceptions is None:
        return request.reading or Reading(), NobodyIsVisible()
    persons = request.exceptions.persons
    metadata = read_metadata(persons.paths.faces)
    who = ExceptedFaces.read(persons, request.exceptions.visible, request.stretch.key)
    return Reading.again(metadata.options, metadata.source), who


def _search(
    video: Video, request: AnonymizeRequest, finder: FaceFinder, who: WhoIsVisible
) -> Generator[Step, None, Places]:
    """Find the places to cover."""
    collector, shots = PlaceCollector(), ShotCutDetector()
    total_s, start_s = request.stretch.length_s(video), None
    find = partial(finder.find, least_score=LEAST_SCORE)
    for number, (frame, found) in enumerate(_map_frames(request.stretch.frames(video), find)):
        start_s = frame.time_s if start_s is None else start_s
        visible = who.at(frame)
        # Faces that the analysis found are covered also where this search does not find them.
        covered = keep_strongest([found[~visible.find_visible(found)], _as_detections(visible.others)])
        collector.add(frame, covered, is_cut=shots.update(frame.planes.y) is Change.CUT)
        if number % _STEPS_EVERY == 0:
            yield Step(frame.time_s - start_s, total_s, "searching")
    return collector.finish()


def _as_detections(xyxy: Float32Array) -> Detections:
    n = len(xyxy)
    return Detections(xyxy, np.ones(n, np.float32), np.full((n, 5, 2), np.nan, np.float32))


def _map_frames(frames: Iterable[Frame], function: Callable[[Frame], T]) -> Iterator[tuple[Frame, T]]:
    """Apply a function to frames, on all CPUs, in order."""
    threads = available_cpus()
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="ferflow-search") as pool,
        closing(prefetch(frames, _FRAMES_AHEAD)) as decoded,
        closing(map_ahead(pool, function, decoded, threads + 2)) as mapped,
    ):
        yield from mapped


@dataclass(frozen=True, slots=True)
class CoveringPainter:
    """A `rewrite.Painter` that covers places, and what is found after that."""

    places: Places
    finder: FaceFinder
    method: CoverName
    who: WhoIsVisible
    drawn: Painter | None = None
    """Draws over the covers."""
    visible: dict[int, VisibleFaces] = field(default_factory=dict)
    """In the result, by the index of the frame; only of frames with somebody who is not covered."""

    def paint(self, frame: Frame, picture: YuvPicture) -> None:
        """See `rewrite.Painter`."""
        across, down = picture.size[0] / frame.planes.width, picture.size[1] / frame.planes.height
        visible = self.who.at(frame).scaled(across, down)
        if len(visible.visible):
            self.visible[frame.index] = visible
        covers = [cover.scaled(across, down) for cover in self.places.at(frame.index)]
        kept = _Kept.of(picture, visible)
        self._draw(picture, covers, kept)
        self._cover_what_is_left(frame, picture, covers, visible, kept)
        if self.drawn is not None:
            self.drawn.paint(frame, picture)

    def _draw(self, picture: YuvPicture, covers: Sequence[Cover], kept: _Kept) -> None:
        """Draw covers; where a face stays visible, only what lies on another face for certain.

        The margin of a cover has the hair and the ears of its face. Where heads touch it would hide the next face.
        """
        for cover in covers:
            draw_cover(picture, cover, self.method)
        if kept.parts:
            kept.restore()
            for cover in covers:
                if cover.is_certain:
                    draw_cover(picture, replace(cover, has_margin=cover.level > 0), self.method)

    def _cover_what_is_left(
        self,
        frame: Frame,
        picture: YuvPicture,
        covers: Sequence[Cover],
        visible: VisibleFaces,
        kept: _Kept,
    ) -> None:
        shown = replace(frame, planes=picture.planes)
        known = list(covers)
        target = _CAREFUL_SCORE if any(cover.level for cover in covers) else _TARGET_SCORE
        for again in range(1, _MOST_COVERS_AGAIN + 1):
            found = self.finder.find(shown, target)
            is_visible = visible.find_visible(found) | visible.is_near(found)
            left = found[_may_show_a_face(found, known, target) & ~is_visible]
            if not len(left):
                return
            n_before = len(known)
            # A large pattern of small covers may look like a face. Then the covers are the reason: made of less, they
            # look like none, and what is between them can stay.
            is_large = _is_larger_than_all(left.xyxy, known) & (again < _MOST_COVERS_AGAIN)
            touched = _touching(known, left.xyxy)
            known += [Cover(_as_box(xyxy)) for xyxy in left.xyxy[~is_large]]
            level = min(again, STRONGEST)
            known = [
                replace(cover, level=max(level, cover.level))
                if cover in touched or number >= n_before
                else cover
                for number, cover in enumerate(known)
            ]
            self._draw(picture, known, kept)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The pixels of faces that stay visible, as they were before anything was covered."""

    parts: tuple[tuple[UInt8Array, UInt8Array], ...] = ()
    """Parts of the planes, and copies of them."""

    @classmethod
    def of(cls, picture: YuvPicture, visible: VisibleFaces) -> _Kept:
        """Keep them."""
        step, parts = picture.chroma_step, []
        for x1, y1, x2, y2 in np.maximum(visible.visible, 0).astype(int).tolist():
            for plane, size in ((picture.y, 1), (picture.u, step), (picture.v, step)):
                part = plane[y1 // size : -(-y2 // size), x1 // size : -(-x2 // size)]
                parts.append((part, part.copy()))
        return cls(tuple(parts))

    def restore(self) -> None:
        """Put them back into the picture that they are parts of."""
        for part, before in self.parts:
            part[:] = before


def _may_show_a_face(found: Detections, covers: Sequence[Cover], least_score: float) -> BoolArray:
    """Which detections may show a face of the source, bool (N,): those where one was, and all certain ones."""
    certain: BoolArray = found.score >= _CERTAIN_SCORE
    if not covers:
        return certain
    faces = np.array([cover.xyxy for cover in covers], np.float32)
    is_here = (iou(found.xyxy, faces) > 0).any(axis=1)
    return certain | (is_here & (found.score >= least_score))


def _is_larger_than_all(xyxy: Float32Array, covers: Sequence[Cover]) -> BoolArray:
    """Which boxes are much larger than the faces that they overlap, bool (N,)."""
    if not covers:
        return np.zeros(len(xyxy), np.bool_)
    faces = np.array([cover.xyxy for cover in covers], np.float32)
    largest = np.where(iou(xyxy, faces) > 0, areas(faces), 0).max(axis=1)
    is_larger: BoolArray = (areas(xyxy) > _MUCH_LARGER * largest) & (largest > 0)
    return is_larger


def _touching(covers: Sequence[Cover], xyxy: Float32Array) -> list[Cover]:
    """The covers that overlap one of some boxes."""
    if not covers:
        return []
    dilated = np.array([cover.dilated() for cover in covers], np.float32)
    rows = np.flatnonzero((iou(dilated, xyxy) > 0).any(axis=1))
    return [covers[row] for row in rows.tolist()]


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy that was written."""

    index: tuple[int, ...]
    """Of its frames, as they are numbered in the source."""
    warnings: tuple[str, ...]
    has_gaps: bool
    visible: dict[int, VisibleFaces]


def _write(
    video: Video, stretch: Part, wanted: Rewrite, painter: CoveringPainter
) -> Generator[Step, None, _Copy]:
    index: list[int] = []
    total_s, start_s = stretch.length_s(video), None
    for frame in rewrite(video, stretch.frames(video), wanted, painter):
        start_s = frame.time_s if start_s is None else start_s
        if len(index) % _STEPS_EVERY == 0:
            yield Step(frame.time_s - start_s, total_s, "writing")
        index.append(frame.index)
    report = video.report
    return _Copy(tuple(index), tuple(report.warnings), bool(report.gaps), painter.visible)


def _check(
    part: Path, finder: FaceFinder, copy: _Copy, places: Places
) -> Generator[Step, None, list[Residue]]:
    """Search the written file for what may still be a face."""
    found: list[Residue] = []
    with open_video(part) as video:
        find = partial(finder.find, least_score=REPORTED_SCORE)
        frames = video.frames(Selection())
        for number, (frame, faces) in enumerate(_map_frames(frames, find)):
            index = copy.index[number]
            visible = copy.visible.get(index, NONE_VISIBLE)
            is_left = _may_show_a_face(faces, places.at(index), REPORTED_SCORE)
            rest = faces[is_left & ~visible.find_visible(faces) & ~visible.is_near(faces)]
            found += [
                Residue(number, frame.time_s, score, _as_box(xyxy))
                for xyxy, score in zip(rest.xyxy, rest.score.tolist(), strict=True)
            ]
            if number % _STEPS_EVERY == 0:
                yield Step(frame.time_s, video.info.duration_s_from_header, "checking")
    return found


def _strengthen(
    found: Sequence[Residue], index: Sequence[int], places: Places, level: int
) -> Iterator[tuple[int, Cover]]:
    """Stronger covers for what is left, in its frame and those around it."""
    for residue in found:
        first, last = residue.number - _FRAMES_AROUND, residue.number + _FRAMES_AROUND
        for number in range(max(first, 0), min(last + 1, len(index))):
            covers = [Cover(residue.xyxy), *places.at(index[number])]
            boxes = np.array([residue.xyxy], np.float32)
            covers = covers[1:] if _is_larger_than_all(boxes, covers[1:])[0] else covers
            for cover in _touching(covers, boxes):
                yield index[number], replace(cover, level=level)


def _as_box(xyxy: Float32Array) -> Box:
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    return x1, y1, x2, y2
