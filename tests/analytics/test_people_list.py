"""people.csv: names and persons, on every page and in every table."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from typer.testing import CliRunner

from ferflow.analytics.people_list import NO_NAMES, PersonNames, read_people
from ferflow.analytics.person_faces import PersonFaces, Persons
from ferflow.analytics.person_names import GivenNames, NameLists
from ferflow.analytics.track_list import list_tracks
from ferflow.cli import app
from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.errors import OptionsError
from ferflow.models.timeline_basis import find_basis
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles
from tests.by_hand import every_millisecond
from tests.made_cohort import write_run
from tests.made_records import PRIOR, Made, made_tables, write_session

MADE = Made(seconds=40, people=4, video_id="party")


@pytest.fixture
def party(tmp_path):
    write_run(tmp_path, [write_session(tmp_path, MADE)])
    return tmp_path


def name(out, *rows: str) -> None:
    OutputFolder(out).people_list.write_text(
        "\n".join(["video_id,track_id,name", *rows]) + "\n", encoding="utf-8"
    )


def joined_by_hand() -> pd.DataFrame:
    """Faces of tracks 1 and 3 as person 1's: in a frame with both, the face of the longer track."""
    faces = made_tables(MADE)[1].to_pandas().query("track_id in (1, 3)")
    lengths = faces.track_id.value_counts()
    order = faces.assign(length=faces.track_id.map(lengths)).sort_values(
        ["frame_index", "length"], ascending=[True, False]
    )
    return order.drop_duplicates("frame_index").assign(track_id=1)


def test_named_and_joined_people_are_on_the_page_the_overview_and_in_the_tables(party):
    name(party, "party,1,Ada", "party,3,Ada", "party,2,Bo")
    refresh(party)
    write_tables(party, PageOptions())
    page = VideoFiles(party, "party").report.read_text(encoding="utf-8")
    overview = (party / "index.html").read_text(encoding="utf-8")
    for html in (page, overview):
        assert "Ada" in html
        assert "Bo" in html
        assert "Person 4" in html
        assert "Person 3" not in html
    people = pd.read_csv(party / "csv" / "people.csv", encoding="utf-8-sig").set_index("name")
    assert sorted(people.index) == ["Ada", "Bo", "Person 4"]
    ada = joined_by_hand()
    assert people.loc["Ada"].n_faces == len(ada)
    ms = every_millisecond(ada, round(1000 / MADE.fps))
    assert people.loc["Ada"].positive == pytest.approx(ms.positive.mean(), abs=1e-5)
    assert people.loc["Ada"].engagement == pytest.approx(ms.engagement.mean(), abs=1e-5)
    # A pose that is unknown for some faces of a bin is taken to be that of the others.
    bins = ms.groupby(ms["at"] // 1000).attention
    attention = np.average(bins.mean(), weights=bins.size())
    assert people.loc["Ada"].attention == pytest.approx(attention, abs=1e-5)
    assert (pd.read_csv(party / "csv" / "videos.csv", encoding="utf-8-sig").n_people == 3).all()
    participants = pd.read_csv(party / "csv" / "participants.csv", encoding="utf-8-sig")
    assert sorted(participants.participant) == ["Ada", "Bo", "Person 4"]


def test_a_person_of_several_tracks_is_calibrated_by_whichever_is_at_rest(tmp_path):
    """In the stretch, only the second of the two tracks is in view."""
    made = Made(seconds=40, people=2, video_id="party", markers=((4.0, 14.0, "Ada", "rest"),))
    frames, stored = made_tables(made)
    second = pc.equal(stored.column("track_id"), 2)
    inside = pc.and_(pc.greater_equal(stored.column("time_s"), 4), pc.less(stored.column("time_s"), 14))
    kept = stored.filter(pc.equal(inside, second))
    write_run(tmp_path, [write_session(tmp_path, made, tables=(frames, kept))])
    name(tmp_path, "party,1,Ada", "party,2,Ada")
    assert refresh(tmp_path).failed == {}

    faces = kept.to_pandas().astype({"prob_neutral": float}).assign(track_id=1)
    resting = faces[(faces.time_s >= 4) & (faces.time_s < 14) & (faces.yaw.abs() <= 45)].prob_neutral
    odds = np.log((1 - resting) / resting) - np.log((1 - PRIOR) / PRIOR)
    shift = float(np.clip(odds.median() + 2, -1.5, 1.5))
    assert abs(shift) > 0.1
    ada = load_session(tmp_path, "party", read_people(tmp_path).of("party")).people
    assert [person.person_id for person in ada] == [1]
    assert ada[0].shift == pytest.approx(shift, abs=0.02)
    ms = every_millisecond(faces, round(1000 / made.fps), shifts={1: ada[0].shift})
    assert ada[0].means["expressiveness"] == pytest.approx(ms.expressiveness.mean(), abs=1e-4)
    page = VideoFiles(tmp_path, "party").report.read_text(encoding="utf-8")
    assert "Calibrated by a stretch at rest: Ada." in page


def test_a_new_name_changes_the_page_and_the_tables_on_disk_stay(party):
    before = {path: path.read_bytes() for path in party.rglob("*.parquet")}
    refresh(party)
    name(party, "party,2,Bo")
    refresh(party)
    name(party, "party,2,Bob")
    assert [path.name for path in refresh(party).written] == ["party.html", "index.html"]
    page = VideoFiles(party, "party").report.read_text(encoding="utf-8")
    assert re.search(r"\bBob\b", page)
    assert not re.search(r"\bBo\b", page)
    assert {path: path.read_bytes() for path in party.rglob("*.parquet")} == before


def test_joined_faces_are_the_same_in_blocks_of_any_size(party):
    _, faces = made_tables(MADE)
    persons = Persons.of(VideoFiles(party, "party"), PersonNames({1: {0.0: "Ada"}, 3: {0.0: "Ada"}}))
    whole = next(iter(PersonFaces(faces, persons)))
    frames = faces.column("frame_index").to_numpy()
    cuts = [0, *(int((frames < frame).sum()) for frame in (7, 100, 101)), len(faces)]
    blocks = [faces.slice(a, b - a) for a, b in pairwise(cuts)]
    in_blocks = [
        person for block in PersonFaces(blocks, persons) for person in block.column("person_id").to_pylist()
    ]
    assert in_blocks == whole.column("person_id").to_pylist()
    rows = whole.to_pandas().query("person_id == 1")
    assert not rows.duplicated("frame_index").any()
    assert len(rows) == len(joined_by_hand())


def test_hostile_names_of_people_are_text(party):
    name(party, 'party,1,"<img src=x onerror=""alert(1)"">"', "party,2,\u202eevil</script>")
    refresh(party)
    for page in (VideoFiles(party, "party").report, party / "index.html"):
        html = page.read_text(encoding="utf-8")
        assert "<img" not in html
        assert "\u202e" not in html
        assert "&lt;img" in html


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (["party,one,Ada"], "whole number"),
        (["party,0,Ada"], "whole number"),
        (["party,1,Ada", "party,1,Bo"], "Keep one"),
        (["party,1,Ada,x"], "line 2"),
        (["party,,Ada"], "track_id or a person_id"),
    ],
)
def test_a_broken_list_says_where_and_why_and_costs_no_page(party, rows, why):
    name(party, *rows)
    with pytest.raises(OptionsError, match=why):
        read_people(party)
    done = refresh(party, forgiving=True)
    assert len(done.written) == 2
    assert why in done.warnings[0]


