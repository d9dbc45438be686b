"""What an analysis found, drawn into the video: boxes, names, the strongest expressions, engagement over time.

    painter = Annotator.read(persons, key="frame_index")
    painter.paint(frame, picture)

Colours and scores are those of the pages, and so are the user's names and corrections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferflow.analytics.person_faces import Persons
from ferflow.analytics.tally import column
from ferflow.analytics.timeline import audience, person_timeline
from ferflow.media.video import Frame
from ferflow.media.yuv_picture import YuvPicture
from ferflow.palette import ENGAGEMENT, colours
from ferflow.render.canvas import (
    WHITE,
    Colour,
    fill,
    legible_on,
    outline,
    parse_colour,
    plain_text,
    text_width,
    write,
)
from ferflow.render.shown_faces import Key, ShownFace, ShownFaces
from ferflow.store.metadata import read_metadata
from ferflow.store.schemas import UNTRACKED
from ferflow.text import timecode
from ferflow.types import Float64Array

BARS = 3
"""Expressions per face, the strongest ones."""

_LINES_PER_HEIGHT = 40
"""Capital letters that fit above each other into a picture; smaller text is not legible in a player's window."""
_LEAST_CAP_PX = 7
_STRIP_SHARE = 0.05
"""Height of the strip of engagement, as a share of the picture's."""
_GROUND: Colour = (48, 40, 36)
_UNCOUNTED: Colour = (170, 170, 170)


@dataclass(frozen=True, slots=True)
class Engagement:
    """The audience's engagement over the whole video, by bins of equal length."""

    values: Float64Array
    """Float64 (bins,), 0 to 1; NaN where no face can be read."""
    bin_seconds: float
    end_s: float

    def at(self, time_s: Float64Array) -> Float64Array:
        """The values at some times, seconds; NaN outside."""
        bins = np.floor(time_s / self.bin_seconds).astype(np.int64)
        inside = (bins >= 0) & (bins < len(self.values))
        return np.where(inside, self.values[np.clip(bins, 0, len(self.values) - 1)], np.nan)


