"""Transcripts: SubRip (.srt) and WebVTT. Each cue is a marker of kind `speech`, shown as a lane of its own."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import islice

from ferflow.analytics.markers import MOST_MARKERS, SPEECH_KIND, Marker
from ferflow.errors import OptionsError
from ferflow.exchange.foreign_marker import make_marker

_TIME = r"((?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3})"
_CUE = re.compile(rf"^[ \t]*{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?$", re.MULTILINE | re.ASCII)
_SPEAKER = re.compile(r"<v(?:\.[^ >\t]*)?[ \t]+([^>\n]{1,200})>")
_TAG = re.compile(r"<[^<>\n]{0,200}>|\{\\[^}\n]{0,200}\}")


def is_transcript(text: str) -> bool:
    """Whether a text is of subtitles."""
    head = text[:65536].lstrip("\ufeff \t\r\n")
    if head.startswith("WEBVTT"):
        return True
    lines = [line for line in head.splitlines() if line.strip()][:2]
    return any(_CUE.match(line) for line in lines)


def read_transcript(text: str, name: str) -> list[Marker]:
    """The cues, without markup; a speaker whom WebVTT names is before the text.

    Raises:
        OptionsError: no cue with a text, or too many.
    """
    found = _find_cues(text.replace("\r\n", "\n").replace("\r", "\n"), name)
    cues = list(islice(found, MOST_MARKERS + 1))
    if not cues:
        raise OptionsError(f"{name}: no cue with a text in this transcript. Export it again.")
    if len(cues) > MOST_MARKERS:
        raise OptionsError(
            f"{name}: more than {MOST_MARKERS} cues in this transcript. Give that of one video."
        )
    return sorted(cues, key=lambda cue: cue.time_s)


def _find_cues(text: str, name: str) -> Iterator[Marker]:
    found = list(_CUE.finditer(text))
    for one, following in zip(found, [*found[1:], None][: len(found)], strict=True):
        body = text[one.end() : following.start() if following else len(text)]
        # Up to the empty line: what follows is the number, or the name, of the next cue, or a note.
        spoken = _clean(re.split(r"\n[ \t]*\n", body, maxsplit=1)[0])
        if spoken:
            start, end = (_parse_time(stamp) for stamp in one.groups())
            yield make_marker(start, end, spoken, SPEECH_KIND, f"{name}: cue at {one[1]}")


def _clean(text: str) -> str:
    speaker = _SPEAKER.search(text)
    plain = " ".join(html.unescape(_TAG.sub("", text)).split())
    return f"{html.unescape(speaker[1]).strip()}: {plain}" if speaker and plain else plain


def _parse_time(stamp: str) -> float:
    parts = stamp.replace(",", ".").split(":")
    return sum(float(part) * 60.0**k for k, part in enumerate(reversed(parts)))
