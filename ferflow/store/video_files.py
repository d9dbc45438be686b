"""Paths of the files of one video in an output folder, and which of them are its results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ferflow.errors import RecordsError
from ferflow.store.atomic_files import remove, remove_folder, temporary_path

THUMBNAILS = "thumbnails"
PAGE_STATUSES = ".pages"
"""Folder of what each page was made from."""


@dataclass(frozen=True, slots=True)
class VideoFiles:
    """Paths of the files of one video; `OutputFolder.video` gives them."""

    out: Path
    video_id: str
    part: str = ""
    """What tells the incomplete tables of several processes apart that may analyse the video at the same time; letters
    and digits. Empty: there is one at most."""

    def __post_init__(self) -> None:
        """Refuse an id that leads out of the output folder.

        Raises:
            RecordsError: the id is no plain name.
        """
        # Ids are also read from files that a user may have edited, such as run.json.
        if self.video_id in (".", "..") or any(mark in self.video_id for mark in "/\\\0"):
            raise RecordsError(f"{self.video_id!r} is not the id of a video: it leads out of {self.out}.")

    @property
    def frames(self) -> Path:
        """Table of frames."""
        return self._table("frames")

    @property
    def faces(self) -> Path:
        """Table of faces; its presence marks a finished video."""
        return self._table("faces")

    @property
    def faces_spool(self) -> Path:
        """Faces of a video in progress; only its temporary path exists."""
        return self._table("faces").with_suffix(".spool.parquet")

    @property
    def timeline(self) -> Path:
        """Table of time bins."""
        return self._table("timeline")

    @property
    def markers(self) -> Path:
        """Table of markers; exists only if some were given."""
        return self._table("markers")

    @property
    def signals(self) -> Path:
        """Table of continuous signals; exists only if some were given."""
        return self._table("signals")

    @property
    def report(self) -> Path:
        """The session's page."""
        return self.out / "reports" / f"{self.video_id}.html"

    @property
    def notes(self) -> Path:
        """Notes from the user, in Markdown, for the session's page; need not exist."""
        return self.out / "notes" / f"{self.video_id}.md"

    @property
    def page_status(self) -> Path:
        """What the page was made from; see `dashboards.refresh`."""
        return self.out / PAGE_STATUSES / f"{self.report.name}.json"

    @property
    def clips(self) -> Path:
        """Folder of short clips around the peaks; exists only if they were asked for."""
        return self.out / "reports" / f"{self.video_id}.clips"

    @property
    def thumbnails(self) -> Path:
        """Folder of a picture of each person; exists only if they were asked for."""
        return self.out / THUMBNAILS / self.video_id

    @property
    def has_clips(self) -> bool:
        """Whether there are clips, also of peaks that the page no longer shows."""
        return next(self.clips.glob("*.mp4"), None) is not None

    @property
    def has_thumbnails(self) -> bool:
        """Whether there is a picture of a person."""
        return next(self.thumbnails.glob("*.jpg"), None) is not None

    @property
    def is_finished(self) -> bool:
        """Whether the video has results."""
        return self.faces.exists()

    def remove(self) -> None:
        """Remove all results. Markers and signals stay: they come from the user, not from the analysis."""
        # First the file that marks them as finished, durably, so that old and new results are never mixed.
        clips = self.clips.glob("*.mp4")
        for path in (self.faces, self.report, self.page_status, self.timeline, self.frames, *clips):
            remove(path, out=self.out)
        self.remove_thumbnails()

    def remove_thumbnails(self) -> int:
        """Remove the pictures of the persons; returns their number."""
        pictures = list(self.thumbnails.glob("*.jpg"))
        for path in pictures:
            remove(path, out=self.out)
        remove_folder(self.thumbnails, out=self.out)
        return len(pictures)

    def remove_page(self) -> None:
        """Remove the page, as before one of the tables that it shows is replaced."""
        # First what it was made from: without that, a page that stays after all counts as stale.
        remove(self.page_status, out=self.out, durable=False)
        remove(self.report, out=self.out, durable=False)

    def unfinished(self, path: Path) -> Path:
        """Where a table of the analysis is written before it is complete."""
        return temporary_path(path.with_name(f"{path.name}.{self.part}") if self.part else path)

    def remove_unfinished(self) -> None:
        """Remove what an interrupted write left behind; nothing of processes with another `part`."""
        for path in (self.frames, self.faces, self.faces_spool, self.timeline, self.markers, self.signals):
            remove(self.unfinished(path), out=self.out, durable=False)

    def _table(self, name: str) -> Path:
        return self.out / name / f"{self.video_id}.parquet"
