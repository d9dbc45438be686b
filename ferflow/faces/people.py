"""Who is who in one video: tracks while it runs, persons once it has ended.

>>> people = People(options)
>>> for tracked in people.track(detected):
...     print(tracked.sample.frame.index, tracked.track_id)
>>> people.persons(end_s=video.end_s)
{1: 1, 2: 2, 3: 1, 4: None}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ferflow.analytics.sightings import Sighting, is_brief
from ferflow.faces.detections import Detections
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.links import LinkChecker
from ferflow.faces.stitching import stitch
from ferflow.faces.track_interpolation import TrackedFrame, track_faces
from ferflow.faces.track_log import TrackLog, TrackSummary
from ferflow.faces.tracker import Tracker
from ferflow.options import AnalyzeOptions


class People:
    """Tracks and persons of one video."""

    def __init__(self, options: AnalyzeOptions) -> None:
        self._options = options
        self._tracker = Tracker(score=options.score)
        self._links = LinkChecker()
        self._log = TrackLog()

    def track(self, detected: Iterable[tuple[FrameSample, Detections | None]]) -> Iterator[TrackedFrame]:
        """See `track_faces`; once for a video."""
        for tracked in track_faces(detected, self._tracker, self._links):
            self._log.add(tracked)
            yield tracked
            del tracked  # its frame would stay in memory while the next one is tracked

    def persons(self, *, end_s: float) -> dict[int, int | None]:
        """Person of each track, after the last frame.

        Args:
            end_s: end of the video.

        Returns:
            By track id: a number from 1 on, in order of appearance; None for tracks of persons seen only briefly.
        """
        self._log.pass_time(end_s)
        person_of: dict[int, int | None] = dict.fromkeys(self._log.tracks)
        n_persons = 0
        for group in stitch(list(self._log.tracks.values()), self._log.together, self._links.appearances):
            if not is_brief(_join([self._log.tracks[track] for track in group]), self._log.total_s):
                n_persons += 1
                person_of |= dict.fromkeys(group, n_persons)
        return person_of


def _join(tracks: Sequence[TrackSummary]) -> Sighting:
    return Sighting(
        first_s=min(track.first_s for track in tracks),
        last_s=max(track.last_s for track in tracks),
        seconds=sum(track.seconds for track in tracks),
        n_faces=sum(track.n_faces for track in tracks),
        best_score=max(track.best_score for track in tracks),
    )
