"""The registry of measures: the definition of each measure, in one place.

A measure is a number that is computed for each face and then averaged over time and people. The columns of TIMELINE,
the means of people, cohorts and marker-locked curves, the CSV files, the charts and tables of the pages and the tables
of `docs/numbers.md` and `docs/tables.md` follow from `MEASURES`. To add a measure, add an entry.

>>> MEASURES["valence"].title, MEASURES["valence"].range
('Net positivity', (-1, 1))
>>> list(face_measures(["happy", "neutral"]))[-2:]
['prob_happy', 'prob_neutral']
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ferflow import palette
from ferflow.types import Float64Array

FRONTAL_DEGREES = 15.0
"""Up to this yaw and pitch a face counts as turned to the camera."""
AVERTED_DEGREES = 35.0
"""From this yaw or pitch on it does not; linear between the two."""
REACTING_THRESHOLD = 0.3
"""Expressiveness from which a person counts as reacting, in [0, 1]."""

POSITIVE_LABEL = "happy"
NEGATIVE_LABELS = ("angry", "disgust", "fear", "sad")
NEUTRAL_LABEL = "neutral"

Format: TypeAlias = Literal["score", "share", "signed", "number"]
"""How pages write a value (`dashboards.shared.number_format`): two digits in [0, 1], a percentage, two digits
with a sign in [-1, 1], or three significant digits of any number."""


@dataclass(frozen=True, slots=True)
class FaceValues:
    """What measures are computed from: N tracked faces of one video. Arrays are float64 (N,), NaN where unknown."""

    yaw: Float64Array
    """Degrees, positive to the right in the picture."""
    pitch: Float64Array
    """Degrees, positive upwards."""
    probabilities: Mapping[str, Float64Array]
    """The model's scores in [0, 1] by label."""
    baseline: Float64Array
    """1 - p_neutral of the resting face of each face's person, in [0, 1]."""

    def probability(self, label: str) -> Float64Array:
        """Scores of a label; NaN for a label that the model lacks."""
        return self.probabilities.get(label, np.full(len(self.baseline), np.nan))


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
    """A person's bin is 1 if at least half of its faces are 1, else 0: the upper median of a yes or no, so that a
    single frame decides nothing. Otherwise a person's bin is the mean over its faces."""
    when_away: float | None = None
    """Value of a frame without the face of the sole participant; None: such a frame does not count."""
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
    """`max(0, (1 - p_neutral) - baseline)`, in [0, 1]; NaN without a neutral class.

    Subtracting a person's own neutral face follows Olderbak et al. (2014).
    """
    excess = 1.0 - faces.probability(NEUTRAL_LABEL) - faces.baseline
    return np.asarray(np.maximum(0.0, excess), dtype=np.float64)


def engagement(faces: FaceValues) -> Float64Array:
    """Attention times expressiveness, in [0, 1]."""
    return attention(faces) * expressiveness(faces)


def positive(faces: FaceValues) -> Float64Array:
    """`p_happy`, in [0, 1]."""
    return faces.probability(POSITIVE_LABEL)


def negative(faces: FaceValues) -> Float64Array:
    """`max(p_angry, p_disgust, p_fear, p_sad)` of the labels there are, in [0, 1]; NaN without any."""
    # The maximum and not the sum, as in FaceReader's valence.
    known = [faces.probabilities[label] for label in NEGATIVE_LABELS if label in faces.probabilities]
    return np.max(known, axis=0) if known else np.full(len(faces.baseline), np.nan)


def valence(faces: FaceValues) -> Float64Array:
    """Positive less negative, in [-1, 1]: the form of FaceReader's valence, taken on scores."""
    return positive(faces) - negative(faces)


def reacting(faces: FaceValues) -> Float64Array:
    """1 where expressiveness reaches `REACTING_THRESHOLD`, else 0; NaN where it is unknown."""
    value = expressiveness(faces)
    # NaN >= 0.3 is False, which would count an unknown face as not reacting.
    return np.where(np.isnan(value), np.nan, value >= REACTING_THRESHOLD)


