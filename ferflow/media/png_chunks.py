"""PNG files whose text or colour profile unpacks to gigabytes: FFmpeg unpacks them without a limit."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from ferflow.errors import VideoError
from ferflow.media.object_file import open_source

MOST_UNPACKED_BYTES = 32 << 20
"""Of all text and colour profiles of a file; a profile has some KiB. A thousand times the packed size is possible."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PACKED = (b"zTXt", b"iCCP")
"""Kinds of chunks that FFmpeg unpacks besides pictures, which have a limit of their own."""


def check_png(path: Path) -> None:
    """Refuse a PNG or APNG that unpacks to too much besides its pictures; other files pass.

    Raises:
        VideoError: it does.
    """
    with open_source(path) as file:
        _check(file, path.name)


def check_png_packet(content: bytes, name: str) -> None:
    """As `check_png`, for a picture within a container; `name` is the file's."""
    _check(io.BytesIO(content), name)


def _check(file: BinaryIO, name: str) -> None:
    left = MOST_UNPACKED_BYTES
    while file.read(len(_SIGNATURE)) == _SIGNATURE:  # pictures may follow one another
        left = _unpack_image(file, left)
    if left < 0:
        raise VideoError(
            f"{name}: its text or colour profile unpacks to more than {MOST_UNPACKED_BYTES >> 20} MiB. "
            "Save the picture again without them."
        )


def _unpack_image(file: BinaryIO, left: int) -> int:
    """How many bytes are left to unpack after the chunks of one image; negative: too few."""
    while left >= 0 and len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in _PACKED:
            content = file.read(length)
            left -= _unpacked_size(content[content.find(b"\0") + 2 :], left + 1)
        else:
            file.seek(length, 1)
        file.seek(4, 1)  # the checksum
        if kind == b"IEND":
            break
    return left


def _unpacked_size(packed: bytes, most: int) -> int:
    """Size of what zlib data unpack to, as far as `most`; of damaged data 0."""
    try:
        return len(zlib.decompressobj().decompress(packed, most))
    except zlib.error:
        return 0
