"""The colours, in one place.

Expressions have the eight colours of Okabe and Ito (2008, "Color Universal Design"), told apart with the
common kinds of colour blindness, less black and yellow, which vanish on a dark or a light page; neutral is
grey, so that what stands out on a page is what stands out on a face. A colour names an expression and judges
none: there is no red for "negative".
"""

from __future__ import annotations

from dataclasses import dataclass

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
MARKER = "#6B7280"


@dataclass(frozen=True, slots=True)
class Look:
    """How one state of the coverage strip is drawn and called."""

    words: str
    colour: str
    brief: str
    """The same for a title that a phone has room for."""
    pattern: str = ""
    """Of plotly's names; a second sign beside the colour, for print and for who sees no difference."""


COVERAGE = {
    "face": Look("with a face", "#129488", "with a face"),
    "small": Look("only small faces", "#129488", "only small", "/"),
    "nobody": Look("no face", "#9AA3B2", "no face"),
    "missing": Look("no frame could be read", "#A07C3F", "unreadable", "x"),
    "outside": Look("not analysed", "#5F6C7B", "not analysed", "."),
}
"""By the columns of `summaries.STRIP`, in the order in which they are stacked."""

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


GROUPS = ("#4477AA", "#CC6677", "#2E9E5B", "#AA8800", "#AA4499", "#1F9E9E")
"""For groups of people, in their order; after Tol's muted scheme (2021), lightened to show on dark, too. Lines have a
dash of their own besides."""
