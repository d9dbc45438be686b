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
        "ferflow/jobs/recorded-sessions.toml",
    ):  # fmt: skip
        assert name in names


WITHOUT_EXTRAS = """
import sys
EXTRAS = {"scipy", "skimage", "pandas", "tensorflow", "keras", "ray", "kaleido", "motmetrics"}
class Absent:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in EXTRAS:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent)
from ferflow.cli import main
sys.argv[0] = "ferflow"
main()
"""


def test_the_plain_install_analyses_and_reports(tmp_path):
    """What the plain commands need is installed without extras."""
    from ferflow.demo_clip import draw_sample

    draw_sample(clip := tmp_path / "clip.mp4", seconds=6, size=(480, 270))
    (tmp_path / "clip.signals.csv").write_text("time_s,health\n0,1\n1,unknown\n2,3\n")
    out = tmp_path / "out"
    for command in (
        ["analyze", clip, "-o", out],
        ["report", out, "--csv"],
        ["explain", clip, "-o", tmp_path / "page.html"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_EXTRAS, *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert next((out / "signals").iterdir())


def test_without_pandas_loading_says_what_to_install(tmp_path, monkeypatch):
    import ferflow
    from ferflow.errors import RecordsError
    from ferflow.store import load

    monkeypatch.setattr(load.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RecordsError, match=r"ferflow\[pandas\]"):
        ferflow.load_faces(tmp_path)
