"""Ratings of visible expression by eye, and whose face each of them is about.

The CSV has a row per clip, person and stretch of time: `clip` (its file name without the ending), `start_s`, `end_s`,
`expressive` (0 at rest, 1 some, 2 clearly), `label` (what was seen), `centre_x` and `centre_y` (median centre of the
face, as shares of width and height) and `track`, which tells the people of a clip apart. An optional column `person`
names people across clips. Ids of an analysis change; so a row is about the person whose face is nearest to the centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ferflow.analytics.csv_input import Row, read_csv
from ferflow.errors import OptionsError
from ferflow.text import sanitize
from ferflow.types import Float64Array, Int64Array

_NUMBERS = ("start_s", "end_s", "centre_x", "centre_y")

FARTHEST = 0.5
"""Largest distance of a face from the centre of a rating, in heights of its box."""


@dataclass(frozen=True, slots=True)
class Rating:
    """One row of the ratings."""

    clip: str
    person: str
    """Equal for all rows about one person."""
    start_s: float
    end_s: float
    expressive: int
    """0 at rest, 1 some, 2 clearly."""
    label: str
    centre: tuple[float, float]
    """x and y as shares of width and height."""

    @property
    def is_speaking(self) -> bool:
        """Whether the label says so."""
        return any(word in self.label for word in ("talk", "singing"))


@dataclass(frozen=True, slots=True)
class FacePlaces:
    """Where the N faces of people of one video are."""

    time_s: Float64Array
    person_id: Int64Array
    centre: Float64Array
    """(N, 2), pixels."""
    height: Float64Array
    """Of the boxes, pixels."""
    size: tuple[int, int]
    """Width and height of the picture, pixels."""

    def of(self, rating: Rating) -> npt.NDArray[np.bool_]:
        """Which faces a rating is about, bool (N,); none where no face is near."""
        inside = (self.time_s >= rating.start_s) & (self.time_s < rating.end_s)
        wanted = np.array(rating.centre) * self.size
        distances = {
            int(person): self._distance(inside & (self.person_id == person), wanted)
            for person in np.unique(self.person_id[inside])
        }
        nearest = min(distances, key=lambda person: distances[person], default=None)
        if nearest is None or distances[nearest] > FARTHEST:
            return np.zeros(len(inside), np.bool_)
        return np.asarray(inside & (self.person_id == nearest), np.bool_)

    def _distance(self, rows: npt.NDArray[np.bool_], wanted: Float64Array) -> float:
        """From the median centre of these faces, in heights of their boxes."""
        away = np.median(self.centre[rows], axis=0) - wanted
        return float(np.hypot(*away) / np.median(self.height[rows]))


def read_ratings(path: Path) -> dict[str, list[Rating]]:
    """The ratings by clip; a CSV of any dialect, see `csv_input`.

    Raises:
        OptionsError: no such table, or a cell is no number.
    """
    found: dict[str, list[Rating]] = {}
    for row in read_csv(path, required=(*_NUMBERS, "clip", "expressive", "label"), numbers=_NUMBERS):
        found.setdefault(row.values["clip"], []).append(_rating(row, f"{sanitize(path)}: line {row.line}"))
    return found


def _rating(row: Row, where: str) -> Rating:
    cells = row.values

    def number(name: str) -> float:
        try:
            return float(cells[name].replace(",", "."))
        except ValueError as error:
            raise OptionsError(f"{where}: {name}: {sanitize(cells[name][:40])!r} is not a number.") from error

    return Rating(
        clip=cells["clip"],
        person=cells.get("person") or f"{cells['clip']} {cells.get('track', '')}",
        start_s=number("start_s"),
        end_s=number("end_s"),
        expressive=int(number("expressive")),
        label=cells["label"],
        centre=(number("centre_x"), number("centre_y")),
    )


def people(ratings: Sequence[Rating]) -> list[str]:
    """The distinct people of ratings, in order."""
    return list(dict.fromkeys(rating.person for rating in ratings))
