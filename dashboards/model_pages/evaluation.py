"""The page of `ferflow evaluate`: confusion matrix, reliability diagram, most confident mistakes.

One file that needs no other: matrix and diagram are HTML and SVG, faces are embedded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ferflow import palette
from ferflow.dashboards.model_pages.data_uri import enlarged, png_uri
from ferflow.dashboards.shared.number_format import percent, score, shown, some
from ferflow.dashboards.shared.page import render, template_text, write_text
from ferflow.models.evaluation import Assessment
from ferflow.models.metrics import ConfidenceBin, Scores, reliability
from ferflow.version import __version__

MOST_MISTAKES = 24
MISTAKE_PX = 96

_FRAME = {"left": 44, "top": 10, "width": 380, "height": 260, "foot": 56}
"""Of the reliability diagram, pixels; `foot` holds the counts."""


def write_evaluation(path: Path, assessment: Assessment) -> None:
    """Write the page of an assessment to `path`."""
    write_text(path, render_evaluation(assessment))


def render_evaluation(assessment: Assessment) -> str:
    """The page as HTML; the same assessment gives the same text."""
    scores = assessment.scores
    rows = ", ".join(assessment.splits) or "all rows"
    page = {
        "name": assessment.card.name,
        "lead": f"{shown(assessment.data)}: {rows} · {some(scores.n, 'face')} · recipe {assessment.card.recipe}"
        f" · {assessment.weights}",
        "cards": _cards(scores),
        "kinds": _kinds(assessment),
        "classes": _classes(scores, list(assessment.card.labels)),
        "confusion": _confusion(scores, list(assessment.card.labels)),
        "reliability": _reliability(reliability(assessment.probs, assessment.truth)),
        "ece": score(scores.ece),
        "mistakes": _mistakes(assessment),
        "n_mistakes": round(scores.n * (1 - scores.accuracy)),
        "facts": _facts(assessment),
        "notes": _notes(assessment),
    }
    return render(
        "evaluation.html.j2",
        page=page,
        version=__version__,
        more_style=template_text("models.css"),
        shows_faces=True,
    )


def _cards(scores: Scores) -> list[dict[str, str]]:
    return [
        {"label": "Accuracy", "value": _precise(scores.accuracy), "note": "first answer is the label"},
        {
            "label": "Macro recall",
            "value": _precise(scores.macro_recall),
            "note": "mean over classes: rare ones count as much as common ones",
        },
        {
            "label": "Top-2 accuracy",
            "value": _precise(scores.top2_accuracy),
            "note": "label among the first two",
        },
        {
            "label": "Macro F1",
            "value": _precise(scores.macro_f1),
            "note": "precision and recall, over classes",
        },
        {"label": "ECE", "value": f"{scores.ece:.3f}", "note": "mean gap of confidence and accuracy"},
        {
            "label": "Speed",
            "value": f"{scores.faces_per_second or 0:,.0f}",
            "note": "faces per second here, batches of 64",
        },
    ]


def _kinds(assessment: Assessment) -> list[dict[str, str]]:
    """A row per kind of labels or rows that the same answers were measured by."""
    found = {
        "the data set's labels": assessment.scores,
        "the same, without rows that stand in Training too": assessment.without_leaks,
        "majority of ten annotators (FER+), ties and non-faces left out": assessment.ferplus_majority,
    }
    return [
        {
            "name": name,
            "n": f"{scores.n:,}",
            "accuracy": _precise(scores.accuracy),
            "top2": _precise(scores.top2_accuracy),
            "precision": _precise(scores.macro_precision),
            "recall": _precise(scores.macro_recall),
            "f1": _precise(scores.macro_f1),
            "ece": f"{scores.ece:.3f}",
        }
        for name, scores in found.items()
        if scores is not None
    ]


def _classes(scores: Scores, labels: list[str]) -> list[dict[str, Any]]:
    colours = palette.colours(labels)
    return [
        {
            "label": shown(label),
            "colour": colours[label],
            "precision": score(part.precision) if part.support else "–",
            "recall": score(part.recall) if part.support else "–",
            "width": round(100 * part.recall, 1),
            "f1": score(part.f1) if part.support else "–",
            "support": f"{part.support:,}",
        }
        for label, part in scores.per_class.items()
    ]


def _confusion(scores: Scores, labels: list[str]) -> list[dict[str, Any]]:
    """Rows of the matrix; a cell's shade is its share of the row."""
    rows = []
    for label, counts in zip(labels, scores.confusion, strict=True):
        total = sum(counts)
        shares = [count / total if total else 0.0 for count in counts]
        cells = [
            {
                "count": f"{count:,}",
                "share": percent(share) if total else "",
                "shade": round(0.85 * share, 3),
                "right": labels[k] == label,
            }
            for k, (count, share) in enumerate(zip(counts, shares, strict=True))
        ]
        rows.append({"label": shown(label), "cells": cells, "total": f"{total:,}"})
    return rows


