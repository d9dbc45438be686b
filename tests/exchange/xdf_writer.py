"""XDF, written byte by byte as https://github.com/sccn/xdf/wiki/Specifications says; pyxdf only reads."""

from __future__ import annotations

import struct
from collections.abc import Sequence


def chunk(tag: int, content: bytes) -> bytes:
    """A chunk with a length of four bytes."""
    return b"\x04" + struct.pack("<I", len(content) + 2) + struct.pack("<H", tag) + content


def file_header() -> bytes:
    return b"XDF:" + chunk(1, b'<?xml version="1.0"?><info><version>1.0</version></info>')


def stream_header(stream: int, name: str, kind: str, channel_format: str, n_channels: int = 1) -> bytes:
    xml = (
        f'<?xml version="1.0"?><info><name>{name}</name><type>{kind}</type><channel_count>{n_channels}</channel_count>'
        f"<nominal_srate>0</nominal_srate><channel_format>{channel_format}</channel_format>"
        f"<created_at>0</created_at><desc/></info>"
    )
    return chunk(2, struct.pack("<I", stream) + xml.encode())


def text_samples(stream: int, samples: Sequence[tuple[float, str]]) -> bytes:
    content = b"\x04" + struct.pack("<I", len(samples))
    for time, text in samples:
        encoded = text.encode()
        content += b"\x08" + struct.pack("<d", time) + b"\x04" + struct.pack("<I", len(encoded)) + encoded
    return chunk(3, struct.pack("<I", stream) + content)


def number_samples(stream: int, samples: Sequence[tuple[float, Sequence[float]]]) -> bytes:
    content = b"\x04" + struct.pack("<I", len(samples))
    for time, values in samples:
        content += b"\x08" + struct.pack(f"<d{len(values)}d", time, *values)
    return chunk(3, struct.pack("<I", stream) + content)


def clock_offset(stream: int, time: float, offset: float) -> bytes:
    return chunk(4, struct.pack("<Idd", stream, time, offset))


def footer(stream: int) -> bytes:
    return chunk(6, struct.pack("<I", stream) + b'<?xml version="1.0"?><info></info>')


def recording(*, with_video: bool = True, offset: float = 100.0) -> bytes:
    """A stream of markers of a machine whose clock is 100 s behind, and ferflow's own stream, which starts at 500 s."""
    parts = [file_header(), stream_header(1, "psychopy", "Markers", "string")]
    if with_video:
        parts.append(stream_header(2, "ferflow", "Expressions", "double64", 3))
        parts.append(number_samples(2, [(500.0 + k / 10, (k, k / 10, 1.0)) for k in range(100)]))
        parts += [clock_offset(2, 500.0 + k, 0.0) for k in range(0, 10, 5)]
    parts += [clock_offset(1, 400.0 + k, offset) for k in range(0, 10, 5)]
    parts.append(text_samples(1, [(401.5, "clap"), (404.25, "über"), (405.0, "")]))
    return b"".join([*parts, footer(1)])
