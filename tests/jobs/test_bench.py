from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from ferflow.faces.detector import make_detector
from ferflow.jobs.benchmarks import rivals, speed, speed_table
from ferflow.jobs.benchmarks.clip import Scene, draw_clip
from ferflow.jobs.benchmarks.stride import count_agreement
from ferflow.media.video import Selection, open_video
from ferflow.options import AnalyzeOptions


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "three.mp4"
    draw_clip(path, Scene(640, 360, 3, 90, 1.0), 0.7)
    return path


def test_a_scene_shows_as_many_faces_as_it_says(clip):
    with open_video(clip) as video:
        found = make_detector(AnalyzeOptions()).detect(list(video.frames(Selection(every=7))))
    assert [len(faces) for faces in found] == [3, 3, 3]


def test_the_command_measures_and_writes_json(clip, tmp_path):
    out = tmp_path / "speed.json"
    command = [sys.executable, "-m", "ferflow", "bench", str(clip), "--rounds", "1", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (report,) = json.loads(out.read_text())
    assert (report["n_frames"], report["faces_per_frame"]) == (21, 3.0)
    assert report["full_over_decode"] == pytest.approx(report["full_fps"] / report["decode_fps"])
    assert report["rivals"] == {}
    assert set(report["stages_cpu_ms"]) == set(speed.STAGES)
    assert all(spent > 0 for spent in report["stages_cpu_ms"].values())
    assert 50 < report["peak_mib"] < 2000
    assert "| **ferflow / decoding** |" in done.stdout


@pytest.mark.slow
def test_another_program_is_timed_in_the_same_rounds(clip, tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(
        "import json, sys\nprint('ready', flush=True)\nfor _ in sys.stdin:\n"
        "    print(json.dumps({'frames': 10, 'faces': 20, 'seconds': 10.0, 'cpu_seconds': 5.0}), flush=True)\n"
    )
    slow = rivals.Rival("slow", (sys.executable, str(script)), "cannot be")
    report = speed.bench(clip, rounds=1, rivals=[slow])
    assert report.rivals["slow"].fps == 1
    assert report.rivals["slow"].full_over == pytest.approx(report.full_fps)
    assert (report.rivals["slow"].cpu_ms, report.rivals["slow"].faces_per_frame) == (500, 2)
    table = speed_table.as_table([report])
    assert "| slow, frames/s · faces per frame | 1.0 · 2.0 |" in table
    assert f"| **ferflow / slow** | **{report.full_fps:.0f}** |" in table
    assert report.sampled_over_full > 0


def test_a_program_that_does_not_start_is_named_with_its_remedy(clip, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "ferflow", "bench", str(clip), "--vs-fer", sys.executable],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--vs-fer needs a Python with fer" in done.stderr
    assert "No module named 'fer'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_scene_nobody_knows_is_refused_with_the_known_ones():
    done = subprocess.run(
        [sys.executable, "-m", "ferflow", "bench", "--scene", "imax"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "1080p-seven" in done.stderr


def test_agreement_by_hand():
    a = {
        0: np.array([[0, 0, 10, 10], [50, 50, 60, 60]], np.float32),
        1: np.array([[0, 0, 10, 10]], np.float32),
    }
    b = {0: np.array([[1, 0, 11, 10]], np.float32), 2: np.array([[5, 5, 9, 9]], np.float32)}
    assert count_agreement(a, b) == (1, 3, 1)
