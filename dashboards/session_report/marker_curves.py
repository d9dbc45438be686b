"""Marker-locked curves as a figure: a row per label, with engagement, net positivity and expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow import palette
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.analytics.tally import column
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.figure_values import (
    PlotlyAttributes,
    coloured,
    escape_html,
    json_numbers,
    with_opacity,
)
from ferflow.dashboards.shared.number_format import pluralize, sanitize, shorten
from ferflow.types import Float64Array

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_ROW_PX, _TITLE_PX, _BOTTOM_PX = 170, 56, 34
_GAP = 0.06
"""Between the three panels of a row, as a share of the width."""


def build_marker_curves_figure(session: Session) -> Figure:
    """Mean of each measure around the markers of each label, and one standard deviation to both sides.

    The session must have marker-locked curves.
    """
    from plotly.graph_objects import Figure

    figure = Figure()
    labels = list(dict.fromkeys(session.curves.column("label").to_pylist()))
    height = (_ROW_PX + _TITLE_PX) * len(labels) + _BOTTOM_PX
    for k, label in enumerate(labels):
        top = 1 - (k * (_ROW_PX + _TITLE_PX) + _TITLE_PX) / (height - _BOTTOM_PX)
        # Rounding may lead to just below 0, which plotly refuses.
        domain = [max(0.0, top - _ROW_PX / (height - _BOTTOM_PX)), top]
        rows = session.curves.filter(pc.equal(session.curves.column("label"), label))
        _draw_row(figure, _Panels(3 * k, domain), rows, session)
    figure.update_layout(
        template={}, height=height, margin={"l": 34, "r": 10, "t": 0, "b": _BOTTOM_PX}, showlegend=False,
        hovermode="x unified", dragmode=False, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
    )  # fmt: skip
    return figure


class _Panels:
    """Axes of the three panels of a row."""

    def __init__(self, first: int, domain: list[float]) -> None:
        # plotly calls its first axes `x` and `y`, without a number.
        self.names = ["" if first + k == 0 else str(first + k + 1) for k in range(3)]
        self.domain = domain
        width = (1 - 2 * _GAP) / 3
        self.spans = [[k * (width + _GAP), k * (width + _GAP) + width] for k in range(3)]


def _draw_row(figure: Figure, panels: _Panels, rows: pa.Table, session: Session) -> None:
    label, n = rows.column("label")[0].as_py(), rows.column("n_markers")[0].as_py()
    lead, valence = MEASURES[LEADING], MEASURES["valence"]
    whose = f"<b>{escape_html(shorten(sanitize(label), 40))}</b>  n = {n}<br>"
    _draw_panel(figure, panels, 0, whose + coloured(lead.title, lead.colour), lead.range)
    _draw_panel(figure, panels, 1, "<br>" + coloured(valence.title, valence.colour), valence.range)
    colours = palette.colours(session.labels)
    names = [coloured(escape_html(shorten(sanitize(one), 14)), colours[one]) for one in session.labels]
    # On two lines: a panel is a third of the page wide.
    half = (len(names) + 1) // 2
    _draw_panel(figure, panels, 2, f"{' '.join(names[:half])}<br>{' '.join(names[half:])}", (0, 1))
    for axis, measure in zip(panels.names, (lead, valence), strict=False):
        _draw_curve(figure, axis, rows, measure.name, measure.title.lower(), measure.colour)
    for one in session.labels:
        title = escape_html(sanitize(one))
        _draw_curve(figure, panels.names[2], rows, f"shown_{one}", title, colours[one], opacity=0.1)


def _draw_panel(figure: Figure, panels: _Panels, k: int, title: str, limits: tuple[float, float]) -> None:
    name, axis = panels.names[k], {"fixedrange": True, "zeroline": True, "zerolinewidth": 1}
    figure.update_layout({
        # A little wider than the data, so that the first and the last value are not at the edge.
        f"xaxis{name}": axis | {"domain": panels.spans[k], "anchor": f"y{name}", "range": [-5.2, 10.2],
                                "tickvals": [-5, 0, 5, 10], "ticktext": ["−5 s", "marker", "+5 s", "+10 s"],
                                "hoverformat": "+.1f"},
        f"yaxis{name}": axis | {"domain": panels.domain, "anchor": f"x{name}", "range": limits,
                                "tickvals": [limits[0], sum(limits) / 2, limits[1]]},
    })  # fmt: skip
    figure.add_annotation(
        text=title, x=panels.spans[k][0], xref="paper", y=panels.domain[1], yref="paper", xanchor="left",
        yanchor="bottom", yshift=5, showarrow=False, align="left", font={"size": 12},
    )  # fmt: skip


def _draw_curve(
    figure: Figure, axis: str, rows: pa.Table, measure: str, name: str, colour: str, opacity: float = 0.18
) -> None:
    rows = rows.filter(pc.equal(rows.column("measure"), measure))
    lag, mean, sd = column(rows, "lag_s"), column(rows, "mean"), column(rows, "sd")
    axes: PlotlyAttributes = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    # A polygon for each stretch: one over all points would be drawn through the gaps.
    for x, low, high in _find_bands(lag, mean, sd):
        figure.add_scatter(
            x=json_numbers(np.concatenate([x, x[::-1]])), y=json_numbers(np.concatenate([high, low[::-1]])),
            fill="toself", fillcolor=with_opacity(colour, opacity), line={"width": 0}, mode="lines",
            hoverinfo="skip", **axes,
        )  # fmt: skip
    figure.add_scatter(
        name=name, x=json_numbers(lag), y=json_numbers(mean), mode="lines", line={"color": colour, "width": 2},
        customdata=[_format_spread(s, int(n)) for s, n in zip(sd, column(rows, "n"), strict=True)],
        hovertemplate="%{y:.2f} %{customdata}", **axes,
    )  # fmt: skip


def _format_spread(sd: float, n: int) -> str:
    return f"± {sd:.2f} ({pluralize(n, 'marker')})" if np.isfinite(sd) else f"({pluralize(n, 'marker')})"


def _find_bands(
    lag: Float64Array, mean: Float64Array, sd: Float64Array
) -> list[tuple[Float64Array, Float64Array, Float64Array]]:
    """Unbroken stretches in which the spread is known: lags, lower and upper edge."""
    known = np.flatnonzero(np.isfinite(sd))
    parts = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    return [(lag[k], mean[k] - sd[k], mean[k] + sd[k]) for k in parts if len(k) > 1]
