"""Files of events that programs of a laboratory write, recognised by what is in them, as markers.

>>> read_marker_file(Path("talk.eaf"))[0]
Marker(time_s=1.5, end_s=2.5, label='smile', kind='face')

A table that none of them writes is one of markers; see `analytics.markers`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ferflow.analytics.csv_input import decode_text, read_text
from ferflow.analytics.markers import SPEECH_KIND, SUFFIX, Marker, markers_in, read_markers, to_table
from ferflow.errors import OptionsError
from ferflow.exchange import elan_file, foreign_csv, obs, transcript, xdf
from ferflow.exchange.foreign_marker import MOST_BYTES
from ferflow.plain_file import check_plain_file, read_plain_file
from ferflow.system.child_process import call_in_child
from ferflow.text import sanitize

SUFFIXES = (SUFFIX, *(f".markers{one}" for one in (".tsv", ".txt", ".eaf", ".xdf", ".log")))
"""Files that are found next to a video without being named, the first that is there: `talk.markers.eaf`."""
TRANSCRIPT_SUFFIXES = (".vtt", ".srt")
"""Transcripts that are found next to a video: `talk.vtt`."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A format of text."""

    program: str
    """By which users know it."""
    recognise: Callable[[str], bool]
    read: Callable[[str, str], list[Marker]]
    """Of the text and the name of the file; raises OptionsError."""


TEXT_FORMATS = (
    TextFormat("WebVTT or SubRip", transcript.is_transcript, transcript.read_transcript),
    TextFormat("ELAN", elan_file.is_elan_table, elan_file.read_elan_table),
    TextFormat("BORIS", foreign_csv.is_boris, foreign_csv.read_boris),
    TextFormat("PsychoPy", foreign_csv.is_psychopy, foreign_csv.read_psychopy),
    TextFormat("BIDS", foreign_csv.is_bids, foreign_csv.read_bids),
    TextFormat("Audacity", foreign_csv.is_audacity, foreign_csv.read_audacity),
    TextFormat("OBS", obs.is_obs_log, obs.read_obs_log),
    TextFormat("OBS", obs.is_chapter_list, obs.read_chapter_list),
)
"""In the order in which they are tried."""


def read_marker_file(path: Path) -> list[Marker]:
    """The markers of a file of any known program, by time.

    Raises:
        OptionsError: unreadable, or no events in it; one line says why.
    """
    head = _read_head(path)
    if head.startswith(xdf.MAGIC):
        return call_in_child(xdf.read_xdf, path)
    if obs.is_media(head):
        return call_in_child(obs.read_chapters, path)
    if _is_xml(head):
        return elan_file.read_eaf(_read_bytes(path), sanitize(path))
    text = read_text(path, MOST_BYTES)
    for one in TEXT_FORMATS:
        if one.recognise(text):
            return one.read(text, sanitize(path))
    return markers_in(read_markers(path))


def find_program(path: Path) -> str:
    """Whose format a file of markers has, such as `ELAN`; empty: it is a table of markers, or nothing that is known.

    Raises:
        OptionsError: unreadable.
    """
    head = _read_head(path)
    if head.startswith(xdf.MAGIC):
        return "LabRecorder (XDF)"
    if obs.is_media(head):
        return "OBS"
    if _is_xml(head):
        return "ELAN"
    text = read_text(path, MOST_BYTES)
    return next((one.program for one in TEXT_FORMATS if one.recognise(text)), "")


def read_marker_table(path: Path) -> pa.Table:
    """The same as a table of `MARKERS`, without what is spoken; raises as `read_marker_file`."""
    return to_table(one for one in read_marker_file(path) if one.kind != SPEECH_KIND)


def read_transcript_file(path: Path) -> list[Marker]:
    """The cues of a transcript.

    Raises:
        OptionsError: it is none.
    """
    name = sanitize(path)
    try:
        text = decode_text(read_plain_file(path, MOST_BYTES))
    except OSError as error:
        raise OptionsError(
            f"{name}: the transcript cannot be read ({error.strerror}). Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise OptionsError(
            f"{name}: no transcript: it is not UTF-8 text. Give WebVTT or SubRip (.vtt, .srt) in UTF-8."
        ) from error
    if not transcript.is_transcript(text):
        raise OptionsError(
            f"{name}: no transcript: no line has the times of a cue, such as 00:00:01,000 --> 00:00:02,500. Give "
            "WebVTT or SubRip (.vtt, .srt)."
        )
    return transcript.read_transcript(text, name)


def find_marker_file(video: Path) -> Path | None:
    """The file of markers next to a video; None if there is none."""
    return next(_existing(video, SUFFIXES), None)


def find_transcript_file(video: Path) -> Path | None:
    """The transcript next to a video; None if there is none."""
    return next(_existing(video, TRANSCRIPT_SUFFIXES), None)


def _existing(video: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    paths = (video.with_name(video.stem + suffix) for suffix in suffixes)
    return (path for path in paths if os.path.isfile(path))  # noqa: PTH113 - Path.is_file raises for a long name


def _read_head(path: Path) -> bytes:
    try:
        check_plain_file(path)
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise OptionsError(f"{sanitize(path)}: cannot be read ({error.strerror}). Check the path.") from error


def _is_xml(head: bytes) -> bool:
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return plain.startswith((b"<?xml", b"<ANNOTATION_DOCUMENT", b"<!DOCTYPE")) or head.startswith(
        (b"\xff\xfe<\x00?\x00", b"\xfe\xff\x00<\x00?")
    )


def _read_bytes(path: Path) -> bytes:
    try:
        return read_plain_file(path, MOST_BYTES)
    except OSError as error:
        raise OptionsError(f"{sanitize(path)}: cannot be read ({error.strerror}). Check the path.") from error
