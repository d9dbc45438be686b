"""The colours, in one place.

Expressions have the eight colours of Okabe and Ito (2008, "Color Universal Design"), told apart with the
common kinds of colour blindness, less black and yellow, which vanish on a dark or a light page; neutral is
grey, so that what stands out on a page is what stands out on a face. A colour names an expression and judges
none: there is no red for "negative".
"""

from __future__ import annotations

EXPRESSIONS = {
    "happy": "#E69F00",
    "surprise": "#56B4E9",
    "fear": "#CC79A7",
    "angry": "#D55E00",
    "disgust": "#009E73",
    "sad": "#0072B2",
    "neutral": "#B4BAC4",
}

SPARE = ("#8C6BB1", "#7A7A2E", "#A6761D", "#5F6C7B")
"""For labels that a model has and this table does not, in the model's order."""

ENGAGEMENT = "#5562D6"
ATTENTION = "#129488"
EXPRESSIVENESS = "#B5549C"
POSITIVE = EXPRESSIONS["happy"]
NEGATIVE = "#7E78B8"
VALENCE = "#7A8699"
FACE = "#129488"
NO_FRAME = "#8A6D3B"

STACKING = ("happy", "surprise", "fear", "angry", "disgust", "sad")
"""Order in which expressions are stacked upon neutral: the two that are told apart least, apart."""


def colours(labels: list[str]) -> dict[str, str]:
    """A colour per label, in the labels' order."""
    spare = [label for label in labels if label not in EXPRESSIONS]
    return {
        label: EXPRESSIONS.get(label) or SPARE[spare.index(label) % len(SPARE)]
        for label in labels
    }  # fmt: skip


def stacked(labels: list[str]) -> list[str]:
    """Labels from the bottom up: neutral, the known ones, then any others."""
    known = [label for label in ("neutral", *STACKING) if label in labels]
    return known + [label for label in labels if label not in known]


GROUPS = ("#4477AA", "#CC6677", "#117733", "#AA8800", "#882255", "#44AA99")
"""For groups of people, in their order; after Tol's muted scheme (2021), made for colour blindness. Lines have a
dash of their own besides."""
