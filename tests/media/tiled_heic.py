"""A HEIC photograph in four tiles, as phones write it (ISO/IEC 23008-12, image item of type `grid`)."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import av
import numpy as np
from PIL import Image


def write_tiled_heic(path: Path, photo: Image.Image) -> None:
    """Write a picture of even size; its four quarters are images of their own, and a fifth item joins them."""
    width, height = photo.size
    tile = width // 2, height // 2
    corners = [(x, y) for y in (0, tile[1]) for x in (0, tile[0])]
    quarters = [_encode(photo.crop((x, y, x + tile[0], y + tile[1]))) for x, y in corners]
    grid = struct.pack(">BBBBHH", 0, 0, 1, 1, width, height)
    data = [sample for _, sample in quarters] + [grid]
    head = _box("ftyp", b"heic" + bytes(4) + b"mif1heic")
    meta = _meta(quarters[0][0], tile, (width, height), data, 0)
    meta = _meta(quarters[0][0], tile, (width, height), data, len(head) + len(meta) + 8)
    path.write_bytes(head + meta + _box("mdat", b"".join(data)))


def _encode(tile: Image.Image) -> tuple[bytes, bytes]:
    """Configuration and one picture of H.265."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = *tile.size, "yuv420p"
        # With more threads or B-frames, PyAV's muxer refuses some pictures by chance.
        stream.options = {"x265-params": "log-level=none:info=0:bframes=0:frame-threads=1"}
        stream.codec_context.codec_tag = "hvc1"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(tile), format="rgb24")
        picture.pts = 0
        for packet in [*stream.encode(picture), *stream.encode()]:
            container.mux(packet)
    content = file.getvalue()
    return _find(content, b"hvcC"), _find(content, b"mdat")


def _find(content: bytes, name: bytes) -> bytes:
    at = content.index(name)
    (size,) = struct.unpack(">I", content[at - 4 : at])
    return content[at + 4 : at - 4 + size]


def _box(name: str, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name.encode() + content


def _full(name: str, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags) + content)


def _meta(
    config: bytes, tile: tuple[int, int], size: tuple[int, int], data: list[bytes], first_byte: int
) -> bytes:
    kinds = ["hvc1"] * 4 + ["grid"]
    infos = [
        _full("infe", struct.pack(">HH", k, 0) + kind.encode() + b"\0", version=2, flags=int(kind == "hvc1"))
        for k, kind in enumerate(kinds, 1)
    ]
    starts = [first_byte + sum(map(len, data[:k])) for k in range(5)]
    places = b"".join(
        struct.pack(">HHHII", k, 0, 1, start, len(part))
        for k, (start, part) in enumerate(zip(starts, data, strict=True), 1)
    )
    sizes = [_full("ispe", struct.pack(">II", *one)) for one in (tile, size)]
    uses = b"".join(struct.pack(">HBBB", k, 2, 0x81, 2) for k in range(1, 5)) + struct.pack(">HBB", 5, 1, 3)
    properties = _box("ipco", _box("hvcC", config) + b"".join(sizes))
    return _full(
        "meta",
        b"".join(
            [
                _full("hdlr", bytes(4) + b"pict" + bytes(13)),
                _full("pitm", struct.pack(">H", 5)),
                _full("iloc", b"\x44\x00" + struct.pack(">H", 5) + places),
                _full("iinf", struct.pack(">H", 5) + b"".join(infos)),
                _full("iref", _box("dimg", struct.pack(">HH4H", 5, 4, 1, 2, 3, 4))),
                _box("iprp", properties + _full("ipma", struct.pack(">I", 5) + uses)),
            ]
        ),
    )
