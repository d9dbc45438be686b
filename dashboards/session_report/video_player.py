"""The video on the page: where the page finds it, and the boxes that the page draws over it."""

from __future__ import annotations

import base64
import math
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from ferflow.analytics.applied_corrections import Relabel
from ferflow.analytics.face_scores import Basis, Scorer
from ferflow.analytics.tally import Faces, blocks, column, read_ids, rows_by_value
from ferflow.store.metadata import SourceInfo
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float64Array, Int64Array

MOST_BOXES = 10_000
"""Boxes in a page at most; each takes four bytes, all of them 53 kB as text."""
SHORTEST_BOX_STEP_S = 0.2

# Formats that at least one browser plays.
_FORMATS = ("mp4", "webm", "matroska")
# FFmpeg's decoder of AV1 is named libdav1d.
_CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d")


class TrackBoxes(TypedDict):
    """The boxes of one track, as the page's script reads them."""

    id: int
    runs: list[tuple[int, str, str, float, float]]
    """Unbroken sequences of steps: number of the first step; base64 of x1, y1, x2, y2 per step, in 255ths of the
    picture; the shown label of each step, `a` for the first, `.` where unknown, with the number of steps that have it
    (`a12.3b1`); and the times of the first and last face,
    seconds, since a step is longer than a frame: no box may outlast a cut."""


class FaceBoxes(TypedDict):
    """The boxes of all tracks, one per step of time."""

    step_s: float
    tracks: list[TrackBoxes]


@dataclass(frozen=True, slots=True)
class PageVideo:
    """The video as a page can show it."""

    url: str | None
    """Relative to the page; None: the page cannot show it, see `problem`."""
    problem: str
    """Why not, in a sentence."""
    first_s: float = 0.0
    """Time of the first picture in the player, seconds; used where the browser does not report it."""
    may_have_sound: bool = True
    """Otherwise there is nothing to mute."""

    @property
    def is_source(self) -> bool:
        """Whether the player has the user's own video, and not a copy inside the page."""
        return self.url is not None and not self.url.startswith("data:")


def find_video(source: SourceInfo, page: Path, frames: pa.Table | None = None) -> PageVideo:
    """The source of a session, if it is still there and browsers support its format. Nothing is copied.

    Args:
        source: the video as it was analysed.
        page: where the page is written.
        frames: its FRAMES, for the time of the first picture; None: 0.
    """
    problem = _problem(source)
    if problem:
        return PageVideo(None, problem)
    first_s = float(_first_picture_s(frames, source.time_base)) if frames is not None and len(frames) else 0.0
    return PageVideo(url_between(page, Path(source.path)), "", round(max(0.0, first_s), 6))


def _first_picture_s(frames: pa.Table, time_base: Fraction) -> Fraction:
    """When a video's first frame, not the first analysed one of FRAMES, is shown by its file's own clock."""
    # `time_s` counts from the first frame of the file, whichever frame was analysed first.
    row = frames.select(["pts", "time_s"]).slice(0, 1).to_pylist()[0]
    return int(row["pts"]) * time_base - Fraction(row["time_s"])


def _problem(source: SourceInfo) -> str:
    path = Path(source.path)
    # Not Path.exists, which raises for a share that is not mounted.
    if not os.path.exists(path):  # noqa: PTH110
        return "The video is not where it was analysed, so the page cannot show it."
    if path.is_dir():
        return "Numbered images have no player. The data below is complete."
    if path.stat().st_size != source.size:
        return "Another file now has the name of the video, so the page does not show it."
    if not any(name in source.format for name in _FORMATS) or source.codec not in _CODECS:
        coding = f"container {source.format or 'unknown'}, codec {source.codec or 'unknown'}"
        return f"Browsers do not play this format ({coding}). The data below is complete."
    return ""


