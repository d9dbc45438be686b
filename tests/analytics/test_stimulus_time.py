"""Only what happens while the stimulus lasts counts; truth by arithmetic and with pandas."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
import pandas as pd
import pytest

from ferflow.analytics.cohort import Cohort, CohortVideo, build_cohort
from ferflow.analytics.cohort_signals import clock_band, response_band
from ferflow.analytics.pooled_markers import common_scenes, pool_markers
from ferflow.analytics.session_list import SessionRow, read_sessions
from ferflow.analytics.shared_clock import build_clocks
from ferflow.analytics.signals import Signal, sum_timeline_bins
from ferflow.analytics.stimuli import Stimulus
from ferflow.dashboards import PageOptions, write_index
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.errors import OptionsError
from tests.cohort_by_hand import keep_counted, mean_interval, means, read_people
from tests.dashboards.test_cohort import table, video
from tests.made_cohort import draw_stimulus, write_run
from tests.made_records import Made, write_session

SHOW = Stimulus("show.mp4", None)


def session(
    name: str,
    values: list[float | None],
    *,
    offset_s: float = 0.0,
    stimulus_s: float | None = 20.0,
    signal: list[float] | None = None,
    **facts: object,
) -> CohortVideo:
    """A person in front of a stimulus; a value per second."""
    made = video(name, {1: values}, stimulus=SHOW, stimulus_s=stimulus_s, **facts)
    made = replace(made, session=SessionRow(participant=name, offset_s=offset_s))
    if signal is None:
        return made
    pulse = Signal("pulse", np.arange(len(signal), dtype=float), np.array(signal, dtype=float))
    return replace(made, signals=sum_timeline_bins([pulse], made.timeline, made.start_s, made.end_s))


def mean_of(video: CohortVideo) -> float:
    (one,) = build_cohort([video]).participants
    return one.mean("engagement")


# --- After the end -------------------------------------------------------------------------------------------


def test_what_is_shown_after_the_end_of_the_stimulus_counts_in_no_mean_and_is_no_reaction():
    one = session("ada", [0.0] * 20 + [1.0] * 40)
    (found,) = build_cohort([one]).participants
    assert found.mean("engagement") == 0
    assert not found.has_reacted
    assert (found.readable_s, found.face_s, found.length_s) == (20, 20, 20)


def test_of_the_bin_in_which_the_stimulus_ends_the_part_before_its_end_counts():
    assert mean_of(session("ada", [0.0] * 20 + [1.0] * 40, stimulus_s=20.5)) == pytest.approx(0.5 / 20.5)


def test_of_the_bin_in_which_the_stimulus_starts_the_part_after_its_start_counts():
    values = [1.0] * 4 + [0.0] * 40
    assert mean_of(session("ada", values, offset_s=3.25)) == pytest.approx(0.75 / 20)
    assert mean_of(session("ada", values, offset_s=3.75)) == pytest.approx(0.25 / 20)


def test_a_last_bin_that_the_video_fills_in_part_is_not_cut_twice():
    """The video ends at 20.5 s and the stimulus at 20.25 s: half of the last half second counts."""
    readable = [1.0] * 20 + [0.5]
    one = session("ada", [0.0] * 20 + [1.0], stimulus_s=20.25, readable_s=readable)
    assert mean_of(replace(one, duration_s=20.5)) == pytest.approx(0.25 / 20.25)


def test_without_a_known_length_everything_after_the_start_counts():
    one = session("ada", [0.0] * 20 + [1.0] * 20, stimulus_s=None)
    assert mean_of(one) == pytest.approx(0.5)


def test_who_is_readable_only_after_the_stimulus_is_not_counted():
    late = session("bo", [None] * 20 + [1.0] * 40)
    cohort = build_cohort([session("ada", [0.0] * 60), late])
    assert [(one.participant.name, one.reason) for one in cohort.left_out] == [("bo", "unseen")]


def test_groups_differ_by_what_happens_during_the_stimulus_only():
    videos = [
        session("ada", [1.0] * 10 + [0.0] * 10 + [0.0] * 60, group="x"),
        session("bo", [0.0] * 20 + [1.0] * 60, group="y"),
    ]
    cohort = build_cohort(videos)
    assert [cohort.of(group)[0].mean("engagement") for group in "xy"] == [0.5, 0.0]


def test_the_curves_agree_with_the_means_about_reactions_and_about_who_is_still_there():
    """Ada reacts after the stimulus only; Bo looks away during its last 5 s and comes back when it is over."""
    ada = session("ada", [0.0] * 20 + [1.0] * 20)
    bo = session("bo", [1.0] * 15 + [None] * 5 + [1.0] * 20)
    (clock,) = build_clocks([ada, bo])
    assert clock.ever_reacted(None).mean[-1] == 0.5
    assert sum(one.has_reacted for one in clock.cohort.participants) == 1
    assert clock.still_there(None).mean[[14, 15, 19]].tolist() == [1.0, 0.5, 0.5]


@pytest.mark.parametrize("offset_s", [0.0, 2.4, 2.5, 2.6, -3.3])
def test_no_time_of_the_stimulus_is_lost_on_the_curves_whatever_the_offset(offset_s):
    one = session("ada", [0.5] * 60, offset_s=offset_s)
    (clock,) = build_clocks([one])
    total = clock.total(clock.cohort.participants[0], ["engagement"]).weights["engagement"].sum()
    assert total == pytest.approx(20 + min(offset_s, 0))
    assert clock.n_points == 20


# --- Markers and signals --------------------------------------------------------------------------------------


def test_markers_after_the_stimulus_are_not_pooled_and_lags_after_its_end_have_no_value():
    """A cheer 3 s before the end, after which everybody reacts 1 s later and, when it is over, all the time."""
    values = [0.0] * 18 + [1.0, 0.0] + [1.0] * 40
    cheers = ((17.0, None, "cheer", ""), (40.0, None, "cheer", ""))
    videos = [session(name, values, markers=cheers) for name in ("ada", "bo")]
    pool = pool_markers(videos, build_cohort(videos), SHOW)
    assert pool.n_markers("cheer") == 2
    at = dict(zip(pool.lags, pool.response("cheer", None, "engagement").mean, strict=True))
    assert [at[lag] for lag in (0, 1, 2)] == [0, 1, 0]
    assert np.isnan([at[lag] for lag in range(3, 11)]).all()


def test_a_scene_that_goes_on_after_the_stimulus_counts_up_to_its_end():
    scene = ((10.0, 50.0, "talk", ""),)
    videos = [session(name, [0.0] * 15 + [1.0] * 45, markers=scene) for name in ("ada", "bo")]
    pool = pool_markers(videos, build_cohort(videos), SHOW)
    assert pool.scene("talk", None, "engagement").mean == pytest.approx(5 / 10)


def test_a_scene_that_starts_before_the_recording_counts_from_where_it_is_recorded():
    """Bo's camera starts 5 s late; the scene lasts from 0 to 10 s of the stimulus."""
    ada = session("ada", [1.0] * 5 + [0.0] * 55, markers=((0.0, 10.0, "opening", ""),))
    bo = session("bo", [1.0] * 5 + [0.0] * 55, offset_s=-5.0, markers=((-5.0, 5.0, "opening", ""),))
    pool = pool_markers([ada, bo], build_cohort([ada, bo]), SHOW)
    assert pool.scene("opening", None, "engagement").mean == pytest.approx((0.5 + 1.0) / 2)
    (scene,) = common_scenes([ada, bo], 1.0)
    assert (scene.start_s, scene.end_s) == (0.0, 10.0)


