"""Many sessions or many people as one cohort: participants on a common clock, group means with bands, comparisons.

A *participant* is the unit of counting: a person of a video, or the participant that the session list names for it.
Each participant counts once per group, however many videos, faces or frames show them. All numbers are defined in
`docs/numbers.md`, "Of a cohort". Everything here is a pure function of TIMELINE tables.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from ferflow.analytics.measures import MEASURES
from ferflow.analytics.person_names import NO_NAMES, PersonNames
from ferflow.analytics.session_list import UNLISTED, SessionRow
from ferflow.analytics.tally import Tally, column, tally
from ferflow.analytics.timeline import audience, bin_length
from ferflow.types import Float64Array, Int64Array

CONFIDENCE = 0.95
LEAST_SECONDS = 10.0
"""A participant who is in view for less is not counted, unless the session is shorter than twice this."""
MOST_POINTS = 1200
"""Largest number of points of a curve, about the width of a chart in pixels; neighbouring bins are joined beyond."""

_ROUNDING = 1e-6
_TOLERANCE_SECONDS = 1e-6
"""Tables store starts and ends of bins rounded to nanoseconds, and time in view is a sum over thousands of them."""


@dataclass(frozen=True, slots=True)
class CohortVideo:
    """One finished video of a cohort."""

    video_id: str
    timeline: pa.Table
    """TIMELINE with persons in place of tracks; see `person_names.person_timeline`."""
    names: PersonNames = NO_NAMES
    session: SessionRow = UNLISTED

    @property
    def bin_seconds(self) -> float:
        """Length of a bin; NaN without any."""
        return bin_length(self.timeline)


@dataclass(frozen=True, slots=True)
class Participant:
    """One participant within one group."""

    key: tuple[str, ...]
    """Identity: the given name, or video and track, which are two texts so that no name can equal them; the same in
    every group."""
    name: str
    group: str | None
    video_ids: tuple[str, ...]
    seconds: float
    """Time in view over all videos: the sum over bins of presence times length of a bin."""
    total: Tally
    """Sums and counts of all measures per point of the common clock; each bin of a video counts once."""

    def curve(self, name: str) -> Float64Array:
        """A measure at each point, float64 (points,); NaN where unknown."""
        return self.total.mean(name)

    def mean(self, name: str) -> float:
        """Mean over all bins in which a measure is known; NaN if there is none."""
        count = self.total.weights[name].sum()
        return float(self.total.sums[name].sum() / count) if count else float("nan")


@dataclass(frozen=True, slots=True)
class Cohort:
    """Participants on one clock."""

    participants: tuple[Participant, ...] = ()
    """By group, then in the order of the videos."""
    step_s: float = float("nan")
    """Time between two points of a curve."""
    bins_joined: int = 1
    """Bins of the tables in one point."""
    n_brief: int = 0
    """People left out because they are in view for too short a time; see `build_cohort`."""
    other_bins: tuple[str, ...] = ()
    """Videos left out because their bins have another length."""
    ambiguous: tuple[str, ...] = ()
    """Videos with a named participant that show several people, none of whom has that name."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups in alphabetical order, without None."""
        return tuple(sorted({one.group for one in self.participants if one.group is not None}))

    def of(self, group: str | None) -> tuple[Participant, ...]:
        """The participants of a group; None: all participants."""
        return tuple(one for one in self.participants if group is None or one.group == group)

    @property
    def n_participants(self) -> int:
        """Distinct participants; one may be in several groups."""
        return len({one.key for one in self.participants})

    @property
    def n_in_several(self) -> int:
        """Participants who are in more than one group."""
        return sum(n > 1 for n in Counter(one.key for one in self.participants).values())

    @property
    def n_points(self) -> int:
        """Length of a curve."""
        return max(
            (len(count) for one in self.participants for count in one.total.weights.values()), default=0
        )


