"""The cohort of an overview: every number again with pandas from the Parquet, and by hand."""

from __future__ import annotations

import csv
import json
import math
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ferflow.analytics.cohort import CohortVideo, build_cohort, natural_key, part_of
from ferflow.analytics.group_comparison import comparison
from ferflow.analytics.person_names import GivenNames
from ferflow.analytics.pooled_markers import pool_markers
from ferflow.analytics.session_list import SessionRow
from ferflow.analytics.shared_clock import build_clocks
from ferflow.analytics.stimuli import Stimulus
from ferflow.dashboards import PageOptions, write_index
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.errors import OptionsError
from tests.cohort_by_hand import keep_counted, mean_interval, means, read_people, share_interval
from tests.dashboards.read_page import share, signed, text
from tests.dashboards.read_page import table as page_table
from tests.made_cohort import (
    TRAILER,
    draw_stimulus,
    forty_sessions,
    one_audience,
    play_sessions,
    trailer_test,
)
from tests.made_records import Made, write_session

HOSTILE = "<img src=x onerror=\"alert(1)\"> '=cmd' \u202egpj"
SHOW = Stimulus("show", None)


@pytest.fixture(scope="module")
def forty(tmp_path_factory):
    out = tmp_path_factory.mktemp("forty")
    forty_sessions(out, seconds=40, stimulus="quiz")
    write_tables(out, PageOptions())
    return out


@pytest.fixture(scope="module")
def trailer(tmp_path_factory):
    """Eight people who are counted and two who are not; scenes are marked next to the trailer."""
    out = tmp_path_factory.mktemp("trailer")
    trailer_test(out)
    draw_stimulus(out / "trailer.mp4")
    (out / "trailer.markers.csv").write_text(TRAILER)
    write_tables(out, PageOptions())
    return out


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """Six sessions of different length that share nothing but the label of their markers."""
    out = tmp_path_factory.mktemp("play")
    play_sessions(out)
    write_tables(out, PageOptions())
    return out


def table(out, name) -> pd.DataFrame:
    return pd.read_csv(out / "csv" / f"{name}.csv", encoding="utf-8-sig")


# --- Made by hand: a video of a few bins -------------------------------------------------------------------


def video(
    name: str,
    people: dict[int, list[float | None]],
    *,
    readable_s: list[float] | None = None,
    markers: tuple[tuple[float, float | None, str, str], ...] = (),
    **facts: object,
) -> CohortVideo:
    """A video with bins of a second; of each person the engagement in each bin, None: not in view."""
    rows = []
    for person, values in people.items():
        for k, value in enumerate(values):
            if value is None:
                continue
            seconds = 1.0 if readable_s is None else readable_s[k]
            rows.append({
                "bin_start_s": float(k), "bin_end_s": k + 1.0, "person_id": person, "face_s": 1.0,
                "readable_s": seconds, "reacting": float(value >= 0.5), "engagement": value,
                **dict.fromkeys(("attention", "expressiveness", "valence", "positive", "negative"), value),
            })  # fmt: skip
    length = max((len(values) for values in people.values()), default=10)
    audience = [{"bin_start_s": float(k), "bin_end_s": k + 1.0, "person_id": None} for k in range(length)]
    schema = pa.schema([("person_id", pa.int32())])
    timeline = pa.Table.from_pylist([*audience, *rows])
    fields = ["bin_start_s", "bin_end_s", "face_s", "readable_s", "reacting", "engagement", "attention",
              "expressiveness", "valence", "positive", "negative"]  # fmt: skip
    columns = {
        field: pa.array([row.get(field) for row in [*audience, *rows]], pa.float64()) for field in fields
    }
    ids = pa.array([row["person_id"] for row in [*audience, *rows]], schema.field(0).type)
    timeline = pa.table({**columns, "person_id": ids})
    marked = [dict(zip(("time_s", "end_s", "label", "kind"), marker, strict=True)) for marker in markers]
    table = pa.Table.from_pylist(
        [{"video_id": name, **row} for row in marked], schema=CohortVideo(name, timeline).markers.schema
    )
    return CohortVideo(name, timeline, name=f"{name}.mp4", markers=table, duration_s=float(length), **facts)


def test_a_participants_mean_is_weighted_by_readable_time():
    one = video("a", {1: [1.0, 0.0, 0.0] * 4}, readable_s=[1.0, 0.25, 0.75] * 4)
    (participant,) = build_cohort([one]).participants
    assert participant.mean("engagement") == pytest.approx(0.5)
    assert participant.mean("attention") == pytest.approx(1 / 3)  # by time in view


