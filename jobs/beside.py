"""What a user lays beside a video for its page: markers, and the wish for clips of the peaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ferflow.clips import clips_of, write_clips
from ferflow.markers import markers_beside, read_markers, store_markers
from ferflow.records import RecordPaths, read_table
from ferflow.summaries import peaks


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
            OptionsError: its file of markers cannot be used.
            VideoError: clips are wanted, but the video is gone.
        """
        file = self.markers or markers_beside(video)
        if file is not None and store_markers(paths, file):
            paths.report.unlink(missing_ok=True)
        if self.embed_clips:
            tops = peaks(read_table(paths.timeline))
            if len(clips_of(paths, tops)) < len(tops):
                write_clips(paths, tops)
                paths.report.unlink(missing_ok=True)
