"""From a cohort to its figure: four rows on one time axis. plotly is imported when the figure is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ferflow.analytics.cohort import Band, Cohort, group_band
from ferflow.analytics.measures import MEASURES, Measure
from ferflow.dashboards.overview.cohort import drawn_groups, group_colours, leading_of
from ferflow.dashboards.overview.sparkline import runs
from ferflow.dashboards.session_report.figures import moment, numbers, plain
from ferflow.dashboards.shared.number_format import shown
from ferflow.types import Float64Array

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""Beside the colours, for paper and for eyes that do not tell them apart."""

_TITLE_PX = 40
_BOTTOM_PX = 28
_ROWS_PX = {"lead": 210, "reacting": 130, "valence": 150, "n": 70}


@dataclass(frozen=True, slots=True)
class _Line:
    group: str | None
    colour: str
    dash: str


def cohort_figure(cohort: Cohort) -> Figure:
    """Mean and band of engagement and net positivity, share reacting, and how many there are.

    The cohort must have members.
    """
    from plotly.graph_objects import Figure

    figure, lead = Figure(), leading_of(cohort)
    lines = _lines(cohort, lead)
    domains = _domains()
    rows = {"lead": lead, "reacting": "reacting", "valence": "valence", "n": lead}
    for (row, name), axis in zip(rows.items(), ("y", "y2", "y3", "y4"), strict=True):
        for line in lines:
            found = _within(group_band(cohort.of(line.group), name, cohort.n_points), MEASURES[name])
            _draw(figure, row, axis, line, found, cohort)
    _axes(figure, cohort, domains, lead)
    return figure


def _lines(cohort: Cohort, lead: str) -> list[_Line]:
    groups = drawn_groups(cohort)
    if not groups:
        return [_Line(None, MEASURES[lead].colour, "solid")]
    return [
        _Line(group, colour, dash)
        for (group, colour), dash in zip(group_colours(cohort).items(), DASHES, strict=False)
    ]


def _draw(figure: Figure, row: str, axis: str, line: _Line, found: Band, cohort: Cohort) -> None:
    name = plain(shown(line.group)) if line.group else "everybody"
    if row in ("lead", "valence"):
        _band(figure, axis, line, found, cohort.step_s)
    values = found.n if row == "n" else found.mean
    template = "%{y:.0f} in view" if row == "n" else "%{y:.2f}"
    shape = "hvh" if row == "n" else "linear"
    figure.add_scatter(
        name=f"{name}", x0=moment(cohort.step_s / 2), dx=cohort.step_s * 1000, y=numbers(values), yaxis=axis,
        mode="lines", line={"color": line.colour, "width": 1.4 if row == "n" else 2, "dash": line.dash, "shape": shape},
        hovertemplate=template, meta=row,
    )  # fmt: skip


def _within(found: Band, measure: Measure) -> Band:
    """A band cut off at the bounds of what is measured."""
    return Band(found.mean, np.clip(found.low, *measure.range), np.clip(found.high, *measure.range), found.n)


def _band(figure: Figure, axis: str, line: _Line, found: Band, step_s: float) -> None:
    """Polygons, one for each stretch in which the band is known: a fill between curves would bridge gaps."""
    x: list[str | None] = []
    y: list[float | None] = []
    for run in runs(np.isfinite(found.low)):
        k = np.arange(run.start, run.stop)
        x += [_moment((place + 0.5) * step_s) for place in (*k, *k[::-1])] + [None]
        y += [*_three(found.low[k]), *_three(found.high[k][::-1]), None]
    if x:
        figure.add_scatter(
            x=x[:-1], y=y[:-1], yaxis=axis, mode="lines", fill="toself", fillcolor=_faded(line.colour),
            line={"width": 0}, hoverinfo="skip", name="band",
        )  # fmt: skip


def _axes(figure: Figure, cohort: Cohort, domains: dict[str, tuple[float, float]], lead: str) -> None:
    titles = {
        "lead": f"<b>{MEASURES[lead].title}</b>  mean and 95 % band",
        "reacting": f"<b>{MEASURES['reacting'].title}</b>  share of people in view",
        "valence": f"<b>{MEASURES['valence'].title}</b>  mean and 95 % band",
        "n": "<b>People in view</b>",
    }
    span = [moment(0.0), moment(cohort.n_points * cohort.step_s)]
    hours = cohort.n_points * cohort.step_s >= 3600
    layout: dict[str, Any] = {
        "template": {}, "height": sum(_ROWS_PX.values()) + _TITLE_PX * len(_ROWS_PX) + _BOTTOM_PX,
        "margin": {"l": 44, "r": 10, "t": 0, "b": _BOTTOM_PX}, "hovermode": "x unified", "hoversubplots": "axis",
        "showlegend": False, "dragmode": "zoom", "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": {
            "type": "date", "range": span, "minallowed": span[0], "maxallowed": span[1], "nticks": 8, "anchor": "y4",
            "tickformat": "%-H:%M:%S" if hours else "%M:%S", "hoverformat": "%-H:%M:%S.%1f" if hours else "%M:%S.%1f",
            "ticklabelstandoff": 6,
            "showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "solid",
        },
    }  # fmt: skip
    ranges: dict[str, dict[str, Any]] = {
        "lead": {"rangemode": "tozero", "nticks": 5},
        "reacting": {"range": [-0.03, 1.03], "tickvals": [0, 0.5, 1], "tickformat": ".0%"},
        "valence": {"zeroline": True, "zerolinewidth": 1, "nticks": 5},
        "n": {"rangemode": "tozero", "nticks": 3, "tickformat": "d"},
    }
    for k, row in enumerate(_ROWS_PX):
        low, high = domains[row]
        axis = {
            "domain": [low, high],
            "anchor": "x",
            "fixedrange": True,
            "zeroline": False,
            "ticksuffix": "  ",
        }
        layout["yaxis" + (str(k + 1) if k else "")] = axis | ranges[row]
        figure.add_annotation(
            text=titles[row], x=0, xref="paper", y=high, yref="paper", xanchor="left", yanchor="bottom", xshift=-44,
            yshift=5, showarrow=False, align="left", font={"size": 13},
        )  # fmt: skip
    figure.update_layout(layout)


def _domains() -> dict[str, tuple[float, float]]:
    whole = sum(_ROWS_PX.values()) + _TITLE_PX * len(_ROWS_PX)
    found, top = {}, 0
    for row, size in _ROWS_PX.items():
        top += _TITLE_PX
        found[row] = (max(0.0, 1 - (top + size) / whole), 1 - top / whole)
        top += size
    return found


def _moment(seconds: float) -> str:
    """A time on the axis without what says nothing: a band has thousands of them."""
    return moment(seconds).removesuffix("00").removesuffix(".0")


def _three(values: Float64Array) -> list[float]:
    return [round(float(value), 3) for value in values]


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"
