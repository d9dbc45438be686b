"""What the hostile tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.outputs import Command, make_output


@pytest.fixture
def ferflow(monkeypatch, capfd) -> Command:
    """The command, in this process."""
    return Command(monkeypatch, capfd)


@pytest.fixture(scope="session")
def whole_output(tmp_path_factory) -> Path:
    """An output folder with one of everything; copy it before use."""
    return make_output(tmp_path_factory.mktemp("whole"))
