"""Markers of a stimulus on the pages of its sessions; times by arithmetic, means by pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ferflow.analytics.markers import load_markers
from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.store.video_files import VideoFiles
from tests.dashboards.read_page import table as page_table
from tests.made_cohort import draw_stimulus, write_run
from tests.made_records import Made, write_session

SCENES = """time_s,label,end_s,kind
-4,baseline,-1,
0,opening,8,segment
8,chase,20,segment
15,crash,,event
50,after the end of the recordings,,
"""


@pytest.fixture
def out(tmp_path):
    """Two cameras, one of which starts 5 s early and one 3 s late; the second has markers of its own."""
    write_session(tmp_path, Made(seconds=40, video_id="early", seed=1))
    own = ((2.0, None, "crash", "own"), (7.0, None, "cough", ""))
    write_session(tmp_path, Made(seconds=40, video_id="late", seed=2, markers=own))
    write_session(tmp_path, Made(seconds=40, video_id="other", seed=3))
    write_run(tmp_path, ["early", "late", "other"])
    listed = "video,stimulus,offset_s\nearly,film.mp4,5\nlate,film.mp4,-3\n"
    (tmp_path / "sessions.csv").write_text(listed)
    draw_stimulus(tmp_path / "film.mp4", seconds=40)
    (tmp_path / "film.markers.csv").write_text(SCENES)
    return tmp_path


def times(out, video_id) -> dict[str, float]:
    rows = load_session(out, video_id).markers.to_pylist()
    return {row["label"]: row["time_s"] for row in rows}


def test_they_are_at_the_time_of_the_marker_plus_the_offset_and_replace_own_ones_of_the_same_label(out):
    assert times(out, "early") == {
        "baseline": 1.0, "opening": 5.0, "chase": 13.0, "crash": 20.0, "after the end of the recordings": 55.0,
    }  # fmt: skip
    assert times(out, "late") == {
        "baseline": -7.0, "opening": -3.0, "chase": 5.0, "cough": 7.0, "crash": 12.0,
        "after the end of the recordings": 47.0,
    }  # fmt: skip
    assert times(out, "other") == {}


def test_they_are_not_stored_with_the_session(out):
    refresh(out)
    assert len(load_markers(VideoFiles(out, "early"))) == 0
    assert load_markers(VideoFiles(out, "late")).column("label").to_pylist() == ["crash", "cough"]


def test_segments_and_curves_of_a_session_include_them(out):
    bins = pd.read_parquet(out / "timeline" / "late.parquet")
    people = bins[bins.person_id.notna() & (bins.bin_start_s >= 5) & (bins.bin_start_s < 17)]
    session = load_session(out, "late")
    segments = {row["label"]: row for row in session.segments.to_pylist()}
    assert (segments["chase"]["start_s"], segments["chase"]["end_s"]) == (5.0, 17.0)
    assert segments["chase"]["valence"] == pytest.approx(
        np.average(people.valence, weights=people.readable_s), abs=1e-6
    )
    # Of the opening, from -3 to 5 s of this video, what was recorded.
    assert (segments["opening"]["start_s"], segments["opening"]["end_s"]) == (0.0, 5.0)
    assert "baseline" not in segments
    whole = bins[bins.person_id.isna()].set_index("bin_start_s")
    curve = session.curves.to_pandas().query("label == 'crash' and measure == 'valence'").set_index("lag_s")
    np.testing.assert_allclose(curve["mean"][2.0], whole.valence[14.0])


def test_the_page_marks_them_as_the_stimulus_and_own_ones_not(out):
    refresh(out)
    html = (out / "reports" / "late.html").read_text(encoding="utf-8")
    rows = {row[0]: row for row in page_table(html, "segments")}
    assert any("chase" in name and "segment, of the stimulus" in name for name in rows)
    assert "crash (of the stimulus)" in html
    assert "cough (of the stimulus)" not in html
    assert "2 not shown: before the start or after the end of the video" in html
    assert "-7" not in html.split('class="marker-list"')[1].split("</details>")[0]


def test_a_page_is_written_again_when_the_file_or_the_offset_changes_and_then_only(out):
    refresh(out)
    assert refresh(out).written == ()
    (out / "film.markers.csv").write_text(SCENES + "30,applause,,\n")
    assert {page.stem for page in refresh(out).written} == {"early", "late", "index"}
    listed = out / "sessions.csv"
    listed.write_text(listed.read_text().replace("late,film.mp4,-3", "late,film.mp4,-2"))
    assert {page.stem for page in refresh(out).written} == {"late", "index"}
    assert times(out, "late")["crash"] == 13.0


def test_csv_files_have_them_with_the_name_of_the_stimulus(out):
    write_tables(out, PageOptions())
    markers = pd.read_csv(out / "csv" / "markers.csv", keep_default_na=False).query("video_id == 'late'")
    found = markers.set_index("label").stimulus.to_dict()
    assert (found["crash"], found["cough"]) == ("film.mp4", "")
    segments = pd.read_csv(out / "csv" / "segments.csv").query("video_id == 'early'")
    assert segments.label.tolist() == ["baseline", "opening", "chase"]


def test_a_broken_file_of_the_stimulus_costs_only_its_own_markers(out):
    (out / "film.markers.csv").write_text("time_s,label\nsoon,x\n")
    done = refresh(out, forgiving=True)
    assert done.failed == {}
    assert any("film.markers.csv" in warning for warning in done.warnings)
    assert times(out, "late") == {"crash": 2.0, "cough": 7.0}