def _reliability(bins: list[ConfidenceBin]) -> dict[str, Any]:
    """Geometry of the diagram: a bar of accuracy per bin of confidence, its distance from the diagonal, counts."""
    left, top, width, height, foot = _FRAME.values()
    most = max((part.n for part in bins), default=1) or 1
    drawn = []
    for part in bins:
        if not part.n:
            continue
        low, high = sorted((part.accuracy, part.confidence))
        drawn.append(
            {
                "x": round(left + part.low * width + 1, 1),
                "width": round((part.high - part.low) * width - 2, 1),
                "y": round(top + (1 - part.accuracy) * height, 1),
                "height": round(part.accuracy * height, 1),
                "gap_y": round(top + (1 - high) * height, 1),
                "gap_height": round((high - low) * height, 1),
                "count_height": round((foot - 18) * part.n / most, 1),
                "words": f"confidence {score(part.confidence)}, accuracy {score(part.accuracy)}, "
                f"{some(part.n, 'face')}",
            }
        )
    ticks = [{"share": share, "x": left + share * width, "y": top + (1 - share) * height} for share in _TICKS]
    return {"bins": drawn, "ticks": ticks, **_FRAME}


_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _mistakes(assessment: Assessment) -> list[dict[str, Any]]:
    answers = assessment.probs.argmax(axis=1)
    confidence = np.where(answers == assessment.truth, -1.0, assessment.probs.max(axis=1))
    order = np.argsort(-confidence, kind="stable")[:MOST_MISTAKES]
    labels = assessment.card.labels
    return [
        {
            "image": png_uri(enlarged(assessment.images[row], MISTAKE_PX)),
            "truth": shown(labels[assessment.truth[row]]),
            "answer": shown(labels[answers[row]]),
            "confidence": percent(float(confidence[row])),
            "given": percent(float(assessment.probs[row, assessment.truth[row]])),
        }
        for row in order
        if confidence[row] >= 0
    ]


def _facts(assessment: Assessment) -> list[tuple[str, str]]:
    card = assessment.card
    prior = ", ".join(
        f"{label} {percent(share)}" for label, share in zip(card.labels, card.prior, strict=False)
    )
    return [
        ("Model", f"{card.name}, sha256 {card.sha256[:16]}…"),
        ("Trained on", f"{card.data}, {card.rows:,} rows, {card.leaks:,} leaking rows left out"),
        ("Selected on", card.selection or "–"),
        ("Heads", "one" if card.blend is None else str(card.blend)),
        ("Temperature", f"{card.temperature:g}"),
        ("Class prior the scores assume", prior or "unknown"),
    ]


def _notes(assessment: Assessment) -> list[str]:
    notes = []
    if assessment.leaks is None:
        notes.append("The data does not tell which of these rows the model may have been trained on.")
    elif assessment.leaks:
        notes.append(
            f"{some(assessment.leaks, 'row')} measured here stand in the Training split too. "
            f"This model's card says that {assessment.card.leaks:,} such rows were left out of its training."
        )
    if assessment.left_out:
        notes.append(f"{some(assessment.left_out, 'row')} left out: of classes this model does not have.")
    if assessment.card.merged:
        merged = ", ".join(f"{name} as {label}" for name, label in assessment.card.merged.items())
        notes.append(f"Counted together: {shown(merged)}.")
    empty = [label for label, part in assessment.scores.per_class.items() if not part.support]
    if empty:
        notes.append(f"No row shows {', '.join(map(shown, empty))}: macro means are over the others.")
    notes += [
        f"{some(count, 'row')} skipped: {shown(reason)}." for reason, count in assessment.skipped.items()
    ]
    return notes


def _precise(share: float) -> str:
    """A share with a tenth of a percent: models differ by less than one."""
    return f"{100 * share:.1f}\u202f%"
