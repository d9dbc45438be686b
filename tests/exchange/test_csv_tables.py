"""Tables as CSV, read by pandas: each person and second has a row, with the numbers of the tables in OUT."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ferflow.dashboards import PageOptions
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.dashboards.session_report.session_data import load_session
from tests.exchange.made_folder import HOSTILE, recompute_one

SHOWN_HOSTILE = "'" + HOSTILE


@pytest.fixture
def timeline(export) -> pd.DataFrame:
    return pd.read_csv(export("csv") / "timeline.csv")


def test_each_person_has_a_row_for_each_second_whether_seen_or_not(timeline):
    found = timeline.groupby(["video_id", "person"]).start_s.apply(list).to_dict()
    assert found == {
        ("one-00000001", "Ada"): list(range(40)),
        ("one-00000001", "Person 3"): list(range(40)),
        ("one-00000001", SHOWN_HOSTILE): list(range(40)),
        ("two-00000002", "Böb"): list(range(30)),
    }


def test_values_are_those_that_pandas_works_out_of_the_faces(timeline, made_folder):
    expected = recompute_one(made_folder)
    rows = timeline[timeline.video_id == "one-00000001"].replace({"person": {SHOWN_HOSTILE: HOSTILE}})
    rows = rows.set_index(["person", "start_s"])
    assert set(rows[rows.face_s > 0].index) == set(expected.index)
    found = rows.loc[expected.index, list(expected.columns)]
    # A label changes within a millisecond, which is a thousandth of a bin.
    np.testing.assert_allclose(found.to_numpy(float), expected.to_numpy(float), atol=1.1e-3, equal_nan=True)


def test_a_row_says_why_it_has_no_value(timeline):
    rows = timeline[timeline.person == "Ada"].set_index("start_s")
    assert rows.state[6] == "not_analysed"
    assert rows.state[13] == "no_face"
    assert rows.state[16] == "left_out"
    assert rows.state[21] == "unreadable"
    assert rows.loc[13, ["face_s", "readable_s", "presence", "n_faces"]].tolist() == [0, 0, 0, 0]
    assert rows.loc[[6, 13, 16, 21], "engagement"].isna().all()
    assert rows.loc[[6, 16], ["face_s", "presence"]].isna().all(axis=None)
    assert rows.seconds[[6, 13, 16]].tolist() == [0, 1, 0]
    third = timeline[timeline.person == "Person 3"].set_index("start_s")
    assert third.state[[26, 27]].tolist() == ["left_out", "left_out"]


def test_names_groups_and_the_time_of_the_stimulus_are_in_each_row(timeline):
    rows = timeline.drop_duplicates(["video_id", "person"]).set_index("person")
    assert rows.participant.to_dict() == {
        "Ada": "Ada",
        "Person 3": "Person 3, one-00000001.mp4",
        SHOWN_HOSTILE: SHOWN_HOSTILE,
        "Böb": "Böb",
    }
    assert rows.group.to_dict() == {"Ada": "exp", "Person 3": "exp", SHOWN_HOSTILE: "exp", "Böb": "ctrl"}
    assert (rows.stimulus == "trailer").all()
    assert timeline[timeline.person == "Böb"].stimulus_time_s.tolist()[:2] == [-2.5, -1.5]


def test_a_label_of_a_coder_replaces_what_the_model_shows(timeline):
    rows = timeline[timeline.person == "Böb"].set_index("start_s")
    assert rows.shown_happy[[3, 4, 5]].tolist() == [1, 1, 1]


def test_the_mean_of_a_person_is_that_of_the_page(export, made_folder):
    rows = pd.read_csv(export("csv") / "timeline.csv")
    weight = rows.readable_s.fillna(0.0)
    found = {
        person: float((mine.engagement.fillna(0) * weight[mine.index]).sum() / weight[mine.index].sum())
        for person, mine in rows.groupby("person")
    }
    folder = load_folder(made_folder, PageOptions())
    for entry in folder.finished:
        session = load_session(made_folder, entry.video_id, folder.names.of(entry.video_id))
        for person in session.people:
            name = session.name_of(person.person_id)
            key = SHOWN_HOSTILE if name == HOSTILE else name
            assert found[key] == pytest.approx(person.means["engagement"], abs=1e-6)


def test_each_analysed_frame_has_a_row_and_each_face_of_a_counted_person(export, made_folder):
    rows = pd.read_csv(export("csv") / "faces.csv")
    for video, mine in rows.groupby("video_id"):
        frames = pq.read_table(made_folder / "frames" / f"{video}.parquet").to_pandas()
        assert set(mine.frame_index) == set(frames.frame_index)
        assert mine.time_s.is_monotonic_increasing
    one = rows[rows.video_id == "one-00000001"]
    stored = pq.read_table(made_folder / "faces" / "one-00000001.parquet").to_pandas()
    joined = one[one.person_id.notna()].merge(
        stored, on=["frame_index", "track_id"], suffixes=("", "_stored")
    )
    assert len(joined) == one.person_id.notna().sum() > 500
    for name in ("x1", "y2", "yaw", "face_px", "prob_happy"):
        same = joined[name].astype(np.float32).eq(joined[f"{name}_stored"]) | joined[name].isna()
        assert same.all(), name
    assert set(one[one.time_s.between(16, 17.99)].state) == {"left_out"}
    assert set(one[one.time_s.between(12.01, 14.89)].state) == {"no_face"}
    assert not (one.track_id == 5).any()
    empty = rows[rows.video_id == "empty-00000003"]
    assert len(empty) == 50
    assert set(empty.state) == {"no_face"}


def test_the_shares_of_shown_labels_follow_from_the_rows_of_faces(export):
    place = export("csv")
    faces, bins = pd.read_csv(place / "faces.csv"), pd.read_csv(place / "timeline.csv")
    readable = faces[faces.shown.notna()]
    shares = readable[readable.shown == "happy"].groupby("person").seconds.sum()
    shown = (bins.shown_happy * bins.readable_s).groupby(bins.person).sum()
    for person, seconds in shares.items():  # a bin divides frames in which the label changes
        assert seconds == pytest.approx(shown[person], abs=0.5)


def test_long_and_wide_tables_hold_the_values_of_the_tidy_one(export, timeline):
    place = export("long,wide")
    long, wide = pd.read_csv(place / "timeline_long.csv"), pd.read_csv(place / "timeline_wide.csv")
    keys = ["video_id", "person", "start_s"]
    pivoted = long.pivot_table(index=keys, columns="measure", values="value", dropna=False)
    tidy = timeline.set_index(keys)
    for name in ("engagement", "seconds", "shown_happy"):
        np.testing.assert_allclose(pivoted[name].dropna().sort_index(), tidy[name].dropna().sort_index())
    rows = wide[wide.video_id == "one-00000001"]
    ada = timeline[timeline.person == "Ada"]
    assert rows["Ada: state"].tolist() == ada.state.tolist()
    np.testing.assert_allclose(rows["Ada: engagement"], ada.engagement)
    assert len(rows) == 40


def test_excel_gets_a_byte_order_mark_on_request_only(export):
    assert (export("csv") / "timeline.csv").read_bytes().startswith(b"video_id")
    place = export("csv", "--excel")
    assert (place / "timeline.csv").read_bytes().startswith(b"\xef\xbb\xbfvideo_id")
    assert pd.read_csv(place / "timeline.csv", encoding="utf-8-sig").columns[0] == "video_id"
