"""From a cohort to its figure: four rows on one time axis. plotly is imported when the figure is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ferflow.analytics.cohort import Band, Cohort, group_band
from ferflow.analytics.measures import LEADING, MEASURES, Measure
from ferflow.dashboards.overview.cohort import DASHES, drawn_groups, group_colours
from ferflow.dashboards.overview.sparkline import find_runs
from ferflow.dashboards.shared.figure_values import (
    PlotlyAttributes,
    axis_time,
    escape_html,
    json_numbers,
    with_opacity,
)
from ferflow.dashboards.shared.number_format import sanitize
from ferflow.types import Float64Array

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_TITLE_PX = 40
_BOTTOM_PX = 28
_LEFT_PX = 44
_ROWS_PX = {"lead": 210, "reacting": 130, "valence": 150, "n": 70}
_SCALES: dict[str, PlotlyAttributes] = {
    "lead": {"rangemode": "tozero", "nticks": 5},
    # A little wider than 0 to 1: at the edge of the plot, half of the width of a line would be cut off.
    "reacting": {"range": [-0.03, 1.03], "tickvals": [0, 0.5, 1], "tickformat": ".0%"},
    "valence": {"zeroline": True, "zerolinewidth": 1, "nticks": 5},
    "n": {"rangemode": "tozero", "nticks": 3, "tickformat": "d"},
}


@dataclass(frozen=True, slots=True)
class _Line:
    group: str | None
    colour: str
    dash: str


def build_cohort_figure(cohort: Cohort) -> Figure:
    """Mean and band of engagement and net positivity, share reacting, and how many there are.

    The cohort must have participants.
    """
    from plotly.graph_objects import Figure

    figure, lead = Figure(), LEADING
    lines = _choose_lines(cohort, lead)
    rows = {"lead": lead, "reacting": "reacting", "valence": "valence", "n": lead}
    for (row, name), axis in zip(rows.items(), ("y", "y2", "y3", "y4"), strict=True):
        for line in lines:
            found = _clip_to_range(group_band(cohort.of(line.group), name, cohort.n_points), MEASURES[name])
            _draw_line(figure, row, axis, line, found, cohort)
    _lay_out(figure, cohort, lead)
    return figure


def _choose_lines(cohort: Cohort, lead: str) -> list[_Line]:
    groups = drawn_groups(cohort)
    if not groups:
        return [_Line(None, MEASURES[lead].colour, "solid")]
    return [
        _Line(group, colour, dash)
        for (group, colour), dash in zip(group_colours(cohort).items(), DASHES, strict=False)
    ]


def _draw_line(figure: Figure, row: str, axis: str, line: _Line, found: Band, cohort: Cohort) -> None:
    name = escape_html(sanitize(line.group)) if line.group else "all participants"
    if row in ("lead", "valence"):
        _draw_band(figure, axis, line, found, cohort.step_s)
    values = found.n if row == "n" else found.mean
    template = "%{y:.0f} in view" if row == "n" else "%{y:.2f}"
    shape = "hvh" if row == "n" else "linear"
    figure.add_scatter(
        # The first point and the distance of points, in milliseconds, instead of a date per point: the page stays
        # small. The page's script finds the row of a curve by `meta`.
        name=name, x0=axis_time(cohort.step_s / 2), dx=cohort.step_s * 1000, y=json_numbers(values), yaxis=axis,
        mode="lines", line={"color": line.colour, "width": 1.4 if row == "n" else 2, "dash": line.dash, "shape": shape},
        hovertemplate=template, meta=row,
    )  # fmt: skip


def _clip_to_range(found: Band, measure: Measure) -> Band:
    """A band cut off at the bounds of what is measured."""
    # Student's interval is symmetric and may extend beyond what is possible.
    return Band(found.mean, np.clip(found.low, *measure.range), np.clip(found.high, *measure.range), found.n)


def _draw_band(figure: Figure, axis: str, line: _Line, found: Band, step_s: float) -> None:
    """Polygons, one for each stretch in which the band is known: a fill between curves would bridge gaps."""
    x: list[str | None] = []
    y: list[float | None] = []
    for run in find_runs(np.isfinite(found.low)):
        k = np.arange(run.start, run.stop)
        # Along the lower edge, and back along the upper one; None ends the polygon.
        x += [_short_time((place + 0.5) * step_s) for place in (*k, *k[::-1])] + [None]
        y += [*_rounded(found.low[k]), *_rounded(found.high[k][::-1]), None]
    if x:
        figure.add_scatter(
            x=x[:-1], y=y[:-1], yaxis=axis, mode="lines", fill="toself", fillcolor=with_opacity(line.colour, 0.16),
            line={"width": 0}, hoverinfo="skip", name="band",
        )  # fmt: skip


def _lay_out(figure: Figure, cohort: Cohort, lead: str) -> None:
    figure.update_layout(
        # Without a template: plotly's own adds 6.5 kB, and the page's script sets colours and fonts (chart.js).
        template={}, height=sum(_ROWS_PX.values()) + _TITLE_PX * len(_ROWS_PX) + _BOTTOM_PX,
        margin={"l": _LEFT_PX, "r": 10, "t": 0, "b": _BOTTOM_PX}, hovermode="x unified", hoversubplots="axis",
        showlegend=False, dragmode="zoom", paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        xaxis=_time_axis(cohort.n_points * cohort.step_s), meta={"titles": _cursor_titles(lead)},
    )  # fmt: skip
    domains = _row_domains()
    for k, (row, title) in enumerate(_titles(lead).items()):
        figure.update_layout({f"yaxis{k + 1 if k else ''}": _value_axis(row, domains[row])})
        figure.add_annotation(
            text=title, x=0, xref="paper", y=domains[row][1], yref="paper", xanchor="left", yanchor="bottom",
            xshift=-_LEFT_PX, yshift=5, showarrow=False, align="left", font={"size": 13},
        )  # fmt: skip


def _time_axis(end_s: float) -> PlotlyAttributes:
    start, end, has_hours = axis_time(0.0), axis_time(end_s), end_s >= 3600
    return {
        "type": "date", "range": [start, end], "minallowed": start, "maxallowed": end, "nticks": 8, "anchor": "y4",
        "tickformat": "%-H:%M:%S" if has_hours else "%M:%S",
        "hoverformat": "%-H:%M:%S.%1f" if has_hours else "%M:%S.%1f",
        "ticklabelstandoff": 6, "showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "solid",
    }  # fmt: skip


def _value_axis(row: str, domain: tuple[float, float]) -> PlotlyAttributes:
    fixed = {"domain": list(domain), "anchor": "x", "fixedrange": True, "zeroline": False, "ticksuffix": "  "}
    return {**fixed, **_SCALES[row]}


def _titles(lead: str) -> dict[str, str]:
    """Titles of the rows, as HTML."""
    return {
        "lead": f"<b>{MEASURES[lead].title}</b>  mean and 95 % confidence band",
        "reacting": f"<b>{MEASURES['reacting'].title}</b>  share of people in view",
        "valence": f"<b>{MEASURES['valence'].title}</b>  mean and 95 % confidence band",
        "n": "<b>People in view</b>",
    }


def _cursor_titles(lead: str) -> dict[str, str]:
    """What the cursor calls the values of a row; the values of `n` say it themselves."""
    measures = {"lead": lead, "reacting": "reacting", "valence": "valence"}
    return {row: MEASURES[name].title.lower() for row, name in measures.items()}


def _row_domains() -> dict[str, tuple[float, float]]:
    whole = sum(_ROWS_PX.values()) + _TITLE_PX * len(_ROWS_PX)
    found, top = {}, 0
    for row, size in _ROWS_PX.items():
        top += _TITLE_PX
        # Domains are shares of the height, from the bottom; rounding may lead to just below 0, which plotly refuses.
        found[row] = (max(0.0, 1 - (top + size) / whole), 1 - top / whole)
        top += size
    return found


def _short_time(seconds: float) -> str:
    """`axis_time` without zeros at its end: a band has thousands of times."""
    return axis_time(seconds).removesuffix("00").removesuffix(".0")


def _rounded(values: Float64Array) -> list[float]:
    return [round(float(value), 3) for value in values]
