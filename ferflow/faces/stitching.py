"""From tracks to persons, once a video has ended: tracks are joined whose clothing and hair look alike.

Average linkage: the two groups of tracks of the smallest mean distance become one, as long as that is at most 1. A
distance of 1 is the largest at which two tracks alone are taken for one person: small where a stranger is likely, and
larger where one track ends and another begins at the same place within one shot.

Tracks that share a frame are different persons. Two persons in the same clothes become one; the same person in another
light, or in other clothes, becomes two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ferflow.faces.appearance import (
    Appearance,
    chromaticity_distances,
    luma_distances,
    near_distances,
)
from ferflow.faces.links import MAX_DISTANCE
from ferflow.faces.track_log import TrackSummary
from ferflow.types import BoolArray, Float64Array

# Distances that count as 1 from shot to shot. In the trial clips both were below 1 for 92 of 100 pairs of shots of one
# person, and one of them was above 1.9 for each pair of different persons.
_CHROMATICITY_SCALE = 0.05
_LUMA_SCALE = 0.15

_NEAR_SECONDS = 10.0
_NEAR_FACE_HEIGHTS = 1.0
_NEAR_SIZE_RATIO = 1.6


def stitch(
    tracks: Sequence[TrackSummary],
    together: Collection[tuple[int, int]],
    appearances: Mapping[int, Appearance],
) -> list[list[int]]:
    """Join tracks into persons.

    Args:
        tracks: of one video.
        together: pairs of ids of tracks that share a frame.
        appearances: by track id.

    Returns:
        Ids of the tracks of each person, ascending; persons in order of their first track.
    """
    looks = [appearances.get(track.track_id, Appearance()) for track in tracks]
    elsewhere = np.maximum(
        chromaticity_distances(looks) / _CHROMATICITY_SCALE, luma_distances(looks) / _LUMA_SCALE
    )
    distance = np.where(_are_near(tracks), near_distances(looks) / MAX_DISTANCE, elsewhere)
    # NaN: nothing to compare, so that nothing speaks for one person.
    distance[np.isnan(distance) | _share_frames(tracks, together)] = np.inf
    # Tracks of a few samples say little about clothes.
    weights = np.array([max(float(look.n_samples.max()), 0.5) for look in looks])
    return sorted(
        sorted(tracks[row].track_id for row in rows) for rows in link_groups(distance, weights)
    )


def link_groups(distance: Float64Array, weights: Float64Array) -> list[list[int]]:
    """Average linkage up to a mean distance of 1.

    Args:
        distance: float64 (N, N), symmetric; infinite: never in one group.
        weights: float64 (N,), positive.

    Returns:
        Rows of each group.
    """
    distance, weights = distance.copy(), weights.copy()
    np.fill_diagonal(distance, np.inf)
    groups = {row: [row] for row in range(len(distance))}
    while groups and distance.min() <= 1:
        a, b = divmod(int(distance.argmin()), len(distance))
        share = weights[a] / (weights[a] + weights[b])
        # An infinite distance to either of them stays infinite.
        distance[a] = distance[:, a] = share * distance[a] + (1 - share) * distance[b]
        distance[b] = distance[:, b] = distance[a, a] = np.inf
        weights[a] += weights[b]
        groups[a] += groups.pop(b)
    return list(groups.values())


def _share_frames(tracks: Sequence[TrackSummary], together: Collection[tuple[int, int]]) -> BoolArray:
    row = {track.track_id: i for i, track in enumerate(tracks)}
    shared = np.zeros((len(tracks), len(tracks)), np.bool_)
    for a, b in together:
        shared[row[a], row[b]] = shared[row[b], row[a]] = True
    return shared


def _are_near(tracks: Sequence[TrackSummary]) -> BoolArray:
    """Whether one track ends where and shortly before the other begins, bool (N, N)."""
    near = np.zeros((len(tracks), len(tracks)), np.bool_)
    ordered = sorted(range(len(tracks)), key=lambda i: tracks[i].first_s)
    for position, i in enumerate(ordered):
        for j in ordered[position + 1 :]:
            if tracks[j].first_s - tracks[i].last_s > _NEAR_SECONDS or tracks[j].shot != tracks[i].shot:
                break
            near[i, j] = near[j, i] = _ends_near(tracks[i], tracks[j])
    return near


def _ends_near(earlier: TrackSummary, later: TrackSummary) -> bool:
    ratio = later.first.height / earlier.last.height
    return (
        later.first_s >= earlier.last_s
        and earlier.last.distance(later.first) <= _NEAR_FACE_HEIGHTS
        and 1 / _NEAR_SIZE_RATIO <= ratio <= _NEAR_SIZE_RATIO
    )
