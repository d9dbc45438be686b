"""Where a run stands, without a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferflow.jobs import progress
from ferflow.jobs.progress import Bars
from ferflow.jobs.run_events import Ended, Planned, Progressed, Started
from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.store.video_files import VideoFiles


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets, in seconds."""
    times = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: times[0])
    return times


def events(clock: list[float]):
    """Two videos of a minute, read in real time, a step a second."""
    tasks = tuple(VideoTask(Path(f"{name}.mp4"), VideoFiles(Path("out"), name)) for name in "ab")
    yield Planned(tasks)
    for task in tasks:
        yield Started(task)
        for second in range(1, 61):
            clock[0] += 1.0
            yield Progressed(task, float(second), 60.0)
        yield Ended(task, TaskReport(source=str(task.source), status="done"))


def test_without_a_terminal_a_line_every_half_minute_says_where_it_stands(capsys, clock):
    with Bars() as bars:
        for event in events(clock):
            bars.show(event)
    assert capsys.readouterr().err.splitlines() == [
        "ferflow: 0 of 2 inputs done; a.mp4 at 00:30.0 of 01:00.0",
        "ferflow: 0 of 2 inputs done; a.mp4 at 01:00.0 of 01:00.0",
        "ferflow: 1 of 2 inputs done; b.mp4 at 00:30.0 of 01:00.0",
        "ferflow: 1 of 2 inputs done; b.mp4 at 01:00.0 of 01:00.0",
    ]


def test_quiet_is_quiet(capsys, clock):
    with Bars(quiet=True) as bars:
        for event in events(clock):
            bars.show(event)
    assert capsys.readouterr().err == ""
