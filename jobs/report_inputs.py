"""What a user lays beside a video for its page: markers, and the wish for clips of the peaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ferflow.analytics.markers import markers_beside, read_markers, store_markers
from ferflow.analytics.peaks import peaks
from ferflow.analytics.person_names import PersonNames, person_timeline, read_people
from ferflow.errors import OptionsError
from ferflow.render.clips import existing_clips, plan_clips, write_clips
from ferflow.store.failure_kinds import told
from ferflow.store.records import RecordPaths, finished_videos, read_metadata


@dataclass(frozen=True, slots=True)
class Beside:
    """Beside every video of a run."""

    markers: Path | None = None
    """One file of markers for all of them; None: the file beside each video, if there is one."""
    embed_clips: bool = False
    """Keep short clips around the peaks."""

    def check(self) -> None:
        """Look at what is meant for all videos before any work is done.

        Raises:
            OptionsError: the file of markers cannot be used.
        """
        if self.markers is not None:
            read_markers(self.markers)

    def bring(self, video: Path, paths: RecordPaths) -> None:
        """Keep the markers of a finished video, and cut its clips; a page made without them goes.

        Markers of an earlier run stay when there is no file of them any more.

        Raises:
            OptionsError: its file of markers cannot be used; its clips are cut for all that.
            VideoError: clips are wanted, but the video is gone.
        """
        try:
            file = self.markers or markers_beside(video)
            if file is not None and store_markers(paths, file):
                paths.report.unlink(missing_ok=True)
        finally:
            if self.embed_clips and _cut_clips(paths):
                paths.report.unlink(missing_ok=True)

    def bring_all(self, out: Path) -> dict[str, str]:
        """The same for every finished video of a folder, which must be held, without analysing anything.

        Returns:
            Why not, by video id; what is wrong with one video costs no other.
        """
        failed = {}
        for video_id in finished_videos(out):
            paths = RecordPaths(out, video_id)
            source = Path(video_id)
            try:
                source = Path((read_metadata(paths.faces).get("source") or {}).get("path") or video_id)
                self.bring(source, paths)
            except Exception as error:
                failed[video_id] = told(source, error)
        return failed


def _cut_clips(paths: RecordPaths) -> bool:
    """Cut the clips that are missing; whether any were."""
    tops = peaks(person_timeline(paths, _names(paths)))  # as the page has them
    if len(existing_clips(paths, tops)) == len(plan_clips(paths, tops)):
        return False
    write_clips(paths, tops)
    return True


def _names(paths: RecordPaths) -> PersonNames:
    try:
        return read_people(paths.out).of(paths.video_id).keyed()
    except OptionsError:  # told of by whoever makes the page
        return {}
