"""The loop: a few frames go in, record batches come out.

A frame is let go as soon as its faces are cut out; only the small crops wait for a full batch. Everything is
pulled by the consumer, so a slow writer slows the decoder by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ferflow.classify import Classifier, make_classifier
from ferflow.crops import CropShape, FaceCrops, crop_faces
from ferflow.cuts import CutDetector
from ferflow.faces import Detections, Detector, Float32Array, make_detector
from ferflow.inputs import video_id_of
from ferflow.options import AnalyzeOptions
from ferflow.prefetch import prefetch
from ferflow.records import FRAMES, faces_schema
from ferflow.track import Tracker
from ferflow.video import Frame, Selection, Video, open_video

T = TypeVar("T")

PREFETCH_FRAMES = 8
"""Frames decoded ahead of the work."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What is loaded once and used for many videos; no state of any video lives here."""

    detector: Detector
    classifier: Classifier

    @classmethod
    def load(cls, options: AnalyzeOptions) -> Tools:
        """Load detector and classifier.

        Raises:
            ModelError: a file is missing or altered.
            OptionsError: a device was asked for that is not there.
        """
        return cls(make_detector(options), make_classifier(options))

    @property
    def crop_shape(self) -> CropShape:
        """Crops as this classifier wants them from this detector's boxes."""
        card = self.classifier.card
        return CropShape(card.input_size, card.channels, self.detector.crop_side)


def analyze(
    path: str | Path, options: AnalyzeOptions | None = None, *, tools: Tools | None = None
) -> Iterator[pa.RecordBatch]:
    """Analyse one video, frame by frame.

    Args:
        path: a video file, or a folder of numbered images.
        options: how; None: the defaults.
        tools: detector and classifier to use again; None: loaded here.

    Yields:
        Batches with the columns of FRAMES (a row per analysed frame) and of FACES (a row per face), in order
        of time within each; tell them apart by `batch.schema.names`.

    Raises:
        VideoError: the input cannot be analysed.
        ModelError: a model or detector file is missing or altered.
    """
    options = options or AnalyzeOptions()
    tools = tools or Tools.load(options)
    path = Path(path)
    with open_video(path, sequence_fps=options.sequence_fps, threads=options.threads) as video:
        yield from analyze_video(video, video_id_of(path), options, tools)


def analyze_video(
    video: Video, video_id: str, options: AnalyzeOptions, tools: Tools
) -> Iterator[pa.RecordBatch]:
    """As `analyze`, on a video that is open already; its faults and counts can be read afterwards."""
    cuts = CutDetector()
    tracker = Tracker(participants=options.participants)
    shape, classifier = tools.crop_shape, tools.classifier
    waiting = FaceCrops.none(shape)
    with closing(prefetch(video.frames(Selection.of(options)), PREFETCH_FRAMES)) as frames:
        for chunk in chunks(frames, options.chunk_frames):
            found = tools.detector.detect(chunk)
            if options.participants is not None:
                found = [faces.largest(options.participants) for faces in found]
            is_cut = [cuts.update(frame.planes.y) for frame in chunk]
            yield frame_rows(video_id, chunk, found, is_cut)
            for frame, faces, cut in zip(chunk, found, is_cut, strict=True):
                track_id = tracker.update(faces, frame.time_s, is_cut=cut)
                waiting += crop_faces(frame, faces, track_id, shape)
            while len(waiting) >= options.batch_size:
                batch, waiting = waiting[: options.batch_size], waiting[options.batch_size :]
                yield face_rows(video_id, batch, classifier(batch.images), classifier.card.labels)
    if len(waiting):
        yield face_rows(video_id, waiting, classifier(waiting.images), classifier.card.labels)


def frame_rows(
    video_id: str, frames: list[Frame], found: list[Detections], is_cut: list[bool]
) -> pa.RecordBatch:
    """Rows of FRAMES, one per frame, also where nobody is."""
    columns = [
        pa.array([video_id] * len(frames), pa.string()),
        pa.array([frame.index for frame in frames], pa.int32()),
        pa.array([frame.pts for frame in frames], pa.int64()),
        pa.array([frame.time_s for frame in frames], pa.float64()),
        pa.array([len(faces) for faces in found], pa.int16()),
        pa.array([frame.planes.luma_mean() for frame in frames], pa.float32()),
        pa.array(is_cut, pa.bool_()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=FRAMES)


def face_rows(
    video_id: str, faces: FaceCrops, probs: Float32Array, labels: tuple[str, ...]
) -> pa.RecordBatch:
    """Rows of FACES.

    Args:
        video_id: of the video.
        faces: N crops.
        probs: float32 (N, K), rows sum to 1.
        labels: K names, in the order of the columns of `probs`.
    """
    n = len(faces)
    points = faces.landmarks.reshape(n, 10)
    landmarks = pa.FixedSizeListArray.from_arrays(
        pa.array(points.ravel()), 10, mask=pa.array(np.isnan(points).any(axis=1))
    )
    columns = [
        pa.array([video_id] * n, pa.string()),
        *(pa.array(column) for column in (faces.frame_index, faces.pts, faces.time_s, faces.track_id)),
        *(_floats(faces.xyxy[:, i]) for i in range(4)),
        _floats(faces.score),
        landmarks,
        *(_floats(faces.pose[:, i]) for i in range(3)),
        _floats(faces.sharpness),
        _floats(faces.face_px),
        *(_floats(probs[:, i]) for i in range(len(labels))),
        pa.DictionaryArray.from_arrays(probs.argmax(axis=1).astype(np.int8), pa.array(labels)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=faces_schema(labels))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter; never an empty list."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _floats(values: npt.NDArray[np.float32]) -> pa.Array:
    """NaN, which stands for unknown here, becomes null."""
    return pa.array(np.ascontiguousarray(values), pa.float32(), from_pandas=True)
