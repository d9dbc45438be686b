"""How many processes each pass of a run has, with an engine that fails as the test says."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from ferflow.jobs import processing
from ferflow.jobs.run import run
from ferflow.jobs.run_events import Ended, Started
from ferflow.store.run_manifest import TaskReport


@pytest.fixture
def passes(monkeypatch, tools):
    """Names and number of processes of each pass; `flaky` names fail at their first time."""
    made: list[tuple[list[str], int]] = []

    def process_videos(tasks, job, n_workers):
        made.append(([task.source.name for task in tasks], n_workers))
        for task in tasks:
            yield Started(task)
            if "flaky" in task.source.name and len(made) == 1:
                yield Ended(task, TaskReport.failed(task, "its worker died.", failure="transient"))
            else:
                yield Ended(task, TaskReport.failed(task, "no video.", failure="input"))

    monkeypatch.setattr("ferflow.jobs.plan.model_sha256", lambda options: tools.classifier.card.sha256)
    monkeypatch.setitem(sys.modules, "an_engine", SimpleNamespace(process_videos=process_videos))
    monkeypatch.setattr(processing, "ENGINES", {"local": "an_engine"})
    monkeypatch.setattr(processing, "RETRY_AFTER_SECONDS", 0.0)
    return made


def inputs(folder, *names):
    for number, name in enumerate(names):
        (folder / name).write_bytes(bytes([number]) * 100)
    return [folder / name for name in names]


@pytest.mark.parametrize(("workers", "first"), [(2, 2), (8, 3), (1, 0), (0, 0)])
def test_retries_run_one_at_a_time_after_a_pass_with_all_workers(tmp_path, passes, workers, first):
    names = ["a.mp4", "flaky1.mp4", "flaky2.mp4"]
    report = run(inputs(tmp_path, *names), tmp_path / "out", pages=False, workers=workers)
    assert passes == [(names, first), (names[1:], min(first, 1))]
    assert [video.attempts for video in report.videos] == [1, 2, 2]
    assert [video.failure for video in report.videos] == ["input"] * 3


@pytest.mark.isolated
def test_a_single_video_is_tried_again_in_a_process_of_its_own(tmp_path, passes):
    (video,) = run(inputs(tmp_path, "flaky.mp4"), tmp_path / "out", pages=False, workers=4).videos
    assert passes == [(["flaky.mp4"], 1), (["flaky.mp4"], 1)]
    assert video.attempts == 2


def test_without_retries_the_first_failure_counts(tmp_path, passes):
    (video,) = run(inputs(tmp_path, "flaky.mp4"), tmp_path / "out", pages=False, retries=0).videos
    assert len(passes) == 1
    assert (video.failure, video.attempts) == ("transient", 1)


def test_reports_are_in_the_order_of_the_inputs_whatever_ends_first(tmp_path, passes):
    sources = inputs(tmp_path, "flaky9.mp4", "c.mp4", "b.mp4", "a.mp4")
    report = run(sources, tmp_path / "out", pages=False)
    assert [video.source for video in report.videos] == [str(source) for source in sources]
    from ferflow.store.run_manifest import RunManifest

    manifest = RunManifest.load(tmp_path / "out" / "run.json")
    assert [entry.source for entry in manifest.videos] == [str(source) for source in sources]
