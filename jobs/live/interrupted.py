"""Recordings that were interrupted: their tables are made of the segments that are on the disk.

>>> for recording in find_interrupted(folder):
...     finish_interrupted(folder, recording)

Appearance is not in the tables, so that a person who leaves and comes back counts as two, unless the number of
participants is known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa
from msgspec.structs import replace

from ferflow.errors import RecordsError
from ferflow.faces.detections import Detections
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.people import People
from ferflow.faces.shot_detector import Change
from ferflow.faces.track_interpolation import TrackedFrame
from ferflow.jobs.live.recording import publish
from ferflow.jobs.live.segments import find_segments, remove_segments
from ferflow.jobs.video_job import RowCounts
from ferflow.media.decode_report import DecodeReport
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.pipeline import track_rows
from ferflow.store.metadata import VideoMetadata, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import FaceRows, FrameRows, RecordsWriter, Rows, check_records, read_table
from ferflow.store.run_manifest import TaskReport
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize

log = logging.getLogger(__name__)

_NOTE = (
    "live: the recording was interrupted; its last seconds are missing, and who left and came back counts as another "
    "person"
)


def find_interrupted(folder: OutputFolder) -> list[str]:
    """Ids of the recordings that were not finished; in a folder that is locked, one of them may be in progress."""
    if not folder.recordings.is_dir() or folder.recordings.is_symlink():
        return []
    return sorted(
        place.name for place in folder.recordings.iterdir() if place.is_dir() and not place.is_symlink()
    )


def finish_interrupted(folder: OutputFolder, video_id: str) -> TaskReport | None:
    """Make the tables, the timeline and the page of a recording, as far as they are missing; the folder must be locked.

    Returns:
        How it ended, see `publish`; None where nothing of it is on the disk.

    Raises:
        RecordsError: they cannot be written.
    """
    files = folder.video(video_id)
    if not files.is_finished:
        segments = _readable(find_segments(folder, video_id))
        if not segments:
            remove_segments(folder, video_id)
            return None
        _merge(files, segments)
    return publish(folder, files, read_metadata(files.faces).options)


def _readable(segments: list[VideoFiles]) -> list[tuple[VideoFiles, VideoMetadata]]:
    """Segments up to the first that cannot be read, with their metadata."""
    found = []
    for segment in segments:
        try:
            found.append((segment, check_records(segment)))
        except RecordsError as error:
            log.warning("a part of a recording is left out: %s", sanitize(error))
            break
    return found


def _merge(files: VideoFiles, segments: list[tuple[VideoFiles, VideoMetadata]]) -> None:
    last = segments[-1][1]
    people, counts = People(last.options, last.options.regions), RowCounts()
    with RecordsWriter(files, last.labels) as writer:
        for segment, _ in segments:
            frames, faces = read_table(segment.frames), read_table(segment.faces)
            for tracked in _replay(frames, faces, [region.label for region in last.options.regions]):
                people.note(tracked)
            several: list[Rows] = [
                *map(FrameRows, frames.to_batches()),
                *map(FaceRows, faces.to_batches()),
            ]
            for rows in several:
                writer.write(rows)
                counts.add(rows)
        tracks = track_rows(people.finish(end_s=last.duration_s))
        writer.write(tracks)
        counts.add(tracks)
        writer.finish(_describe(last, counts, people))


def _describe(last: VideoMetadata, counts: RowCounts, people: People) -> VideoMetadata:
    seen = last.counts
    report = DecodeReport(n_decoded=seen.n_decoded, n_failed=seen.n_failed, n_damaged=seen.n_damaged)
    return replace(last, counts=counts.of(report), warnings=(*people.warnings, _NOTE))


def _replay(frames: pa.Table, faces: pa.Table, regions: Sequence[str]) -> Iterator[TrackedFrame]:
    """The frames of a segment, with their faces and a blank picture."""
    found, ids = _detections(faces, regions), faces.column("track_id").to_numpy()
    names = ("frame_index", "pts", "time_s", "is_cut", "width", "height")
    first, rows_of_face = 0, faces.column("frame_index").to_numpy()
    for index, pts, time_s, is_cut, width, height in zip(
        *(frames.column(name).to_pylist() for name in names), strict=True
    ):
        end = int(np.searchsorted(rows_of_face, index, side="right"))
        rows = np.arange(first, end)
        first = end
        # Without memory of its own: all of its rows are one byte.
        blank = Planes(np.broadcast_to(np.uint8(128), (height, width)), None, None, full_range=True)
        cuts = (Change.CUT if is_cut else Change.NONE,) * max(len(regions), 1)
        sample = FrameSample(Frame(index, pts, Fraction(time_s), blank), cuts, 0.0)
        yield TrackedFrame(sample, found[rows], ids[rows])


def _detections(faces: pa.Table, regions: Sequence[str]) -> Detections:
    xyxy = np.column_stack([faces.column(name).to_numpy() for name in ("x1", "y1", "x2", "y2")])
    points = np.full((len(faces), 10), np.nan, np.float32)
    for row, known in enumerate(faces.column("landmarks").to_pylist()):
        if known is not None:
            points[row] = known
    names = faces.column("region").to_pylist()
    numbers = [regions.index(name) if name in regions else 0 for name in names]
    score = faces.column("score").to_numpy().astype(np.float32)
    return Detections(xyxy.astype(np.float32), score, points.reshape(-1, 5, 2), np.array(numbers, np.int8))
