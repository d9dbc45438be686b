"""Tables of finished videos, as the API answers them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ferflow.errors import RecordsError
from ferflow.plain_file import check_plain_file, local_path
from ferflow.store.contained import check_contained
from ferflow.store.output_folder import OutputFolder
from ferflow.types import JsonObject, JsonValue

MOST_ROWS = 10_000
_BATCH_ROWS = 4096


def find_table(name: str, out: Path, video_id: str) -> Path | None:
    """The file of a table of a finished video; None: there is none.

    Raises:
        RecordsError: the id leads out of the output folder.
    """
    files = OutputFolder(out).video(video_id)
    path: Path = getattr(files, name)
    try:
        check_contained(path, out)
        if path.is_symlink():
            return None
        check_plain_file(path)
    except (OSError, ValueError):
        return None
    return path if files.is_finished else None


TABLES: dict[str, Callable[[Path, str], Path | None]] = {
    name: partial(find_table, name) for name in ("frames", "faces", "timeline", "markers", "signals")
}


def read_rows(path: Path, offset: int, limit: int) -> JsonObject:
    """Rows of a table as JSON; null for what is unknown.

    Raises:
        RecordsError: it cannot be read.
    """
    try:
        with pq.ParquetFile(local_path(path)) as file:
            rows = _slice(file, offset, limit)
            n_rows = file.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise RecordsError(f"{path.name}: cannot be read as Parquet.") from error
    return {
        "columns": rows.column_names,
        "rows": [[_plain(value) for value in row.values()] for row in rows.to_pylist()],
        "n_rows": n_rows,
    }


def _slice(file: pq.ParquetFile, offset: int, limit: int) -> pa.Table:
    """Some rows, without those before and after them in memory."""
    parts: list[pa.RecordBatch] = []
    n_before, n_taken = 0, 0
    for batch in file.iter_batches(_BATCH_ROWS):
        first = max(offset - n_before, 0)
        n_before += len(batch)
        if first < len(batch):
            parts.append(batch.slice(first, limit - n_taken))
            n_taken += len(parts[-1])
        if n_taken >= limit:
            break
    return pa.Table.from_batches(parts, schema=file.schema_arrow)


def _plain(value: object) -> JsonValue:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)
