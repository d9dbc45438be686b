"""What `ferflow live` can show: cameras, screens, streams, files and pipes, by what the user calls them.

>>> find_source("rtsp://admin:secret@10.0.0.5/door").label
'rtsp://10.0.0.5/door'
>>> find_source("0").demuxer
'v4l2'

Only a source that is named as an address uses the network, and only by the protocols of its own scheme.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ferflow.errors import OptionsError, VideoError
from ferflow.text import is_address, sanitize

SourceKind = Literal["camera", "screen", "stream", "file", "pipe"]

STREAM_PROTOCOLS = {
    "rtsp": "rtp,srtp,tcp,udp",
    "rtsps": "rtp,srtp,tcp,tls,udp",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tcp,tls",
    "http": "http,https,httpproxy,tcp,tls",
    "https": "https,httpproxy,tcp,tls",
}
"""FFmpeg's protocols that a stream of each scheme may use. Never `file`: a playlist from a server must not name files
of this machine; and from https never back to http."""

_SIZE = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})", re.ASCII)
_SCREEN = re.compile(r"screen(?::(\d{1,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Platform:
    """How FFmpeg reads cameras and screens on an operating system."""

    camera: str
    """Its demuxer for cameras."""
    camera_address: str
    """Of a camera, with its number or name in place of {}."""
    camera_options: tuple[dict[str, str], ...]
    """Options that are tried one after the other; the last are those that every camera accepts."""
    screen: str
    screen_address: str
    """Of a screen, with its number in place of {}."""


_HD = {"video_size": "1280x720", "framerate": "30"}

PLATFORMS = {
    # As JPEG first: over USB 2, raw pictures of 720 lines come at 10 per second.
    "linux": Platform("v4l2", "/dev/video{}", ({"input_format": "mjpeg", **_HD}, _HD, {}), "x11grab", "{}"),
    "darwin": Platform(
        "avfoundation", "{}:none", (_HD, {"framerate": "30"}, {}), "avfoundation", "Capture screen {}:none"
    ),
    "win32": Platform("dshow", "video={}", (_HD, {"framerate": "30"}, {}), "gdigrab", "desktop"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSource:
    """A source of live pictures."""

    kind: SourceKind
    address: str
    """As FFmpeg opens it."""
    label: str
    """For people and tables; without a password."""
    demuxer: str | None = None
    """FFmpeg's name; None: found by the content."""
    tries: tuple[dict[str, str], ...] = field(default=({},))
    """Options of the demuxer, tried one after the other."""

    @property
    def name(self) -> str:
        """A short plain name, for the id of a recording: lower-case letters, digits and hyphens."""
        text = Path(self.label).stem if self.kind == "file" else self.label.rpartition("//")[2]
        return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or self.kind


def find_source(text: str | int | Path, *, size: str | None = None, rate: float | None = None) -> LiveSource:
    """The source that the user means.

    Args:
        text: number or device of a camera; `screen`, or `screen:N`; an address; `-` for stdin; or a file.
        size: of the pictures of a camera or screen, `WxH`; None: 1280x720 where a camera has it, all of a screen.
        rate: its frames per second; None: 30.

    Raises:
        OptionsError: nothing that can be read live, or size or rate of something that has its own.
        VideoError: there is no such file.
    """
    source = _find(str(text))
    if size is None and rate is None:
        return source
    if source.kind not in ("camera", "screen"):
        raise OptionsError(f"{source.label}: size and rate can be chosen for cameras and screens only.")
    return _with_mode(source, size, rate)


def _find(text: str) -> LiveSource:
    if text == "-":
        return LiveSource(kind="pipe", address="pipe:0", label="stdin")
    if is_address(text):
        return _find_stream(text)
    if (match := _SCREEN.fullmatch(text)) is not None:
        return _find_screen(int(match[1] or 0))
    if text.isdecimal() and len(text) <= 3:
        return _find_camera(text)
    if _is_device(text):
        return _find_camera_at(text, sanitize(text))
    return _find_file(Path(text))


