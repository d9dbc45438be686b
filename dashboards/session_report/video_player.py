"""The video beside its data: where a page finds it, and where it lies in the pictures."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from ferflow.analytics.tally import Faces, blocks, column, rows_by_value
from ferflow.store.metadata import SourceInfo
from ferflow.store.records import UNTRACKED
from ferflow.types import Float64Array, Int64Array

MOST_BOXES = 12_000
"""Boxes in a page at most: four bytes each, 64 kB as text."""
LEAST_BOX_STEP_S = 0.2

# What some browser plays; of the rest none does, and a player would only be a black hole.
_FORMATS = ("mp4", "webm", "matroska")
_CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d")


@dataclass(frozen=True, slots=True)
class Film:
    """The video as a page can show it."""

    url: str | None
    """Relative to the page; None: it cannot be shown, see `problem`."""
    problem: str
    """Why not, in a sentence for the reader."""
    coding: str
    """Container and codec, for who has to convert it."""
    first_s: float = 0.0
    """When the player should show the first picture, seconds; the player's own word counts where it gives it."""


def film_of(source: SourceInfo, page: Path, frames: pa.Table | None = None) -> Film:
    """The source of a session, if it is still there and a browser may play it. Nothing is copied.

    `frames`, its FRAMES, tells when its first picture is shown.
    """
    coding = f"{source.format or 'unknown format'}, {source.codec or 'unknown codec'}"
    problem = _problem(source, coding)
    if problem:
        return Film(None, problem, coding)
    first_s = float(_first_picture_s(frames, source.time_base)) if frames is not None and len(frames) else 0.0
    return Film(url_between(page, Path(source.path)), "", coding, round(max(0.0, first_s), 6))


def _first_picture_s(frames: pa.Table, time_base: Fraction) -> Fraction:
    """When a video's first frame, not the first analysed one of FRAMES, is shown by its file's own clock."""
    row = frames.select(["pts", "time_s"]).slice(0, 1).to_pylist()[0]
    return int(row["pts"]) * time_base - Fraction(row["time_s"])


def _problem(source: SourceInfo, coding: str) -> str:
    path = Path(source.path)
    if not os.path.lexists(path):
        return "The video is not where it was analysed, so it cannot be shown beside the data."
    if path.is_dir():
        return "Numbered images have no player; the data below is whole."
    if path.stat().st_size != source.size:
        return "Another file now bears the name of the video, so it is not shown beside this data."
    if not any(name in source.format for name in _FORMATS) or source.codec not in _CODECS:
        return f"Browsers do not play this kind of video ({coding}); the data below is whole."
    return ""


def url_between(page: Path, target: Path) -> str:
    """URL of a file as a page names it: relative, so that a folder that holds both can move.

    Other drives have no relative way to them; those get a `file:` URL.
    """
    try:
        relative = os.path.relpath(target.absolute(), page.absolute().parent)
    except ValueError:
        return target.absolute().as_uri()
    return quote(relative.replace(os.sep, "/").encode(errors="surrogateescape"))


def boxes_of(faces: Faces, source: SourceInfo) -> dict[str, Any] | None:
    """Boxes of the people, thinned out to a step of time at which they fit into a page.

    Args:
        faces: FACES, `time_s, track_id, x1, y1, x2, y2`, whole or in blocks.
        source: of the video; its picture size in pixels, upright.

    Returns:
        `{"step_s", "tracks": [{"id", "runs": [[first step, text]]}]}`, where the text is base64 of a row x1, y1,
        x2, y2 per step, in 255ths of the picture; None where there is nothing to draw.
    """
    time_s, tracks, corners = _corners(faces, source.width, source.height)
    if not len(tracks):
        return None
    step = _box_step(time_s, tracks)
    kept = _firsts(time_s, tracks, step)
    cells = np.floor(time_s[kept] / step + 1e-9).astype(np.int64)
    return {
        "step_s": step,
        "tracks": [
            {"id": track, "runs": _runs(cells[rows], corners[kept][rows])}
            for track, rows in rows_by_value(tracks[kept]).items()
        ],
    }


def _corners(
    faces: Faces, width: int, height: int
) -> tuple[Float64Array, Int64Array, np.typing.NDArray[np.uint8]]:
    """Of the tracked faces: time, track, and x1, y1, x2, y2 in 255ths of the picture, uint8 (N, 4)."""
    times, tracks, corners = [np.zeros(0)], [np.zeros(0, dtype=np.int64)], [np.zeros((0, 4), dtype=np.uint8)]
    for block in blocks(faces):
        track = column(block, "track_id").astype(np.int64)
        box = np.stack([column(block, name) for name in ("x1", "y1", "x2", "y2")], axis=1)
        box = np.round(255 * np.clip(box / [width, height, width, height], 0, 1)).astype(np.uint8)
        followed = track != UNTRACKED
        times.append(column(block, "time_s")[followed])
        tracks.append(track[followed])
        corners.append(box[followed])
    return np.concatenate(times), np.concatenate(tracks), np.concatenate(corners)


def _box_step(time_s: Float64Array, tracks: Int64Array) -> float:
    """Shortest step, of a rising row of them, at which the boxes fit."""
    step = LEAST_BOX_STEP_S
    while len(_firsts(time_s, tracks, step)) > MOST_BOXES:
        step = round(step * 1.25, 3)
    return step


def _firsts(time_s: Float64Array, tracks: Int64Array, step: float) -> Int64Array:
    """Row of the first face of each track in each step."""
    cells = np.floor(time_s / step + 1e-9).astype(np.int64)
    _, rows = np.unique(np.stack([tracks, cells]), axis=1, return_index=True)
    return np.asarray(rows, dtype=np.int64)


def _runs(cells: Int64Array, corners: np.typing.NDArray[np.uint8]) -> list[list[Any]]:
    """Neighbouring steps together."""
    breaks = np.flatnonzero(np.diff(cells) != 1) + 1
    return [
        [int(cells[rows[0]]), base64.b64encode(corners[rows].tobytes()).decode()]
        for rows in np.split(np.arange(len(cells)), breaks)
    ]
