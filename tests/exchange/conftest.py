"""What the tests of exports share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import Command
from tests.exchange.made_folder import make_folder

Export = Callable[..., Path]


@pytest.fixture(scope="session")
def made_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder that tests must not change."""
    return make_folder(tmp_path_factory.mktemp("exchange") / "out")


@pytest.fixture
def own_folder(made_folder: Path, tmp_path: Path) -> Path:
    """A copy for a test that changes it."""
    return Path(shutil.copytree(made_folder, tmp_path / "own"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[object, ...], Path]:
    """Folders of exports that were made before, by arguments."""
    return {}


@pytest.fixture
def export(
    made_folder: Path, exported: dict, ferflow: Command, tmp_path_factory: pytest.TempPathFactory
) -> Export:
    """Export the made folder, and return where to, which tests must not change."""

    def run(formats: str, *options: object) -> Path:
        key = (formats, *options)
        if key not in exported:
            place = tmp_path_factory.mktemp("exported") / "it"
            done = ferflow("export", made_folder, "-f", formats, "-o", place, *options)
            assert done.code == 0, done.text
            exported[key] = place
        return exported[key]

    return run
