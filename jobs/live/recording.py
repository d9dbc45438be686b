"""A live session in an output folder: the tables of `analyze`, timeline and page, and markers as they are set.

>>> with Recording(Path("out"), source, options, tools) as recording:
...     recording.start(feed)
...     recording.write(analyzed)
...     recording.mark(12.5, "boss appears")
...     recording.finish(people, feed)

While it runs, tables are in `live.segments`. `ferflow doctor OUT --repair` makes those of `analyze` of them if it is
interrupted.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import structs

from ferflow.analytics.csv_input import write_csv
from ferflow.analytics.markers import SUFFIX
from ferflow.errors import RecordsError
from ferflow.faces.people import People
from ferflow.faces.track_interpolation import TrackedFrame
from ferflow.jobs.finished_video import bring_up_to_date
from ferflow.jobs.folder_pages import write_pages
from ferflow.jobs.job import Job
from ferflow.jobs.live.feed import Feed
from ferflow.jobs.live.segments import SegmentsWriter, remove_segments
from ferflow.jobs.live.sources import LiveSource
from ferflow.jobs.live.stream_analyzer import AnalyzedFrame
from ferflow.jobs.plan import check_compatible
from ferflow.jobs.video_job import RowCounts, identify_detector, identify_model
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, face_rows, frame_rows, track_rows
from ferflow.store.failure_kinds import failure_of
from ferflow.store.metadata import SourceInfo, VideoMetadata, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest, TaskReport, VideoTask, timestamp
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize
from ferflow.version import __version__

log = logging.getLogger(__name__)

MARKER_KIND = "key"
"""Kind of the markers that are set while a recording runs."""
_MARKER_COLUMNS = ("time_s", "label", "end_s", "kind")


class Recording:
    """The tables of one live session. Leaving the `with` block without `finish` leaves its segments."""

    def __init__(self, out: Path, source: LiveSource, options: AnalyzeOptions, tools: Tools) -> None:
        """Prepare to record; nothing is written.

        Args:
            out: the output folder; made if needed.
            source: what is recorded.
            options: how it is analysed.
            tools: detector and classifier.

        Raises:
            RecordsError: the folder holds results of other options or of another model.
        """
        check_compatible(out, options, tools.classifier.card.sha256)
        self.folder = OutputFolder(out)
        self._source, self._options, self._tools = source, options, tools
        self._started = datetime.now().astimezone()
        self.files = _choose_files(self.folder, f"{source.name}-{self._started:%Y%m%d-%H%M%S}")
        self._counts = RowCounts()
        self._feed: Feed | None = None
        self._size = (1, 1)
        self._held: AnalyzedFrame | None = None
        self._markers: list[tuple[object, ...]] = []
        self._on_exit = ExitStack()

    @property
    def markers(self) -> Path:
        """The file of the markers set so far; exists from the first one on."""
        return markers_of(self.files)

    def __enter__(self) -> Self:
        """Lock the folder and open the tables.

        Raises:
            RecordsError: another run has locked it, or it cannot be written.
        """
        # What draws the page takes a quarter of a second to import, which the end of a recording should not.
        import ferflow.dashboards  # noqa: F401

        with ExitStack() as stack:
            stack.enter_context(self.folder.lock())
            started = self._started.isoformat(timespec="seconds")
            manifest = RunManifest.start(self.folder.manifest, options=self._options, started=started)
            manifest.save(self.folder.manifest)
            labels = self._tools.classifier.card.labels
            self._writer = stack.enter_context(
                SegmentsWriter(self.folder, self.files, labels, self._describe_segment)
            )
            self._on_exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._on_exit.__exit__(kind, error, trace)

    def write(self, analyzed: AnalyzedFrame, feed: Feed, people: People) -> None:
        """Record a frame; it reaches the disk within `segments.SEGMENT_S`.

        Args:
            analyzed: the frame.
            feed: where it comes from.
            people: of the stream.

        Raises:
            RecordsError: the disk is full, or cannot be written.
        """
        if self._feed is None:
            planes = analyzed.tracked.sample.frame.planes
            self._size = planes.width, planes.height
        self._feed = feed
        if self._held is not None and analyzed.before is not None:
            self._write(self._held, analyzed.before, people)
        self._held = analyzed

    def _write(self, analyzed: AnalyzedFrame, tracked: TrackedFrame, people: People) -> None:
        """Write a frame with the ids that the frame after it has confirmed."""
        people.note(tracked)
        crops = replace(analyzed.crops, track_id=tracked.track_id)
        labels, video_id = self._tools.classifier.card.labels, self.files.video_id
        rows = frame_rows(video_id, [tracked])
        faces = face_rows(video_id, crops, analyzed.answer, labels, regions=self._options.regions)
        self._counts.add(rows)
        self._counts.add(faces)
        self._writer.put(rows, faces)

    def mark(self, time_s: float, label: str) -> None:
        """Add a marker to the file of markers, durably.

        Raises:
            RecordsError: it cannot be written.
        """
        self._markers.append((round(time_s, 3), label, None, MARKER_KIND))
        write_csv(self.markers, _MARKER_COLUMNS, self._markers, out=self.folder.path)

    def finish(self, people: People, notes: tuple[str, ...] = ()) -> TaskReport | None:
        """Write the tables, the timeline, the page and the overview; None where there was no frame.

        Args:
            people: of the stream.
            notes: warnings about the recording, a line each.

        Raises:
            RecordsError: the tables or `run.json` cannot be written.
        """
        if self._feed is None or self._held is None:
            return None
        self._write(self._held, self._held.tracked, people)
        tracks = track_rows(people.finish(end_s=self._feed.end_s))
        self._counts.add(tracks)
        report = self._feed.report
        metadata = self._describe(self._counts, self._feed)
        warnings = (*report.warnings, *people.warnings, *notes)
        self._writer.finish(tracks, structs.replace(metadata, warnings=warnings))
        return publish(self.folder, self.files, self._options)

    def _describe_segment(self, counts: RowCounts) -> VideoMetadata:
        assert self._feed is not None  # a segment has frames
        return self._describe(counts, self._feed)

    def _describe(self, counts: RowCounts, feed: Feed) -> VideoMetadata:
        report = feed.report
        return VideoMetadata(
            ferflow_version=__version__,
            video_id=self.files.video_id,
            labels=tuple(self._tools.classifier.card.labels),
            model=identify_model(self._tools),
            detector=identify_detector(self._tools),
            options=self._options,
            options_digest=self._options.digest(),
            source=self._describe_source(feed),
            counts=counts.of(report),
            status="done_with_gaps" if report.gaps else "done",
            gaps=tuple(report.gaps),
            duration_s=max(feed.end_s, counts.last_time_s),
        )

    def _describe_source(self, feed: Feed) -> SourceInfo:
        info = feed.info
        return SourceInfo(
            # No file: a recording of a file is another video than that file. Markers are looked for next to it.
            path=str((self.folder.path / self.files.video_id).absolute()),
            name=f"{self._source.label} {self._started:%Y-%m-%d %H:%M}",
            size=0,
            mtime=self._started.timestamp(),
            format=info.format,
            codec=info.codec,
            pix_fmt=info.pix_fmt,
            width=self._size[0],
            height=self._size[1],
            rotation=0,
            time_base=info.time_base,
            frame_rate=info.frame_rate,
            duration_s_from_header=None,
        )


def publish(folder: OutputFolder, files: VideoFiles, options: AnalyzeOptions) -> TaskReport:
    """Bring what follows from the tables of a recording up to date, as after an analysis: timeline, page, `run.json`.

    The folder must be locked. The segments are removed at the end: while they are there, `doctor --repair` knows that
    something is missing, and makes it.

    Returns:
        How it ended; failed where the timeline or the page could not be written.

    Raises:
        RecordsError: the overview or `run.json` cannot be written.
    """
    metadata = read_metadata(files.faces)
    task = VideoTask(Path(metadata.source.path), files, is_finished=True)
    job = Job(inputs=(metadata.source.path,), out=folder.path, options=options)
    report = TaskReport.of_records(task.source, metadata, status=metadata.status)
    report = _advise_repair(bring_up_to_date(task, job, report), folder)
    _note_in_manifest(folder, files, report, metadata)
    write_pages(folder)
    if report.error is None:
        remove_segments(folder, files.video_id)
    return report


def _advise_repair(report: TaskReport, folder: OutputFolder) -> TaskReport:
    """The same command would make another recording."""
    if report.error is None:
        return report
    repair = f"run ferflow doctor {sanitize(folder.path)} --repair"
    return structs.replace(report, error=report.error.replace("run the same command again", repair))


def _note_in_manifest(
    folder: OutputFolder, files: VideoFiles, report: TaskReport, metadata: VideoMetadata
) -> None:
    try:
        manifest = RunManifest.load(folder.manifest)
    except RecordsError as error:
        if failure_of(error) != "input":
            raise
        return  # a broken one, which `doctor --repair` rebuilds
    started = datetime.fromtimestamp(metadata.source.mtime).astimezone().isoformat(timespec="seconds")
    manifest = manifest or RunManifest(options=metadata.options, started=started)
    manifest.note(report, made=metadata)
    manifest.finished = timestamp()
    manifest.save(folder.manifest)


def markers_of(files: VideoFiles) -> Path:
    """The file of the markers that were set while a video was recorded; need not exist."""
    return files.out / f"{files.video_id}{SUFFIX}"


def _choose_files(folder: OutputFolder, name: str) -> VideoFiles:
    number, video_id = 1, name
    while folder.video(video_id).is_finished or (folder.recordings / video_id).exists():
        number += 1
        video_id = f"{name}-{number}"
    return folder.video(video_id)
