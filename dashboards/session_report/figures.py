"""From tables to figures. plotly is imported when a figure is made.

One figure holds every row of the timeline, on one x axis: one cursor, one zoom. Times are dates that start
with 1970, which gives ticks at whole minutes; nothing of it depends on a time zone.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ferflow import palette
from ferflow.analytics.event_locked import instants_in, segments_of
from ferflow.analytics.measures import MEASURES, Measure
from ferflow.analytics.tally import column
from ferflow.dashboards.session_report.downsample import Drawn, drawn
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.number_format import clipped, shown
from ferflow.types import Float64Array

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Lengths of time are counted from here; it is no moment in the world.
_START = datetime(1970, 1, 1)
_ROW_PX = {"markers": 38, "engagement": 190, "shares": 150, "valence": 130}
_MEASURE_PX = 110
_LANE_PX = 22
_COVERAGE_PX = 24
_LEFT_PX, _LETTER_PX = 40, 6.2
_NAME_LETTERS = 12
"""Of a person's name beside the lane; the cursor has it whole."""
MOST_LINES = 120
"""Markers with a line through all rows; of more, only the row of markers tells."""
MOST_BANDS = 200
MOMENTS_AT = 0.75
"""Height of the diamonds in the row of markers; the labels of stretches stand at 0.25."""
MOST_MARKS = 2000
"""Markers and stretches that the page can name, the earliest first; the table has all."""
_TITLE_PX = 44
"""Of each row: the space above it, which its title stands in."""
_SLIDER_PX = 40
_BOTTOM_PX = 24
"""Tick labels; plotly makes room for the slider by itself."""


def timeline_figure(session: Session) -> Figure:
    """Markers, engagement, expressions, valence, people and coverage of a session, one above the other.

    The session must have at least one bin; if nobody is in it, markers and coverage are all there is.
    """
    from plotly.graph_objects import Figure

    data = drawn(session)
    canvas = _Canvas(Figure(), data, _Rows(_rows_of(session, data)), _left_px(session, data))
    _foot(canvas)
    # The cursor's label lists the last trace first.
    _coverage(canvas)
    if session.people:
        _lanes(canvas, session)
        _measure_rows(canvas)
        _valence(canvas)
        _shares(canvas, session.labels)
        _engagement(canvas, session)
    if len(session.markers):
        _markers(canvas, session)
    canvas.figure.update_layout(
        template={},
        height=canvas.rows.height,
        margin={"l": canvas.left_px, "r": 10, "t": 0, "b": _BOTTOM_PX},
        hovermode="x unified",
        hoversubplots="axis",
        showlegend=False,
        dragmode="zoom",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis=_time_axis(data, canvas.rows),
        xaxis2=_slider_axis(data, canvas.rows),
    )
    return canvas.figure


def _rows_of(session: Session, data: Drawn) -> dict[str, int]:
    """Height in pixels of each row there is, from the top down."""
    own = {measure.name: _MEASURE_PX for measure in _row_measures(data)}
    lanes = {"lanes": _LANE_PX * len(data.lanes)}
    sizes = {**_ROW_PX, **own, **lanes} if session.people else {"markers": 38}
    if not len(session.markers):
        del sizes["markers"]
    return {**sizes, "coverage": _COVERAGE_PX}


def _left_px(session: Session, data: Drawn) -> int:
    names = [len(_lane_name(session, person.track_id)) for person in data.lanes]
    return max(_LEFT_PX, round(_LETTER_PX * max(names, default=0)) + 14)


def _lane_name(session: Session, track_id: int) -> str:
    return clipped(shown(session.name_of(track_id)), _NAME_LETTERS)


def _time_axis(data: Drawn, rows: _Rows) -> dict[str, Any]:
    clock = "%-H:%M:%S.%1f" if data.end_s >= 3600 else "%M:%S.%1f"
    return {
        **_span(data),
        "tickformat": clock,
        "hoverformat": clock,
        # By itself plotly takes the title from a row that may have nothing to tell.
        "unifiedhovertitle": {"text": f"%{{x|{clock}}}"},
        "nticks": 8,
        "anchor": rows.foot,
        "showticklabels": False,
        "showspikes": True,
        "spikemode": "across",
        "spikethickness": 1,
        "spikedash": "solid",
        "spikesnap": "hovered data",
    }


def _slider_axis(data: Drawn, rows: _Rows) -> dict[str, Any]:
    """A second axis, always of the same range, with the slider: a slider draws every row of its own axis."""
    axis = _time_axis(data, rows)
    # The slider shows the engagement in small, as high as its curve needs.
    top = max(0.1, float(np.nanmax(np.append(data.audience["expressiveness"], 0.0))))
    return axis | {
        "matches": "x",
        "showticklabels": True,
        "showgrid": False,
        "showspikes": False,
        "rangeslider": {
            "visible": True,
            "thickness": _SLIDER_PX / rows.plot_px,
            "range": axis["range"],
            "yaxis": {"rangemode": "fixed", "range": [0, 1.1 * top]},
        },
    }