def test_the_cohorts_mean_weighs_participants_by_readable_time_and_groups_count_each_once():
    videos = [
        video("a", {1: [1.0] * 10}, group="x"),
        video("b", {1: [0.0] * 30}, group="x"),
    ]
    cohort = build_cohort(videos)
    assert cohort.mean("engagement") == pytest.approx(0.25)
    assert [one.mean("engagement") for one in cohort.of("x")] == [1.0, 0.0]


def test_a_participant_in_two_groups_is_one_person_and_is_in_several():
    ada = GivenNames({1: "Ada"})
    videos = [
        video("a", {1: [1.0] * 10}, group="x", names=ada),
        video("b", {1: [0.0] * 10}, group="y", names=ada),
        video("c", {1: [0.0] * 10}, group="y", names=GivenNames({1: "Bo"})),
    ]
    cohort = build_cohort(videos)
    assert (cohort.n_participants, cohort.n_in_several) == (2, 1)
    assert build_cohort(videos[1:]).n_in_several == 0


def test_the_participant_of_the_list_is_the_person_without_a_name_of_her_own_and_nobody_else():
    """As `people` and the overview count them: Bo sits next to Ada, who is in the session list."""
    both = video(
        "v",
        {1: [0.0] * 10, 2: [0.0] * 10},
        names=GivenNames({2: "Bo"}),
        session=SessionRow(participant="Ada"),
    )
    ada, bo = (part_of(both, person, is_alone=False) for person in (1, 2))
    assert (ada.key, ada.name, ada.is_expected) == (("Ada",), "Ada", True)
    assert (bo.key, bo.name) == (("Bo",), "Bo")


def test_sessions_of_one_stimulus_share_a_clock_and_others_do_not():
    videos = [
        video(name, {1: [0.0] * 10}, stimulus=one) for name, one in (("a", SHOW), ("b", SHOW), ("c", None))
    ]
    (clock,) = build_clocks(videos)
    assert (clock.stimulus, clock.cohort.n_participants) == (SHOW, 2)
    assert build_clocks([video(name, {1: [0.0] * 10}) for name in "ab"]) == ()


def test_the_people_of_a_single_video_share_its_time():
    (clock,) = build_clocks([video("a", {1: [0.0] * 10, 2: [1.0] * 10})])
    assert clock.band(None, "engagement").mean.tolist() == [0.5] * 10


def test_a_clock_ends_with_its_stimulus():
    for stimulus_s, end_s in ((None, 30), (12.4, 13), (400.0, 30)):
        videos = [video(name, {1: [0.0] * 30}, stimulus=SHOW, stimulus_s=stimulus_s) for name in "ab"]
        assert build_clocks(videos)[0].end_s == end_s


def test_who_ever_reacted_and_who_is_still_there():
    """Ada reacts in the third bin, Bo in the first and leaves after the fifth, Cy never and leaves after the eighth."""
    videos = [
        video("a", {1: [0, 0, 1.0, 0, 0, 0, 0, 0, 0, 0]}, stimulus=SHOW),
        video("b", {1: [1.0, 0, 0, 0, 0] + [None] * 5}, stimulus=SHOW),
        video("c", {1: [0.4] * 8 + [None] * 2}, stimulus=SHOW),
    ]
    (clock,) = build_clocks(videos)
    third = 1 / 3
    assert clock.ever_reacted(None).mean == pytest.approx([third, third, *[2 * third] * 8])
    assert clock.still_there(None).mean == pytest.approx([1.0] * 5 + [2 * third] * 3 + [third] * 2)
    assert clock.still_there(None).n.tolist() == [3] * 10


def test_those_who_leave_too_early_to_be_counted_are_among_those_who_leave():
    early = video("b", {1: [0.0] * 3 + [None] * 27}, stimulus=SHOW)
    (clock,) = build_clocks([video("a", {1: [0.0] * 30}, stimulus=SHOW), early])
    assert clock.cohort.n_participants == 1
    assert clock.still_there(None).mean[[2, 3]].tolist() == [1.0, 0.5]
    assert clock.ever_reacted(None).n.tolist() == [1] * 30
    # One of several people in a video may have passed through the picture.
    crowd = video("b", {1: [0.0] * 3 + [None] * 27, 2: [0.0] * 30}, stimulus=SHOW)
    (clock,) = build_clocks([video("a", {1: [0.0] * 30}, stimulus=SHOW), crowd])
    assert clock.still_there(None).n.tolist() == [2] * 30


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (video("x", {}), "unseen"),
        (video("x", {1: [0.0] * 30}, readable_s=[0.0] * 30), "unreadable"),
        (video("x", {1: [0.0] * 6}), "short"),
        (video("x", {1: [0.0] * 4 + [None] * 6}), "brief"),  # as long as is just enough
        (video("x", {1: [0.0] * 4 + [None] * 26}), "brief"),
        (video("x", {1: [0.0] * 30}, readable_s=[0.2] * 30), "little"),
        (video("x", {1: [0.0] * 10 + [None] * 20}, readable_s=[0.97] * 10 + [0.0] * 20), "little"),
        (video("x", {1: [0.0] * 10 + [None] * 20}), None),
    ],
)
def test_who_is_not_counted_and_why(one, reason):
    cohort = build_cohort([one, video("long", {1: [0.0] * 60})])
    found = {left_out.participant.parts[0].video.video_id: left_out.reason for left_out in cohort.left_out}
    assert found == ({} if reason is None else {"x": reason})
    assert cohort.n_participants == 2 - len(found)


