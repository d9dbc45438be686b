"""What a page says, and numbers written as it writes them: by themselves, not by the product's own words."""

from __future__ import annotations

import html as html_of
import re

import numpy as np
import pandas as pd

from tests.made_records import LABELS

PROBS = [f"prob_{label}" for label in LABELS]


def table(html: str, name: str) -> list[list[str]]:
    """Cells of a section's table; a cell that spans rows is in the first of them."""
    section = re.search(rf'<section[^>]*aria-labelledby="{name}-title">.*?</section>', html, re.S)[0]
    rows = [row for body in re.findall(r"<tbody>(.*?)</tbody>", section, re.S)
            for row in re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.S)]  # fmt: skip
    return [[text(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S)] for row in rows]


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


def clock(seconds: float) -> str:
    tenths = int(seconds * 10 + 0.5 + 1e-6)
    return f"{tenths // 600:02d}:{tenths % 600 // 10:02d}.{tenths % 10}"


def mix(means: pd.Series) -> str:
    named = {name[5:]: value for name, value in means[PROBS].items()}
    order = sorted(named, key=lambda label: (label == "neutral", -named[label]))
    return ", ".join(f"{label} {share(named[label])}" for label in order)
