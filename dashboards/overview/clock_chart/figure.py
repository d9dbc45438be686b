"""The figure of a clock: which rows it has, in which order, and its axes. plotly is imported when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ferflow.analytics.intervals import Band
from ferflow.analytics.measures import EXPRESSIVE_THRESHOLD, MEASURES
from ferflow.analytics.shared_clock import SharedClock
from ferflow.dashboards.overview.clock_chart.canvas import (
    BOTTOM_PX,
    LEAST_SOLID,
    TITLE_PX,
    Canvas,
    ClockRow,
    Scale,
)
from ferflow.dashboards.overview.clock_chart.mean_rows import (
    EVER_ROW,
    EXPRESSIVENESS_ROW,
    N_ROW,
    REACTING_ROW,
    STILL_ROW,
    VALENCE_ROW,
)
from ferflow.dashboards.overview.clock_chart.people_row import PEOPLE_ROW, drawn_participants, lane_name
from ferflow.dashboards.overview.clock_chart.scenes_row import SCENES_ROW
from ferflow.dashboards.overview.clock_chart.signal_rows import build_signal_rows
from ferflow.dashboards.overview.cohort import GroupLook, looks_in
from ferflow.dashboards.shared.figure_draft import FigureDraft
from ferflow.dashboards.shared.figure_values import PlotlyAttributes, axis_time
from ferflow.dashboards.shared.row_layout import RowLayout, lay_out_on_paper

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_TRANSPARENT = "rgba(0,0,0,0)"
# Names of participants are left of their lanes; a letter is as wide as the mean at a font size of 11 px (chart.js).
_LEFT_PX, _LETTER_PX = 46, 6.2
_PAPER_PX = 715
"""Of all rows on a sheet of paper: headline numbers, legends and notes are on it, too."""


def list_rows() -> tuple[ClockRow, ...]:
    """All rows, from the top down."""
    means = SCENES_ROW, REACTING_ROW, EXPRESSIVENESS_ROW, VALENCE_ROW, *build_signal_rows()
    return *means, PEOPLE_ROW, EVER_ROW, STILL_ROW, N_ROW


def build_clock_figure(clock: SharedClock, looks: Sequence[GroupLook], scale: Scale) -> Figure:
    """The curves of the participants of one clock, one row above the other.

    Args:
        clock: sessions and participants.
        looks: the groups that are drawn; those without a participant here are left out.
        scale: of the axes.
    """
    rows = {row: row.height_px(clock) for row in list_rows()}
    shown = {row: height for row, height in rows.items() if height}
    heights_px = {row.id: height for row, height in shown.items()}
    layout = RowLayout(heights_px, title_px=TITLE_PX, bottom_px=BOTTOM_PX)
    fixed = {row.id for row in shown if not row.is_curve}
    paper = lay_out_on_paper(heights_px, fixed, bottom_px=BOTTOM_PX, most_px=_PAPER_PX)
    canvas = Canvas(FigureDraft(), clock, looks_in(clock.cohort, looks), scale, layout, _left_px(clock))
    # The cursor's label lists the last trace first.
    for row in reversed(shown):
        row.draw(canvas)
    canvas.figure.update_layout(
        # Without a template: plotly's own adds 6.5 kB, and the page's script sets colours and fonts (chart.js).
        template={}, height=layout.height_px, margin={"l": canvas.left_px, "r": 10, "t": 0, "b": BOTTOM_PX},
        hovermode="x unified", hoversubplots="axis", showlegend=False, dragmode="zoom", paper_bgcolor=_TRANSPARENT,
        plot_bgcolor=_TRANSPARENT, xaxis=_time_axis(clock.end_s, layout.axes[list(shown)[-1].id]),
        # For the page's script: where the rows lie on screen and on paper.
        meta={"screen": layout.as_meta(), "paper": [one.as_meta() for one in paper]},
    )  # fmt: skip
    return canvas.figure.build()


def common_scale(clocks: Sequence[SharedClock], looks: Sequence[GroupLook]) -> Scale:
    """Axes that use their height and are the same for all clocks: up to the highest value or end of a drawn band."""
    found = {
        name: [clock.band(look.group, name) for clock in clocks for look in looks_in(clock.cohort, looks)]
        for name in ("reacting", "expressiveness", "valence")
    }
    share, score, high = (max(map(_highest, found[name]), default=1.0) for name in found)
    low = max((_highest(_negated(band)) for band in found["valence"]), default=1.0)
    # A little more than the highest value: at the edge, half of the width of a line would be cut off.
    return Scale(
        share=min(1.03, 1.05 * max(share, 0.2)),
        score=min(1.03, 1.05 * max(score, EXPRESSIVE_THRESHOLD + 0.05)),
        valence=(-_rounded_up(low), _rounded_up(high)),
    )


def _highest(band: Band) -> float:
    """Highest end of the drawn intervals, and of the mean where there is none."""
    ends = np.where(band.n >= LEAST_SOLID, band.high, band.mean)
    return float(np.nanmax(np.append(ends, 0.0)))


def _negated(band: Band) -> Band:
    return Band(-band.mean, -band.high, -band.low, band.n)


def _rounded_up(value: float) -> float:
    limit = MEASURES["valence"].range[1]
    return min(limit + 0.05, max(0.25, value + 0.05))


def _left_px(clock: SharedClock) -> int:
    letters = max((len(lane_name(one)) for one in drawn_participants(clock)), default=0)
    return max(_LEFT_PX, round(_LETTER_PX * letters) + 14)


def _time_axis(end_s: float, anchor: str) -> PlotlyAttributes:
    start, end, has_hours = axis_time(0.0), axis_time(end_s), end_s >= 3600
    return {
        "type": "date", "range": [start, end], "minallowed": start, "maxallowed": end, "nticks": 8, "anchor": anchor,
        "tickformat": "%-H:%M:%S" if has_hours else "%M:%S",
        "hoverformat": "%-H:%M:%S.%1f" if has_hours else "%M:%S.%1f",
        "ticklabelstandoff": 6, "showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "solid",
    }  # fmt: skip
