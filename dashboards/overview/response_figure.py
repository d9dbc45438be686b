"""Responses to pooled markers as a figure: per label a row with measures of faces, then rows with signals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ferflow.analytics.cohort_signals import response_band, signal_names
from ferflow.analytics.intervals import Band
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.analytics.pooled_markers import PooledMarkers
from ferflow.analytics.signals import COLUMN_PREFIX
from ferflow.dashboards.overview.clock_chart.canvas import LEAST_SOLID, THIN_PX
from ferflow.dashboards.overview.clock_chart.signal_rows import MOST_SIGNALS, signal_scale, signal_words
from ferflow.dashboards.overview.cohort import GroupLook
from ferflow.dashboards.overview.sparkline import find_runs
from ferflow.dashboards.shared.axis_range import fit_range, signed_ticks
from ferflow.dashboards.shared.figure_draft import FigureDraft
from ferflow.dashboards.shared.figure_values import (
    PlotlyAttributes,
    escape_html,
    json_numbers,
    with_opacity,
)
from ferflow.dashboards.shared.number_format import sanitize, shorten
from ferflow.dashboards.shared.panel_grid import Panel, PanelGrid
from ferflow.types import Float64Array

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_LABELS = 6
"""Labels with curves on the page, those with most markers first; the CSV has all."""

_ROW_PX, _TITLE_PX, _BOTTOM_PX = 150, 48, 30
_COLUMNS = 2
_GAP = 0.07
"""Between the panels of a row, as a share of the width."""
_WORDS = {LEADING: "engagement", "valence": "net positivity, above zero positive"}
_NUMBERS = {LEADING: ".0%", "valence": "+.2f"}


@dataclass(frozen=True, slots=True)
class _Content:
    """What one panel of each label shows: a measure or a signal."""

    measure: str
    words: str
    """Title, as HTML."""
    number: str
    """How the cursor writes a value, in plotly's words."""
    limits: tuple[float, float]
    """Of the axis."""
    ticks: PlotlyAttributes
    bands: Sequence[Sequence[Band]]
    """By label, then by group."""
    round_values: Callable[[Float64Array], list[float | None]] = json_numbers


