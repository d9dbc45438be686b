"""All colours of pages and pictures.

Expressions have colours of Okabe and Ito (2008, "Color Universal Design"), which are distinguishable with the common
kinds of colour blindness. Black and yellow are left out: one cannot be seen on a dark page, the other on a light one.
Neutral is grey, so that expressions stand out. Colours do not judge: there is no red for "negative".
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
"""For labels without a colour of their own, in the model's order."""

ENGAGEMENT = "#5562D6"
ATTENTION = "#129488"
EXPRESSIVENESS = "#B5549C"
POSITIVE = EXPRESSIONS["happy"]
NEGATIVE = "#7E78B8"
VALENCE = "#7A8699"
REST = "#0E7490"
"""Stretches at rest, by which people are calibrated."""
MARKER = "#6B7280"
SPEECH = "#7C8DB5"
SIGNAL = "#A17C63"


@dataclass(frozen=True, slots=True)
class Look:
    """Name, colour and pattern of one state of the coverage row."""

    words: str
    colour: str
    brief: str
    """Short name, for a title on a phone."""
    pattern: str = ""
    """One of plotly's fill patterns; distinguishes states in print and with colour blindness."""


COVERAGE = {
    "readable": Look("with a face that can be read", "#129488", "readable"),
    "turned": Look("only faces turned away", "#129488", "turned away", "/"),
    "small": Look("only small faces", "#129488", "too small", "."),
    "blurred": Look("only blurred faces", "#129488", "blurred", "-"),
    "occluded": Look("only covered faces", "#129488", "covered", "+"),
    "uncounted": Look("only faces that do not count", "#9AA3B2", "not counted", "x"),
    "no_face": Look("no face", "#9AA3B2", "no face"),
    "excluded": Look("excluded by corrections", "#C9A6BE", "excluded", "/"),
    "missing": Look("no frame could be read", "#A07C3F", "no frame", "x"),
    "outside": Look("outside start and end", "#5F6C7B", "outside", "\\"),
}
"""By the columns of `coverage.COVERAGE_TIMELINE`, in the order in which they are stacked."""

STACKING = ("happy", "surprise", "fear", "angry", "disgust", "sad")
"""Order in which expressions are stacked on neutral; similar colours are not adjacent."""


def colours(labels: list[str]) -> dict[str, str]:
    """A colour for each label, in the labels' order."""
    spare = [label for label in labels if label not in EXPRESSIONS]
    return {
        label: EXPRESSIONS.get(label) or SPARE[spare.index(label) % len(SPARE)]
        for label in labels
    }  # fmt: skip


def stacked(labels: list[str]) -> list[str]:
    """Labels in the order of stacking, from the bottom: neutral, those of `STACKING`, then any others."""
    known = [label for label in ("neutral", *STACKING) if label in labels]
    return known + [label for label in labels if label not in known]


GROUPS = ("#4477AA", "#CC6677", "#2E9E5B", "#AA8800", "#AA4499", "#1F9E9E")
"""For groups of people, in their order: Tol's muted scheme (2021), lightened for dark pages. Each group's lines also
have their own dash."""
