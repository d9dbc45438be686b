"""What a session's page is about: everything that its sections show of one video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ferflow.analytics.coverage import SMALL_FACE_PX, Coverage, coverage, coverage_timeline
from ferflow.analytics.event_locked import locked_curves, segments
from ferflow.analytics.frame_time import usual_step
from ferflow.analytics.markers import load_markers
from ferflow.analytics.peaks import Peak, peak_curve, peak_end, peaks
from ferflow.analytics.person_names import NO_NAMES, PersonFaces, PersonNames, person_timeline
from ferflow.analytics.persons import Person, people
from ferflow.analytics.tally import Faces, blocks, column
from ferflow.analytics.timeline import audience, bin_length
from ferflow.dashboards.session_report.video_player import (
    FaceBoxes,
    PageVideo,
    find_video,
    pack_boxes,
    url_between,
)
from ferflow.dashboards.shared.bins import find_largest, mean_of_known
from ferflow.render.clips import existing_clips
from ferflow.store.metadata import VideoMetadata, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import Blocks, read_table
from ferflow.store.video_files import VideoFiles
from ferflow.types import Float64Array

BLURRY_BELOW = 80.0
"""Variance of the Laplacian (Pech-Pacheco et al., 2000) of a 48 px crop in 0-255: that of a sharp face that
was blurred by 1.5 px of the 48."""

MOST_CURVES = 6
"""Labels with marker-locked curves on the page, those with most markers first."""

_BOX_COLUMNS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True)
class MostReacting:
    """The bin in which the most people react."""

    time_s: float
    n_reacting: int
    n_people: int


@dataclass(frozen=True, slots=True)
class Session:
    """One analysed video."""

    video_id: str
    metadata: VideoMetadata
    """What the analysis recorded about the video and itself."""
    labels: list[str]
    timeline: pa.Table
    people: list[Person]
    peaks: list[Peak]
    coverage: Coverage
    frame_step_s: float
    """Usual time between two analysed frames; NaN for a single frame."""
    n_small: int
    """Faces below `SMALL_FACE_PX`."""
    face_px: tuple[float, float, float]
    """Lower quartile, median and upper quartile of the sides of the crops, in pixels of the source; NaN without."""
    n_blurry: int
    """Faces less sharp than `BLURRY_BELOW`."""
    sharpness: float
    """Median sharpness of the faces; NaN without."""
    names: PersonNames
    """Names that the user gave to people."""
    coverage_timeline: pa.Table
    """How much of each bin has a face, no face or no frame; see `coverage.coverage_timeline`."""
    markers: pa.Table
    segments: pa.Table
    curves: pa.Table
    """Marker-locked, of the `MOST_CURVES` labels with most markers; see `marked.locked_curves`."""
    video: PageVideo
    boxes: FaceBoxes | None
    """See `video_player.pack_boxes`."""
    clips: dict[str, tuple[int, ...]]
    """The peaks that each clip shows, as places in their list, by the clip's URL."""

    @property
    def name(self) -> str:
        """The file's name, as it was found."""
        return self.metadata.source.name

    def name_of(self, track_id: int) -> str:
        """What a person is called on the page."""
        return self.names.name_of(track_id)

    @property
    def audience(self) -> pa.Table:
        """A row per bin."""
        return audience(self.timeline)

    @property
    def bin_seconds(self) -> float:
        """Length of a bin; NaN without any."""
        return bin_length(self.timeline)

    @property
    def end_s(self) -> float:
        """Where the last bin ends; 0 without any."""
        return float(self.timeline.column("bin_end_s")[-1].as_py()) if len(self.timeline) else 0.0

    @property
    def duration_s(self) -> float:
        """Length of the video as far as it was read."""
        return self.metadata.duration_s

    @property
    def pose_known(self) -> bool:
        """Whether the attention of any face is known."""
        return bool(np.isfinite(self.values("attention")).any())

    @property
    def leading_measure(self) -> str:
        """The measure that the page is about: `engagement`, or `expressiveness` where no pose is known."""
        return peak_curve(self.timeline)

    @property
    def peak_end(self) -> float:
        """`(peak happy + end happy) / 2` of the audience."""
        return peak_end(self.timeline)

    def values(self, name: str) -> Float64Array:
        """A column of the audience, float64 (bins,), NaN where unknown."""
        return column(self.audience, name)

    def mean(self, name: str) -> float:
        """Mean of a column over the audience's bins in which it is known, each bin once; NaN if never."""
        return mean_of_known(self.values(name))

    @property
    def most_at_once(self) -> int:
        """Most people seen within one bin."""
        present = self.values("n_people")
        return int(present.max()) if len(present) else 0


