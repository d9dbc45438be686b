"""`--corrections FILE`: a list elsewhere in place of the folder's, stated wherever numbers follow from it."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from ferflow import cli
from ferflow.app.edit_requests import AddCorrection
from ferflow.app.video_edits import EditedVideo
from ferflow.errors import OptionsError
from ferflow.jobs.job import Job
from tests.made_records import Made, write_session

HEAD = "video_id,action,start,end,person,value,note\n"


@pytest.fixture
def out(tmp_path) -> Path:
    """Two people for 20 s; the folder's own list excludes 3 s."""
    folder = tmp_path / "out"
    write_session(folder, Made(seconds=20, people=2, video_id="talk"))
    (folder / "corrections.csv").write_text(f"{HEAD}talk,exclude,2,5,,,\n")
    return folder


@pytest.fixture
def chosen(tmp_path) -> Path:
    """Excludes 8 s, and is named by its path."""
    path = tmp_path / "second opinion.csv"
    path.write_text(f"{HEAD}talk,exclude,10,18,,,a break\n")
    return path


def ferflow(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["ferflow", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def excluded_s(out: Path) -> float:
    return float(pd.read_csv(out / "csv" / "quality.csv")["seconds_excluded"].sum())


def test_a_chosen_list_replaces_the_folders_and_every_page_says_so(out, chosen, monkeypatch, capsys):
    assert ferflow(monkeypatch, "report", out, "--csv", "--single-file") == 0
    assert excluded_s(out) == pytest.approx(3.0)
    capsys.readouterr()
    assert ferflow(monkeypatch, "report", out, "--csv", "--single-file", "--corrections", chosen) == 0
    assert f"Corrections: {chosen}\n" in capsys.readouterr().out
    assert excluded_s(out) == pytest.approx(8.0)
    for name in ("index.html", "reports/talk.html", "mail/index.html", "mail/talk.html"):
        text = (out / name).read_text()
        assert f"This page honours 1 correction of {chosen.name}." in text, name
        assert str(chosen.parent) not in text or name.startswith(
            "reports"
        )  # a mail does not say where it was made
    # Remembered, as the session list is, until --forget.
    assert ferflow(monkeypatch, "report", out, "--csv") == 0
    assert excluded_s(out) == pytest.approx(8.0)
    assert ferflow(monkeypatch, "report", out, "--csv", "--forget") == 0
    assert excluded_s(out) == pytest.approx(3.0)
    assert "correction of corrections.csv" in (out / "reports" / "talk.html").read_text()


def test_a_change_of_the_chosen_list_makes_its_pages_stale(out, chosen, monkeypatch):
    ferflow(monkeypatch, "report", out, "--csv", "--corrections", chosen)
    chosen.write_text(f"{HEAD}talk,exclude,10,11,,,\n")
    assert ferflow(monkeypatch, "report", out, "--csv") == 0
    assert excluded_s(out) == pytest.approx(1.0)


def test_a_chosen_list_that_is_wrong_is_named_with_its_line(out, chosen, monkeypatch, capsys):
    chosen.write_text(f"{HEAD}talk,relabel,1,3,,happy,\ntalk,exclude,2,4,,,\n")
    assert ferflow(monkeypatch, "report", out, "--corrections", chosen) == 2
    shown = capsys.readouterr().err
    assert f"{chosen}: line 3 (exclude everybody" in shown
    assert "contradicts line 2 (relabel everybody" in shown
    assert ferflow(monkeypatch, "report", out, "--corrections", out / "nowhere.csv") == 2
    assert "nowhere.csv: cannot be read" in capsys.readouterr().err


def test_a_conflict_that_only_the_names_reveal_names_both_rows(out, monkeypatch, capsys):
    (out / "people.csv").write_text("video_id,track_id,name\ntalk,1,Ada\n")
    (out / "corrections.csv").write_text(
        f"{HEAD}talk,exclude,2,5,Person 1,,\n\ntalk,relabel,4,6,Ada,happy,\n"
    )
    assert ferflow(monkeypatch, "report", out) == 10
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "contradicts" in line]
    assert line.startswith("ferflow: talk: no page. corrections.csv: line 4 (relabel Ada as happy")
    assert "contradicts line 2 (exclude person 1" in line


def test_a_list_that_is_gone_is_a_warning_and_nothing_is_corrected(out, chosen, monkeypatch, capsys):
    ferflow(monkeypatch, "report", out, "--csv", "--corrections", chosen)
    chosen.unlink()
    assert ferflow(monkeypatch, "report", out, "--csv") == 0
    assert "no longer there, so nothing is corrected" in capsys.readouterr().err
    assert excluded_s(out) == 0


def test_an_export_has_the_chosen_corrections_and_the_pages_keep_theirs(
    out, chosen, tmp_path, monkeypatch, capsys
):
    ferflow(monkeypatch, "report", out)
    to = tmp_path / "export"
    assert ferflow(monkeypatch, "export", out, "--format", "csv", "--to", to, "--corrections", chosen) == 0
    assert f"Corrections: {chosen}" in capsys.readouterr().out
    faces = pd.read_csv(to / "timeline.csv", comment=None)
    assert len(faces)
    assert "correction of corrections.csv" in (out / "reports" / "talk.html").read_text()
    assert ferflow(monkeypatch, "report", out) == 0
    assert "correction of corrections.csv" in (out / "reports" / "talk.html").read_text()


def test_the_application_refuses_corrections_without_effect(out, chosen, monkeypatch):
    ferflow(monkeypatch, "report", out, "--corrections", chosen)
    video = EditedVideo.read(out, "talk")
    request = AddCorrection(version=video.version, action="exclude", start="1", end="2")
    with pytest.raises(OptionsError, match=r"corrections are read from .*second opinion\.csv"):
        video.apply(request)


def test_a_job_names_the_list_by_its_path(tmp_path):
    (tmp_path / "job.toml").write_text('inputs = ["a.mp4"]\nout = "out"\ncorrections = "mine.csv"\n')
    assert Job.from_toml(tmp_path / "job.toml").corrections == Path("mine.csv")