def _span(data: Drawn) -> dict[str, Any]:
    span = [moment(0.0), moment(data.end_s)]
    return {"type": "date", "range": span, "minallowed": span[0], "maxallowed": span[1]}


class _Rows:
    """Where each row lies: a title, then its plot, from the top down."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.plot_px = sum(sizes.values()) + _TITLE_PX * len(sizes)
        self.height = self.plot_px + _BOTTOM_PX + _SLIDER_PX
        self.domains: dict[str, tuple[float, float]] = {}
        top = 0
        for name, size in sizes.items():
            top += _TITLE_PX
            self.domains[name] = (max(0.0, 1 - (top + size) / self.plot_px), 1 - top / self.plot_px)
            top += size
        self.axes = {name: "y" if k == 0 else f"y{k + 1}" for k, name in enumerate(sizes)}
        self.foot = f"y{max(9, len(sizes) + 1)}"


@dataclass(frozen=True, slots=True)
class _Canvas:
    figure: Figure
    data: Drawn
    rows: _Rows
    left_px: int

    def line(self, row: str, name: str, values: Float64Array, **style: Any) -> None:
        """A curve over the drawn bins, at their middles."""
        self.figure.add_scatter(
            name=plain(name),
            x0=moment(self.data.step_s / 2),
            dx=self.data.step_s * 1000,
            y=numbers(values),
            mode="lines",
            **({"xaxis": "x", "yaxis": self.rows.axes.get(row), "hovertemplate": "%{y:.2f}"} | style),
        )

    def curve(self, row: str, measure: Measure, **line: Any) -> None:
        """The audience's curve of a measure, in its colour and under its name."""
        style = {"color": measure.colour} | line
        self.line(row, measure.title.lower(), self.data.audience[measure.name], line=style)

    def area(self, row: str, name: str, values: Float64Array, colour: str, **style: Any) -> None:
        """A filled area over zero, or over the others of its `stackgroup`; nothing where unknown."""
        # Not `fill="tozeroy"`, which fills over gaps too: a group of its own drops to zero there instead.
        shape = "hvh" if row == "shares" else "linear"
        defaults: dict[str, Any] = {
            "stackgroup": f"{row} {name}",
            "line": {"width": 0, "shape": shape, "color": "rgba(0,0,0,0)"},
        }
        # With a template, plotly would not heed which points tell nothing (session.js).
        defaults |= {"hovertemplate": None, "yhoverformat": ".2f"}
        self.line(row, name, values, fillcolor=colour, **(defaults | style))

    def row(self, row: str, title: str, **axis: Any) -> None:
        """Title and y axis of a row."""
        bottom, top = self.rows.domains[row]
        layout_name = "yaxis" + self.rows.axes[row][1:]
        fixed = {
            "domain": [bottom, top],
            "anchor": "x",
            "fixedrange": True,
            "zeroline": False,
            "showspikes": False,
            "ticksuffix": "  ",
        }
        self.figure.update_layout({layout_name: fixed | axis})
        self.figure.add_annotation(
            text=title, x=0, xref="paper", y=top, yref="paper", xanchor="left", yanchor="bottom",
            xshift=-self.left_px, yshift=7, showarrow=False, align="left", font={"size": 13},
        )  # fmt: skip


def _engagement(canvas: _Canvas, session: Session) -> None:
    lead, other = MEASURES["engagement"], MEASURES["expressiveness"]
    title = _title(lead.title, lead.colour, "= ", _named("attention"), " × ", _named("expressiveness"))
    if not session.pose_known:
        title = _title(other.title, other.colour, "(attention unknown: no head pose)")
    canvas.row("engagement", title, range=[0, 1.05], tickvals=[0, 0.5, 1])
    if session.pose_known:
        values = canvas.data.audience[lead.name]
        canvas.area("engagement", "", values, faded(lead.colour, 0.2), hoverinfo="skip")
        canvas.curve("engagement", MEASURES["attention"], width=1.3, dash="dot")
    canvas.curve("engagement", other, width=1.5)
    if session.pose_known:
        canvas.curve("engagement", lead, width=2.2)
    if session.peaks:
        canvas.figure.add_scatter(
            x=[moment(peak.time_s) for peak in session.peaks],
            y=[round(peak.height, 3) for peak in session.peaks],
            text=[str(k + 1) for k in range(len(session.peaks))],
            name="peaks", mode="markers+text", hoverinfo="skip", yaxis=canvas.rows.axes["engagement"],
            marker={"color": "#FFFFFF", "size": 17, "line": {"color": lead.colour, "width": 1.5}},
            textfont={"size": 10, "color": "#2B3270"}, textposition="middle center", cliponaxis=False,
        )  # fmt: skip


