"""What human coders saw: a file of labelled stretches per coder, `coding/<coder>.csv` in the output folder.

Columns: `video_id, start, end, label`, and `person` where a stretch is about one person, as in `corrections.csv`;
others are ignored. Stretches of one person do not overlap, unless they have one label. What coders saw is compared with
what the model shows and with each other (`agreement`); it changes no number.

>>> read_codings(out).of("talk-1a2b3c4d")[0].coder
'MK'
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ferflow.analytics.correction_conflicts import refuse_contradictions
from ferflow.analytics.correction_rows import COMMENT, TIMES, Coding, Codings, Correction, parse_correction
from ferflow.analytics.csv_input import Row, count_rows, read_csv
from ferflow.errors import OptionsError
from ferflow.store.output_folder import OutputFolder
from ferflow.text import sanitize

REQUIRED = ("video_id", "start", "end", "label")

MOST_CODERS = 12
"""Files that are compared: each pair of coders is a table of the page."""


def read_codings(out: Path) -> Codings:
    """Read the files of all coders.

    Raises:
        OptionsError: one is no such table, there are too many, or rows contradict each other.
    """
    files = OutputFolder(out).codings
    if len(files) > MOST_CODERS:
        raise OptionsError(
            f"coding: files of {len(files)} coders, and {MOST_CODERS} can be compared. Move the others elsewhere."
        )
    finished = set(OutputFolder(out).finished_ids())
    found: dict[str, list[Coding]] = {}
    warnings: list[str] = []
    for path in files:
        unknown = []
        for video_id, rows in _read_coder(path).items():
            if video_id in finished:
                found.setdefault(video_id, []).append(Coding(path.stem, tuple(rows)))
            else:
                unknown += [video_id] * len(rows)
        warnings += count_rows(describe_file(path), unknown, "names a video that is not in this folder",
                               "name videos that are not in this folder")  # fmt: skip
    return Codings({video_id: tuple(codings) for video_id, codings in found.items()}, tuple(warnings))


def group_coding(rows: Iterable[Row], name: str) -> dict[str, list[Correction]]:
    """What one coder saw, by video id.

    Args:
        rows: of the coder's file.
        name: of the file, for messages.

    Raises:
        OptionsError: a row is wrong, or contradicts another.
    """
    found: dict[str, list[Correction]] = {}
    for row in rows:
        if not row.values["video_id"].startswith(COMMENT):
            found.setdefault(row.values["video_id"], []).append(_parse(name, row))
    for video_id, own in found.items():
        refuse_contradictions(video_id, own, file=name)
    return found


def _read_coder(path: Path) -> dict[str, list[Correction]]:
    return group_coding(read_csv(path, required=REQUIRED, numbers=TIMES), describe_file(path))


def _parse(name: str, row: Row) -> Correction:
    where = f"{name}: line {row.line}"
    label, times = row.values["label"].casefold(), [row.values[name] for name in TIMES]
    if not label or not all(times):
        raise OptionsError(f"{where}: a coded stretch needs start, end and label.")
    cells = {"action": "relabel", "value": label, "person": row.values.get("person", "")}
    cells |= dict(zip(TIMES, times, strict=True))
    return parse_correction(name, Row(row.line, cells))


def describe_file(path: Path) -> str:
    """The name of a coder's file, for messages."""
    return sanitize(f"coding/{path.name}")