@dataclass(frozen=True, slots=True)
class Band:
    """Mean over participants with its 95 % confidence band. Arrays are float64 (points,)."""

    mean: Float64Array
    low: Float64Array
    """NaN where fewer than two participants are known; may lie outside of the measure's range."""
    high: Float64Array
    n: Float64Array
    """Number of participants known at the point."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure in two groups, first minus second. NaN where a group is too small or no value varies."""

    measure: str
    first: str
    second: str
    n: tuple[int, int]
    difference: float
    low: float
    high: float
    """95 % confidence interval of the difference, with unequal variances (Welch, 1947)."""
    hedges_g: float
    g_low: float
    g_high: float
    cliffs_delta: float


def build_cohort(videos: Sequence[CohortVideo], groups: Sequence[str | None]) -> Cohort:
    """Put the participants of videos on one clock.

    Args:
        videos: in the order of the overview.
        groups: the group of each video; None: no group.

    Returns:
        The participants who are in view for `LEAST_SECONDS`, or for half of their session if that is shorter.
    """
    known = [video.bin_seconds for video in videos if not math.isnan(video.bin_seconds)]
    if not known:
        return Cohort()
    # Bins of two lengths have no common clock, and joining them would average over times that only partly overlap. The
    # length that most videos have keeps most videos; of equally frequent lengths the shortest.
    bin_seconds = max(sorted(set(known)), key=known.count)
    same = [abs(video.bin_seconds - bin_seconds) < _TOLERANCE_SECONDS for video in videos]
    n_bins = max(_last_bin(video, bin_seconds) for video, fits in zip(videos, same, strict=True) if fits) + 1
    joined = max(1, math.ceil(n_bins / MOST_POINTS))
    clock = _Clock(bin_seconds, joined, math.ceil(max(n_bins, 1) / joined))
    parts = [part for video, group, fits in zip(videos, groups, same, strict=True) if fits
             for part in _parts(video, group, clock)]  # fmt: skip
    found = _merge_parts(parts)
    # People who pass through the picture would count as much as those who sit through the session. Half of a session
    # is enough where 10 s would leave out everyone in a short clip.
    kept = [one for one, span in found
            if one.seconds >= min(LEAST_SECONDS, span / 2) - _TOLERANCE_SECONDS]  # fmt: skip
    return Cohort(
        participants=tuple(sorted(kept, key=lambda one: (one.group is None, one.group or ""))),
        step_s=bin_seconds * joined,
        bins_joined=joined,
        n_brief=len(found) - len(kept),
        other_bins=tuple(video.video_id for video, fits in zip(videos, same, strict=True)
                         if not fits and len(video.timeline)),
        ambiguous=tuple(video.video_id for video in videos if _is_ambiguous(video)),
    )  # fmt: skip


