"""What the columns of tables on disk must hold: checked where a table is read, so that other code can rely on it.

Output folders are handed on and kept for years: a table may be damaged, edited by hand, or made to do harm.

>>> check = TableCheck(Path("out/frames/talk-0123abcd.parquet"))
>>> check.check(table)      # raises RecordsError, and names the column
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from ferflow.errors import RecordsError
from ferflow.store.schemas import FACES_OF_SCHEMA_2, NOT_FACE, UNREADABLE, UNTRACKED, faces_schema
from ferflow.text import sanitize
from ferflow.types import Float64Array

_LARGEST = sys.float_info.max
_MOST_ID = 10**9
_MOST_PIXELS = 1e9

_RESULTS = ("frames", "faces", "timeline")
"""Markers and signals of earlier versions may have another id in their rows."""

ANALYSE_AGAIN = "Analyse this video again with --overwrite."
REMOVE = "Remove the file, and run the same command again."


@dataclass(frozen=True, slots=True)
class Column:
    """What a column must hold. NaN and null are the same, unknown, unless the column says otherwise."""

    kind: pa.DataType
    low: float = -_LARGEST
    high: float = _LARGEST
    """Bounds of numbers, inclusive; infinity is always refused."""
    is_nullable: bool = False
    allows_nan: bool = True
    """Whether NaN is allowed where null is."""
    step: float | None = None
    """Least difference of two rows that follow each other; None: in any order."""
    words: tuple[str, ...] = ()
    """Allowed texts; empty: any."""


_TEXT, _WORD = pa.string(), FACES_OF_SCHEMA_2["not_face"]
_SECONDS = Column(pa.float64(), low=0, step=0)
_ANY_NUMBER = Column(pa.float32(), is_nullable=True)
_SHARE = Column(pa.float32(), low=0, high=1)
_PIXELS = Column(pa.float32(), low=-_MOST_PIXELS, high=_MOST_PIXELS)
_DEGREES = Column(pa.float32(), low=-360, high=360, is_nullable=True)
_PERSON = Column(pa.int32(), low=1, high=_MOST_ID, is_nullable=True)
_SIZE = Column(pa.int32(), low=1, is_nullable=True)
_COUNT = Column(pa.int32(), low=0)

COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "frames": {
        "video_id": Column(_TEXT),
        "frame_index": Column(pa.int32(), low=0, step=1),
        "pts": Column(pa.int64()),
        "time_s": _SECONDS,
        "n_faces": Column(pa.int16(), low=0),
        "luma_mean": replace(_ANY_NUMBER, low=0, high=255),
        "is_cut": Column(pa.bool_()),
        "width": _SIZE,
        "height": _SIZE,
    },
    "faces": {
        "video_id": Column(_TEXT),
        "frame_index": Column(pa.int32(), low=0, step=0),
        "pts": Column(pa.int64()),
        "time_s": _SECONDS,
        "track_id": Column(pa.int32(), low=UNTRACKED, high=_MOST_ID),
        "person_id": _PERSON,
        "region": Column(_WORD, is_nullable=True),
        "not_face": Column(_WORD, is_nullable=True, words=NOT_FACE),
        "unreadable": Column(_WORD, is_nullable=True, words=UNREADABLE),
        **dict.fromkeys(("x1", "y1", "x2", "y2"), _PIXELS),
        # Null where the face was interpolated; no detector gives NaN.
        "score": replace(_SHARE, is_nullable=True, allows_nan=False),
        "landmarks": Column(faces_schema(()).field("landmarks").type, is_nullable=True),
        **dict.fromkeys(("yaw", "pitch", "roll"), _DEGREES),
        "sharpness": replace(_ANY_NUMBER, low=0),
        "face_px": replace(_PIXELS, low=0),
        "label": Column(_WORD),
    },
    "timeline": {
        "video_id": Column(_TEXT),
        "bin_start_s": _SECONDS,
        "bin_end_s": _SECONDS,
        "person_id": _PERSON,
        "n_frames": _COUNT,
        "n_faces": _COUNT,
    },
    "markers": {
        "video_id": Column(_TEXT),
        "time_s": Column(pa.float64()),
        "end_s": Column(pa.float64(), is_nullable=True),
        "label": Column(_TEXT),
        "kind": Column(_TEXT, is_nullable=True),
    },
    "signals": {
        "video_id": Column(_TEXT),
        "name": Column(pa.dictionary(pa.int16(), _TEXT)),
        "time_s": Column(pa.float64()),
        "value": Column(pa.float64(), is_nullable=True),
    },
}
"""By the folder of a table and the name of a column."""


@dataclass(frozen=True, slots=True)
class TableCheck:
    """Checks the rows of one table, which may come in blocks."""

    path: Path
    _last: dict[str, float] = field(default_factory=dict)
    """Last value of each column that has an order."""

    @property
    def required(self) -> set[str]:
        """Columns that the table must have, also in an earlier schema."""
        return set(COLUMNS.get(self.path.parent.name, ()))

    def check(self, table: pa.Table) -> pa.Table:
        """The table, if its columns hold what they must.

        Raises:
            RecordsError: a column of another type, a value out of its range, or rows that are out of order.
        """
        for name in table.column_names:
            rule = _rule_of(self.path, name)
            if rule is not None and (problem := self._find_problem(name, table.column(name), rule)):
                raise refuse(self.path, f"column {sanitize(name)!r}: {problem}")
        return table

    def _find_problem(self, name: str, column: pa.ChunkedArray, rule: Column) -> str | None:
        if not _is_of_kind(column.type, rule.kind):
            return f"{column.type} in place of {rule.kind}"
        if column.null_count and not rule.is_nullable:
            return "a value is missing"
        if _is_number(rule.kind):
            values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
            n_nan = np.isnan(values).sum() - column.null_count
            if n_nan and not (rule.is_nullable and rule.allows_nan):
                return "a value is missing"
            return _check_range(values, rule) or self._check_order(name, values, rule)
        return _check_texts(column, rule) if _is_text(rule.kind) else None

    def _check_order(self, name: str, values: Float64Array, rule: Column) -> str | None:
        if rule.step is None or not len(values):
            return None
        steps = np.diff(values, prepend=self._last.get(name, -np.inf))
        self._last[name] = float(values[-1])
        return "its rows are not in order" if (steps < rule.step).any() else None


def refuse(path: Path, problem: str) -> RecordsError:
    """The error about a table that holds what it must not, with what to do."""
    # Results can be made again; markers and signals come from the user, and a timeline follows from FRAMES and FACES.
    advice = {"frames": ANALYSE_AGAIN, "faces": ANALYSE_AGAIN, "timeline": REMOVE}
    remedy = advice.get(path.parent.name, "Remove the file, and give its values again.")
    return RecordsError(f"{path}: {problem}. {remedy}")


def _rule_of(path: Path, name: str) -> Column | None:
    """What a column must hold; None: it is unknown."""
    room = path.parent.name
    if name == "video_id" and room in _RESULTS:
        return Column(_TEXT, words=(path.stem,))
    if room == "faces" and name.startswith("prob_"):
        return _SHARE
    return COLUMNS.get(room, {}).get(name)


def _is_of_kind(found: pa.DataType, wanted: pa.DataType) -> bool:
    if kinds.is_dictionary(wanted):  # the width of its indices depends on who wrote it
        return bool(kinds.is_dictionary(found) and kinds.is_string(found.value_type))
    return bool(found == wanted)


def _is_number(kind: pa.DataType) -> bool:
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_dictionary(kind))


def _check_range(values: Float64Array, rule: Column) -> str | None:
    known = values[~np.isnan(values)]
    wrong = known[(known < rule.low) | (known > rule.high)]
    return f"{wrong[0]:g} is not a possible value" if len(wrong) else None


def _check_texts(column: pa.ChunkedArray, rule: Column) -> str | None:
    try:
        column.validate(full=True)  # valid UTF-8, and indices within the dictionary
    except pa.ArrowInvalid:
        return "damaged text"
    found = set(column.unique().to_pylist()) - {None} if rule.words else set()
    unknown = sorted(found - set(rule.words))
    return f"{sanitize(unknown[0][:40])!r} is not a possible value" if unknown else None
