"""Rectangles and text on the planes of a picture: no conversion to RGB and back, which takes longer than encoding.

>>> fill(picture, (10, 10, 60, 20), (160, 60, 40))
>>> write(picture, "Ada", (12, 18), cap_px=9)
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import cv2

from ferflow.media.yuv_picture import YuvPicture

Colour = tuple[int, int, int]
"""Blue, green, red, 0-255."""
Rectangle = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels; x2 and y2 exclusive. What is outside of the picture is not drawn."""

WHITE: Colour = (255, 255, 255)
INK: Colour = (32, 28, 24)

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LATIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d",
     "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"}
)  # fmt: skip
"""Letters that Unicode does not take apart into a letter of ASCII and an accent."""
_CAP_PX_AT_1 = 21.0
"""Height of a capital letter of the font at scale 1, pixels."""


def parse_colour(text: str) -> Colour:
    """A colour of the palette, `#RRGGBB`."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return blue, green, red


def legible_on(ground: Colour) -> Colour:
    """Black or white, whichever has more contrast."""
    blue, green, red = ground
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 120 else WHITE


def fill(picture: YuvPicture, rectangle: Rectangle, colour: Colour) -> None:
    """Fill a rectangle."""
    x1, y1, x2, y2 = _inside(picture, rectangle)
    if x1 >= x2 or y1 >= y2:
        return
    luma, *chroma = picture.colour(colour)
    picture.y[y1:y2, x1:x2] = luma
    step = picture.chroma_step
    # Rounded outwards: a thin bar has its colour also where it covers a pixel of chroma in part.
    rows, columns = slice(y1 // step, -(-y2 // step)), slice(x1 // step, -(-x2 // step))
    for plane, value in zip((picture.u, picture.v), chroma, strict=True):
        plane[rows, columns] = value


def outline(picture: YuvPicture, rectangle: Rectangle, colour: Colour, thickness: int) -> None:
    """Draw the edge of a rectangle, inside of it."""
    x1, y1, x2, y2 = rectangle
    for side in (
        (x1, y1, x2, y1 + thickness),
        (x1, y2 - thickness, x2, y2),
        (x1, y1, x1 + thickness, y2),
        (x2 - thickness, y1, x2, y2),
    ):
        fill(picture, side, colour)


def write(
    picture: YuvPicture, text: str, corner: tuple[int, int], *, cap_px: int, colour: Colour = WHITE
) -> None:
    """Write text; in gray shades, as chroma is too coarse for letters.

    Args:
        picture: to write on.
        text: see `plain_text`.
        corner: x of the left edge, y of the base line.
        cap_px: height of a capital letter.
        colour: a shade of gray.
    """
    cv2.putText(
        picture.y, text, corner, _FONT, cap_px / _CAP_PX_AT_1, picture.colour(colour)[0], _thickness(cap_px),
        cv2.LINE_AA,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def text_width(text: str, cap_px: int) -> int:
    """Width in pixels."""
    (width, _), _ = cv2.getTextSize(text, _FONT, cap_px / _CAP_PX_AT_1, _thickness(cap_px))
    return int(width)


@lru_cache(maxsize=1024)
def plain_text(text: str, otherwise: str) -> str:
    """A text as the font can write it, which has ASCII only: letters without their accents.

    Args:
        text: any.
        otherwise: what to write in place of a text in another script.
    """
    parts = unicodedata.normalize("NFKD", text.translate(_LATIN))
    plain = "".join(char for char in parts if not unicodedata.combining(char))
    return plain if plain.isascii() and plain.isprintable() else otherwise


def _thickness(cap_px: int) -> int:
    return max(1, round(cap_px / 10))


def _inside(picture: YuvPicture, rectangle: Rectangle) -> Rectangle:
    width, height = picture.size
    x1, y1, x2, y2 = rectangle
    return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
