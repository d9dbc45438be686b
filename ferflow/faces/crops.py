"""Faces cut out of frames, each with all values of its row in FACES.

A crop is a copy and has its own index and time, so that a frame can be released as soon as its faces are cut, and no
result has to be matched to its face later by counting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from ferflow.faces.detections import Detections
from ferflow.faces.head_pose import estimate_head_pose
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.types import Float32Array, Int8Array, UInt8Array


@dataclass(frozen=True, slots=True)
class CropShape:
    """Size of the classifier's input, and the part of the face that it shows."""

    size: int
    """Side in pixels."""
    channels: int
    """1, or 3 equal channels for a network made for colour."""
    side: float
    """Side of the square cut out of the frame, in heights of the detector's boxes."""


@dataclass(frozen=True, slots=True)
class FaceCrops:
    """N faces as columns; rows keep the order of the video.

    images: uint8 (N, S, S, C), 0-255. frame_index: int32 (N,). pts: int64 (N,). time_s: float64 (N,).
    track_id: int32 (N,). xyxy: float32 (N, 4), source pixels. score: float32 (N,).
    landmarks: float32 (N, 5, 2), source pixels, NaN where there are none.
    pose: float32 (N, 3), yaw, pitch, roll in degrees, NaN where unknown.
    sharpness: float32 (N,), variance of the Laplacian of the crop (Pech-Pacheco et al., 2000).
    face_px: float32 (N,), side of the square in source pixels, before it was resized.
    region: int8 (N,), number of the region.
    """

    images: UInt8Array
    frame_index: npt.NDArray[np.int32]
    pts: npt.NDArray[np.int64]
    time_s: npt.NDArray[np.float64]
    track_id: npt.NDArray[np.int32]
    xyxy: Float32Array
    score: Float32Array
    landmarks: Float32Array
    pose: Float32Array
    sharpness: Float32Array
    face_px: Float32Array
    region: Int8Array

    def __len__(self) -> int:
        return len(self.images)

    def __add__(self, other: FaceCrops) -> FaceCrops:
        return self._by_column(lambda name: np.concatenate([getattr(self, name), getattr(other, name)]))

    def __getitem__(self, rows: slice) -> FaceCrops:
        return self._by_column(lambda name: getattr(self, name)[rows])

    @classmethod
    def empty(cls, shape: CropShape) -> Self:
        """No face yet."""
        return cls(
            images=np.zeros((0, shape.size, shape.size, shape.channels), np.uint8),
            frame_index=np.zeros(0, np.int32),
            pts=np.zeros(0, np.int64),
            time_s=np.zeros(0, np.float64),
            track_id=np.zeros(0, np.int32),
            xyxy=np.zeros((0, 4), np.float32),
            score=np.zeros(0, np.float32),
            landmarks=np.zeros((0, 5, 2), np.float32),
            pose=np.zeros((0, 3), np.float32),
            sharpness=np.zeros(0, np.float32),
            face_px=np.zeros(0, np.float32),
            region=np.zeros(0, np.int8),
        )

    @classmethod
    def _by_column(cls, column: Callable[[str], npt.NDArray[np.generic]]) -> FaceCrops:
        return cls(**{field.name: column(field.name) for field in fields(cls)})  # type: ignore[arg-type]


def crop_faces(
    frame: Frame, found: Detections, track_id: npt.NDArray[np.int32], shape: CropShape
) -> FaceCrops:
    """Cut out the faces of one frame; see `crop_frames`."""
    return crop_frames([frame], [found], [track_id], shape)


def crop_frames(
    frames: Sequence[Frame],
    found: Sequence[Detections],
    track_ids: Sequence[npt.NDArray[np.int32]],
    shape: CropShape,
) -> FaceCrops:
    """Cut out the faces of several frames.

    Args:
        frames: the frames.
        found: per frame, N detections.
        track_ids: per frame, int32 (N,).
        shape: size of the crops.
    """
    counts = [len(faces) for faces in found]
    if not sum(counts):
        return FaceCrops.empty(shape)
    faces = Detections.concatenate(found)
    sides = (faces.xyxy[:, 3] - faces.xyxy[:, 1]) * shape.side
    images, sharpness = _cut_images(frames, counts, faces, sides, shape)
    aspects = np.repeat([frame.pixel_aspect for frame in frames], counts)
    return FaceCrops(
        images=images,
        frame_index=np.repeat(np.array([frame.index for frame in frames], np.int32), counts),
        pts=np.repeat(np.array([frame.pts for frame in frames], np.int64), counts),
        time_s=np.repeat(np.array([frame.time_s for frame in frames], np.float64), counts),
        track_id=np.concatenate(track_ids).astype(np.int32, copy=False),
        xyxy=faces.xyxy,
        score=faces.score,
        landmarks=faces.landmarks,
        pose=estimate_head_pose(faces.landmarks, pixel_aspect=aspects),
        sharpness=sharpness,
        face_px=sides.astype(np.float32),
        region=faces.region,
    )


