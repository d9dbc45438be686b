"""Key frames of H.264 and HEVC at which decoding can start: as if nothing had been before (IDR pictures), or nearly so.

A key frame alone does not say so: frames that follow it in the file and are shown before it may refer to frames before
it ("open GOP"). After an IDR picture there are none (ITU-T H.264 and H.265, definitions of "IDR picture").
"""

from __future__ import annotations

from collections.abc import Iterator

_START_CODE = b"\x00\x00\x01"
"""In front of each NAL unit in MPEG-TS and raw streams. In MP4 and Matroska it is the unit's length."""

_HEAD_BYTES = 64
"""Of a unit that are looked at."""

_IDR_OF_H264 = 5
_SEI_OF_H264 = 6
_RECOVERY_POINT = 6
_EXACT_AT_ONCE, _EXACT_MASK = 0xC0, 0xE0
"""Bits of a recovery point: no frame until it (`1`, Exp-Golomb of 0), exact match (`1`), no broken link (`0`)."""
_PICTURES_OF_H264 = range(1, 6)
_IDR_OF_HEVC = (19, 20)
_RANDOM_ACCESS_OF_HEVC = range(16, 22)
"""BLA, IDR and CRA."""
_PICTURES_OF_HEVC = range(32)
_DROPS_FRAMES = 0x40
"""`no_output_of_prior_pics_flag` of HEVC, in the third byte: frames that wait to be shown get lost."""


def is_idr(packet: bytes, codec: str, extradata: bytes | None) -> bool:
    """Whether the picture of a packet is an IDR picture; false where its data cannot be read.

    Args:
        packet: of a key frame.
        codec: `h264` or `hevc`.
        extradata: of the stream; says how NAL units are separated.
    """
    for unit in _units(packet, _length_bytes(codec, extradata or b"")):
        kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        if codec == "h264" and kind in _PICTURES_OF_H264:
            return kind == _IDR_OF_H264
        if codec == "hevc" and kind in _PICTURES_OF_HEVC:
            return kind in _IDR_OF_HEVC and len(unit) > 2 and not unit[2] & _DROPS_FRAMES
    return False


def is_clean_start(packet: bytes, codec: str, extradata: bytes | None) -> bool:
    """Whether decoding can start with a key frame, so that it and all frames shown after it are as they should be.

    An IDR picture; a random access point of HEVC; a picture of H.264 whose recovery point says so. Other codecs have no
    other key frames.

    Args:
        packet: of a key frame.
        codec: FFmpeg's name.
        extradata: as of `is_idr`.
    """
    if codec not in ("h264", "hevc"):
        return True
    for unit in _units(packet, _length_bytes(codec, extradata or b"")):
        kind = unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
        if codec == "hevc" and kind in _PICTURES_OF_HEVC:
            return kind in _RANDOM_ACCESS_OF_HEVC
        if codec == "h264" and (kind == _IDR_OF_H264 or (kind == _SEI_OF_H264 and _recovers_at_once(unit))):
            return True
        if codec == "h264" and kind in _PICTURES_OF_H264:
            return False
    return False


def _recovers_at_once(unit: bytes) -> bool:
    """Whether a unit of SEI messages (H.264, 7.3.2.3) has a recovery point that is exact at once."""
    at = 1
    while at + 2 < len(unit) and unit[at] < 255 and unit[at + 1] < 255:  # longer ones are none
        kind, size = unit[at], unit[at + 1]
        if kind == _RECOVERY_POINT:
            return unit[at + 2] & _EXACT_MASK == _EXACT_AT_ONCE
        at += 2 + size
    return False


def _length_bytes(codec: str, extradata: bytes) -> int | None:
    """Bytes of a unit's length, by `avcC` and `hvcC` (ISO/IEC 14496-15); None: units have start codes."""
    at = 4 if codec == "h264" else 21
    return (extradata[at] & 3) + 1 if extradata[:1] == b"\x01" and len(extradata) > at else None


def _units(packet: bytes, length_bytes: int | None) -> Iterator[bytes]:
    """The first bytes of each NAL unit."""
    at = 0
    while length_bytes is not None and at + length_bytes < len(packet):
        start = at + length_bytes
        yield packet[start : start + _HEAD_BYTES]
        at = start + int.from_bytes(packet[at:start])
    while length_bytes is None and (found := packet.find(_START_CODE, at)) >= 0:
        at = found + len(_START_CODE)
        if at < len(packet):
            yield packet[at : at + _HEAD_BYTES]
