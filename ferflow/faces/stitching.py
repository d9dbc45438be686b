"""From tracks to persons, once a video has ended: tracks are joined whose clothing and hair look alike.

Average linkage: the two groups of tracks of the smallest mean distance become one, as long as that is at most 1. A
distance of 1 is the largest at which two tracks alone are taken for one person: small where a stranger is likely, and
larger where one track ends and another begins at the same place within one shot.

Tracks that share a frame are different persons. Two persons in the same clothes become one; the same person in other
clothes becomes two. Where the number of participants is known, groups are joined until there are no more than that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ferflow.faces.appearance import (
    Appearance,
    chromaticity_distances,
    luma_distances,
    near_distances,
)
from ferflow.faces.links import MAX_DISTANCE
from ferflow.faces.track_log import TrackSummary
from ferflow.types import BoolArray, Float32Array, Float64Array

# Distances that count as 1 from shot to shot. In the trial clips both were below 1 for 92 of 100 pairs of shots of one
# person, and one of them was above 1.9 for each pair of different persons.
_CHROMATICITY_SCALE = 0.05
_LUMA_SCALE = 0.15
COSINE_SCALE = 0.6
"""Distance of descriptions of faces that counts as 1."""

_NEAR_SECONDS = 10.0
_NEAR_FACE_HEIGHTS = 1.0
_NEAR_SIZE_RATIO = 1.6

_INCOMPARABLE = 100.0
"""Distance where no clothes can be compared, as in a gray video; there, the place decides among known participants."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How little tracks resemble each other, and how much each of them counts."""

    distance: Float64Array
    """Float64 (N, N); up to 1, two tracks are taken for one person. NaN: nothing can be compared."""
    weight: Float64Array
    """Float64 (N,), positive."""

    @classmethod
    def of_clothes(cls, tracks: Sequence[TrackSummary], appearances: Mapping[int, Appearance]) -> Self:
        """By clothing and hair; appearances by track id."""
        looks = [appearances.get(track.track_id, Appearance()) for track in tracks]
        elsewhere = np.maximum(
            chromaticity_distances(looks) / _CHROMATICITY_SCALE, luma_distances(looks) / _LUMA_SCALE
        )
        distance = np.where(_are_near(tracks), near_distances(looks) / MAX_DISTANCE, elsewhere)
        # Tracks of a few samples say little about clothes.
        return cls(distance, np.array([max(float(look.n_samples.max()), 0.5) for look in looks]))

    @classmethod
    def of_faces(cls, tracks: Sequence[TrackSummary], embeddings: Mapping[int, Float32Array]) -> Self:
        """By descriptions of faces, float32 (128,) of length 1, by track id."""
        unknown = np.full(128, np.nan, np.float32)
        rows = np.array([embeddings.get(track.track_id, unknown) for track in tracks], np.float64)
        return cls((1 - rows @ rows.T) / COSINE_SCALE, np.ones(len(tracks)))


def stitch(
    tracks: Sequence[TrackSummary],
    together: Collection[tuple[int, int]],
    likeness: Likeness,
    *,
    participants: int | None = None,
) -> list[list[int]]:
    """Join tracks into persons.

    Args:
        tracks: N tracks of one video.
        together: pairs of ids of tracks that are seen at the same time.
        likeness: of the tracks.
        participants: known number of persons. There may be more groups in the end, since tracks that share a frame are
            never joined.

    Returns:
        Ids of the tracks of each person, ascending; persons in order of their first track.
    """
    unknown = np.isnan(likeness.distance)
    distance = np.where(unknown, _INCOMPARABLE + _place_distances(tracks), likeness.distance)
    distance[_share_frames(tracks, together) | _are_apart(tracks)] = np.inf
    groups = link_groups(distance, likeness.weight, n_groups=participants)
    return sorted(sorted(tracks[row].track_id for row in rows) for rows in groups)


def link_groups(
    distance: Float64Array, weights: Float64Array, *, n_groups: int | None = None
) -> list[list[int]]:
    """Average linkage up to a mean distance of 1, and on until there are `n_groups`.

    Args:
        distance: float64 (N, N), symmetric; infinite: never in one group.
        weights: float64 (N,), positive.
        n_groups: None: no limit.

    Returns:
        Rows of each group.
    """
    distance, weights = distance.copy(), weights.copy()
    np.fill_diagonal(distance, np.inf)
    groups = {row: [row] for row in range(len(distance))}
    while (least := distance.min(initial=np.inf)) < np.inf:
        if least > 1 and (n_groups is None or len(groups) <= n_groups):
            break
        a, b = divmod(int(distance.argmin()), len(distance))
        share = weights[a] / (weights[a] + weights[b])
        # An infinite distance to either of them stays infinite.
        distance[a] = distance[:, a] = share * distance[a] + (1 - share) * distance[b]
        distance[b] = distance[:, b] = distance[a, a] = np.inf
        weights[a] += weights[b]
        groups[a] += groups.pop(b)
    return list(groups.values())


def _place_distances(tracks: Sequence[TrackSummary]) -> Float64Array:
    """Distances of the places where tracks end, float64 (N, N), in face heights and logarithms of size ratios."""
    places = np.array([[track.last.x, track.last.y] for track in tracks])
    heights = np.array([track.last.height for track in tracks])
    away = np.linalg.norm(places[:, None] - places[None], axis=2)
    growth = np.abs(np.log(heights[:, None] / heights[None]))
    distance: Float64Array = away / ((heights[:, None] + heights[None]) / 2) + growth
    return distance


def _share_frames(tracks: Sequence[TrackSummary], together: Collection[tuple[int, int]]) -> BoolArray:
    row = {track.track_id: i for i, track in enumerate(tracks)}
    shared = np.zeros((len(row), len(row)), np.bool_)
    for a, b in together:
        if a in row and b in row:
            shared[row[a], row[b]] = shared[row[b], row[a]] = True
    return shared


def _are_apart(tracks: Sequence[TrackSummary]) -> BoolArray:
    """Whether two tracks are in different regions, bool (N, N)."""
    regions = np.array([track.region for track in tracks])
    apart: BoolArray = regions[:, None] != regions[None]
    return apart


def _are_near(tracks: Sequence[TrackSummary]) -> BoolArray:
    """Whether one track ends where and shortly before the other begins, bool (N, N)."""
    near = np.zeros((len(tracks), len(tracks)), np.bool_)
    ordered = sorted(range(len(tracks)), key=lambda i: tracks[i].first_s)
    for position, i in enumerate(ordered):
        for j in ordered[position + 1 :]:
            if tracks[j].first_s - tracks[i].last_s > _NEAR_SECONDS:
                break
            if tracks[i].last_shot == tracks[j].first_shot:
                near[i, j] = near[j, i] = _ends_near(tracks[i], tracks[j])
    return near


def _ends_near(earlier: TrackSummary, later: TrackSummary) -> bool:
    ratio = later.first.height / earlier.last.height
    return (
        later.first_s >= earlier.last_s
        and earlier.last.distance(later.first) <= _NEAR_FACE_HEIGHTS
        and 1 / _NEAR_SIZE_RATIO <= ratio <= _NEAR_SIZE_RATIO
    )
