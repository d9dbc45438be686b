"""What is kept of the picture of a face to know its track by, cut out of a frame, or stored by an earlier reading.

A video that is analysed in segments is read once, by several processes; who is who is decided afterwards, in the order
of the video (`jobs.segments`). What that needs of the pictures is stored with the detections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from ferflow.faces.appearance import Appearance, PackedAppearance, Patch, PatchPixels, sample_appearance
from ferflow.faces.detections import Detections
from ferflow.faces.regions import Part, cut_part
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.regions import Region
from ferflow.types import Float32Array, UInt8Array

_PICTURE_PX = 24


class Look(Protocol):
    """How a face and its clothing look in one frame."""

    @property
    def patch(self) -> Patch:
        """A coarse picture of head and torso."""

    def sample(self) -> Appearance:
        """Its colours."""


class Looks(Protocol):
    """Gives the looks of the faces of frames."""

    def look(self, frame: Frame, faces: Detections, row: int) -> Look:
        """Of one face, for links between frames."""

    def picture(self, frame: Frame, faces: Detections, row: int) -> UInt8Array:
        """Of one face with landmarks, uint8 (24, 24), as `cut_picture` cuts it."""


class Needs(NamedTuple):
    """What tracking may ask for of the faces of a frame."""

    patch: bool
    """`Look.patch`."""
    sample: bool
    """`Look.sample`, which takes most of the time."""
    picture: bool
    """`Looks.picture`."""


class FrameLook:
    """Cut out of a frame."""

    def __init__(self, planes: Planes, xyxy: Float32Array) -> None:
        self._planes, self._xyxy = planes, xyxy
        self.patch = Patch.cut(planes, xyxy)
        self._sample: Appearance | None = None

    def sample(self) -> Appearance:
        """Its colours, counted once."""
        if self._sample is None:
            self._sample = sample_appearance(self._planes, self._xyxy)
        return self._sample


class FrameLooks:
    """Cuts looks out of frames."""

    def __init__(self, regions: Sequence[Region] = ()) -> None:
        """Start with a video.

        Args:
            regions: the parts of it that are analysed; what is next to one of them does not belong to the person.
        """
        self._regions = regions

    def look(self, frame: Frame, faces: Detections, row: int) -> FrameLook:
        """See `Looks`."""
        return FrameLook(*self._cut(frame, faces, row))

    def picture(self, frame: Frame, faces: Detections, row: int) -> UInt8Array:
        """See `Looks`."""
        return cut_picture(frame.planes, faces.landmarks[row])

    def store(self, frame: Frame, faces: Detections, row: int, needs: Needs) -> StoredLook:
        """What tracking may ask for of one of N detections."""
        if not any(needs):
            return _NOTHING
        planes, xyxy = self._cut(frame, faces, row)
        is_known = needs.picture and bool(np.isfinite(faces.landmarks[row]).all())
        return StoredLook(
            PatchPixels.cut(planes, xyxy).to_bytes() if needs.patch else None,
            PackedAppearance.pack(sample_appearance(planes, xyxy)).to_bytes() if needs.sample else None,
            self.picture(frame, faces, row).tobytes() if is_known else None,
        )

    def _cut(self, frame: Frame, faces: Detections, row: int) -> tuple[Planes, Float32Array]:
        """The picture of a face's region, and its box in it."""
        part = self._part(frame, int(faces.region[row]))
        return part.frame.planes, faces.xyxy[row] - np.array([part.x, part.y] * 2, np.float32)

    def _part(self, frame: Frame, region: int) -> Part:
        if not self._regions:
            return Part(frame, 0, 0)
        size = (frame.planes.width, frame.planes.height)
        return cut_part(frame, *self._regions[region].pixels(*size))


@dataclass(frozen=True, slots=True)
class StoredLook:
    """The look of a face in a frame that is gone, as `FrameLooks.store` packs it."""

    patch_data: bytes | None
    colours_data: bytes | None
    picture_data: bytes | None
    """None where tracking does not ask for it; see `Needs`."""

    @property
    def patch(self) -> Patch:
        """See `Look`."""
        assert self.patch_data is not None
        return PatchPixels.from_bytes(self.patch_data).patch()

    def sample(self) -> Appearance:
        """See `Look`."""
        assert self.colours_data is not None
        return PackedAppearance.from_bytes(self.colours_data).unpack()

    def picture(self) -> UInt8Array:
        """See `Looks.picture`."""
        assert self.picture_data is not None
        return np.frombuffer(self.picture_data, np.uint8).reshape(_PICTURE_PX, _PICTURE_PX)


_NOTHING = StoredLook(None, None, None)

FaceKey = tuple[int, bytes]
"""Region and box of a face: it tells the faces of a frame apart, and what is cut out of it follows from it."""


def face_key(faces: Detections, row: int) -> FaceKey:
    """The key of one of N detections."""
    return int(faces.region[row]), faces.xyxy[row].tobytes()


@dataclass(frozen=True, slots=True, repr=False)
class StoredFrame(Frame):
    """A frame without its pixels; of its planes only the size counts."""

    looks: Mapping[FaceKey, StoredLook] = field(default_factory=dict)


class StoredLooks:
    """Gives the looks that stored frames have."""

    def look(self, frame: Frame, faces: Detections, row: int) -> StoredLook:
        """See `Looks`."""
        assert isinstance(frame, StoredFrame)
        return frame.looks[face_key(faces, row)]

    def picture(self, frame: Frame, faces: Detections, row: int) -> UInt8Array:
        """See `Looks`."""
        return self.look(frame, faces, row).picture()


def cut_picture(planes: Planes, landmarks: Float32Array) -> UInt8Array:
    """A small picture of a face, uint8 (24, 24), from float32 (5, 2), x and y in pixels."""
    middle, reach = landmarks.mean(axis=0), 1.1 * float(np.ptp(landmarks[:, 1]))
    corners = np.rint([middle - reach, middle + reach]).astype(int)
    (x1, y1), (x2, y2) = np.clip(corners, 0, [planes.width - 1, planes.height - 1]).tolist()
    part = planes.y[y1 : y2 + 1, x1 : x2 + 1]
    small = cv2.resize(part, (_PICTURE_PX, _PICTURE_PX), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)
