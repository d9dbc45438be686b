"""What became of a case, against what should have; and the table of it in docs/inputs.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.torture.corpus import witness
from tests.torture.kinds import DONE, FAILED, KINDS, Case

_HIDDEN_FROM_THE_WITNESS = {"bombs", "playlists", "endless", "barred"}
"""Refused on purpose, though a decoder without limits would show something."""


def complaints(case: Case, path: Path, entry: dict[str, Any] | None, out: Path) -> Iterator[str]:
    """What is wrong with how one input ended.

    Args:
        case: what it was.
        path: where it lies.
        entry: what run.json says of it.
        out: the output folder.
    """
    kind = KINDS[case.kind]
    if entry is None:
        yield "is not in run.json"
        return
    status, reported = entry["status"], [entry["error"]] if entry["error"] else entry["warnings"]
    if status not in kind.outcome:
        yield f"ended as {status}"
    if any("\n" in line or "unexpected" in line for line in reported):
        yield "is not reported in one foreseen line"
    pattern = kind.reported if case.reported is None else case.reported
    yield from _untold(pattern, kind.outcome, status, reported)
    if (status == "done_with_gaps") != bool(entry["gaps"]):
        yield f"{status} with {len(entry['gaps'])} gaps"
    yield from _miscounted(case, path, entry, out)
    if reported and [*_strangers(reported)]:
        yield "repeats control characters"


def _untold(pattern: str, outcomes: tuple[str, ...], status: str, reported: list[str]) -> Iterator[str]:
    may_be_silent = len(outcomes) > 1 and status == DONE
    if pattern and not may_be_silent and not any(re.search(pattern, line) for line in reported):
        yield f"was reported as {reported}"
    if not pattern and outcomes == (DONE,) and reported:
        yield f"has warnings: {reported}"


def _miscounted(case: Case, path: Path, entry: dict[str, Any], out: Path) -> Iterator[str]:
    is_hidden = not path.is_file() or case.kind in _HIDDEN_FROM_THE_WITNESS
    seen = None if is_hidden else witness(path, case.stream)
    if entry["status"] == FAILED:
        if seen:
            yield f"failed, but the witness saw {len(seen)} frames"
        return
    table = pq.read_table(out / "frames" / f"{entry['video_id']}.parquet", partitioning=None)
    pts = table["pts"].to_pylist()
    if case.rows is not None and len(pts) != case.rows:
        yield f"has {len(pts)} rows, its maker wrote {case.rows}"
    if case.rows is None and seen is not None and len(pts) != len(seen):
        yield f"has {len(pts)} rows, the witness saw {len(seen)}"
    if seen is not None and None not in seen and len(pts) == len(seen) and pts != seen:
        yield "has other timestamps than the witness saw"
    times = table["time_s"].to_pylist()
    if times != sorted(times):
        yield "has times that run backwards"


def _strangers(lines: list[str]) -> Iterator[str]:
    yield from (character for line in lines for character in line if ord(character) < 32)


def table() -> str:
    """The table of docs/inputs.md."""
    words = {"done": "done", "done_with_gaps": "done with gaps", "failed": "failed"}
    lines = ["| input | ends as | remarks |", "|---|---|---|"]
    for kind in KINDS.values():
        outcome = " or ".join(words[status] for status in kind.outcome)
        lines.append(f"| {kind.title} | {outcome} | {kind.note} |")
    return "\n".join(lines)
