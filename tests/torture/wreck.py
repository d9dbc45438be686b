"""Ways to spoil a file. Each takes a maker and gives a maker."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from tests.torture.films import Maker


def spoilt(make: Maker, change: Callable[[bytearray], bytes | bytearray | None]) -> Maker:
    """What `make` writes, changed in place or replaced by what `change` returns."""

    def spoil(path: Path) -> None:
        make(path)
        content = bytearray(path.read_bytes())
        path.write_bytes(change(content) or content)

    return spoil


def cut_at(make: Maker, percent: int) -> Maker:
    return spoilt(make, lambda content: content[: max(len(content) * percent // 100, 1)])


def bits_flipped(make: Maker, seed: int, *, n: int = 20, start: float = 0.0, stop: float = 1.0) -> Maker:
    """`n` single bits turned over, in the part of the file from `start` to `stop` (shares of its length)."""

    def flip(content: bytearray) -> None:
        rng = np.random.default_rng(seed)
        low, high = int(len(content) * start), int(len(content) * stop)
        for position in rng.integers(low, high, n):
            content[position] ^= 1 << int(rng.integers(8))

    return spoilt(make, flip)


def hollow(make: Maker, start: float, stop: float) -> Maker:
    """Zeros where the content was, as a download leaves them that was never completed."""

    def empty(content: bytearray) -> None:
        low, high = int(len(content) * start), int(len(content) * stop)
        content[low:high] = bytes(high - low)

    return spoilt(make, empty)


def without_frames(make: Maker, *numbers: int) -> Maker:
    """The packets with these numbers are zeros; for codecs whose frames stand alone."""

    def wipe(path: Path) -> None:
        make(path)
        with av.open(str(path)) as file:
            packets = [bytes(packet) for packet in file.demux(video=0) if packet.size]
        content = path.read_bytes()
        for number in numbers:
            content = content.replace(packets[number], bytes(len(packets[number])))
        path.write_bytes(content)

    return wipe


def box(content: bytes, *names: bytes) -> int:
    """Where the innermost of these nested MP4 boxes begins, at its length."""
    position = 0
    for name in names:
        position = content.index(name, position + 4) - 4
    return position


def patched_box(make: Maker, names: tuple[bytes, ...], offset: int, value: bytes) -> Maker:
    """`value` at `offset` into an MP4 box (0: its length)."""

    def patch(content: bytearray) -> None:
        at = box(content, *names) + offset
        content[at : at + len(value)] = value

    return spoilt(make, patch)


def display_matrix(make: Maker, a: int, b: int, c: int, d: int) -> Maker:
    """MP4 whose track is shown through the matrix (a b; c d)."""
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return patched_box(make, (b"moov", b"trak", b"tkhd"), 48, matrix)


def elsewhere(make: Maker) -> Maker:
    """MOV without samples of its own: an `alis` data reference says that they lie in another file, which is there."""

    def refer(path: Path) -> None:
        make(path)
        target = path.with_name(f".{path.stem}.target")
        content = bytearray(path.read_bytes())
        target.write_bytes(content)
        at = box(content, b"mdat")
        (length,) = struct.unpack_from(">I", content, at)
        content[at + 8 : at + length] = bytes(length - 8)
        _refer(content, str(target.absolute()).encode())
        path.write_bytes(content)

    return refer


def _refer(content: bytearray, target: bytes) -> None:
    # An alias record: 150 bytes that may be zero, then entries (type 2: the path; -1: the end), length, text.
    alias = (
        bytes(150)
        + struct.pack(">hh", 2, len(target))
        + target
        + bytes(len(target) % 2)
        + struct.pack(">hh", -1, 0)
    )
    reference = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    chain = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref")
    at = box(content, *chain)
    (old,) = struct.unpack_from(">I", content, at)
    new = struct.pack(">I4sII", 16 + len(reference), b"dref", 0, 1) + reference
    for depth in range(1, len(chain)):
        where = box(content, *chain[:depth])
        (length,) = struct.unpack_from(">I", content, where)
        struct.pack_into(">I", content, where, length + len(new) - old)
    content[at : at + old] = new