def test_where_all_sessions_are_short_half_of_the_longest_is_enough():
    videos = [
        video("a", {1: [0.0] * 14}),
        video("b", {1: [0.0] * 7 + [None] * 7}),
        video("c", {1: [0.0] * 6 + [None]}),
    ]
    cohort = build_cohort(videos)
    assert sorted(part.video.video_id for one in cohort.participants for part in one.parts) == ["a", "b"]


def test_less_than_five_seconds_never_count_not_even_with_a_stimulus_of_their_own():
    fred = video("fred", {1: [0.0] * 4}, stimulus=SHOW)
    cohort = build_cohort([fred, video("a", {1: [0.0] * 60})])
    assert [(one.participant.parts[0].video.video_id, one.reason) for one in cohort.left_out] == [
        ("fred", "short")
    ]
    assert build_cohort([fred]).participants == ()
    assert build_cohort([video("five", {1: [0.0] * 5}, stimulus=SHOW)]).n_participants == 1


def test_a_person_of_a_short_stimulus_counts_although_other_sessions_are_long():
    short = [video(name, {1: [0.0] * 6}, stimulus=SHOW) for name in "ab"]
    assert build_cohort([*short, video("c", {1: [0.0] * 60})]).n_participants == 3


def test_names_are_in_the_order_that_people_expect():
    names = ["p10", "P2", "p1", "a", "10", "9"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "p1", "P2", "p10"]


# --- Markers, by hand ---------------------------------------------------------------------------------------


def test_each_participant_counts_once_around_markers_however_many_there_are():
    """Ada has three cheers, after which she reacts once; Bo has one, after which he reacts."""
    cheers = tuple((float(at), None, "cheer", "") for at in (10, 30, 50))
    ada = [1.0 if k == 10 else 0.0 for k in range(70)]
    bo = [1.0 if k == 20 else 0.0 for k in range(70)]
    videos = [
        video("ada", {1: ada}, markers=cheers),
        video("bo", {1: bo}, markers=((20.0, None, "cheer", ""),)),
    ]
    pool = pool_markers(videos, build_cohort(videos), None)
    band = pool.response("cheer", None, "engagement")
    at = dict(zip(pool.lags, band.mean, strict=True))
    assert at[0] == pytest.approx((1 / 3 + 1) / 2)
    assert (at[-1], at[1]) == (0, 0)
    assert (pool.n_markers("cheer"), band.n[0]) == (4, 2)
    assert pool.labels == ("cheer",)
    assert pool.scenes == ()


def test_a_participants_markers_are_weighted_by_readable_time():
    readable = [1.0 if k == 10 else 0.25 for k in range(40)]
    values = [1.0 if k == 10 else 0.0 for k in range(40)]
    twice = ((10.0, None, "cheer", ""), (20.0, None, "cheer", ""))
    videos = [
        video("a", {1: values}, readable_s=readable, markers=twice),
        video("b", {1: values}, markers=twice),
    ]
    pool = pool_markers(videos, build_cohort(videos), None)
    lag = pool.lags.tolist().index(0.0)
    assert pool.response("cheer", None, "engagement").mean[lag] == pytest.approx((1 / 1.25 + 0.5) / 2)


def test_scenes_of_one_label_add_up_and_bins_at_their_edges_count_in_part():
    """Ada's scenes span 2.5 s, of which the second bin and half of the third show an expression."""
    ada = [0.0, 1.0, 1.0, *[0.0] * 27]
    scenes = ((1.0, 2.5, "joke", ""), (10.0, 11.0, "joke", ""))
    videos = [
        video("ada", {1: ada}, markers=scenes, group="x"),
        video("bo", {1: [0.0] * 30}, markers=((3.0, 4.0, "joke", ""),), group="y"),
    ]
    pool = pool_markers(videos, build_cohort(videos), None)
    assert pool.scene("joke", "x", "engagement").mean == pytest.approx(1.5 / 2.5)
    both = pool.scene("joke", None, "engagement")
    assert (both.n, both.mean) == (2, pytest.approx(0.3))
    assert pool.scenes == ("joke",)


