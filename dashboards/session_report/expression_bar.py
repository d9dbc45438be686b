"""The bar of expressions, and the same in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ferflow import palette
from ferflow.dashboards.shared.number_format import percent, shown


def mix_of(labels: list[str], means: Mapping[str, float]) -> list[dict[str, Any]]:
    """Mean scores of the labels, largest first; neutral last, as the ground the others stand on."""
    colours = palette.colours(labels)
    known = {label: means[f"prob_{label}"] for label in labels if math.isfinite(means[f"prob_{label}"])}
    order = sorted(known, key=lambda label: (label == "neutral", -known[label]))
    return [
        {"label": shown(label), "text": percent(known[label]), "width": f"{100 * known[label]:.2f}",
         "colour": colours[label]}
        for label in order
    ]  # fmt: skip


def mix_words(mix: list[dict[str, Any]]) -> str:
    """The bar of expressions in words."""
    return ", ".join(f"{part['label']} {part['text']}" for part in mix)
