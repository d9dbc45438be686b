"""people.csv: names and persons, on every page and in every table."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ferflow.analytics.person_names import PersonFaces, PersonNames, list_tracks, read_people
from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.errors import OptionsError
from ferflow.models.timeline_basis import find_basis
from ferflow.store.metadata import METADATA_KEY
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
    write_run(tmp_path, [write_session(tmp_path, made)])
    path = VideoFiles(tmp_path, "party").faces
    stored = pq.read_table(path)
    second = pc.equal(stored.column("track_id"), 2)
    inside = pc.and_(pc.greater_equal(stored.column("time_s"), 4), pc.less(stored.column("time_s"), 14))
    footer = {METADATA_KEY: pq.read_metadata(path).metadata[METADATA_KEY]}
    kept = stored.filter(pc.equal(inside, second)).replace_schema_metadata(footer)
    pq.write_table(kept, path)
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


def test_joined_faces_are_the_same_in_blocks_of_any_size():
    _, faces = made_tables(MADE)
    whole = next(iter(PersonFaces.of(faces, {3: 1})))
    frames = faces.column("frame_index").to_numpy()
    cuts = [0, *(int((frames < frame).sum()) for frame in (7, 100, 101)), len(faces)]
    blocks = [faces.slice(a, b - a) for a, b in pairwise(cuts)]
    in_blocks = [
        track for block in PersonFaces.of(blocks, {3: 1}) for track in block.column("track_id").to_pylist()
    ]
    assert in_blocks == whole.column("track_id").to_pylist()
    rows = whole.to_pandas().query("track_id == 1")
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
    names = PersonNames({1: "Person 2"})
    assert [names.name_of(track) for track in (1, 2, 3)] == ["Person 2", "track 2", "Person 3"]


def test_the_list_of_tracks_is_what_pandas_finds(party):
    faces = made_tables(MADE)[1].to_pandas()
    for track in list_tracks(party, read_people(party), find_basis):
        mine = faces[faces.track_id == track.track_id]
        assert (track.first_s, track.last_s) == (mine.time_s.min(), mine.time_s.max())
        assert track.across == pytest.approx(((mine.x1 + mine.x2) / 2 / 1280).median(), abs=1e-5)
        assert track.face_px == pytest.approx(mine.face_px.median(), abs=1e-3)
        assert track.seconds == pytest.approx(len(mine) / MADE.fps, abs=1e-6)
