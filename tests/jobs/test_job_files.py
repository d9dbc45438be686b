"""The job files that come with ferflow: each is complete, and each line that is commented out would be valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ferflow.jobs
from ferflow.jobs.job import Job
from tests.conftest import face_frames, write_video

FILES = sorted(Path(ferflow.jobs.__file__).parent.glob("*.toml"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def job_file(request) -> Path:
    return request.param


def test_there_is_one_for_each_kind_of_recording():
    assert [path.stem for path in FILES] == ["audience-engagement", "game-test-playback", "recorded-sessions"]


def test_it_is_planned_as_it_is(job_file, tmp_path, ferflow):
    """In a folder with the videos where it expects them."""
    (folder,) = Job.from_toml(job_file).inputs
    (tmp_path / folder).mkdir()
    write_video(tmp_path / folder / "one.mp4", face_frames(12))
    planned = ferflow("run", job_file, "--dry-run", cwd=tmp_path)
    assert planned.code == 0, planned.stderr
    assert re.search(r"^analyse +\S*one\.mp4", planned.stdout)
    assert "1 of 1 input would be analysed." in planned.stdout
    assert [path.name for path in tmp_path.iterdir()] == [folder.strip("/")]


def test_lines_that_are_commented_out_are_valid_when_they_are_used(job_file, tmp_path):
    text = job_file.read_text(encoding="utf-8")
    key = re.compile(r"^# (\w+ = .*)$", re.MULTILINE)
    offered = key.findall(text)
    assert offered
    for line in offered:
        name = line.split(" ")[0]
        others = re.sub(rf"^{name} = .*$", "", text, flags=re.MULTILINE)
        (path := tmp_path / "job.toml").write_text(f"{others}\n{line}\n", encoding="utf-8")
        given = getattr(job := Job.from_toml(path), name, None) or getattr(job.options, name, None)
        assert given is not None, line


def test_its_commands_name_it(job_file):
    assert f"ferflow run {job_file.name} --dry-run" in job_file.read_text(encoding="utf-8")
