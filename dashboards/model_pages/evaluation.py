"""The page of `ferflow evaluate`: confusion matrix, reliability diagram, most confident mistakes.

One self-contained file: matrix and diagram are HTML and SVG, faces are embedded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferflow import palette
from ferflow.dashboards.model_pages.data_uri import enlarge, png_uri
from ferflow.dashboards.shared.elements import Card
from ferflow.dashboards.shared.number_format import percent, pluralize, sanitize, score
from ferflow.dashboards.shared.page import render, template_text, write_text
from ferflow.models.evaluation import Assessment
from ferflow.models.metrics import ClassScores, ConfidenceBin, Scores, reliability_bins
from ferflow.version import __version__

MOST_MISTAKES = 24
MISTAKE_PX = 96

_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class _ClassRow:
    label: str
    colour: str
    scores: ClassScores


@dataclass(frozen=True, slots=True)
class _Cell:
    count: str
    share: str
    shade: float
    """Opacity of its background."""
    right: bool


@dataclass(frozen=True, slots=True)
class _ConfusionRow:
    label: str
    cells: list[_Cell]
    total: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    """One bin of confidence in the reliability diagram, pixels."""

    x: float
    width: float
    y: float
    height: float
    gap_y: float
    """The gap is the distance of accuracy and confidence."""
    gap_height: float
    count_height: float
    words: str


@dataclass(frozen=True, slots=True)
class _Tick:
    share: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class _Frame:
    """Position of the reliability diagram in its picture, pixels."""

    left: int = 44
    top: int = 10
    width: int = 380
    height: int = 260
    foot: int = 56
    """Below the axis, for the counts."""


@dataclass(frozen=True, slots=True)
class _Diagram:
    bins: list[_Bar]
    ticks: list[_Tick]
    frame: _Frame = _Frame()


@dataclass(frozen=True, slots=True)
class _Mistake:
    image: str
    """Data URI."""
    truth: str
    answer: str
    confidence: str
    given: str
    """Probability of the true label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    name: str
    lead: str
    notes: list[str]
    cards: list[Card]
    kinds: list[tuple[str, Scores]]
    confusion: list[_ConfusionRow]
    classes: list[_ClassRow]
    reliability: _Diagram
    ece: str
    mistakes: list[_Mistake]
    n_mistakes: int
    facts: list[tuple[str, str]]


def write_evaluation(path: Path, assessment: Assessment) -> None:
    """Write the page of an assessment to `path`."""
    write_text(path, render_evaluation(assessment), out=None)


def render_evaluation(assessment: Assessment) -> str:
    """Render the page as HTML; the same assessment gives the same text."""
    scores = assessment.scores
    rows = ", ".join(assessment.splits) or "all rows"
    labels = list(assessment.card.labels)
    page = _Page(
        name=assessment.card.name,
        lead=f"{sanitize(assessment.data)}: {rows} · {pluralize(scores.n, 'face')} · recipe {assessment.card.recipe}"
        f" · {assessment.weights}",
        notes=_notes(assessment),
        cards=_cards(scores),
        kinds=_kinds(assessment),
        confusion=_confusion(scores, labels),
        classes=_classes(scores, labels),
        reliability=_diagram(reliability_bins(assessment.probs, assessment.truth)),
        ece=score(scores.ece),
        mistakes=_mistakes(assessment),
        n_mistakes=round(scores.n * (1 - scores.accuracy)),
        facts=_facts(assessment),
    )
    return render(
        "evaluation.html.j2",
        page=page,
        version=__version__,
        more_style=template_text("models.css"),
        shows_faces=True,
        precise=_precise,
        score=score,
    )


def _cards(scores: Scores) -> list[Card]:
    return [
        Card("Accuracy", _precise(scores.accuracy), "most probable label is the true one"),
        Card("Macro recall", _precise(scores.macro_recall), "mean over classes; rare classes count as much"),
        Card("Top-2 accuracy", _precise(scores.top2_accuracy), "true label is one of the two most probable"),
        Card("Macro F1", _precise(scores.macro_f1), "precision and recall, mean over classes"),
        Card("ECE", f"{scores.ece:.3f}", "mean distance of confidence and accuracy"),
        Card("Speed", f"{scores.faces_per_second or 0:,.0f}", "faces per second here, in batches of 64"),
    ]


def _kinds(assessment: Assessment) -> list[tuple[str, Scores]]:
    """Scores of the same answers by kind of labels or rows."""
    found = {
        "labels of the data set": assessment.scores,
        "the same, without rows that are also in the Training split": assessment.without_leaks,
        "majority of ten annotators (FER+), ties and non-faces left out": assessment.ferplus_majority,
    }
    return [(name, scores) for name, scores in found.items() if scores is not None]


