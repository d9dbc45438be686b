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
from ferflow.plain_file import read_plain_file
from ferflow.store.output_folder import LISTS_LOCK, LOCK, OutputFolder

_MOST_BYTES = 256 << 20
"""A larger file is named as one that was not looked into."""
_NOT_TEXT = frozenset({".mp4", ".jpg", ".jpeg", ".png", ".pdf", ".xlsx", ".zip", ".sav"})
"""Of these, the name alone is compared: their text is compressed."""


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
    unread: tuple[Path, ...] = ()
    """It is not known what is in them."""


def find_traces(folder: OutputFolder, request: Request) -> Traces:
    """Look through every file of a folder, at every depth; links are not followed."""
    words = Words.of(request)
    named, unread = list[Path](), list[Path]()
    for path in _list_files(folder.path):
        relative = path.relative_to(folder.path)
        try:
            is_named = words.are_in(str(relative)) or any(map(words.are_in, _read_texts(path)))
        except (OSError, pa.ArrowException):
            unread.append(relative)
        else:
            named += [relative] if is_named else []
    return Traces(tuple(named), tuple(unread))


def _list_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names) if name not in (LOCK, LISTS_LOCK))


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
    with pq.ParquetFile(path) as file:
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
