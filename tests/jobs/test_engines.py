"""One contract, every engine: the same files."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from ferflow.errors import OptionsError
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from tests.conftest import face_frames, write_video


@pytest.mark.slow
def test_ray_writes_the_same_tables_as_this_process(tmp_path):
    pytest.importorskip("ray", reason="needs ferflow[ray]")
    inputs = [
        write_video(tmp_path / f"{name}.mp4", face_frames(12, step=step)) for step, name in enumerate("abc")
    ]
    (tmp_path / "notes.mp4").write_text("Dear diary")
    inputs.insert(1, tmp_path / "notes.mp4")
    reports = {
        engine: run(inputs, tmp_path / engine, pages=False, engine=engine) for engine in ("local", "ray")
    }
    assert [video.status for video in reports["ray"].videos] == ["done", "failed", "done", "done"]
    assert reports["ray"].exit_code == 10
    for table in ("frames", "faces", "timeline"):
        names = sorted(path.name for path in (tmp_path / "local" / table).iterdir())
        assert len(names) == 3
        for name in names:
            assert pq.read_table(tmp_path / "ray" / table / name) == pq.read_table(
                tmp_path / "local" / table / name
            )


def test_an_engine_nobody_knows_is_refused(tmp_path, face_video):
    with pytest.raises(OptionsError, match="local, ray"):
        run([face_video], tmp_path / "out", AnalyzeOptions(), engine="slurm")