def _classes(scores: Scores, labels: list[str]) -> list[_ClassRow]:
    colours = palette.colours(labels)
    return [_ClassRow(sanitize(label), colours[label], part) for label, part in scores.per_class.items()]


def _confusion(scores: Scores, labels: list[str]) -> list[_ConfusionRow]:
    """Rows of the matrix; the shade of a cell is its share of the row."""
    rows = []
    for label, counts in zip(labels, scores.confusion, strict=True):
        total = sum(counts)
        shares = [count / total if total else 0.0 for count in counts]
        cells = [
            _Cell(f"{count:,}", percent(share) if total else "", round(0.85 * share, 3), answer == label)
            for answer, count, share in zip(labels, counts, shares, strict=True)
        ]
        rows.append(_ConfusionRow(sanitize(label), cells, f"{total:,}"))
    return rows


def _diagram(bins: Sequence[ConfidenceBin]) -> _Diagram:
    """Lay out a bar of accuracy per bin of confidence, its distance from the diagonal, and the counts."""
    frame = _Frame()
    most = max((part.n for part in bins), default=1) or 1
    ticks = [
        _Tick(share, frame.left + share * frame.width, frame.top + (1 - share) * frame.height)
        for share in _TICKS
    ]
    return _Diagram([_bar(part, most, frame) for part in bins if part.n], ticks)


def _bar(part: ConfidenceBin, most: int, frame: _Frame) -> _Bar:
    """Lay out one bin; the count bar of `most` rows has full height."""
    low, high = sorted((part.accuracy, part.confidence))
    return _Bar(
        x=round(frame.left + part.low * frame.width + 1, 1),
        width=round((part.high - part.low) * frame.width - 2, 1),
        y=round(frame.top + (1 - part.accuracy) * frame.height, 1),
        height=round(part.accuracy * frame.height, 1),
        gap_y=round(frame.top + (1 - high) * frame.height, 1),
        gap_height=round((high - low) * frame.height, 1),
        count_height=round((frame.foot - 18) * part.n / most, 1),
        words=f"confidence {score(part.confidence)}, accuracy {score(part.accuracy)}, {pluralize(part.n, 'face')}",
    )


def _mistakes(assessment: Assessment) -> list[_Mistake]:
    answers = assessment.probs.argmax(axis=1)
    confidence = np.where(answers == assessment.truth, -1.0, assessment.probs.max(axis=1))
    order = np.argsort(-confidence, kind="stable")[:MOST_MISTAKES]
    labels = assessment.card.labels
    return [
        _Mistake(
            image=png_uri(enlarge(assessment.images[row], MISTAKE_PX)),
            truth=sanitize(labels[assessment.truth[row]]),
            answer=sanitize(labels[answers[row]]),
            confidence=percent(float(confidence[row])),
            given=percent(float(assessment.probs[row, assessment.truth[row]])),
        )
        for row in order
        if confidence[row] >= 0
    ]


def _facts(assessment: Assessment) -> list[tuple[str, str]]:
    card = assessment.card
    prior = ", ".join(f"{label} {percent(share)}" for label, share in card.prior_by_label.items())
    return [
        ("Model", f"{card.name}, sha256 {card.sha256[:16]}…"),
        ("Trained on", f"{card.data}, {card.rows:,} rows, {card.leaks:,} leaking rows left out"),
        ("Selected on", card.selection or "–"),
        ("Heads", "one" if card.blend is None else str(card.blend)),
        ("Temperature", f"{card.temperature:g}"),
        ("Class prior that the scores assume", prior or "unknown"),
    ]


def _notes(assessment: Assessment) -> list[str]:
    notes = []
    if assessment.leaks is None:
        notes.append("The data does not say whether the model was trained on some of these rows.")
    elif assessment.leaks:
        notes.append(
            f"{pluralize(assessment.leaks, 'row')} measured here are also in the Training split. "
            f"According to its card, {assessment.card.leaks:,} such rows were left out when this model was trained."
        )
    if assessment.left_out:
        notes.append(
            f"{pluralize(assessment.left_out, 'row')} left out: their classes are not classes of this model."
        )
    if assessment.card.merged:
        merged = ", ".join(f"{name} as {label}" for name, label in assessment.card.merged.items())
        notes.append(f"Counted together: {sanitize(merged)}.")
    empty = [label for label, part in assessment.scores.per_class.items() if not part.support]
    if empty:
        notes.append(
            f"No row is labelled {', '.join(map(sanitize, empty))}: macro means are over the other classes."
        )
    notes += [
        f"{pluralize(count, 'row')} skipped: {sanitize(reason)}."
        for reason, count in assessment.skipped.items()
    ]
    return notes


def _precise(share: float) -> str:
    """A share to a tenth of a percent: models differ by less than a whole one."""
    return f"{100 * share:.1f}\u202f%"
