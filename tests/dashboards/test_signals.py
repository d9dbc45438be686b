"""Signals on pages and in CSV files; truth by pandas from what the test itself logged."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferflow.analytics.signals import store_signals
from ferflow.dashboards import PageOptions, refresh, write_session_report
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.session_report.session_data import MOST_SIGNALS
from ferflow.store.metadata import RecordingStart
from ferflow.store.video_files import VideoFiles
from tests.dashboards.browse import HOSTILE, NEEDS_CHROMIUM, close_tab, open_tab
from tests.dashboards.read_page import table, text
from tests.made_cohort import write_run
from tests.made_records import Made, write_session

SECONDS = 120
MARKERS = (
    (20.4, None, "boss", ""),
    (60.0, None, "boss", ""),
    (100.2, None, "boss", ""),
    (50.0, None, "fall", ""),
)
NOON = RecordingStart(time=datetime(2024, 5, 12, 12, 0, 0, tzinfo=UTC), origin="session list")


def logged() -> pd.DataFrame:
    """Two minutes: health at 60 Hz, a heart rate each second with a gap, scores when they change."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"time_s": np.arange(SECONDS * 60) / 60})
    frame["health [%]"] = np.clip(100 + np.cumsum(rng.normal(size=len(frame))), 0, 100)
    whole = np.arange(len(frame)) % 60 == 0
    frame["heart rate [bpm]"] = np.where(whole, rng.integers(60, 120, len(frame)), np.nan)
    frame.loc[frame.time_s.between(70, 85), "heart rate [bpm]"] = np.nan
    frame["score"] = np.nan
    frame.loc[rng.choice(len(frame), 12, replace=False), "score"] = np.arange(12) * 1000.0
    frame["level"] = "cave"
    return frame


def binned() -> pd.DataFrame:
    """What each signal is in each second: samples at a rate hold equally long, scores are carried on."""
    frame = logged()
    second = frame.time_s.to_numpy().astype(int)
    carried = frame.score.ffill()
    return pd.DataFrame({
        "health [%]": frame["health [%]"].groupby(second).mean(),
        "heart rate [bpm]": frame["heart rate [bpm]"].groupby(second).mean(),
        "score": carried.groupby(second).mean(),
    })  # fmt: skip


def add_signals(out: Path, video_id: str, frame: pd.DataFrame, start: RecordingStart = NOON) -> None:
    path = out / f"{video_id}.csv"
    frame.to_csv(path, index=False)
    store_signals(VideoFiles(out, video_id), path, SECONDS, lambda: start)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    for video_id in ("a", "b"):
        write_session(folder, Made(seconds=SECONDS, video_id=video_id, markers=MARKERS))
        add_signals(folder, video_id, logged())
    write_session(folder, Made(seconds=SECONDS, people=0, video_id="nobody"))
    add_signals(folder, "nobody", logged())
    write_run(folder, ["a", "b", "nobody"])
    refresh(folder)
    write_tables(folder, PageOptions())
    return folder


def page_of(out: Path, video_id: str) -> str:
    return (out / "reports" / f"{video_id}.html").read_text("utf-8")


def figure_of(html: str, name: str) -> dict:
    return json.loads(
        re.search(rf'<script type="application/json" id="{name}-figure">(.*?)</script>', html, re.S)[1]
    )


def lanes_of(html: str) -> dict[str, dict]:
    figure = figure_of(html, "timeline")
    return {trace["name"]: trace for trace in figure["data"] if "signal" in (trace.get("meta") or {})}