def test_rows_that_change_nothing_are_counted(party):
    name(party, "party,1,Ada", "party,1,Ada", "gone,1,Bo", "gone,2,Cy", "party,9,Di")
    warnings = refresh(party).warnings
    assert len(warnings) == 3
    assert "2 rows name videos" in " ".join(warnings)
    assert "party, track 9" in " ".join(warnings)


def test_who_is_named_like_somebody_else_is_told_apart():
    names = GivenNames({1: "Person 2"})
    assert [names.name_of(person) for person in (1, 2, 3)] == ["Person 2", "person no. 2", "Person 3"]


def test_the_list_of_tracks_is_what_pandas_finds(party):
    faces = made_tables(MADE)[1].to_pandas()
    for track in list_tracks(party, NameLists(read_people(party)), find_basis)[0]:
        mine = faces[faces.track_id == track.track_id]
        assert (track.first_s, track.last_s) == (mine.time_s.min(), mine.time_s.max())
        assert track.across == pytest.approx(((mine.x1 + mine.x2) / 2 / 1280).median(), abs=1e-5)
        assert track.face_px == pytest.approx(mine.face_px.median(), abs=1e-3)
        assert track.seconds == pytest.approx(len(mine) / MADE.fps, abs=1e-6)


def test_a_track_that_is_split_is_listed_by_piece_and_the_list_can_be_used_again(party):
    rows = ["party,1,,Max", "party,1,5,Zoe", "party,1,9,Max"]
    text = "\n".join(["video_id,track_id,from_s,name", *rows]) + "\n"
    OutputFolder(party).people_list.write_text(text, encoding="utf-8")
    names = NameLists(read_people(party))
    pieces = [one for one in list_tracks(party, names, find_basis)[0] if one.track_id == 1]
    faces = made_tables(MADE)[1].to_pandas().query("track_id == 1")
    assert [(one.from_s, one.person, one.name) for one in pieces] == [
        (0, "Max", "Max"), (5, "Zoe", "Zoe"), (9, "Max", "Max"),
    ]  # fmt: skip
    for one, (start, end) in zip(pieces, [(0, 5), (5, 9), (9, 99)], strict=True):
        mine = faces[(faces.time_s >= start) & (faces.time_s < end)]
        assert (one.first_s, one.last_s) == (mine.time_s.min(), mine.time_s.max())
        assert one.seconds == pytest.approx(len(mine) / MADE.fps, abs=1e-6)
    listed = party / "list.csv"
    done = CliRunner().invoke(app, ["people", str(party), "--csv", str(listed)])
    assert done.exit_code == 0
    assert done.output.startswith("4 tracks in 6 pieces: ")
    listed.replace(OutputFolder(party).people_list)
    again = list_tracks(party, NameLists(read_people(party)), find_basis)[0]
    assert [one for one in again if one.track_id == 1] == pieces


