"""Parts of the picture that are analysed, in place of all of it.

>>> Region.parse("player=bottom-right")
Region(name='player', spec='bottom-right')
>>> Region.parse("player=bottom-right").pixels(1920, 1080)
(960, 540, 960, 540)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from ferflow.errors import OptionsError, VideoError

AUTO = "auto"
"""In place of a region: a picture-in-picture frame, if there is one."""

_PLACES = MappingProxyType(
    {
        "left": "0%,0%,50%,100%", "right": "50%,0%,50%,100%", "top": "0%,0%,100%,50%", "bottom": "0%,50%,100%,50%",
        "top-left": "0%,0%,50%,50%", "top-right": "50%,0%,50%,50%",
        "bottom-left": "0%,50%,50%,50%", "bottom-right": "50%,50%,50%,50%",
    }
)  # fmt: skip
"""Halves and quarters of the picture."""

_NAMED = re.compile(r"([^=]{1,60})=(.+)")
_NUMBER = re.compile(r"\d{1,5}(?:\.\d{1,4})?%?", re.ASCII)
_ROUNDING_PERCENT = 0.01
_LEAST_PIXELS = 16
"""A smaller region cannot show a face that is found."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle in the upright picture."""

    name: str | None
    """Of the participant whom it shows: there is one person in it. None: any number of people."""
    spec: str
    """`X,Y,W,H`, each in pixels or percent of the picture, or the name of a place."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[NAME=]X,Y,W,H` or `[NAME=]PLACE`.

        Raises:
            OptionsError: anything else, or percentages that reach outside of the picture.
        """
        named = _NAMED.fullmatch(text.strip())
        name, spec = (named[1].strip(), named[2].strip()) if named else (None, text.strip())
        if name == "" or not (spec in _PLACES or cls._is_rectangle(spec)):
            raise OptionsError(
                f"region must be X,Y,W,H in pixels or percent (10%,0,320,25%) or one of {', '.join(_PLACES)}, with "
                f"NAME= in front of it for a participant, or {AUTO} alone; got {text[:60]!r}"
            )
        if cls._reaches_outside(spec):
            raise OptionsError(
                f"region {spec}: it reaches outside of the picture: left + width and top + height must be 100% at most"
            )
        return cls(name, spec)

    @staticmethod
    def _is_rectangle(spec: str) -> bool:
        numbers = [number.strip() for number in spec.split(",")]
        return (
            len(numbers) == 4
            and all(_NUMBER.fullmatch(number) for number in numbers)
            and all(float(number.rstrip("%")) > 0 for number in numbers[2:])
        )

    @staticmethod
    def _reaches_outside(spec: str) -> bool:
        """Whether percentages alone say so; of pixels, only the picture can tell."""
        x, y, w, h = (number.strip() for number in _PLACES.get(spec, spec).split(","))
        # 66.6667% and 33.3334% are thirds.
        return any(
            start.endswith("%")
            and side.endswith("%")
            and float(start[:-1]) + float(side[:-1]) > 100 + _ROUNDING_PERCENT
            for start, side in ((x, w), (y, h))
        )

    @property
    def label(self) -> str:
        """How FACES name it."""
        return self.name or self.spec

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """x, y, width, height in a picture of this size; what reaches past the picture is cut off.

        Raises:
            VideoError: hardly any of it is inside the picture.
        """
        numbers = [number.strip() for number in _PLACES.get(self.spec, self.spec).split(",")]
        x, y, w, h = (
            float(number.rstrip("%")) / 100 * side if number.endswith("%") else float(number)
            for number, side in zip(numbers, (width, height) * 2, strict=True)
        )
        left, top = round(x), round(y)
        right, bottom = min(round(x + w), width), min(round(y + h), height)
        if right - left < _LEAST_PIXELS or bottom - top < _LEAST_PIXELS:
            raise VideoError(
                f"region {self.spec}: less than {_LEAST_PIXELS} by {_LEAST_PIXELS} pixels of it are inside the picture "
                f"of {width} by {height}. Check --region."
            )
        return left, top, right - left, bottom - top

    def __str__(self) -> str:
        """As `parse` reads it."""
        return self.spec if self.name is None else f"{self.name}={self.spec}"


def split_regions(text: str) -> tuple[str, ...]:
    """The regions of a cell of a list, separated by semicolons or spaces; a region may itself contain spaces.

    >>> split_regions("Ann Lee=left; 50%, 0, 50%, 100%"), split_regions("left bottom-right")
    (('Ann Lee=left', '50%, 0, 50%, 100%'), ('left', 'bottom-right'))

    Raises:
        OptionsError: one cannot be read.
    """
    found: list[str] = []
    for part in filter(None, map(str.strip, text.split(";"))):
        words = part.split()
        if _is_region(part) or not all(map(_is_region, words)):
            words = [part]
        found += words
    parse_regions(tuple(found))
    return tuple(found)


def _is_region(text: str) -> bool:
    try:
        Region.parse(text)
    except OptionsError:
        return False
    return True


def parse_regions(texts: tuple[str, ...]) -> tuple[Region, ...]:
    """Read regions of different names; `auto` alone gives none.

    Raises:
        OptionsError: one cannot be read, two have one name, or `auto` is among others.
    """
    if texts == (AUTO,):
        return ()
    if AUTO in texts:
        raise OptionsError("region: auto cannot be combined with other regions")
    regions = tuple(Region.parse(text) for text in texts)
    labels = [region.label for region in regions]
    if repeated := next((label for label in labels if labels.count(label) > 1), None):
        raise OptionsError(f"region: two regions are called {repeated!r}")
    return regions
