"""Numbered images as a video: a folder of them, in the order of their numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from ferflow.errors import VideoError
from ferflow.media.container import Container, VideoInfo
from ferflow.media.decode_report import Lost
from ferflow.media.image_list import count_images, list_images


class ImageSequence:
    """A `Source` over the images of one folder; the pts is the position in the sequence."""

    def __init__(self, folder: Path, fps: float) -> None:
        try:
            self._images = list_images(folder)
        except OSError as error:
            raise VideoError(
                f"{folder.name}: cannot be read ({error.strerror}). Check its permissions."
            ) from error
        if not self._images:
            raise VideoError(f"{folder.name}: the folder has no numbered images. Nothing to analyse.")
        self.n_unnumbered = count_images(folder) - len(self._images)
        """Images that are no part of the sequence."""
        # The float 23.976 is a fraction with a denominator of 2**43; FFmpeg's time bases have 32 bits.
        self._time_base = 1 / Fraction(fps).limit_denominator(1_000_000)
        header = _first_header(self._images)
        self.info = VideoInfo(
            path=folder,
            format="images",
            codec=header.codec,
            pix_fmt=header.pix_fmt,
            width=header.width,
            height=header.height,
            time_base=self._time_base,
            frame_rate=fps,
            duration_s_from_header=None,
            n_frames_from_header=len(self._images),
        )

    def decode(self, from_pts: int | None = None) -> Iterator[av.VideoFrame | Lost]:
        """See `Source`. An image that cannot be read leaves a gap in the pts, not a shift."""
        first = max(from_pts or 0, 0)
        for position, path in enumerate(self._images[first:], start=first):
            picture = _decode_image(path)
            if picture is None:
                yield Lost(1)
                continue
            picture.pts, picture.time_base = position, self._time_base
            yield picture

    def find_start(self, from_pts: int) -> int | None:
        """See `Source`."""
        return max(from_pts, 0)

    def close(self) -> None:
        """See `Source`. No file is open between images."""


def _first_header(images: list[Path]) -> VideoInfo:
    problems = []
    for path in images:
        try:
            with contextlib.closing(Container(path)) as container:
                return container.info
        except VideoError as error:
            problems.append(error)
    raise VideoError(
        f"{images[0].parent.name}: none of the {len(images)} images can be read. The first: {problems[0]}"
    )


def _decode_image(path: Path) -> av.VideoFrame | None:
    # One thread: a single picture has no work for more, and starting them takes longer than decoding it.
    with contextlib.suppress(VideoError), contextlib.closing(Container(path, threads=1)) as container:
        for event in container.decode():
            return event if isinstance(event, av.VideoFrame) else None
    return None
