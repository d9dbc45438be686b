"""What a page says, and numbers written as it writes them: by themselves, not by the product's own words."""

from __future__ import annotations

import html as html_of
import json
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
PROBS = [f"prob_{label}" for label in LABELS]
SHOWN = [f"shown_{label}" for label in LABELS]

_VOID = {"meta", "input", "br", "img", "link", "hr", "source", "col", "wbr"}
_SILENT = set(
    "class id href src for type role lang dir tabindex name content charset xmlns viewbox d rowspan preload stroke "
    "stroke-width stroke-dasharray aria-labelledby data-video data-section data-chart data-zoom data-peak".split()
)
"""Attributes that tell a reader no number, or (`d`) are checked by themselves."""


class Page(HTMLParser):
    """A page by its parts: `parts` has the texts of each, in reading order, with the attributes that contain numbers.

    Parts are the sections (`data-section`), `title`, `header`, `notes` and `footer`; what is in none is in `rest`.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.parts: dict[str, list[str]] = {}
        self.json: dict[str, Any] = {}
        self._open: list[tuple[str, str]] = []
        self._script: str | None = None
        self.feed(html)
        assert not self._open, self._open

    @property
    def _part(self) -> str:
        return self._open[-1][1] if self._open else "rest"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        part = given.get("data-section") or (tag if tag in ("title", "header", "footer") else self._part)
        part = "notes" if "notes" in given.get("class", "").split() else part
        if tag not in _VOID:
            self._open.append((tag, part))
        for name, value in given.items():
            if name == "style":
                value = " ".join(re.findall(r"width:([^;]*)", value))
            if name not in _SILENT and re.search(r"\d", value):
                self._add(part, value)
        if tag in ("script", "style"):
            self._script = given.get("id", "")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._script = None
        if tag not in _VOID:
            opened, _ = self._open.pop()
            assert opened == tag, (opened, tag)

    def handle_data(self, data: str) -> None:
        if self._script is None:
            self._add(self._part, data)
        elif self._script:
            self.json[self._script] = json.loads(data)

    def _add(self, part: str, words: str) -> None:
        self.parts.setdefault(part, []).append(words)

    def values(self, part: str) -> list[str]:
        """Numbers, labels and unknowns of a part, in reading order."""
        return values_in(self.parts.get(part, []))


def values_in(words: Iterable[str]) -> list[str]:
    """What a reader takes as a result: each word with a digit, each label, and each sign for what is unknown."""
    found = [word.strip(".,;:()[]“”\"'") for text in words for word in text.replace("\u202f", "").split()]
    return [word for word in found if re.search(r"\d", word) or word in LABELS or word == "–"]


def table(html: str, name: str) -> list[list[str]]:
    """Cells of a section's table; a cell that spans rows is in the first of them."""
    section = _section(html, name)
    rows = [row for body in re.findall(r"<tbody>(.*?)</tbody>", section, re.S)
            for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.S)]  # fmt: skip
    return [[text(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S)] for row in rows]


def headings(html: str, name: str) -> list[str]:
    """Of the columns of a section's table."""
    head = re.search(r"<thead>(.*?)</thead>", _section(html, name), re.S)[1]
    return [text(cell).replace("\u00ad", "") for cell in re.findall(r"<th[^>]*>(.*?)</th>", head, re.S)]


def bars(html: str, name: str) -> list[str]:
    """The expression bars of a section, in words."""
    found = re.findall(r'class="expression-bar" role="img" aria-label="([^"]*)"', _section(html, name))
    return [html_of.unescape(words).replace("\u202f", " ") for words in found]


def _section(html: str, name: str) -> str:
    return re.search(rf'<section[^>]*aria-labelledby="{name}-title">.*?</section>', html, re.S)[0]


def card(html: str, label: str) -> tuple[str, str]:
    """Value and note of a headline card."""
    found = re.search(
        rf'"label">{label}</div><div class="value">(.*?)</div><div class="note">(.*?)</div>', html
    )
    return text(found[1]), text(found[2])


def text(html: str) -> str:
    return re.sub(r"\s+", " ", html_of.unescape(re.sub(r"<[^>]+>", " ", html))).replace("\u202f", " ").strip()


def two(value: float) -> str:
    """As the page rounds a score."""
    if np.isnan(value):
        return "–"
    return (
        f"{value:.0f}"
        if value in (0, 1)
        else "<0.01"
        if value < 0.005
        else ">0.99"
        if value >= 0.995
        else f"{value:.2f}"
    )


def signed(value: float) -> str:
    if np.isnan(value) or value == 0:
        return "–" if np.isnan(value) else "0"
    if 0 < abs(value) < 0.005:
        return "+0.00" if value > 0 else "−0.00"
    if 0.995 <= abs(value) < 1:
        return ">+0.99" if value > 0 else "<−0.99"
    return (f"{value:+.0f}" if abs(value) == 1 else f"{value:+.2f}").replace("-", "−")


def share(value: float) -> str:
    if np.isnan(value):
        return "–"
    if value in (0, 1) or 0.01 <= value <= 0.99:
        return f"{value:.0%}".replace("%", " %")
    return "<1 %" if value < 0.01 else ">99 %"


def integer(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def clock(seconds: float) -> str:
    if np.isnan(seconds):
        return "–"
    tenths = int(seconds * 10 + 0.5 + 1e-6)
    hours = f"{tenths // 36000}:" if tenths >= 36000 else ""
    return f"{hours}{tenths // 600 % 60:02d}:{tenths % 600 // 10:02d}.{tenths % 10}"


def bar_order(means: pd.Series | dict[str, float]) -> list[str]:
    """Labels as an expression bar lists them: the one shown longest first, neutral last."""
    shown = {name[6:]: value for name, value in dict(means).items() if name.startswith("shown_")}
    named = {label: value for label, value in shown.items() if not np.isnan(value)}
    return sorted(named, key=lambda label: (label == "neutral", -named[label]))


def bar(means: pd.Series | dict[str, float]) -> str:
    """An expression bar in words."""
    return ", ".join(f"{label} {share(means[f'shown_{label}'])}" for label in bar_order(means))
