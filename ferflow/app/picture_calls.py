"""What is done with pictures, in a child process: a decoder that crashes there costs one request."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferflow.errors import DecodeError, VideoError
from ferflow.faces.crops import crop_faces
from ferflow.faces.detections import Detections
from ferflow.faces.face_result import FaceResult
from ferflow.single_picture import PictureReader, read_faces, read_picture

_NAME = "the file"


@dataclass(frozen=True, slots=True)
class ReadPicture:
    """The faces of a picture, and its size in pixels, upright."""

    faces: tuple[FaceResult, ...]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Activation:
    """The class-activation map of a label, drawn over the crop of a face."""

    label: str
    probability: float
    image: str
    """Data URI of a PNG."""


def read_content(reader: PictureReader, content: bytes, folder: Path) -> ReadPicture:
    """The faces of a picture.

    Args:
        reader: of the child process.
        content: of a file.
        folder: see `as_file`.

    Raises:
        VideoError: not a picture, or it cannot be read.
    """
    with as_file(content, folder) as path:
        frame = read_picture(path, reader.options)
        faces = read_faces(frame, reader.options, reader.tools)
    return ReadPicture(faces, frame.planes.width, frame.planes.height)


def show_content(reader: PictureReader, content: bytes, folder: Path) -> bytes:
    """A picture as JPEG, upright, for browsers that do not read its format; raises as `read_content`."""
    import cv2

    with as_file(content, folder) as path:
        image = read_picture(path, reader.options).bgr()
    done, encoded = cv2.imencode(".jpg", image)
    if not done:
        raise VideoError(f"{_NAME}: cannot be shown; JPEG has 65,535 pixels a side.")
    return encoded.tobytes()


def map_activation(
    reader: PictureReader, content: bytes, xyxy: tuple[float, float, float, float], folder: Path
) -> list[Activation]:
    """Class-activation maps of one face, the most probable label first; empty if the network has none.

    Args:
        reader: of the child process.
        content: of a file.
        xyxy: box of the face, as `read_content` has found it.
        folder: see `as_file`.

    Raises:
        VideoError: not a picture, or it cannot be read.
        ModelError: the network cannot be inspected.
    """
    from ferflow.dashboards.model_pages.explanation import draw_evidence
    from ferflow.models.class_activation import NetworkInspector

    with as_file(content, folder) as path:
        frame = read_picture(path, reader.options)
        box = np.array([xyxy], np.float32)
        found = Detections(box, np.ones(1, np.float32), np.full((1, 5, 2), np.nan, np.float32))
        crops = crop_faces(frame, found, np.ones(1, np.int32), reader.tools.crop_shape)
    card = reader.tools.classifier.card
    (seen,) = NetworkInspector(card)(crops.images)
    images = draw_evidence(seen) or []
    found_maps = [Activation(*each) for each in zip(card.labels, seen.probs.tolist(), images, strict=False)]
    return sorted(found_maps, key=lambda each: -each.probability)


@contextmanager
def as_file(content: bytes, folder: Path) -> Iterator[Path]:
    """A file with this content, which on Linux is in memory alone; messages about it call it `the file`.

    Args:
        content: of the file.
        folder: for a temporary file, which is removed at the end, on other systems.
    """
    with _write(content, folder) as path:
        try:
            yield path
        except VideoError as error:
            text = str(error)
            message = f"{_NAME}{text.removeprefix(path.name)}" if text.startswith(path.name) else text
            raise (DecodeError if isinstance(error, DecodeError) else VideoError)(message) from error


@contextmanager
def _write(content: bytes, folder: Path) -> Iterator[Path]:
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("ferflow-picture"), "wb") as file:
            file.write(content)
            file.flush()
            # FFmpeg opens files by name.
            yield Path(f"/proc/self/fd/{file.fileno()}")
    else:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="picture-") as file:
            file.write(content)
            file.flush()
            yield Path(file.name)
