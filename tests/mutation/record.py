"""A pytest plugin that notes how long each test takes: `-p tests.mutation.record`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DURATIONS = Path(__file__).parents[2] / "build" / "mutants" / "durations"


def pytest_configure() -> None:
    """Start an empty file."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        DURATIONS.parent.mkdir(parents=True, exist_ok=True)
        DURATIONS.write_text("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Append a line; the process that hears of all tests does."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with DURATIONS.open("a") as file:
            file.write(f"{report.duration:.3f} {report.nodeid}\n")
