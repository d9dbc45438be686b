"""What every row of a clock's chart is drawn with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ferflow.analytics.intervals import Band
from ferflow.analytics.shared_clock import SharedClock
from ferflow.dashboards.overview.cohort import GroupLook
from ferflow.dashboards.overview.sparkline import find_runs
from ferflow.dashboards.shared.figure_draft import FigureDraft
from ferflow.dashboards.shared.figure_values import (
    PlotlyAttributes,
    axis_time,
    escape_html,
    json_numbers,
    with_opacity,
)
from ferflow.dashboards.shared.row_layout import RowLayout
from ferflow.types import Float64Array

RoundValues: TypeAlias = Callable[[Float64Array], list[float | None]]
"""Rounds to what can be seen; for JSON."""

TITLE_PX = 40
BOTTOM_PX = 28
LEAST_SOLID = 3
"""A mean over fewer participants is drawn thin and has no band: it says more about the participants who happen to be
known there than about the stimulus. It is not pale: on paper, the paler of the colours of groups would not be seen."""

THIN_PX = 1
_BAND_OPACITY, _BANDS_OPACITY = 0.16, 0.1
"""Of the band of all participants, and of each of several groups, which cover one another."""

MOST_RUNS = 200
"""With more runs of known values than this, half a step is narrower than the curve."""


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

    figure: FigureDraft
    clock: SharedClock
    looks: Sequence[GroupLook]
    """The groups that are drawn."""
    scale: Scale
    rows: RowLayout
    left_px: int

    def add_row(self, row: str, title: str, **axis: object) -> None:
        """Title and y axis of a row."""
        fixed = {
            "domain": list(self.rows.domains[row]),
            "anchor": "x",
            "fixedrange": True,
            "zeroline": False,
            "ticksuffix": "  ",
        }
        self.figure.update_layout({f"yaxis{self.rows.axes[row][1:]}": fixed | axis})
        self.figure.add_annotation(
            text=title, x=0, xref="paper", y=1, yref=f"{self.rows.axes[row]} domain", xanchor="left",
            yanchor="bottom", xshift=-self.left_px, yshift=5, showarrow=False, align="left", font={"size": 13},
        )  # fmt: skip

    def add_mean(
        self,
        row: str,
        look: GroupLook,
        band: Band,
        words: str,
        number: str = ".0%",
        *,
        round_values: RoundValues = json_numbers,
        after: str = "",
    ) -> None:
        """A mean with its band; thin, and without a band, where fewer than `LEAST_SOLID` participants are known.

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
        thin = np.isfinite(band.mean) & ~is_solid
        template = f"{escape_html(look.name)}, {words}: %{{y:{number}}}{after}<extra></extra>"
        shown: PlotlyAttributes = {"hovertemplate": template}
        shown = {**shown, "customdata": band.n.astype(int).tolist()} if after else shown
        if thin.any():
            # The whole curve lies below the solid parts: no break is seen where they end.
            self.add_line(row, look, band.mean, shown, width=THIN_PX, round_values=round_values)
            solid = np.where(is_solid, band.mean, np.nan)
            unnamed: PlotlyAttributes = {"hoverinfo": "skip", "meta": None}
            self.add_line(row, look, solid, unnamed, round_values=round_values)
        else:
            self.add_line(row, look, band.mean, shown, round_values=round_values)

    def add_line(
        self,
        row: str,
        look: GroupLook,
        values: Float64Array,
        style: PlotlyAttributes,
        *,
        width: float = 2,
        round_values: RoundValues = json_numbers,
    ) -> None:
        """A curve over the points of the clock: a step per point, from its start to its end; nothing where unknown."""
        if not np.isfinite(values).any():
            return
        # Steps, since a value is that of a whole point in time: the curve then ends where its band ends.
        line = {"color": look.colour, "dash": look.dash, "width": width, "shape": "hvh"}
        # The page's script finds a curve by `meta`.
        facts = {
            "name": escape_html(look.name),
            "line": line,
            "meta": {"row": row, "group": look.name},
            **style,
        }
        self._add(row, self.clock.step_s / 2, round_values(values), **facts)
        # Plotly draws from middle to middle. What it leaves out at both ends of a run of known values is a trace of its
        # own, so that the cursor finds a point per value and no other.
        x, y = self._half_steps(values, round_values)
        self.figure.add_scatter(
            x=x, y=y, yaxis=self.rows.axes[row], mode="lines", line=line, hoverinfo="skip", name="",
        )  # fmt: skip

    def _add(self, row: str, first_s: float, values: list[float | None], **style: object) -> None:
        """A trace with a value per point, the first at a time in seconds."""
        # The first point and the distance of points in milliseconds, not a date per point: the page stays small.
        self.figure.add_scatter(
            x0=axis_time(first_s), dx=self.clock.step_s * 1000, y=values, mode="lines", yaxis=self.rows.axes[row],
            **style,
        )  # fmt: skip

    def _half_steps(
        self, values: Float64Array, round_values: RoundValues
    ) -> tuple[list[str | None], list[float | None]]:
        """Times and values of the first and last half of a step of each run of known values."""
        runs = find_runs(np.isfinite(values))
        x: list[str | None] = []
        y: list[float | None] = []
        for run in runs if len(runs) <= MOST_RUNS else ():
            for k, start in ((run.start, run.start), (run.stop - 1, run.stop - 0.5)):
                x += [*(axis_time(half * self.clock.step_s) for half in (start, start + 0.5)), None]
                y += [*round_values(values[[k, k]]), None]
        return x, y

    def _add_band(
        self,
        row: str,
        look: GroupLook,
        band: Band,
        is_solid: npt.NDArray[np.bool_],
        round_values: RoundValues,
    ) -> None:
        """An area from the lower to the upper end, with a step per point; nothing where there is no interval."""
        known = np.isfinite(band.low) & is_solid
        if not known.any():
            return
        low, high = (np.where(known, edge, np.nan) for edge in (band.low, band.high))
        opacity = _BAND_OPACITY if len(self.looks) == 1 else _BANDS_OPACITY
        # Two stacked areas, the lower one not seen, and not a fill between curves, which would bridge gaps: what is
        # unknown has the height 0.
        for edge, values, colour in (
            ("low", low, "rgba(0,0,0,0)"),
            ("width", high - low, with_opacity(look.colour, opacity)),
        ):
            self._add(
                # One more point on each side, out of sight: an area starts and ends in the middle of a point.
                row, -self.clock.step_s / 2, round_values(np.pad(values, 1, mode="edge")), name="band",
                stackgroup=f"{row} {look.name}", line={"width": 0, "shape": "hvh"}, fillcolor=colour,
                hoverinfo="skip", meta={"band": row, "of": look.name, "edge": edge},
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClockRow:
    """One row of the chart."""

    id: str
    height_px: Callable[[SharedClock], int]
    """0: this clock has no such row."""
    draw: Callable[[Canvas], None]
    is_curve: bool = True
    """Whether it may become lower than others where a sheet of paper is too short for all."""


def row_title(name: str, explanation: str) -> str:
    """A row's title, as HTML."""
    return f"<b>{name}</b>  <span style='font-size:11px'>{explanation}</span>"
