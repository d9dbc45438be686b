"""From ferflow's tables to statistics, with pandas, polars, DuckDB and Arrow. A test runs this script.

    python docs/python_users.py out

Each function stands alone: copy what you need. `ferflow` itself is not needed to read its tables. The columns are in
docs/tables.md, the definitions in docs/numbers.md. The tables are as the analysis wrote them: for names, groups and
corrections as pages have them, read what `ferflow export out --format csv` writes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq


def read_timeline(out: Path) -> pd.DataFrame:
    """All sessions with pandas: a row per second and person; `person_id` is missing in the rows of the audience."""
    return pd.concat(map(pd.read_parquet, sorted((out / "timeline").glob("*.parquet"))), ignore_index=True)


def mean_by_person(timeline: pd.DataFrame, measure: str = "engagement") -> pd.DataFrame:
    """A measure per session and person, as pages have it: weighted by the time in which the face can be read.

    A plain mean of the rows would count a second with one readable frame as much as one with thirty.
    """
    rows = timeline.dropna(subset=["person_id", measure])
    rows = rows.assign(product=rows[measure] * rows["readable_s"])
    sums = rows.groupby(["video_id", "person_id"], as_index=False)[["product", "readable_s"]].sum()
    return sums.assign(**{measure: sums["product"] / sums["readable_s"]}).drop(columns="product")


def footer(table: Path) -> dict[str, object]:
    """What a table says of its video and of the analysis: model, options, source, gaps, warnings."""
    found: dict[str, object] = json.loads(pq.read_metadata(table).metadata[b"ferflow"])
    return found


def count_labels(out: Path) -> pl.DataFrame:
    """With polars, without loading what is not needed: faces per session and label of those that can be read."""
    faces = pl.scan_parquet(out / "faces" / "*.parquet")
    readable = faces.filter(pl.col("unreadable").is_null() & pl.col("not_face").is_null())
    return readable.group_by("video_id", "label").len().sort("video_id", "label").collect()


def ask_in_sql(out: Path) -> pd.DataFrame:
    """With DuckDB, which reads the files as one table: time in view per session and person, in seconds."""
    return duckdb.sql(
        f"""
        select video_id, person_id, sum(face_s) as seconds_in_view, sum(readable_s) as seconds_readable
        from '{out}/timeline/*.parquet' where person_id is not null group by all order by all
        """
    ).df()


def read_some_columns(out: Path) -> int:
    """With Arrow, in batches: memory stays flat, however long the recordings are. The number of certain faces."""
    faces = ds.dataset(sorted(map(str, (out / "faces").glob("*.parquet"))))
    return sum(
        batch.num_rows for batch in faces.to_batches(columns=["score"], filter=ds.field("score") > 0.9)
    )


def around_markers(out: Path, timeline: pd.DataFrame, seconds: float = 5.0) -> pd.DataFrame:
    """Each person's mean engagement before and after each marker of a moment."""
    files = sorted((out / "markers").glob("*.parquet"))
    if not files:
        return pd.DataFrame()
    markers = pd.concat(map(pd.read_parquet, files), ignore_index=True)
    markers = markers[markers["end_s"].isna() & (markers["kind"] != "rest")]
    people = timeline.dropna(subset=["person_id", "engagement"])
    joined = markers.merge(people, on="video_id")
    lag_s = joined["bin_start_s"] - joined["time_s"]
    joined = joined.assign(when=np.where(lag_s < 0, "before", "after"))[lag_s.between(-seconds, seconds)]
    joined = joined.assign(product=joined["engagement"] * joined["readable_s"])
    keys = ["video_id", "label", "time_s", "person_id", "when"]
    sums = joined.groupby(keys)[["product", "readable_s"]].sum()
    return (sums["product"] / sums["readable_s"]).unstack("when").reset_index()


def mixed_model(responses: pd.DataFrame) -> str:
    """Does engagement rise after markers? People differ, so each has an intercept of their own (statsmodels).

    Seconds of one person resemble each other: a model that takes them as independent would find anything.
    """
    try:
        import statsmodels.formula.api as smf
    except ImportError:
        return "pip install statsmodels, for the mixed model"
    long = responses.melt(
        ["video_id", "label", "time_s", "person_id"], ["before", "after"], "when", "engagement"
    )
    long = long.dropna().assign(who=long["video_id"] + "/" + long["person_id"].astype(str))
    if long["who"].nunique() < 5:
        return "too few people for a model with an intercept each"
    return str(smf.mixedlm("engagement ~ when", long, groups="who").fit().summary())


def main(out: Path) -> None:
    """Show all of it."""
    timeline = read_timeline(out)
    print(mean_by_person(timeline).to_string(), "\n")
    print(count_labels(out), "\n")
    print(ask_in_sql(out).to_string(), "\n")
    print(read_some_columns(out), "faces of a score above 0.9\n")
    for table in sorted((out / "faces").glob("*.parquet"))[:3]:
        facts = footer(table)
        print(table.stem, facts["model"], facts["status"], facts.get("erasure"), "\n")
    responses = around_markers(out, timeline)
    print(responses.to_string(), "\n")
    print(mixed_model(responses) if len(responses) else "no markers")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
