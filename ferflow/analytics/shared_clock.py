"""Curves of participants over the time that their sessions share: that of one stimulus, or of a single session."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferflow.analytics.cohort import (
    Cohort,
    CohortVideo,
    Participant,
    build_cohort,
    count_bins,
    is_same_length,
)
from ferflow.analytics.intervals import Band, mean_band, share_band
from ferflow.analytics.measures import LEADING, MEASURES, Measure
from ferflow.analytics.stimuli import Stimulus
from ferflow.analytics.tally import Tally, column
from ferflow.types import Float64Array, Int64Array

MOST_POINTS = 1200
"""Largest number of points of a curve, about the width of a chart in pixels; neighbouring bins are joined beyond."""

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class SharedClock:
    """The sessions of one stimulus, or a single session, with the participants on its time."""

    stimulus: Stimulus | None
    """None: a single session, of one file or several parts, whose people share its own time."""
    videos: tuple[CohortVideo, ...]
    cohort: Cohort
    bin_seconds: float
    bins_joined: int
    """Bins of the tables in one point of a curve."""
    n_points: int
    other_bins: tuple[str, ...] = ()
    """Videos left out because their bins have another length."""

    @property
    def step_s(self) -> float:
        """Time between two points of a curve."""
        return self.bin_seconds * self.bins_joined

    @property
    def end_s(self) -> float:
        """Where the last point ends."""
        return self.n_points * self.step_s

    def curve(self, participant: Participant, name: str) -> Float64Array:
        """A measure at each point, float64 (points,); NaN where unknown."""
        return self.total(participant, [name]).mean(name)

    def total(self, participant: Participant, names: Sequence[str]) -> Tally:
        """Sums of measures at each point, over all sessions of a participant."""
        parts = (
            part.tally(part.bins // self.bins_joined, self.n_points, names) for part in participant.parts
        )
        return sum(parts, start=Tally())

    def band(self, group: str | None, name: str) -> Band:
        """Mean of a measure over the participants of a group at each point, with its interval; None: over all."""
        curves = [self.curve(one, name) for one in self.cohort.of(group)]
        return band_at_points(
            MEASURES[name], np.array(curves, np.float64).reshape(len(curves), self.n_points)
        )

    def n_readable(self, group: str | None) -> Float64Array:
        """Number of participants of a group whose face is readable at each point; None: of all."""
        return self.band(group, "engagement").n

    def ever_reacted(self, group: str | None) -> Band:
        """Share of the participants of a group who have reacted at or before each point; None: of all."""
        first = np.array([self._first_reaction(one) for one in self.cohort.of(group)], dtype=np.int64)
        points = np.arange(self.n_points)
        return share_band((first[:, None] <= points).astype(np.float64).reshape(len(first), self.n_points))

    def still_there(self, group: str | None) -> Band:
        """Share of participants of a group whose face is seen at or after each point; None: of all.

        Those who are not counted because they leave early are in it, if a participant was to be expected in their
        video: without them, no participant would ever leave at the beginning.
        """
        out = [one.participant for one in self.cohort.left_out]
        early = [one for one in out if one.is_expected and group in (None, one.group)]
        last = np.array([self._last_sight(one) for one in (*self.cohort.of(group), *early)], dtype=np.int64)
        seen = last[last >= 0]
        points = np.arange(self.n_points)
        return share_band((seen[:, None] >= points).astype(np.float64).reshape(len(seen), self.n_points))

    def _first_reaction(self, participant: Participant) -> int:
        """Point in which a participant first reacts; `NEVER`: in none."""
        found = [self._points(part.bins[column(part.rows, "reacting") == 1]) for part in participant.parts]
        return int(np.concatenate(found).min(initial=NEVER))

    def _last_sight(self, participant: Participant) -> int:
        """Point in which the face of a participant is last seen; -1: in none."""
        found = [self._points(part.bins[column(part.rows, "face_s") > 0]) for part in participant.parts]
        return int(np.concatenate(found).max(initial=-1))

    def _points(self, bins: Int64Array) -> Int64Array:
        return bins // self.bins_joined


def band_at_points(measure: Measure, values: Float64Array) -> Band:
    """Mean of a measure over participants at single points, with the interval that suits it.

    Args:
        measure: which.
        values: float64 (participants, points), NaN where unknown.
    """
    # Within a bin, whether a participant shows an expression is nearly always yes or no.
    is_share = measure.majority or measure.name == LEADING
    return share_band(values) if is_share else mean_band(values, measure.range)


def build_clocks(videos: Sequence[CohortVideo]) -> tuple[SharedClock, ...]:
    """One clock for each stimulus, by name; for a single recording without a stimulus, its own.

    Stimuli without a participant who is counted have none.
    """
    by_stimulus: dict[Stimulus | None, list[CohortVideo]] = {}
    for video in videos:
        by_stimulus.setdefault(video.stimulus, []).append(video)
    if len(videos) > 1 and not _is_one_recording(videos):
        # Sessions that are not known to share anything have no common time.
        by_stimulus.pop(None, None)
    clocks = [_build_clock(stimulus, same) for stimulus, same in by_stimulus.items()]
    found = [clock for clock in clocks if clock is not None]
    return tuple(sorted(found, key=lambda clock: (clock.stimulus.name if clock.stimulus else "").casefold()))


def _is_one_recording(videos: Sequence[CohortVideo]) -> bool:
    """Whether videos without a stimulus are the files of one recording, one after the other; see `parts`."""
    return len({video.session.participants for video in videos}) == 1 and all(
        video.session.part is not None and video.stimulus is None for video in videos
    )


def _build_clock(stimulus: Stimulus | None, videos: Sequence[CohortVideo]) -> SharedClock | None:
    known = [video.bin_seconds for video in videos if not math.isnan(video.bin_seconds)]
    if not known:
        return None
    # Bins of two lengths have no common clock, and joining them would average over times that only partly overlap. The
    # length that most videos have keeps most videos; of equally frequent lengths the shortest.
    bin_seconds = max(sorted(set(known)), key=known.count)
    fitting = tuple(video for video in videos if is_same_length(video.bin_seconds, bin_seconds))
    cohort = build_cohort(fitting)
    if not cohort.participants:
        return None
    n_bins = max(1, count_bins(max(video.clock_end_s for video in fitting), bin_seconds))
    joined = max(1, math.ceil(n_bins / MOST_POINTS))
    return SharedClock(
        stimulus=stimulus,
        videos=fitting,
        cohort=cohort,
        bin_seconds=bin_seconds,
        bins_joined=joined,
        n_points=math.ceil(n_bins / joined),
        other_bins=tuple(video.video_id for video in videos if video not in fitting and len(video.timeline)),
    )
