"""A row per signal: the values that a file gives besides the video, each on an axis of its own."""

from __future__ import annotations

from functools import partial

from ferflow import palette
from ferflow.dashboards.session_report.downsample import Downsampled
from ferflow.dashboards.session_report.session_data import MOST_SIGNALS, Session
from ferflow.dashboards.session_report.timeline_chart.canvas import Canvas, ChartRow, row_title
from ferflow.dashboards.shared.figure_values import escape_html
from ferflow.dashboards.shared.number_format import sanitize, shorten
from ferflow.dashboards.shared.signal_values import SignalScale

_TITLE_LETTERS = 60


def _height_px(k: int, session: Session, _data: Downsampled) -> int:
    return 76 if k < len(session.shown_signals) else 0


def _draw(k: int, canvas: Canvas, session: Session) -> None:
    signal = session.shown_signals[k]
    values, row = canvas.data.signals[signal.name], _row_id(k)
    scale = SignalScale.of([values])
    title, unit = (
        escape_html(shorten(sanitize(text), _TITLE_LETTERS)) for text in (signal.title, signal.unit)
    )
    canvas.add_row(row, row_title(title, palette.SIGNAL, unit), range=scale.axis_range, nticks=3)
    canvas.add_line(
        row, shorten(sanitize(signal.title), _TITLE_LETTERS), values, {"color": palette.SIGNAL, "width": 1.6},
        round_values=scale.json_numbers,
        # By reference: within the template, a unit such as %{x} would be replaced. The page's script finds the curve by
        # its number.
        hovertemplate=f"%{{y:{scale.d3_format}}} %{{meta.unit}}", meta={"signal": k, "unit": unit},
    )  # fmt: skip


def _row_id(k: int) -> str:
    return f"signal {k}"


def build_signal_rows() -> tuple[ChartRow, ...]:
    """As many rows as may be shown; a session without that many signals leaves the others out."""
    return tuple(ChartRow(_row_id(k), partial(_height_px, k), partial(_draw, k)) for k in range(MOST_SIGNALS))
