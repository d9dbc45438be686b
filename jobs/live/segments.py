"""Tables of a recording in progress, complete ones of a few seconds each: a program that is killed loses little.

    OUT/live/<video_id>/000001/frames/<video_id>.parquet
    OUT/live/<video_id>/000001/faces/<video_id>.parquet
    OUT/live/<video_id>/000002/...

A Parquet file without its end cannot be read. Each segment is written as the tables of a video are, so that FACES,
which get their name last, mark a complete one. Writing, and waiting for the disk, is done in a thread of its own.

>>> with SegmentsWriter(folder, files, labels, describe) as writer:
...     writer.put(rows_of_frame, rows_of_faces)
...     writer.finish(tracks, metadata)
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from ferflow.errors import RecordsError
from ferflow.jobs.video_job import RowCounts
from ferflow.store.atomic_files import make_folder, name_write_errors, remove_folder, remove_tree
from ferflow.store.metadata import VideoMetadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import RecordsWriter, Rows, TrackRows
from ferflow.store.video_files import VideoFiles

log = logging.getLogger(__name__)

SEGMENT_S = 5.0
"""Length of a segment: what is lost at most of a recording."""
_FIRST_SEGMENT_S = 1.0
"""So that a recording that is killed soon leaves something."""

_WAIT_S = 0.2
_MOST_WAITING = 3600
"""Frames: two minutes at 30 per second. A disk that stands still for longer stops the recording, not the memory."""

Describe = Callable[[RowCounts], VideoMetadata]
"""Makes the metadata of a segment from its counts."""


class SegmentsWriter:
    """Writes a recording in segments, and at its end as the tables of a video."""

    def __init__(
        self, folder: OutputFolder, files: VideoFiles, labels: Sequence[str], describe: Describe
    ) -> None:
        self._folder, self._files, self._labels, self._describe = folder, files, labels, describe
        self._rows: queue.Queue[tuple[Rows, ...]] = queue.Queue(_MOST_WAITING)
        self._error: Exception | None = None
        self._is_ending = threading.Event()
        self._n_segments = 0
        self._thread = threading.Thread(target=self._run, name="ferflow-record", daemon=True)

    def __enter__(self) -> Self:
        self._tables = RecordsWriter(self._files, self._labels)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_thread()
        self._tables.__exit__(kind, error, trace)

    def put(self, *rows: Rows) -> None:
        """Add rows; those of one call are not parted.

        Raises:
            RecordsError: rows before them could not be written.
        """
        self._raise_error()
        try:
            self._rows.put(rows, timeout=SEGMENT_S)
        except queue.Full as error:
            self._raise_error()
            raise RecordsError(f"{self._folder.path}: its disk does not answer. Use another -o.") from error

    def finish(self, tracks: TrackRows, metadata: VideoMetadata) -> None:
        """Write the tables of the video; the segments stay.

        Raises:
            RecordsError: they cannot be written.
        """
        self._end_thread()
        self._raise_error()
        with name_write_errors(self._files.faces):
            self._tables.write(tracks)
            self._tables.finish(metadata)

    def _end_thread(self) -> None:
        self._is_ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise RecordsError(f"{self._folder.path}: the recording stopped. {self._error}") from self._error

    def _run(self) -> None:
        try:
            while not (self._is_ending.is_set() and self._rows.empty()):
                self._write_segment(SEGMENT_S if self._n_segments else _FIRST_SEGMENT_S)
        except Exception as error:
            log.debug("recording failed", exc_info=error)
            self._error = error

    def _write_segment(self, seconds: float) -> None:
        """Write what comes within some seconds; nothing where nothing comes."""
        if (first := self._next_rows(_WAIT_S)) is None:
            return
        files = self._start_segment()
        counts, end_s = RowCounts(), time.monotonic() + seconds
        with RecordsWriter(files, self._labels) as segment:
            several: tuple[Rows, ...] | None = first
            while True:
                for rows in several or ():
                    counts.add(rows)
                    segment.write(rows)
                    self._tables.write(rows)
                if self._is_over(end_s):
                    break
                several = self._next_rows(_WAIT_S)
            segment.finish(self._describe(counts))

    def _is_over(self, end_s: float) -> bool:
        if self._is_ending.is_set():
            return self._rows.empty()
        return time.monotonic() >= end_s

    def _next_rows(self, seconds: float) -> tuple[Rows, ...] | None:
        with suppress(queue.Empty):
            return self._rows.get(timeout=0 if self._is_ending.is_set() else seconds)
        return None

    def _start_segment(self) -> VideoFiles:
        self._n_segments += 1
        place = self._folder.recordings / self._files.video_id / f"{self._n_segments:06d}"
        make_folder(place, out=self._folder.path)
        return VideoFiles(place, self._files.video_id)


def find_segments(folder: OutputFolder, video_id: str) -> list[VideoFiles]:
    """The complete segments of a recording, in order."""
    places = sorted((folder.recordings / video_id).glob("[0-9]*"))
    segments = [VideoFiles(place, video_id) for place in places if not place.is_symlink()]
    return [segment for segment in segments if segment.is_finished]


def remove_segments(folder: OutputFolder, video_id: str) -> None:
    """Remove the folder of a recording.

    Raises:
        RecordsError: it leads out of the output folder, or cannot be removed.
    """
    remove_tree(folder.recordings / video_id, out=folder.path)
    remove_folder(folder.recordings, out=folder.path)  # others may be in it
