"""Pictures for the edit mode, cut from the video when they are asked for; nothing is stored."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import cv2

from ferflow.analytics.person_faces import Persons
from ferflow.app.folder_files import find_source
from ferflow.dashboards import load_names
from ferflow.errors import VideoError
from ferflow.media.video import Frame, Reading, open_video
from ferflow.render.portraits import FacePlace, best_faces, read_portraits
from ferflow.render.thumbnails import draw_thumbnail
from ferflow.single_picture import PictureReader
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.types import UInt8Array

Owner: TypeAlias = tuple[Literal["person", "track"], int]

_MOST_WIDTH = 960
"""Pixels of a frame that is shown in place of the video."""
_LATER = Fraction(1, 1000)
"""Seconds after a time at which its frame is shown; pages round times."""


def find_faces(out: Path, video_id: str) -> dict[Owner, FacePlace]:
    """Where the best face of each person and of each track is.

    Raises:
        RecordsError: the tables cannot be read.
        OptionsError: a list cannot be used.
    """
    persons = Persons.of(OutputFolder(out).video(video_id), load_names(out).of(video_id))
    of_persons = best_faces(persons, count=1)
    of_tracks = best_faces(persons, count=1, of="track_id")
    return {("person", one): faces[0] for one, faces in of_persons.items()} | {
        ("track", one): faces[0] for one, faces in of_tracks.items()
    }


def cut_face(reader: PictureReader, out: Path, video_id: str, place: FacePlace) -> bytes:
    """Head and shoulders around a face, JPEG. In a child process.

    Raises:
        VideoError: the video is not where it was analysed, or cannot be read.
    """
    _check_source(out, video_id)
    for portrait in read_portraits(OutputFolder(out).video(video_id), {place.owner_id: [place]}):
        return _encode(draw_thumbnail(portrait))
    raise VideoError("this part of the video cannot be read.")


def show_frame(reader: PictureReader, out: Path, video_id: str, time_s: float) -> bytes:
    """The frame that is shown at a time, JPEG, for videos that browsers do not play. In a child process.

    Raises:
        VideoError: the video is not where it was analysed, or cannot be read.
    """
    source = _check_source(out, video_id)
    metadata = read_metadata(OutputFolder(out).video(video_id).faces)
    time = Fraction(time_s).limit_denominator(10**6) + _LATER
    with open_video(source, Reading.again(metadata.options, metadata.source)) as video:
        frame = next(video.frames_between(time, time), None)
        if frame is None:
            raise VideoError("this part of the video cannot be read.")
        return _encode(frame.bgr(_size_shown(frame)))


def _check_source(out: Path, video_id: str) -> Path:
    source = find_source(out, video_id)
    if source is None:
        raise VideoError("the video is not where it was analysed.")
    return source


def _size_shown(frame: Frame) -> tuple[int, int]:
    width, height = frame.planes.width * frame.pixel_aspect, frame.planes.height
    factor = min(1.0, _MOST_WIDTH / width)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _encode(image: UInt8Array) -> bytes:
    done, encoded = cv2.imencode(".jpg", image)
    if not done:
        raise VideoError("the picture could not be encoded.")
    return encoded.tobytes()