STITCHED = {1: 1, 2: 2, 3: 1, 4: None}
"""Person by track: two tracks of one person, another one, and one who is seen too briefly."""


@pytest.fixture
def stitched(tmp_path):
    """A session whose tracks 1 and 3 were stitched; they share no frame."""
    frames, faces = made_tables(MADE)
    t, track = faces.column("time_s").to_numpy(), faces.column("track_id").to_numpy()
    brief = (track == 4) & (np.cumsum(track == 4) <= 5)
    faces = faces.filter(((track == 1) & (t < 20)) | ((track == 3) & (t >= 20)) | (track == 2) | brief)
    person = [STITCHED[one] for one in faces.column("track_id").to_pylist()]
    place = faces.column_names.index("person_id")
    faces = faces.set_column(place, faces.schema.field(place), pa.array(person, pa.int32()))
    write_run(tmp_path, [write_session(tmp_path, MADE, tables=(frames, faces))])
    refresh(tmp_path)
    return tmp_path


def persons_in(out, names: PersonNames = NO_NAMES) -> tuple[dict[int, set[int]], Persons]:
    """Persons of the faces of each track, and what they are called."""
    persons = Persons.of(VideoFiles(out, "party"), names)
    faces = pd.concat([block.to_pandas() for block in persons.faces("time_s")])
    return faces.groupby("track_id").person_id.agg(set).to_dict(), persons


def test_without_names_persons_are_those_that_the_analysis_stitched(stitched):
    found, persons = persons_in(stitched)
    assert found == {1: {1}, 2: {2}, 3: {1}, 4: {-1}}
    assert not persons.is_changed
    rows = pd.read_parquet(VideoFiles(stitched, "party").timeline)
    assert set(rows.person_id.dropna()) == {1, 2}


def test_a_track_gives_its_name_to_its_person_and_a_person_is_named_as_well(stitched):
    by_track, by_person = PersonNames({3: {0.0: "Ada"}}), PersonNames(by_person={1: "Ada"})
    for names in (by_track, by_person):
        found, persons = persons_in(stitched, names)
        assert found == {1: {1}, 2: {2}, 3: {1}, 4: {-1}}
        assert [persons.name_of(person) for person in (1, 2)] == ["Ada", "Person 2"]


def test_two_names_divide_a_person_and_one_name_joins_two(stitched):
    found, persons = persons_in(stitched, PersonNames({1: {0.0: "Ada"}, 3: {0.0: "Bo"}}))
    assert found[1] == {1}
    assert found[3].isdisjoint({1, 2, -1})
    assert [persons.name_of(*found[track]) for track in (1, 3)] == ["Ada", "Bo"]
    found, persons = persons_in(stitched, PersonNames({2: {0.0: "Ada"}}, {1: "Ada"}))
    assert found[1] | found[2] | found[3] <= {1, -1}
    assert persons.name_of(1) == "Ada"


def test_a_named_track_is_a_person_even_if_it_is_seen_briefly(stitched):
    found, persons = persons_in(stitched, PersonNames({4: {0.0: "Di"}}))
    assert persons.name_of(*found[4]) == "Di"
    assert found[4].isdisjoint({1, 2, -1})


def test_a_track_is_split_at_a_time(stitched):
    OutputFolder(stitched).people_list.write_text(
        "video_id,track_id,from_s,name\nparty,1,0:08,Bo\nparty,2,,Cy\n", encoding="utf-8"
    )
    names = read_people(stitched).of("party")
    persons = Persons.of(VideoFiles(stitched, "party"), names)
    faces = pd.concat([block.to_pandas() for block in persons.faces("time_s")])
    first = faces[faces.track_id == 1]
    assert set(first[first.time_s < 8].person_id) == {1}
    (later,) = set(first[first.time_s >= 8].person_id)
    assert persons.name_of(later) == "Bo"
    assert later not in {1, 2}
    assert set(faces[faces.track_id == 3].person_id) == {1}
    session = load_session(stitched, "party", names)
    assert sorted(session.name_of(one.person_id) for one in session.people) == ["Bo", "Cy", "Person 1"]
    (bo,) = [one for one in session.people if session.name_of(one.person_id) == "Bo"]
    assert bo.sighting.first_s == pytest.approx(8, abs=0.3)


@pytest.mark.parametrize(
    ("header", "row", "why"),
    [
        ("video_id,person_id,from_s,name", "party,1,3,Ada", "splits a track"),
        ("video_id,track_id,from_s,name", "party,1,soon,Ada", "not a time"),
        ("video_id,track_id,person_id,name", "party,1,1,Ada", "one of the two"),
    ],
)
def test_what_a_row_cannot_say_is_refused(stitched, header, row, why):
    OutputFolder(stitched).people_list.write_text(f"{header}\n{row}\n", encoding="utf-8")
    with pytest.raises(OptionsError, match=why):
        read_people(stitched)