def as_numbers(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


@pytest.mark.parametrize("video_id", ["a", "nobody"])
def test_each_signal_has_a_lane_of_its_means_and_an_axis_of_its_own(out, video_id):
    html = page_of(out, video_id)
    figure, lanes, truth = figure_of(html, "timeline"), lanes_of(html), binned()
    assert list(lanes) == ["score", "heart rate", "health"]  # the cursor lists the last trace first
    for name, title in (("health [%]", "health"), ("heart rate [bpm]", "heart rate"), ("score", "score")):
        np.testing.assert_allclose(
            as_numbers(lanes[title]["y"]), truth[name], atol=0.051 if title != "score" else 0.51
        )
        low, high = figure["layout"][lanes[title]["yaxis"].replace("y", "yaxis")]["range"]
        known = as_numbers(lanes[title]["y"])
        assert low < np.nanmin(known) < np.nanmax(known) < high
        assert high - low < 1.2 * np.ptp(known[np.isfinite(known)])
    titles = " ".join(note["text"] for note in figure["layout"]["annotations"])
    assert "heart rate</span></b>  <span style='font-size:11px'>bpm" in titles


def test_a_gap_in_a_signal_is_a_gap_in_its_lane(out):
    heart = as_numbers(lanes_of(page_of(out, "a"))["heart rate"]["y"])
    assert np.isnan(heart[70:85]).all()
    assert np.isfinite(np.delete(heart, np.s_[70:86])).all()


def test_the_page_says_where_signals_come_from_and_that_ferflow_did_not_measure_them(out, tmp_path):
    html = text(page_of(out, "a"))
    assert "The signals come from a.csv; each value holds until the next one." in html
    assert "ferflow did not measure them" in html
    write_session(tmp_path, Made(seconds=SECONDS, video_id="clocked"))
    frame = pd.DataFrame({"timestamp": ["2024-05-12T12:00:01Z", "2024-05-12T12:00:05Z"], "pulse": [70, 80]})
    add_signals(tmp_path, "clocked", frame)
    html = text(write_session_report(tmp_path, "clocked").read_text("utf-8"))
    assert (
        "The signal comes from clocked.csv, whose times of day count from the start of the recording, "
        "2024-05-12 12:00:00+00:00 (column recording_start of the session list)"
    ) in html


def test_six_signals_are_shown_and_the_rest_is_said(tmp_path):
    write_session(tmp_path, Made(seconds=SECONDS, video_id="many"))
    late = {"late": np.where(np.arange(500) > 400, 1.0, np.nan)}
    frame = pd.DataFrame({"time_s": np.arange(500.0)} | late | {f"s{k}": np.arange(500.0) for k in range(9)})
    add_signals(tmp_path, "many", frame)
    html = write_session_report(tmp_path, "many").read_text("utf-8")
    assert list(lanes_of(html)) == [f"s{k}" for k in reversed(range(MOST_SIGNALS))]
    assert "6 of the 10 signals come from many.csv" in text(html)


def test_signals_without_a_value_in_the_video_have_no_lane(tmp_path):
    write_session(tmp_path, Made(seconds=SECONDS, video_id="late"))
    frame = pd.DataFrame({"time_s": [5.0, 500.0, 501.0], "a": ["unknown", 1, 2]})
    add_signals(tmp_path, "late", frame)
    html = write_session_report(tmp_path, "late").read_text("utf-8")
    assert not lanes_of(html)
    assert "No value of late.csv lies within the video." in text(html)


def test_a_page_without_signals_does_not_speak_of_them(tmp_path):
    html = write_session_report(
        tmp_path, write_session(tmp_path, Made(seconds=20, markers=MARKERS))
    ).read_text("utf-8")
    assert "ignal" not in text(re.sub(r"<script.*?</script>", "", html, flags=re.S))


def test_a_signal_that_never_changes_and_tiny_and_huge_values_are_drawn(tmp_path):
    write_session(tmp_path, Made(seconds=SECONDS, video_id="odd"))
    steps = np.arange(100.0)
    frame = pd.DataFrame(
        {"time_s": steps, "still": 5.0, "zero": 0.0, "tiny": steps * 1e-9, "huge": steps * 1e30}
    )
    add_signals(tmp_path, "odd", frame)
    html = write_session_report(tmp_path, "odd").read_text("utf-8")
    lanes, figure = lanes_of(html), figure_of(html, "timeline")
    for name in ("tiny", "huge"):
        np.testing.assert_allclose(as_numbers(lanes[name]["y"])[:100], frame[name], rtol=1e-5)
    for name in frame.columns[1:]:
        low, high = figure["layout"][lanes[name]["yaxis"].replace("y", "yaxis")]["range"]
        assert low < frame[name].min() <= frame[name].max() < high


# --- Around markers -------------------------------------------------------------------------------------


def around(name: str, label: str) -> pd.DataFrame:
    """Values of a signal around the markers of a label, a column per marker."""
    times = [time for time, _, its_label, _ in MARKERS if its_label == label]
    values = binned()[name].reindex(range(-10, SECONDS + 20))
    lags = range(-5, 11)
    return pd.DataFrame(
        {time: [values[int(np.floor(time + lag))] for lag in lags] for time in times}, index=lags
    )


def test_curves_around_markers_include_signals(out):
    figure = figure_of(page_of(out, "a"), "around")
    titles = [note["text"] for note in figure["layout"]["annotations"]]
    assert len(titles) == 2 * 6  # per label: engagement, net positivity, expressions and three signals
    traces = [trace for trace in figure["data"] if trace.get("name") in ("health", "heart rate", "score")]
    for trace, (label, name) in zip(
        traces, [(label, name) for label in ("boss", "fall") for name in binned().columns], strict=True
    ):
        truth = around(name, label)
        np.testing.assert_allclose(
            as_numbers(trace["y"]), truth.mean(axis=1), atol=0.51 if name == "score" else 0.051
        )
    assert re.fullmatch(r"± [\d.]+ \(3 markers\)", traces[0]["customdata"][0])
    # One signal has one scale, whatever the label.
    ranges = [figure["layout"][f"y{trace['yaxis'][1:]}".replace("y", "yaxis")]["range"] for trace in traces]
    assert ranges[:3] == ranges[3:]


def test_the_same_is_in_a_table(out):
    rows = [row for row in table(page_of(out, "a"), "around") if len(row) == 6]
    assert [row[:3] for row in rows] == [
        [label, n, name] for label, n in (("boss", "3"), ("fall", "1")) for name in binned().columns
    ]
    for label, _, name, before, after, highest in rows:
        mean = around(name, label).mean(axis=1)
        atol = 0.51 if name == "score" else 0.051
        assert float(before) == pytest.approx(mean[mean.index < 0].mean(), abs=atol)
        assert float(after) == pytest.approx(mean[mean.index >= 0].mean(), abs=atol)
        assert float(highest.split(" at ")[0]) == pytest.approx(mean[mean.index >= 0].max(), abs=atol)


def test_csv_files_have_every_bin_and_every_curve(out):
    rows, truth = pd.read_csv(out / "csv" / "signals.csv"), binned()
    assert {*rows.video_id} == {"a", "b", "nobody"}
    for name in truth:
        mine = rows[(rows.video_id == "a") & (rows.signal == name)]
        assert mine.start_s.tolist() == list(range(SECONDS))
        np.testing.assert_allclose(mine["mean"], truth[name], rtol=1e-9)
    curves = pd.read_csv(out / "csv" / "marker_curves.csv").query("video_id == 'a'")
    for name in truth:
        for label in ("boss", "fall"):
            mine = curves[(curves.measure == f"signal:{name}") & (curves.label == label)]
            values = around(name, label)
            np.testing.assert_allclose(mine["mean"], values.mean(axis=1), rtol=1e-9)
            np.testing.assert_allclose(mine.spread, values.std(axis=1), rtol=1e-9)
            assert mine.n.tolist() == values.count(axis=1).tolist()
    sums = pd.read_csv(out / "csv" / "around_markers.csv").query(
        "video_id == 'a' and measure == 'signal:score'"
    )
    before = [around("score", label).mean(axis=1)[:5].mean() for label in ("boss", "fall")]
    assert sums.before.tolist() == pytest.approx(before)


# --- Stale pages, hostile names, a browser --------------------------------------------------------------


def test_other_signals_make_the_page_of_their_video_stale(tmp_path):
    for video_id in "ab":
        write_session(tmp_path, Made(seconds=20, video_id=video_id))
    write_run(tmp_path, ["a", "b"])
    refresh(tmp_path)
    add_signals(tmp_path, "a", pd.DataFrame({"time_s": [0, 1], "pulse": [70, 80]}))
    written = {path.name for path in refresh(tmp_path).written}
    assert "a.html" in written
    assert "b.html" not in written
    assert "pulse" in page_of(tmp_path, "a")


def test_damaged_signals_cost_their_page_only_and_say_so(tmp_path):
    for video_id in "ab":
        write_session(tmp_path, Made(seconds=20, video_id=video_id))
    write_run(tmp_path, ["a", "b"])
    add_signals(tmp_path, "a", pd.DataFrame({"time_s": [0, 1], "pulse": [70, 80]}))
    VideoFiles(tmp_path, "a").signals.write_bytes(b"PAR1")
    done = refresh(tmp_path)
    assert list(done.failed) == ["a"]
    assert "signals" in done.failed["a"]
    assert VideoFiles(tmp_path, "b").report.exists()
    write_tables(tmp_path, PageOptions())
    assert pd.read_csv(tmp_path / "csv" / "signals.csv").empty


def hostile_frame() -> pd.DataFrame:
    names = [HOSTILE.replace("\n", " "), "%{x} [%{y}]", "=cmd() [<b>]", "a" * 100]
    return pd.DataFrame({"time_s": np.arange(20.0)} | {name: np.arange(20.0) * 1.5 for name in names})


def test_hostile_names_are_text_on_the_page_and_in_the_files(tmp_path):
    write_session(tmp_path, Made(seconds=20, video_id="h", markers=((5.0, None, "x", ""),)))
    add_signals(tmp_path, "h", hostile_frame())
    html = write_session_report(tmp_path, "h").read_text("utf-8")
    assert "<img src=x" not in html
    assert "\u202e" not in html
    write_run(tmp_path, ["h"])
    write_tables(tmp_path, PageOptions())
    assert {*pd.read_csv(tmp_path / "csv" / "signals.csv").signal} >= {"'=cmd() [<b>]", "%{x} [%{y}]"}


@NEEDS_CHROMIUM
def test_a_browser_shows_the_values_at_the_cursor_and_hostile_names_as_text(browser, out, tmp_path):
    write_session(tmp_path, Made(seconds=20, video_id="h", markers=((5.0, None, "x", ""),)))
    add_signals(tmp_path, "h", hostile_frame())
    hostile = write_session_report(tmp_path, "h")
    errors = list[str]()
    page = open_tab(browser)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((out / "reports" / "a.html").as_uri())
    page.wait_for_selector("#timeline[data-drawn]")
    page.fill("#time-slider", "30")
    shown = dict(zip(
        page.locator("#current-values-list > div span").all_text_contents(),
        page.locator("#current-values-list > div b").all_text_contents(), strict=True,
    ))  # fmt: skip
    truth = binned().loc[30]
    assert float(shown["health"].removesuffix(" %")) == pytest.approx(truth["health [%]"], abs=0.051)
    assert shown["heart rate"] == f"{truth['heart rate [bpm]']:g} bpm"
    assert float(shown["score"]) == pytest.approx(truth["score"], abs=0.51)
    page.fill("#time-slider", "80")
    assert "heart rateunknown" in page.text_content("#current-values-list")
    page.evaluate("() => Plotly.Fx.hover(document.getElementById('timeline'), { xval: 30500 }, 'xy')")
    page.wait_for_selector("#timeline .hoverlayer text")
    assert f"heart rate : {truth['heart rate [bpm]']:g} bpm" in page.text_content("#timeline .hoverlayer")
    page.goto(hostile.as_uri())
    page.wait_for_selector("#timeline[data-drawn]")
    page.evaluate("() => Plotly.Fx.hover(document.getElementById('timeline'), { xval: 5500 }, 'xy')")
    page.wait_for_selector("#timeline .hoverlayer text")
    # A unit that looks like a template of plotly stays what it is.
    assert "%{x} : 7.5 %{y}" in page.text_content("#timeline .hoverlayer").replace("\u200b", "")
    assert page.title() != "owned"
    assert not page.query_selector("img[src=x]")
    close_tab(page)
    assert errors == []