def _shares(canvas: _Canvas, labels: list[str]) -> None:
    title = _title("Expressions that appear", None, "mean scores, stacked")
    canvas.row("shares", title, range=[0, 1], tickvals=[0, 0.5, 1])
    colours = palette.colours(labels)
    for label in palette.stacked(labels):
        canvas.area(
            "shares", label, canvas.data.audience[f"prob_{label}"], colours[label], stackgroup="shares"
        )


def _valence(canvas: _Canvas) -> None:
    audience, net = canvas.data.audience, MEASURES["valence"]
    title = _title(net.title, net.colour, "= ", _named("positive"), " − ", _named("negative"))
    canvas.row("valence", title, range=list(net.range), tickvals=[-1, 0, 1], zeroline=True, zerolinewidth=1)
    (positive, up), (negative, down) = _named("positive"), _named("negative")
    canvas.area("valence", positive, audience["positive"], faded(up, 0.55))
    # Drawn downwards: two areas over one another would hide one of them.
    canvas.area("valence", f"−{negative}", -audience["negative"], faded(down, 0.5))
    canvas.curve("valence", net, width=2)


def _named(name: str) -> tuple[str, str]:
    """What a measure is called within a sentence, and its colour."""
    return MEASURES[name].title.lower(), MEASURES[name].colour


def _row_measures(data: Drawn) -> list[Measure]:
    """Measures with a row of their own, as far as they are known in this video."""
    return [one for one in MEASURES.values() if one.has_row and np.isfinite(data.audience[one.name]).any()]


def _measure_rows(canvas: _Canvas) -> None:
    for measure in _row_measures(canvas.data):
        low, high = measure.range
        ticks: dict[str, Any] = {"tickvals": [low, (low + high) / 2, high]}
        ticks |= {"tickformat": ".0%"} if measure.format == "share" else {}
        canvas.row(
            measure.name, _title(measure.title, measure.colour, measure.unit), range=[low, high], **ticks
        )
        canvas.curve(measure.name, measure, width=2)


def _lanes(canvas: _Canvas, session: Session) -> None:
    data, labels = canvas.data, session.labels
    hidden = len(session.people) - len(data.lanes)
    title = _title("People", None, "coloured by the expression that appears most")
    if hidden:
        title = _title("People", None, f"the {len(data.lanes)} longest in view, of {len(session.people)}")
    names = [plain(_lane_name(session, person.track_id)) for person in data.lanes]
    canvas.row("lanes", title, tickvals=list(range(len(names))), ticktext=names, showgrid=False,
               range=[len(names) - 0.5, -0.5])  # fmt: skip
    colours = list(palette.colours(labels).values())
    edges = [(k / len(colours), (k + 1) / len(colours), colour) for k, colour in enumerate(colours)]
    canvas.figure.add_heatmap(
        name="people", x0=moment(data.step_s / 2), dx=data.step_s * 1000, yaxis=canvas.rows.axes["lanes"],
        z=[[None if math.isnan(value) else int(value) for value in lane] for lane in data.leading],
        zmin=-0.5, zmax=len(labels) - 0.5, showscale=False, ygap=4, hoverinfo="skip",
        colorscale=[[share, colour] for low, high, colour in edges for share in (low, high)],
        # The page's script turns the numbers into words for the cursor.
        meta={
            "labels": [plain(shown(label)) for label in labels],
            "names": [plain(shown(session.name_of(person.track_id))) for person in data.lanes],
            "ids": [person.track_id for person in data.lanes],
        },
    )  # fmt: skip


def _foot(canvas: _Canvas) -> None:
    """A row without height for the time axes to stand on, with what the slider shows."""
    data, foot = canvas.data, canvas.rows.foot
    values = data.audience[
        "engagement" if np.isfinite(data.audience["engagement"]).any() else "expressiveness"
    ]
    canvas.figure.add_scatter(x=[None], y=[None], yaxis=foot, hoverinfo="skip")
    canvas.area(
        "foot",
        "",
        values,
        faded(MEASURES["engagement"].colour, 0.35),
        xaxis="x2",
        yaxis=foot,
        hoverinfo="skip",
    )
    canvas.figure.update_layout(
        {f"yaxis{foot[1:]}": {"domain": [0, 0.001], "visible": False, "fixedrange": True, "range": [0, 1]}}
    )