def test_a_label_of_a_single_session_is_not_pooled_and_a_stretch_at_rest_is_no_scene():
    mark = ((1.0, 2.0, "only here", ""), (0.0, 5.0, "rest", "rest"))
    videos = [video("a", {1: [0.0] * 20}, markers=mark), video("b", {1: [0.0] * 20}, markers=mark[1:])]
    assert pool_markers(videos, build_cohort(videos), None) is None


# --- With pandas, from the tables on disk -----------------------------------------------------------------------


def test_the_table_of_groups_is_what_pandas_finds(forty):
    own = means(keep_counted(read_people(forty)), ["group", "participant"])
    got = table(forty, "groups").set_index(["group", "measure"])
    for group in ("calm", "drama", "quiz show"):
        for measure, limits in (("engagement", (0, 1)), ("valence", (-1, 1)), ("attention", (0, 1))):
            row = got.loc[(group, measure)]
            want = mean_interval(own.loc[group][measure], limits)
            assert [row.n, row["mean"], row.low_95, row.high_95] == pytest.approx(want, abs=1e-4)


def test_curves_and_their_intervals_are_what_pandas_finds(forty):
    rows = keep_counted(read_people(forty)).query("group == 'drama'")
    got = table(forty, "curves").query("group == 'drama'").set_index(["measure", "start_s"])
    assert got.stimulus.unique().tolist() == ["quiz"]
    assert len(got.loc["reacting"]) == 40
    for start in (0.0, 12.0, 33.0):
        at = rows[rows.bin_start_s == start]
        for measure, want in (
            ("reacting", share_interval(at.reacting)),
            ("valence", mean_interval(at.valence, (-1, 1))),
            ("attention", mean_interval(at.attention, (0, 1))),
        ):
            row = got.loc[measure, start]
            assert [row.n, row["mean"], row.low_95, row.high_95] == pytest.approx(want, abs=1e-4)


@pytest.mark.slow
def test_no_interval_in_any_file_lies_outside_the_possible_range(forty, trailer, play):
    for out in (forty, trailer, play):
        for name in ("groups", "curves", "scenes", "responses"):
            found = table(out, name).dropna(subset="low_95")
            lowest = np.where(found.measure == "valence", -1, 0)
            assert (found.low_95 >= lowest).all()
            assert (found.high_95 <= 1).all()
            assert (found.low_95 <= found["mean"] + 1e-9).all()
            assert (found.high_95 >= found["mean"] - 1e-9).all()


def test_pooled_scenes_and_responses_are_what_pandas_finds(play):
    rows = keep_counted(read_people(play))
    marks = pd.concat([pd.read_parquet(path) for path in (play / "markers").glob("*.parquet")])
    own = {}
    around = {}
    for (group, who, name), mine in rows.groupby(["group", "participant", "video_id"]):
        parts, curves = [], []
        for _, mark in marks[marks.video_id == name].iterrows():
            inside = mine.bin_end_s.clip(upper=mark.end_s) - mine.bin_start_s.clip(lower=mark.time_s)
            weight = mine.readable_s * inside.clip(lower=0)
            parts.append(np.array([(mine.engagement * weight).sum(), weight.sum()]))
            at = mine.set_index((mine.bin_start_s - math.floor(mark.time_s)).round().astype(int))
            curves.append(at.reindex(range(-5, 11))[["engagement", "readable_s"]])
        own[group, who] = np.divide(*sum(parts))
        seconds = sum(curve.readable_s.fillna(0) for curve in curves)
        around[group, who] = (
            sum((curve.engagement * curve.readable_s).fillna(0) for curve in curves) / seconds
        )
    scenes = table(play, "scenes").query("measure == 'engagement'").set_index("group")
    responses = table(play, "responses").query("measure == 'engagement'")
    for group in ("novice", "expert"):
        values = pd.Series({who: value for (g, who), value in own.items() if g == group})
        row = scenes.loc[group]
        assert row.label == "boss_fight"
        assert [row.n, row["mean"], row.low_95, row.high_95] == pytest.approx(
            mean_interval(values, (0, 1)), abs=1e-4
        )
        mean = pd.DataFrame({who: curve for (g, who), curve in around.items() if g == group}).mean(axis=1)
        got = responses[responses.group == group].set_index("offset_s")["mean"]
        np.testing.assert_allclose(got, mean, atol=1e-5)
    assert responses.n_markers.unique().tolist() == [18]