# --- The registry ---------------------------------------------------------------------------------------

PRESENCE = Measure(
    name="presence",
    title="Coverage",
    formula="1 in each analysed frame with the face (of the audience: with any face), else 0",
    description="is the share of analysed frames with a face.",
    range=(0, 1),
    format="share",
    colour=palette.COVERAGE["face"].colour,
    compute=None,
)

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            name="attention",
            title="Attention",
            heading="Atten\u00adtion",
            formula="gate(yaw) × gate(pitch), gate(a) = 1 up to 15°, falling in a straight line to 0 at 35°; null "
            "without a pose",
            description="says how far a face is turned to the camera: 1 up to 15° sideways, up or down, falling to 0 "
            "at 35°. It takes no account of where the eyes look.",
            range=(0, 1),
            format="score",
            colour=palette.ATTENTION,
            compute=attention,
            when_away=0.0,
            has_row=False,
        ),
        Measure(
            name="expressiveness",
            title="Expressiveness",
            heading="Expressive\u00adness",
            formula="max(0, (1 − `prob_neutral`) − baseline)",
            description="is the score of everything but neutral, minus that of the person's own resting face.",
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
            formula="attention × expressiveness; null where attention is",
            description="is attention × expressiveness of a face. It measures faces, not interest: a person "
            "who is interested but keeps a still face has a low value.",
            range=(0, 1),
            format="score",
            colour=palette.ENGAGEMENT,
            compute=engagement,
            when_away=0.0,
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
            formula="`prob_happy`",
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
            formula="max(`prob_angry`, `prob_disgust`, `prob_fear`, `prob_sad`)",
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
            formula=f"1 where expressiveness ≥ {REACTING_THRESHOLD:g}, else 0; null where expressiveness is",
            description=f"is 1 for a person whose expressiveness is {REACTING_THRESHOLD:g} or more in at least half of "
            "the person's faces of a bin, else 0.",
            range=(0, 1),
            format="share",
            colour=palette.EXPRESSIVENESS,
            compute=reacting,
            majority=True,
            has_row=False,
        ),
    )
}
"""By name, in the order of the columns."""

LEADING = ("engagement", "expressiveness")
"""What a page is about: the first of these that is known. Engagement needs a head pose, which Haar does not give."""


def probability_measures(labels: Sequence[str]) -> dict[str, Measure]:
    """`prob_<label>` of a model's labels, in its order, by name."""
    colours = palette.colours(list(labels))
    return {f"prob_{label}": _probability(label, colours[label]) for label in labels}


def face_measures(labels: Sequence[str]) -> dict[str, Measure]:
    """Everything that is computed of each face, by name: `MEASURES`, then the probabilities."""
    return {**MEASURES, **probability_measures(labels)}


def timeline_measures(labels: Sequence[str]) -> dict[str, Measure]:
    """The columns of TIMELINE that are averages, by name and in their order: presence, then `face_measures`."""
    return {PRESENCE.name: PRESENCE, **face_measures(labels)}


def page_measures() -> list[Measure]:
    """`MEASURES` in the order of the pages: the leading one first."""
    return sorted(MEASURES.values(), key=lambda measure: measure.name != LEADING[0])


def leading_measure(known: Container[str]) -> str:
    """Name of the first of `LEADING` that is known; of the last one if none is."""
    return next((name for name in LEADING if name in known), LEADING[-1])


def _probability(label: str, colour: str) -> Measure:
    return Measure(
        name=f"prob_{label}",
        title=label,
        formula="the model's score (softmax) for the label, unrounded; the scores of a face add up to 1",
        description=f"is the model's score for {label}.",
        range=(0, 1),
        format="share",
        colour=colour,
        compute=lambda faces: faces.probability(label),
    )
