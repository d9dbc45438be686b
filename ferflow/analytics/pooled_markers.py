"""Markers of one label, pooled over the participants of several sessions: means in scenes, and responses to markers.

A participant counts once, however many markers there are: first the participant's own time in the scene, or around the
markers, is added up, weighted by readable time; then participants are averaged.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from ferflow.analytics.cohort import Cohort, CohortVideo, Part, Participant, is_same_length
from ferflow.analytics.event_locked import Segment, instants_in, lags, segments_of
from ferflow.analytics.intervals import Band, Interval, mean_interval
from ferflow.analytics.markers import event_markers
from ferflow.analytics.measures import MEASURES
from ferflow.analytics.shared_clock import band_at_points
from ferflow.analytics.stimuli import Stimulus
from ferflow.analytics.tally import column, ratio
from ferflow.analytics.timeline import bin_of
from ferflow.types import Float64Array


@dataclass(frozen=True, slots=True)
class Scene:
    """A segment or an instant on the time that sessions share."""

    start_s: float
    end_s: float | None
    """None for an instant."""
    label: str


@dataclass(frozen=True, slots=True)
class _VideoMarkers:
    """The markers of one video as far as they lie within its stimulus; times are those of the video."""

    segments: Mapping[str, Sequence[Segment]] = field(default_factory=dict)
    """By label."""
    starts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Times of the markers by label; of a segment its start."""

    @classmethod
    def of(cls, video: CohortVideo) -> _VideoMarkers:
        markers = event_markers(video.markers)
        segments: dict[str, list[Segment]] = {}
        starts: dict[str, list[float]] = {}
        # With their starts before the video, so that scenes of a stimulus start alike in all sessions.
        found = [one for one in segments_of(markers, video.end_s, -math.inf) if one.end_s > video.start_s]
        for segment in found:
            segments.setdefault(segment.label, []).append(segment)
        for label, time_s in (
            *((one.label, one.start_s) for one in found),
            *((one.label, one.time_s) for one in instants_in(markers)),
        ):
            if video.start_s <= time_s < video.end_s:
                starts.setdefault(label, []).append(time_s)
        return cls(segments, starts)

    @property
    def first_times(self) -> Mapping[str, Sequence[float]]:
        """Starts of all markers by label, also of segments that start before the stimulus or the video."""
        labels = dict.fromkeys([*self.segments, *self.starts])
        return {
            label: sorted(
                {*self.starts.get(label, ()), *(one.start_s for one in self.segments.get(label, ()))}
            )
            for label in labels
        }


@dataclass(frozen=True, slots=True)
class PooledMarkers:
    """The labels that several sessions have, with the participants of these sessions."""

    stimulus: Stimulus | None
    """None: the sessions share none."""
    cohort: Cohort
    bin_seconds: float
    scenes: tuple[str, ...]
    """Labels of segments, in the order in which they usually start."""
    labels: tuple[str, ...]
    """All labels: first events, then scenes, and of these those with most markers first."""
    markers: Mapping[str, _VideoMarkers]
    """By video id."""

    @property
    def lags(self) -> Float64Array:
        """Seconds from a marker at which its response is read."""
        return lags(self.bin_seconds)

    def times(self, video_id: str, label: str) -> Sequence[float]:
        """Times of the markers of a label in a video; of a segment its start."""
        return self.markers[video_id].starts.get(label, ()) if video_id in self.markers else ()

    def n_markers(self, label: str) -> int:
        """Number of markers of a label over the sessions of participants who are counted."""
        counted = {video_id for one in self.cohort.participants for video_id in one.video_ids}
        return sum(
            len(self.markers[video_id].starts.get(label, ())) for video_id in counted & set(self.markers)
        )

    def scene(self, label: str, group: str | None, name: str) -> Interval:
        """Mean of a measure in the scenes of a label, over the participants of a group; None: over all."""
        values = [self._scene_of(one, label, name) for one in self.cohort.of(group)]
        return mean_interval(values, MEASURES[name].range)

    def response(self, label: str, group: str | None, name: str) -> Band:
        """Mean of a measure at each lag from the markers of a label, over the participants of a group; None: over all.

        At each lag, the bin that contains the time of the marker plus the lag counts.
        """
        curves = [self._response_of(one, label, name) for one in self.cohort.of(group)]
        return band_at_points(
            MEASURES[name], np.array(curves, np.float64).reshape(len(curves), len(self.lags))
        )

    def _scene_of(self, participant: Participant, label: str, name: str) -> float:
        total = np.zeros(2)
        for part in participant.parts:
            starts, ends = column(part.rows, "bin_start_s"), column(part.rows, "bin_end_s")
            for one in self._markers_of(part).segments.get(label, ()):
                inside = np.clip(np.minimum(ends, one.end_s) - np.maximum(starts, one.start_s), 0, None)
                total += _weighted_sum(part, name, ratio(inside, ends - starts))
        return float(ratio(*total))

    def _response_of(self, participant: Participant, label: str, name: str) -> Float64Array:
        at = self.lags
        sums, weights = np.zeros(len(at)), np.zeros(len(at))
        for part in participant.parts:
            values, weight = _by_bin(part, name, self.bin_seconds)
            for start_s in self._markers_of(part).starts.get(label, ()):
                bins = bin_of(start_s + at, self.bin_seconds)
                inside = (bins >= 0) & (bins < len(values))
                sums[inside] += values[bins[inside]]
                weights[inside] += weight[bins[inside]]
        return ratio(sums, weights)

    def _markers_of(self, part: Part) -> _VideoMarkers:
        return self.markers.get(part.video.video_id, _VideoMarkers())


