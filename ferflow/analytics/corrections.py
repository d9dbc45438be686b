"""`corrections.csv`: what a person who looked at the pages says is wrong in them.

The file in the output folder has a row per correction: `video_id, action, start, end, person, value, note`.

- `exclude`: leaves out all people from `start` to `end`; with a `person`, that person only.
- `drop`: leaves out a person, or a track: a poster, a passer-by.
- `relabel`: from `start` to `end`, a person, or everybody in view, shows the expression `value`, as a human coder says.

`person` is a name as pages show it, `Person 3`, or `track 7`; empty: everybody. `note` is for people. Other columns
are ignored. Names are in `people.csv`, and nowhere else. The tables on disk stay as the analysis wrote them;
corrections are applied when they are read (`person_faces`).

>>> read_corrections(out, read_people(out)).of("talk-1a2b3c4d").rows[0].describe()
'exclude everybody from 00:10.0 to 00:20.0'
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ferflow.analytics.correction_conflicts import refuse_contradictions, refuse_named_numbers
from ferflow.analytics.correction_rows import (
    COMMENT,
    REQUIRED,
    TIMES,
    Correction,
    Corrections,
    VideoCorrections,
    parse_correction,
)
from ferflow.analytics.csv_input import Row, count_rows, read_csv
from ferflow.analytics.people_list import PeopleList
from ferflow.errors import OptionsError, RecordsError
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import CORRECTIONS, OutputFolder
from ferflow.text import sanitize


def read_corrections(out: Path, people: PeopleList, chosen: Path | None = None) -> Corrections:
    """Read the folder's `corrections.csv`; without one, nothing is corrected.

    Rows about unknown videos and repeated rows are counted in the warnings.

    Args:
        out: the output folder.
        people: what its `people.csv` says.
        chosen: another list, which must be there, in place of the folder's.

    Raises:
        OptionsError: it is no such table, a label is none of the video's model, or a row contradicts another one or
            `people.csv`.
    """
    path = chosen or OutputFolder(out).corrections
    if chosen is None and not path.exists():
        return Corrections()
    name = CORRECTIONS if chosen is None else sanitize(chosen)
    return build_corrections(out, read_csv(path, required=REQUIRED, numbers=TIMES), people, name)


def build_corrections(
    out: Path, rows: Iterable[Row], people: PeopleList, name: str = CORRECTIONS
) -> Corrections:
    """The corrections of rows of a list of some name; see `read_corrections`."""
    finished = set(OutputFolder(out).finished_ids())
    found: dict[str, list[Correction]] = {}
    seen: set[tuple[str, Correction]] = set()
    repeated, unknown = [], []
    for row in rows:
        video_id = row.values["video_id"]
        if video_id.startswith(COMMENT):
            continue
        one = parse_correction(name, row)
        key = video_id, replace(one, line=0, note="")
        if key in seen:
            repeated.append(f"{video_id}, {one.describe()}")
        elif video_id not in finished:
            unknown.append(video_id)
        else:
            found.setdefault(video_id, []).append(one)
        seen.add(key)
    for video_id, own in found.items():
        _check_labels(out, video_id, own, name)
        refuse_contradictions(video_id, own, file=name)
    corrections = {video_id: VideoCorrections(tuple(own), name) for video_id, own in found.items()}
    refuse_named_numbers(corrections, people)
    return Corrections(corrections, (
        *count_rows(name, unknown, "names a video that is not in this folder",
                    "name videos that are not in this folder"),
        *count_rows(name, repeated, "repeats another", "repeat others"),
    ), name)  # fmt: skip


def _check_labels(out: Path, video_id: str, rows: Sequence[Correction], name: str) -> None:
    relabels = [row for row in rows if row.action == "relabel"]
    if not relabels:
        return
    try:
        labels = read_metadata(OutputFolder(out).video(video_id).faces).labels
    except RecordsError:  # the reader of the video reports it
        return
    for row in relabels:
        if row.value not in labels:
            raise OptionsError(
                f"{name}: line {row.line}: {sanitize(row.value[:40])!r} is no expression of the model of "
                f"{sanitize(video_id[:200])}. It has: {', '.join(map(sanitize, labels))}."
            )
