"""The loop: a few frames go in, rows come out.

A frame is released as soon as its faces are cut out; only the small crops wait for a full batch. The consumer pulls
everything, so that a slow writer also slows the decoder down. Work runs ahead of the consumer, each item on one thread:
detection of the next frames and classification of the last ones in parallel, while further frames are decoded. The rows
and their order do not depend on the number of threads.

    decode thread     frames, cuts, brightness                      `prefetch`, PREFETCH_FRAMES ahead
    pool              faces of each frame                           `map_ahead`, a frame per thread and 2
    consumer          ids, crops
    pool              probabilities of each full batch, its rows    `map_ahead`, two batches per thread and 2
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ferflow.analytics.readability import REASONS, unreadable_codes
from ferflow.faces.crops import CropShape, FaceCrops, crop_frames
from ferflow.faces.detections import Detections
from ferflow.faces.detector import Detector, KeyFrameDetector, make_detector
from ferflow.faces.embeddings import FaceDescriber
from ferflow.faces.frame_sample import FrameSample, FrameSampler, mark_alone, sample_frames
from ferflow.faces.local_search import LOOK_SECONDS, is_unknown, plan_searches
from ferflow.faces.orientation import turn_upright
from ferflow.faces.people import KnownTrack, People
from ferflow.faces.picture_in_picture import find_picture_in_picture
from ferflow.faces.track_interpolation import TrackedFrame
from ferflow.media.inputs import video_id_of
from ferflow.media.prefetch import map_ahead, map_some_ahead, prefetch
from ferflow.media.video import Reading, Selection, Video, open_video
from ferflow.models.classifier import Answer, Classifier, make_classifier
from ferflow.options import AnalyzeOptions
from ferflow.regions import AUTO, Region
from ferflow.store.object_store import is_object, parse_address, permit
from ferflow.store.records import FaceRows, FrameRows, Rows, TrackRows
from ferflow.store.schemas import FRAMES, NOT_FACE, TRACKS, faces_schema
from ferflow.system.cpus import available_cpus
from ferflow.types import BoolArray, Int64Array, UInt8Array

T = TypeVar("T")
R = TypeVar("R")

PREFETCH_FRAMES = 8
"""Frames decoded ahead of detection; each keeps its planes in memory (1080p: 3 MB)."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Detector and classifier: loaded once and used for many videos; they have no state of a video."""

    detector: Detector
    classifier: Classifier
    describer: FaceDescriber | None = None
    """Of faces, to recognise persons by; only where the options ask for it."""

    @classmethod
    def load(cls, options: AnalyzeOptions, classifier: Classifier | None = None) -> Tools:
        """Load detector and classifier.

        Args:
            options: which ones.
            classifier: one that is loaded already.

        Raises:
            ModelError: a file is missing or altered.
            OptionsError: the requested device is not available.
        """
        return cls(make_detector(options), classifier or make_classifier(options), make_describer(options))

    @property
    def crop_shape(self) -> CropShape:
        """Crops as this classifier needs them from this detector's boxes."""
        card = self.classifier.card
        return CropShape(card.input_size, card.channels, self.detector.crop_side)


def make_describer(options: AnalyzeOptions) -> FaceDescriber | None:
    """Load the network that describes faces, if options ask for it.

    Raises:
        ModelError: its package is not installed, or altered.
    """
    if options.stitch != "face":
        return None
    # Imported here alone: no other run may even load the network, see `tests/test_no_biometrics.py`.
    from ferflow.faces.sface import SFace

    return SFace()


def analyze(
    path: str | Path, options: AnalyzeOptions | None = None, *, tools: Tools | None = None
) -> Generator[Rows, None, None]:
    """Analyse one video, frame by frame; closing the generator ends the analysis.

    Args:
        path: a video file, a folder of numbered images, or the address of an object in a store.
        options: None: the defaults.
        tools: detector and classifier, to load them once for many videos; None: loaded here.

    Yields:
        `FrameRows` and `FaceRows`, mixed, in order of time within each, and last `TrackRows`; `rows.batch` is an Arrow
        record batch.

    Raises:
        VideoError: the input cannot be analysed.
        ModelError: a model or detector file is missing or altered.
    """
    options = options or AnalyzeOptions()
    tools = tools or Tools.load(options)
    path = Path(path)
    if is_object(path):
        permit(parse_address(path))
    with open_video(path, Reading.of(options), threads=options.threads, hwaccel=options.hwaccel) as video:
        yield from analyze_video(video, video_id_of(path), options, tools)