@dataclass(frozen=True, slots=True)
class Annotator:
    """A `rewrite.Painter`."""

    faces: ShownFaces
    key: Key
    engagement: Engagement | None
    """None: the video has no bins."""

    @classmethod
    def read(cls, persons: Persons, key: Key) -> Annotator:
        """Read the tables of a video.

        Raises:
            RecordsError: they cannot be read.
        """
        return cls(ShownFaces.read(persons, key), key, _read_engagement(persons))

    def paint(self, frame: Frame, picture: YuvPicture) -> None:
        """See `rewrite.Painter`."""
        cap = max(_LEAST_CAP_PX, picture.size[1] // _LINES_PER_HEIGHT)
        across, down = picture.size[0] / frame.planes.width, picture.size[1] / frame.planes.height
        faces = self.faces.at(getattr(frame, "index" if self.key == "frame_index" else "pts"), frame.time_s)
        boxes = [_scale(face, across, down) for face in faces]
        # Boxes first: a label of one face must stay legible where it is over another.
        for face, box in zip(faces, boxes, strict=True):
            outline(picture, box, _colour_of(face), max(2, cap // 5))
        for face, box in zip(faces, boxes, strict=True):
            _draw_labels(picture, face, box, cap)
        _draw_strip(picture, self.engagement, frame.time_s, cap)


def _read_engagement(persons: Persons) -> Engagement | None:
    rows = audience(person_timeline(persons))
    if not len(rows):
        return None
    starts, ends = column(rows, "bin_start_s"), column(rows, "bin_end_s")
    metadata = read_metadata(persons.paths.faces)
    return Engagement(column(rows, "engagement"), float(ends[0] - starts[0]), metadata.duration_s)


def _scale(face: ShownFace, across: float, down: float) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = face.xyxy
    return round(x1 * across), round(y1 * down), round(x2 * across), round(y2 * down)


def _strongest(face: ShownFace) -> list[tuple[str, float]]:
    return sorted(face.scores.items(), key=lambda item: -item[1])[:BARS]


def _colour_of(face: ShownFace) -> Colour:
    if face.person_id == UNTRACKED or face.unreadable or not face.scores:
        return _UNCOUNTED
    return parse_colour(colours(list(face.scores))[_strongest(face)[0][0]])


def _title_of(face: ShownFace) -> str:
    if face.person_id == UNTRACKED or face.name is None:
        return "" if face.track_id == UNTRACKED else f"track {face.track_id}"
    return plain_text(face.name, f"Person {face.person_id}")


def _draw_labels(picture: YuvPicture, face: ShownFace, box: tuple[int, int, int, int], cap: int) -> None:
    """Name above the box, scores next to it."""
    title = _title_of(face)
    if title:
        _draw_text(picture, title, (box[0], box[1] - 2 * cap), cap, ground=_colour_of(face))
    if face.person_id == UNTRACKED:
        return
    if face.unreadable or not face.scores:
        _draw_text(picture, face.unreadable or "unknown", (box[0], box[3]), cap)
        return
    _draw_bars(picture, _strongest(face), list(face.scores), box, cap)


def _draw_bars(
    picture: YuvPicture,
    scores: Sequence[tuple[str, float]],
    labels: Sequence[str],
    box: tuple[int, int, int, int],
    cap: int,
) -> None:
    width, line = 11 * cap, cap * 5 // 2
    left, top = _place_panel(picture, box, width, line * len(scores))
    of_label = colours(list(labels))
    fill(picture, (left, top, left + width, top + line * len(scores)), _GROUND)
    for number, (label, score) in enumerate(scores):
        y = top + number * line
        # The bar is below its label, so that a long label costs no width.
        bar = (left, y + line - cap * 2 // 3, left + round(score * width), y + line)
        fill(picture, bar, parse_colour(of_label[label]))
        share = f"{round(100 * score)}"
        name = _shorten(plain_text(label, "?"), width - text_width(share, cap) - cap, cap)
        write(picture, name, (left + cap // 3, y + cap * 3 // 2), cap_px=cap)
        right = left + width - text_width(share, cap) - cap // 3
        write(picture, share, (right, y + cap * 3 // 2), cap_px=cap)


def _place_panel(
    picture: YuvPicture, box: tuple[int, int, int, int], width: int, height: int
) -> tuple[int, int]:
    """Left and top of the panel of a face: at its right, else at its left, else below, inside of the picture."""
    across, down = picture.size
    x1, y1, x2, y2 = box
    top = min(max(y1, 0), max(down - height, 0))
    if x2 + width <= across:
        return max(x2, 0), top
    if x1 - width >= 0:
        return x1 - width, top
    return min(max(x1, 0), max(across - width, 0)), min(max(y2, 0), max(down - height, 0))


def _shorten(text: str, width: int, cap: int) -> str:
    while len(text) > 1 and text_width(text, cap) > width:
        text = text[:-1]
    return text


def _draw_text(
    picture: YuvPicture,
    text: str,
    corner: tuple[int, int],
    cap: int,
    *,
    ground: Colour = _GROUND,
) -> None:
    """A line of text on a ground, moved into the picture; `corner` is its upper left one."""
    text = _shorten(text, picture.size[0] - cap, cap)
    width = text_width(text, cap) + cap * 2 // 3
    left = min(max(corner[0], 0), max(picture.size[0] - width, 0))
    top = min(max(corner[1], 0), max(picture.size[1] - 2 * cap, 0))
    fill(picture, (left, top, left + width, top + 2 * cap), ground)
    write(picture, text, (left + cap // 3, top + cap * 3 // 2), cap_px=cap, colour=legible_on(ground))


def _draw_strip(picture: YuvPicture, engagement: Engagement | None, time_s: float, cap: int) -> None:
    """The time code, and below it engagement over the whole video with a mark where it is now."""
    width, height = picture.size
    strip = max(6, round(_STRIP_SHARE * height)) // 2 * 2 if engagement is not None else 0
    _draw_text(picture, timecode(time_s), (0, height - strip - 2 * cap), cap)
    if engagement is None:
        return
    fill(picture, (0, height - strip, width, height), _GROUND)
    step = picture.chroma_step
    middles = (np.arange(0, width, step) + step / 2) / width * engagement.end_s
    values = engagement.at(middles)
    luma, *chroma = picture.colour(parse_colour(ENGAGEMENT))
    levels = np.arange(strip, 0, -1)[:, None] - 0.5
    filled = levels <= np.repeat(np.nan_to_num(values), step)[:width] * strip
    picture.y[height - strip :][filled] = luma
    for plane, value in zip((picture.u, picture.v), chroma, strict=True):
        plane[-(strip // step) :][filled[::step, ::step][: strip // step]] = value
    _mark_now(picture, engagement, time_s, strip, cap)


def _mark_now(picture: YuvPicture, engagement: Engagement, time_s: float, strip: int, cap: int) -> None:
    width, height = picture.size
    place = round(time_s / engagement.end_s * width) if engagement.end_s > 0 else 0
    fill(picture, (place - 1, height - strip, place + 1, height), WHITE)
    now = float(engagement.at(np.array([time_s]))[0])
    text = "engagement -" if np.isnan(now) else f"engagement {round(100 * now)} %"
    _draw_text(picture, text, (width - text_width(text, cap) - cap, height - strip - 2 * cap), cap)
