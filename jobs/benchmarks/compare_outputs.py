"""Whether two output folders have the same content: tables exactly, JSON and pages except for what must differ.

    python -m ferflow.jobs.benchmarks.compare_outputs BEFORE AFTER

Left out, since they differ between any two runs: times of day and durations, versions of packages and of ferflow, the
host, paths of the two folders, and the digests of page code under `.pages/`. Tables are compared as decoded columns and
as bytes of their data pages; their footers as JSON. The exit code is 0 where nothing else differs, and 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ferflow.store.output_folder import LOCK, PAGE_OPTIONS
from ferflow.store.video_files import PAGE_STATUSES

VOLATILE_KEYS = frozenset({"started", "finished", "seconds", "host", "ferflow_version", "mtime", "signature"})
"""Keys of JSON objects that are left out at any depth."""

VOLATILE_FILES = frozenset({LOCK})

_VERSION = re.compile(r"ferflow \d+\.\d+\.\d+\S*")
_RUN_OF = re.compile(r"run of \d{4}-\d\d-\d\d \d\d:\d\d")


def find_differences(before: Path, after: Path) -> Iterator[str]:
    """A line for each difference.

    Args:
        before: an output folder, or a folder of several.
        after: the one it is compared with.
    """
    files = [
        {path.relative_to(root) for path in root.rglob("*") if path.is_file()} for root in (before, after)
    ]
    for path in sorted(files[0] ^ files[1]):
        if path.name not in VOLATILE_FILES:
            yield f"only in {before if path in files[0] else after}: {path}"
    for path in sorted(files[0] & files[1]):
        if where := _compare_files(path, before, after):
            yield f"differs: {path} ({where})"


def _compare_files(path: Path, before: Path, after: Path) -> str | None:
    """Where two files differ; None: nowhere."""
    if path.name in VOLATILE_FILES or (PAGE_STATUSES in path.parts and path.stem != PAGE_OPTIONS):
        return None
    if path.suffix == ".parquet":
        return _compare_tables(_table(before / path, before), _table(after / path, after))
    if path.suffix == ".json":
        jsons = [_json_of((root / path).read_bytes(), root) for root in (before, after)]
        return ", ".join(_changed_keys(*jsons)) or None
    if path.suffix == ".html":
        return "text" if _page(before / path, before) != _page(after / path, after) else None
    return "bytes" if (before / path).read_bytes() != (after / path).read_bytes() else None


def _compare_tables(before: tuple[Any, ...], after: tuple[Any, ...]) -> str | None:
    schemas, footers, pages = zip(before, after, strict=True)
    found = [] if schemas[0] == schemas[1] else ["schema"]
    found += [] if pages[0] == pages[1] else ["rows"]
    found += [f"footer: {key}" for key in _changed_keys(*footers)]
    return ", ".join(found) or None


def _changed_keys(before: Any, after: Any, prefix: str = "") -> list[str]:
    """Dotted names of the keys whose values differ."""
    if before == after:
        return []
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [prefix.removesuffix(".") or "content"]
    keys = sorted(before.keys() | after.keys())
    return [
        name for key in keys for name in _changed_keys(before.get(key), after.get(key), f"{prefix}{key}.")
    ]


def _table(path: Path, root: Path) -> tuple[Any, ...]:
    """Schema, footer, and the bytes of all columns with their statistics."""
    file = pq.ParquetFile(path)
    footer = {
        key.decode(): _json_of(value, root)
        for key, value in (file.metadata.metadata or {}).items()
        if key != b"ARROW:schema"
    }
    # From the first byte to the end of the last column; the footer after it is compared as JSON, without its versions.
    last = file.metadata.row_group(file.num_row_groups - 1) if file.num_row_groups else None
    end = 0 if last is None else max(_end_of(last.column(k)) for k in range(last.num_columns))
    with path.open("rb") as stream:
        return file.schema_arrow.remove_metadata(), footer, stream.read(end)


def _end_of(column: Any) -> int:
    start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
    return int(start + column.total_compressed_size)


def _json_of(text: bytes, root: Path) -> Any:
    return _stable(json.loads(text), root)


def _stable(value: Any, root: Path) -> Any:
    """A JSON value without what must differ."""
    if isinstance(value, dict):
        return {key: _stable(inner, root) for key, inner in value.items() if key not in VOLATILE_KEYS}
    if isinstance(value, list):
        return [_stable(inner, root) for inner in value]
    return _text(value, root) if isinstance(value, str) else value


def _page(path: Path, root: Path) -> str:
    return _text(path.read_text(encoding="utf-8"), root)


def _text(text: str, root: Path) -> str:
    return _RUN_OF.sub("run of", _VERSION.sub("ferflow", text)).replace(str(root.absolute()), "ROOT")


def main(arguments: list[str] | None = None) -> int:
    """Compare, print the differences, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("before", type=Path, help="output folder")
    parser.add_argument("after", type=Path, help="output folder")
    chosen = parser.parse_args(arguments)
    found = list(find_differences(chosen.before, chosen.after))
    for line in found:
        print(line)
    print(f"{len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
