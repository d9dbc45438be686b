"""Moments of sessions that are worth a clip: peaks, markers of a label, or where an expression shows most.

>>> find_moments([(video_id, timeline, markers)], Wanted(expression="surprise", top=10))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ferflow.analytics.cohort import CohortVideo
from ferflow.analytics.markers import event_markers, markers_in
from ferflow.analytics.peaks import PEAK_SPACING_SECONDS, peaks
from ferflow.analytics.tally import column
from ferflow.analytics.timeline import person_rows, shown_columns
from ferflow.errors import OptionsError
from ferflow.text import pluralize, sanitize

LEAST_SHARE = 0.25
"""Of a bin's readable time in which a person shows an expression; less is no moment of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which moments."""

    top: int = 5
    """The strongest ones; of markers all, in order."""
    over_all: bool = False
    """Of all sessions together, not of each."""
    marker: str | None = None
    """Around markers with this label."""
    expression: str | None = None
    """Where somebody shows this expression."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a session."""

    video_id: str
    start_s: float
    end_s: float
    """Of what happens; the same as the start for a moment."""
    title: str
    strength: float
    """Comparable within one choice of moments."""


def find_moments(videos: Sequence[CohortVideo], wanted: Wanted) -> list[Moment]:
    """Find them, by session and time.

    Raises:
        OptionsError: there is none; or no model knows the expression.
    """
    by_video = [list(_find(video, wanted)) for video in videos]
    found = [moment for moments in by_video for moment in moments]
    if not found:
        raise OptionsError(_explain_nothing(videos, wanted))
    if wanted.marker is not None:
        return found
    if wanted.over_all:
        chosen = _strongest(found, wanted.top)
    else:
        chosen = [moment for moments in by_video for moment in _strongest(moments, wanted.top)]
    order = {video.video_id: place for place, video in enumerate(videos)}
    return sorted(chosen, key=lambda one: (order[one.video_id], one.start_s))


def _find(video: CohortVideo, wanted: Wanted) -> Iterable[Moment]:
    if wanted.marker is not None:
        return _around_markers(video, wanted.marker)
    if wanted.expression is not None:
        return _of_expression(video, wanted.expression)
    return [
        Moment(
            video.video_id,
            peak.time_s,
            peak.time_s,
            f"peak: {peak.label or peak.curve}",
            float(peak.prominence),
        )
        for peak in peaks(video.timeline)
    ]


def _strongest(moments: Sequence[Moment], top: int) -> list[Moment]:
    return sorted(moments, key=lambda one: (-one.strength, one.video_id, one.start_s))[:top]


def _around_markers(video: CohortVideo, label: str) -> list[Moment]:
    return [
        Moment(video.video_id, one.time_s, one.time_s if one.end_s is None else one.end_s, one.label, 0.0)
        for one in markers_in(event_markers(video.markers))
        if one.label.casefold() == label.casefold()
    ]


def _of_expression(video: CohortVideo, label: str) -> list[Moment]:
    """The bins in which a person shows the expression longest, then most certainly, some seconds apart."""
    rows = person_rows(video.timeline)
    known = [name.removeprefix("shown_") for name in shown_columns(rows)]
    if label not in known:
        raise OptionsError(
            f"no expression {sanitize(label[:40])!r}. There is: {', '.join(map(sanitize, known))}."
        )
    shown, score = _values(rows, f"shown_{label}"), _values(rows, f"prob_{label}")
    starts, ends, persons = (column(rows, name) for name in ("bin_start_s", "bin_end_s", "person_id"))
    kept: list[Moment] = []
    for row in np.lexsort((score, shown))[::-1].tolist():
        if shown[row] < LEAST_SHARE:
            break
        middle = (starts[row] + ends[row]) / 2
        if all(abs(middle - one.start_s) >= PEAK_SPACING_SECONDS for one in kept):
            name = video.names.name_of(int(persons[row]))
            strength = float(shown[row] + score[row])
            kept.append(Moment(video.video_id, middle, middle, f"{label}: {name}", strength))
    return kept


def _values(rows: pa.Table, name: str) -> np.typing.NDArray[np.float64]:
    values: np.typing.NDArray[np.float64] = np.nan_to_num(column(rows, name))
    return values


def _explain_nothing(videos: Sequence[CohortVideo], wanted: Wanted) -> str:
    """What was looked for, and what there is."""
    n_sessions = pluralize(len(videos), "session")
    if wanted.marker is not None:
        return f"no marker {sanitize(wanted.marker[:80])!r} in {n_sessions}. {_list_labels(videos)}"
    if wanted.expression is not None:
        return (
            f"no moment of {sanitize(wanted.expression)} in {n_sessions}: no person shows it for "
            f"{100 * LEAST_SHARE:.0f} % of the readable time of a bin. {_list_expressions(videos)}"
        )
    return f"no peak in {n_sessions}: no curve rises enough. Use --expression or --marker."


def _list_expressions(videos: Sequence[CohortVideo]) -> str:
    """The expressions with a moment, the most frequent bins first."""
    often = Counter[str]()
    for video in videos:
        rows = person_rows(video.timeline)
        for name in shown_columns(rows):
            often[name.removeprefix("shown_")] += int((_values(rows, name) >= LEAST_SHARE).sum())
    shown = [label for label, n in often.most_common() if n]
    return f"Shown that long: {', '.join(map(sanitize, shown)) or 'none'}."


def _list_labels(videos: Sequence[CohortVideo]) -> str:
    labels = sorted({one.label for video in videos for one in markers_in(event_markers(video.markers))})
    return "There is: " + ", ".join(map(sanitize, labels[:10])) + "." if labels else "There are no markers."
