"""What every row of a clock's chart is drawn with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ferflow.analytics.intervals import Band
from ferflow.analytics.shared_clock import SharedClock
from ferflow.dashboards.overview.cohort import GroupLook
from ferflow.dashboards.overview.sparkline import find_runs
from ferflow.dashboards.shared.figure_values import (
    PlotlyAttributes,
    axis_time,
    escape_html,
    json_numbers,
    with_opacity,
)
from ferflow.types import Float64Array

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TITLE_PX = 40
BOTTOM_PX = 28
LEAST_SOLID = 3
"""A mean over fewer participants is drawn thin and transparent, and has no band: it says more about the participants
who happen to be known there than about the stimulus."""

_FADED_OPACITY = 0.4


class RowLayout:
    """Where each row lies: a title, then its plot, from the top down."""

    def __init__(self, heights_px: Mapping[str, int]) -> None:
        self.plot_px = sum(heights_px.values()) + TITLE_PX * len(heights_px)
        self.height_px = self.plot_px + BOTTOM_PX
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


@dataclass(frozen=True, slots=True)
class Scale:
    """Upper and lower ends of the axes, the same in the charts of all clocks of a page."""

    share: float = 1.0
    """Top of shares, which start at 0."""
    score: float = 1.0
    """Top of expressiveness, which starts at 0."""
    valence: tuple[float, float] = (-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Canvas:
    """A figure with its rows laid out, ready to be drawn on."""

    figure: Figure
    clock: SharedClock
    looks: Sequence[GroupLook]
    """The groups that are drawn."""
    scale: Scale
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
            "ticksuffix": "  ",
        }
        self.figure.update_layout({f"yaxis{self.rows.axes[row][1:]}": fixed | axis})
        self.figure.add_annotation(
            text=title, x=0, xref="paper", y=top, yref="paper", xanchor="left", yanchor="bottom",
            xshift=-self.left_px, yshift=5, showarrow=False, align="left", font={"size": 13},
        )  # fmt: skip

    def add_mean(
        self,
        row: str,
        look: GroupLook,
        band: Band,
        words: str,
        number: str = ".0%",
        *,
        round_values: Callable[[Float64Array], list[float | None]] = json_numbers,
        after: str = "",
    ) -> None:
        """A mean with its band; faded, and without a band, where fewer than `LEAST_SOLID` participants are known.

        Args:
            row: id of the row.
            look: of the group.
            band: mean, interval and n, at the points of the clock.
            words: what the cursor calls the value.
            number: its format, in the words of d3.
            round_values: to what can be seen; for JSON.
            after: what the cursor writes behind the number; `%{customdata}` is the number of participants there.
        """
        is_solid = band.n >= LEAST_SOLID
        self._add_band(row, look, band, is_solid, round_values)
        faded = np.isfinite(band.mean) & ~is_solid
        template = f"{escape_html(look.name)}, {words}: %{{y:{number}}}{after}<extra></extra>"
        shown: PlotlyAttributes = {"hovertemplate": template}
        shown = {**shown, "customdata": band.n.astype(int).tolist()} if after else shown
        if faded.any():
            # The whole curve lies below the solid parts: no break is seen where they end.
            style = {"color": look.colour, "width": 1, "dash": look.dash}
            self.add_line(row, look, round_values(band.mean), line=style, opacity=_FADED_OPACITY, **shown)
        solid = {"color": look.colour, "width": 2, "dash": look.dash}
        if not faded.any():
            self.add_line(row, look, round_values(band.mean), line=solid, **shown)
        elif is_solid.any():
            known = round_values(np.where(is_solid, band.mean, np.nan))
            self.add_line(row, look, known, line=solid, hoverinfo="skip", meta=None)

    def add_line(self, row: str, look: GroupLook, values: list[float | None], **style: object) -> None:
        """A curve over the points of the clock, at their middles."""
        self.figure.add_scatter(
            # The first point and the distance of points, in milliseconds, instead of a date per point: the page stays
            # small. The page's script finds a curve by `meta`.
            name=escape_html(look.name), x0=axis_time(self.clock.step_s / 2), dx=self.clock.step_s * 1000,
            y=values, mode="lines", yaxis=self.rows.axes[row],
            **({"meta": {"row": row, "group": look.name}} | style),
        )  # fmt: skip

    def _add_band(
        self,
        row: str,
        look: GroupLook,
        band: Band,
        is_solid: np.typing.NDArray[np.bool_],
        round_values: Callable[[Float64Array], list[float | None]],
    ) -> None:
        """Polygons, one for each stretch in which the band is known: a fill between curves would bridge gaps."""
        x: list[str | None] = []
        y: list[float | None] = []
        for run in find_runs(np.isfinite(band.low) & is_solid):
            k = np.arange(run.start, run.stop)
            # Along the lower edge, and back along the upper one; None ends the polygon.
            x += [_short_time((place + 0.5) * self.clock.step_s) for place in (*k, *k[::-1])] + [None]
            y += [*round_values(band.low[k]), *round_values(band.high[k][::-1]), None]
        if x:
            self.figure.add_scatter(
                x=x[:-1], y=y[:-1], yaxis=self.rows.axes[row], mode="lines", fill="toself", line={"width": 0},
                fillcolor=with_opacity(look.colour, 0.16 if len(self.looks) == 1 else 0.1), hoverinfo="skip",
                name="band",
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClockRow:
    """One row of the chart."""

    id: str
    height_px: Callable[[SharedClock], int]
    """0: this clock has no such row."""
    draw: Callable[[Canvas], None]


def row_title(name: str, explanation: str) -> str:
    """A row's title, as HTML."""
    return f"<b>{name}</b>  <span style='font-size:11px'>{explanation}</span>"


def _short_time(seconds: float) -> str:
    """`axis_time` without zeros at its end: a band has thousands of times."""
    return axis_time(seconds).removesuffix("00").removesuffix(".0")
