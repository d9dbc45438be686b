"""The clock of a file of events in relation to that of the video: an offset, and a drift between two points.

>>> parse_clock_map("12.5").to_video(10.0)
22.5
>>> parse_clock_map("10=12.5, 610=613.1").to_video(310.0)
312.8
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ferflow.analytics.markers import Marker
from ferflow.analytics.video_times import parse_seconds
from ferflow.errors import OptionsError
from ferflow.text import sanitize

LARGEST_DRIFT = 0.1
"""Clocks of computers differ by less than a thousandth; more than a tenth is a slip of a hand."""


@dataclass(frozen=True, slots=True)
class FileClock:
    """How times of a file become times of the video: t x `rate` + `offset_s`."""

    offset_s: float = 0.0
    rate: float = 1.0

    def to_video(self, time_s: float) -> float:
        """Time of the video, rounded to a microsecond."""
        return round(time_s * self.rate + self.offset_s, 6)

    def place(self, marker: Marker) -> Marker:
        """A marker at its time of the video."""
        if self == SAME_CLOCK:
            return marker
        end_s = None if marker.end_s is None else self.to_video(marker.end_s)
        return replace(marker, time_s=self.to_video(marker.time_s), end_s=end_s)


SAME_CLOCK = FileClock()


def parse_clock_map(text: str) -> FileClock:
    """Read `SECONDS`, which are added to each time, or two points `FILE=VIDEO,FILE=VIDEO`; times as in lists.

    Raises:
        OptionsError: anything else, or the two clocks differ too much.
    """
    where = f"offset of markers {sanitize(text[:60])!r}"
    points = [part.partition("=") for part in text.split(",")] if "=" in text else []
    if not points:
        return FileClock(parse_seconds(text, where))
    if len(points) != 2 or not all(separator for _, separator, _ in points):
        raise OptionsError(f"{where}: give seconds, or two points such as 10=12.5,610=613.1 (file=video).")
    (a, b), (c, d) = ([parse_seconds(one[0], where), parse_seconds(one[2], where)] for one in points)
    rate = (d - b) / (c - a) if c != a else 0.0
    if abs(rate - 1) > LARGEST_DRIFT:
        raise OptionsError(
            f"{where}: by these points the video's clock runs {rate:.3g} times as fast as the file's. Check them."
        )
    return FileClock(b - a * rate, rate)