def find_most_reacting(timeline: pa.Table) -> MostReacting | None:
    """The bin in which the most people react, then the largest share of them; None if no person reacts."""
    rows = audience(timeline)
    share, present = column(rows, "reacting"), column(rows, "n_people")
    if not np.isfinite(share).any():
        return None
    # A whole number of people, but the share is a float32.
    reacting = np.round(np.nan_to_num(share * present))
    k = find_largest(reacting, share)
    middle = (column(rows, "bin_start_s")[k] + column(rows, "bin_end_s")[k]) / 2
    return MostReacting(float(middle), int(reacting[k]), int(present[k])) if reacting[k] else None


def load_session(out: Path, video_id: str, names: PersonNames = NO_NAMES) -> Session:
    """Load all that the page of one video shows.

    Args:
        out: the output folder.
        video_id: of a finished video.
        names: of people; tracks of one name are one person.

    Raises:
        RecordsError: a table is missing, unreadable, or of another schema version.
    """
    paths = OutputFolder(out).video(video_id)
    metadata = read_metadata(paths.faces)
    labels = list(metadata.labels)
    frames, timeline = read_table(paths.frames), person_timeline(paths, names)
    faces = _faces_reader(paths, names)
    scored = faces("frame_index", "time_s", "yaw", "pitch", *(f"prob_{label}" for label in labels))
    heights, sharpness = _columns(faces("frame_index", "face_px", "sharpness"), "face_px", "sharpness")
    markers, tops = load_markers(paths), peaks(timeline)
    return Session(
        video_id=video_id,
        metadata=metadata,
        labels=labels,
        timeline=timeline,
        people=people(frames, scored, labels),
        peaks=tops,
        coverage=coverage(frames, faces("frame_index", "yaw")),
        frame_step_s=usual_step(column(frames, "time_s")),
        n_small=int((heights < SMALL_FACE_PX).sum()),
        face_px=_quartiles(heights),
        n_blurry=int((sharpness < BLURRY_BELOW).sum()),
        sharpness=_quartiles(sharpness)[1],
        names=names,
        coverage_timeline=_build_coverage_timeline(
            timeline, metadata, frames, faces("frame_index", "face_px")
        ),
        markers=markers,
        segments=segments(timeline, markers),
        curves=locked_curves(timeline, markers, most=MOST_CURVES),
        video=find_video(metadata.source, paths.report, frames),
        boxes=pack_boxes(faces("frame_index", "time_s", *_BOX_COLUMNS), metadata.source),
        clips={url_between(paths.report, clip.path): clip.peaks for clip in existing_clips(paths, tops)},
    )


def _faces_reader(paths: VideoFiles, names: PersonNames) -> Callable[..., PersonFaces]:
    """A function that reads columns of FACES, with persons in place of tracks, block by block."""
    # Block by block: the faces of a long video need not fit into memory.
    tracks = {track for block in Blocks(paths.faces, ["track_id"])
              for track in block.column("track_id").unique().to_pylist()}  # fmt: skip
    ready = PersonFaces.of(Blocks(paths.faces, ["frame_index", "track_id"]), names.persons_of(tracks))
    return lambda *columns: replace(ready, faces=Blocks(paths.faces, ["track_id", *columns]))


def _columns(faces: Faces, *names: str) -> tuple[Float64Array, ...]:
    """Columns of all blocks, float64 (faces,) each."""
    parts = [[column(block, name) for name in names] for block in blocks(faces)]
    return tuple(np.concatenate([np.zeros(0), *(part[k] for part in parts)]) for k in range(len(names)))


def _build_coverage_timeline(
    timeline: pa.Table, metadata: VideoMetadata, frames: pa.Table, faces: Faces
) -> pa.Table:
    return coverage_timeline(
        frames,
        faces,
        bin_seconds=bin_length(timeline),
        failed=metadata.counts.n_failed + metadata.counts.n_damaged > 0,
        # Time before a chosen start was not analysed; without one, it could not be read.
        ranged=metadata.options.start is not None,
    )


def _quartiles(values: Float64Array) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]) if len(values) else np.full(3, np.nan)
    return float(low), float(middle), float(high)
