"""How values of a signal are written and drawn: their size is known from the values alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ferflow.dashboards.shared.number_format import UNKNOWN
from ferflow.types import Float64Array

_PADDING = 0.06
"""Of an axis, above and below the values, as a share of their range."""


@dataclass(frozen=True, slots=True)
class SignalScale:
    """Range of a signal's values, and what follows from it."""

    low: float
    high: float

    @classmethod
    def of(cls, parts: Sequence[Float64Array]) -> Self:
        """The range of the known values of several arrays; 0 to 0 without any."""
        values = np.concatenate([np.zeros(0), *parts])
        known = values[np.isfinite(values)]
        return cls(float(known.min()), float(known.max())) if len(known) else cls(0.0, 0.0)

    @property
    def axis_range(self) -> tuple[float, float]:
        """Of an axis; a signal that never changes is drawn in the middle."""
        margin = _PADDING * (self.high - self.low) or abs(self.high) / 10 or 1.0
        return self.low - margin, self.high + margin

    @property
    def digits(self) -> int | None:
        """Decimals that are worth writing, about three significant digits of the range; None: of no fixed number."""
        size = self.high - self.low or abs(self.high)
        if size == 0:
            return 0
        if not 1e-6 <= size < 1e15:
            return None
        return 0 if size >= 1000 else 1 if size >= 10 else 2 - math.floor(math.log10(size))

    @property
    def d3_format(self) -> str:
        """The same as plotly takes it, without zeros at the end."""
        return ".4~g" if self.digits is None else f".{self.digits}~f"

    def format(self, value: float) -> str:
        """A value as text."""
        if not math.isfinite(value):
            return UNKNOWN
        if self.digits is None:
            return f"{value:.4g}"
        text = f"{value:.{self.digits}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return ("0" if text == "-0" else text).replace("-", "−")

    def json_numbers(self, values: Float64Array) -> list[float | None]:
        """Numbers for JSON, no longer than what can be seen; None where unknown."""
        return [None if math.isnan(value) else self._shorten(float(value)) for value in values]

    def _shorten(self, value: float) -> float:
        return float(f"{value:.6g}") if self.digits is None else round(value, self.digits + 1)