def test_scenes_marked_next_to_the_stimulus_hold_for_every_session_at_its_own_time(trailer):
    rows = keep_counted(read_people(trailer))
    chase = rows[(rows.bin >= 8) & (rows.bin < 24)]
    own = means(chase, ["group", "participant"])
    scenes = (
        table(trailer, "scenes")
        .query("label == 'car chase' and measure == 'expressiveness'")
        .set_index("group")
    )
    exact = rows[rows.offset_s % 1 == 0].participant.unique()
    assert scenes.stimulus.unique().tolist() == ["trailer.mp4"]
    for group in ("first cut", "new cut"):
        values = own.loc[group].expressiveness
        assert scenes.loc[group, "n"] == len(values)
        if values.index.isin(exact).all():
            assert scenes.loc[group, "mean"] == pytest.approx(values.mean(), abs=1e-5)
        # Some start within a bin, of which the scene then has a half.
        assert scenes.loc[group, "mean"] == pytest.approx(values.mean(), abs=0.03)
    labels = table(trailer, "responses").label.unique().tolist()
    assert labels == ["crash", "punchline", "opening", "car chase", "dinner", "reveal"]


def test_differences_and_effect_sizes_are_what_their_formulas_say(forty):
    own = means(keep_counted(read_people(forty)), ["group", "participant"]).engagement
    a, b = own["calm"], own["drama"]
    row = table(forty, "comparisons").query(
        "measure == 'engagement' and first == 'calm' and second == 'drama'"
    ).iloc[0]  # fmt: skip
    n, m = len(a), len(b)
    pooled = np.sqrt((np.sum((a - a.mean()) ** 2) + np.sum((b - b.mean()) ** 2)) / (n + m - 2))
    pairs = np.sign(np.subtract.outer(a.to_numpy(), b.to_numpy()))
    assert (row.n_first, row.n_second) == (n, m)
    assert row.difference == pytest.approx(a.mean() - b.mean(), abs=1e-6)
    assert row.hedges_g == pytest.approx(
        (a.mean() - b.mean()) / pooled * (1 - 3 / (4 * (n + m - 2) - 1)), abs=1e-5
    )
    assert row.cliffs_delta == pytest.approx(pairs.mean(), abs=1e-6)
    (_, first, low_a, high_a), (_, second, low_b, high_b) = (mean_interval(x, (0, 1)) for x in (a, b))
    assert row.low_95 == pytest.approx(first - second - np.hypot(first - low_a, high_b - second), abs=1e-4)
    assert row.high_95 == pytest.approx(first - second + np.hypot(high_a - first, second - low_b), abs=1e-4)


def test_a_comparison_worked_out_by_hand():
    """Means .2 and .4, variances .01: s = .1, g = -2 (1 - 3 / 15) = -1.6; seven pairs below, one above, one tie."""
    found = comparison("engagement", ("a", [0.1, 0.2, 0.3]), ("b", [0.3, 0.4, 0.5]))
    assert found.difference == pytest.approx(-0.2)
    assert found.hedges_g == pytest.approx(-1.6)
    assert found.cliffs_delta == pytest.approx(-8 / 9)
    assert not found.has_enough
    assert comparison("engagement", ("a", [0.1] * 5), ("b", [0.3] * 5)).has_enough


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("first", "is_known"), [([0.5, 0.5], False), ([0.5, 0.5 + 1e-9], False), ([0.5, 0.6], True)]
)
def test_groups_whose_values_are_nearly_equal_have_no_effect_size_and_warn_of_nothing(first, is_known):
    found = comparison("engagement", ("a", first), ("b", [0.4, 0.4 + 1e-9]))
    assert found.difference == pytest.approx(np.mean(first) - 0.4)
    assert math.isfinite(found.hedges_g) == is_known
    assert -1 <= found.low < found.difference < found.high <= 1


def test_forty_people_in_one_video_are_forty_participants(tmp_path):
    video_id = one_audience(tmp_path, seconds=40)
    folder = load_folder(tmp_path, PageOptions())
    bins = pd.read_parquet(tmp_path / "timeline" / f"{video_id}.parquet")
    readable = bins[bins.person_id.notna()].groupby("person_id").readable_s.sum()
    assert folder.cohort.n_participants + len(folder.cohort.left_out) == len(readable)
    assert folder.cohort.n_participants == (readable >= 10 - 1e-6).sum()


