"""From tracks to persons, once a video has ended: tracks are joined whose clothing and hair look alike.

Average linkage: the two groups of tracks of the smallest mean distance become one, as long as that is at most 1. A
distance of 1 is the largest at which two tracks alone are taken for one person:

- close by in one shot (within a face, within seconds, of like size), where a stranger is unlikely: colours that differ
  by 0.15;
- elsewhere: chromaticities that differ by 0.05. Of different persons in the trial clips, the closest pair had 0.12.

Tracks that share a frame are different persons. Two persons in the same clothes become one; the same person in another
light, or in other clothes, becomes two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ferflow.faces.appearance import Appearance, chromaticity_distances, colour_distances
from ferflow.faces.track_log import TrackSummary
from ferflow.types import BoolArray, Float64Array, Int64Array

COLOUR_SCALE, CHROMATICITY_SCALE = 0.15, 0.05
"""Distances at which two tracks are taken for one person, close by and elsewhere."""

_NEAR_SECONDS = 10.0
_NEAR_FACE_HEIGHTS = 1.0
_NEAR_SIZE_RATIO = 1.6

_FORBIDDEN = 1e6
"""Distance of tracks that cannot be one person: large enough to forbid the union of groups of a thousand tracks each."""


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
    distance = np.where(
        _are_near(tracks),
        colour_distances(looks) / COLOUR_SCALE,
        chromaticity_distances(looks) / CHROMATICITY_SCALE,
    )
    # NaN: nothing to compare, so that nothing speaks for one person.
    distance[np.isnan(distance) | _share_frames(tracks, together)] = _FORBIDDEN
    groups = _link_groups(distance)
    ids = np.array([track.track_id for track in tracks], np.int64)
    return sorted(sorted(ids[groups == group].tolist()) for group in np.unique(groups))


def _link_groups(distance: Float64Array) -> Int64Array:
    """Average linkage up to a mean distance of 1; a number of the group of each row, int64 (N,)."""
    n = len(distance)
    if n < 2:
        return np.zeros(n, np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    pairs = distance[np.triu_indices(n, 1)]
    return fcluster(linkage(pairs, "average"), 1.0, "distance").astype(np.int64)


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
