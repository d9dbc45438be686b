"""The registry of measures: the definition of each measure, in one place.

A measure is a number that is computed for each face and then averaged over time and people. The columns of TIMELINE,
the means of people, cohorts and marker-locked curves, the CSV files, the charts and tables of the pages and the tables
of `docs/numbers.md` and `docs/tables.md` follow from `MEASURES`. To add a measure, add an entry.

>>> MEASURES["valence"].title, MEASURES["valence"].range
('Net positivity', (-1, 1))
>>> list(face_measures(["happy", "neutral"]))[-2:]
['shown_happy', 'shown_neutral']
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ferflow import palette
from ferflow.types import Float64Array

DEFINITION = 3
"""Raised with each change of a definition below or of what goes into it: timelines of another one are written again.
1 was that of the first output folders (a baseline per person, attention as a factor); 2 gave each frame one label."""

FRONTAL_DEGREES = 15.0
"""Up to this yaw and pitch a face counts as turned to the camera."""
AVERTED_DEGREES = 35.0
"""From this yaw or pitch on it does not; linear between the two."""
EXPRESSIVE_THRESHOLD = 0.5
"""Expressiveness from which a face counts as expressive: where any expression is as likely as rest."""
REACTING_THRESHOLD = 0.5
"""Share of readable time with an expression from which a person counts as reacting in a bin, in [0, 1]."""

LEAST_READABLE = 0.5
"""Share of a bin's analysed time for which a face must be readable for the person to count in the audience's bin. The
middle of the bin then lies in that time, if it is one stretch, so that a link to the bin shows the face."""

POSITIVE_LABEL = "happy"
NEGATIVE_LABELS = ("angry", "disgust", "fear", "sad")
NEUTRAL_LABEL = "neutral"

Format: TypeAlias = Literal["score", "share", "signed", "number"]
"""How pages write a value (`dashboards.shared.number_format`): two digits in [0, 1], a percentage, two digits
with a sign in [-1, 1], or three significant digits of any number."""


@dataclass(frozen=True, slots=True)
class FaceValues:
    """What measures are computed from: N faces of one video. Arrays are float64 (N,), NaN where unknown."""

    yaw: Float64Array
    """Degrees, positive to the right in the picture."""
    pitch: Float64Array
    """Degrees, positive upwards."""
    probabilities: Mapping[str, Float64Array]
    """The model's scores in [0, 1] by label; NaN for an unreadable face."""
    expressions: Mapping[str, Float64Array]
    """The scores with rest and expression equally likely beforehand, smoothed, by label; see `expressions.reweight`.
    Their sum is 1."""
    shown: Mapping[str, Float64Array]
    """Share of the time of each face's frame in which a label is shown, in [0, 1], by label."""

    def expression(self, label: str) -> Float64Array:
        """Smoothed scores of a label; NaN for a label that the model lacks."""
        return self.expressions.get(label, np.full(len(self.yaw), np.nan))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure: how it is computed, aggregated and shown."""

    name: str
    """Column in tables and CSV files."""
    title: str
    """On pages."""
    heading: str = ""
    """The title with soft hyphens (U+00AD) where a narrow column may break it; empty: the title."""
    formula: str
    """For one face, in Markdown."""
    description: str
    """Plain text that completes a sentence of which the title is the subject."""
    range: tuple[float, float]
    """Smallest and largest possible value."""
    unit: str = ""
    """Empty for a number without a unit."""
    format: Format
    colour: str
    """Of its curve, `#RRGGBB`."""
    compute: Callable[[FaceValues], Float64Array] | None
    """Value of each face, float64 (N,), NaN where unknown; None for what only the timeline can count."""
    majority: bool = False
    """A person's bin is 1 if the value is 1 for at least half of the known time, else 0. Otherwise a person's bin is
    the mean over time."""
    has_row: bool = True
    """Whether the timeline chart gives it a row; those without are part of a composed row, or of none."""
    has_column: bool = True
    """Whether the pages' tables of people and stretches have a column for it."""

    @property
    def column_heading(self) -> str:
        """`heading`, or the title if there is none."""
        return self.heading or self.title


# --- How they are computed ------------------------------------------------------------------------------


def attention(faces: FaceValues) -> Float64Array:
    """How far a face is turned to the camera, in [0, 1]; NaN where the pose is unknown.

    Each angle opens a gate: 1 within +-15 degrees, linear to 0 at +-35. Both must be open: their product.
    """
    width = AVERTED_DEGREES - FRONTAL_DEGREES
    yaw, pitch = (
        np.clip((AVERTED_DEGREES - np.abs(angle)) / width, 0.0, 1.0) for angle in (faces.yaw, faces.pitch)
    )
    return np.asarray(yaw * pitch, dtype=np.float64)


def expressiveness(faces: FaceValues) -> Float64Array:
    """`1 - p'_neutral`, in [0, 1]; NaN without a neutral class."""
    return np.asarray(1.0 - faces.expression(NEUTRAL_LABEL), dtype=np.float64)


def engagement(faces: FaceValues) -> Float64Array:
    """Share of the frame's time in which expressiveness is `EXPRESSIVE_THRESHOLD` or more; NaN without neutral."""
    shown = faces.shown.get(NEUTRAL_LABEL)
    return np.full(len(faces.yaw), np.nan) if shown is None else 1 - shown


def positive(faces: FaceValues) -> Float64Array:
    """`p'_happy`, in [0, 1]."""
    return faces.expression(POSITIVE_LABEL)


def negative(faces: FaceValues) -> Float64Array:
    """`max(p'_angry, p'_disgust, p'_fear, p'_sad)` of the labels there are, in [0, 1]; NaN without any."""
    # The maximum and not the sum, as in FaceReader's valence.
    known = [faces.expressions[label] for label in NEGATIVE_LABELS if label in faces.expressions]
    return np.max(known, axis=0) if known else np.full(len(faces.yaw), np.nan)