def test_a_participant_of_several_videos_counts_once(tmp_path):
    for k in range(3):
        write_session(tmp_path, Made(seconds=20, video_id=f"v{k}", seed=k))
    (tmp_path / "sessions.csv").write_text("video,participant,group\nv0,ann,x\nv1.mp4,ann,x\nv2,bo,y\n")
    cohort = load_folder(tmp_path, PageOptions()).cohort
    assert [(one.name, one.video_ids) for one in cohort.participants] == [
        ("ann", ("v0", "v1")),
        ("bo", ("v2",)),
    ]
    bins = pd.concat([pd.read_parquet(tmp_path / "timeline" / f"v{k}.parquet") for k in (0, 1)])
    bins = bins[bins.person_id.notna()]
    assert cohort.participants[0].mean("valence") == pytest.approx(
        np.average(bins.valence, weights=bins.readable_s), abs=1e-6
    )


def test_sessions_are_aligned_by_their_offsets(tmp_path):
    for name in ("a", "b"):
        write_session(tmp_path, Made(seconds=30, video_id=name))
    (tmp_path / "sessions.csv").write_text("video;participant;offset_s;stimulus\na;p;0;s\nb;q;00:05;s\n")
    (clock,) = load_folder(tmp_path, PageOptions()).clocks
    first, later = (clock.curve(one, "valence") for one in clock.cohort.participants)
    assert later[:20] == pytest.approx(first[5:25], nan_ok=True)


# --- The page ---------------------------------------------------------------------------------------------


def figures(html: str) -> list[dict]:
    sections = re.findall(r'data-section="stimuli".*?class="figure">(.*?)</script>', html, re.S)
    return [json.loads(one) for one in sections]


def test_forty_sessions_fit_into_a_megabyte_and_two_renders_are_the_same_bytes(forty):
    page = write_index(forty)
    first = page.read_bytes()
    assert len(first) <= 1_000_000
    assert write_index(forty).read_bytes() == first


def test_the_video_of_the_stimulus_is_on_the_page_by_a_relative_path_and_is_not_copied(trailer):
    before = sorted(path.name for path in trailer.rglob("*.mp4"))
    html = write_index(trailer).read_text(encoding="utf-8")
    assert re.findall(r'<video[^>]* src="([^"]*)"', html) == ["trailer.mp4"]
    assert sorted(path.name for path in trailer.rglob("*.mp4")) == before


def test_a_stimulus_that_is_a_text_has_no_video_and_a_lost_video_says_so(tmp_path):
    trailer_test(tmp_path, n=3, stimulus="Level 1")
    html = write_index(tmp_path).read_text(encoding="utf-8")
    assert "<video" not in html
    assert "was not found" not in html
    listed = (tmp_path / "sessions.csv").read_text().replace("Level 1", "clips/gone.mp4")
    (tmp_path / "sessions.csv").write_text(listed)
    html = write_index(tmp_path).read_text(encoding="utf-8")
    assert "<video" not in html
    assert "The video of the stimulus was not found" in html
    assert ">gone.mp4<" in html


def test_a_stimulus_that_is_no_video_inside_costs_only_its_player(tmp_path):
    trailer_test(tmp_path, n=3)
    (tmp_path / "trailer.mp4").write_bytes(b"no video at all")
    html = write_index(tmp_path).read_text(encoding="utf-8")
    assert "<video" not in html
    assert "The stimulus is not shown here: trailer.mp4: not a video" in html
    assert len(figures(html)) == 1


def test_scenes_of_the_stimulus_are_above_its_curves(trailer):
    (figure,) = figures(write_index(trailer).read_text(encoding="utf-8"))
    labels = [note["text"] for note in figure["layout"]["annotations"] if note["xref"] == "x"]
    assert labels == ["opening", "car chase", "crash", "dinner", "punchline", "reveal"]


def test_the_table_of_scenes_has_the_numbers_of_the_file(trailer, play):
    for out in (trailer, play):
        html = write_index(out).read_text(encoding="utf-8")
        rows = [row[-8:] for row in page_table(html, "scenes-1")]
        found = table(out, "scenes").dropna(subset="group").set_index(["label", "group", "measure"])
        order = list(dict.fromkeys((label, group) for label, group, _ in found.index))
        want = []
        for label, group in order:
            shown, valence = (found.loc[label, group, name] for name in ("engagement", "valence"))
            want.append([
                group, f"{shown.n:.0f}", share(shown["mean"]), f"{share(shown.low_95)} to {share(shown.high_95)}", "",
                signed(valence["mean"]), f"{signed(valence.low_95)} to {signed(valence.high_95)}", "",
            ])  # fmt: skip
        assert rows == want