def analyze_video(video: Video, video_id: str, options: AnalyzeOptions, tools: Tools) -> Iterator[Rows]:
    """As `analyze`, on an open video, whose report and counts can be read afterwards."""
    labels = tools.classifier.card.labels

    with detect_ahead(video, options, tools) as stage:
        people = People(options, stage.regions, tools.describer)

        def to_rows(part: FrameRows | FaceCrops) -> Rows:
            if isinstance(part, FaceCrops):
                answer = classify_distinct(tools.classifier, part.images)
                return face_rows(video_id, part, answer, labels, regions=stage.regions)
            return part

        parts = _frame_rows_and_crops(people.track(stage.detected), video_id, options, tools.crop_shape)
        with closing(stage.map_ahead(to_rows, parts)) as batches:
            for _, rows in batches:
                yield rows
    yield track_rows(people.finish(end_s=video.end_s))
    video.report.warnings.extend(people.warnings)


@dataclass(frozen=True, slots=True)
class DetectionStage:
    """Frames with their faces, in the order of the video, and the pool that finds them."""

    regions: Sequence[Region]
    """In which faces are looked for; empty: all of the picture."""
    detected: Iterator[tuple[FrameSample, Detections | None]]
    """None where faces are interpolated."""
    has_only_keys: bool
    """Each frame is a key frame."""
    pool: Executor
    threads: int

    def map_ahead(self, function: Callable[[T], R], items: Iterable[T]) -> Generator[tuple[T, R]]:
        """Apply a function to what is made of the frames."""
        # Deeper than detection, because rows of FRAMES, which need no work, take places in this queue too.
        return map_ahead(self.pool, function, items, 2 * self.threads + 2)


