"""Responses to pooled markers as a figure: a row per label, with the share showing an expression and net positivity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ferflow.analytics.intervals import Band
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.analytics.pooled_markers import PooledMarkers
from ferflow.dashboards.overview.clock_chart.canvas import LEAST_SOLID
from ferflow.dashboards.overview.cohort import GroupLook
from ferflow.dashboards.overview.sparkline import find_runs
from ferflow.dashboards.shared.figure_values import (
    PlotlyAttributes,
    escape_html,
    json_numbers,
    with_opacity,
)
from ferflow.dashboards.shared.number_format import sanitize, shorten
from ferflow.types import Float64Array

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_LABELS = 6
"""Labels with curves on the page, those with most markers first; the CSV has all."""

_ROW_PX, _TITLE_PX, _BOTTOM_PX = 150, 48, 30
_GAP = 0.07
"""Between the two panels of a row, as a share of the width."""
_PANELS = {LEADING: "showing an expression", "valence": "net positivity"}
_NUMBERS = {LEADING: ".0%", "valence": "+.2f"}


def build_response_figure(pool: PooledMarkers, looks: Sequence[GroupLook]) -> Figure:
    """Mean over participants at each lag, with its 95 % interval, around the markers of each label."""
    from plotly.graph_objects import Figure

    figure, labels = Figure(), pool.labels[:MOST_LABELS]
    height = (_ROW_PX + _TITLE_PX) * len(labels) + _BOTTOM_PX
    for k, label in enumerate(labels):
        top = 1 - (k * (_ROW_PX + _TITLE_PX) + _TITLE_PX) / (height - _BOTTOM_PX)
        # Rounding may lead to just below 0, which plotly refuses.
        domain = [max(0.0, top - _ROW_PX / (height - _BOTTOM_PX)), top]
        for column, measure in enumerate(_PANELS):
            # plotly calls its first axes `x` and `y`, without a number.
            number = 2 * k + column
            axis = str(number + 1) if number else ""
            _add_panel(figure, axis, measure, domain, label if not column else "")
            for look in looks:
                _add_curve(figure, axis, measure, look, pool.response(label, look.group, measure), pool.lags)
    figure.update_layout(
        template={}, height=height, margin={"l": 44, "r": 10, "t": 0, "b": _BOTTOM_PX}, showlegend=False,
        hovermode="x unified", dragmode=False, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
    )  # fmt: skip
    return figure


def _add_panel(figure: Figure, axis: str, measure: str, domain: list[float], label: str) -> None:
    width = (1 - _GAP) / 2
    left = 0.0 if measure == LEADING else width + _GAP
    low, high = MEASURES[measure].range
    common: PlotlyAttributes = {"fixedrange": True, "zeroline": True, "zerolinewidth": 1}
    figure.update_layout({
        # A little wider than the data, so that the first and the last value are not at the edge.
        f"xaxis{axis}": {**common, "domain": [left, left + width], "anchor": f"y{axis}", "range": [-5.2, 10.2],
                         "tickvals": [-5, 0, 5, 10], "ticktext": ["−5 s", "event", "+5 s", "+10 s"],
                         "hoverformat": "+.1f"},
        f"yaxis{axis}": {**common, "domain": domain, "anchor": f"x{axis}", "range": [low - 0.02, high + 0.02],
                         "tickvals": [low, (low + high) / 2, high],
                         "tickformat": ".0%" if MEASURES[measure].format == "share" else ""},
    })  # fmt: skip
    whose = f"<b>{escape_html(shorten(sanitize(label), 40))}</b>  " if label else ""
    figure.add_annotation(
        text=f"{whose}<span style='font-size:11px'>{_PANELS[measure]}</span>", x=left, xref="paper", y=domain[1],
        yref="paper", xanchor="left", yanchor="bottom", yshift=5, showarrow=False, align="left", font={"size": 12},
    )  # fmt: skip


def _add_curve(
    figure: Figure, axis: str, measure: str, look: GroupLook, band: Band, lags: Float64Array
) -> None:
    axes: PlotlyAttributes = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    for run in find_runs(np.isfinite(band.low) & (band.n >= LEAST_SOLID)):
        k = np.arange(run.start, run.stop)
        figure.add_scatter(
            x=json_numbers(np.concatenate([lags[k], lags[k][::-1]])),
            y=json_numbers(np.concatenate([band.high[k], band.low[k][::-1]])), fill="toself", mode="lines",
            fillcolor=with_opacity(look.colour, 0.16 if look.group is None else 0.1), line={"width": 0},
            hoverinfo="skip", name="band", **axes,
        )  # fmt: skip
    is_faded = float(band.n.max(initial=0)) < LEAST_SOLID
    figure.add_scatter(
        name=escape_html(look.name), x=json_numbers(lags), y=json_numbers(band.mean), mode="lines",
        line={"color": look.colour, "width": 1 if is_faded else 2, "dash": look.dash}, opacity=0.4 if is_faded else 1.0,
        customdata=band.n.astype(int).tolist(), meta={"measure": measure, "group": look.name},
        hovertemplate=f"{escape_html(look.name)}: %{{y:{_NUMBERS[measure]}}} (n %{{customdata}})<extra></extra>",
        **axes,
    )  # fmt: skip
