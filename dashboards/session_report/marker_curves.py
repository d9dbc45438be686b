"""Marker-locked curves as a figure: per label a row with engagement, net positivity and expressions, then signals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow import palette
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.analytics.signals import Signal
from ferflow.analytics.tally import column
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.axis_range import fit_range, signed_ticks
from ferflow.dashboards.shared.figure_draft import FigureDraft
from ferflow.dashboards.shared.figure_values import (
    PlotlyAttributes,
    coloured,
    escape_html,
    json_numbers,
    with_opacity,
)
from ferflow.dashboards.shared.number_format import pluralize, sanitize, shorten
from ferflow.dashboards.shared.panel_grid import Panel, PanelGrid
from ferflow.dashboards.shared.signal_values import SignalScale
from ferflow.types import Float64Array

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_ROW_PX, _TITLE_PX, _BOTTOM_PX = 170, 56, 34
_COLUMNS = 3
_GAP = 0.06
"""Between the panels of a row, as a share of the width."""


def build_marker_curves_figure(session: Session) -> Figure:
    """Mean of each measure around the markers of each label, and one standard deviation to both sides.

    The session must have marker-locked curves.
    """
    figure, limits = FigureDraft(), _valence_limits(session)
    labels = list(dict.fromkeys(session.curves.column("label").to_pylist()))
    scales = {signal.column: signal_scale(session, signal) for signal in session.shown_signals}
    per_label = 1 + math.ceil(len(scales) / _COLUMNS)
    grid = PanelGrid(
        n_rows=per_label * len(labels), n_columns=_COLUMNS, row_px=_ROW_PX, title_px=_TITLE_PX, bottom_px=_BOTTOM_PX,
        gap=_GAP,
    )  # fmt: skip
    for k, label in enumerate(labels):
        rows = session.curves.filter(pc.equal(session.curves.column("label"), label))
        _draw_row(figure, [grid.panel(k * per_label, n) for n in range(_COLUMNS)], rows, session, limits)
        for n, signal in enumerate(session.shown_signals):
            panel = grid.panel(k * per_label + 1 + n // _COLUMNS, n % _COLUMNS)
            _draw_signal(figure, panel, rows, signal, scales[signal.column])
    figure.update_layout(
        template={}, height=grid.height_px, margin={"l": 34, "r": 10, "t": 0, "b": _BOTTOM_PX}, showlegend=False,
        hovermode="x unified", dragmode=False, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
    )  # fmt: skip
    return figure.build()


def signal_scale(session: Session, signal: Signal) -> SignalScale:
    """Of the curves of all labels, so that they can be compared, with their bands."""
    rows = session.curves.filter(pc.equal(session.curves.column("measure"), signal.column))
    mean, sd = column(rows, "mean"), np.nan_to_num(column(rows, "sd"))
    return SignalScale.of([mean - sd, mean + sd])


@dataclass(frozen=True, slots=True)
class _Curve:
    """What is drawn of a column of the curves."""

    measure: str
    name: str
    colour: str
    opacity: float = 0.18
    """Of the band."""
    scale: SignalScale | None = None
    """Of a signal; None: a share or a score."""
    is_share: bool = False

    def numbers(self, values: Float64Array) -> list[float | None]:
        return json_numbers(values) if self.scale is None else self.scale.json_numbers(values)

    def describe_spread(self, sd: float, n: int) -> str:
        markers = f"({pluralize(n, 'marker')})"
        if not np.isfinite(sd):
            return markers
        return f"± {f'{sd:{self.d3_format}}' if self.scale is None else self.scale.format(sd)} {markers}"

    @property
    def d3_format(self) -> str:
        """Of values, for plotly; Python writes shares and scores the same way."""
        return self.scale.d3_format if self.scale else ".0%" if self.is_share else ".2f"


def _valence_limits(session: Session) -> tuple[float, float]:
    """Of the curves of all labels, with their bands."""
    rows = session.curves.filter(pc.equal(session.curves.column("measure"), "valence"))
    mean, sd = column(rows, "mean"), np.nan_to_num(column(rows, "sd"))
    return fit_range(MEASURES["valence"].range, mean - sd, mean + sd, least=0.25)


def _draw_row(
    figure: FigureDraft,
    panels: Sequence[Panel],
    rows: pa.Table,
    session: Session,
    limits: tuple[float, float],
) -> None:
    label, n = rows.column("label")[0].as_py(), rows.column("n_markers")[0].as_py()
    lead, valence = MEASURES[LEADING], MEASURES["valence"]
    whose = f"<b>{escape_html(shorten(sanitize(label), 40))}</b>  n = {n}<br>"
    _draw_panel(figure, panels[0], whose + coloured(lead.title, lead.colour), lead.range)
    sides = "<span style='font-size:10px'>above zero positive</span>"
    _draw_panel(figure, panels[1], f"<br>{coloured(valence.title, valence.colour)}  {sides}", limits)
    figure.update_layout({f"yaxis{panels[1].axis}": signed_ticks(*limits)})
    colours = palette.colours(session.labels)
    names = [coloured(escape_html(shorten(sanitize(one), 14)), colours[one]) for one in session.labels]
    # On two lines: a panel is a third of the page wide.
    half = (len(names) + 1) // 2
    _draw_panel(figure, panels[2], f"{' '.join(names[:half])}<br>{' '.join(names[half:])}", (0, 1))
    for k, measure in enumerate((lead, valence)):
        curve = _Curve(
            measure.name, measure.title.lower(), measure.colour, is_share=measure.format == "share"
        )
        _draw_curve(figure, panels[k], rows, curve)
    for one in session.labels:
        curve = _Curve(f"shown_{one}", escape_html(sanitize(one)), colours[one], opacity=0.1, is_share=True)
        _draw_curve(figure, panels[2], rows, curve)


def _draw_signal(
    figure: FigureDraft, panel: Panel, rows: pa.Table, signal: Signal, scale: SignalScale
) -> None:
    title, unit = (escape_html(shorten(sanitize(text), 40)) for text in (signal.title, signal.unit))
    # The label of the first row stands above the others, too.
    _draw_panel(figure, panel, f"{coloured(title, palette.SIGNAL)} {unit}", scale.axis_range)
    figure.update_layout({f"yaxis{panel.axis}": {"tickmode": "auto", "nticks": 3, "zeroline": False}})
    _draw_curve(figure, panel, rows, _Curve(signal.column, title, palette.SIGNAL, scale=scale))


def _draw_panel(figure: FigureDraft, panel: Panel, title: str, limits: tuple[float, float]) -> None:
    name, axis = panel.axis, {"fixedrange": True, "zeroline": True, "zerolinewidth": 1}
    figure.update_layout({
        # A little wider than the data, so that the first and the last value are not at the edge.
        f"xaxis{name}": axis | {"domain": panel.span, "anchor": f"y{name}", "range": [-5.2, 10.2],
                                "tickvals": [-5, 0, 5, 10], "ticktext": ["−5 s", "marker", "+5 s", "+10 s"],
                                "hoverformat": "+.1f"},
        f"yaxis{name}": axis | {"domain": panel.domain, "anchor": f"x{name}", "range": limits,
                                "tickvals": [limits[0], sum(limits) / 2, limits[1]]},
    })  # fmt: skip
    figure.add_annotation(
        text=title, x=panel.span[0], xref="paper", y=panel.domain[1], yref="paper", xanchor="left",
        yanchor="bottom", yshift=5, showarrow=False, align="left", font={"size": 12},
    )  # fmt: skip


def _draw_curve(figure: FigureDraft, panel: Panel, rows: pa.Table, curve: _Curve) -> None:
    rows = rows.filter(pc.equal(rows.column("measure"), curve.measure))
    lag, mean, sd = column(rows, "lag_s"), column(rows, "mean"), column(rows, "sd")
    axes: PlotlyAttributes = {"xaxis": f"x{panel.axis}", "yaxis": f"y{panel.axis}"}
    # A polygon for each stretch: one over all points would be drawn through the gaps.
    for x, low, high in _find_bands(lag, mean, sd):
        figure.add_scatter(
            x=json_numbers(np.concatenate([x, x[::-1]])), y=curve.numbers(np.concatenate([high, low[::-1]])),
            fill="toself", fillcolor=with_opacity(curve.colour, curve.opacity), line={"width": 0}, mode="lines",
            hoverinfo="skip", **axes,
        )  # fmt: skip
    figure.add_scatter(
        name=curve.name, x=json_numbers(lag), y=curve.numbers(mean), mode="lines",
        line={"color": curve.colour, "width": 2},
        customdata=[curve.describe_spread(s, int(n)) for s, n in zip(sd, column(rows, "n"), strict=True)],
        hovertemplate=f"%{{y:{curve.d3_format}}} %{{customdata}}", **axes,
    )  # fmt: skip


def _find_bands(
    lag: Float64Array, mean: Float64Array, sd: Float64Array
) -> list[tuple[Float64Array, Float64Array, Float64Array]]:
    """Unbroken stretches in which the spread is known: lags, lower and upper edge."""
    known = np.flatnonzero(np.isfinite(sd))
    parts = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    return [(lag[k], mean[k] - sd[k], mean[k] + sd[k]) for k in parts if len(k) > 1]