def test_the_table_of_stimuli_is_what_pandas_finds(tmp_path):
    trailer_test(tmp_path, n=4)
    trailer_test(tmp_path, n=4, stimulus="Concert", first=4, seconds=40)
    rows = page_table(write_index(tmp_path).read_text(encoding="utf-8"), "stimulus-table")
    people = keep_counted(read_people(tmp_path))
    own = means(people, ["stimulus", "participant"])
    want = []
    for stimulus in ("Concert", "trailer.mp4"):
        (n, shown, *ends), (_, valence, *edges) = (
            mean_interval(own.loc[stimulus][name], limits)
            for name, limits in (("engagement", (0, 1)), ("valence", (-1, 1)))
        )
        reacted = people[(people.stimulus == stimulus) & (people.reacting == 1) & (people.bin < 60)]
        want.append([
            stimulus, str(n), "", f"{share(shown)} ({share(ends[0])} to {share(ends[1])})",
            f"{signed(valence)} ({signed(edges[0])} to {signed(edges[1])})", f"{reacted.participant.nunique()} of {n}",
        ])  # fmt: skip
    assert rows == want


def test_several_stimuli_have_a_chart_each_with_the_same_scale(tmp_path):
    trailer_test(tmp_path, n=4)
    trailer_test(tmp_path, n=4, stimulus="Concert", first=4, seconds=40)
    html = write_index(tmp_path).read_text(encoding="utf-8")
    found = figures(html)
    assert re.findall(r'id="stimulus-\d-title"><bdi[^>]*>([^<]*)', html) == ["Concert", "trailer.mp4"]
    titles = [note["text"] for note in found[0]["layout"]["annotations"]]
    assert [one["layout"]["xaxis"]["range"][1][14:19] for one in found] == ["00:40", "01:00"]
    for axis in ("yaxis", "yaxis2", "yaxis3"):
        assert found[0]["layout"][axis]["range"] == found[1]["layout"][axis]["range"]
    assert any("Reacting" in title for title in titles)
    assert 'data-section="stimulus-table"' in html


def test_curves_over_fewer_than_three_participants_are_thin_and_have_no_band(tmp_path):
    trailer_test(tmp_path, n=5)  # three in one group, of whom one leaves, and two in the other
    (figure,) = figures(write_index(tmp_path).read_text(encoding="utf-8"))
    lines = [
        trace for trace in figure["data"] if trace.get("yaxis") == "y" and trace["name"] not in ("band", "")
    ]
    thin = [trace for trace in lines if trace["line"]["width"] == 1]
    assert {trace["name"] for trace in thin} == {"first cut", "new cut"}
    # What is pale on white cannot be told apart on paper.
    assert all(trace.get("opacity", 1) == 1 for trace in lines)
    (solid,) = [trace for trace in lines if trace["line"]["width"] > 1]
    known = [k for k, value in enumerate(solid["y"]) if value is not None]
    assert solid["name"] == "first cut"
    assert max(known) < 32
    bands = [trace for trace in figure["data"] if trace["name"] == "band" and trace["yaxis"] == "y"]
    assert {trace["meta"]["of"] for trace in bands} == {"first cut"}
    assert all(value is None for trace in bands for value in trace["y"][34:])


def test_a_stimulus_whose_participants_have_no_group_is_drawn_for_all_of_them(tmp_path):
    for name in "abcd":
        write_session(tmp_path, Made(seconds=20, video_id=name, markers=((5.0, 9.0, "joke", ""),)))
    (tmp_path / "sessions.csv").write_text("video,group,stimulus\na,x,one\nb,y,one\nc,,two\nd,,two\n")
    first, second = figures(write_index(tmp_path).read_text(encoding="utf-8"))
    assert {trace["meta"]["group"] for trace in first["data"] if "group" in trace.get("meta", {})} == {
        "x",
        "y",
    }
    found = {trace["meta"]["group"] for trace in second["data"] if "group" in trace.get("meta", {})}
    assert found == {"all participants"}


def test_few_participants_are_too_few_to_compare(tmp_path):
    trailer_test(tmp_path, n=8)
    html = write_index(tmp_path).read_text(encoding="utf-8")
    section = re.search(r'data-section="comparisons".*?</section>', html, re.S)[0]
    assert "Too few to compare: a comparison needs 5 participants in each of two groups." in text(section)
    assert "first cut (4) and new cut (4)" in text(section)
    assert "<table" not in section


def test_videos_are_in_the_order_of_their_names_and_have_no_rank(tmp_path):
    for name in ("s10", "s9", "S1"):
        write_session(tmp_path, Made(seconds=12, video_id=name, seed=len(name)))
    html = write_index(tmp_path).read_text(encoding="utf-8")
    section = re.search(r'data-section="videos".*?</section>', html, re.S)[0]
    assert re.findall(r"(\w+)\.mp4<", section) == ["S1", "s9", "s10"]
    write_tables(tmp_path, PageOptions())
    assert table(tmp_path, "videos").video_id.tolist() == ["S1", "s9", "s10"]
    assert "rank" not in table(tmp_path, "videos").columns
    assert 'data-sort="engagement"' in section


