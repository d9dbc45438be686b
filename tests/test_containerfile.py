"""The images: no container tool runs here, so what the Containerfile names is compared with the project."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ferflow.jobs.schedulers.scripts import ArrayJob, write_script

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def instructions() -> list[tuple[str, str]]:
    """Keyword and arguments of each instruction, with continued lines joined and without comments."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split()[0], " ".join(line.split()[1:])) for line in lines]


def arguments_of(keyword: str) -> list[str]:
    return [rest for name, rest in instructions() if name == keyword]


def copied() -> set[str]:
    """What is copied from the checkout."""
    found = [rest.split()[:-1] for rest in arguments_of("COPY") if not rest.startswith("--from")]
    return {name for names in found for name in names}


def test_what_is_copied_exists_and_is_not_ignored():
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    for name in copied():
        assert (ROOT / name).exists()
        decisions = [not line.startswith("!") for line in ignored if fnmatch(name, line.lstrip("!"))]
        assert decisions[-1] is False, name  # the last line that fits decides
    assert {line[1:] for line in ignored if line.startswith("!")} == copied()


def test_stages_and_folders_of_other_stages_are_there():
    stages = [rest.split(" AS ") for rest in arguments_of("FROM")]
    names = [name for _, name in stages]
    assert {"plain", "gpu"} <= set(names)
    for rest in arguments_of("COPY"):
        if source := re.match(r"--from=(\S+) (\S+)", rest):
            assert source[1] in names
            assert any(f"venv {source[2]} " in command for command in arguments_of("RUN"))
    for image, _ in stages:
        # A short name with a version, and no registry.
        assert image in names or re.fullmatch(r"[a-z]+(/[a-z]+)?:[\w.-]*\d[\w.-]*", image), image


def test_what_is_installed_fits_the_project():
    extras = PROJECT["optional-dependencies"]
    for default in arguments_of("ARG"):
        assert set(default.removeprefix("EXTRAS=").split(",")) <= set(extras)
    installs = [word for rest in arguments_of("RUN") for word in re.findall(r"pip install ([^&]+)", rest)]
    of_project = [each for each in installs if '".[${EXTRAS}]"' in each]
    assert len(of_project) == 2
    assert all("-c constraints.txt" in each for each in of_project)
    (gpu,) = [Requirement(each.split()[-1]) for each in installs if each not in of_project]
    (plain,) = [one for text in PROJECT["dependencies"] if (one := Requirement(text)).name == "onnxruntime"]
    (version,) = gpu.specifier
    assert gpu.name == "onnxruntime-gpu"
    assert version.version in plain.specifier
    (uninstall,) = [rest for rest in arguments_of("RUN") if "uninstall" in rest]
    assert uninstall.index("uninstall --yes onnxruntime ") < uninstall.index(
        "install --no-cache-dir onnxruntime-gpu"
    )


def test_python_of_the_plain_image_is_one_that_the_project_supports():
    (version,) = {
        match[1] for rest in arguments_of("FROM") if (match := re.match(r"python:(\d+\.\d+)-", rest))
    }
    assert version in SpecifierSet(PROJECT["requires-python"])
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_it_runs_the_command_as_a_user_without_rights():
    assert {tuple(json.loads(rest)) for rest in arguments_of("ENTRYPOINT")} == {("ferflow",)}
    assert "ferflow" in PROJECT["scripts"]
    (user,) = set(arguments_of("USER"))
    uid, gid = user.split(":")
    assert int(uid) > 0
    pods = write_script("kubernetes", ArrayJob(manifest="/data/a", out="/data/b", image="x"))
    assert pods.count(f"runAsUser: {uid}, runAsGroup: {gid}, fsGroup: {gid}") == 2
    assert len(arguments_of("USER")) == len(arguments_of("ENTRYPOINT")) == 2
    assert all(" HOME=/tmp " in f"{rest} " for rest in arguments_of("ENV"))


def test_it_names_no_place_to_fetch_packages_from_and_the_version_of_the_project():
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    assert set(re.findall(r"ferflow:([\d.]+)", text)) == {PROJECT["version"]}


@pytest.mark.slow
def test_what_is_copied_is_all_that_a_build_needs(tmp_path):
    for name in copied():
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "-w",
        str(tmp_path / "wheel"),
        str(tmp_path),
    ]
    subprocess.run(command, check=True)
    (wheel,) = (tmp_path / "wheel").glob("ferflow-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "ferflow/jobs/run.py",
        "ferflow/jobs/schedulers/templates/slurm.sh.j2",
        "ferflow/jobs/recorded-sessions.toml",
    ):
        assert name in names
