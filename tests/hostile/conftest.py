"""What the hostile tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.outputs import make_output

_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where there is such, files are in memory: these tests flush them thousands of times."""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder of the test's own."""
    with tempfile.TemporaryDirectory(dir=_MEMORY, prefix="ferflow-hostile-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def whole_output() -> Iterator[Path]:
    """An output folder with one of everything; copy it before use."""
    with tempfile.TemporaryDirectory(dir=_MEMORY, prefix="ferflow-hostile-") as folder:
        yield make_output(Path(folder))
