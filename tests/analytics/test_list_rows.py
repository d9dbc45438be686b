"""Session lists as CSV, JSON Lines and Parquet give the same rows; other files are refused in one line."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferflow.analytics.list_rows import read_rows
from ferflow.analytics.session_list import read_sessions
from ferflow.errors import OptionsError

ROWS = pd.DataFrame(
    {
        "Video": ["a.mp4", "b.mp4", "c.mp4"],
        "participant": ["Ada", None, "Zoe\u0301"],
        "offset_s": [0.5, 12.25, None],
        "part": pd.array([1, None, 2], dtype="Int64"),
    }
)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "ndjson", "parquet", "PARQUET"])
def test_a_list_says_the_same_in_each_format_that_pandas_writes(tmp_path, kind):
    path = tmp_path / f"list.{kind}"
    match kind:
        case "csv":
            ROWS.to_csv(path, index=False)
        case "parquet" | "PARQUET":
            ROWS.to_parquet(path, index=False)
        case _:
            ROWS.to_json(path, orient="records", lines=True)
    rows = read_rows(path, required=("video",), numbers=("offset_s",))
    values = [row.values for row in rows]
    assert [row["video"] for row in values] == ["a.mp4", "b.mp4", "c.mp4"]
    assert [row["participant"] for row in values] == ["Ada", "", "Zo\u00e9"]
    assert [float(row["offset_s"] or "nan") for row in values][:2] == [0.5, 12.25]
    assert values[2]["offset_s"] == ""
    assert [row["part"].removesuffix(".0") for row in values] == ["1", "", "2"]
    sessions = read_sessions(path, {name[0]: f"/videos/{name}" for name in ROWS.Video})
    assert sessions.of("b").offset_s == 12.25
    assert sessions.of("c").participant == "Zo\u00e9"


def test_dates_numbers_and_dictionaries_of_parquet_are_text(tmp_path):
    path = tmp_path / "list.parquet"
    pq.write_table(
        pa.table(
            {
                "video": pa.array(["a", "b"]).dictionary_encode(),
                "recording_start": pa.array([0, None], pa.timestamp("s", "UTC")),
                "blind": [True, False],
            }
        ),
        path,
    )
    first, second = (row.values for row in read_rows(path, required=("video",)))
    assert first["recording_start"].startswith("1970-01-01 00:00:00")
    assert (first["video"], first["blind"], second["recording_start"]) == ("a", "true", "")


BAD = {
    "list.jsonl": [
        ('{"video": "a"', "line 1 is not JSON"),
        ('["a"]', "line 1 is not a JSON object"),
        ("3", "line 1 is not a JSON object"),
        ('{"video": "a"}\n\n{"video": ["b"]}', "line 3: video is a list"),
        ('{"video": {"name": "a"}}', "video is a list or an object"),
        ('{"video": "a", "Video": "b"}', "two columns are called 'video'"),
        ('{"name": "a"}', "no column 'video'; it has: name"),
        ("[" * 100_000, "line 1 is not JSON"),
        ("", "no column 'video'; it has: nothing"),
    ],
    "list.parquet": [("PAR1 but no more", "cannot be read as Parquet")],
}


@pytest.mark.parametrize(
    ("name", "text", "why"), [(name, text, why) for name, cases in BAD.items() for text, why in cases]
)
def test_what_is_no_list_is_refused_in_one_line(tmp_path, name, text, why):
    (tmp_path / name).write_text(text)
    with pytest.raises(OptionsError, match=why) as refused:
        read_rows(tmp_path / name, required=("video",))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("column", [pa.array([["a"]]), pa.array([b"\xff"]), pa.array([{"a": 1}])])
def test_columns_of_parquet_that_are_no_text_are_refused(tmp_path, column):
    pq.write_table(pa.table({"video": ["a"], "notes": column}), tmp_path / "list.parquet")
    with pytest.raises(OptionsError, match="column notes"):
        read_rows(tmp_path / "list.parquet", required=("video",))


def test_a_pipe_or_a_folder_is_no_list(tmp_path):
    (tmp_path / "folder.parquet").mkdir()
    for name in ("folder.parquet", "missing.jsonl"):
        with pytest.raises(OptionsError):
            read_rows(tmp_path / name, required=("video",))


def test_numbers_keep_their_digits(tmp_path):
    (tmp_path / "list.jsonl").write_text(
        json.dumps({"video": "a", "offset_s": 0.1}) + '\n{"video":"b","offset_s":1e400}'
    )
    first, second = read_rows(tmp_path / "list.jsonl", required=("video",))
    assert (first.values["offset_s"], second.values["offset_s"]) == ("0.1", "1e400")