def band(curves: Float64Array) -> Band:
    """Mean over participants with its confidence band: m -+ t(n - 1) s / sqrt(n), at each point separately.

    t is Student's quantile (1908), s the sample standard deviation over participants.

    Args:
        curves: float64 (participants, points), NaN where unknown.
    """
    known = np.isfinite(curves)
    n = known.sum(axis=0).astype(np.float64)
    filled = np.where(known, curves, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / n
        variance = np.where(known, (curves - mean) ** 2, 0.0).sum(axis=0) / (n - 1)
        half = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.sqrt(variance / n)
    half = np.where(n >= 2, half, np.nan)
    return Band(np.where(n > 0, mean, np.nan), mean - half, mean + half, n)


def group_band(participants: Sequence[Participant], name: str, n_points: int) -> Band:
    """`band` of a measure over participants."""
    curves = np.array([one.curve(name) for one in participants], dtype=np.float64)
    # Without participants the array is (0,), which has no axis of points.
    return band(curves.reshape(len(participants), n_points))


def mean_interval(values: Iterable[float]) -> tuple[int, float, float, float]:
    """n, mean and bounds of its 95 % confidence interval (as in `band`) of the known values; NaN if undefined."""
    known = np.array([value for value in values if math.isfinite(value)], dtype=np.float64)
    one = band(known.reshape(-1, 1))
    return len(known), float(one.mean[0]), float(one.low[0]), float(one.high[0])


def compare(cohort: Cohort, measures: Sequence[str]) -> list[Comparison]:
    """Compare each pair of groups in each measure, over the participants' own means."""
    return [
        comparison(name, (first, [one.mean(name) for one in cohort.of(first)]),
                   (second, [one.mean(name) for one in cohort.of(second)]))
        for first, second in combinations(cohort.groups, 2)
        for name in measures
    ]  # fmt: skip


def comparison(
    measure: str, first: tuple[str, Sequence[float]], second: tuple[str, Sequence[float]]
) -> Comparison:
    """Compare two groups of values; unknown values do not count.

    Hedges' g = J (m1 - m2) / s with the pooled standard deviation s and J = 1 - 3 / (4 (n1 + n2 - 2) - 1). Its
    interval is g -+ 1.96 sqrt((n1 + n2) / (n1 n2) + g^2 / (2 (n1 + n2))) (Hedges & Olkin, 1985). Cliff's delta is the
    share of pairs in which the first value is larger minus the share in which it is smaller (Cliff, 1993).

    Args:
        measure: name of the measure.
        first: name and values of the first group.
        second: name and values of the second group.
    """
    a, b = (
        np.array([v for v in values if math.isfinite(v)], dtype=np.float64) for _, values in (first, second)
    )
    n = len(a), len(b)
    nan = float("nan")
    difference = float(a.mean() - b.mean()) if min(n) else nan
    low, high = _welch(a, b)
    g, half = _hedges(a, b)
    # U counts the pairs in which the first is larger, ties as a half: delta = 2 U / (n1 n2) - 1. Only U is used, so
    # "asymptotic" avoids the exact distribution that SciPy computes for the p-value of small groups.
    delta = (
        2 * float(stats.mannwhitneyu(a, b, method="asymptotic").statistic) / (n[0] * n[1]) - 1
        if min(n)
        else nan
    )
    return Comparison(measure, first[0], second[0], n, difference, low, high, g, g - half, g + half, delta)


def _welch(a: Float64Array, b: Float64Array) -> tuple[float, float]:
    """Bounds of Welch's interval of the difference."""
    if min(len(a), len(b)) < 2 or not _vary(a, b):
        return float("nan"), float("nan")
    with warnings.catch_warnings():
        # SciPy warns if the values of one group are nearly equal; the interval then follows from the other group.
        warnings.filterwarnings("ignore", "Precision loss occurred", RuntimeWarning)
        found = stats.ttest_ind(a, b, equal_var=False).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


def _vary(a: Float64Array, b: Float64Array) -> bool:
    """Whether either group varies by more than the rounding of float32 measures.

    Without variance an interval has the width 0, which would claim certainty.
    """
    return max(float(np.ptp(a)), float(np.ptp(b))) > _ROUNDING


def _hedges(a: Float64Array, b: Float64Array) -> tuple[float, float]:
    """Hedges' g and half the width of its interval."""
    n, m = len(a), len(b)
    if min(n, m) < 2 or not _vary(a, b):
        return float("nan"), float("nan")
    freedom = n + m - 2
    pooled = math.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / freedom)
    g = (1 - 3 / (4 * freedom - 1)) * float(a.mean() - b.mean()) / pooled
    spread = math.sqrt((n + m) / (n * m) + g * g / (2 * (n + m)))
    return g, float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * spread


# --- Who is counted -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Clock:
    bin_seconds: float
    joined: int
    n_points: int


@dataclass(frozen=True, slots=True)
class _Part:
    """One participant in one video."""

    key: tuple[str, ...]
    """Parts of equal key and group are one participant."""
    name: str
    group: str | None
    video_id: str
    seconds: float
    span: float
    """Length of the session."""
    total: Tally = field(default_factory=Tally)