@contextmanager
def detect_ahead(
    video: Video,
    options: AnalyzeOptions,
    tools: Tools,
    passing: Callable[[Iterable[FrameSample]], Iterable[FrameSample]] = iter,
) -> Iterator[DetectionStage]:
    """Decode a video and find the faces of its frames, ahead of the consumer of `DetectionStage.detected`.

    Args:
        video: an open video.
        options: how it is analysed.
        tools: its detector is used.
        passing: passes frames on that faces are looked for in; runs in the thread that decodes.
    """
    threads = options.threads or available_cpus()
    turn_upright(video, options, tools.detector)
    regions = _choose_regions(video, options, tools.detector)
    detect = KeyFrameDetector(tools.detector, options, regions)
    frames = video.frames(Selection.of(options))
    is_near = options.detects_near and _gains_near(detect, video)
    sampler = FrameSampler(
        regions=regions,
        detect_stride=options.detect_stride,
        key_seconds=LOOK_SECONDS if is_near else None,
        finds_repeats=options.detect_stride == 1,  # others are interpolated
    )
    samples, detect_all = passing(sample_frames(frames, sampler)), _detect_near if is_near else _detect_keys
    # One pool for both kinds of work, and one thread per call: results then cannot depend on the number of threads, and
    # no runtime has threads of its own that spin while they wait. Only FFmpeg's decoder has its own threads.
    #
    # The stages are closed in reverse order: each waits for its running calls before the stage that feeds it is closed.
    with (
        _limit_opencv_to_one_thread(),
        ThreadPoolExecutor(threads, thread_name_prefix="ferflow-work") as pool,
        # Frames between two key frames wait as well, and one in `mark_alone`: the memory stays the same.
        closing(prefetch(samples, PREFETCH_FRAMES // 2 - 1 if is_near else PREFETCH_FRAMES)) as sampled,
        closing(detect_all(pool, detect, sampled, threads + 2)) as detected,
    ):
        yield DetectionStage(regions, detected, not is_near and options.detect_stride == 1, pool, threads)
    video.report.n_repeated = sampler.n_repeated


_is_searched = operator.attrgetter("is_searched")


def classify_distinct(classifier: Classifier, images: UInt8Array) -> Answer:
    """Classify crops, uint8 (N, S, S, C); of equal ones, as repeated pictures have them, one."""
    place: dict[bytes, int] = {}
    rows = np.array([place.setdefault(image.tobytes(), len(place)) for image in images], np.int64)
    if len(place) == len(images):
        return classifier.answer(images)
    _, first = np.unique(rows, return_index=True)
    return classifier.answer(images[first]).take(rows)


def _gains_near(detect: KeyFrameDetector, video: Video) -> bool:
    """Whether it is quicker to search around expected faces than all of the picture, or all of each region."""
    # A header may state no size.
    return 0 not in video.size and all(
        detect.gains_near(video.size, region) for region in range(len(detect.regions) or 1)
    )


def _detect_keys(
    pool: ThreadPoolExecutor, detect: KeyFrameDetector, sampled: Iterable[FrameSample], depth: int
) -> Generator[tuple[FrameSample, Detections | None]]:
    """The faces of key frames; None for others, which get theirs by interpolation."""
    last: Detections | None = None
    with closing(map_some_ahead(pool, detect, sampled, depth, _is_searched)) as detected:
        for sample, found in detected:
            if sample.is_key:
                found = last = last if found is None else found
            yield sample, found
            del sample  # its frame would stay in memory while the next one is searched


def _detect_near(
    pool: ThreadPoolExecutor, detect: KeyFrameDetector, sampled: Iterable[FrameSample], depth: int
) -> Generator[tuple[FrameSample, Detections | None]]:
    """The faces of each frame: of all of a key frame, and of others around the places where faces are expected."""
    with closing(map_some_ahead(pool, detect.look, mark_alone(sampled), depth, _is_searched)) as looked:
        plans = plan_searches(looked, score=detect.options.score, gains=detect.gains_near)
        with closing(map_some_ahead(pool, detect.search, plans, depth, is_unknown)) as searched:
            last: Detections | None = None
            for (sample, known), found in searched:
                faces = known if isinstance(known, Detections) else found
                if not sample.is_repeat and faces is not None:
                    last = detect.limit(faces)
                yield sample, last
                del sample  # its frame would stay in memory while the next one is searched


def _choose_regions(video: Video, options: AnalyzeOptions, detector: Detector) -> Sequence[Region]:
    """The regions of the options; for `auto`, what is found in the video, with a warning that says what that is."""
    if options.region != (AUTO,):
        return options.regions
    found = find_picture_in_picture(video.info.path, options, detector, turn=video.turn)
    video.report.warnings.append(
        "region auto: no picture-in-picture frame was found; all of the picture is analysed"
        if found is None
        else f"region auto: the part {found.spec} of the picture was analysed"
    )
    return [] if found is None else [found]


def _frame_rows_and_crops(
    tracked: Iterable[TrackedFrame], video_id: str, options: AnalyzeOptions, shape: CropShape
) -> Iterator[FrameRows | FaceCrops]:
    """Yield rows of FRAMES, and full batches of crops."""
    waiting = FaceCrops.empty(shape)
    for chunk in chunks(tracked, options.chunk_frames):
        yield frame_rows(video_id, chunk)
        waiting += crop_frames(
            [item.sample.frame for item in chunk],
            [item.faces for item in chunk],
            [item.track_id for item in chunk],
            shape,
        )
        del chunk  # its frames would stay in memory while the batches are classified
        while len(waiting) >= options.batch_size:
            yield waiting[: options.batch_size]
            waiting = waiting[options.batch_size :]
    if len(waiting):
        yield waiting


def frame_rows(video_id: str, frames: list[TrackedFrame]) -> FrameRows:
    """Rows of FRAMES, one per frame, also without a face."""
    samples = [item.sample for item in frames]
    columns = [
        _string_array([video_id] * len(frames)),
        _column(np.array([each.frame.index for each in samples], np.int32)),
        _column(np.array([each.frame.pts for each in samples], np.int64)),
        _column(np.array([each.frame.time_s for each in samples], np.float64)),
        _column(np.array([len(item.faces) for item in frames], np.int16)),
        _column(np.array([each.luma_mean for each in samples], np.float32)),
        _column(np.array([each.is_cut for each in samples], np.bool_)),
        _column(np.array([each.frame.planes.width for each in samples], np.int32)),
        _column(np.array([each.frame.planes.height for each in samples], np.int32)),
    ]
    return FrameRows(pa.RecordBatch.from_arrays(columns, schema=FRAMES))


def face_rows(
    video_id: str,
    faces: FaceCrops,
    answer: Answer,
    labels: tuple[str, ...],
    *,
    regions: Sequence[Region] = (),
) -> FaceRows:
    """Rows of FACES; columns of `TrackRows` are null.

    Args:
        video_id: of the video.
        faces: N crops.
        answer: of the classifier to the N crops.
        labels: K names, in the order of the columns of its probabilities.
        regions: those that faces were looked for in; empty: all of the picture.
    """
    n, schema, probs = len(faces), faces_schema(labels), answer.probs
    points = np.ascontiguousarray(faces.landmarks.reshape(n, 10))
    columns = [
        _string_array([video_id] * n),
        *(_column(column) for column in (faces.frame_index, faces.pts, faces.time_s, faces.track_id)),
        pa.nulls(n, schema.field("person_id").type),
        _region_column(faces, regions),
        pa.nulls(n, schema.field("not_face").type),
        _unreadable_column(find_unreadable(faces, answer.occluded)),
        *(_with_nulls(faces.xyxy[:, i]) for i in range(4)),
        _with_nulls(faces.score),
        # Null where a landmark is missing: a list of NaN would look like five known points.
        pa.Array.from_buffers(
            pa.list_(pa.float32(), 10),
            n,
            [_bitmap(np.isfinite(points).all(axis=1))],
            children=[_column(points.ravel())],
        ),
        *(_with_nulls(faces.pose[:, i]) for i in range(3)),
        _with_nulls(faces.sharpness),
        _with_nulls(faces.face_px),
        *(_with_nulls(probs[:, i]) for i in range(len(labels))),
        pa.DictionaryArray.from_arrays(_column(probs.argmax(axis=1).astype(np.int8)), _string_array(labels)),
    ]
    return FaceRows(pa.RecordBatch.from_arrays(columns, schema=schema))


def _region_column(faces: FaceCrops, regions: Sequence[Region]) -> pa.Array:
    """Name of the region of each face; null without regions."""
    if not regions:
        return pa.nulls(len(faces), faces_schema(()).field("region").type)
    return pa.DictionaryArray.from_arrays(
        _column(faces.region), _string_array([region.label for region in regions])
    )


def find_unreadable(faces: FaceCrops, occluded: BoolArray | None) -> Int64Array:
    """Why each face is unreadable, int64 (N,): codes as of `unreadable_codes`.

    Pose and size come first: the classifier is made for frontal faces, and may take the mouth of a profile for covered.

    Args:
        faces: N crops.
        occluded: bool (N,), of the classifier's answer; None: it does not say.
    """
    yaw, size, sharpness = (
        values.astype(np.float64) for values in (faces.pose[:, 0], faces.face_px, faces.sharpness)
    )
    codes = unreadable_codes(yaw, size, sharpness)
    if occluded is None:
        return codes
    return np.where((codes == 0) & occluded, 1 + REASONS.index("occluded"), codes)


def _unreadable_column(codes: Int64Array) -> pa.Array:
    """Why each face is unreadable; null where it is not."""
    places = _column((codes - 1).astype(np.int8), _bitmap(codes > 0))
    return pa.DictionaryArray.from_arrays(places, _string_array(REASONS))


def track_rows(tracks: Sequence[KnownTrack]) -> TrackRows:
    """Rows of TRACKS."""
    persons = np.array([track.person_id or 0 for track in tracks], np.int32)
    kinds = np.array([NOT_FACE.index(track.not_face) if track.not_face else -1 for track in tracks], np.int8)
    columns = [
        _column(np.array([track.track_id for track in tracks], np.int32)),
        _column(persons, _bitmap(persons > 0)),
        pa.DictionaryArray.from_arrays(_column(kinds.clip(0), _bitmap(kinds >= 0)), _string_array(NOT_FACE)),
    ]
    return TrackRows(pa.RecordBatch.from_arrays(columns, schema=TRACKS))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter; never an empty list."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


@contextmanager
def _limit_opencv_to_one_thread() -> Iterator[None]:
    """OpenCV is called from several threads at once, with short calls; threads of its own would compete with them."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


# Not `pa.array`: it imports pandas, which takes as long as all other imports before the first frame together.
def _column(values: npt.NDArray[np.generic], validity: pa.Buffer | None = None) -> pa.Array:
    """An Arrow array of the same memory; null where the bit of `validity` is 0."""
    if values.dtype == np.bool_:
        return pa.Array.from_buffers(pa.bool_(), len(values), [validity, _bitmap(values)])
    kind, data = pa.from_numpy_dtype(values.dtype), pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [validity, data])


def _with_nulls(values: npt.NDArray[np.float32]) -> pa.Array:
    """An Arrow array with null in place of NaN, which stands for unknown in crops and detections."""
    missing = np.isnan(values)
    return _column(values, _bitmap(~missing) if missing.any() else None)


def _string_array(texts: Sequence[str]) -> pa.Array:
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def _bitmap(flags: npt.ArrayLike) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.asarray(flags, np.bool_), bitorder="little"))
