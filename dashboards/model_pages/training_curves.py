"""The page of a training run: its learning curves, from `history.json`.

One self-contained file: the curves are SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ferflow import palette
from ferflow.dashboards.shared.number_format import pluralize
from ferflow.dashboards.shared.page import render, template_text, write_text
from ferflow.models.history import Epoch, read_history
from ferflow.version import __version__

CURVES_FILE = "curves.html"

_NAMES = {
    "loss": "loss on augmented training images",
    "accuracy": "accuracy by the labels",
    "ferplus_accuracy": "accuracy by FER+ majority",
}
_COLOURS = {
    "loss": palette.ENGAGEMENT,
    "accuracy": palette.ATTENTION,
    "ferplus_accuracy": palette.EXPRESSIVENESS,
}
_LEFT, _TOP, _WIDTH, _HEIGHT = 46, 12, 700, 220
_MOST_TICKS = 5


@dataclass(frozen=True, slots=True)
class _Dot:
    x: float
    y: float
    words: str


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    colour: str
    dots: list[_Dot]

    @property
    def path(self) -> str:
        """Of an SVG path element."""
        return "M" + "L".join(f"{dot.x} {dot.y}" for dot in self.dots)


@dataclass(frozen=True, slots=True)
class _Tick:
    at: float
    """x or y."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chart:
    """Geometry in pixels."""

    title: str
    lines: list[_Line]
    x_ticks: list[_Tick]
    y_ticks: list[_Tick]
    best_x: float
    left: int = _LEFT
    top: int = _TOP
    width: int = _WIDTH
    height: int = _HEIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    name: str
    lead: str
    charts: list[_Chart]
    epochs: Sequence[Epoch]
    """Newest first."""
    has_votes: bool


def write_curves(out: Path, name: str) -> Path:
    """Write `curves.html` next to the `history.json` of a run and return its path.

    Raises:
        RecordsError: the history is missing or cannot be read.
    """
    path = out / CURVES_FILE
    write_text(path, render_curves(name, read_history(out)), out=None)
    return path


def render_curves(name: str, history: Sequence[Epoch]) -> str:
    """Render the page as HTML, from at least one epoch."""
    best = max(history, key=lambda epoch: epoch.selection)
    has_votes = history[0].ferplus_accuracy is not None
    accuracies = ["accuracy", "ferplus_accuracy"] if has_votes else ["accuracy"]
    page = _Page(
        name=name,
        lead=f"{pluralize(len(history), 'epoch')} · {sum(epoch.seconds for epoch in history) / 60:.0f} minutes · "
        f"best: epoch {best.epoch}, accuracy {best.accuracy:.1%}",
        charts=[
            _chart("Loss", history, ["loss"], best.epoch, share=False),
            _chart("On the selection split", history, accuracies, best.epoch, share=True),
        ],
        epochs=history[::-1],
        has_votes=has_votes,
    )
    return render("curves.html.j2", page=page, version=__version__, more_style=template_text("models.css"))


def _chart(title: str, history: Sequence[Epoch], keys: list[str], best: int, *, share: bool) -> _Chart:
    """Lay out one chart: a line per figure over the epochs."""
    values = {key: [float(getattr(epoch, key)) for epoch in history] for key in keys}
    low, high = min(map(min, values.values())), max(map(max, values.values()))
    # A flat curve, such as that of one epoch, has no range to scale by.
    pad = 0.06 * (high - low) or 0.05
    low, high = low - pad, high + pad
    last = max(history[-1].epoch, 2)  # with one epoch, x() would divide by 0

    def x(epoch: int) -> float:
        return round(_LEFT + (epoch - 1) / (last - 1) * _WIDTH, 1)

    def y(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * _HEIGHT, 1)

    def line(key: str) -> _Line:
        dots = [
            _Dot(x(epoch.epoch), y(value), f"epoch {epoch.epoch}: {value:.4f}")
            for epoch, value in zip(history, values[key], strict=True)
        ]
        return _Line(_NAMES[key], _COLOURS[key], dots)

    levels = [low + (high - low) * (k + 0.5) / _MOST_TICKS for k in range(_MOST_TICKS)]
    step = max(1, round((last - 1) / 8))
    return _Chart(
        title=title,
        lines=[line(key) for key in keys],
        x_ticks=[_Tick(x(epoch), str(epoch)) for epoch in range(1, last + 1, step)],
        y_ticks=[_Tick(y(level), f"{100 * level:.0f} %" if share else f"{level:.2f}") for level in levels],
        best_x=x(best),
    )
