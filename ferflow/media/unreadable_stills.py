"""Photographs that FFmpeg opens and then shows wrongly or not at all: what stands in their first bytes says so.

Without this, a tile of a photograph or a black picture would pass for the photograph.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from av import VideoStream
from av.stream import Disposition

from ferflow.media.object_file import open_source

_ANIMATION_FLAG = 0x02
"""In the flags of the VP8X chunk of a WebP."""
_TIFF_COMPRESSION = 259
_TIFF_JPEG = (6, 7)
"""Compressions of TIFF 6.0 and of its Technical Note 2. FFmpeg gives a black picture for the second, and no error."""


def why_unreadable(path: Path, demuxer: str, streams: Iterable[VideoStream]) -> str | None:
    """The reason for which a picture must be refused, and what to do; None for all others, and for videos.

    Args:
        path: the file.
        demuxer: FFmpeg's name of the format.
        streams: the picture's own, without previews.
    """
    # FFmpeg leaves it to its caller to put the tiles of a HEIC or AVIF together, and PyAV does not say where they lie.
    if all(stream.disposition & Disposition.dependent for stream in streams):
        return "a photograph that is stored in tiles, as phones write HEIC. Save it as JPEG or PNG first"
    if demuxer.startswith("webp") and _is_animated_webp(path):
        return "an animated WebP, which has no decoder here. Convert it to MP4 or GIF first"
    if demuxer == "tiff_pipe" and _is_jpeg_in_tiff(path):
        return "a TIFF with JPEG inside, which has no decoder here. Save it as JPEG or as plain TIFF first"
    return None


def _is_animated_webp(path: Path) -> bool:
    with open_source(path) as file:
        head = file.read(21)
    return head[12:16] == b"VP8X" and len(head) == 21 and bool(head[20] & _ANIMATION_FLAG)


def _is_jpeg_in_tiff(path: Path) -> bool:
    """Whether the first directory of a TIFF states a JPEG compression (TIFF 6.0, section 2)."""
    with open_source(path) as file:
        order = "<" if file.read(2) == b"II" else ">"
        try:
            (offset,) = struct.unpack(f"{order}I", file.read(6)[2:])
            file.seek(offset)
            (n_entries,) = struct.unpack(f"{order}H", file.read(2))
            entries = (struct.unpack(f"{order}HHIH2x", file.read(12)) for _ in range(n_entries))
            return any(tag == _TIFF_COMPRESSION and value in _TIFF_JPEG for tag, _, _, value in entries)
        except (struct.error, OSError):  # cut off: the decoder says so
            return False
