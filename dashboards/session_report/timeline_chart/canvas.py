"""What every row of the timeline chart is drawn with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferflow.analytics.measures import MEASURES, Measure
from ferflow.dashboards.session_report.downsample import Downsampled
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.figure_values import axis_time, coloured, escape_html, json_numbers
from ferflow.types import Float64Array

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TITLE_PX = 44
"""Space above each row, for its title."""
SLIDER_PX = 40
BOTTOM_PX = 24
"""Tick labels; plotly makes room for the slider by itself."""
TRANSPARENT = "rgba(0,0,0,0)"


class RowLayout:
    """Where each row lies: a title, then its plot, from the top down."""

    def __init__(self, heights_px: Mapping[str, int]) -> None:
        self.plot_px = sum(heights_px.values()) + TITLE_PX * len(heights_px)
        self.height_px = self.plot_px + BOTTOM_PX + SLIDER_PX
        self.domains: dict[str, tuple[float, float]] = {}
        """Bottom and top of each row, as shares of the plot."""
        top = 0
        for row, height in heights_px.items():
            top += TITLE_PX
            # Domains are shares of the plot from the bottom; rounding may lead to just below 0, which plotly refuses.
            self.domains[row] = (max(0.0, 1 - (top + height) / self.plot_px), 1 - top / self.plot_px)
            top += height
        # plotly calls its first axis `y`, without a number.
        self.axes = {row: "y" if k == 0 else f"y{k + 1}" for k, row in enumerate(heights_px)}
        self.base_axis = f"y{max(9, len(heights_px) + 1)}"
        """Of the row without height at the bottom, which the time axes are anchored to."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A figure with its rows laid out, ready to be drawn on."""

    figure: Figure
    data: Downsampled
    rows: RowLayout
    left_px: int

    def add_row(self, row: str, title: str, **axis: object) -> None:
        """Title and y axis of a row."""
        bottom, top = self.rows.domains[row]
        fixed = {
            "domain": [bottom, top],
            "anchor": "x",
            "fixedrange": True,
            "zeroline": False,
            "showspikes": False,
            "ticksuffix": "  ",
        }
        self.figure.update_layout({f"yaxis{self.rows.axes[row][1:]}": fixed | axis})
        self.figure.add_annotation(
            text=title, x=0, xref="paper", y=top, yref="paper", xanchor="left", yanchor="bottom",
            xshift=-self.left_px, yshift=7, showarrow=False, align="left", font={"size": 13},
        )  # fmt: skip

    def add_line(self, row: str, name: str, values: Float64Array, **style: object) -> None:
        """A curve over the downsampled bins, at their middles."""
        self.figure.add_scatter(
            name=escape_html(name),
            # The first point and the distance of points, in milliseconds, instead of a date per point: the page stays
            # small.
            x0=axis_time(self.data.step_s / 2),
            dx=self.data.step_s * 1000,
            y=json_numbers(values),
            mode="lines",
            # `get`: the curve of the slider is in no row and brings its axes along.
            **({"xaxis": "x", "yaxis": self.rows.axes.get(row), "hovertemplate": "%{y:.2f}"} | style),
        )

    def add_curve(self, row: str, measure: Measure, **line: object) -> None:
        """The audience's curve of a measure, in its colour and under its name."""
        style = {"color": measure.colour} | line
        # The page's script finds the curve by this, whatever its title.
        meta = {"measure": measure.name, "format": measure.format}
        self.add_line(row, measure.title.lower(), self.data.audience[measure.name], line=style, meta=meta)

    def add_area(self, row: str, name: str, values: Float64Array, colour: str, **style: object) -> None:
        """A filled area over zero, or over the others of its `stackgroup`; nothing where unknown."""
        # Not `fill="tozeroy"`, which fills over gaps too: a group of its own drops to zero there instead.
        # Without a template, since plotly would ignore `hoverinfo` of single points (session.js) otherwise.
        defaults: dict[str, object] = {
            "stackgroup": f"{row} {name}",
            "line": {"width": 0, "shape": "linear", "color": TRANSPARENT},
            "hovertemplate": None,
            "yhoverformat": ".2f",
        }
        self.add_line(row, name, values, fillcolor=colour, **(defaults | style))


@dataclass(frozen=True, slots=True)
class ChartRow:
    """One row of the chart."""

    id: str
    height_px: Callable[[Session, Downsampled], int]
    """0: this session has no such row."""
    draw: Callable[[Canvas, Session], None]


def row_title(name: str, colour: str | None, *rest: str | tuple[str, str]) -> str:
    """A row's title; parts that are (word, colour) name a curve and have its colour."""
    words = "".join(part if isinstance(part, str) else coloured(*part) for part in rest)
    return f"<b>{coloured(name, colour) if colour else name}</b>  <span style='font-size:11px'>{words}</span>"


def measure_word(name: str) -> tuple[str, str]:
    """What a measure is called within a title, and its colour."""
    return MEASURES[name].title.lower(), MEASURES[name].colour
