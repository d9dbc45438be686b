"""The lane of speech: what a transcript says is shown and shaded, and changes no number."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from ferflow.analytics.markers import Marker
from ferflow.dashboards import PageOptions, write_session_report
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.dashboards.session_report.timeline_chart.speech_row import (
    MOST_SHADES,
    limit_shades,
    merge_speech,
)
from ferflow.errors import OptionsError
from ferflow.jobs.additions import add_to_all, check_additions
from ferflow.jobs.job import Additions
from ferflow.store.output_folder import OutputFolder
from tests.conftest import face_frames, write_video
from tests.dashboards.browse import HOSTILE, NEEDS_CHROMIUM, Opened
from tests.exchange.test_marker_files import two_hours_of_speech
from tests.made_cohort import write_run
from tests.made_records import Made, write_session

TRANSCRIPT = (
    "WEBVTT\n\n00:02.000 --> 00:04.500\n<v Ada>Hello &amp; welcome</v>\n\n"
    f"00:10.000 --> 00:12.000\n{HOSTILE.replace(chr(10), ' ')} %{{y}}\n\n00:55.000 --> 02:00.000\nto the end\n"
)


@pytest.fixture
def talk(tmp_path) -> OutputFolder:
    """A finished video of a minute with a transcript next to it."""
    video = write_video(tmp_path / "talk.mp4", face_frames(3))
    made = Made(seconds=60, people=2, video_id="talk", source={"path": str(video), "name": video.name})
    write_run(tmp_path / "out", [write_session(tmp_path / "out", made)])
    (tmp_path / "talk.vtt").write_text(TRANSCRIPT, encoding="utf-8")
    return OutputFolder(tmp_path / "out")


def facts_of(page: Path) -> dict:
    return json.loads(re.search(r'id="facts">(.*?)</script>', page.read_text(), re.DOTALL)[1])


def figure_of(page: Path) -> dict:
    return json.loads(re.search(r'id="timeline-figure">(.*?)</script>', page.read_text(), re.DOTALL)[1])


def test_a_transcript_next_to_a_video_is_a_lane_and_no_markers(talk):
    before = figure_of(write_session_report(talk.path, "talk"))
    assert add_to_all(talk.path, Additions()) == {}
    page = write_session_report(talk.path, "talk")
    facts, figure = facts_of(page), figure_of(page)
    assert facts["speech"][0] == [2.0, 4.5, "Ada: Hello & welcome"]
    assert [one[:2] for one in facts["speech"]] == [[2, 4.5], [10, 12], [55, 60]]
    assert facts["markers"] == facts["segments"] == []
    (lane,) = (trace for trace in figure["data"] if trace.get("name") == "speech")
    assert [x for x in lane["x"] if x][:4] == ["1970-01-01 00:00:02.000"] * 2 + [
        "1970-01-01 00:00:04.500"
    ] * 2
    shades = [one for one in figure["layout"]["shapes"] if one["type"] == "rect"]
    assert len(shades) == 3
    assert "expressions of the mouth are less certain" in page.read_text()
    curves = [
        [trace["y"] for trace in one["data"] if trace.get("dx") and "y" in trace] for one in (before, figure)
    ]
    assert curves[0] == curves[1]


def test_speech_counts_in_no_table_of_markers(talk):
    add_to_all(talk.path, Additions())
    stored = pd.read_parquet(talk.video("talk").markers)
    assert set(stored.kind) == {"speech"}
    (entry,) = load_folder(talk.path, PageOptions()).finished
    assert len(entry.video.markers) == 0


def test_markers_and_transcripts_are_kept_beside_each_other(talk, tmp_path):
    markers = tmp_path / "talk.markers.csv"
    markers.write_text("time_s,label\n7,clap\n")
    add_to_all(talk.path, Additions())
    kinds = pd.read_parquet(talk.video("talk").markers).kind.tolist()
    assert kinds == ["speech", "", "speech", "speech"]
    markers.write_text("time_s,label\n")
    add_to_all(talk.path, Additions())
    assert pd.read_parquet(talk.video("talk").markers).kind.tolist() == ["speech"] * 3
    (tmp_path / "talk.vtt").unlink()
    other = tmp_path / "other.srt"
    other.write_text("1\n00:00:01,000 --> 00:00:02,000\nhi\n")
    add_to_all(talk.path, Additions(speech=other))
    assert pd.read_parquet(talk.video("talk").markers).label.tolist() == ["hi"]
    # Given as markers, it is a transcript all the same, and the markers of before stay.
    markers.write_text("time_s,label\n7,clap\n")
    add_to_all(talk.path, Additions())
    add_to_all(talk.path, Additions(markers=other))
    assert pd.read_parquet(talk.video("talk").markers).label.tolist() == ["hi", "clap"]


def test_a_file_that_is_no_transcript_is_refused_before_any_work(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("time_s,label\n7,clap\n")
    with pytest.raises(OptionsError, match="no transcript"):
        check_additions(Additions(speech=path))
    with pytest.raises(OptionsError, match="offset of markers"):
        check_additions(Additions(markers_offset="soon"))


def test_two_hours_of_speech_do_not_make_the_page_heavy(tmp_path):
    text, times = two_hours_of_speech()
    made = Made(seconds=7200, fps=1, video_id="long", source={"path": str(tmp_path / "long.mp4")})
    out = OutputFolder(tmp_path / "out")
    write_run(out.path, [write_session(out.path, made)])
    before = write_session_report(out.path, "long").stat().st_size
    (tmp_path / "long.srt").write_text(text)
    assert add_to_all(out.path, Additions()) == {}
    page = write_session_report(out.path, "long")
    assert len(facts_of(page)["speech"]) == len(times) == 2400
    assert sum(one["type"] == "rect" for one in figure_of(page)["layout"]["shapes"]) <= MOST_SHADES
    assert page.stat().st_size - before < 300_000


def test_pauses_divide_speech():
    cues = [
        Marker(1, 2, "a"),
        Marker(1.5, 4, "b"),
        Marker(4.2, 5, "c"),
        Marker(9, 10, "d"),
        Marker(-3, 0.5, "e"),
    ]
    assert merge_speech(cues, 0.3) == [(0, 0.5), (1, 5), (9, 10)]
    assert merge_speech(cues, 0.1) == [(0, 0.5), (1, 4), (4.2, 5), (9, 10)]
    many = [Marker(k * 10.0, k * 10.0 + 1, "x") for k in range(1000)]
    found = limit_shades(many, 0.1)
    assert 0 < len(found) <= MOST_SHADES
    assert limit_shades(many[:5], 0.1) == [(k * 10.0, k * 10.0 + 1) for k in range(5)]


@NEEDS_CHROMIUM
def test_what_is_said_is_at_the_cursor(talk, browser):
    add_to_all(talk.path, Additions())
    page = write_session_report(talk.path, "talk")
    with Opened(browser, page) as opened:
        opened.point_at(3 / 60)
        assert "said : Ada: Hello & welcome" in opened.label()
        opened.point_at(11 / 60)
        opened.page.wait_for_timeout(300)
        assert "%{y}" in opened.label()
        opened.point_at(30 / 60)
        opened.page.wait_for_timeout(300)
        assert "said" not in opened.label()


# --- Where the times of a file lie in the video -----------------------------------------------------------------------


def times_of(talk: OutputFolder) -> list[float]:
    stored = pd.read_parquet(talk.video("talk").markers)
    return stored[stored.kind != "speech"].time_s.tolist()


def test_an_offset_is_kept_until_another_is_given(talk, tmp_path):
    (tmp_path / "talk.markers.csv").write_text("time_s,label\n10,a\n40,b\n")
    assert add_to_all(talk.path, Additions(markers_offset="2.5")) == {}
    assert times_of(talk) == [12.5, 42.5]
    add_to_all(talk.path, Additions())
    assert times_of(talk) == [12.5, 42.5]
    add_to_all(talk.path, Additions(markers_offset="0=1,40=41.4"))
    assert times_of(talk) == pytest.approx([11.1, 41.4])
    add_to_all(talk.path, Additions(markers_offset="0"))
    assert times_of(talk) == [10, 40]


def test_the_session_list_has_an_offset_per_file(talk, tmp_path):
    (tmp_path / "a file.eaf.txt").write_text("00:00:05 Boss\n")
    (talk.path / "sessions.csv").write_text(
        f"video,markers,markers_offset\ntalk,{tmp_path / 'a file.eaf.txt'},-1.25\n"
    )
    assert add_to_all(talk.path, Additions()) == {}
    assert times_of(talk) == [3.75]
    add_to_all(talk.path, Additions(markers_offset="1"))
    assert times_of(talk) == [6]
    (talk.path / "sessions.csv").write_text(
        f"video,markers,markers_offset\ntalk,{tmp_path / 'a file.eaf.txt'},soon\n"
    )
    assert "offset of markers 'soon'" in add_to_all(talk.path, Additions())["talk"]
