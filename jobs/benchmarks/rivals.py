"""Other programs that are timed in the same rounds as ferflow, each in a process of its own.

A program gets a video and a number of frames as arguments, prints `ready`, and answers each line on stdin with a `Pace`
as JSON; see `haar` and `fer_package`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ferflow.errors import FerflowError, OptionsError

_RIVAL_FRAMES = 60
"""Few: these programs take 0.1 s and more per frame."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Time for one pass over some frames."""

    frames: int
    faces: int
    seconds: float
    cpu_seconds: float
    """Of this process, all threads."""

    @property
    def fps(self) -> float:
        """Frames per second of wall-clock time."""
        return self.frames / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor time per frame."""
        return self.cpu_seconds / self.frames * 1e3


@dataclass(frozen=True, slots=True)
class Rival:
    """Another program to compare with."""

    name: str
    command: tuple[str, ...]
    """Video and number of frames are appended."""
    remedy: str
    """What to do if it does not start."""


def haar_script() -> Rival:
    """The naive script of the papers."""
    command = (sys.executable, "-m", "ferflow.jobs.benchmarks.haar")
    return Rival("the papers' script", command, "--vs-haar needs TensorFlow: pip install 'ferflow[train]'")


def fer_package(python: Path) -> Rival:
    """The `fer` package, run by the Python interpreter of its environment."""
    script = Path(__file__).with_name("fer_package.py")
    return Rival("fer", (str(python), str(script)), f"--vs-fer needs a Python with fer; {script} says how")


@contextmanager
def start(rival: Rival, video: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of the program that is ready to be timed."""
    command = [*rival.command, str(video), str(_RIVAL_FRAMES)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        if open_pipe(process.stdout).readline().strip() != "ready":
            problem = (open_pipe(process.stderr).read().strip().splitlines() or ["it ended"])[-1]
            raise OptionsError(f"{rival.remedy} ({problem})")
        yield process
        open_pipe(process.stdin).close()


def time_round(script: subprocess.Popen[str]) -> Pace:
    """Time it once."""
    open_pipe(script.stdin).write("\n")
    open_pipe(script.stdin).flush()
    return Pace(**json.loads(open_pipe(script.stdout).readline()))


def open_pipe(pipe: IO[str] | None) -> IO[str]:
    """A pipe of a process that was started with one.

    Raises:
        FerflowError: it was started without.
    """
    if pipe is None:
        raise FerflowError("no pipe to the script")
    return pipe