def pool_markers(
    videos: Sequence[CohortVideo], cohort: Cohort, stimulus: Stimulus | None
) -> PooledMarkers | None:
    """Find the labels that two or more videos have; None if there are none.

    Args:
        videos: the sessions of one stimulus, or those without one.
        cohort: their participants.
        stimulus: of the sessions.
    """
    # Of bins of another length, the lags would be others.
    first = next((video.bin_seconds for video in videos if len(video.timeline)), float("nan"))
    markers = {
        video.video_id: _VideoMarkers.of(video)
        for video in videos
        if is_same_length(video.bin_seconds, first)
    }
    n_videos = Counter(label for found in markers.values() for label in found.first_times)
    shared = [label for label, n in n_videos.items() if n > 1]
    if not shared:
        return None
    usual_start = {label: median(_starts_after_offset(videos, markers, label)) for label in shared}
    scenes = [label for label in shared if any(label in found.segments for found in markers.values())]
    pooled = PooledMarkers(stimulus, cohort, first, (), (), markers)
    return replace(
        pooled,
        scenes=tuple(sorted(scenes, key=lambda label: (usual_start[label], label))),
        labels=tuple(
            sorted(
                shared,
                key=lambda label: (label in scenes, -pooled.n_markers(label), usual_start[label], label),
            )
        ),
    )


def common_scenes(videos: Sequence[CohortVideo], bin_seconds: float) -> list[Scene]:
    """Markers that lie at the same time, within a bin, in every video that has their label; by start.

    Args:
        videos: the sessions of one stimulus.
        bin_seconds: length of their bins.
    """
    found: dict[str, list[list[Scene]]] = {}
    for video in videos:
        own: dict[str, list[Scene]] = {}
        for scene in _scenes_of(video):
            own.setdefault(scene.label, []).append(scene)
        for label, scenes in own.items():
            found.setdefault(label, []).append(sorted(scenes, key=lambda scene: scene.start_s))
    same = [
        scenes
        for lists in found.values()
        if len({len(one) for one in lists}) == 1
        for scenes in zip(*lists, strict=True)
        if max(scene.start_s for scene in scenes) - min(scene.start_s for scene in scenes) < bin_seconds
    ]
    return sorted((scenes[0] for scenes in same), key=lambda scene: (scene.start_s, scene.label))


def _scenes_of(video: CohortVideo) -> Iterator[Scene]:
    found, offset_s = _VideoMarkers.of(video), video.session.offset_s
    for segments in found.segments.values():
        for one in segments:
            yield Scene(one.start_s - offset_s, one.end_s - offset_s, one.label)
    for label, starts in found.starts.items():
        with_length = {one.start_s for one in found.segments.get(label, ())}
        for start_s in starts:
            if start_s not in with_length:
                yield Scene(start_s - offset_s, None, label)


def _starts_after_offset(
    videos: Sequence[CohortVideo], markers: Mapping[str, _VideoMarkers], label: str
) -> list[float]:
    return [
        start_s - video.session.offset_s
        for video in videos
        if video.video_id in markers
        for start_s in markers[video.video_id].first_times.get(label, ())
    ]


def _weighted_sum(part: Part, name: str, share: Float64Array) -> Float64Array:
    """Sum of values, and sum of weights, over shares of the bins of a participant's rows; float64 (2,)."""
    values, weights = column(part.rows, name), part.weights(name) * share
    known = np.isfinite(values)
    return np.array([(values * weights)[known].sum(), weights[known].sum()])


def _by_bin(part: Part, name: str, bin_seconds: float) -> tuple[Float64Array, Float64Array]:
    """Sum of weighted values, and sum of weights, by bin of the video, float64 (bins,)."""
    values, weights = column(part.rows, name), part.weights(name)
    known = np.isfinite(values)
    bins = bin_of(column(part.rows, "bin_start_s"), bin_seconds)
    n = int(bins.max(initial=-1)) + 1
    sums, totals = (
        np.bincount(bins[known], parts[known], n).astype(np.float64) for parts in (values * weights, weights)
    )
    return sums, totals
