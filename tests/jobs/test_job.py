"""A job file says the same as the command line, and what is wrong with it is refused with its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferflow.errors import OptionsError
from ferflow.jobs.job import Job
from ferflow.options import AnalyzeOptions, TimePoint


def job_of(tmp_path: Path, text: str) -> Job:
    path = tmp_path / "job.toml"
    path.write_text(text)
    return Job.from_toml(path)


def test_a_job_file_says_the_same_as_the_command_line(tmp_path):
    job = job_of(
        tmp_path,
        'inputs = ["sessions/", "extra/*.mkv"]\nout = "results"\nworkers = 2\npages = false\nmarkers = "m.csv"\n'
        'fps = 5\nstart = "0:10"\nend = 90.5\ndetector = "haar"\nparticipants = 1\ndetect = "every:4"\n',
    )
    options = AnalyzeOptions(
        fps=5.0, start=TimePoint(10.0), end=TimePoint(90.5), detector="haar", participants=1, detect="every:4"
    )
    assert job == Job(
        inputs=("sessions/", "extra/*.mkv"), out=Path("results"), options=options, workers=2, pages=False,
        markers=Path("m.csv"),
    )  # fmt: skip


def test_one_input_needs_no_list_and_everything_else_has_a_default(tmp_path):
    job = job_of(tmp_path, 'inputs = "talk.mp4"\nout = "out"\n')
    assert job == Job(inputs=("talk.mp4",), out=Path("out"))
    assert (job.workers, job.retries, job.engine, job.options) == (None, 1, "local", AnalyzeOptions())


def test_the_path_of_a_job_file_may_be_text(tmp_path):
    job = job_of(tmp_path, 'inputs = "talk.mp4"\nout = "out"\n')
    assert Job.from_toml(str(tmp_path / "job.toml")) == job


@pytest.mark.parametrize(
    ("text", "stretches"),
    [
        ('rest = "0:00-0:10"', ("0:00-0:10",)),
        ('rest = ["0:00-0:10", "Ada=1-2"]', ("0:00-0:10", "Ada=1-2")),
        ('rest = "none"', ()),
        ("rest = []", ()),
        ("", None),
    ],
)
def test_stretches_at_rest_are_a_text_or_a_list_and_none_is_none(tmp_path, text, stretches):
    job = job_of(tmp_path, f'inputs = ["a.mp4"]\nout = "out"\n{text}\n')
    assert job.rest == job.additions.rest == stretches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fsp = 5", "unknown option 'fsp'; known are address, .*inputs.*, workers"),
        ("options = 5", "unknown option 'options'"),
        ("every = 'two'", "every must be of type int, got 'two'"),
        ("every = true", "every must be of type int"),
        ("every = ", "TOML"),
        ("batch_size = 1.5", "batch_size must be of type int"),
        ("workers = -1", "workers must be at least 0, got -1"),
        ("retries = -1", "retries must be at least 0"),
        ("engine = 'slurm'", "engine must be one of local, ray"),
        ("pages = 'no'", "pages must be of type bool"),
        ("markers = ''", "markers must be a path"),
        ("markers = 5", "markers must be of type Path, got 5"),
        ("rest = 5", "rest must be a list of texts"),
        ("rest = [5]", "rest must be a list of texts"),
        ("detect = 'some'", "detect must be auto, full or every:N"),
    ],
)
def test_a_job_file_with_a_mistake_is_refused_with_its_name(tmp_path, text, message):
    with pytest.raises(OptionsError, match=message) as reported:
        job_of(tmp_path, f'inputs = ["a.mp4"]\nout = "out"\n{text}\n')
    assert "\n" not in str(reported.value)
    assert ".toml: " in str(reported.value)


def test_a_job_file_that_does_not_exist_is_not_called_invalid_toml(tmp_path):
    with pytest.raises(OptionsError, match=r"nosuch\.toml: no such file\."):
        Job.from_toml(tmp_path / "nosuch.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('out = "out"', "inputs is missing"),
        ('inputs = ["a.mp4"]', "out is missing"),
        ('inputs = [1]\nout = "out"', "inputs must be a list of texts"),
        ('inputs = ["a.mp4"]\nout = ""', "out must be a path"),
        ('inputs = ["a.mp4"]\nout = 1', "out must be of type Path"),
    ],
)
def test_a_job_file_says_what_to_analyse_and_where_to(tmp_path, text, message):
    with pytest.raises(OptionsError, match=message):
        job_of(tmp_path, text)