def build_response_figure(pool: PooledMarkers, looks: Sequence[GroupLook]) -> Figure:
    """Mean over participants at each lag, with its 95 % interval, around the markers of each label."""
    figure, labels = FigureDraft(), pool.labels[:MOST_LABELS]
    contents = [_measure_content(pool, looks, name) for name in _WORDS]
    contents += [_signal_content(pool, looks, name) for name in shown_signals(pool)]
    per_label = math.ceil(len(contents) / _COLUMNS)
    grid = PanelGrid(
        n_rows=per_label * len(labels), n_columns=_COLUMNS, row_px=_ROW_PX, title_px=_TITLE_PX, bottom_px=_BOTTOM_PX,
        gap=_GAP,
    )  # fmt: skip
    for k, label in enumerate(labels):
        for n, content in enumerate(contents):
            panel = grid.panel(k * per_label + n // _COLUMNS, n % _COLUMNS)
            _add_panel(figure, panel, content, "" if n else label)
            for look, band in zip(looks, content.bands[k], strict=True):
                _add_curve(figure, panel, content, look, band, pool.lags)
    figure.update_layout(
        template={}, height=grid.height_px, margin={"l": 44, "r": 10, "t": 0, "b": _BOTTOM_PX}, showlegend=False,
        hovermode="x unified", dragmode=False, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
    )  # fmt: skip
    return figure.build()


def shown_signals(pool: PooledMarkers) -> list[str]:
    """Names of the signals with panels: those of most sessions that are known around any of the labels."""
    labels = pool.labels[:MOST_LABELS]
    known = [
        name
        for name in signal_names(pool.cohort)
        if any(response_band(pool, label, None, name).n.any() for label in labels)
    ]
    return known[:MOST_SIGNALS]


def _measure_content(pool: PooledMarkers, looks: Sequence[GroupLook], name: str) -> _Content:
    bands = [
        [pool.response(label, look.group, name) for look in looks] for label in pool.labels[:MOST_LABELS]
    ]
    limits, ticks = _axis(name, [band for row in bands for band in row])
    return _Content(
        measure=name,
        words=_WORDS[name],
        number=f"%{{y:{_NUMBERS[name]}}}",
        limits=limits,
        ticks=ticks,
        bands=bands,
    )


def _axis(name: str, bands: Sequence[Band]) -> tuple[tuple[float, float], PlotlyAttributes]:
    """Limits and ticks: of a share all of it, of a signed measure what the curves of all labels need."""
    low, high = MEASURES[name].range
    if MEASURES[name].format == "share":
        return (low - 0.02, high + 0.02), {"tickvals": [low, (low + high) / 2, high], "tickformat": ".0%"}
    edges = [edge for band in bands for edge in (band.mean, band.low, band.high)]
    limits = fit_range((low, high), *edges, least=0.25)
    return limits, signed_ticks(*limits)


def _signal_content(pool: PooledMarkers, looks: Sequence[GroupLook], name: str) -> _Content:
    labels = pool.labels[:MOST_LABELS]
    bands = [[response_band(pool, label, look.group, name) for look in looks] for label in labels]
    # One scale for all labels, so that they can be compared.
    scale = signal_scale([band for row in bands for band in row])
    title, unit = signal_words(name)
    return _Content(
        measure=COLUMN_PREFIX + name,
        words=f"{title} {unit}",
        number=f"%{{y:{scale.d3_format}}} {unit}",
        limits=scale.axis_range,
        ticks={"nticks": 4, "zeroline": False},
        bands=bands,
        round_values=scale.json_numbers,
    )


def _add_panel(figure: FigureDraft, panel: Panel, content: _Content, label: str) -> None:
    common: PlotlyAttributes = {"fixedrange": True, "zeroline": True, "zerolinewidth": 1}
    figure.update_layout({
        # A little wider than the data, so that the first and the last value are not at the edge.
        f"xaxis{panel.axis}": {**common, "domain": panel.span, "anchor": f"y{panel.axis}", "range": [-5.2, 10.2],
                               "tickvals": [-5, 0, 5, 10], "ticktext": ["−5 s", "event", "+5 s", "+10 s"],
                               "hoverformat": "+.1f"},
        f"yaxis{panel.axis}": {**common, "domain": panel.domain, "anchor": f"x{panel.axis}",
                               "range": list(content.limits), **content.ticks},
    })  # fmt: skip
    whose = f"<b>{escape_html(shorten(sanitize(label), 40))}</b>  " if label else ""
    figure.add_annotation(
        text=f"{whose}<span style='font-size:11px'>{content.words}</span>", x=panel.span[0], xref="paper",
        y=panel.domain[1], yref="paper", xanchor="left", yanchor="bottom", yshift=5, showarrow=False, align="left",
        font={"size": 12},
    )  # fmt: skip


def _add_curve(
    figure: FigureDraft, panel: Panel, content: _Content, look: GroupLook, band: Band, lags: Float64Array
) -> None:
    axes: PlotlyAttributes = {"xaxis": f"x{panel.axis}", "yaxis": f"y{panel.axis}"}
    for run in find_runs(np.isfinite(band.low) & (band.n >= LEAST_SOLID)):
        k = np.arange(run.start, run.stop)
        figure.add_scatter(
            x=json_numbers(np.concatenate([lags[k], lags[k][::-1]])),
            y=content.round_values(np.concatenate([band.high[k], band.low[k][::-1]])), fill="toself", mode="lines",
            fillcolor=with_opacity(look.colour, 0.16 if look.group is None else 0.1), line={"width": 0},
            hoverinfo="skip", name="band", **axes,
        )  # fmt: skip
    is_thin = float(band.n.max(initial=0)) < LEAST_SOLID
    figure.add_scatter(
        name=escape_html(look.name), x=json_numbers(lags), y=content.round_values(band.mean), mode="lines",
        line={"color": look.colour, "width": THIN_PX if is_thin else 2, "dash": look.dash},
        customdata=band.n.astype(int).tolist(), meta={"measure": content.measure, "group": look.name},
        hovertemplate=f"{escape_html(look.name)}: {content.number} (n %{{customdata}})<extra></extra>",
        **axes,
    )  # fmt: skip
