"""One picture, without a video around it: its faces and their expressions.

>>> for face in predict("photo.jpg"):
...     print(face.label, face.probs)

Detector, crops and classifier are those of `analyze`. Pictures are independent of one another: nothing is tracked, so
that a face counts from the score of the options on, and none needs to be seen twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import av
import numpy as np

from ferflow.analytics.readability import REASONS
from ferflow.errors import DecodeError, OptionsError, VideoError
from ferflow.faces.crops import FaceCrops, crop_faces
from ferflow.faces.detector import KeyFrameDetector
from ferflow.faces.face_result import FaceResult
from ferflow.faces.frame_sample import FrameSample
from ferflow.media.container import MAX_PIXELS
from ferflow.media.planes import planes_from_frame
from ferflow.media.video import Frame, Reading, Selection, open_video
from ferflow.models.classifier import Answer
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, find_unreadable
from ferflow.regions import AUTO
from ferflow.types import UInt8Array

if TYPE_CHECKING:
    from PIL.Image import Image

Picture: TypeAlias = "str | Path | UInt8Array | Image"
"""A file, an array, or a picture of Pillow."""

_PIXEL_FORMATS = {1: "gray", 3: "bgr24", 4: "bgra"}
"""FFmpeg's name for arrays, by their number of channels."""


def predict(
    picture: Picture, options: AnalyzeOptions | None = None, *, tools: Tools | None = None
) -> tuple[FaceResult, ...]:
    """Find the faces of one picture and classify their expressions.

    Args:
        picture: a file; uint8 (H, W), gray, or (H, W, 3), BGR as OpenCV reads pictures, or (H, W, 4), BGRA; or a
            picture of Pillow. Files and pictures of Pillow are turned upright as their EXIF data say.
        options: None: the defaults. Those that choose frames of a video have no effect.
        tools: detector and classifier, to load them once for many pictures; None: loaded here.

    Returns:
        The faces, the leftmost first; boxes and landmarks are in pixels of the upright picture.

    Raises:
        VideoError: the file is no picture, or it cannot be read.
        OptionsError: the array is no picture, or an option needs a video.
        ModelError: a model or detector file is missing or altered.
    """
    options = options or AnalyzeOptions()
    frame = make_frame(picture, options)
    return read_faces(frame, options, tools or Tools.load(options))


@dataclass(frozen=True, slots=True)
class PictureReader:
    """Reads many pictures by one detector and one classifier."""

    options: AnalyzeOptions
    tools: Tools

    @classmethod
    def load(cls, options: AnalyzeOptions) -> PictureReader:
        """Load detector and classifier; raises as `Tools.load`."""
        return cls(options, Tools.load(options))

    def read(self, path: Path) -> tuple[FaceResult, ...]:
        """The faces of a file; see `predict`."""
        return predict(path, self.options, tools=self.tools)


def make_frame(picture: Picture, options: AnalyzeOptions) -> Frame:
    """A picture as a frame; see `predict`."""
    if isinstance(picture, str | Path):
        return read_picture(Path(picture), options)
    return _frame_of_array(picture if isinstance(picture, np.ndarray) else _array_of_pillow(picture))


def read_picture(path: Path, options: AnalyzeOptions) -> Frame:
    """Decode a file with one picture, by one thread: a single picture has no work for more.

    Raises:
        VideoError: not a picture, or it cannot be read.
    """
    if path.is_dir():
        raise VideoError(f"{path.name}: a folder, not a picture.")
    with open_video(path, Reading.of(options), threads=1) as video:
        frames = video.frames(Selection())
        try:
            frame = next(frames, None)
        except DecodeError as error:  # its message is about videos
            raise _damaged(path) from error
        if frame is None:
            raise _damaged(path)
        if next(frames, None) is not None:
            raise VideoError(f"{path.name}: not one picture but several. Use ferflow analyze.")
        return frame


def _damaged(path: Path) -> DecodeError:
    return DecodeError(
        f"{path.name}: the picture could not be decoded. It is damaged, cut off, or over "
        f"{MAX_PIXELS // 10**6} megapixels; copy or export it again."
    )


def read_faces(frame: Frame, options: AnalyzeOptions, tools: Tools) -> tuple[FaceResult, ...]:
    """Faces of a frame, the leftmost first; see `predict`.

    Raises:
        OptionsError: an option needs a video.
        VideoError: a region is outside of the picture.
    """
    if options.region == (AUTO,):
        raise OptionsError("region auto needs a video: one picture does not show which part of it stays.")
    detect = KeyFrameDetector(tools.detector, options, options.regions)
    found = detect(FrameSample(frame, (), frame.planes.luma_mean()))
    if found is None or not len(found := found[found.score >= options.score]):
        return ()
    found = found[np.argsort(found.xyxy[:, 0], kind="stable")]
    crops = crop_faces(frame, found, np.full(len(found), -1, np.int32), tools.crop_shape)
    return describe_faces(crops, tools.classifier.answer(crops.images), tools.classifier.card.labels)


def describe_faces(crops: FaceCrops, answer: Answer, labels: tuple[str, ...]) -> tuple[FaceResult, ...]:
    """Faces with what the classifier says of them.

    Args:
        crops: N faces; `track_id` -1 stands for none.
        answer: of the classifier to the N crops.
        labels: K names, in the order of the columns of its probabilities.
    """
    unreadable = find_unreadable(crops, answer.occluded)
    return tuple(
        FaceResult(
            xyxy=(x1, y1, x2, y2),
            score=score,
            probs=dict(zip(labels, probs, strict=True)),
            landmarks=tuple((x, y) for x, y in marks.tolist()) if np.isfinite(marks).all() else None,
            **{name: _known(angle) for name, angle in zip(("yaw", "pitch", "roll"), pose, strict=True)},
            track_id=track_id if track_id >= 0 else None,
            unreadable=REASONS[code - 1] if code else None,
        )
        for (x1, y1, x2, y2), score, probs, marks, pose, track_id, code in zip(
            crops.xyxy.tolist(),
            crops.score.tolist(),
            answer.probs.tolist(),
            crops.landmarks,
            crops.pose.tolist(),
            crops.track_id.tolist(),
            unreadable.tolist(),
            strict=True,
        )
    )


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _frame_of_array(image: UInt8Array) -> Frame:
    n_channels = image.shape[2] if image.ndim == 3 else 1
    if (
        image.dtype != np.uint8
        or image.ndim not in (2, 3)
        or n_channels not in _PIXEL_FORMATS
        or not image.size
    ):
        raise OptionsError(
            f"a picture must be uint8 (H, W), (H, W, 3) or (H, W, 4), got {image.dtype} {image.shape}"
        )
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise OptionsError(
            f"a picture of {image.shape[1]}x{image.shape[0]} is over the limit of {MAX_PIXELS // 10**6} megapixels"
        )
    pixels = np.ascontiguousarray(image[..., 0] if image.ndim == 3 and n_channels == 1 else image)
    picture = av.VideoFrame.from_ndarray(pixels, format=_PIXEL_FORMATS[n_channels])
    return Frame(0, 0, Fraction(0), planes_from_frame(picture, 0))


def _array_of_pillow(image: Image) -> UInt8Array:
    """BGR, upright."""
    from PIL import ImageOps

    if not hasattr(image, "convert"):
        raise OptionsError(
            f"a picture must be a path, an array or a picture of Pillow, got {type(image).__name__}. For bytes, use "
            "PIL.Image.open(io.BytesIO(content))."
        )
    upright = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(upright, np.uint8)[..., ::-1]