def _coverage(canvas: _Canvas) -> None:
    """Bars of what became of the time. States without any time in the whole video are not drawn."""
    data = canvas.data
    there = [state for state in palette.COVERAGE if data.strip[state].any()]
    parts: list[str | tuple[str, str]] = []
    for state in there:
        parts += [" · "] if parts else []
        parts.append((palette.COVERAGE[state].brief, palette.COVERAGE[state].colour))
    canvas.row("coverage", _title("Coverage", None, *parts), range=[0, 1], tickvals=[], showgrid=False)
    for state in there:
        look = palette.COVERAGE[state]
        values = np.where(data.strip[state] > 0, data.strip[state], np.nan)
        # One more bin to both sides, out of sight: an area that began in the middle of the first bin would look
        # like a gap. Not bars, of which a browser draws each by itself.
        canvas.figure.add_scatter(
            name=look.words, x0=moment(-data.step_s / 2), dx=data.step_s * 1000, yaxis=canvas.rows.axes["coverage"],
            y=numbers(np.pad(values, 1, mode="edge")), stackgroup="coverage", mode="lines",
            fillcolor=look.colour, line={"width": 0, "shape": "hvh", "color": "rgba(0,0,0,0)"},
            hovertemplate="%{y:.2f}", fillpattern=_hatched(look) if look.pattern else None,
        )  # fmt: skip


def _hatched(look: palette.Look) -> dict[str, Any]:
    return {"shape": look.pattern, "size": 5, "solidity": 0.25, "fgcolor": "#FFFFFF", "bgcolor": look.colour}


def _markers(canvas: _Canvas, session: Session) -> None:
    """A row for labels; lines for moments and bands for stretches through all rows."""
    data, top = canvas.data, canvas.rows.domains["markers"][1]
    found = segments_of(session.markers, data.end_s)
    canvas.row("markers", _title("Markers", None, _marker_hint(session)), range=[0, 1], tickvals=[],
               showgrid=False)  # fmt: skip
    for k, segment in enumerate(found[:MOST_BANDS]):
        canvas.figure.add_shape(
            type="rect", xref="x", yref="paper", y0=0, y1=top, x0=moment(segment.start_s),
            x1=moment(segment.end_s), layer="below", line={"width": 0},
            fillcolor=faded(palette.MARKER, 0.16 if k % 2 else 0.1),
        )  # fmt: skip
    times = moments_in(session, data.end_s)
    for time in times if len(times) <= MOST_LINES else []:
        canvas.figure.add_shape(
            type="line", xref="x", yref="paper", y0=0, y1=top, x0=moment(time), x1=moment(time),
            line={"width": 1, "color": palette.MARKER, "dash": "dot"},
        )  # fmt: skip
    marks = times if len(times) <= MOST_LINES else _one_in_each(times, data.step_s)
    canvas.figure.add_scatter(
        # The page's script writes the labels for which there is room: moments above, stretches below.
        name="marks", x=[moment(time) for time in marks], y=[MOMENTS_AT] * len(marks), hoverinfo="skip",
        yaxis=canvas.rows.axes["markers"], mode="markers",
        marker={"symbol": "diamond", "size": 8, "color": palette.MARKER},
    )  # fmt: skip


def moments_in(session: Session, end_s: float) -> list[float]:
    """Times of the markers that are moments and not stretches."""
    return [marker.time_s for marker in instants_in(session.markers) if marker.time_s < end_s]


def _one_in_each(times: list[float], step_s: float) -> list[float]:
    """The first time in each drawn bin that has any."""
    return list({math.floor(time / step_s + 1e-9): time for time in reversed(times)}.values())[::-1]


def _marker_hint(session: Session) -> str:
    late = int((column(session.markers, "time_s") >= session.end_s).sum())
    return f"{late} more after the end of the video" if late else "and stretches, as given"


def plain(text: str) -> str:
    """A text from outside for a figure: plotly reads some HTML in names and titles, but no `&quot;`."""
    return html.escape(text, quote=False)


def moment(seconds: float) -> str:
    """A time on the axis. Not a number: plotly takes 1000 for a year, not for milliseconds."""
    return (_START + timedelta(seconds=seconds)).isoformat(sep=" ", timespec="milliseconds")


def numbers(values: Float64Array) -> list[float | None]:
    """For JSON: three digits, None where unknown. What is not quite 0 or 1 does not become it."""
    return [None if math.isnan(value) else _rounded(float(value)) for value in values]


def _rounded(value: float) -> float:
    short = round(value, 3)
    if short in (0.0, 1.0, -1.0) and short != value:
        return short + math.copysign(0.001, value - short)
    return short


def _title(name: str, colour: str | None, *rest: str | tuple[str, str]) -> str:
    """A row's title; words that name a curve have its colour, and no legend is needed."""
    words = "".join(part if isinstance(part, str) else _coloured(*part) for part in rest)
    return (
        f"<b>{_coloured(name, colour) if colour else name}</b>  <span style='font-size:11px'>{words}</span>"
    )


def _coloured(text: str, colour: str) -> str:
    return f"<span style='color:{colour}'>{text}</span>"


def faded(colour: str, opacity: float) -> str:
    """A colour that lets the ground through."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