def _last_bin(video: CohortVideo, bin_seconds: float) -> int:
    """Index of a video's last bin on the common clock, from 0."""
    ends = column(video.timeline, "bin_end_s")
    return max(0, round((float(ends.max()) - video.session.offset_s) / bin_seconds) - 1)


def _parts(video: CohortVideo, group: str | None, clock: _Clock) -> list[_Part]:
    table, session = video.timeline, video.session
    ids = _person_ids(video)
    if not session.participant:
        return [_person_part(video, track, group, clock) for track in ids]
    named = [track for track in ids if video.names.name_of(track) == session.participant]
    if named:
        # Tracks of one name are one person in `timeline` already, so there is one id at most.
        rows = table.filter(pc.equal(table.column("person_id"), named[0]))
    elif ids:
        # The list says that the video shows this participant. The audience's rows hold for one face under several ids,
        # as after a cut; where several people are in view, `ambiguous` reports the video.
        rows = audience(table)
    else:
        return []
    return [_part(video, rows, (session.participant,), session.participant, group, clock)]


def _person_part(video: CohortVideo, track: int, group: str | None, clock: _Clock) -> _Part:
    rows = video.timeline.filter(pc.equal(video.timeline.column("person_id"), track))
    given = video.names.by_track.get(track)
    key = (given,) if given else (video.video_id, str(track))
    return _part(video, rows, key, video.names.name_of(track), group, clock)


def _part(
    video: CohortVideo, rows: pa.Table, key: tuple[str, ...], name: str, group: str | None, clock: _Clock
) -> _Part:
    starts = column(rows, "bin_start_s") - video.session.offset_s
    bins = np.round(starts / clock.bin_seconds).astype(np.int64)
    # `offset_s` says where the session starts; what the camera recorded before is not part of it.
    rows, bins = rows.filter(pa.array(bins >= 0)), bins[bins >= 0]
    total = _tally_rows(rows, bins // clock.joined, clock.n_points)
    seconds = float(column(rows, "face_s").sum())
    length = (_last_bin(video, clock.bin_seconds) + 1) * clock.bin_seconds
    return _Part(key, name, group, video.video_id, seconds, length, total)


def _tally_rows(rows: pa.Table, points: Int64Array, n_points: int) -> Tally:
    """Sums by point, weighted as `timeline.weighted_means` weighs them."""
    values = {name: column(rows, name) for name in MEASURES}
    in_view = {"attention": values.pop("attention")}
    parts = [tally(values, points, n_points, column(rows, "readable_s")),
             tally(in_view, points, n_points, column(rows, "face_s"))]  # fmt: skip
    return sum(parts, start=Tally())


def _merge_parts(parts: list[_Part]) -> list[tuple[Participant, float]]:
    """Add up the parts of each participant; each participant with the length of its sessions."""
    by_participant: dict[tuple[str | None, tuple[str, ...]], list[_Part]] = {}
    for part in parts:
        by_participant.setdefault((part.group, part.key), []).append(part)
    return [
        (
            Participant(
                key=same[0].key,
                name=same[0].name,
                group=same[0].group,
                video_ids=tuple(part.video_id for part in same),
                seconds=sum(part.seconds for part in same),
                total=sum((part.total for part in same), start=Tally()),
            ),
            sum(part.span for part in same),
        )
        for same in by_participant.values()
    ]


def _is_ambiguous(video: CohortVideo) -> bool:
    if not video.session.participant:
        return False
    ids = _person_ids(video)
    return len(ids) > 1 and video.session.participant not in map(video.names.name_of, ids)


def _person_ids(video: CohortVideo) -> list[int]:
    ids: list[int] = video.timeline.column("person_id").drop_null().unique().to_pylist()
    return sorted(ids)
