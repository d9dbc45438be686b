"""Parts of a page that several sections, or both kinds of pages, are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ferflow import palette
from ferflow.dashboards.shared.number_format import percent, sanitize, timecode


@dataclass(frozen=True, slots=True)
class Card:
    """A headline number."""

    label: str
    value: str
    note: str
    unit: str = ""
    time: TimeButton | None = None
    """The value is this time, as a button."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A box with lines that the reader should know of."""

    title: str
    text: str = ""
    """After the title."""
    lines: tuple[str, ...] = ()


Terms: TypeAlias = tuple[tuple[str, str], ...]
"""A glossary: terms, and explanations that complete a sentence of which the term is the subject."""


@dataclass(frozen=True, slots=True)
class TimeButton:
    """A button that leads to a time of the video."""

    seconds: str
    """For the script."""
    text: str

    @classmethod
    def at(cls, seconds: float) -> TimeButton:
        """The button for a time."""
        return cls(f"{seconds:g}", timecode(seconds))


@dataclass(frozen=True, slots=True)
class ExpressionShare:
    """One expression of an `ExpressionBar`."""

    label: str
    text: str
    width: str
    """In percent."""
    colour: str


@dataclass(frozen=True, slots=True)
class ExpressionBar:
    """Shares of readable time by shown label as one stacked bar."""

    shares: tuple[ExpressionShare, ...]
    """The largest first; neutral last, as the background of the others."""

    @property
    def drawn(self) -> tuple[ExpressionShare, ...]:
        """Without those of 0 %: a part has a least width, so they would look like more than nothing."""
        return tuple(share for share in self.shares if share.text != percent(0.0))

    @property
    def description(self) -> str:
        """The same in words."""
        return ", ".join(f"{share.label} {share.text}" for share in self.shares)


def build_expression_bar(labels: Sequence[str], means: Mapping[str, float]) -> ExpressionBar:
    """The bar of the labels whose share, `means["shown_<label>"]` in [0, 1], is known."""
    colours = palette.colours(list(labels))
    known = {label: means[f"shown_{label}"] for label in labels if math.isfinite(means[f"shown_{label}"])}
    order = sorted(known, key=lambda label: (label == "neutral", -known[label]))
    return ExpressionBar(
        tuple(
            ExpressionShare(
                sanitize(label), percent(known[label]), f"{100 * known[label]:.2f}", colours[label]
            )
            for label in order
        )
    )