def test_a_page_without_shared_stimuli_says_how_to_declare_one(play):
    html = write_index(play).read_text(encoding="utf-8")
    assert "column stimulus to the session list" in text(html)
    assert 'stimulus = "..."' in text(html)
    assert figures(html) == []
    assert html.count('class="small-curve-head"') == 6


def test_hostile_names_of_people_groups_columns_stimuli_and_scenes_are_text(tmp_path):
    marks = ((2.0, 8.0, HOSTILE, HOSTILE), (5.0, None, "</script><script>alert(1)</script>", ""))
    for name in ("a", "b"):
        write_session(tmp_path, Made(seconds=20, video_id=name, source={"name": HOSTILE}, markers=marks))
    with (tmp_path / "sessions.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [
            ["video", "participant", HOSTILE, "stimulus"],
            ["a", HOSTILE, HOSTILE, HOSTILE + "/x.mp4"],
            ["b", "</script>", "<b>", HOSTILE + "/x.mp4"],
        ]
        csv.writer(file).writerows(rows)
    html = write_index(tmp_path, PageOptions(by=HOSTILE)).read_text(encoding="utf-8")
    assert "<img" not in html
    assert html.count("</script>") == len(re.findall(r"<script[ >]", html))
    assert "&lt;b&gt;" in html
    assert "\u202e" not in html
    scripts = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.S)
    assert len(scripts) == 3
    for script in scripts:
        assert "<" not in script
        json.loads(script)


def test_cells_that_a_spreadsheet_would_run_are_made_harmless(tmp_path):
    write_session(tmp_path, Made(seconds=20, video_id="a"))
    (tmp_path / "sessions.csv").write_text('video,participant,group,stimulus\na,"=HYPERLINK(1)",g,=1+1\n')
    write_tables(tmp_path, PageOptions())
    for name in ("participants", "videos", "curves"):
        content = (tmp_path / "csv" / f"{name}.csv").read_text("utf-8-sig")
        assert not re.search(r"(^|,)\"?=", content, re.M)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"),
        ("name,group\na,x\n", "video"),
        ("video,group\na,x\na,y\n", "listed twice"),
        ("video,offset_s\na,soon\n", "offset_s"),
        ("video,group\na,x,y,z\n", "line 2"),
        (b"video,group\na,\xff\n", "UTF-8"),
    ],
)
def test_a_broken_list_of_sessions_says_where_and_why(tmp_path, content, why):
    write_session(tmp_path, Made(seconds=3, video_id="a"))
    path = tmp_path / "sessions.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(OptionsError, match=why) as reported:
        load_folder(tmp_path, PageOptions())
    assert "\n" not in str(reported.value)
    folder = load_folder(tmp_path, PageOptions(), forgiving=True)
    assert len(folder.finished) == 1
    assert why in folder.warnings[0]


def test_broken_markers_next_to_a_stimulus_are_refused_or_left_out_with_a_warning(tmp_path):
    trailer_test(tmp_path, n=2)
    (tmp_path / "trailer.mp4").write_bytes(b"x")
    (tmp_path / "trailer.markers.csv").write_text("time_s,label\nsoon,boom\n")
    with pytest.raises(OptionsError, match=r"trailer.markers.csv, line 2"):
        load_folder(tmp_path, PageOptions())
    folder = load_folder(tmp_path, PageOptions(), forgiving=True)
    assert "trailer.markers.csv" in folder.warnings[0]
    assert folder.left_out


def test_an_unknown_column_to_group_by_names_those_there_are(tmp_path):
    write_session(tmp_path, Made(seconds=3, video_id="a"))
    (tmp_path / "sessions.csv").write_text("video,team\na,x\n")
    with pytest.raises(OptionsError, match="team"):
        load_folder(tmp_path, PageOptions(by="nope"))


def test_a_listed_participant_of_whom_nothing_is_seen_is_named(tmp_path):
    write_session(tmp_path, Made(seconds=20, video_id="a"))
    write_session(tmp_path, Made(seconds=20, video_id="b", people=0))
    (tmp_path / "sessions.csv").write_text("video,participant\na,Ada\nb,Gina\n")
    (left_out,) = load_folder(tmp_path, PageOptions()).cohort.left_out
    assert (left_out.participant.name, left_out.reason) == ("Gina", "unseen")
    session = SessionRow(participant="Gina")
    assert load_folder(tmp_path, PageOptions()).finished[1].video.session.participant == session.participant
