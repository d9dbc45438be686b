"""The columns of the tables on disk, and how tables of an earlier schema are read as those of today.

Schema 2 adds the size of each picture to FRAMES and four columns to FACES; in TIMELINE, `person_id` takes the place of
`track_id`. TIMELINE itself follows from the measures, see `ferflow.analytics.timeline`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)

UNTRACKED = -1
"""`track_id` of a face that no track has confirmed."""

_WORD = pa.dictionary(pa.int8(), pa.string())

NOT_FACE = ("still", "duplicate")
"""Values of `not_face` in FACES: a picture of a face, and the same face shown a second time."""

UNREADABLE = ("turned", "small", "blurred", "occluded")
"""Values of `unreadable` in FACES: why the expression of a face cannot be read, in order of precedence."""

FRAMES = pa.schema(
    [
        ("video_id", pa.string()),
        ("frame_index", pa.int32()),
        ("pts", pa.int64()),
        ("time_s", pa.float64()),
        ("n_faces", pa.int16()),
        ("luma_mean", pa.float32()),
        ("is_cut", pa.bool_()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)
"""A row per analysed frame. `width` and `height` are those of its picture, in pixels after rotation."""

FACES_OF_SCHEMA_2 = {"person_id": pa.int32(), "region": _WORD, "not_face": _WORD, "unreadable": _WORD}


TRACKS = pa.schema([("track_id", pa.int32()), ("person_id", pa.int32()), ("not_face", _WORD)])
"""A row per track, known when a video has ended: columns of FACES that are the same for all faces of a track. Not a
table on disk."""


def faces_schema(labels: Sequence[str]) -> pa.Schema:
    """Columns of FACES for a model with these labels, in the model's order."""
    return pa.schema(
        [
            ("video_id", pa.string()),
            ("frame_index", pa.int32()),
            ("pts", pa.int64()),
            ("time_s", pa.float64()),
            ("track_id", pa.int32()),
            *FACES_OF_SCHEMA_2.items(),
            *((name, pa.float32()) for name in ("x1", "y1", "x2", "y2", "score")),
            ("landmarks", pa.list_(pa.float32(), 10)),
            *((name, pa.float32()) for name in ("yaw", "pitch", "roll", "sharpness", "face_px")),
            *((f"prob_{label}", pa.float32()) for label in labels),
            ("label", _WORD),
        ]
    )


def current_columns(stored: pa.Schema) -> dict[str, str | pa.DataType]:
    """What the columns of a stored table are called today, in today's order.

    Returns:
        By name of today: the column in the file that holds it, or, where the file is older than the column, its type.
    """
    # Nothing else knows schema 1: all other code sees the columns of today.
    columns: dict[str, str | pa.DataType] = {name: name for name in stored.names}
    if "is_cut" in columns:  # FRAMES
        return columns | {
            name: FRAMES.field(name).type for name in ("width", "height") if name not in columns
        }
    if "landmarks" in columns and "person_id" not in columns:  # FACES of schema 1
        place = stored.names.index("track_id") + 1
        items = list(columns.items())
        return dict([*items[:place], *FACES_OF_SCHEMA_2.items(), *items[place:]])
    if "bin_start_s" in columns and "person_id" not in columns:  # TIMELINE of schema 1
        return {"person_id" if name == "track_id" else name: stored for name, stored in columns.items()}
    return columns


def to_current(table: pa.Table, columns: dict[str, str | pa.DataType]) -> pa.Table:
    """A table as it was stored, with the columns that `current_columns` says, in that order."""
    return pa.table(
        {
            name: table.column(source) if isinstance(source, str) else pa.nulls(len(table), source)
            for name, source in columns.items()
        }
    ).replace_schema_metadata(table.schema.metadata)
