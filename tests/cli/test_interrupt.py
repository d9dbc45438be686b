"""Ctrl+C, SIGTERM and a closed terminal: out in two seconds, nothing half-written, and a line about how to go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ferflow.cli.interrupt import Interrupted, SignalWait
from ferflow.jobs.benchmarks.memory import write_repeated
from tests.command import restore_signals
from tests.conftest import face_frames, write_video


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    """Twenty minutes, as two seconds again and again."""
    folder = tmp_path_factory.mktemp("long")
    clip = write_video(folder / "clip.mp4", face_frames(50, size=(320, 180), step=1))
    write_repeated(clip, folder / "long.mp4", 20 * 60)
    return folder / "long.mp4"


def lock_is_there(out: Path) -> bool:
    """From here on it plans and loads the models."""
    return (out / ".ferflow.lock").exists()


def tables_are_begun(out: Path) -> bool:
    return bool(list(out.glob("frames/.*.tmp")))


def interrupted(
    command: list[object], out: Path, when: Callable[[Path], bool], number: int, *, group: bool = False
) -> tuple[subprocess.CompletedProcess[str], float]:
    """Start ferflow, signal it when something is so; how it ended, and seconds from the signal to the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ferflow", *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=restore_signals,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not when(out) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    started = time.monotonic()
    # A terminal signals every process of the group.
    os.killpg(process.pid, number) if group else process.send_signal(number)
    process.wait(60)
    took = time.monotonic() - started
    reported = process.communicate()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    return subprocess.CompletedProcess(command, process.returncode, *reported), took


def seconds_allowed() -> float:
    """Two, on a machine that has time for us."""
    return 2.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.parametrize(
    ("when", "number", "group", "options"),
    [
        (tables_are_begun, signal.SIGINT, False, []),
        pytest.param(tables_are_begun, signal.SIGTERM, False, [], marks=pytest.mark.slow),
        pytest.param(tables_are_begun, signal.SIGHUP, False, [], marks=pytest.mark.slow),
        pytest.param(lock_is_there, signal.SIGINT, False, [], marks=pytest.mark.slow),
        (tables_are_begun, signal.SIGINT, True, ["--workers", "2"]),
        pytest.param(lock_is_there, signal.SIGTERM, False, ["--workers", "2"], marks=pytest.mark.slow),
        # The decoder skips for minutes and hands nothing on: nobody notices but the clock.
        (tables_are_begun, signal.SIGINT, False, ["--start", "19:00"]),
    ],
    ids=["frames", "term", "hangup", "models", "workers", "workers-loading", "skipping"],
)
def test_a_signal_ends_a_run_and_says_how_to_go_on(tmp_path, long_video, when, number, group, options):
    out, again = tmp_path / "out", tmp_path / "again.mp4"
    again.symlink_to(long_video)
    command = ["analyze", long_video, again, "-o", out, "--no-report", *(options or ["--workers", "1"])]
    done, took = interrupted(command, out, when, number, group=group)
    assert done.returncode == 130, done.stderr
    assert done.stderr.count("interrupted. Finished videos are kept; the same command continues.") == 1
    assert "Traceback" not in done.stderr
    assert took < seconds_allowed(), done.stderr
    assert not list(out.rglob("*.tmp"))
    assert not list(out.rglob("*.parquet"))


def test_programs_are_told_by_an_event(tmp_path, long_video):
    out = tmp_path / "out"
    command = ["analyze", long_video, "-o", out, "--no-report", "--progress", "json"]
    done, _ = interrupted(command, out, tables_are_begun, signal.SIGTERM)
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["event"], last["exit_code"], done.returncode) == ("failed", 130, 130)


def test_a_signal_that_a_library_swallows_ends_the_process_all_the_same(tmp_path):
    """An exception raised in a destructor is dropped by Python: only the clock is left."""
    code = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from ferflow.cli.interrupt import interruptible\n"
        "class Deaf:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT); time.sleep(0.01)\n"
        "left = Path(sys.argv[1])\n"
        "with interruptible(show=lambda text: print(text, file=sys.stderr), clean_up=left.unlink):\n"
        "    Deaf()\n"
        "    time.sleep(60)\n"
    )
    left = tmp_path / "half.tmp"
    left.touch()
    signalled = subprocess.run(
        [sys.executable, "-c", code, str(left)], capture_output=True, text=True, timeout=30, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert signalled.returncode == 130
    assert "the same command continues" in signalled.stderr
    assert not left.exists()


def test_a_signal_that_was_ignored_on_purpose_stays_ignored(tmp_path):
    """`nohup ferflow ...` goes on when the terminal is closed."""
    code = (
        "import os, signal\n"
        "from ferflow.cli.interrupt import interruptible\n"
        "with interruptible(show=print, clean_up=lambda: None):\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    print('still here')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "still here\n")


@pytest.fixture
def wait() -> Iterator[SignalWait]:
    """Between rounds of a run that SIGTERM would interrupt."""

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield SignalWait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_signal_during_a_wait_ends_it(wait):
    timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGTERM])
    timer.start()
    assert wait(60.0)
    timer.join()


def test_a_signal_between_rounds_ends_the_next_wait_at_once(wait):
    assert not wait(0.0)
    with wait.working():
        pass
    signal.raise_signal(signal.SIGTERM)
    assert wait(60.0)


def test_a_signal_during_a_round_interrupts_it(wait):
    with pytest.raises(Interrupted), wait.working():
        signal.raise_signal(signal.SIGTERM)


def test_no_round_is_started_after_a_signal(wait):
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted), wait.working():
        pytest.fail("a round has started")


def test_a_signal_during_a_long_look_ends_it(wait):
    timer = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGTERM])
    timer.start()
    assert wait.look(lambda: time.sleep(60)) is None
    assert wait(60.0)
    timer.join()


def test_a_look_without_a_signal_gives_what_it_saw(wait):
    assert wait.look(lambda: "seen") == "seen"
    assert not wait(0.0)
