"""Values as plotly takes them. plotly itself is imported only where a figure is made.

Times are dates from the first of January 1970 on, since an axis of dates has ticks at whole minutes. No time zone is
involved.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

from ferflow.types import Float64Array

PlotlyAttributes: TypeAlias = Mapping[str, object]
"""Part of a figure, such as an axis, in plotly's own names."""

# Durations are counted from here; it is no time of the real world.
_START = datetime(1970, 1, 1)


def escape_html(text: str) -> str:
    """A text from outside for a figure: plotly interprets some HTML in names and titles, but not `&quot;`.

    It also takes `%{...}` in names for a part of a template.
    """
    return html.escape(text, quote=False).replace("%{", "&#37;{")


def axis_time(seconds: float) -> str:
    """A time on the axis. Not a number: plotly takes 1000 for a year, not for milliseconds."""
    return (_START + timedelta(seconds=seconds)).isoformat(sep=" ", timespec="milliseconds")


def json_numbers(values: Float64Array) -> list[float | None]:
    """Numbers for JSON: three digits, None where unknown. What is not exactly 0, 1 or -1 does not become it."""
    return [None if math.isnan(value) else _rounded(float(value)) for value in values]


def _rounded(value: float) -> float:
    short = round(value, 3)
    if short in (0.0, 1.0, -1.0) and short != value:
        return short + math.copysign(0.001, value - short)
    return short


def with_opacity(colour: str, opacity: float) -> str:
    """`#RRGGBB` as a colour that lets the background through."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def coloured(text: str, colour: str) -> str:
    """A word of a title in the colour of the curve that it names, so that no legend is needed."""
    return f"<span style='color:{colour}'>{text}</span>"
