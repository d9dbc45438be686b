"""Markers from XDF, as LabRecorder writes it: all streams of texts, at the times of the LSL clock.

Clocks of several machines are brought together by pyxdf, from the offsets in the file. Time 0 is the first frame of the
video where the recording has the stream of `ferflow live --lsl`, else the first sample of the recording.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ferflow.analytics.markers import Marker
from ferflow.errors import OptionsError
from ferflow.exchange.foreign_marker import check_number, make_marker
from ferflow.exchange.libraries import load_library
from ferflow.exchange.safe_xml import parse_xml
from ferflow.plain_file import read_plain_file
from ferflow.text import sanitize
from ferflow.types import Float64Array

LIBRARY = "pyxdf"
MAGIC = b"XDF:"
MOST_BYTES = 256 * 2**20
_MOST_CHANNELS = 10_000
_HEADER, _SAMPLES, _CLOCK = 2, 3, 4
_OWN_STREAM, _OWN_TYPE = "ferflow", "Expressions"
_FORMATS = ("float32", "double64", "string", "int8", "int16", "int32", "int64")


def read_xdf(path: Path) -> list[Marker]:
    """The events of all streams of texts; the kind is the name of the stream. Call this in a child process.

    Raises:
        OptionsError: no such file, damaged, too large, or the library is missing.
    """
    name = sanitize(path)
    pyxdf = load_library(LIBRARY, f"{name}: XDF")
    try:
        content = read_plain_file(path, MOST_BYTES)
    except OSError as error:
        raise OptionsError(f"{name}: cannot be read ({error.strerror}).") from error
    _check_chunks(content, name)
    try:
        streams, _ = pyxdf.load_xdf(str(path), dejitter_timestamps=False, verbose=False)
    except Exception as error:
        raise OptionsError(
            f"{name}: damaged, or no recording of LabRecorder ({type(error).__name__})."
        ) from error
    return check_number(_find_events(streams, name), name)


def _find_events(streams: Sequence[Mapping[str, Any]], name: str) -> Iterator[Marker]:
    zero = _find_zero(streams)
    for stream in streams:
        if _fact(stream, "channel_format") != "string":
            continue
        kind = _fact(stream, "name")
        for time, texts in zip(stream["time_stamps"], stream["time_series"], strict=False):
            label = " ".join(text for text in texts if text).strip()
            if label and math.isfinite(time):
                yield make_marker(float(time) - zero, None, label, kind, f"{name}: stream {kind[:40]!r}")


def _find_zero(streams: Sequence[Mapping[str, Any]]) -> float:
    """Time of the LSL clock at the first frame of the video, or of the first sample."""
    for stream in streams:
        if (
            _fact(stream, "name") == _OWN_STREAM
            and _fact(stream, "type") == _OWN_TYPE
            and len(stream["time_stamps"])
        ):
            # Channel 1 is the time of the frame; see `jobs.live.lsl`.
            times: Float64Array = np.array([row[1] for row in stream["time_series"]], dtype=np.float64)
            return float(np.median(np.asarray(stream["time_stamps"]) - times))
    firsts = [float(np.min(stream["time_stamps"])) for stream in streams if len(stream["time_stamps"])]
    return min(firsts, default=0.0)


def _fact(stream: Mapping[str, Any], key: str) -> str:
    found = stream["info"].get(key) or [""]
    return str(found[0] or "")


def _check_chunks(content: bytes, name: str) -> None:
    """Refuse what would make the library read beyond a chunk, or keep more values than the file has bytes.

    https://github.com/sccn/xdf/wiki/Specifications
    """
    channels: dict[int, int] = {}
    place = len(MAGIC)
    try:
        while place < len(content):
            length, place = _read_length(content, place)
            if length < 2 or place + length > len(content):
                raise OptionsError(f"{name}: damaged: a chunk at byte {place} is longer than the file.")
            (tag,) = struct.unpack_from("<H", content, place)
            body = content[place + 2 : place + length]
            _check_chunk(tag, body, channels, name)
            place += length
    except OptionsError:  # is a ValueError, too
        raise
    except (struct.error, IndexError, ValueError) as error:
        raise OptionsError(f"{name}: damaged at byte {place}.") from error


def _read_length(content: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    size = content[place]
    if size not in (1, 4, 8):
        raise ValueError(size)
    return int.from_bytes(content[place + 1 : place + 1 + size], "little"), place + 1 + size


def _check_chunk(tag: int, body: bytes, channels: dict[int, int], name: str) -> None:
    if tag == 1 or tag == 6:
        parse_xml(body if tag == 1 else body[4:], name)
    if tag not in (_HEADER, _SAMPLES, _CLOCK):
        return
    (stream,) = struct.unpack_from("<I", body)
    if tag == _HEADER:
        root = parse_xml(body[4:], name)
        channels[stream] = int(root.findtext("channel_count") or "")
        rate = float(root.findtext("nominal_srate") or "0")
        if (
            not 0 < channels[stream] <= _MOST_CHANNELS
            or not 0 <= rate < 1e9
            or root.findtext("channel_format") not in _FORMATS
            or not root.findtext("name")
        ):
            raise OptionsError(f"{name}: stream {stream} has no name, format, rate or number of channels.")
    elif stream not in channels:
        raise OptionsError(f"{name}: samples of stream {stream}, which it does not describe.")
    elif tag == _SAMPLES:
        n_samples, _ = _read_length(body, 4)
        if n_samples * channels[stream] > len(body):
            raise OptionsError(f"{name}: damaged: stream {stream} has more samples than bytes.")
    elif len(body) != 20:
        raise ValueError(len(body))
