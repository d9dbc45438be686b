"""The cameras of this machine.

>>> for camera in list_cameras():
...     print(camera.number, camera.name, camera.address)
"""

from __future__ import annotations

import contextlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from ferflow.text import sanitize

_V4L2 = Path("/sys/class/video4linux")
_DEV = Path("/dev")


@dataclass(frozen=True, slots=True)
class Camera:
    """A device that gives pictures."""

    number: int
    """As `ferflow live N` calls it."""
    name: str
    address: str
    """As the operating system calls it."""


def list_cameras() -> list[Camera]:
    """All cameras, by number."""
    return _list_linux() if sys.platform.startswith("linux") else _list_by_ffmpeg()


def _list_linux() -> list[Camera]:
    cameras = []
    for folder in _V4L2.glob("video*") if _V4L2.is_dir() else ():
        number = folder.name.removeprefix("video")
        # A camera has further nodes, for metadata, which have the same name and a larger index.
        if number.isdecimal() and _read(folder / "index") in ("0", ""):
            name = sanitize(_read(folder / "name")) or folder.name
            cameras.append(Camera(int(number), name, str(_DEV / folder.name)))
    return sorted(cameras, key=lambda camera: camera.number)


def _list_by_ffmpeg() -> list[Camera]:
    from av.device import enumerate_input_devices

    demuxer = "avfoundation" if sys.platform == "darwin" else "dshow"
    found = enumerate_input_devices(demuxer)
    cameras = [device for device in found if "video" in device.media_types]
    return [
        Camera(number, sanitize(device.description or device.name), device.name)
        for number, device in enumerate(cameras)
        if not re.match(r"Capture screen", device.description or "")
    ]


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").strip()
    return ""
