"""What a live session shows in a terminal, or as plain lines where there is none."""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from ferflow.cli.printing import echo
from ferflow.jobs.live.live_summary import LivePerson, LiveSummary
from ferflow.jobs.live.session import Live
from ferflow.palette import ENGAGEMENT, EXPRESSIONS
from ferflow.text import pluralize, sanitize, timecode

_SECONDS_BETWEEN_PICTURES = 0.2
_SECONDS_BETWEEN_LINES = 5.0
_BAR = 16
_MOST_NOTICES = 3
_MOST_PEOPLE = 12
_UNREADABLE = {"turned": "turned away", "small": "too small", "blurred": "blurred", "occluded": "covered"}


class View(Protocol):
    """Shows a session while it runs."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, live: Live, summary: LiveSummary) -> None:
        """Show the present state, if it is time."""

    def note(self, text: str) -> None:
        """Show a line about something that happened."""


class NoView:
    """Shows nothing but what is logged: stdout belongs to a program."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, live: Live, summary: LiveSummary) -> None:
        """See `View`."""

    def note(self, text: str) -> None:
        """See `View`."""


class Lines:
    """A line every few seconds, where stdout is no terminal."""

    def __init__(self) -> None:
        self._next_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, live: Live, summary: LiveSummary) -> None:
        """See `View`."""
        # From the second second on there are rates.
        if live.frame is None or live.frame.time_s < 1 or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + _SECONDS_BETWEEN_LINES
        people = ", ".join(f"#{one.track_id} {_words(one)}" for one in summary.people()) or "no person"
        echo(f"{timecode(live.frame.time_s)}  {_rates(live, summary)}  {people}")

    def note(self, text: str) -> None:
        """See `View`."""
        echo(text)


class Dashboard(logging.Handler):
    """A table of the people in view, drawn again five times a second; shows warnings, too."""

    def __init__(self, hint: str) -> None:
        """Prepare the dashboard.

        Args:
            hint: what can be pressed.
        """
        super().__init__(logging.WARNING)
        self._hint = hint
        self._notices: deque[str] = deque(maxlen=_MOST_NOTICES)
        self._screen = RichLive(
            console=Console(file=sys.stdout, highlight=False), auto_refresh=False, transient=True
        )
        self._next_s = 0.0

    def __enter__(self) -> Self:
        self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.stop()

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        self.note(record.getMessage())

    def note(self, text: str) -> None:
        """See `View`."""
        self._notices.append(f"{time.strftime('%H:%M:%S')}  {sanitize(text)}")

    def show(self, live: Live, summary: LiveSummary) -> None:
        """See `View`."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + _SECONDS_BETWEEN_PICTURES
        self._screen.update(self._draw(live, summary), refresh=True)

    def _draw(self, live: Live, summary: LiveSummary) -> RenderableType:
        title = Text(no_wrap=True, overflow="ellipsis")
        title.append("ferflow live", style="bold")
        time_s = live.frame.time_s if live.frame is not None else None
        title.append(f"  {live.source.label}  {live.capture.describe()}  {timecode(time_s)}")
        if live.recording is not None:
            title.append("  ● recording", style="bold red")
        parts: list[RenderableType] = [title, _draw_people(summary.people()), _line(_rates(live, summary))]
        parts += [_line(notice, "yellow") for notice in self._notices]
        parts.append(_line(self._hint, "dim"))
        return Group(*parts)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _draw_people(people: list[LivePerson]) -> RenderableType:
    table = Table(box=None, pad_edge=False, expand=False)
    for heading in ("person", "expression", "", "engagement, last 10 s", ""):
        table.add_column(heading, style="", header_style="dim", no_wrap=True)
    for one in people[:_MOST_PEOPLE]:
        colour = EXPRESSIONS.get(one.label or "", "#888888")
        table.add_row(
            f"#{one.track_id}",
            Text(_UNREADABLE.get(one.unreadable or "", one.label or "..."), colour if one.label else "dim"),
            _bar(one.probability if one.label else None, colour),
            _bar(one.engagement, ENGAGEMENT),
            "" if one.engagement is None else f"{one.engagement:4.0%}",
        )
    if not people:
        return _line("no person in view", "dim")
    if len(people) > _MOST_PEOPLE:
        table.add_row("", f"and {len(people) - _MOST_PEOPLE} more")
    return table


def _bar(share: float | None, colour: str) -> Text:
    if share is None:
        return Text(" " * _BAR)
    filled = round(share * _BAR)
    return Text("█" * filled, colour).append("░" * (_BAR - filled), "dim")


def _words(one: LivePerson) -> str:
    if one.label is None:
        return _UNREADABLE.get(one.unreadable or "", "...")
    return f"{one.label} {one.probability:.0%}"


def _rates(live: Live, summary: LiveSummary) -> str:
    rates, n_dropped = summary.rates(), live.capture.counts.n_dropped
    return (
        f"{rates.per_second:.1f} frames/s analysed, {n_dropped} dropped, "
        f"latency {rates.median_ms:.0f} ms (95 %: {rates.slow_ms:.0f})"
    )


def format_summary(live: Live, summary: LiveSummary) -> str:
    """How a session went, in a line."""
    latencies, counts = summary.all_latencies, live.capture.counts
    if live.frame is None:
        return f"{live.source.label}: no frame came."
    took_s = live.frame.time_s
    rate = f" ({latencies.n / took_s:.1f}/s)" if took_s > 0 else ""
    again = f", {pluralize(counts.n_reconnects, 'reconnection')}" if counts.n_reconnects else ""
    return (
        f"{live.source.label}: {pluralize(latencies.n, 'frame')} analysed in {timecode(took_s)}{rate}, "
        f"{counts.n_dropped} dropped{again}; latency median {latencies.quantile(0.5):.0f} ms, 95 % "
        f"{latencies.quantile(0.95):.0f} ms."
    )
