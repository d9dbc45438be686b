"""SPSS: the timeline as a system file, a case per person and bin, with labels of variables."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from ferflow.analytics.measures import MEASURES, timeline_measures
from ferflow.exchange.destination import Destination
from ferflow.exchange.libraries import load_library
from ferflow.exchange.plain_text import clean_line, name_uniquely
from ferflow.exchange.request import ExportOptions
from ferflow.exchange.session import Session
from ferflow.exchange.session_tables import timeline_rows

LIBRARY = "pyreadstat"
FILE = "timeline.sav"
_RESERVED = frozenset("ALL AND BY EQ GE GT LE LT NE NOT OR TO WITH".split())
_LONGEST_NAME, _LONGEST_LABEL, _LONGEST_TEXT = 64, 256, 32_767
"""Bytes, by the format."""
_TITLES = {
    "video_id": "Session", "video": "File of the session", "participant": "Participant",
    "person": "Person in the session", "person_id": "Number of the person in the session", "group": "Group",
    "stimulus": "Stimulus", "start_s": "Start of the bin in the video, seconds",
    "end_s": "End of the bin in the video, seconds", "stimulus_time_s": "Start of the bin in the stimulus, seconds",
    "state": "Why there is a value, or none", "n_faces": "Faces of the person", "seconds": "Analysed time, seconds",
    "face_s": "Time in view, seconds", "readable_s": "Time with a readable face, seconds",
}  # fmt: skip


def write_sav(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`timeline.sav`."""
    pyreadstat = load_library(LIBRARY, "--format spss")
    load_library("pandas", "--format spss")
    labels = list(dict.fromkeys(label for session in sessions for label in session.metadata.labels))
    table = pa.concat_tables([timeline_rows(session) for session in sessions], promote_options="default")
    names = name_uniquely(table.column_names, spell_variable)
    columns = {names[name]: _to_column(table.column(name)) for name in table.column_names}
    frame = pa.table(columns).to_pandas()
    measures = timeline_measures(labels)
    titles = _TITLES | {name: measure.title for name, measure in measures.items()}
    titles |= {
        name: f"{name.partition('_')[0]}: {measures[name].title}" for name in measures if name not in MEASURES
    }
    with to.write(FILE) as part:
        pyreadstat.write_sav(
            frame,
            str(part),
            file_label="ferflow: a case per person and bin",
            column_labels={
                names[name]: _cut(titles.get(name, name), _LONGEST_LABEL) for name in table.column_names
            },
        )


def spell_variable(name: str) -> str:
    """A name that SPSS allows: letters, digits and underscores, a letter first, no reserved word, at most 60 bytes."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not plain[:1].isalpha() or plain.upper() in _RESERVED:
        plain = f"v_{plain}"
    return plain[: _LONGEST_NAME - 4].rstrip("_") or "v"


def _to_column(values: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_string(values.type):
        return pa.array(
            [_cut(clean_line(text or ""), _LONGEST_TEXT) for text in values.to_pylist()], pa.string()
        )
    return values.cast(pa.float64())


def _cut(text: str, n_bytes: int) -> str:
    return text.encode()[:n_bytes].decode(errors="ignore")