def valence(faces: FaceValues) -> Float64Array:
    """Positive less negative, in [-1, 1]: the form of FaceReader's valence, taken on scores."""
    return positive(faces) - negative(faces)


# --- The registry ---------------------------------------------------------------------------------------

PRESENCE = Measure(
    name="presence",
    title="Coverage",
    formula="1 while the face (of the audience: any face) is in view, else 0",
    description="is the share of analysed time with a face.",
    range=(0, 1),
    format="share",
    colour=palette.COVERAGE["readable"].colour,
    compute=None,
)

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            name="attention",
            title="Facing the camera",
            heading="Facing cam\u00adera",
            formula="gate(yaw) × gate(pitch), gate(a) = 1 up to 15°, falling in a straight line to 0 at 35°; null "
            "without a pose",
            description="says how far a face is turned to the camera: fully up to 15° sideways, up or down, not at all "
            "from 35° on. It takes no account of where the eyes look.",
            range=(0, 1),
            format="share",
            colour=palette.ATTENTION,
            compute=attention,
            has_row=False,
        ),
        Measure(
            name="expressiveness",
            title="Expressiveness",
            heading="Expressive\u00adness",
            formula="E = sigmoid(logit(1 − `prob_neutral`) − log((1 − π) / π) − shift), smoothed over half a second; π "
            "is the model's prior of neutral",
            description="is how likely a face shows any expression rather than rest, if both were equally likely "
            "beforehand.",
            range=(0, 1),
            format="score",
            colour=palette.EXPRESSIVENESS,
            compute=expressiveness,
            has_row=False,
        ),
        Measure(
            name="engagement",
            title="Engagement",
            heading="Engage\u00adment",
            formula=f"share of the frame's time with E ≥ {EXPRESSIVE_THRESHOLD:g}",
            description="is the share of readable time in which a face shows an expression. It measures faces, not "
            "interest: a person who is interested but keeps a still face has a low value.",
            range=(0, 1),
            format="share",
            colour=palette.ENGAGEMENT,
            compute=engagement,
            has_row=False,
        ),
        Measure(
            name="valence",
            title="Net positivity",
            heading="Net posi\u00adtivity",
            formula="positive − negative",
            description="is the score of happy minus the highest score of angry, disgust, fear and sad. Negative does "
            "not mean bad: effort and suspense look similar, above all in games.",
            range=(-1, 1),
            format="signed",
            colour=palette.VALENCE,
            compute=valence,
            has_row=False,
        ),
        Measure(
            name="positive",
            title="Positive",
            formula="p′ of happy",
            description="is the score of happy.",
            range=(0, 1),
            format="score",
            colour=palette.POSITIVE,
            compute=positive,
            has_row=False,
            has_column=False,
        ),
        Measure(
            name="negative",
            title="Negative",
            formula="largest p′ of angry, disgust, fear and sad",
            description="is the highest score of angry, disgust, fear and sad.",
            range=(0, 1),
            format="score",
            colour=palette.NEGATIVE,
            compute=negative,
            has_row=False,
            has_column=False,
        ),
        Measure(
            name="reacting",
            title="Reacting",
            formula=f"1 for a person whose engagement in the bin is {REACTING_THRESHOLD:g} or more, else 0",
            description="is the share of the people in view who show an expression for at least half of the readable "
            "time of a step.",
            range=(0, 1),
            format="share",
            colour=palette.EXPRESSIVENESS,
            compute=engagement,
            majority=True,
            has_row=False,
            has_column=False,
        ),
    )
}
"""By name, in the order of the columns."""

LEADING = "engagement"
"""The measure that a page is about."""


def probability_measures(labels: Sequence[str]) -> dict[str, Measure]:
    """`prob_<label>` of a model's labels, in its order, by name."""
    colours = palette.colours(list(labels))
    return {f"prob_{label}": _probability(label, colours[label]) for label in labels}


def shown_measures(labels: Sequence[str]) -> dict[str, Measure]:
    """`shown_<label>` of a model's labels, in its order, by name: the share of readable time with that shown label."""
    colours = palette.colours(list(labels))
    return {f"shown_{label}": _shown(label, colours[label]) for label in labels}


def face_measures(labels: Sequence[str]) -> dict[str, Measure]:
    """Everything that is computed of each face, by name: `MEASURES`, then scores and shown labels."""
    return {**MEASURES, **probability_measures(labels), **shown_measures(labels)}


def timeline_measures(labels: Sequence[str]) -> dict[str, Measure]:
    """The columns of TIMELINE that are averages, by name and in their order: presence, then `face_measures`."""
    return {PRESENCE.name: PRESENCE, **face_measures(labels)}


def page_measures() -> list[Measure]:
    """`MEASURES` in the order of the pages: the leading one first."""
    return sorted(MEASURES.values(), key=lambda measure: measure.name != LEADING)


def _probability(label: str, colour: str) -> Measure:
    return Measure(
        name=f"prob_{label}",
        title=label,
        formula="the model's score (softmax) for the label, unrounded; the scores of a face add up to 1",
        description=f"is the model's score for {label}.",
        range=(0, 1),
        format="share",
        colour=colour,
        compute=lambda faces: faces.probabilities[label],
    )


def _shown(label: str, colour: str) -> Measure:
    return Measure(
        name=f"shown_{label}",
        title=label,
        formula="share of the frame's time with this label: neutral while E < 0.5, else the label with the largest p′",
        description=f"is the share of readable time in which {label} is the shown label.",
        range=(0, 1),
        format="share",
        colour=colour,
        compute=lambda faces: faces.shown[label],
    )
