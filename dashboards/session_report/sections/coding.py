"""What human coders saw, compared with what the model shows and with each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ferflow.analytics.agreement import CoderAgreement, Confusion, ModelAgreement
from ferflow.analytics.tally import ratio
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    percent,
    percent_of,
    pluralize,
    sanitize,
    shorten,
    signed,
    timecode,
)
from ferflow.types import Float64Array

MOST_STEPS = 120
"""Steps of the strip; where a video has more bins, neighbouring ones are averaged."""


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """Time that one rater gave one label and the other another."""

    text: str
    share: str
    """Of the row."""
    shade: str
    is_same: bool


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """A label of the first rater."""

    label: str
    cells: tuple[ConfusionCell, ...]
    total: str


@dataclass(frozen=True, slots=True)
class Step:
    """A step of time of the strip."""

    left: str
    """In percent of the width."""
    width: str
    shade: str
    """Opacity: the share of agreement; empty: nothing was compared."""
    words: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two raters."""

    title: str
    summary: str
    axis: str
    labels: tuple[str, ...]
    rows: tuple[ConfusionRow, ...]
    steps: tuple[Step, ...]
    strip: str
    """What the strip shows, in words; empty without one."""


@dataclass(frozen=True, slots=True)
class CodingView:
    """All comparisons of the page."""

    hint: str
    comparisons: tuple[Comparison, ...]


def build_coding(session: Session) -> CodingView | None:
    """The comparisons; None without a coder's file about this video."""
    found = session.agreement
    if not found.with_model:
        return None
    hint = (
        "How far what human coders saw agrees with the model, and the coders with each other, over the time "
        "that both have labelled. Cohen's kappa is 1 where both always say the same, and 0 where they agree "
        "as often as chance alone would have it. No number above this section is changed by these files."
    )
    comparisons = [_describe_with_model(session, one) for one in found.with_model]
    return CodingView(hint, (*comparisons, *(_describe_coders(one) for one in found.between_coders)))


def _describe_with_model(session: Session, one: ModelAgreement) -> Comparison:
    coder = shorten(sanitize(one.coder), 40)
    parts = [_summarize(one.confusion)] if one.confusion.total_s else ["Nothing could be compared."]
    if one.unread_s > 0:
        parts.append(
            f"Another {timecode(one.unread_s)} that {coder} labelled is left out: the person is in view, but the model "
            "reads no expression."
        )
    if one.n_unknown:
        parts.append(
            f"{pluralize(one.n_unknown, 'stretch', 'stretches')} of {coder} about persons who are not in this video."
        )
    steps = _build_steps(session, one.by_bin)
    same = f"{coder} and the model over time: the darker, the more they agree; hatched where nothing was compared."
    return Comparison(
        f"{coder} and the model", " ".join(parts), f"{coder} ↓ · model →", one.confusion.labels,
        _build_rows(one.confusion), steps, same if steps else "",
    )  # fmt: skip


def _describe_coders(one: CoderAgreement) -> Comparison:
    first, second = (shorten(sanitize(coder), 40) for coder in one.coders)
    return Comparison(
        f"{first} and {second}", _summarize(one.confusion), f"{first} ↓ · {second} →", one.confusion.labels,
        _build_rows(one.confusion), (), "",
    )  # fmt: skip


def _summarize(confusion: Confusion) -> str:
    kappa = confusion.kappa
    if math.isnan(kappa):
        said = "Kappa is not defined, since both say the same one thing throughout."
    else:
        said = f"Cohen's kappa is {signed(kappa).removeprefix('+')}."
    return f"Both say the same in {percent(confusion.observed)} of {timecode(confusion.total_s)}. {said}"


def _build_rows(confusion: Confusion) -> tuple[ConfusionRow, ...]:
    rows = []
    for k, label in enumerate(confusion.labels):
        seconds = confusion.seconds[k]
        total = float(seconds.sum())
        cells = tuple(
            ConfusionCell(
                timecode(value) if value else UNKNOWN,
                percent_of(value, total) if value else "",
                f"{value / total * 0.6 if total else 0:.2f}",
                is_same=k == place,
            )
            for place, value in enumerate(seconds.tolist())
        )
        rows.append(ConfusionRow(sanitize(label), cells, timecode(total)))
    return tuple(rows)


def _build_steps(session: Session, by_bin: Float64Array) -> tuple[Step, ...]:
    n = len(by_bin)
    if not n or np.isnan(by_bin).all():
        return ()
    per_step = math.ceil(n / MOST_STEPS)
    starts = range(0, n, per_step)
    known = np.isfinite(by_bin)
    steps = []
    for start in starts:
        part = slice(start, start + per_step)
        share = float(ratio(np.nansum(by_bin[part]), known[part].sum()))
        is_known = math.isfinite(share)
        words = f"{timecode(start * session.bin_seconds)}: {f'agree {percent(share)}' if is_known else 'not compared'}"
        steps.append(
            Step(
                f"{100 * start / n:.3f}",
                f"{100 * min(per_step, n - start) / n:.3f}",
                f"{0.12 + 0.88 * share:.2f}" if is_known else "",
                words,
            )
        )
    return tuple(steps)
