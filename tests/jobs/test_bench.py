from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import av
import numpy as np
import pytest

from ferflow import pipeline
from ferflow.demo_clip import draw_sample
from ferflow.faces.detector import KeyFrameDetector, make_detector
from ferflow.jobs.benchmarks import rivals, speed, speed_table, stages
from ferflow.jobs.benchmarks.classify_stride import Cost, Track, classify_some
from ferflow.jobs.benchmarks.clip import Scene, draw_clip
from ferflow.jobs.benchmarks.drawn_room import Room
from ferflow.jobs.benchmarks.memory import write_repeated
from ferflow.jobs.benchmarks.stride import count_agreement
from ferflow.media.video import Selection, Video, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "three.mp4"
    draw_clip(path, Scene(Room(640, 360, 3, 90), 1.0), 0.7)
    return path


def test_a_scene_shows_as_many_faces_as_it_says(clip):
    with open_video(clip) as video:
        found = make_detector(AnalyzeOptions()).detect(list(video.frames(Selection(every=7))))
    assert [len(faces) for faces in found] == [3, 3, 3]


def test_the_command_measures_and_writes_json(clip, tmp_path):
    out = tmp_path / "speed.json"
    command = [sys.executable, "-m", "ferflow", "bench", str(clip), "--rounds", "1", "--detect", "every:7"]
    done = subprocess.run([*command, "--json", str(out)], capture_output=True, text=True, check=True)
    (report,) = json.loads(out.read_text())
    assert (report["n_frames"], report["faces_per_frame"]) == (21, 3.0)
    assert report["full_over_decode"] == pytest.approx(report["full_fps"] / report["decode_fps"])
    assert report["rivals"] == {}
    assert report["detect"] == "every:7"
    assert set(report["stages_cpu_ms"]) == set(stages.STAGES)
    assert all(spent > 0 for spent in report["stages_cpu_ms"].values())
    assert 200 < report["peak_mib"] < 2000  # of the worker; the command itself has less
    assert "; --detect every:7; median of 1 rounds." in done.stdout
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


@pytest.mark.parametrize(("detect", "n_calls"), [("full", 21), ("every:7", 3)])
def test_stages_are_those_of_the_pipeline_with_its_options(clip, detect, n_calls):
    options = AnalyzeOptions(detect=detect)
    tools = Tools.load(options)
    counted = CountedDetector(tools.detector)
    spent = stages.measure_stages(clip, options, replace(tools, detector=counted))
    assert counted.n_frames == n_calls
    assert set(spent) == set(stages.STAGES)
    assert all(ms > 0 for ms in spent.values())


class CountedDetector:
    def __init__(self, detector):
        self.detector, self.n_frames, self.n_near = detector, 0, 0

    def __getattr__(self, name):
        return getattr(self.detector, name)

    def detect(self, frames, score=None):
        self.n_frames += len(frames)
        return self.detector.detect(frames, score)

    def detect_near(self, *arguments):
        self.n_near += 1
        return self.detector.detect_near(*arguments)


def test_stages_of_a_search_around_faces_are_measured_as_it_runs(clip):
    options = AnalyzeOptions(detect="auto")
    tools = Tools.load(options)
    counted = CountedDetector(tools.detector)
    spent = stages.measure_stages(clip, options, replace(tools, detector=counted))
    # A look at all of the picture at least every 0.2 s, of 0.7 s.
    assert 4 <= counted.n_frames < 10
    assert counted.n_near >= 21 - counted.n_frames
    assert all(ms > 0 for ms in spent.values())


def test_a_measurement_leaves_the_pipeline_as_it_was(clip):
    before = pipeline.map_ahead, pipeline.crop_frames, KeyFrameDetector.__call__, Video.frames
    options = AnalyzeOptions()
    stages.measure_stages(clip, options, Tools.load(options))
    assert (pipeline.map_ahead, pipeline.crop_frames, KeyFrameDetector.__call__, Video.frames) == before


def test_a_stage_within_another_one_interrupts_it():
    # A timer that adds a second per look: at the start, at each beginning and end, and at the last count.
    clock = stages.StageClock(timer=iter(range(100)).__next__)
    with clock.stage("detect"), clock.stage("planes"):
        pass
    clock.count()
    assert {name: s for name, s in clock.seconds.items() if s} == {"other": 2, "detect": 2, "planes": 1}


def test_what_a_generator_does_counts_and_what_its_consumer_does_not():
    now = [0.0]
    clock = stages.StageClock(timer=lambda: now[0])

    def decode():
        for number in range(3):
            now[0] += 1
            yield number

    for _ in clock.timed_items("decode", decode)():
        now[0] += 10
    clock.count()
    assert (clock.seconds["decode"], clock.seconds["other"]) == (3, 30)


def test_a_repeated_clip_is_as_long_as_asked_for(tmp_path):
    # The unit of the sample's timestamps, 1/30 s, is not that of the file that it is copied into.
    draw_sample(tmp_path / "clip.mp4", seconds=1, size=(160, 90))
    write_repeated(tmp_path / "clip.mp4", tmp_path / "long.mp4", 3)
    with av.open(str(tmp_path / "long.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx(np.arange(90) / 30)


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


def test_faces_between_classified_ones_get_the_mean_weighted_by_time():
    frames = np.array([3, 4, 6, 7])  # the face was not found in frame 5
    happy = np.array([0.0, 1.0, 0.9, 0.2])
    track = Track(frames, frames / 10, np.stack([happy, 1 - happy], axis=1))
    probs, kept = classify_some(track, 3)
    assert kept.tolist() == [0, 2]
    assert probs[:, 0] == pytest.approx([0.0, 0.3, 0.9, 0.9])
    cost = Cost()
    cost.add(track, 3)
    # Of the two others, both have another expression; their happiness, or what is left of it, differs by 0.7.
    assert cost.describe() == "0.50 | 0.0000 | 0.700 | 0.000"
