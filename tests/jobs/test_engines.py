"""One contract, every engine: the same files."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from ferflow.errors import OptionsError
from ferflow.jobs.run import run
from ferflow.jobs.run_events import Ended, Progressed, Started
from ferflow.options import AnalyzeOptions
from tests.conftest import face_frames, write_video
from tests.jobs.observed import observed_run


@pytest.mark.slow
def test_ray_writes_the_same_tables_and_yields_the_same_events_as_this_process(tmp_path):
    pytest.importorskip("ray", reason="needs ferflow[ray]")
    inputs = [
        write_video(tmp_path / f"{name}.mp4", face_frames(12, step=step)) for step, name in enumerate("abc")
    ]
    (tmp_path / "notes.mp4").write_text("Dear diary")
    inputs.insert(1, tmp_path / "notes.mp4")
    events = {"local": [], "ray": []}
    reports = {
        engine: observed_run(events[engine].append, inputs, tmp_path / engine, pages=False, engine=engine)
        for engine in events
    }
    assert [video.status for video in reports["ray"].videos] == ["done", "failed", "done", "done"]
    assert reports["ray"].exit_code == 10
    for engine, seen in events.items():
        for source in (inputs[0], *inputs[2:]):
            mine = [
                type(event) for event in seen if getattr(event, "task", None) and event.task.source == source
            ]
            assert (mine[0], mine[-1], set(mine[1:-1])) == (Started, Ended, {Progressed}), engine
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
