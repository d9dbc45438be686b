"""Read an output folder back: each table of all its videos as one pandas DataFrame.

The files are plain Parquet; `pandas.read_parquet`, DuckDB and polars read them as well.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ferflow.errors import RecordsError
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import read_table

if TYPE_CHECKING:
    import pandas as pd


def load_faces(out: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """FACES of every finished video: a row per face.

    Raises:
        RecordsError: the folder holds no finished video, a table cannot be read, or pandas is not installed.
    """
    return _load(Path(out), "faces", columns)


def load_frames(out: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """FRAMES of every finished video: a row per analysed frame. Raises as `load_faces`."""
    return _load(Path(out), "frames", columns)


def load_timeline(out: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """TIMELINE of every finished video: a row per bin and person. Raises as `load_faces`."""
    return _load(Path(out), "timeline", columns)


def _load(out: Path, table: str, columns: Sequence[str] | None) -> pd.DataFrame:
    if importlib.util.find_spec("pandas") is None:
        raise RecordsError(
            "pandas is not installed. Run: pip install 'ferflow[pandas]', or read the Parquet files otherwise."
        )
    videos = OutputFolder(out).finished_videos()
    if not videos:
        raise RecordsError(f"{out}: no finished video here. Run: ferflow analyze VIDEO -o {out}")
    wanted = None if columns is None else list(columns)
    parts = [read_table(getattr(video, table), wanted) for video in videos]
    # Files of models with other labels have other `prob_` columns; those that a file lacks become null.
    frame: pd.DataFrame = pa.concat_tables(parts, promote_options="permissive").to_pandas()
    return frame
