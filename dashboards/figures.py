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
import pyarrow.compute as pc

from ferflow.summaries import Person
from ferflow.tally import FloatArray, column, ratio

from . import palette
from .session import Session
from .words import shown

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_BINS = 1200
"""Bins drawn at most: as many as a page has pixels across, and an hour is drawn at once."""
MOST_LANES = 16
"""People with a lane of their own, the longest seen first."""

# Lengths of time are counted from here; it is no moment in the world.
_START = datetime(1970, 1, 1)
_ROW_PX = {"engagement": 190, "shares": 150, "valence": 130}
_FOOT = "y9"
_LANE_PX = 22
_COVERAGE_PX = 24
_TITLE_PX = 44
"""Of each row: the space above it, which its title stands in."""
_SLIDER_PX = 40
_BOTTOM_PX = 24
"""Tick labels; plotly makes room for the slider by itself."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The timeline as drawn: neighbouring bins joined where there are too many to see."""

    step: int
    """Bins per drawn bin."""
    step_s: float
    audience: dict[str, FloatArray]
    lanes: list[Person]
    leading: FloatArray
    """(lanes, drawn bins): index into the labels of the most probable expression, NaN where not seen."""

    @property
    def n(self) -> int:
        """Drawn bins."""
        return len(self.audience["n_frames"])


def drawn(session: Session) -> Drawn:
    """Join bins: at most `MOST_BINS`, and none shorter than the time between two analysed frames."""
    whole, bin_seconds = session.audience, session.bin_seconds
    frame_step_s = 0.0 if math.isnan(session.frame_step_s) else session.frame_step_s
    step = max(1, math.ceil(len(whole) / MOST_BINS), math.ceil(frame_step_s / bin_seconds - 1e-6))
    names = ["engagement", "attention", "expressiveness", "valence", "positive", "negative", "presence"]
    names += [f"prob_{label}" for label in session.labels]
    joined = {name: _joined(column(whole, name), step) for name in names}
    joined["n_frames"] = np.nan_to_num(_joined(column(whole, "n_frames"), step))
    lanes = sorted(session.people[:MOST_LANES], key=lambda person: person.track_id)
    leading = np.array([_leading(session, person.track_id, step, len(whole)) for person in lanes])
    return Drawn(step, step * bin_seconds, joined, lanes, leading)


def timeline_figure(session: Session) -> Figure:
    """Engagement, expressions, valence, people and coverage of a session, one above the other.

    The session must have at least one bin.
    """
    from plotly.graph_objects import Figure

    data = drawn(session)
    rows = _Rows(len(data.lanes))
    canvas = _Canvas(Figure(), data, rows)
    _foot(canvas)
    # The cursor's label lists the last trace first.
    _coverage(canvas)
    _lanes(canvas, session)
    _valence(canvas)
    _shares(canvas, session.labels)
    _engagement(canvas, session)
    canvas.figure.update_layout(
        template={},
        height=rows.height,
        margin={"l": 40, "r": 10, "t": 0, "b": _BOTTOM_PX},
        hovermode="x unified",
        hoversubplots="axis",
        showlegend=False,
        dragmode="zoom",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis=_time_axis(data, rows),
    )
    return canvas.figure


def _time_axis(data: Drawn, rows: _Rows) -> dict[str, Any]:
    span = [moment(0.0), moment(data.n * data.step_s)]
    hours = data.n * data.step_s >= 3600
    # The slider shows the first row in small, as high as its curve needs.
    top = max(0.1, float(np.nanmax(np.append(data.audience["expressiveness"], 0.0))))
    small = {"rangemode": "fixed", "range": [0, 1.1 * top]}
    return {
        "type": "date",
        "range": span,
        "minallowed": span[0],
        "maxallowed": span[1],
        "tickformat": "%-H:%M:%S" if hours else "%M:%S",
        "hoverformat": "%-H:%M:%S.%1f" if hours else "%M:%S.%1f",
        "nticks": 8,
        "anchor": _FOOT,
        "showspikes": True,
        "spikemode": "across",
        "spikethickness": 1,
        "spikedash": "solid",
        "spikesnap": "hovered data",
        "rangeslider": {
            "visible": True,
            "thickness": _SLIDER_PX / rows.plot_px,
            "range": span,
            "yaxis": small,
        },
    }


class _Rows:
    """Where each row lies: a title, then its plot, from the top down."""

    def __init__(self, n_lanes: int) -> None:
        sizes = {**_ROW_PX, "lanes": _LANE_PX * max(n_lanes, 1), "coverage": _COVERAGE_PX}
        self.plot_px = sum(sizes.values()) + _TITLE_PX * len(sizes)
        self.height = self.plot_px + _BOTTOM_PX + _SLIDER_PX
        self.domains: dict[str, tuple[float, float]] = {}
        top = 0
        for name, size in sizes.items():
            top += _TITLE_PX
            self.domains[name] = (max(0.0, 1 - (top + size) / self.plot_px), 1 - top / self.plot_px)
            top += size
        self.axes = {name: "y" if k == 0 else f"y{k + 1}" for k, name in enumerate(sizes)}


