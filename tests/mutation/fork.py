"""Tests in a process that is forked from one that has imported the libraries: a run of pytest starts in 0.1 s."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

_FORKS = get_context("forkserver")
# Nothing of the project, since each tree has its own; nothing that starts threads when it is imported.
_FORKS.set_forkserver_preload(
    ["pytest", "_pytest.assertion", "numpy", "cv2", "av", "pyarrow.parquet", "pyarrow.compute", "msgspec"]
)


def run_pytest(tree: Path, arguments: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """Run tests of a copy of the project.

    Returns:
        The exit code, and what pytest printed; None where the time was over.
    """
    output = tree / "pytest.txt"
    process = _FORKS.Process(target=_run, args=(tree, list(arguments), output))
    process.start()
    process.join(seconds)
    code = process.exitcode
    if process.pid is not None:
        _end_group(process.pid)
    process.join()
    return code, output.read_text(encoding="utf-8", errors="replace")


def _run(tree: Path, arguments: list[str], output: Path) -> None:
    os.setsid()
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(tree)
    os.environ["PYTHONPATH"] = str(tree)
    # Analysing the real clips takes half a minute before the first test that needs them: it would count as a hang.
    os.environ.pop("FERFLOW_TEST_DATA", None)
    here = Path(__file__).parents[2]
    sys.path[:] = [str(tree), *(path for path in sys.path if Path(path).resolve() != here)]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "ferflow")]:
        del sys.modules[name]
    import pytest

    code = int(pytest.main(arguments))
    sys.stdout.flush()
    os._exit(code)  # some libraries wait for threads at exit


def _end_group(pid: int) -> None:
    """End the process and all that it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
