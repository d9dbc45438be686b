"""Every wrong usage of every command is reported on one line that says where to look."""

from __future__ import annotations

import re

import pytest

WRONG = [
    ("nonsense",),
    ("--nope",),
    ("analyze",),
    ("analyze", "x.mp4"),
    ("analyze", "x.mp4", "-o"),
    ("analyze", "x.mp4", "-o", ""),
    ("analyze", "x.mp4", "-o", "out", "--every", "two"),
    ("analyze", "x.mp4", "-o", "out", "--detector", "best"),
    ("analyze", "x.mp4", "-o", "out", "--start", "soon"),
    ("analyze", "x.mp4", "-o", "out", "--workers", "-1"),
    ("analyze", "x.mp4", "-o", "out", "--signals-start", "yesterday"),
    ("report",),
    ("report", "out", "--signals-start", "2024-05-12"),
    ("report", "out", "--theme", "pink"),
    ("report", "out", "more"),
    ("run",),
    ("people", "out", "--csv"),
    ("bench", "--nope"),
    ("demo", "--seconds", "x"),
    ("doctor", "a", "b"),
    ("evaluate",),
    ("explain",),
    ("train",),
    ("models", "export"),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_usage_is_one_line_with_a_remedy_and_exit_code_2(tmp_path, arguments, ferflow):
    done = ferflow(*arguments, cwd=tmp_path)
    assert done.code == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("ferflow: ")
    command = (
        f"ferflow {arguments[0]}" if arguments[0].isalpha() and arguments[0] != "nonsense" else "ferflow"
    )
    assert f"See: {command}" in line
    assert line.endswith("--help")
    assert not any(tmp_path.iterdir())


def test_a_wrong_time_of_day_is_quoted_with_an_example(tmp_path, ferflow):
    line = ferflow("report", "out", "--signals-start", "yesterday", cwd=tmp_path).stderr
    assert "'--signals-start': 'yesterday' is no date" in line
    assert "2024-05-12T10:00:01+02:00" in line


def test_a_wrong_number_is_reported_in_plain_words(tmp_path, ferflow):
    line = ferflow("analyze", "x.mp4", "-o", "out", "--every", "two", cwd=tmp_path).stderr
    assert re.search(
        r"'--every': (it must be|'two' is not) a valid integer\. See", line
    )  # as typer's version says it


def test_a_similar_option_is_proposed(tmp_path, ferflow):
    assert "--signals" in ferflow("report", "out", "--signal", "x", cwd=tmp_path).stderr


def test_without_a_command_the_whole_help_is_printed(tmp_path, ferflow):
    done = ferflow(cwd=tmp_path)
    assert done.code == 2
    assert "analyze" in done.stdout + done.stderr
    assert len((done.stdout + done.stderr).splitlines()) > 10


def test_help_names_the_program_as_users_call_it(tmp_path, ferflow):
    assert ferflow("report", "--help", cwd=tmp_path).stdout.startswith("Usage: ferflow report ")
