"""The page of a training run: its learning curves, from `history.json`.

One file that needs no other: the curves are SVG.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ferflow import palette
from ferflow.dashboards.shared.number_format import some
from ferflow.dashboards.shared.page import render, template_text, write_text
from ferflow.errors import RecordsError
from ferflow.version import __version__

CURVES_FILE, HISTORY_FILE = "curves.html", "history.json"

_NAMES = {
    "loss": "loss on disturbed training images",
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


def write_curves(out: Path, name: str) -> Path:
    """Write `curves.html` beside the `history.json` of a run and return its path.

    Raises:
        RecordsError: no history there, or none that can be read.
    """
    try:
        history = json.loads((out / HISTORY_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RecordsError(f"{out / HISTORY_FILE}: cannot be read ({error}). Train first.") from error
    path = out / CURVES_FILE
    write_text(path, render_curves(name, history))
    return path


def render_curves(name: str, history: list[dict[str, float]]) -> str:
    """The page as HTML; `history` holds a dictionary of figures per epoch, at least one."""
    best = max(history, key=lambda epoch: epoch["selection"])
    page = {
        "name": name,
        "lead": f"{some(len(history), 'epoch')} · {sum(epoch['seconds'] for epoch in history) / 60:.0f} minutes · "
        f"best: epoch {best['epoch']:.0f}, accuracy {best['accuracy']:.1%}",
        "charts": [
            _chart("Loss", history, ["loss"], best["epoch"], share=False),
            _chart(
                "On the selection split",
                history,
                [key for key in ("accuracy", "ferplus_accuracy") if key in history[0]],
                best["epoch"],
                share=True,
            ),
        ],
        "rows": history[::-1],
        "has_votes": "ferplus_accuracy" in history[0],
    }
    return render("curves.html.j2", page=page, version=__version__, more_style=template_text("models.css"))


def _chart(
    title: str, history: list[dict[str, float]], keys: list[str], best: float, *, share: bool
) -> dict[str, Any]:
    """Geometry of one chart: a line per figure over the epochs."""
    values = [epoch[key] for key in keys for epoch in history]
    low, high = min(values), max(values)
    pad = 0.06 * (high - low) or 0.05
    low, high = low - pad, high + pad
    last = max(history[-1]["epoch"], 2)

    def x(epoch: float) -> float:
        return round(_LEFT + (epoch - 1) / (last - 1) * _WIDTH, 1)

    def y(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * _HEIGHT, 1)

    lines = [
        {
            "name": _NAMES[key],
            "colour": _COLOURS[key],
            "path": "M" + "L".join(f"{x(epoch['epoch'])} {y(epoch[key])}" for epoch in history),
            "dots": [
                {
                    "x": x(epoch["epoch"]),
                    "y": y(epoch[key]),
                    "words": f"epoch {epoch['epoch']:.0f}: {epoch[key]:.4f}",
                }
                for epoch in history
            ],
        }
        for key in keys
    ]
    levels = [low + (high - low) * (k + 0.5) / _MOST_TICKS for k in range(_MOST_TICKS)]
    step = max(1, round((last - 1) / 8))
    return {
        "title": title,
        "lines": lines,
        "y_ticks": [{"y": y(v), "text": f"{100 * v:.0f} %" if share else f"{v:.2f}"} for v in levels],
        "x_ticks": [{"x": x(e), "text": str(e)} for e in range(1, int(last) + 1, step)],
        "best_x": x(best),
        "left": _LEFT, "top": _TOP, "width": _WIDTH, "height": _HEIGHT,
    }  # fmt: skip