@dataclass(frozen=True, slots=True)
class _Canvas:
    figure: Figure
    data: Drawn
    rows: _Rows

    def line(self, row: str, name: str, values: FloatArray, **style: Any) -> None:
        """A curve over the drawn bins, at their middles."""
        self.figure.add_scatter(
            name=plain(name),
            x0=moment(self.data.step_s / 2),
            dx=self.data.step_s * 1000,
            y=numbers(values),
            xaxis="x",
            yaxis=self.rows.axes[row],
            mode="lines",
            **({"hovertemplate": "%{y:.2f}"} | style),
        )

    def area(self, row: str, name: str, values: FloatArray, colour: str, **style: Any) -> None:
        """A filled area over zero, or over the others of its `stackgroup`; nothing where unknown."""
        # Not `fill="tozeroy"`, which fills over gaps too: a group of its own drops to zero there instead.
        shape = "hvh" if row == "shares" else "linear"
        defaults: dict[str, Any] = {
            "stackgroup": f"{row} {name}",
            "line": {"width": 0, "shape": shape, "color": "rgba(0,0,0,0)"},
        }
        if "hoverinfo" in style:
            defaults["hovertemplate"] = None
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
            xshift=-40, yshift=7, showarrow=False, align="left", font={"size": 13},
        )  # fmt: skip


