"""What every row of the timeline chart is drawn with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ferflow import palette
from ferflow.analytics.measures import MEASURES, Measure
from ferflow.dashboards.session_report.downsample import Downsampled
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.figure_draft import FigureDraft
from ferflow.dashboards.shared.figure_values import (
    PlotlyAttributes,
    axis_time,
    coloured,
    escape_html,
    json_numbers,
)
from ferflow.dashboards.shared.row_layout import RowLayout
from ferflow.types import Float64Array

TITLE_PX = 44
"""Space above each row, for its title."""
SLIDER_PX = 40
BOTTOM_PX = 24
"""Tick labels; plotly makes room for the slider by itself."""
TRANSPARENT = "rgba(0,0,0,0)"


_HOVER = {"share": "%{y:.0%}", "signed": "%{y:+.2f}"}
"""How the cursor's label writes a measure, by its format: as the tables do."""

THRESHOLD = "<br><span style='font-size:9px'>threshold</span>"
"""Under the number of a tick. Within the row, curves would cover it."""
STACK_RANGE = (0.003, 0.997)
"""Axis of shares that add up to 1. In a PDF, an area without height is a thin line: at 0 and 1 it is out of sight."""
MOST_RUNS = 200
"""With more runs of known bins than this, half a bin is narrower than the curve."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A figure with its rows laid out, ready to be drawn on."""

    figure: FigureDraft
    data: Downsampled
    rows: RowLayout
    left_px: int

    @property
    def base_axis(self) -> str:
        """Of the row without height at the bottom, which the time axes are anchored to."""
        return f"y{max(9, len(self.rows.axes) + 1)}"

    def add_row(self, row: str, title: str, **axis: object) -> None:
        """Title and y axis of a row."""
        fixed = {
            "domain": self.rows.domains[row],
            "anchor": "x",
            "fixedrange": True,
            "zeroline": False,
            "showspikes": False,
            "ticksuffix": "  ",
        }
        self.figure.update_layout({f"yaxis{self.rows.axes[row][1:]}": fixed | axis})
        self.figure.add_annotation(
            text=title, x=0, xref="paper", y=1, yref=f"{self.rows.axes[row]} domain", xanchor="left", yanchor="bottom",
            xshift=-self.left_px, yshift=7, showarrow=False, align="left", font={"size": 13},
        )  # fmt: skip

    def add_curve(self, row: str, measure: Measure, **line: object) -> None:
        """The audience's curve of a measure, in its colour and under its name."""
        # The page's script finds the curve by this, whatever its title.
        meta = {"measure": measure.name, "format": measure.format}
        line = {"color": measure.colour} | line
        values, hover = self.data.audience[measure.name], _HOVER.get(measure.format, "%{y:.2f}")
        self.add_line(row, measure.title.lower(), values, line, meta=meta, hovertemplate=hover)

    def add_line(
        self,
        row: str,
        name: str,
        values: Float64Array,
        line: PlotlyAttributes,
        *,
        round_values: Callable[[Float64Array], list[float | None]] = json_numbers,
        **style: object,
    ) -> None:
        """A curve over the drawn bins: a step per bin, from its start to its end; nothing where unknown."""
        # Steps, since a value is that of a whole bin: the curve then ends where the area below it ends, and where a
        # gap starts.
        line = {"shape": "hvh"} | dict(line)
        points = round_values(values)
        self._add(row, self.data.step_s / 2, points, name=escape_html(name), line=line, **style)
        # Plotly draws from point to point, from the middle of a bin to that of the next. What it leaves out at both
        # ends of a run of known bins is a trace of its own, so that the cursor finds a point per bin and no other.
        x, y = self._half_bins(points)
        self.figure.add_scatter(
            x=x, y=y, yaxis=self.rows.axes[row], mode="lines", line=line, hoverinfo="skip", name=""
        )

    def add_area(self, row: str, name: str, values: Float64Array, colour: str, **style: object) -> None:
        """A filled area over zero, or over the others of its `stackgroup`, with a step per bin; nothing where unknown.

        The first point is the middle of a bin before the first.
        """
        defaults: dict[str, object] = {
            # Not `fill="tozeroy"`, which fills over gaps too: a group of its own drops to zero there instead.
            "stackgroup": f"{row} {name}",
            "line": {"width": 0, "shape": "hvh", "color": TRANSPARENT},
            # Without a template plotly heeds `hoverinfo` of single points, see session.js.
            "hovertemplate": None,
            "yhoverformat": ".2f",
        }
        # One more bin on each side, out of sight: an area starts and ends in the middle of a bin.
        padded = json_numbers(np.pad(values, 1, mode="edge"))
        self._add(
            row, -self.data.step_s / 2, padded, name=escape_html(name), fillcolor=colour, **(defaults | style)
        )

    def add_threshold(self, row: str, value: float) -> None:
        """A dashed line through a row; `THRESHOLD` is for its tick."""
        self.figure.add_shape(
            type="line", xref="x domain", yref=self.rows.axes[row], x0=0, x1=1, y0=value, y1=value,
            line={"width": 1, "color": palette.MARKER, "dash": "5px,3px"},
            # Below curves and the numbers of peaks. A line of the grid at the same place would hide it.
            layer="below",
        )  # fmt: skip

    def _add(self, row: str, first_s: float, values: list[float | None], **style: object) -> None:
        """A trace with a point per bin, the first at a time in seconds."""
        self.figure.add_scatter(
            # The first point and the distance of points, in milliseconds, instead of a date per point: the page stays
            # small.
            x0=axis_time(first_s),
            dx=self.data.step_s * 1000,
            y=values,
            mode="lines",
            # `get`: the curve of the slider is in no row and brings its axes along.
            **({"xaxis": "x", "yaxis": self.rows.axes.get(row), "hovertemplate": "%{y:.2f}"} | style),
        )

    def _half_bins(self, values: list[float | None]) -> tuple[list[str | None], list[float | None]]:
        """Times and values of the first and last half of a bin of each run of known bins."""
        runs = find_runs(np.array(values, dtype=np.float64))  # None becomes NaN
        x: list[str | None] = []
        y: list[float | None] = []
        for first, last in runs if len(runs) <= MOST_RUNS else ():
            for k, start in ((first, first), (last, last + 0.5)):
                ends = (min(half * self.data.step_s, self.data.end_s) for half in (start, start + 0.5))
                x += [*map(axis_time, ends), None]
                y += [values[k], values[k], None]
        return x, y


def find_runs(values: Float64Array) -> list[tuple[int, int]]:
    """First and last index of each run of known values."""
    edges = np.flatnonzero(np.diff(np.pad(np.isfinite(values), 1)))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


@dataclass(frozen=True, slots=True)
class ChartRow:
    """One row of the chart."""

    id: str
    height_px: Callable[[Session, Downsampled], int]
    """0: this session has no such row."""
    draw: Callable[[Canvas, Session], None]
    is_curve: bool = True
    """Whether it may become lower than others where a sheet of paper is too short for all."""


def row_title(name: str, colour: str | None, *rest: str | tuple[str, str]) -> str:
    """A row's title; parts that are (word, colour) name a curve and have its colour."""
    words = "".join(part if isinstance(part, str) else coloured(*part) for part in rest)
    return f"<b>{coloured(name, colour) if colour else name}</b>  <span style='font-size:11px'>{words}</span>"


def measure_word(name: str) -> tuple[str, str]:
    """What a measure is called within a title, and its colour."""
    return MEASURES[name].title.lower(), MEASURES[name].colour
