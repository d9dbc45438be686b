"""Markers from OBS Studio: chapters of a recording (hybrid MP4, Matroska), a list of chapters as text, and its log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ferflow.analytics.markers import Marker
from ferflow.errors import OptionsError, VideoError
from ferflow.exchange.foreign_marker import check_number, make_marker
from ferflow.text import sanitize

CHAPTER = "chapter"
_CHAPTER_LINE = re.compile(r"(\d{1,3}:\d{2}(?::\d{2})?(?:\.\d{1,6})?)[ \t]+(?:-[ \t]+)?(\S.*)", re.ASCII)
_LOG_LINE = re.compile(r"(\d{2}):(\d{2}):(\d{2})\.(\d{3}): (.*)", re.ASCII)
_RECORDING = re.compile(r"==== Recording (Start|Stop) =+|\[[^\]]*\] (?:==== )?Recording started")
_REPLAY = re.compile(r"Wrote replay buffer to '[^']*?([^'/\\]+)'")
_SCENE = re.compile(r"(?:User )?[Ss]witched to scene '([^']+)'")
_DAY_S = 86_400.0


def is_chapter_list(text: str) -> bool:
    """Whether each of the first lines is a time code and a name."""
    lines = [line.strip() for line in text[:65536].splitlines() if line.strip()][:5]
    return bool(lines) and all(_CHAPTER_LINE.fullmatch(line) for line in lines)


def read_chapter_list(text: str, name: str) -> list[Marker]:
    """A moment per line.

    Raises:
        OptionsError: a line is no chapter.
    """
    return check_number(_find_chapter_lines(text, name), name)


def _find_chapter_lines(text: str, name: str) -> Iterator[Marker]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            found = _CHAPTER_LINE.fullmatch(line.strip())
            if found is None:
                raise OptionsError(f"{name}, line {number}: no time code with a name, such as 00:01:05 Boss.")
            seconds = sum(float(part) * 60**k for k, part in enumerate(reversed(found[1].split(":"))))
            yield make_marker(seconds, None, found[2], CHAPTER, f"{name}, line {number}")


def is_obs_log(text: str) -> bool:
    """Whether a text is a log of OBS in which it recorded."""
    return _LOG_LINE.match(text.lstrip("\ufeff")) is not None and _RECORDING.search(text) is not None


def read_obs_log(text: str, name: str) -> list[Marker]:
    """Saved replays, and switches of the scene, after the last start of a recording.

    Raises:
        OptionsError: nothing of it, or no recording.
    """
    return check_number(_find_log_events(text, name), name)


def _find_log_events(text: str, name: str) -> Iterator[Marker]:
    lines = [
        (number, found)
        for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1)
        if (found := _LOG_LINE.fullmatch(line)) is not None
    ]
    starts = [
        k for k, (_, found) in enumerate(lines) if (one := _RECORDING.search(found[5])) and one[1] != "Stop"
    ]
    if len(starts) > 1:
        raise OptionsError(
            f"{name}: {len(starts)} recordings in one log. Keep the lines of the one that was analysed."
        )
    zero, last, days = _clock(lines[starts[0]][1]), 0.0, 0.0
    for number, found in lines[starts[0] :]:
        time = _clock(found) - zero + days
        if time < last - 1:  # midnight
            days += _DAY_S
            time += _DAY_S
        last = time
        where = f"{name}, line {number}"
        if replay := _REPLAY.search(found[5]):
            yield make_marker(time, None, "replay saved", replay[1], where)
        elif scene := _SCENE.search(found[5]):
            yield make_marker(time, None, scene[1], "scene", where)


def _clock(found: re.Match[str]) -> float:
    hours, minutes, seconds, ms = (int(found[k]) for k in range(1, 5))
    return hours * 3600.0 + minutes * 60.0 + seconds + ms / 1000.0


def is_media(head: bytes) -> bool:
    """Whether a file is MP4 or Matroska, by its first bytes."""
    return head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3")


def has_chapters(path: Path) -> bool:
    """Whether a file is MP4 or Matroska with chapters. Call this in a child process, as `read_chapters`."""
    from ferflow.media.container import open_container

    try:
        with path.open("rb") as file:
            if not is_media(file.read(64)):
                return False
        with closing(open_container(path)) as container:
            return any(one["time_base"] for one in container.chapters())
    except (OSError, VideoError):  # a folder of images, or a file that is not there any more
        return False


def read_chapters(path: Path) -> list[Marker]:
    """The chapters of a recording. It is opened by a decoder in C: call this in a child process.

    Raises:
        OptionsError: it cannot be opened, or has no chapters.
    """
    from ferflow.media.container import open_container

    name = sanitize(path)
    try:
        with closing(open_container(path)) as container:
            chapters = container.chapters()
    except VideoError as error:
        raise OptionsError(str(error)) from error
    return check_number(
        (
            make_marker(
                float(one["start"] * one["time_base"]),
                float(one["end"] * one["time_base"]),
                one["metadata"].get("title") or f"Chapter {number}",
                CHAPTER,
                f"{name}: chapter {number}",
            )
            for number, one in enumerate(chapters, 1)
            if one["time_base"]
        ),
        name,
    )