def test_signals_outside_of_the_stimulus_do_not_count():
    log = [99.0] * 5 + [10.0] * 20 + [99.0] * 35
    cheer = ((22.0, None, "cheer", ""),)
    videos = [session(name, [0.0] * 60, offset_s=5.25, signal=log, markers=cheer) for name in ("ada", "bo")]
    (clock,) = build_clocks(videos)
    found = clock_band(clock, None, "pulse")
    assert found.mean[:19].tolist() == [10.0] * 19
    # The stimulus ends at 25.25: a quarter of a second of 99.
    assert found.mean[19] == pytest.approx((10 + 0.25 * 99) / 1.25)
    pool = pool_markers(videos, clock.cohort, SHOW)
    around = dict(zip(pool.lags, response_band(pool, "cheer", None, "pulse").mean, strict=True))
    assert [around[lag] for lag in (0, 2, 3)] == [10, 10, 99]
    assert np.isnan(around[4])


def test_from_the_tables_on_disk_pandas_finds_the_same(tmp_path):
    """Four cameras run for 60 s; the stimulus has a little less than 30 s and starts at another time in each."""
    rows = ["video,participant,group,offset_s,stimulus"]
    for k, offset_s in enumerate((0.0, 2.5, 10.3, 27.4)):
        write_session(tmp_path, Made(seconds=60, fps=8, video_id=f"v{k}", seed=k))
        rows.append(f"v{k},p{k},{'xy'[k % 2]},{offset_s},film.mp4")
    (tmp_path / "sessions.csv").write_text("\n".join(rows))
    write_run(tmp_path, [f"v{k}" for k in range(4)])
    with av.open(str(draw_stimulus(tmp_path / "film.mp4", seconds=30))) as container:
        stimulus_s = container.duration / 1e6
    write_tables(tmp_path, PageOptions())
    own = means(keep_counted(read_people(tmp_path, stimulus_s)), ["group", "participant"])
    got = table(tmp_path, "participants").set_index("participant")
    for (_, who), row in own.iterrows():
        assert got.loc[who, "engagement"] == pytest.approx(row.engagement, abs=1e-6)
        assert got.loc[who, "valence"] == pytest.approx(row.valence, abs=1e-6)
    groups = table(tmp_path, "groups").query("measure == 'valence'").set_index("group")
    for group in "xy":
        want = mean_interval(own.loc[group].valence, (-1, 1))
        assert groups.loc[group, "n"] == 2
        assert groups.loc[group, "mean"] == pytest.approx(want[1], abs=1e-6)


