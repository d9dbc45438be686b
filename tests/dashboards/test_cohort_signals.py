"""Signals on the overview and in its CSV files; truth by pandas from what the test itself logged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ferflow.analytics.signals import store_signals
from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.overview.clock_chart.signal_rows import MOST_SIGNALS
from ferflow.store.output_folder import OutputFolder
from tests.conftest import some_slow
from tests.dashboards.browse import NEEDS_CHROMIUM, close_tab, open_tab
from tests.dashboards.read_page import text
from tests.made_cohort import TRAILER, play_sessions, trailer_test, write_run
from tests.made_records import Made, write_session

NAMES = ("heart rate [bpm]", "stress")


def log_of(video_id: str) -> pd.DataFrame:
    """A value of each signal per second of a video, by second; stress is logged for two of three sessions only."""
    seed = int(re.sub(r"\D", "", video_id))
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({NAMES[0]: rng.integers(60, 120, 160).astype(float)})
    return frame.assign(stress=rng.random(160)) if seed % 3 else frame


def add_logs(out: Path) -> None:
    for files in OutputFolder(out).finished_videos():
        path = out / f"{files.video_id}.log.csv"
        log_of(files.video_id).to_csv(path, index_label="time_s")
        store_signals(files, path, 1000.0, lambda: pytest.fail("no start is needed"))


@pytest.fixture(scope="module")
def trailer(tmp_path_factory) -> Path:
    """Eight people in two groups in front of one trailer; their cameras start 0, 2.5 and 5 s earlier."""
    out = tmp_path_factory.mktemp("trailer")
    trailer_test(out)
    (out / "trailer.mp4").write_bytes(b"no video, but a file with markers next to it")
    (out / "trailer.markers.csv").write_text(TRAILER)
    add_logs(out)
    refresh(out)
    write_tables(out, PageOptions())
    return out


@pytest.fixture(scope="module")
def play(tmp_path_factory) -> Path:
    """Six play sessions that share nothing but markers."""
    out = tmp_path_factory.mktemp("play")
    play_sessions(out)
    add_logs(out)
    refresh(out)
    write_tables(out, PageOptions())
    return out


def sessions_of(out: Path) -> pd.DataFrame:
    listed = pd.read_csv(out / "sessions.csv")
    # Fred and Gina are not counted: they are seen for too short a time.
    return listed[~listed.participant.isin(["Fred", "Gina"])]


def on_clock(out: Path, name: str, group: str | None) -> pd.DataFrame:
    """Values by participant (rows) and second of the trailer."""
    rows = {}
    for row in sessions_of(out).itertuples():
        log = log_of(row.video)
        if name in log and group in (None, row.group):
            # A camera that starts 2.5 s earlier is moved by 2 bins, as its faces are.
            first = int(np.ceil(row.offset_s - 0.5))
            rows[row.participant] = log[name].iloc[first : first + 60].to_numpy()
    return pd.DataFrame(rows).T


def interval(values: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return stats.t.interval(0.95, values.count() - 1, values.mean(), values.sem())


def of_group(rows: pd.DataFrame, group: str | None) -> pd.DataFrame:
    return rows[rows.group.isna() if group is None else rows.group == group]


def figures_of(out: Path, section: str) -> list[dict]:
    html = (out / "index.html").read_text("utf-8")
    found = re.findall(rf'<section[^>]*data-section="{section}".*?</section>', html, re.S)
    return [json.loads(re.search(r'class="figure">(.*?)</script>', one, re.S)[1]) for one in found]


def as_numbers(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


@pytest.mark.parametrize("group", some_slow("first cut", slow=[None, "new cut"]))
@pytest.mark.parametrize("name", NAMES)
def test_curves_of_signals_are_means_over_participants_with_students_interval(trailer, name, group):
    curves = pd.read_csv(trailer / "csv" / "curves.csv")
    mine = of_group(curves[curves.measure == f"signal:{name}"], group)
    truth = on_clock(trailer, name, group)
    np.testing.assert_allclose(mine["mean"], truth.mean())
    assert mine.n.tolist() == truth.count().tolist()
    low, high = interval(truth)
    np.testing.assert_allclose(mine[["low_95", "high_95"]].to_numpy().T, [low, high])


def test_the_chart_of_a_stimulus_has_a_row_per_signal_with_n(trailer):
    (figure,) = figures_of(trailer, "stimuli")
    rows = {"heart rate [bpm]": "signal 0", "stress": "signal 1"}
    for name, row in rows.items():
        for group in ("first cut", "new cut"):
            (trace,) = [one for one in figure["data"] if one.get("meta") == {"row": row, "group": group}]
            truth = on_clock(trailer, name, group)
            np.testing.assert_allclose(
                as_numbers(trace["y"]), truth.mean(), atol=0.06 if row == "signal 0" else 0.0006
            )
            assert trace["customdata"] == truth.count().tolist()
            assert "%{y:." in trace["hovertemplate"]
            assert "(n %{customdata})" in trace["hovertemplate"]
    titles = [note["text"] for note in figure["layout"]["annotations"]]
    assert any("heart rate</b>  <span style='font-size:11px'>bpm, from files" in title for title in titles)
    assert "Signals come from files; ferflow did not measure them." in text(
        (trailer / "index.html").read_text("utf-8")
    )


def around(out: Path, name: str, group: str | None) -> pd.DataFrame:
    """Values by participant (rows) and offset from the boss fights."""
    markers = pd.read_csv(out / "csv" / "markers.csv")
    rows = {}
    for row in sessions_of(out).itertuples():
        log = log_of(row.video)
        if name in log and group in (None, row.group):
            times = markers[(markers.video_id == row.video) & (markers.label == "boss_fight")].time_s
            ends = pd.read_parquet(out / "timeline" / f"{row.video}.parquet").bin_end_s.max()
            own = [
                log[name][: int(ends)].reindex(np.floor(time + np.arange(-5, 11))).to_numpy()
                for time in times
            ]
            rows[row.participant] = pd.DataFrame(own).mean()
    return pd.DataFrame(rows).T


@pytest.mark.slow
@pytest.mark.parametrize("group", [None, "novice", "expert"])
@pytest.mark.parametrize("name", NAMES)
def test_responses_to_pooled_markers_include_signals(play, name, group):
    curves = pd.read_csv(play / "csv" / "responses.csv")
    mine = of_group(curves[curves.measure == f"signal:{name}"], group)
    truth = around(play, name, group)
    np.testing.assert_allclose(mine["mean"], truth.mean())
    low, high = interval(truth)
    np.testing.assert_allclose(mine[["low_95", "high_95"]].to_numpy().T, [low, high])


def test_the_figure_of_responses_has_a_panel_per_signal(play):
    (figure,) = figures_of(play, "scenes")
    assert len(figure["layout"]["annotations"]) == 4
    assert "boss_fight" in figure["layout"]["annotations"][0]["text"]
    traces = {
        (one["meta"]["measure"], one["meta"]["group"]): one for one in figure["data"] if one.get("meta")
    }
    for group in ("novice", "expert"):
        trace = traces["signal:heart rate [bpm]", group]
        truth = around(play, NAMES[0], group)
        np.testing.assert_allclose(as_numbers(trace["y"]), truth.mean(), atol=0.06)
        assert trace["customdata"] == truth.count().tolist()
        low, high = figure["layout"][trace["yaxis"].replace("y", "yaxis")]["range"]
        assert low < truth.mean().min() < truth.mean().max() < high


def test_the_most_frequent_signals_are_shown_and_the_rest_is_said(tmp_path):
    for k in range(2):
        write_session(tmp_path, Made(seconds=20, video_id=f"v{k}"))
        names = [f"s{n}" for n in range(7)] if k else ["s6"]
        path = tmp_path / "log.csv"
        pd.DataFrame({name: np.arange(20.0) for name in names}).to_csv(path, index_label="time_s")
        store_signals(OutputFolder(tmp_path).video(f"v{k}"), path, 20.0, lambda: None)
    (tmp_path / "sessions.csv").write_text("video,stimulus\nv0,film\nv1,film\n")
    write_run(tmp_path, ["v0", "v1"])
    refresh(tmp_path)
    (figure,) = figures_of(tmp_path, "stimuli")
    titles = " ".join(note["text"] for note in figure["layout"]["annotations"])
    assert re.findall(r"<b>(s\d)</b>", titles) == ["s0", "s1", "s2", "s6"] or "<b>s6</b>" in titles
    assert len(re.findall(r"<b>s\d</b>", titles)) == MOST_SIGNALS
    assert "Of 7 signals, the 4 that most sessions have are shown" in text(
        (tmp_path / "index.html").read_text("utf-8")
    )


def test_an_overview_without_signals_does_not_speak_of_them(tmp_path):
    trailer_test(tmp_path, n=3)
    refresh(tmp_path)
    html = (tmp_path / "index.html").read_text("utf-8")
    assert "ignal" not in text(re.sub(r"<script.*?</script>", "", html, flags=re.S))


@pytest.mark.slow
def test_other_signals_make_the_overview_stale(tmp_path):
    trailer_test(tmp_path, n=3)
    refresh(tmp_path)
    add_logs(tmp_path)
    assert "index.html" in {path.name for path in refresh(tmp_path).written}
    assert "index.html" in {path.name for path in refresh(tmp_path).kept}


@NEEDS_CHROMIUM
def test_a_browser_shows_the_values_of_each_group_at_the_cursor(browser, trailer):
    errors = list[str]()
    page = open_tab(browser)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((trailer / "index.html").as_uri())
    page.locator("[data-stimulus] .chart").scroll_into_view_if_needed()
    page.wait_for_selector("[data-stimulus] .chart[data-drawn]")
    page.fill("[data-stimulus] input[type=range]", "30")
    shown = page.text_content("[data-stimulus] .current-values-list")
    for group in ("first cut", "new cut"):
        value = on_clock(trailer, NAMES[0], group).mean()[30]
        found = re.search(rf"heart rate.*{group}: ([\d.]+) bpm \(n 4\)", shown)
        assert float(found[1]) == pytest.approx(value, abs=0.051)
    close_tab(page)
    assert errors == []
