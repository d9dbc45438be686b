"""`corrections.csv`: every number of the pages is recomputed from the tables and this file, with pandas."""

from __future__ import annotations

import codecs
import math
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ferflow.analytics.corrections import read_corrections
from ferflow.analytics.people_list import PeopleList, read_people
from ferflow.analytics.person_faces import Persons
from ferflow.cli import app
from ferflow.dashboards import load_names, refresh
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.doctor.output_check import examine_folder
from ferflow.errors import OptionsError
from ferflow.store.video_files import VideoFiles
from tests.by_hand import every_millisecond
from tests.dashboards.read_page import Page, text
from tests.made_cohort import write_run
from tests.made_records import LABELS, Made, made_tables, write_session

MADE = Made(seconds=40, people=3, video_id="talk")
HEADER = "video_id,action,start,end,person,value,note"
SHARES = ["engagement", "expressiveness", "valence", "positive", "negative", "attention",
          *(f"shown_{label}" for label in LABELS), *(f"prob_{label}" for label in LABELS)]  # fmt: skip


@pytest.fixture
def talk(tmp_path):
    write_run(tmp_path, [write_session(tmp_path, MADE)])
    return tmp_path


def correct(out, *rows: str, header: str = HEADER) -> None:
    (out / "corrections.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def tables(out) -> dict[str, pd.DataFrame]:
    done = CliRunner().invoke(app, ["report", str(out), "--csv"])
    assert done.exit_code == 0, done.output
    return {path.stem: pd.read_csv(path) for path in (out / "csv").glob("*.csv")}


def page_of(out, video_id="talk") -> str:
    return VideoFiles(out, video_id).report.read_text(encoding="utf-8")


def section(out, name: str) -> str:
    return re.sub(r"\s+", " ", " ".join(Page(page_of(out)).parts.get(name, [])))


def corrected_by_hand(out, made: Made = MADE) -> pd.DataFrame:
    """A row per millisecond and person, as the tables and `corrections.csv` have them."""
    faces = pd.read_parquet(VideoFiles(out, made.video_id).faces)
    ms = every_millisecond(faces, round(1000 / made.fps))
    # The frame of each millisecond: a coder's label holds for frames that start in the stretch.
    frame_at = (ms["at"] // round(1000 / made.fps) * round(1000 / made.fps)).to_numpy()
    for row in pd.read_csv(out / "corrections.csv", dtype=str).fillna("").itertuples():
        person = np.ones(len(ms), bool)
        if row.person:
            person = (ms.person == int(row.person.rpartition(" ")[2])).to_numpy()
        start = float(row.start or 0) * 1000
        end = float(row.end) * 1000 if row.end else math.inf
        if row.action == "relabel":
            mine = person & (frame_at >= start) & (frame_at < end)
            one = {
                f"{kind}_{label}": float(label == row.value) for kind in ("shown", "prob") for label in LABELS
            }
            bad = float(row.value in ("angry", "disgust", "fear", "sad"))
            good = float(row.value == "happy")
            one |= {"positive": good, "negative": bad, "valence": good - bad, "readable": True}
            one |= dict.fromkeys(("engagement", "expressiveness"), float(row.value != "neutral"))
            for name, value in one.items():
                ms[name] = ms[name].where(~mine, value)
        else:
            kept = ~(person & (ms["at"] >= start) & (ms["at"] < end)).to_numpy()
            ms, frame_at = ms[kept], frame_at[kept]
    return ms


def mean_attention(ms: pd.DataFrame) -> float:
    # A pose that is unknown for some faces of a bin is taken to be that of the others.
    bins = ms.groupby(ms["at"] // 1000).attention
    known = bins.mean().notna()
    return float(np.average(bins.mean()[known], weights=bins.size()[known]))


ALL_KINDS = (
    "talk,exclude,10.25,15.5,,,the break",
    "talk,exclude,20,24.75,Person 1,,",
    "talk,drop,,,Person 3,,a poster",
    "talk,relabel,30,33.5,Person 1,surprise,coder A",
    "talk,relabel,5,7,,sad,",
)


@pytest.mark.parametrize("rows", [*[(row,) for row in ALL_KINDS], ALL_KINDS], ids=lambda rows: str(len(rows)))
def test_the_numbers_of_people_follow_from_the_tables_and_the_corrections(talk, rows):
    correct(talk, *rows)
    found, ms = tables(talk)["people"].set_index("person_id"), corrected_by_hand(talk)
    assert sorted(found.index) == sorted(ms.person.unique())
    for person, mine in ms.groupby("person"):
        shown = found.loc[person]
        assert shown.seconds_in_view == pytest.approx(len(mine) / 1000, abs=1e-6)
        assert shown.seconds_readable == pytest.approx(mine.readable.sum() / 1000, abs=1e-6)
        for name in SHARES:
            expected = mean_attention(mine) if name == "attention" else mine[name].astype(float).mean()
            assert shown[name] == pytest.approx(expected, abs=1e-4), (person, name)


def test_the_headline_of_the_page_is_that_of_the_corrected_numbers(talk):
    correct(talk, *ALL_KINDS)
    tables(talk)
    ms = corrected_by_hand(talk)
    share = ms.engagement.mean()
    assert f"{share * 100:.0f} %" in section(talk, "cards").replace("\u202f", " ").replace("\u00a0", " ")
    people = section(talk, "cards").split("People")[1]
    assert people.split()[0] == str(ms.person.nunique()) == "2"


def test_participants_videos_and_the_overview_are_corrected_as_the_page_is(talk):
    correct(talk, *ALL_KINDS)
    found, ms = tables(talk), corrected_by_hand(talk)
    assert found["videos"].engagement.item() == pytest.approx(ms.engagement.mean(), abs=1e-4)
    assert found["videos"].n_people.item() == 2
    by_name = found["participants"].set_index("participant").engagement
    for person, mine in ms.groupby("person"):
        assert by_name[f"Person {person}"] == pytest.approx(mine.engagement.mean(), abs=1e-4)


def test_the_audience_of_each_step_is_corrected(talk):
    correct(talk, *ALL_KINDS)
    session = load_session(talk, "talk", load_names(talk).of("talk"))
    audience = session.audience.to_pandas()
    frames = pd.read_parquet(VideoFiles(talk, "talk").frames)
    assert len(frames) == 400  # so that a step of a second has ten frames of 100 ms
    left = pd.Series(1.0, index=range(40))
    left[10], left[11:15], left[15] = 0.25, 0.0, 0.5
    assert audience.seconds.to_numpy() == pytest.approx(left.to_numpy(), abs=1e-9)
    ms = corrected_by_hand(talk)
    in_view = ms.groupby(ms["at"] // 1000).size().reindex(range(40), fill_value=0) / 1000
    assert audience.face_s.to_numpy() == pytest.approx(in_view.to_numpy(), abs=1e-9)
    assert audience.engagement[11:15].isna().all()
    rows = session.timeline.to_pandas().query("person_id == 1").set_index("bin_start_s")
    assert 22.0 not in rows.index
    # Of a person, time in a stretch that is excluded for this person is no time without a face.
    last = rows.loc[24.0]
    assert last.seconds == pytest.approx(0.25)
    mine = ms[(ms.person == 1) & (ms["at"] >= 24750) & (ms["at"] < 25000)]
    assert last.presence == pytest.approx(len(mine) / 250)


def test_excluded_time_is_neither_without_a_face_nor_missing(talk):
    before = tables(talk)["quality"].iloc[0]
    correct(talk, "talk,exclude,10.25,15.5,,,")
    after = tables(talk)["quality"].iloc[0]
    seconds = after.filter(like="seconds_")
    assert before.seconds_excluded == 0
    assert after.seconds_excluded == pytest.approx(5.25)
    assert seconds.sum() == pytest.approx(40)
    for state in ("no_face", "missing", "outside"):
        assert after[f"seconds_{state}"] <= before[f"seconds_{state}"]
    assert "excluded by corrections" in text(page_of(talk))


@pytest.mark.parametrize("row", ["solo,drop,,,track 1,,", "solo,exclude,0,40,Person 1,,"])
def test_time_with_only_faces_that_are_left_out_is_excluded_and_not_without_a_face(tmp_path, row):
    made = Made(seconds=40, video_id="solo", away=((20, 25),))
    write_run(tmp_path, [write_session(tmp_path, made)])
    before = tables(tmp_path)["quality"].iloc[0]
    correct(tmp_path, row)
    after = tables(tmp_path)["quality"].iloc[0]
    assert before.seconds_no_face >= 5
    assert after.seconds_no_face == pytest.approx(before.seconds_no_face)
    assert after.seconds_excluded == pytest.approx(40 - before.seconds_no_face)
    page = text(page_of(tmp_path, "solo"))
    assert "The corrections leave out all people" in page
    assert "No face was found" not in page
    overview = text((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "no face was seen" not in overview


def test_a_video_that_is_excluded_altogether_is_called_that(talk):
    correct(talk, "talk,exclude,0,,,,")
    found = tables(talk)["quality"].iloc[0]
    assert found.seconds_excluded == pytest.approx(40)
    assert found.filter(like="seconds_").sum() == pytest.approx(40)
    assert "The corrections leave out all people" in text(page_of(talk))


def test_a_participant_who_is_left_out_is_not_called_unseen(tmp_path):
    write_run(tmp_path, [write_session(tmp_path, Made(seconds=30, video_id=name)) for name in "ab"])
    (tmp_path / "sessions.csv").write_text("video,participant\na,Ada\nb,Ben\n")
    correct(tmp_path, "b,drop,,,Ben,,")
    tables(tmp_path)
    overview = text((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "Ben (left out by corrections.csv)" in overview


def test_each_page_says_how_many_corrections_it_honours_and_which(talk):
    tables(talk)
    assert "corrections.csv" not in page_of(talk)
    correct(talk, *ALL_KINDS)
    tables(talk)
    said = section(talk, "corrections")
    assert "This page honours 5 corrections of corrections.csv." in said
    assert "00:10.3 to 00:15.5 does not count. (the break)" in said
    assert "00:20.0 to 00:24.8 does not count for person 1." in said
    assert "Person 3 does not count. (a poster)" in said
    assert "00:30.0 to 00:33.5: person 1 shows surprise, as a human coder saw. (coder A)" in said
    overview = text((talk / "index.html").read_text(encoding="utf-8"))
    assert "This page honours 5 corrections of corrections.csv." in overview
    assert "No number is of 00:10.3 to 00:15.5, which corrections.csv excludes." in section(talk, "left-out")
    assert "that corrections.csv leaves out" in section(talk, "left-out")


def test_the_tables_on_disk_stay_and_removing_the_file_restores_every_number(talk):
    before, stored = tables(talk), {path: path.read_bytes() for path in talk.rglob("*.parquet")}
    correct(talk, *ALL_KINDS)
    assert not tables(talk)["people"].equals(before["people"])
    assert {path: path.read_bytes() for path in talk.rglob("*.parquet")} == stored
    (talk / "corrections.csv").unlink()
    for name, table in tables(talk).items():
        pd.testing.assert_frame_equal(table, before[name])


def test_a_changed_file_makes_the_pages_of_its_videos_stale_and_no_others(tmp_path):
    write_run(tmp_path, [write_session(tmp_path, Made(seconds=20, video_id=name)) for name in "ab"])
    refresh(tmp_path)
    correct(tmp_path, "a,exclude,3,5,,,")
    assert [path.name for path in refresh(tmp_path).written] == ["a.html", "index.html"]
    assert refresh(tmp_path).written == ()
    correct(tmp_path, "a,exclude,3,6,,,")
    assert [path.name for path in refresh(tmp_path).written] == ["a.html", "index.html"]


def test_a_marker_in_an_excluded_stretch_has_no_curve(tmp_path):
    made = Made(seconds=40, video_id="talk", markers=tuple((t, None, "clap", "") for t in (5.0, 12.0, 30.0)))
    write_run(tmp_path, [write_session(tmp_path, made)])
    assert set(tables(tmp_path)["around_markers"].n_markers) == {3}
    correct(tmp_path, "talk,exclude,10,15,,,")
    assert set(tables(tmp_path)["around_markers"].n_markers) == {2}


def test_names_of_people_csv_are_those_of_corrections(talk):
    (talk / "people.csv").write_text("video_id,track_id,name\ntalk,1,Ada\ntalk,2,Ada\ntalk,3,Poster\n")
    correct(talk, "talk,drop,,,Poster,,", "talk,exclude,5,8,Ada,,")
    found = tables(talk)
    assert found["people"].name.tolist() == ["Ada"]
    faces = made_tables(MADE)[1].to_pandas().query("track_id in (1, 2)").drop_duplicates("frame_index")
    outside = (faces.time_s < 5 - 1e-9) | (faces.time_s >= 8 - 1e-9)
    assert found["people"].seconds_in_view.item() == pytest.approx(outside.sum() / 10)


def test_a_piece_of_a_track_is_dropped_by_the_name_that_splits_it(talk):
    (talk / "people.csv").write_text("video_id,track_id,from_s,name\ntalk,1,0,Ada\ntalk,1,20,Passer-by\n")
    correct(talk, "talk,drop,,,Passer-by,,")
    people = tables(talk)["people"].set_index("name")
    assert "Passer-by" not in people.index
    assert people.loc["Ada"].last_s < 20


def test_the_only_person_who_is_left_has_the_name_of_the_participant_in_the_corrections_too(tmp_path):
    write_run(tmp_path, [write_session(tmp_path, Made(seconds=30, people=2, video_id="talk"))])
    (tmp_path / "sessions.csv").write_text("video,participant\ntalk,Ada\n")
    correct(tmp_path, "talk,drop,,,Person 2,,", "talk,exclude,0,10,Ada,,")
    people = tables(tmp_path)["people"]
    assert people.name.tolist() == ["Ada"]
    assert people.first_s.item() >= 9.9


def test_a_calibration_by_a_stretch_that_is_excluded_stays(tmp_path):
    made = Made(seconds=40, video_id="talk", markers=((0.0, 8.0, "all", "rest"),))
    write_run(tmp_path, [write_session(tmp_path, made)])
    before = tables(tmp_path)["people"]["shift"].item()
    correct(tmp_path, "talk,exclude,0,8,,,")
    assert before != 0
    assert tables(tmp_path)["people"]["shift"].item() == pytest.approx(before)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["talk,hide,1,2,,,"], "line 2: 'hide' is no action. Use one of exclude, drop, relabel."),
        (["talk,exclude,,,,,"], "line 2: exclude needs a start or an end."),
        (["talk,exclude,,,Ada,,"], "To leave out all of a person, use drop."),
        (["talk,exclude,5,4,,,"], "line 2: end (4) must lie after start (5)."),
        (["talk,exclude,x,4,,,"], "line 2: start: 'x' is not a time."),
        (["talk,exclude,1,4,track 1,,"], "To leave out a track, use drop."),
        (["talk,exclude,1,4,,happy,"], "only relabel has a value"),
        (["talk,drop,,,,,"], "line 2: drop whom?"),
        (["talk,drop,1,2,track 1,,"], "To leave out a stretch, use exclude."),
        (["talk,relabel,1,2,,,"], "relabel needs the expression in the column value"),
        (["talk,relabel,1,,,happy,"], "relabel needs a start and an end"),
        (["talk,relabel,1,2,,glad,"], "line 2: 'glad' is no expression of the model of talk. It has: angry, "),
        (["talk,drop,,,Ada,," + "x" * 1001], "note has more than 1000 characters"),
        (["talk,relabel,1,5,Ada,happy,", "", "talk,relabel,4,6,Ada,sad,"],
         "line 4 (relabel Ada as sad from 00:04.0 to 00:06.0) contradicts line 2 (relabel Ada as happy from 00:01.0 to "
         "00:05.0) in talk. Change one of the two."),
        (["talk,relabel,4,6,,sad,", "talk,relabel,1,5,Ada,happy,"], "line 3 (relabel Ada as happy from 00:01.0"),
        (["talk,exclude,4,6,,,", "talk,relabel,1,5,Ada,happy,"], "contradicts line 2 (exclude everybody from 00:04.0"),
        (["talk,relabel,1,5,Person 1,happy,", "talk,drop,,,Person 1,,"], "line 3 (drop person 1) contradicts line 2"),
        # The same person, called in two ways.
        (["talk,relabel,1,5,Person 1,happy,", "talk,drop,,,person 1,,"], "line 3 (drop person 1) contradicts line 2"),
        # Behind a row that ends later.
        (["talk,exclude,1,30,,,", "talk,exclude,2,3,,,", "talk,relabel,9,9.5,,sad,"], "contradicts line 2"),
    ],
)  # fmt: skip
def test_a_row_that_is_wrong_or_contradicts_another_is_named(talk, rows, message):
    correct(talk, *rows)
    done = CliRunner().invoke(app, ["report", str(talk)])
    assert done.exit_code != 0
    with pytest.raises(OptionsError, match=r"^corrections\.csv: line") as caught:
        Persons.of(VideoFiles(talk, "talk"), load_names(talk).of("talk"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("people", "row", "message"),
    [
        ("talk,1,,Ada", "talk,drop,,,track 1,,",
         "corrections.csv: line 2 is about track 1 of talk, which people.csv: line 2 calls 'Ada'."),
        ("talk,,2,Bo", "talk,exclude,1,2,Person 2,,",
         "corrections.csv: line 2 is about person 2 of talk, which people.csv: line 2 calls 'Bo'."),
        ("talk,1,,Ada\ntalk,2,,Ada", "talk,drop,,,track 2,,", "which people.csv: line 3 calls 'Ada'."),
    ],
)  # fmt: skip
def test_a_correction_that_contradicts_people_csv_names_both_rows(talk, people, row, message):
    (talk / "people.csv").write_text(f"video_id,track_id,person_id,name\n{people}\n")
    correct(talk, row)
    with pytest.raises(OptionsError) as caught:
        read_corrections(talk, read_people(talk))
    assert message in str(caught.value)


def test_a_person_whom_people_csv_divides_is_not_meant_by_number(tmp_path):
    made = Made(seconds=30, people=2, video_id="talk")
    frames, faces = made_tables(made)
    one = faces.set_column(faces.schema.get_field_index("person_id"), faces.schema.field("person_id"),
                           [np.ones(len(faces), np.int32)])  # fmt: skip
    write_run(tmp_path, [write_session(tmp_path, made, tables=(frames, one))])
    (tmp_path / "people.csv").write_text("video_id,track_id,name\ntalk,1,Ada\ntalk,2,Bo\n")
    correct(tmp_path, "talk,exclude,1,2,Person 1,,")
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 10
    assert (
        "corrections.csv: line 2 is about person 1 of talk, whom people.csv: line 2 divides. Write the name of the "
        "one who is meant."
    ) in done.output


@pytest.mark.parametrize("rows", [
    ["talk,exclude,1,5,,,", "talk,exclude,4,6,,,"],
    ["talk,exclude,1,5,,,", "talk,exclude,4,6,Ada,,", "talk,drop,,,Ada,,"],
    ["talk,relabel,1,5,Ada,happy,", "talk,relabel,5,6,Ada,sad,", "talk,exclude,6,7,,,"],
    ["talk,relabel,1,5,,happy,", "talk,drop,,,Ada,,", "talk,exclude,2,3,Bo,,"],
    ["talk,relabel,1,5,Person 1,happy,", "talk,drop,,,track 1,,"],
])  # fmt: skip
def test_rows_that_agree_may_overlap(talk, rows):
    correct(talk, *rows)
    assert len(read_corrections(talk, PeopleList()).of("talk").rows) == len(rows)
    assert refresh(talk).failed == {}


def test_rows_without_effect_are_counted(talk):
    correct(talk, "gone,exclude,1,2,,,", "talk,exclude,1,2,,,", "talk,exclude,1,2.0,,,again", "talk,drop,,,Zed,,",
            "talk,drop,,,track 9,,")  # fmt: skip
    done = CliRunner().invoke(app, ["report", str(talk)])
    assert done.exit_code == 0
    for line in (
        "corrections.csv: 1 row names a video that is not in this folder (first: gone).",
        "corrections.csv: 1 row repeats another (first: talk, exclude everybody from 00:01.0 to 00:02.0).",
        "corrections.csv: 2 rows are about tracks or persons that their videos do not have (first: line 5: Zed of "
        "talk).",
    ):
        assert line in done.output
    assert "This page honours 1 correction of corrections.csv." in text(page_of(talk))


def test_a_list_as_a_german_spreadsheet_writes_it_is_read(talk):
    rows = ["video_id;action;start;end;person;value;note;Bearbeiter", "talk;Exclude;0:10,25;15,5;;;Pause;MK",
            "talk;relabel;30,0;33,5;Person 1;surprise;;", ";;;;;;;"]  # fmt: skip
    (talk / "corrections.csv").write_bytes(codecs.BOM_UTF8 + "\r\n".join(rows[:3]).encode())
    found = read_corrections(talk, PeopleList()).of("talk").rows
    assert [(row.action, row.start_s, row.end_s, row.value) for row in found] == [
        ("exclude", 10.25, 15.5, ""), ("relabel", 30.0, 33.5, "surprise")]  # fmt: skip
    refresh(talk)
    assert "(Pause)" in section(talk, "corrections")


def test_a_long_list_is_read_and_applied_in_time(talk):
    """A coder's file of a session: two thousand stretches, far more than a person writes."""
    rows = [f"talk,relabel,{k / 50:.2f},{(k + 1) / 50:.2f},Person 1,{LABELS[k % 7]}," for k in range(2000)]
    correct(talk, *rows)
    people = tables(talk)["people"].set_index("person_id")
    faces = pd.read_parquet(VideoFiles(talk, "talk").faces).query("track_id == 1")
    place = (faces.time_s * 50 + 1e-6).astype(int)
    expected = pd.Series(LABELS).iloc[place % 7].value_counts(normalize=True)
    for label in LABELS:
        assert people.loc[1, f"shown_{label}"] == pytest.approx(expected.get(label, 0.0), abs=1e-6)


def test_notes_are_escaped_and_shown_in_full_only_on_their_page(talk):
    correct(talk, 'talk,exclude,1,2,,,"<script>alert(1)</script>"', 'talk,drop,,,"<b>x</b>",,')
    refresh(talk)
    for html in (page_of(talk), (talk / "index.html").read_text(encoding="utf-8")):
        assert "<script>alert" not in html
        assert "<b>x</b>" not in html


def test_doctor_checks_the_list(talk):
    def said() -> str:
        return "\n".join(f"{one.level}: {one.what}. {one.remedy}" for one in examine_folder(talk))

    correct(talk, "talk,exclude,1,2,,,", "talk,drop,,,Zed,,")
    assert "fine: 1 correction of corrections.csv honoured" in said()
    assert "note: corrections.csv: line 3: talk has no Zed" in said()
    correct(talk, "talk,relabel,1,2,,happy,", "talk,exclude,1,2,,,")
    assert (
        "problem: corrections.csv: line 3 (exclude everybody from 00:01.0 to 00:02.0) contradicts" in said()
    )


def test_analysis_continues_without_a_list_that_cannot_be_used(talk):
    correct(talk, "talk,hide,1,2,,,")
    done = refresh(talk, forgiving=True)
    assert done.failed == {}
    assert any("left out: corrections.csv: line 2" in warning for warning in done.warnings)
