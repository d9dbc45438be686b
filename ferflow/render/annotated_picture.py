"""A picture with its faces framed, each with the expression that it shows and the composition of its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from ferflow.errors import VideoError
from ferflow.faces.face_result import FaceResult
from ferflow.palette import colours, stacked
from ferflow.single_picture import PictureReader, read_faces, read_picture
from ferflow.types import UInt8Array

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _PAPER = (32, 28, 24), (255, 255, 255)
_QUALITY = 92

Colour = tuple[int, int, int]
Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class AnnotatedPicture:
    """The faces of a picture, and the picture with them drawn in."""

    faces: tuple[FaceResult, ...]
    jpeg: bytes


def annotate_picture(reader: PictureReader, path: Path) -> AnnotatedPicture:
    """Read a file and draw its faces; upright, in its own size.

    Raises:
        VideoError: the file is no picture, or it cannot be read.
    """
    frame = read_picture(path, reader.options)
    faces = read_faces(frame, reader.options, reader.tools)
    done, encoded = cv2.imencode(".jpg", draw_faces(frame.bgr(), faces), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise VideoError(
            f"{path.name}: the annotated picture could not be encoded; JPEG has 65,535 pixels a side."
        )
    return AnnotatedPicture(faces, encoded.tobytes())


def draw_faces(image: UInt8Array, faces: Sequence[FaceResult]) -> UInt8Array:
    """Draw a frame, a title and a bar for each face.

    Args:
        image: uint8 (H, W, 3), BGR; a copy is drawn on.
        faces: with boxes in pixels of the image.
    """
    drawn = image.copy()
    for face in faces:
        _draw_face(drawn, face)
    return drawn


def _draw_face(image: UInt8Array, face: FaceResult) -> None:
    x1, y1, x2, y2 = (round(value) for value in face.xyxy)
    unit = max(1, (y2 - y1) // 60)
    colour = _bgr(colours(list(face.probs))[face.label])
    cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, 2 * unit)
    _draw_bar(image, face, (x1, y2 + unit), (x2, y2 + 7 * unit))
    _draw_title(image, face, (x1, y1), unit)


def _draw_bar(image: UInt8Array, face: FaceResult, low: Point, high: Point) -> None:
    """All probabilities side by side, in the colours and the order of the pages."""
    of_label, left = colours(list(face.probs)), float(low[0])
    for label in reversed(stacked(list(face.probs))):
        right = left + face.probs[label] * (high[0] - low[0])
        cv2.rectangle(
            image, (round(left), low[1]), (round(right), high[1]), _bgr(of_label[label]), cv2.FILLED
        )
        left = right


def _draw_title(image: UInt8Array, face: FaceResult, corner: Point, unit: int) -> None:
    text = f"{face.label} {format_share(face.probs[face.label])}"
    if face.unreadable:
        text += f" ({face.unreadable})"
    size = max(0.4, 0.28 * unit)
    (width, height), below = cv2.getTextSize(text, _FONT, size, max(1, unit // 2))
    top = max(corner[1] - height - below - 3 * unit, 0)
    left = min(max(corner[0], 0), max(image.shape[1] - width, 0))
    cv2.rectangle(image, (left, top), (left + width, top + height + below + unit), _PAPER, cv2.FILLED)
    cv2.putText(image, text, (left, top + height + unit), _FONT, size, _INK, max(1, unit // 2), cv2.LINE_AA)


def format_share(share: float) -> str:
    """A share as a percentage; 0 % and 100 % only where it is exactly that."""
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 else f"{share:.0%}".replace("%", " %")


def _bgr(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return blue, green, red
