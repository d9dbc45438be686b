"""Checks links by appearance: where clothing and hair change from one frame to the next, another person's track starts.

A tracker links by place. Where a call shows another speaker in the same tile, sorts its tiles again, or somebody takes
the chair of a person who just left, the place stays and the person changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ferflow.faces.appearance import Appearance, PackedAppearance, Patch, near_distances
from ferflow.faces.detections import Detections, overlap_of_smaller
from ferflow.faces.looks import FrameLooks, Look, Looks
from ferflow.faces.shot_detector import Change
from ferflow.faces.tracker import Tracker
from ferflow.media.spacing import Spacing
from ferflow.media.video import Frame
from ferflow.regions import Region
from ferflow.store.schemas import UNTRACKED
from ferflow.types import Float32Array, Int32Array

_SAMPLE_SECONDS, _MAX_SAMPLE_SECONDS = 0.2, 1.0
"""Time between samples of a track at its start, and later: a tenth of its age, since the mean hardly changes then."""
CHECK_SECONDS = 0.06
"""Time between checks, every second frame at 25 and 30 per second: half of the cost, and at most a frame later."""
_FRAMES_BETWEEN_PACKING = 250
"""A track that was not seen for so many analysed frames has ended."""
_UNCUT_OVERLAP = 0.8
"""Of two boxes, as a share of the smaller one; a face moves less from one frame to the next."""
MAX_DISTANCE = 0.12
"""Up to which a face may be the same person, see `appearance.near_distances`. In the trial clips 99 of 100 samples were
closer than 0.1 to the mean of their shot, and different persons at least 0.15 apart."""


@dataclass(frozen=True, slots=True)
class _Face:
    time_s: float
    place: Float32Array
    """Float32 (4,), xyxy in pixels of the picture."""
    look: Look
    patch: Patch


@dataclass(slots=True)
class _LastSeen:
    """How the face of a track looked."""

    frame: int
    """Number of the frame."""
    place: Float32Array
    """Float32 (4,), xyxy in pixels of the picture, up to `CHECK_SECONDS` ago."""
    patch: Patch
    first_s: float
    sampled_s: float = -math.inf
    appearance: Appearance = field(default_factory=Appearance)
    """Of all samples."""

    def is_unchanged(self, face: _Face) -> bool:
        """Whether a face is at the same place, and the same picture."""
        overlap = overlap_of_smaller(self.place[None], face.place[None])[0, 0]
        return bool(overlap >= _UNCUT_OVERLAP) and face.patch.has_same_head(self.patch, after_cut=True)


class LinkChecker:
    """Gathers the appearance of each track of one video, and breaks links across which it changes."""

    def __init__(self, regions: Sequence[Region] = (), looks: Looks | None = None) -> None:
        """Start with a video.

        Args:
            regions: the parts of it that are analysed.
            looks: of its faces; None: cut out of its frames.
        """
        self._looks = looks or FrameLooks(regions)
        self._seen: dict[int, _LastSeen] = {}
        """By track id, as long as it may continue."""
        self._ended: dict[int, PackedAppearance] = {}
        self._n_frames = 0
        self._checks = Spacing(CHECK_SECONDS)

    def find_uncut(self, frame: Frame, faces: Detections, cuts: Sequence[Change]) -> set[int]:
        """Tracks whose part of the picture stays as it is at a cut, as the player's in a game capture; before `update`.

        Args:
            frame: the next frame.
            faces: N detections.
            cuts: how a new shot starts with it, per region. At a dissolve, everything looks as it did a moment ago.
        """
        if Change.CUT not in cuts:
            return set()
        found = set[int]()
        live = {track: seen for track, seen in self._seen.items() if seen.frame == self._n_frames}
        for row in range(len(faces)):
            if cuts[faces.region[row]] is Change.CUT:
                face = self._look_at(frame, faces, row)
                found |= {track for track, seen in live.items() if seen.is_unchanged(face)}
        return found

    def update(self, frame: Frame, faces: Detections, track_id: Int32Array, tracker: Tracker) -> Int32Array:
        """Check the links to a frame that a tracker was just updated with.

        Args:
            frame: the frame.
            faces: N detections.
            track_id: int32 (N,), as the tracker returned them.
            tracker: the tracker.

        Returns:
            int32 (N,), with the ids of new tracks where links were broken.
        """
        self._n_frames += 1
        # All tracks in the same frames: where the tiles of a call are sorted again, the old and the new track of a
        # person must not be seen together.
        is_due = self._checks.is_due(frame.time_s)
        checked = track_id.copy()
        for row in np.flatnonzero(track_id != UNTRACKED).tolist():
            if not is_due:
                self._continue(int(track_id[row]))
                continue
            face = self._look_at(frame, faces, row)
            if self._is_other_person(int(track_id[row]), face):
                checked[row] = tracker.break_link(row, float(faces.score[row]))
            if checked[row] != UNTRACKED:
                self._remember(int(checked[row]), face)
        self._pack_ended()
        return checked

    def appearances(self) -> dict[int, Appearance]:
        """Appearance of each track, by id."""
        ended = {track: packed.unpack() for track, packed in self._ended.items()}
        return ended | {track: seen.appearance for track, seen in self._seen.items()}

    def _look_at(self, frame: Frame, faces: Detections, row: int) -> _Face:
        look = self._looks.look(frame, faces, row)
        return _Face(frame.time_s, faces.xyxy[row], look, look.patch)

    def _pack_ended(self) -> None:
        if self._n_frames % _FRAMES_BETWEEN_PACKING:
            return
        last = self._n_frames - _FRAMES_BETWEEN_PACKING
        for track in [track for track, seen in self._seen.items() if seen.frame < last]:
            self._ended[track] = PackedAppearance.pack(self._seen.pop(track).appearance)

    def _continue(self, track: int) -> None:
        """Note a track for this frame if it was seen in the last one, too; others wait for the next check."""
        seen = self._seen.get(track)
        if seen is not None and seen.frame >= self._n_frames - 1:
            seen.frame = self._n_frames

    def _is_other_person(self, track: int, face: _Face) -> bool:
        seen = self._seen.get(track)
        if seen is None:
            return False
        # A link over frames without the face is doubtful, too: somebody else may have come in between.
        is_doubtful = seen.frame < self._n_frames - 1 or not face.patch.resembles(seen.patch)
        if is_doubtful and face.patch.has_same_head(seen.patch):
            return False
        # False for NaN: where nothing can be compared, the link stays.
        return is_doubtful and near_distances([seen.appearance, face.look.sample()])[0, 1] > MAX_DISTANCE

    def _remember(self, track: int, face: _Face) -> None:
        time_s = face.time_s
        seen = self._seen.get(track)
        if seen is None:
            seen = self._seen[track] = _LastSeen(self._n_frames, face.place, face.patch, time_s)
        if time_s - seen.sampled_s >= _sample_seconds(time_s - seen.first_s):
            seen.appearance.add(face.look.sample())
            seen.sampled_s = time_s
        seen.frame, seen.place, seen.patch = self._n_frames, face.place, face.patch


def _sample_seconds(age_s: float) -> float:
    return min(max(age_s / 10, _SAMPLE_SECONDS), _MAX_SAMPLE_SECONDS)
