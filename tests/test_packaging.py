"""What an installed ferflow consists of."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_every_folder_of_code_is_named_in_the_package_list():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    inits = [
        path for room in ("ferflow", "jobs", "dashboards") for path in ROOT.glob(f"{room}/**/__init__.py")
    ]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in inits}
    installed = {name if name.startswith("ferflow") else f"ferflow.{name}" for name in folders}
    assert set(settings["packages"]) == installed


def test_the_constraints_name_no_place_to_fetch_from():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    pinned = {line.split("==")[0] for line in text.splitlines() if "==" in line}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    for requirement in wanted:
        name = requirement.split("=")[0].split(">")[0].split("<")[0].strip()
        assert name in pinned


@pytest.mark.slow
def test_the_wheel_holds_every_room_and_no_top_level_jobs(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"ferflow"}
    for name in (
        "ferflow/jobs/run.py", "ferflow/dashboards/shared/page.py", "ferflow/dashboards/templates/style.css",
        "ferflow/models/weights/resnet-broad.int8.onnx", "ferflow/models/weights/ferplus.json", "ferflow/py.typed",
    ):  # fmt: skip
        assert name in names