def _cut_images(
    frames: Sequence[Frame], counts: list[int], faces: Detections, sides: Float32Array, shape: CropShape
) -> tuple[UInt8Array, Float32Array]:
    """The crops, uint8 (N, S, S, C), and their sharpness, float32 (N,)."""
    n = len(faces)
    images = np.empty((n, shape.size, shape.size, shape.channels), np.uint8)
    sharpness = np.empty(n, np.float32)
    centres = ((faces.xyxy[:, :2] + faces.xyxy[:, 2:]) / 2).tolist()
    of_face = [frame for frame, count in zip(frames, counts, strict=True) for _ in range(count)]
    done: dict[tuple[int, float, float, float, float], int] = {}
    for i, (frame, centre, side) in enumerate(zip(of_face, centres, sides.tolist(), strict=True)):
        # Frames that repeat a picture share its planes, see `FrameSampler`.
        if (before := done.setdefault((id(frame.planes), frame.pixel_aspect, *centre, side), i)) != i:
            images[i], sharpness[i] = images[before], sharpness[before]
            continue
        face = crop_square(frame.planes, centre, side, shape.size, frame.pixel_aspect)
        # Sharpness is measured on the crop, not in the frame: it describes what the classifier sees, and all crops have
        # the same size.
        sharpness[i] = cv2.meanStdDev(cv2.Laplacian(face, cv2.CV_32F))[1][0, 0] ** 2
        images[i] = face[..., None]
    return images, sharpness


def crop_square(
    planes: Planes, centre: tuple[float, float], side: float, size: int, pixel_aspect: float = 1.0
) -> UInt8Array:
    """Cut out the luma of a square around a point, with square pixels.

    Args:
        planes: the picture.
        centre: x and y in source pixels.
        side: in source pixels, measured vertically.
        size: side of the result.
        pixel_aspect: width of a source pixel over its height.

    Returns:
        uint8 (size, size), 0-255; pixels outside the picture repeat its edge.
    """
    half_x, half_y = side / 2 / pixel_aspect, side / 2
    left, right = _pixel_span(centre[0], half_x)
    top, bottom = _pixel_span(centre[1], half_y)
    inside_x, inside_y = _clip(left, right, planes.width), _clip(top, bottom, planes.height)
    part = planes.y[inside_y, inside_x]
    if part.shape != (bottom - top, right - left):
        part = _pad(
            part, top - inside_y.start, bottom - inside_y.stop, left - inside_x.start, right - inside_x.stop
        )
    return resize_to_square(planes, part, size)


def resize_to_square(planes: Planes, part: UInt8Array, size: int) -> UInt8Array:
    """Resize a part of the luma plane to uint8 (size, size), 0-255; the result is a copy."""
    # A view would keep the complete frame in memory until its batch is classified.
    shrinks = min(part.shape) >= size
    small = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    # After resizing, so that only the pixels of the crop are expanded.
    return planes.to_full_range(small.astype(np.uint8, copy=False))


def _pixel_span(centre: float, half: float) -> tuple[int, int]:
    low = round(float(centre - half))
    return low, max(low + 1, round(float(centre + half)))


def _clip(low: int, high: int, length: int) -> slice:
    """The part of low:high inside 0:length; never empty, so that a box outside the picture repeats its edge."""
    start = min(max(low, 0), length - 1)
    return slice(start, max(min(high, length), start + 1))


def _pad(part: UInt8Array, top: int, bottom: int, left: int, right: int) -> UInt8Array:
    edges = (max(-top, 0), max(bottom, 0), max(-left, 0), max(right, 0))
    return np.asarray(cv2.copyMakeBorder(part, *edges, cv2.BORDER_REPLICATE), np.uint8)
