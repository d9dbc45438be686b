"""One name for one person: on the session's page, in its tables, in the list of people, on the overview."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ferflow.analytics.people_list import NO_NAMES, PersonNames
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.track_list import list_tracks
from ferflow.cli import app
from ferflow.dashboards import PageOptions, load_names, refresh
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.models.timeline_basis import find_basis
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from ferflow.store.schemas import faces_schema
from ferflow.store.video_files import VideoFiles
from tests.made_cohort import write_run
from tests.made_records import Made, made_tables, write_session

ONE = Made(seconds=20, people=1, video_id="talk")
TWO = Made(seconds=20, people=2, video_id="talk")


def write_in_regions(out, made: Made, *regions: str, **metadata) -> None:
    """A session whose track k lies in region k."""
    frames, faces = made_tables(made)
    labels = [text.partition("=")[0] for text in regions]
    place = faces.schema.get_field_index("region")
    track = faces.column("track_id").to_numpy() - 1
    column = pa.DictionaryArray.from_arrays(pa.array(track.astype(np.int8)), pa.array(labels))
    field = faces_schema(made.labels).field("region")
    tables = frames, faces.set_column(place, field, column.cast(field.type))
    write_session(out, made, tables=tables, options=AnalyzeOptions(region=regions), **metadata)


def list_people(out, *rows: str) -> None:
    lines = ["video_id,track_id,name", *rows]
    OutputFolder(out).people_list.write_text("\n".join(lines) + "\n", encoding="utf-8")


def list_sessions(out, *rows: str, columns: str = "video,participant") -> None:
    lines = [columns, *rows]
    OutputFolder(out).session_list.write_text("\n".join(lines) + "\n", encoding="utf-8")


def names_in(out, names: PersonNames = NO_NAMES, video_id: str = "talk") -> list[str]:
    persons = Persons.of(VideoFiles(out, video_id), names)
    return [persons.name_of(person) for person in persons.ids]


def test_the_strongest_source_of_a_name_counts(tmp_path):
    write_in_regions(tmp_path, ONE, "player=left")
    listed = PersonNames({1: {0.0: "Ada"}}, participant="Bea")
    assert names_in(tmp_path, listed) == ["Ada"]
    assert names_in(tmp_path, replace(listed, by_track={})) == ["Bea"]
    assert names_in(tmp_path) == ["player"]
    write_session(tmp_path, ONE)
    assert names_in(tmp_path, replace(listed, by_track={})) == ["Bea"]
    assert names_in(tmp_path) == ["talk"]
    write_session(tmp_path, TWO)
    assert names_in(tmp_path, PersonNames(participant="Bea")) == ["Person 1", "Person 2"]


def test_everybody_in_a_region_with_a_name_has_it_and_nobody_in_one_without(tmp_path):
    write_in_regions(tmp_path, TWO, "Ada=left", "right")
    assert names_in(tmp_path) == ["Ada", "Person 2"]
    write_in_regions(tmp_path, TWO, "Ada=left", "Ben=right")
    assert names_in(tmp_path) == ["Ada", "Ben"]
    assert names_in(tmp_path, PersonNames({1: {0.0: "Cem"}})) == ["Cem", "Ben"]
    assert not Persons.of(VideoFiles(tmp_path, "talk")).is_changed


def test_people_who_are_seen_briefly_do_not_keep_the_only_person_from_a_name(tmp_path):
    write_session(tmp_path, Made(seconds=20, people=1, brief=2, unsure=1, video_id="talk"))
    assert names_in(tmp_path)[0] == "talk"
    assert names_in(tmp_path, PersonNames(participant="Bea")) == ["Bea", "Person 2", "Person 3", "Person 4"]


def where_named(out) -> dict[str, set[str]]:
    """What the people of the only video are called, by place."""
    assert refresh(out).failed == {}
    write_tables(out, PageOptions())
    html = VideoFiles(out, "talk").report.read_text(encoding="utf-8")
    chart = json.loads(
        re.search(r'<script type="application/json" id="timeline-figure">(.*?)</script>', html, re.S)[1]
    )
    lanes = {
        re.sub(r"<.*?>", "", name)
        for trace in chart["data"]
        for name in trace.get("meta", {}).get("names", [])
    }
    tables = {
        name: pd.read_csv(out / "csv" / f"{name}.csv", encoding="utf-8-sig")
        for name in ("people", "peaks", "participants")
    }
    entry = load_folder(out, PageOptions()).finished[0]
    peaks = tables["peaks"].people.dropna()
    facts = json.loads(re.search(r'<script type="application/json" id="facts">(.*?)</script>', html, re.S)[1])
    return {
        "lanes": lanes,
        "boxes": set(facts["names"].values()),
        "people.csv": set(tables["people"].name),
        "peaks.csv": {name for names in peaks for name in names.split("; ")},
        "participants.csv": set(tables["participants"].participant),
        "overview": set(entry.people),
        "ferflow people": {track.person for track in list_tracks(out, load_names(out), find_basis)[0]},
    }


@pytest.mark.parametrize("source", ["file", "sessions.csv", "region", "people.csv"])
def test_the_only_person_has_one_name_everywhere(tmp_path, source):
    made = replace(ONE, source={"name": "ada.first.mp4", "path": "/films/ada.first.mp4"})
    if source == "region":
        write_in_regions(tmp_path, made, "Ada=left")
    else:
        write_session(tmp_path, made)
    if source == "sessions.csv":
        list_sessions(tmp_path, "talk,Ada")
    elif source == "people.csv":
        list_people(tmp_path, "talk,1,Ada")
    write_run(tmp_path, ["talk"])
    want = "ada.first" if source == "file" else "Ada"
    found = where_named(tmp_path)
    assert found == {place: {want} for place in found}
    listed = CliRunner().invoke(app, ["people", str(tmp_path)])
    assert listed.stdout.splitlines()[-1].split()[-1] == want
    html = VideoFiles(tmp_path, "talk").report.read_text(encoding="utf-8")
    assert "Person 1" not in html
    assert "Person 1" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_two_people_in_regions_have_their_names_everywhere(tmp_path):
    write_in_regions(tmp_path, TWO, "Ada=left", "Ben=right")
    write_run(tmp_path, ["talk"])
    found = where_named(tmp_path)
    assert found.pop("peaks.csv") <= {"Ada", "Ben"}
    assert all(names == {"Ada", "Ben"} for names in found.values()), found


def test_a_changed_session_list_makes_the_page_stale(tmp_path):
    write_session(tmp_path, ONE)
    write_run(tmp_path, ["talk"])
    list_sessions(tmp_path, "talk,Ada")
    refresh(tmp_path)
    assert refresh(tmp_path).written == ()
    list_sessions(tmp_path, "talk,Bea")
    assert "talk.html" in [path.name for path in refresh(tmp_path).written]
    html = VideoFiles(tmp_path, "talk").report.read_text(encoding="utf-8")
    assert "Bea" in html
    assert "Ada" not in html


def test_one_participant_in_several_videos_has_the_stronger_name_and_the_other_is_reported(tmp_path):
    for video_id in ("a", "b"):
        write_session(tmp_path, replace(ONE, video_id=video_id))
    write_run(tmp_path, ["a", "b"])
    list_people(tmp_path, "a,1,Ada")
    list_sessions(tmp_path, "a,Bea", "b,Bea")
    folder = load_folder(tmp_path, PageOptions())
    assert {one.name: one.video_ids for one in folder.cohort.everybody} == {"Ada": ("a",), "Bea": ("b",)}
    (warning,) = folder.warnings
    assert warning == "session list: a.mp4: the only person is not Bea but Ada, by people.csv."


def test_tracks_of_one_name_that_are_in_view_together_are_reported_with_the_seconds(tmp_path):
    write_session(tmp_path, TWO)
    write_run(tmp_path, ["talk"])
    list_people(tmp_path, "talk,1,Ada", "talk,2,Ada")
    faces = made_tables(TWO)[1].to_pandas()
    both = faces.groupby("frame_index").size()
    seconds = (both == 2).sum() / TWO.fps
    (warning,) = refresh(tmp_path).warnings
    assert warning.startswith(
        f"people.csv: talk: tracks 1 and 2 are all Ada, but in view at the same time for {seconds:.1f} s; "
    )
    list_people(tmp_path, "talk,1,Ada", "talk,2,Bea")
    assert refresh(tmp_path).warnings == ()


def test_participants_who_share_a_video_have_their_own_regions_and_groups(tmp_path):
    write_in_regions(tmp_path, TWO, "Ada=left", "Ben=right")
    write_run(tmp_path, ["talk"])
    columns = "video,participant,region,group"
    list_sessions(tmp_path, "talk,Ada,left,x", "talk.mp4,Ben,right,y", "talk,Cem,top,y", columns=columns)
    folder = load_folder(tmp_path, PageOptions())
    assert {(one.name, one.group) for one in folder.cohort.participants} == {("Ada", "x"), ("Ben", "y")}
    assert [(one.participant.name, one.reason) for one in folder.cohort.left_out] == [("Cem", "unseen")]
    refresh(tmp_path)
    write_tables(tmp_path, PageOptions())
    assert (
        pd.read_csv(tmp_path / "csv" / "videos.csv", encoding="utf-8-sig").participant[0] == "Ada; Ben; Cem"
    )


def test_a_person_of_a_shared_video_keeps_the_group_of_the_region_under_any_name(tmp_path):
    write_in_regions(tmp_path, TWO, "Lea=left", "Ben=right")
    write_run(tmp_path, ["talk"])
    columns = "video,participant,region,group"
    list_sessions(tmp_path, "talk,Lea,left,x", "talk,Ben,right,y", columns=columns)
    list_people(tmp_path, "talk,1,Max")
    cohort = load_folder(tmp_path, PageOptions()).cohort
    assert {(one.name, one.group) for one in cohort.participants} == {("Max", "x"), ("Ben", "y")}
    assert cohort.left_out == ()
    people = OutputFolder(tmp_path).people_list
    rows = "video_id,track_id,from_s,name\ntalk,1,,Max\ntalk,1,10,Zoe\n"
    people.write_text(rows, encoding="utf-8")
    write_tables(tmp_path, PageOptions())
    tables = {name: pd.read_csv(tmp_path / "csv" / f"{name}.csv") for name in ("participants", "videos")}
    assert dict(zip(tables["participants"].participant, tables["participants"].group, strict=True)) == {
        "Max": "x", "Zoe": "x", "Ben": "y",
    }  # fmt: skip
    assert set(tables["videos"].participant[0].split("; ")) == {"Ben", "Max", "Zoe"}


def test_renamed_persons_of_a_listed_video_keep_its_group_and_nobody_is_missing(tmp_path):
    write_session(tmp_path, TWO)
    write_run(tmp_path, ["talk"])
    list_sessions(tmp_path, "talk,Lea,x", columns="video,participant,group")
    list_people(tmp_path, "talk,1,Max", "talk,2,Zoe")
    folder = load_folder(tmp_path, PageOptions())
    assert {(one.name, one.group) for one in folder.cohort.participants} == {("Max", "x"), ("Zoe", "x")}
    assert folder.cohort.left_out == ()
    assert folder.warnings == (
        "session list: talk.mp4: the persons are not Lea but Max and Zoe, by people.csv or a region.",
    )
    write_tables(tmp_path, PageOptions())
    assert pd.read_csv(tmp_path / "csv" / "videos.csv").participant[0] == "Max; Zoe"


def test_the_only_person_under_another_name_is_the_participant_in_the_table_of_videos(tmp_path):
    write_session(tmp_path, ONE)
    write_run(tmp_path, ["talk"])
    list_sessions(tmp_path, "talk,Lea,x", columns="video,participant,group")
    list_people(tmp_path, "talk,1,Max")
    write_tables(tmp_path, PageOptions())
    row = pd.read_csv(tmp_path / "csv" / "videos.csv").iloc[0]
    assert (row.participant, row.group) == ("Max", "x")


def test_both_pages_say_that_several_people_count_as_one_participant(tmp_path):
    write_session(tmp_path, TWO)
    write_run(tmp_path, ["talk"])
    list_sessions(tmp_path, "talk,Duo,g1", columns="video,participant,group")
    words = "2 people are in view and none of them is called Duo, so all of them together count as Duo."
    found = refresh(tmp_path)
    assert words in " ".join(found.warnings)
    for page in (VideoFiles(tmp_path, "talk").report, OutputFolder(tmp_path).index):
        assert words in page.read_text(encoding="utf-8")
    list_people(tmp_path, "talk,2,Duo")
    refresh(tmp_path)
    for page in (VideoFiles(tmp_path, "talk").report, OutputFolder(tmp_path).index):
        assert words not in page.read_text(encoding="utf-8")