def _find_stream(text: str) -> LiveSource:
    try:
        parts = urlsplit(text)
        place = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError as error:
        raise OptionsError(f"{sanitize(text[:80])}: not an address ({error}).") from error
    if parts.scheme not in STREAM_PROTOCOLS:
        known = ", ".join(STREAM_PROTOCOLS)
        raise OptionsError(
            f"{sanitize(parts.scheme[:20])}: no kind of stream that ferflow reads; known are {known}."
        )
    if not parts.hostname:
        raise OptionsError(f"{sanitize(text[:80])}: an address without a host.")
    # Neither password nor query, which may be a key, reaches a screen, a log or a table.
    label = sanitize(f"{parts.scheme}://{place}{parts.path}")
    options = {"rtsp_transport": "tcp"} if parts.scheme in ("rtsp", "rtsps") else {}
    return LiveSource(kind="stream", address=text, label=label, tries=(options,))


def _find_screen(number: int) -> LiveSource:
    platform = _platform()
    label = f"screen {number}" if number else "screen"
    address = platform.screen_address.format(number)
    if platform.screen == "x11grab":
        display = os.environ.get("DISPLAY")
        if not display:
            raise VideoError(
                "screen: there is no X display (DISPLAY is not set). Under Wayland, pipe a recorder into "
                "`ferflow live -`."
            )
        address = re.sub(r"(:\d+)(\.\d+)?$", rf"\1.{number}", display)
    return LiveSource(
        kind="screen", address=address, label=label, demuxer=platform.screen, tries=({"framerate": "30"}, {})
    )


def _find_camera(number: str) -> LiveSource:
    platform = _platform()
    if platform.camera == "dshow":  # which has no numbers
        from ferflow.jobs.live.devices import list_cameras

        cameras = list_cameras()
        if int(number) >= len(cameras):
            raise _no_camera(f"camera {number}")
        return _find_camera_at(platform.camera_address.format(cameras[int(number)].name), f"camera {number}")
    return _find_camera_at(platform.camera_address.format(number), f"camera {number}")


def _find_camera_at(address: str, label: str) -> LiveSource:
    platform = _platform()
    return LiveSource(
        kind="camera", address=address, label=label, demuxer=platform.camera, tries=platform.camera_options
    )


def _find_file(path: Path) -> LiveSource:
    if not os.path.lexists(path):
        raise VideoError(
            f"{sanitize(path)}: no such file. A camera has a number (ferflow live --list-devices), a stream an address."
        )
    return LiveSource(kind="file", address=str(path), label=sanitize(path.name))


def _no_camera(label: str) -> VideoError:
    return VideoError(f"{label}: no such device. ferflow live --list-devices shows those of this machine.")


def _platform() -> Platform:
    return PLATFORMS.get(sys.platform, PLATFORMS["linux"])


def _is_device(text: str) -> bool:
    """Whether a text names a camera as the operating system does: a device file, or its name on macOS and Windows."""
    if _platform().camera == "v4l2":
        try:
            return stat.S_ISCHR(Path(text).stat().st_mode) or text.startswith("/dev/video")
        except (OSError, ValueError):
            return text.startswith("/dev/video")
    return text.startswith("video=") or not (os.path.lexists(text) or set(text) & set("/\\."))


def _with_mode(source: LiveSource, size: str | None, rate: float | None) -> LiveSource:
    wanted = {}
    if size is not None:
        if not _SIZE.fullmatch(size):
            raise OptionsError(f"size must be WxH in pixels, such as 1280x720, got {size[:20]!r}")
        wanted["video_size"] = size
    if rate is not None:
        if not 0 < rate <= 1000:
            raise OptionsError(f"rate must be above 0 and at most 1000, got {rate:g}")
        wanted["framerate"] = f"{rate:g}"
    # What was asked for is in each try; what was not is left out of the later ones.
    tries = [{**options, **wanted} for options in source.tries]
    unique = [options for number, options in enumerate(tries) if options not in tries[:number]]
    return LiveSource(
        kind=source.kind,
        address=source.address,
        label=source.label,
        demuxer=source.demuxer,
        tries=tuple(unique),
    )
