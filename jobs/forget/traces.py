"""What in an output folder still names who was forgotten: files of the user, and those that ferflow does not know.

Names are compared as words, in any case; texts of Parquet files are decoded.
"""

from __future__ import annotations

import codecs
import html
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from ferflow.jobs.forget.request import Request
from ferflow.plain_file import check_plain_file, local_path, read_plain_file
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import LOCKS, OutputFolder

_MOST_BYTES = 256 << 20
"""A larger file is named as one that was not looked into."""
_NOT_TEXT = frozenset({".mp4", ".jpg", ".jpeg", ".png", ".pdf", ".xlsx", ".zip", ".sav"})
"""Of these, the name alone is compared: their text is compressed."""
_CLIP = re.compile(r"(.+)\.-?\d+\.mp4", re.DOTALL)
"""`<video_id>.<milliseconds>.mp4`"""


@dataclass(frozen=True, slots=True)
class Words:
    """What names those who were forgotten."""

    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, request: Request) -> Self:
        """The person's name, ids of the sessions, and paths of their videos."""
        words = [request.participant, *(one.video_id for one in request.sessions)]
        words += [one.source for one in request.sessions]
        return cls.any_of(word for word in words if word)

    @classmethod
    def any_of(cls, words: Iterable[str]) -> Self:
        """These words, as text, HTML, JSON and addresses spell them."""
        spelled = {
            one.casefold()
            for word in words
            for form in ("NFC", "NFD")
            for plain in (unicodedata.normalize(form, word),)
            for one in (plain, html.escape(plain), json.dumps(plain)[1:-1], _quote(plain))
        }
        # Hyphens are letters here: talk-0123abcd is not in talk-0123abcd-2.
        parts = "|".join(sorted(map(re.escape, spelled), key=len, reverse=True))
        return cls(re.compile(rf"(?<![\w-])(?:{parts})(?![\w-])") if spelled else None)

    def are_in(self, text: str) -> bool:
        """Whether a text has one of them."""
        return self.pattern is not None and self.pattern.search(text.casefold()) is not None


def _quote(text: str) -> str:
    return quote(text, errors="surrogateescape")


@dataclass(frozen=True, slots=True)
class Traces:
    """Files of a folder, relative to it, in order."""

    named: tuple[Path, ...] = ()
    """They, or their names, still name what was forgotten."""
    shown: tuple[Path, ...] = ()
    """Videos that `ferflow clips` and `ferflow annotate` made of these sessions; they may show who was forgotten."""
    unread: tuple[Path, ...] = ()
    """It is not known what is in them."""


@dataclass(frozen=True, slots=True)
class _MadeVideos:
    """How videos are called that were made of sessions, in folders that the user named."""

    video_ids: frozenset[str]
    annotated: frozenset[str]

    @classmethod
    def of(cls, folder: OutputFolder, request: Request) -> Self:
        shared = [folder.video(one.video_id) for one in request.shares]
        sources = [read_metadata(files.faces).source.path for files in shared if files.is_finished]
        sources += [one.source for one in request.sessions if one.source]
        ids = {one.video_id for one in request.sessions} | {one.video_id for one in request.shares}
        return cls(frozenset(ids), frozenset(f"{Path(source).stem}.annotated.mp4" for source in sources))

    def has(self, path: Path) -> bool:
        """Whether a video is one of them."""
        clip = _CLIP.fullmatch(path.name)
        return path.name in self.annotated or (clip is not None and clip[1] in self.video_ids)


def find_traces(folder: OutputFolder, request: Request) -> Traces:
    """Look through every file of a folder, at every depth; links are not followed.

    Raises:
        RecordsError: the tables of a session that others share cannot be read.
    """
    words, made = Words.of(request), _MadeVideos.of(folder, request)
    named, shown, unread = list[Path](), list[Path](), list[Path]()
    for path in _list_files(folder.path):
        relative = path.relative_to(folder.path)
        try:
            if path == folder.plotly and _is_script_of_library(path):
                continue
            is_named = words.are_in(str(relative)) or any(map(words.are_in, _read_texts(path)))
        except (OSError, pa.ArrowException):
            unread.append(relative)
        else:
            named += [relative] if is_named else []
            shown += [relative] if made.has(path) and not is_named else []
    return Traces(tuple(named), tuple(shown), tuple(unread))


def _is_script_of_library(path: Path) -> bool:
    """Whether it is the script as the library gives it, in which names such as Ada are words of its own."""
    from plotly.offline import get_plotlyjs

    return not path.is_symlink() and read_plain_file(path, _MOST_BYTES) == get_plotlyjs().encode()


def _list_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names) if name not in LOCKS)


def _read_texts(path: Path) -> Iterator[str]:
    if path.is_symlink():
        yield str(path.readlink())
    elif path.suffix == ".parquet":
        yield from _read_parquet(path)
    elif path.suffix.lower() not in _NOT_TEXT:
        content = read_plain_file(path, _MOST_BYTES)
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        yield content.decode("utf-16" if is_utf16 else "utf-8", "replace")


def _read_parquet(path: Path) -> Iterator[str]:
    check_plain_file(path)
    with pq.ParquetFile(local_path(path)) as file:
        for key, value in (file.metadata.metadata or {}).items():
            # The schema that Arrow adds holds names of columns alone.
            if key != b"ARROW:schema":
                yield value.decode("utf-8", "replace")
        schema = file.schema_arrow
        texts = [field.name for field in schema if _is_text(field.type)]
        for group in range(file.num_row_groups):
            for column in file.read_row_group(group, texts, use_threads=False).columns:
                yield "\n".join(str(word) for word in column.unique().to_pylist())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))
