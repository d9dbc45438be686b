"""Cases that are odd as files: their names, links, pipes; and folders of images."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tests.torture.films import N_FRAMES, Maker, film, stills
from tests.torture.kinds import Case, of

LETTERS_OF_FOUR_BYTES = "\U00020000"


NAMES = [
    "with spaces.mp4",
    "new\nline.mp4",
    "tab\t.mp4",
    "🎬 ünï.mp4",
    "..mp4",
    "-rf.mp4",
    "--out=x.mp4",
    "a" * 251 + ".mp4",
    LETTERS_OF_FOUR_BYTES * 62 + ".mp4",
    "<script>alert(1)<.mp4",
    "<img src=x onerror=alert(1)>.mp4",
    "'\"`$(id);&|.mp4",
    "{{7*7}}{% raw %}.mp4",
    "%s%n%d.mp4",
    "=cmd|' C'!A0.mp4",
    "@SUM(1+1).mp4",
    "file:x.mp4",
    "http:x.mp4",
    "concat:a|b.mp4",
    "img%03d.mp4",
    "*.mp4",
    "[a-z]?.mp4",
    "back\\slash.mp4",
    "CON.mp4",
    " .mp4",
    "\u202egnp.mp4",
    "a.mp4.mp4",
    "](x).mp4",
    os.fsdecode(b"no text \xff\xfe.mp4"),
]


def cases() -> list[Case]:
    """All of this module."""

    def linked(target: str) -> Maker:
        return lambda path: path.symlink_to(target)

    def bound(path: Path) -> None:
        # The address of a socket may be no longer than 107 bytes.
        here = os.open(path.parent, os.O_RDONLY)
        try:
            socket.socket(socket.AF_UNIX).bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)

    cases = of("names", dict.fromkeys(NAMES, film()))
    cases += of("links", {"link.mp4": _link_to_a_film})
    cases += of(
        "nowhere",
        {
            "dangling.mp4": linked("nothing.mp4"),
            "circle.mp4": linked("circle.mp4"),
            "to and fro.mp4": linked("fro.mp4"),
        },
        rows=None,
    )
    cases += of(
        "endless",
        {
            "pipe.mp4": lambda path: os.mkfifo(path),
            "socket.mp4": bound,
            "zero.mp4": linked("/dev/zero"),
            "null.mp4": linked("/dev/null"),
        },
        rows=None,
    )
    cases += of(
        "stills",
        {
            "shots png": stills(),
            "shots jpg": stills(suffix=".jpg"),
            "shots bmp": stills(suffix=".bmp"),
            "shots webp": stills(suffix=".webp"),
            "shots tif": stills(suffix=".tiff"),
            "shots turned": stills(suffix=".jpg", orientation=6),
            "shots of many sizes": stills(suffix=".jpg", sizes=[(64, 48), (64, 48)]),
        },
        rows=5,
    )
    cases += of("stills-broken", {"shots broken": stills(broken=[2])}, rows=4)
    cases += of("stills-none", {"shots hopeless": stills(3, broken=[0, 1, 2])}, rows=None)
    return cases


def _link_to_a_film(path: Path) -> None:
    target = path.parent / ".target of link"
    film(muxer="mp4", pts=range(1, N_FRAMES + 1))(target)
    path.symlink_to(target.name)
