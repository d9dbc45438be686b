"""Who is who in one video: tracks while it runs, persons once it has ended.

>>> people = People(options)
>>> for tracked in people.track(detected):
...     print(tracked.sample.frame.index, tracked.track_id)
>>> [(track.track_id, track.person_id) for track in people.finish(end_s=video.end_s)]
[(1, 1), (2, 2), (3, 1), (4, None)]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ferflow.analytics.sightings import Sighting, is_brief
from ferflow.faces.detections import Detections
from ferflow.faces.embeddings import FaceDescriber, TrackEmbeddings
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.links import LinkChecker
from ferflow.faces.looks import FrameLooks, Looks
from ferflow.faces.not_face import FaceMotion
from ferflow.faces.stitching import Likeness, stitch
from ferflow.faces.track_interpolation import KeyFrame, TrackedFrame, track_faces
from ferflow.faces.track_log import TrackLog, TrackSummary
from ferflow.faces.tracker import Tracker
from ferflow.options import AnalyzeOptions
from ferflow.regions import Region
from ferflow.text import timecode


@dataclass(frozen=True, slots=True)
class KnownTrack:
    """What is known of a track once the video has ended."""

    track_id: int
    person_id: int | None
    """From 1 on, in order of appearance; None: a person who is seen only briefly, or no face."""
    not_face: str | None = None
    """One of `store.schemas.NOT_FACE`, None for a face."""


class People:
    """Tracks and persons of one video."""

    def __init__(
        self,
        options: AnalyzeOptions,
        regions: Sequence[Region] = (),
        describer: FaceDescriber | None = None,
        looks: Looks | None = None,
    ) -> None:
        """Start with a video.

        Args:
            options: how it is analysed.
            regions: the parts of it that are.
            describer: to recognise persons by their faces; None: by their clothes.
            looks: of the faces; None: cut out of the frames.
        """
        looks = looks or FrameLooks(regions)
        self._options = options
        self._faces = None if describer is None else TrackEmbeddings(describer)
        self._regions = regions
        self._tracker = Tracker(score=options.score)
        self._links = LinkChecker(regions, looks)
        self._log = TrackLog()
        self._motion = FaceMotion(looks)
        self._not_face: dict[int, str] = {}
        self._now: KeyFrame | None = None
        self.warnings: list[str] = []
        """One line each, known after `finish`."""

    def track(self, detected: Iterable[tuple[FrameSample, Detections | None]]) -> Iterator[TrackedFrame]:
        """See `track_faces`; once for a video."""
        for tracked in track_faces(detected, self._tracker, self._links):
            self.note(tracked)
            yield tracked
            del tracked  # its frame would stay in memory while the next one is tracked

    def track_now(self, sample: FrameSample, found: Detections) -> tuple[TrackedFrame, TrackedFrame | None]:
        """Track the next frame of a live picture, which cannot wait for the one after it; use this or `track`.

        Returns:
            The frame; a face that is seen for the first time, with a score that does not start a track at once, has no
            id in it. And the frame before it, with the ids that this one confirmed, as `track` yields it; None at the
            first frame.
        """
        before, self._now = self._now, KeyFrame.track(sample, found, self._tracker, self._links)
        return self._now.tracked(), None if before is None else before.tracked(self._tracker.late_ids)

    def note(self, tracked: TrackedFrame) -> None:
        """Remember who is where, for `finish`; `track` does it by itself."""
        self._log.add(tracked)
        self._motion.add(tracked)
        if self._faces is not None:
            self._faces.add(tracked)

    def finish(self, *, end_s: float) -> list[KnownTrack]:
        """Stitch the tracks, after the last frame, and add to `warnings`.

        Args:
            end_s: end of the video.

        Returns:
            All tracks, by id.
        """
        self._log.pass_time(end_s)
        self._not_face = self._motion.find()
        groups = []
        for group in self._stitch():
            if self._motion.is_still(group):
                self._not_face |= dict.fromkeys(group, "still")
            elif not self._is_brief(group):
                groups.append(group)
        if self._options.participants is not None:
            groups = self._longest(groups, self._options.participants)
        person_of = {track: number for number, group in enumerate(groups, start=1) for track in group}
        return [
            KnownTrack(track, person_of.get(track), self._not_face.get(track))
            for track in sorted(self._log.tracks)
        ]

    def _stitch(self) -> list[list[int]]:
        """Ids of the tracks of each person, persons in order of appearance."""
        soles, rest = self._split_by_region()
        groups = [self._join_all(tracks) for tracks in soles if tracks]
        if self._options.stitch == "off" and self._options.participants is None:
            groups += [[track.track_id] for track in rest]
        else:
            groups += self._stitch_tracks(rest, participants=self._options.participants)
        return sorted(groups)

    def _split_by_region(self) -> tuple[list[list[TrackSummary]], list[TrackSummary]]:
        """Tracks that belong to one person, per region, and all others."""
        named = [number for number, region in enumerate(self._regions) if region.name is not None]
        tracks = [track for track in self._log.tracks.values() if track.track_id not in self._not_face]
        soles = [[track for track in tracks if track.region == number] for number in named]
        rest = [track for track in tracks if track.region not in named]
        return ([*soles, rest], []) if self._options.participants == 1 else (soles, rest)

    def _join_all(self, tracks: list[TrackSummary]) -> list[int]:
        """The tracks of an only participant; with a warning if they seem to be several people."""
        groups = self._stitch_tracks(tracks)
        usual = self._longest(groups, 1)
        others = [track for group in groups if group not in usual for track in group]
        # Together: a box that jumps to somebody else and back is another brief track each time.
        if others and not self._is_brief(others):
            who = (self._regions[tracks[0].region].name if self._regions else None) or "the only participant"
            first_s = min(self._log.tracks[track].first_s for track in others)
            self.warnings.append(
                f"{who}: at {timecode(first_s)} the largest face has other clothes and hair; it may be another "
                "person's. A smaller --region keeps others out"
            )
        return sorted(track.track_id for track in tracks)

    def _stitch_tracks(
        self, tracks: list[TrackSummary], *, participants: int | None = None
    ) -> list[list[int]]:
        if not tracks:
            return []
        likeness = (
            Likeness.of_clothes(tracks, self._links.appearances())
            if self._faces is None
            else Likeness.of_faces(tracks, self._faces.means())
        )
        return stitch(tracks, self._log.together(), likeness, participants=participants)

    def _longest(self, groups: list[list[int]], count: int) -> list[list[int]]:
        """The groups that are longest in view, in their order."""
        by_time = sorted(groups, key=lambda group: -self._sighting(group).seconds)[:count]
        return [group for group in groups if group in by_time]

    def _is_brief(self, group: Sequence[int]) -> bool:
        return is_brief(self._sighting(group), self._log.total_s)

    def _sighting(self, group: Sequence[int]) -> Sighting:
        tracks = [self._log.tracks[track] for track in group]
        return Sighting(
            first_s=min(track.first_s for track in tracks),
            last_s=max(track.last_s for track in tracks),
            seconds=sum(track.seconds for track in tracks),
            n_faces=sum(track.n_faces for track in tracks),
            best_score=max(track.best_score for track in tracks),
        )