def url_between(page: Path, target: Path) -> str:
    """URL of a file from a page: relative, so that a folder that contains both can be moved.

    A file on another drive has no relative path and gets a `file:` URL.
    """
    try:
        relative = os.path.relpath(target.absolute(), page.absolute().parent)
    except ValueError:
        return target.absolute().as_uri()
    # A name that is no valid text keeps its bytes.
    return quote(relative.replace(os.sep, "/").encode(errors="surrogateescape"))


@dataclass(frozen=True, slots=True)
class ShownLabels:
    """The label that faces show. Arrays of length N, in order of time."""

    time_s: Float64Array
    track_id: Int64Array
    label: Int64Array
    """Place of the label among the model's; -1 where unknown."""


def find_shown_labels(
    frames: pa.Table, faces: Faces, basis: Basis, relabels: tuple[Relabel, ...] = ()
) -> ShownLabels:
    """The shown label of each face of the people who are not seen only briefly.

    Args:
        frames: FRAMES of the video.
        faces: FACES, `face_scores.score_columns`, as a table or in blocks that can be iterated twice.
        basis: what the video's measures are computed with.
        relabels: what human coders saw.

    Raises:
        RecordsError: a face belongs to a frame that FRAMES does not have.
    """
    scorer = replace(Scorer.of(frames, faces, basis), relabels=relabels)
    times, tracks, found = [np.zeros(0)], [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for scores in scorer(faces):
        times.append(scorer.times.time_s[scores.frame_row])
        tracks.append(scores.person_id)
        found.append(scores.label)
    return ShownLabels(np.concatenate(times), np.concatenate(tracks), np.concatenate(found))


@dataclass(frozen=True, slots=True)
class PictureSizes:
    """Sizes of the analysed pictures, in pixels, upright: they may change within a video. Arrays of length F."""

    frame_index: Int64Array
    """Ascending."""
    size: Float64Array
    """(F, 2), width and height."""

    @classmethod
    def from_frames(cls, frames: pa.Table, source: SourceInfo) -> PictureSizes:
        """From FRAMES; those of schema 1 have no sizes, so that of the source is used."""
        size = np.stack([column(frames, "width"), column(frames, "height")], axis=1)
        known = np.where(np.isnan(size), (source.width, source.height), size)
        return cls(column(frames, "frame_index").astype(np.int64), known)

    def of(self, faces: pa.Table) -> Float64Array:
        """Size of the picture of each face, float64 (N, 2)."""
        rows = np.searchsorted(self.frame_index, column(faces, "frame_index").astype(np.int64))
        sizes: Float64Array = self.size[rows]
        return sizes


def pack_boxes(
    faces: Faces, sizes: PictureSizes, shown: ShownLabels, *, frame_step_s: float = 0.0
) -> FaceBoxes | None:
    """Boxes of the people, one per step of time, with a step at which they fit into a page.

    Args:
        faces: FACES, `frame_index, time_s, person_id, x1, y1, x2, y2`, as a table or in blocks.
        sizes: of the pictures that the boxes are in.
        shown: what the faces show.
        frame_step_s: usual time between two analysed frames; NaN if unknown.

    Returns:
        None if there is nothing to draw.
    """
    time_s, tracks, corners = _corners(faces, sizes)
    if not len(tracks):
        return None
    step = _box_step(time_s, tracks, frame_step_s)
    kept = _first_rows(time_s, tracks, step)
    cells = _cells(time_s[kept], step)
    steps = _Steps(
        cells,
        corners[kept],
        _letters(shown, tracks[kept], cells, step),
        time_s[kept],
        time_s[_last_rows(time_s, tracks, step)],
    )
    return {
        "step_s": step,
        "tracks": [
            {"id": track, "runs": steps.runs(rows)} for track, rows in rows_by_value(tracks[kept]).items()
        ],
    }


@dataclass(frozen=True, slots=True)
class _Steps:
    """What the page knows of each track in each step. Arrays of length S, in order of track, then of step."""

    cell: Int64Array
    """Number of the step."""
    corners: np.typing.NDArray[np.uint8]
    """(S, 4)"""
    letter: Int64Array
    """Code of the character for the shown label."""
    first_s: Float64Array
    """Time of the first face in the step."""
    last_s: Float64Array

    def runs(self, rows: Int64Array) -> list[tuple[int, str, str, float, float]]:
        """Unbroken sequences among the steps of one track; see `TrackBoxes.runs`."""
        breaks = np.flatnonzero(np.diff(self.cell[rows]) != 1) + 1
        return [
            (
                int(self.cell[run[0]]),
                base64.b64encode(self.corners[run].tobytes()).decode(),
                "".join(f"{chr(letter)}{len(list(steps))}" for letter, steps in groupby(self.letter[run])),
                round(float(self.first_s[run[0]]), 3),
                round(float(self.last_s[run[-1]]), 3),
            )
            for run in np.split(rows, breaks)
        ]


def _cells(time_s: Float64Array, step: float) -> Int64Array:
    # 1e-9: a time on the edge of a step must not fall into the step before.
    return np.floor(time_s / step + 1e-9).astype(np.int64)


def _letters(shown: ShownLabels, tracks: Int64Array, cells: Int64Array, step: float) -> Int64Array:
    """Codes of the characters for what each track shows in each step, int64 (N,); see `TrackBoxes.runs`."""
    rows = _first_rows(shown.time_s, shown.track_id, step)
    places = zip(shown.track_id[rows].tolist(), _cells(shown.time_s[rows], step).tolist(), strict=True)
    labels = dict(zip(places, shown.label[rows].tolist(), strict=True))
    wanted = zip(tracks.tolist(), cells.tolist(), strict=True)
    found = np.array([labels.get(place, -1) for place in wanted], dtype=np.int64)
    return np.where(found < 0, ord("."), ord("a") + found)


def _corners(
    faces: Faces, sizes: PictureSizes
) -> tuple[Float64Array, Int64Array, np.typing.NDArray[np.uint8]]:
    """Of the N tracked faces: times, track ids, and x1, y1, x2, y2 in 255ths of the picture, uint8 (N, 4)."""
    times, tracks, corners = [np.zeros(0)], [np.zeros(0, dtype=np.int64)], [np.zeros((0, 4), dtype=np.uint8)]
    for block in blocks(faces):
        track = read_ids(block)
        box = np.stack([column(block, name) for name in ("x1", "y1", "x2", "y2")], axis=1)
        box = np.round(255 * np.clip(box / np.tile(sizes.of(block), 2), 0, 1)).astype(np.uint8)
        tracked = track != UNTRACKED
        times.append(column(block, "time_s")[tracked])
        tracks.append(track[tracked])
        corners.append(box[tracked])
    return np.concatenate(times), np.concatenate(tracks), np.concatenate(corners)


def _last_rows(time_s: Float64Array, tracks: Int64Array, step: float) -> Int64Array:
    """Row of the last face of each track in each step."""
    # The first one of the reversed arrays.
    return len(time_s) - 1 - _first_rows(time_s[::-1], tracks[::-1], step)


def _box_step(time_s: Float64Array, tracks: Int64Array, frame_step_s: float) -> float:
    """The shortest of a series of increasing steps at which the boxes fit."""
    # Not shorter than the time between frames, rounded up: otherwise each box would end before the next frame.
    step = max(
        SHORTEST_BOX_STEP_S, 0.0 if math.isnan(frame_step_s) else math.ceil(1000 * frame_step_s) / 1000
    )
    while len(_first_rows(time_s, tracks, step)) > MOST_BOXES:
        step = round(step * 1.25, 3)
    return step


def _first_rows(time_s: Float64Array, tracks: Int64Array, step: float) -> Int64Array:
    """Row of the first face of each track in each step."""
    _, rows = np.unique(np.stack([tracks, _cells(time_s, step)]), axis=1, return_index=True)
    return np.asarray(rows, dtype=np.int64)