def _engagement(canvas: _Canvas, session: Session) -> None:
    audience = canvas.data.audience
    factors = ("attention", palette.ATTENTION), " × ", ("expressiveness", palette.EXPRESSIVENESS)
    title = _title("Engagement", palette.ENGAGEMENT, "= ", *factors)
    if not session.pose_known:
        title = _title("Expressiveness", palette.EXPRESSIVENESS, "(attention unknown: no head pose)")
    canvas.row("engagement", title, range=[0, 1.05], tickvals=[0, 0.5, 1])
    if session.pose_known:
        canvas.area(
            "engagement", "", audience["engagement"], _faded(palette.ENGAGEMENT, 0.2), hoverinfo="skip"
        )
        dotted = {"color": palette.ATTENTION, "width": 1.3, "dash": "dot"}
        canvas.line("engagement", "attention", audience["attention"], line=dotted)
    thin = {"color": palette.EXPRESSIVENESS, "width": 1.5}
    canvas.line("engagement", "expressiveness", audience["expressiveness"], line=thin)
    if session.pose_known:
        thick = {"color": palette.ENGAGEMENT, "width": 2.2}
        canvas.line("engagement", "engagement", audience["engagement"], line=thick)
    if session.peaks:
        canvas.figure.add_scatter(
            x=[moment(peak.time_s) for peak in session.peaks],
            y=[round(peak.height, 3) for peak in session.peaks],
            text=[str(k + 1) for k in range(len(session.peaks))],
            name="peaks", mode="markers+text", hoverinfo="skip", yaxis=canvas.rows.axes["engagement"],
            marker={"color": "#FFFFFF", "size": 17, "line": {"color": palette.ENGAGEMENT, "width": 1.5}},
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
    audience = canvas.data.audience
    parts = ("positive", palette.POSITIVE), " − ", ("negative", palette.NEGATIVE)
    canvas.row("valence", _title("Net positivity", palette.VALENCE, "= ", *parts), range=[-1, 1],
               tickvals=[-1, 0, 1], zeroline=True, zerolinewidth=1)  # fmt: skip
    canvas.area("valence", "positive", audience["positive"], _faded(palette.POSITIVE, 0.55))
    # Drawn downwards: two areas over one another would hide one of them.
    canvas.area("valence", "−negative", -audience["negative"], _faded(palette.NEGATIVE, 0.5))
    thick = {"color": palette.VALENCE, "width": 2}
    canvas.line("valence", "net positivity", audience["valence"], line=thick)


def _lanes(canvas: _Canvas, session: Session) -> None:
    data, labels = canvas.data, session.labels
    hidden = len(session.people) - len(data.lanes)
    title = _title("People", None, "coloured by the expression that appears most")
    if hidden:
        title = _title("People", None, f"the {len(data.lanes)} longest in view, of {len(session.people)}")
    named = session.names.names
    names = [plain(_short(named.get(person.track_id) or f"P{person.track_id}")) for person in data.lanes]
    canvas.row("lanes", title, tickvals=list(range(len(names))), ticktext=names, showgrid=False,
               range=[len(names) - 0.5, -0.5])  # fmt: skip
    if not names:
        return
    colours = list(palette.colours(labels).values())
    edges = [(k / len(colours), (k + 1) / len(colours), colour) for k, colour in enumerate(colours)]
    canvas.figure.add_heatmap(
        name="people", x0=moment(data.step_s / 2), dx=data.step_s * 1000, yaxis=canvas.rows.axes["lanes"],
        z=[[None if math.isnan(value) else int(value) for value in lane] for lane in data.leading],
        zmin=-0.5, zmax=len(labels) - 0.5, showscale=False, ygap=4, hoverinfo="skip",
        colorscale=[[share, colour] for low, high, colour in edges for share in (low, high)],
        # The page's script turns the numbers into words for the cursor.
        meta={"labels": [plain(label) for label in labels], "names": names},
    )  # fmt: skip


def _foot(canvas: _Canvas) -> None:
    """An empty row for the x axis to stand on: the slider shades itself by the row it hangs on."""
    canvas.figure.add_scatter(x=[None], y=[None], yaxis=_FOOT, hoverinfo="skip")
    canvas.figure.update_layout(
        {f"yaxis{_FOOT[1:]}": {"domain": [0, 0.001], "visible": False, "fixedrange": True}}
    )


def _coverage(canvas: _Canvas) -> None:
    data = canvas.data
    title = _title("Coverage", None, "frames ", ("with a face", palette.FACE), " · without · ",
                   ("no frame", palette.NO_FRAME))  # fmt: skip
    canvas.row("coverage", title, range=[0, 1], tickvals=[], showgrid=False)
    axis = canvas.rows.axes["coverage"]
    # Bars fill their bins to the edge: a strip that began in the middle of the first would look like a gap.
    canvas.figure.add_bar(
        name="in view", x0=moment(data.step_s / 2), dx=data.step_s * 1000, width=data.step_s * 1000,
        y=numbers(data.audience["presence"]), yaxis=axis, hovertemplate="%{y:.2f}",
        marker={"color": palette.FACE, "line": {"width": 0}},
    )  # fmt: skip
    for start, end in _runs(data.audience["n_frames"] == 0):
        canvas.figure.add_shape(
            type="rect", xref="x", yref=axis, y0=0, y1=1,
            x0=moment(start * data.step_s), x1=moment(end * data.step_s),
            fillcolor=palette.NO_FRAME, line={"width": 0}, layer="above",
        )  # fmt: skip


def _short(name: str, most: int = 7) -> str:
    """A name that fits beside its lane."""
    name = shown(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def plain(text: str) -> str:
    """A text from outside for a figure: plotly reads some HTML in names and titles."""
    return html.escape(text, quote=True)


def moment(seconds: float) -> str:
    """A time on the axis. Not a number: plotly takes 1000 for a year, not for milliseconds."""
    return (_START + timedelta(seconds=seconds)).isoformat(sep=" ", timespec="milliseconds")


def numbers(values: FloatArray) -> list[float | None]:
    """For JSON: three digits, None where unknown."""
    return [None if math.isnan(value) else round(float(value), 3) for value in values]


def _title(name: str, colour: str | None, *rest: str | tuple[str, str]) -> str:
    """A row's title; words that name a curve have its colour, and no legend is needed."""
    words = "".join(part if isinstance(part, str) else _coloured(*part) for part in rest)
    return (
        f"<b>{_coloured(name, colour) if colour else name}</b>  <span style='font-size:11px'>{words}</span>"
    )


def _coloured(text: str, colour: str) -> str:
    return f"<span style='color:{colour}'>{text}</span>"


def _faded(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def _joined(values: FloatArray, step: int) -> FloatArray:
    """Means of `step` neighbouring bins, float64 (ceil(n / step),); NaN where none is known."""
    padded = np.pad(values, (0, -len(values) % step), constant_values=np.nan).reshape(-1, step)
    known = np.isfinite(padded)
    return ratio(np.where(known, padded, 0.0).sum(axis=1), known.sum(axis=1))


def _leading(session: Session, track_id: int, step: int, n_bins: int) -> FloatArray:
    """Index of a person's most probable label by drawn bin, float64 (drawn bins,), NaN where not seen."""
    rows = session.timeline.filter(pc.equal(session.timeline.column("track_id"), track_id))
    bins = np.round(column(rows, "bin_start_s") / session.bin_seconds).astype(int)
    means = np.full((n_bins, len(session.labels)), np.nan)
    for k, label in enumerate(session.labels):
        means[bins, k] = column(rows, f"prob_{label}")
    joined = np.stack([_joined(means[:, k], step) for k in range(len(session.labels))], axis=1)
    seen = np.isfinite(joined).any(axis=1)
    return np.where(seen, np.argmax(np.nan_to_num(joined, nan=-1.0), axis=1).astype(float), np.nan)


def _runs(flags: np.typing.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches of True as (first, one past the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
