"""Stretches at rest: whom they are about, and what is said of those that calibrate nobody."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from ferflow.analytics.markers import load_markers, parse_rest, read_markers
from ferflow.analytics.people_list import NO_NAMES, PersonNames
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.rest import load_rest
from ferflow.dashboards import refresh
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.errors import OptionsError
from ferflow.jobs.additions import add_to_all, warn_of_rest
from ferflow.jobs.job import Additions
from ferflow.jobs.lists import read_names
from ferflow.store.metadata import Rest
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles
from tests.analytics.stored import store_markers
from tests.analytics.test_person_names import list_people, list_sessions, write_in_regions
from tests.made_cohort import write_run
from tests.made_records import Made, write_session

TALK = Made(seconds=30, people=1, video_id="talk")


def about(out, label: str, kind: str = "rest", names: PersonNames = NO_NAMES) -> tuple[Rest, ...]:
    """Whom a stretch with this label is about."""
    (out / "m.csv").write_text(f"time_s,label,end_s,kind\n2,{label},9,{kind}\n", encoding="utf-8")
    files = VideoFiles(out, "talk")
    store_markers(files, out / "m.csv")
    return load_rest(Persons.of(files, names))


@pytest.mark.parametrize("label", ["", "rest", "Rest", "all", "Everybody"])
@pytest.mark.parametrize("kind", ["rest", "REST", "Rest"])
def test_a_stretch_without_a_name_is_about_everybody_in_any_case(tmp_path, label, kind):
    write_session(tmp_path, TALK)
    assert about(tmp_path, label, kind) == (Rest(2.0, 9.0, None),)


def test_a_marker_without_a_label_is_only_possible_for_a_stretch_at_rest(tmp_path):
    (tmp_path / "m.csv").write_text("time_s,label,end_s,kind\n2,,9,level\n")
    with pytest.raises(OptionsError, match="without a label"):
        read_markers(tmp_path / "m.csv")


def test_a_stretch_knows_every_name_that_a_person_may_have(tmp_path):
    write_session(tmp_path, TALK)
    assert about(tmp_path, "talk") == (Rest(2.0, 9.0, 1),)
    assert about(tmp_path, "Ada", names=PersonNames(participant="Ada")) == (Rest(2.0, 9.0, 1),)
    assert about(tmp_path, "Ada", names=PersonNames(by_person={1: "Ada"})) == (Rest(2.0, 9.0, 1),)
    write_in_regions(tmp_path, TALK, "Ada=left")
    assert about(tmp_path, "Ada") == (Rest(2.0, 9.0, 1),)
    write_session(tmp_path, replace(TALK, people=2))
    assert about(tmp_path, "Person 2") == (Rest(2.0, 9.0, 2),)


def test_an_unknown_name_is_about_nobody(tmp_path):
    write_session(tmp_path, TALK)
    assert about(tmp_path, "Zoe") == ()


def test_the_name_of_an_option_is_composed_like_those_of_lists():
    assert parse_rest("Chloe\u0301=0:00-0:10").label == "Chlo\u00e9"


@pytest.fixture
def play(tmp_path):
    """Two sessions: Ada plays in `a`, and in `b`, which is shorter, nobody has a name."""
    write_session(tmp_path, replace(TALK, video_id="a"))
    write_session(tmp_path, replace(TALK, seconds=12, video_id="b", turned=((0, 6),)))
    write_run(tmp_path, ["a", "b"])
    list_sessions(tmp_path, "a,Ada")
    return tmp_path


def warnings_of(out, *rest: str, caplog, markers: str = "") -> list[str]:
    """What a report says of stretches at rest."""
    if markers:
        (out / "m.csv").write_text(f"time_s,label,end_s,kind\n{markers}\n", encoding="utf-8")
    given = Additions(rest=rest, markers=out / "m.csv" if markers else None)
    assert add_to_all(out, given) == {}
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        warn_of_rest(OutputFolder(out), ["a", "b"])
    return caplog.messages


def test_a_participant_of_the_session_list_is_calibrated_by_name_in_that_video_alone(play, caplog):
    assert warnings_of(play, "Ada=0:00-0:10", caplog=caplog) == []
    refresh(play)
    shifts = {}
    for video_id in ("a", "b"):
        session = load_session(play, video_id, read_names(VideoFiles(play, video_id)))
        shifts[video_id] = [person.shift for person in session.people]
    assert shifts["a"][0] is not None
    assert shifts["b"] == [None]
    page = VideoFiles(play, "a").report.read_text(encoding="utf-8")
    assert "Calibrated by a stretch at rest: Ada." in page


def test_a_name_of_an_option_that_is_in_no_video_is_said_once(play, caplog):
    (line,) = warnings_of(play, "Zoe=0:00-0:10", "Ada=0:00-0:10", caplog=caplog)
    assert line == "--rest Zoe=...: has no effect: no person in these videos has this name. Known: Ada, b."


def test_the_name_of_a_marker_that_is_in_no_video_is_said_for_each(play, caplog):
    lines = warnings_of(play, caplog=caplog, markers="2,Zoe,9,rest")
    assert lines == [
        f"{video}.mp4: rest of 'Zoe' from 00:02.0 to 00:09.0 has no effect: no person in the video has this name. "
        f"Known: {known}; rest, all or everybody is about everybody in view."
        for video, known in (("a", "Ada"), ("b", "b"))
    ]


def test_a_stretch_outside_of_the_video_is_said(play, caplog):
    (line,) = warnings_of(play, "0:15-0:25", caplog=caplog)
    assert line == "b.mp4: rest from 00:15.0 to 00:25.0 begins after the end of the video (00:12.0)."
    # That Ada is not in `b` is no problem of `b`.
    (line,) = warnings_of(play, "Ada=9:00-9:10", caplog=caplog)
    assert line == "a.mp4: rest of 'Ada' from 09:00.0 to 09:10.0 begins after the end of the video (00:30.0)."


def test_a_stretch_in_which_nobody_can_be_read_for_two_seconds_is_said(play, caplog):
    """In `b`, all faces are turned away for six seconds."""
    (line,) = warnings_of(play, "0:00-0:07", caplog=caplog)
    assert line.startswith("b.mp4: rest from 00:00.0 to 00:07.0 has no effect: 1.0 s of it ")
    assert warnings_of(play, "0:00-0:07", "0:07-0:09", caplog=caplog) == []
    lines = warnings_of(play, "0:20-0:21", caplog=caplog)
    assert len(lines) == 2


def test_the_report_command_warns_on_stderr_and_forgets(play, ferflow):
    asked = ferflow("report", play, "--rest", "Zoe=0:00-0:10")
    assert asked.code == 0
    assert [line for line in asked.stderr.splitlines() if "Zoe" in line] == [
        "ferflow: --rest Zoe=...: has no effect: no person in these videos has this name. Known: Ada, b."
    ]
    forgotten = ferflow("report", play, "--rest", "none")
    assert forgotten.code == 0
    assert "Zoe" not in forgotten.stderr
    assert len(load_markers(VideoFiles(play, "a"))) == 0


def test_a_name_in_people_csv_makes_the_calibration_current(play, caplog):
    list_people(play, "b,1,Bo")
    assert warnings_of(play, "Bo=0:07-0:11", caplog=caplog) == []
    assert load_rest(Persons.of(VideoFiles(play, "b"), read_names(VideoFiles(play, "b")))) == (
        Rest(7.0, 11.0, 1),
    )
