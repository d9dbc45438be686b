"""BIDS: events of each session, and the timeline of each person as a continuous recording in a derivative.

    bids/dataset_description.json  participants.tsv  participants.json
    bids/sub-ada/beh/sub-ada_task-trailer_run-1_events.tsv  ..._events.json
    bids/derivatives/ferflow/dataset_description.json
    bids/derivatives/ferflow/sub-ada/beh/sub-ada_task-trailer_run-1_recording-face_physio.tsv.gz  ..._physio.json

A subject is a participant, a run is a session of the subject. https://bids-specification.readthedocs.io, version 1.10.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.measures import timeline_measures
from ferflow.analytics.tally import column
from ferflow.analytics.timeline import bin_length
from ferflow.exchange.destination import Destination
from ferflow.exchange.person_bins import STATES
from ferflow.exchange.plain_text import clean_line, name_uniquely
from ferflow.exchange.request import ExportOptions
from ferflow.exchange.session import ExportedPerson, Session
from ferflow.types import Int64Array
from ferflow.version import __version__

FOLDER, DERIVATIVE = "bids", ("bids", "derivatives", "ferflow")
BIDS_VERSION = "1.10.0"
MISSING = "n/a"
_EVENTS = ("onset", "duration", "trial_type", "kind", "score")
_NOT_RECORDED = ("person_id", "bin_start_s", "bin_end_s")


@dataclass(frozen=True, slots=True)
class _Run:
    """A person in a session, with the beginning of the names of its files."""

    session: Session
    person: ExportedPerson
    subject: str
    """Label of the participant, without `sub-`."""
    stem: str

    @property
    def folder(self) -> tuple[str, ...]:
        return f"sub-{self.subject}", "beh"


def write_bids(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """The folder `bids`."""
    runs = _list_runs(sessions)
    _write_json(to, (FOLDER, "dataset_description.json"), {
        "Name": "ferflow", "BIDSVersion": BIDS_VERSION, "DatasetType": "raw", "GeneratedBy": _generated_by(),
    })  # fmt: skip
    _write_json(to, (*DERIVATIVE, "dataset_description.json"), {
        "Name": "ferflow", "BIDSVersion": BIDS_VERSION, "DatasetType": "derivative", "GeneratedBy": _generated_by(),
    })  # fmt: skip
    _write_participants(to, runs)
    for run in runs:
        _write_events(to, run)
        _write_recording(to, run)


def _generated_by() -> list[dict[str, str]]:
    return [{"Name": "ferflow", "Version": __version__}]


def _list_runs(sessions: Sequence[Session]) -> list[_Run]:
    every = [(session, person) for session in sessions for person in session.people]
    subjects = name_uniquely([person.participant for _, person in every], _spell)
    tasks = name_uniquely([session.stimulus or "session" for session in sessions], _spell)
    n_before: Counter[tuple[str, str]] = Counter()
    found = []
    for session, person in every:
        key = subjects[person.participant], tasks[session.stimulus or "session"]
        n_before[key] += 1
        stem = f"sub-{key[0]}_task-{key[1]}_run-{n_before[key]}"
        found.append(_Run(session, person, key[0], stem))
    return found


def _spell(name: str) -> str:
    """A label: letters and digits only."""
    return re.sub(r"[^A-Za-z0-9]", "", name)[:40] or "x"


def _write_participants(to: Destination, runs: Sequence[_Run]) -> None:
    groups: dict[str, dict[str, None]] = {}
    names: dict[str, str] = {}
    for run in runs:
        names[run.subject] = run.person.participant
        groups.setdefault(run.subject, {})[run.person.group or MISSING] = None
    rows = [(f"sub-{one}", names[one], ",".join(groups[one])) for one in groups]
    _write_tsv(to, (FOLDER, "participants.tsv"), ("participant_id", "participant", "group"), rows)
    _write_json(to, (FOLDER, "participants.json"), {
        "participant": {"Description": "Name of the participant in the reports"},
        "group": {"Description": "Group in the session list"},
    })  # fmt: skip


def _write_events(to: Destination, run: _Run) -> None:
    """Onset 0 is the start of the stimulus; without one, that of the video."""
    session, offset_s = run.session, _zero(run.session)
    rows: list[tuple[object, ...]] = [
        (one.start_s - offset_s, one.seconds, one.label, one.kind, one.score)
        for one in session.events
        if one.person_id == run.person.person_id
    ]
    rows += [
        (
            one.time_s - offset_s,
            0.0 if one.end_s is None else one.end_s - one.time_s,
            one.label,
            "marker",
            None,
        )
        for one in session.markers
    ]
    rows.sort(key=lambda row: (row[0], row[3]))
    place = (FOLDER, *run.folder)
    _write_tsv(to, (*place, f"{run.stem}_events.tsv"), _EVENTS, rows)
    _write_json(to, (*place, f"{run.stem}_events.json"), _describe_events(session))


def _zero(session: Session) -> float:
    return session.offset_s if session.stimulus is not None else 0.0


def _describe_events(session: Session) -> dict[str, object]:
    meaning = "the label that reports show; a score, no proof of a feeling"
    labels = {clean_line(label): meaning for label in session.metadata.labels}
    marked = {clean_line(one.label): "marked by the user" for one in session.markers}
    states = {
        "unreadable": "the face is in view, and no expression can be read from it",
        "no_face": "analysed, and the face is not in view",
        "left_out": "analysed, and left out by corrections or by the session list",
        "not_analysed": "no frame was analysed",
    }
    return {
        "trial_type": {"LongName": "Event", "Description": "What the person shows, or what was marked", "Levels": {
            **marked, **labels, **states,
        }},
        "kind": {"Description": "Where the event comes from", "Levels": {
            "expression": "what the model shows", "state": "why there is no expression", "marker": "given by the user",
        }},
        "score": {"Description": "Mean smoothed score of the label, from 0 to 1"},
        "VisionStimulus": {"VideoFile": clean_line(session.stimulus or session.video.name)},
    }  # fmt: skip


def _write_recording(to: Destination, run: _Run) -> None:
    bins = run.session.bins
    mine = bins.filter(pc.equal(bins.column("person_id"), run.person.person_id))
    names = [name for name in mine.column_names if name not in _NOT_RECORDED]
    step_s = bin_length(run.session.audience)
    place = (*DERIVATIVE, *run.folder)
    with to.write(*place, f"{run.stem}_recording-face_physio.tsv.gz") as part:
        _write_gzip(part, _cells(mine, names))
    _write_json(to, (*place, f"{run.stem}_recording-face_physio.json"), {
        "SamplingFrequency": 1.0 / step_s,
        "StartTime": float(column(mine, "bin_start_s")[0]) - _zero(run.session) if len(mine) else 0.0,
        "Columns": names,
        **_describe_columns(run.session, names),
    })  # fmt: skip


def _cells(rows: pa.Table, names: Sequence[str]) -> Iterator[list[object]]:
    columns = [_number_states(rows) if name == "state" else column(rows, name) for name in names]
    return (list(row) for row in zip(*columns, strict=True))


def _number_states(rows: pa.Table) -> Int64Array:
    return np.array([STATES.index(one) for one in rows.column("state").to_pylist()], dtype=np.int64)


def _describe_columns(session: Session, names: Sequence[str]) -> dict[str, object]:
    measures = timeline_measures(session.metadata.labels)
    others = {
        "state": {"Description": "Why there is a value, or none",
                  "Levels": {str(number): name for number, name in enumerate(STATES)}},
        "n_faces": {"Description": "Faces of the person"},
        "seconds": {"Description": "Analysed time", "Units": "s"},
        "face_s": {"Description": "Time in view", "Units": "s"},
        "readable_s": {"Description": "Time with a readable face", "Units": "s"},
    }  # fmt: skip
    of_measures = {
        name: {"Description": f"{one.title} {one.description}".replace("\u00ad", "")}
        for name, one in measures.items()
    }
    return {name: (of_measures | others)[name] for name in names}


def _write_tsv(
    to: Destination, place: Sequence[str], names: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    with to.write(*place) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        writer.writerow(names)
        writer.writerows([_format(value) for value in row] for row in rows)


def _write_gzip(part: Path, rows: Iterable[Sequence[object]]) -> None:
    """Without a time of writing: the same values give the same bytes."""
    with (
        part.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
    ):
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        writer.writerows([_format(value) for value in row] for row in rows)


def _format(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, float):
        return f"{value:.9g}"
    return clean_line(value) if isinstance(value, str) else value


def _write_json(to: Destination, place: Sequence[str], content: dict[str, object]) -> None:
    with to.write(*place) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
