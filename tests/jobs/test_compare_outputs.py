"""`compare_outputs` sees every change of a result, and none of what must differ."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferflow.jobs.benchmarks.compare_outputs import main


def folder(root, *, value=0.5, label="happy", seconds=1.0, title="Report", version="0.1.0"):
    """A folder as ferflow leaves it, in small."""
    for name in ("faces", "reports", ".pages"):
        (root / name).mkdir(parents=True)
    table = pa.table({"prob_happy": pa.array([0.1, value], pa.float32())})
    footer = {b"ferflow": json.dumps({"ferflow_version": version, "label": label}).encode()}
    pq.write_table(table.replace_schema_metadata(footer), root / "faces" / "a.parquet")
    run = {"started": f"{seconds}", "videos": [{"status": "done", "seconds": seconds, "path": str(root)}]}
    (root / "run.json").write_text(json.dumps(run))
    (root / "reports" / "a.html").write_text(f"<h1>{title}</h1><p>ferflow {version} {root}</p>")
    (root / ".pages" / "a.json").write_text(f"{seconds}")
    return root


def test_times_versions_and_paths_are_no_differences(tmp_path, capsys):
    before, after = folder(tmp_path / "a"), folder(tmp_path / "b", seconds=2.0, version="0.2.0")
    assert main([str(before), str(after)]) == 0
    assert capsys.readouterr().out == "0 differences\n"


@pytest.mark.parametrize(
    ("change", "file"),
    [
        ({"value": 0.50001}, "faces/a.parquet (rows)"),
        ({"label": "sad"}, "faces/a.parquet (footer: ferflow.label)"),
        ({"title": "Another"}, "reports/a.html (text)"),
    ],
)
def test_a_changed_result_is_named(tmp_path, capsys, change, file):
    before, after = folder(tmp_path / "a"), folder(tmp_path / "b", **change)
    assert main([str(before), str(after)]) == 1
    assert f"differs: {file}" in capsys.readouterr().out


def test_a_missing_file_is_named(tmp_path, capsys):
    before, after = folder(tmp_path / "a"), folder(tmp_path / "b")
    (after / "reports" / "a.html").unlink()
    assert main([str(before), str(after)]) == 1
    assert "reports/a.html" in capsys.readouterr().out
