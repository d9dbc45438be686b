"""The first half of an analysis: all that needs the pixels of a segment. `replay` is the second one.

`PartObserver` decodes, detects, classifies, and describes each detection, also those that may turn out to be none.
Whether a new shot starts follows from the frames before. So each part goes on a little beyond its end, without looking
for faces there; what it finds of the first frames of the next part counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pyarrow as pa

from ferflow.faces.crops import CropShape, FaceCrops, crop_frames
from ferflow.faces.detections import Detections
from ferflow.faces.frame_sample import FrameSample
from ferflow.faces.links import CHECK_SECONDS
from ferflow.faces.looks import FrameLooks, Needs, StoredLook
from ferflow.faces.not_face import SAMPLE_SECONDS
from ferflow.faces.shot_detector import Change, is_blank
from ferflow.media.parts import Part
from ferflow.media.spacing import Spacing
from ferflow.media.video import Video
from ferflow.models.classifier import Answer
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import (
    DetectionStage,
    Tools,
    chunks,
    classify_distinct,
    detect_ahead,
)
from ferflow.regions import Region
from ferflow.store.schemas import UNTRACKED
from ferflow.store.segment_files import FRAMES, faces_schema
from ferflow.types import Float32Array

N_BEYOND = 150
"""Frames with contrast for which a part goes on beyond its end. A dissolve is looked for in 37 frames, after a pause of
as many; of the level of motion, 0.8 ** 150 = 3e-15 is then older."""

MOST_BEYOND = 10 * N_BEYOND
"""Frames, with and without contrast."""

SPACINGS = (CHECK_SECONDS, SAMPLE_SECONDS)
"""Parts are split with these; see `media.parts.Part.spaced_s`."""

NextCut = tuple[int, tuple[int, ...], bool]
"""Of a frame of the next part: index, `FrameSample.cuts`, and `FrameSample.is_repeat`."""


@dataclass(frozen=True, slots=True)
class FrameObservations:
    """Rows of frames of a part, see `segment_files.FRAMES`."""

    batch: pa.RecordBatch
    last_s: float
    """Time of the last one, seconds."""


@dataclass(frozen=True, slots=True)
class FaceObservations:
    """Rows of its detections, see `segment_files.faces_schema`."""

    batch: pa.RecordBatch


@dataclass(slots=True)
class PartObserver:
    """Observes a part of a video; what it knows besides is complete after the last row."""

    part: Part
    options: AnalyzeOptions
    tools: Tools
    regions: Sequence[Region] = ()
    next_cuts: list[NextCut] = field(default_factory=list)
    end_s: float = 0.0
    """End of the video, if it ends with this part."""

    def observe(self, video: Video) -> Iterator[FrameObservations | FaceObservations]:
        """Go through the part.

        Args:
            video: open, and not read yet.

        Raises:
            InexactPartError: the video must be read in one go.
            VideoError: it cannot be analysed.
        """
        video.limit_to(self.part)
        with detect_ahead(video, self.options, self.tools, self._pass_own) as stage:
            self.regions = stage.regions
            looks = _LookKeeper.of(self.part, stage)
            observed = _observe_frames(looks.observe(stage.detected), self.options, self.tools.crop_shape)
            with closing(stage.map_ahead(self._to_rows, observed)) as rows:
                for _, batch in rows:
                    yield batch
        self.end_s = video.end_s

    def _pass_own(self, samples: Iterable[FrameSample]) -> Iterator[FrameSample]:
        """Pass on the frames of the part, and note what the first ones after it are."""
        end_pts, n_beyond = self.part.end_pts, 0
        for sample in samples:
            if end_pts is None or sample.frame.pts < end_pts:
                yield sample
            else:
                cuts = tuple(int(cut) for cut in sample.cuts)
                self.next_cuts.append((sample.frame.index, cuts, sample.is_repeat))
                n_beyond += not any(map(is_blank, sample.thumbs))
                if n_beyond >= N_BEYOND or len(self.next_cuts) >= MOST_BEYOND:
                    return
            del sample  # its frame would stay in memory while the next one is decoded

    def _to_rows(self, part: FrameObservations | _Faces) -> FrameObservations | FaceObservations:
        if isinstance(part, FrameObservations):
            return part
        answer = classify_distinct(self.tools.classifier, part.crops.images)
        return FaceObservations(_face_batch(part, answer))


@dataclass(frozen=True, slots=True)
class _Faces:
    """N detections and their looks."""

    crops: FaceCrops
    looks: list[StoredLook]

    def __getitem__(self, rows: slice) -> _Faces:
        return _Faces(self.crops[rows], self.looks[rows])


def _observe_frames(
    observed: Iterable[_Observed], options: AnalyzeOptions, shape: CropShape
) -> Iterator[FrameObservations | _Faces]:
    """Yield rows of frames, and full batches of detections."""
    waiting = _Faces(FaceCrops.empty(shape), [])
    for chunk in chunks(observed, options.chunk_frames):
        yield _frame_batch(chunk)
        found = [one.found for one in chunk]
        ids = [np.full(len(faces), UNTRACKED, np.int32) for faces in found]
        crops = crop_frames([one.sample.frame for one in chunk], found, ids, shape)
        waiting = _Faces(
            waiting.crops + crops, [*waiting.looks, *chain.from_iterable(one.looks for one in chunk)]
        )
        del chunk  # its frames would stay in memory while the batches are classified
        while len(waiting.looks) >= options.batch_size:
            yield waiting[: options.batch_size]
            waiting = waiting[options.batch_size :]
    if waiting.looks:
        yield waiting


@dataclass(frozen=True, slots=True)
class _Observed:
    sample: FrameSample
    found: Detections
    looks: list[StoredLook]


@dataclass(slots=True)
class _LookKeeper:
    """Keeps of the faces of a part what tracking may ask for: it does so in some frames only."""

    looks: FrameLooks
    checks: Spacing
    """Of links, as `LinkChecker` has it."""
    motion: Spacing | None
    """Of landmarks, as `FaceMotion` has it; None: which key frames there are before the part is not known."""
    n_frames: int = 0

    @classmethod
    def of(cls, part: Part, stage: DetectionStage) -> _LookKeeper:
        checks, motion = (
            Spacing(seconds) if last_s is None else Spacing(seconds, last_s)
            for seconds, last_s in zip(SPACINGS, part.spaced_s or (None, None), strict=True)
        )
        return cls(FrameLooks(stage.regions), checks, motion if stage.has_only_keys else None)

    def observe(self, detected: Iterable[tuple[FrameSample, Detections | None]]) -> Iterator[_Observed]:
        """Frames with the looks of their faces."""
        for sample, found in detected:
            assert found is not None  # every frame is searched, see `jobs.job.check_segments`
            needs = self._needs(sample)
            rows = range(len(found))
            yield _Observed(
                sample, found, [self.looks.store(sample.frame, found, row, needs) for row in rows]
            )
            del sample  # as in `_pass_own`

    def _needs(self, sample: FrameSample) -> Needs:
        self.n_frames += 1
        time_s = sample.frame.time_s
        is_due = self.checks.is_due(time_s)
        # Which of the first frames start a new shot, the part before says.
        may_be_cut = Change.CUT in sample.cuts or self.n_frames <= MOST_BEYOND
        has_picture = sample.is_key if self.motion is None else self.motion.is_due(time_s)
        return Needs(is_due or may_be_cut, is_due, has_picture)


def _frame_batch(chunk: Sequence[_Observed]) -> FrameObservations:
    samples = [one.sample for one in chunk]
    columns = [
        [one.frame.index for one in samples],
        [one.frame.pts for one in samples],
        [one.frame.time_s for one in samples],
        [one.luma_mean for one in samples],
        [[int(cut) for cut in one.cuts] for one in samples],
        [one.is_key for one in samples],
        [one.frame.planes.width for one in samples],
        [one.frame.planes.height for one in samples],
        [len(one.found) for one in chunk],
    ]
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, FRAMES, strict=True)]
    return FrameObservations(pa.RecordBatch.from_arrays(arrays, schema=FRAMES), samples[-1].frame.time_s)


def _face_batch(faces: _Faces, answer: Answer) -> pa.RecordBatch:
    crops, n = faces.crops, len(faces.looks)
    occluded = np.full(n, -1) if answer.occluded is None else answer.occluded
    schema = faces_schema(answer.probs.shape[1])
    columns = [
        _to_lists(crops.xyxy),
        pa.array(crops.score),
        _to_lists(crops.landmarks.reshape(n, 10)),
        pa.array(crops.region),
        _to_lists(crops.pose),
        pa.array(crops.sharpness),
        pa.array(crops.face_px),
        _to_lists(answer.probs),
        pa.array(occluded.astype(np.int8)),
        pa.array([look.patch_data for look in faces.looks], pa.binary()),
        pa.array([look.colours_data for look in faces.looks], pa.binary()),
        pa.array([look.picture_data for look in faces.looks], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _to_lists(values: Float32Array) -> pa.Array:
    """A list per row, from float32 (N, K)."""
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])
