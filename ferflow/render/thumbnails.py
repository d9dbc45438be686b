"""A picture of each person of a video, to name them by; made only on request, and removed on request."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ferflow.analytics.person_faces import Persons
from ferflow.errors import RecordsError
from ferflow.render.portraits import Portrait, best_faces, read_portraits
from ferflow.store.atomic_files import atomic_write
from ferflow.store.output_folder import OutputFolder
from ferflow.types import UInt8Array

SIDE = 160
"""Pixels."""
_REACH = 1.1
"""From the middle of the face to the edge of the thumbnail, in heights of the face: hair and shoulders are in it."""


def write_thumbnails(persons: Persons) -> list[Path]:
    """Write a thumbnail of each person of a video, from its source; those written before are removed.

    Raises:
        VideoError: the source is no longer at its path, or cannot be read.
        RecordsError: the table of faces cannot be read, or a file cannot be written.
    """
    files = persons.paths
    files.remove_thumbnails()
    written = []
    for portrait in read_portraits(files, best_faces(persons, count=1)):
        path = files.thumbnails / f"{portrait.place.owner_id}.jpg"
        done, encoded = cv2.imencode(".jpg", draw_thumbnail(portrait))
        if not done:
            raise RecordsError(f"{path}: the picture could not be encoded.")
        with atomic_write(path, out=files.out) as part:
            part.write_bytes(encoded.tobytes())
        written.append(path)
    return sorted(written)


def remove_thumbnails(folder: OutputFolder) -> int:
    """Remove all thumbnails of a folder; returns their number."""
    files = (
        [folder.video(path.name) for path in folder.thumbnails.iterdir()]
        if folder.thumbnails.is_dir()
        else []
    )
    return sum(each.remove_thumbnails() for each in files)


def draw_thumbnail(portrait: Portrait) -> UInt8Array:
    """Cut out head and shoulders, uint8 (160, 160, 3), BGR; gray outside of the picture."""
    frame, (x1, y1, x2, y2) = portrait.frame, portrait.place.xyxy.tolist()
    reach = _REACH * (y2 - y1)
    factor = SIDE / (2 * reach)
    # Pixels need not be square.
    across = factor * frame.pixel_aspect
    matrix = np.array(
        [[across, 0, SIDE / 2 - across * (x1 + x2) / 2], [0, factor, SIDE / 2 - factor * (y1 + y2) / 2]]
    )
    image = cv2.warpAffine(
        frame.bgr(), matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderValue=(128, 128, 128)
    )
    return np.asarray(image, np.uint8)