# --- An offset that leaves nothing ----------------------------------------------------------------------------------


def left_out(cohort: Cohort) -> list[tuple[str, str]]:
    return [(one.participant.name, one.reason) for one in cohort.left_out]


@pytest.mark.parametrize("offset_s", [60.0, 75.0, -20.0, -300.0])
def test_an_offset_that_leaves_nothing_of_the_stimulus_is_the_reason(offset_s):
    cohort = build_cohort([session("ada", [0.0] * 60), session("bo", [0.0] * 60, offset_s=offset_s)])
    assert left_out(cohort) == [("bo", "outside")]


def test_a_participant_with_a_recording_outside_of_the_stimulus_and_one_within_counts():
    second = replace(session("b", [0.0] * 60), session=SessionRow(participant="ada", offset_s=75.0))
    parts = [session("ada", [0.0] * 60), second]
    assert [part.is_outside for part in parts] == [False, True]
    cohort = build_cohort(parts)
    assert cohort.left_out == ()
    assert cohort.n_participants == 1


def test_a_negative_offset_of_a_stimulus_without_a_known_length_leaves_everything():
    assert left_out(build_cohort([session("ada", [0.0] * 60, offset_s=-300.0, stimulus_s=None)])) == []


def test_page_and_warning_name_the_offset_and_both_lengths(tmp_path):
    for name in "abc":
        write_session(tmp_path, Made(seconds=40, video_id=name))
    (tmp_path / "sessions.csv").write_text(
        "video,participant,offset_s,stimulus\na,Ann,0,film.mp4\nb,Bo,75,film.mp4\nc,Cy,-0:20,film.mp4\n"
    )
    draw_stimulus(tmp_path / "film.mp4", seconds=20)
    folder = load_folder(tmp_path, PageOptions())
    assert list(folder.warnings) == [
        "b.mp4: offset_s is 75 s, but the recording is only 40.0 s long. Correct the session list.",
        "c.mp4: offset_s is -20 s, so the stimulus, 19.8 s long, ended before the recording began. Correct the "
        "session list.",
    ]
    html = write_index(tmp_path).read_text(encoding="utf-8")
    assert "Bo (offset_s is 75 s, but the recording is only 40.0 s long)" in html
    assert "no face was seen" not in html


@pytest.mark.parametrize(
    ("text", "seconds"), [("-2.5", -2.5), ("-0:30", -30.0), ("−1:00.5", -60.5), ('"-2,5"', -2.5), ("7", 7.0)]
)
def test_an_offset_may_be_negative_in_seconds_or_as_a_timecode(tmp_path, text, seconds):
    path = tmp_path / "sessions.csv"
    path.write_text(f"video,offset_s\na,{text}\n", encoding="utf-8")
    assert read_sessions(path, {"a": "/a.mp4"}).of("a").offset_s == seconds


def test_an_offset_that_is_no_time_is_still_refused(tmp_path):
    path = tmp_path / "sessions.csv"
    for text in ("--5", "-", "soon", "-12f"):
        path.write_text(f"video,offset_s\na,{text}\n")
        with pytest.raises(OptionsError, match="line 2: offset_s"):
            read_sessions(path, {"a": "/a.mp4"})


def test_a_late_camera_lies_at_its_place_on_the_clock():
    """Both see the same: an expression at 10 s of the stimulus. Bo's camera started 4 s after it."""
    ada = session("ada", [1.0 if k == 10 else 0.0 for k in range(20)])
    bo = session("bo", [1.0 if k == 6 else 0.0 for k in range(20)], offset_s=-4.0)
    (clock,) = build_clocks([ada, bo])
    curves = pd.DataFrame([clock.curve(one, "engagement") for one in clock.cohort.participants]).mean()
    assert curves.tolist() == [1.0 if k == 10 else 0.0 for k in range(20)]
    assert clock.n_readable(None)[:5].tolist() == [1, 1, 1, 1, 2]
