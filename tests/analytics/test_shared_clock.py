"""Curves of participants on the time that their sessions share: bins by hand, points by arithmetic."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ferflow.analytics.cohort import CohortVideo, build_cohort, count_bins
from ferflow.analytics.session_list import SessionRow
from ferflow.analytics.shared_clock import SharedClock, build_clocks
from ferflow.analytics.stimuli import Stimulus
from tests.dashboards.test_cohort import video

SHOW = Stimulus("show", None)


def with_bins(one: CohortVideo, bin_seconds: float) -> CohortVideo:
    """The same bins, each of another length."""
    table = one.timeline
    for name in ("bin_start_s", "bin_end_s", "face_s", "readable_s"):
        values = pa.array(table.column(name).to_numpy() * bin_seconds, pa.float64())
        table = table.set_column(table.column_names.index(name), name, values)
    return CohortVideo(
        one.video_id, table, name=one.name, stimulus=one.stimulus, session=one.session, stimulus_s=one.stimulus_s,
        duration_s=(one.duration_s or 0.0) * bin_seconds,
    )  # fmt: skip


def only(videos: list[CohortVideo]) -> SharedClock:
    (clock,) = build_clocks(videos)
    return clock


@pytest.mark.parametrize(
    ("n_bins", "joined", "n_points"),
    [(1200, 1, 1200), (1201, 2, 601), (2400, 2, 1200), (2401, 3, 801), (5, 1, 5)],
)
def test_beyond_1200_bins_neighbours_are_averaged(n_bins, joined, n_points):
    values = np.random.default_rng(0).random(n_bins)
    clock = only([video("a", {1: values.tolist()})])
    assert (clock.bins_joined, clock.n_points) == (joined, n_points)
    assert (clock.step_s, clock.end_s) == (joined, joined * n_points)
    wanted = [values[k : k + joined].mean() for k in range(0, n_bins, joined)]
    assert clock.band(None, "expressiveness").mean == pytest.approx(wanted)


def test_joined_bins_are_weighted_by_readable_time():
    readable_s = [1.0, 0.25] * 700
    clock = only([video("a", {1: [0.0, 1.0] * 700}, readable_s=readable_s)])
    assert clock.bins_joined == 2
    assert clock.band(None, "expressiveness").mean == pytest.approx([0.2] * 700)


def test_in_joined_bins_events_are_in_their_point():
    values = [0.0] * 1400 + [None] * 10
    values[701] = 1.0
    clock = only([video("a", {1: values})])
    assert clock.ever_reacted(None).mean.tolist() == [0.0] * 350 + [1.0] * 355
    assert clock.still_there(None).mean.tolist() == [1.0] * 700 + [0.0] * 5


@pytest.mark.parametrize(
    ("lengths", "bin_seconds", "n"),
    [
        ((1.0, 1.0, 0.5), 1.0, 2),
        ((0.5, 1.0, 0.5), 0.5, 2),
        ((2.0, 0.5, 1.0), 0.5, 1),
        ((1.0, 1.0 + 1e-9, 1.0), 1.0, 3),
    ],
)
def test_sessions_whose_bins_have_another_length_are_left_out_and_named(lengths, bin_seconds, n):
    videos = [
        with_bins(video(f"v{k}", {1: [0.5] * 40}, stimulus=SHOW), length) for k, length in enumerate(lengths)
    ]
    clock = only(videos)
    assert (clock.bin_seconds, clock.cohort.n_participants) == (bin_seconds, n)
    fitting = [f"v{k}" for k, length in enumerate(lengths) if abs(length - bin_seconds) < 1e-6]
    assert [one.video_id for one in clock.videos] == fitting
    assert sorted(clock.other_bins) == sorted({"v0", "v1", "v2"} - set(fitting))


@pytest.mark.parametrize(
    ("offset_s", "shift"),
    [(0.0, 0), (3.0, 3), (3.4, 3), (3.5, 3), (3.6, 4), (-2.0, -2), (-2.4, -2), (-2.6, -3)],
)
def test_a_session_is_moved_by_its_offset_to_the_nearest_bin(offset_s, shift):
    # Ben's camera started `offset_s` before the stimulus: what he shows in a bin belongs to an earlier one.
    marked = [0.0] * 30
    marked[15] = 1.0
    still = video("a", {1: [0.0] * 30}, stimulus=SHOW)
    moved = video("b", {1: marked}, stimulus=SHOW, session=SessionRow(offset_s=offset_s))
    clock = only([still, moved])
    by_video = {one.video_ids[0]: one for one in clock.cohort.participants}
    curve = clock.curve(by_video["b"], "expressiveness")
    assert np.nanargmax(curve) == 15 - shift
    assert clock.end_s >= 30 - offset_s - 1


@pytest.mark.parametrize(("bin_seconds", "offset_s", "shift"), [(0.5, 3.0, 6), (0.5, 3.2, 6), (2.0, 3.2, 2)])
def test_an_offset_moves_by_as_many_bins_as_it_is_long(bin_seconds, offset_s, shift):
    marked = [0.0] * 30
    marked[15] = 1.0
    still = with_bins(video("a", {1: [0.0] * 30}, stimulus=SHOW), bin_seconds)
    session = SessionRow(offset_s=offset_s)
    moved = with_bins(video("b", {1: marked}, stimulus=SHOW, session=session), bin_seconds)
    clock = only([still, moved])
    by_video = {one.video_ids[0]: one for one in clock.cohort.participants}
    assert np.nanargmax(clock.curve(by_video["b"], "expressiveness")) == 15 - shift


def test_a_bin_at_the_edge_of_the_stimulus_counts_in_part():
    # The stimulus lasts from 2.5 s to 22.5 s of the recording; bins 2 and 22 belong to it by half.
    one = video("a", {1: [0.0] * 30}, stimulus=SHOW, session=SessionRow(offset_s=2.5), stimulus_s=20.0)
    other = video("b", {1: [0.0] * 30}, stimulus=SHOW, stimulus_s=20.0)
    clock = only([one, other])
    by_video = {found.video_ids[0]: found for found in clock.cohort.participants}
    assert by_video["a"].readable_s == pytest.approx(20.0)
    assert by_video["a"].length_s == pytest.approx(20.0)
    assert by_video["b"].readable_s == pytest.approx(20.0)
    assert clock.n_points == 20


@pytest.mark.parametrize(
    ("length_s", "bin_seconds", "n"),
    [(10.0, 1.0, 10), (10.04, 1.0, 10), (10.06, 1.0, 11), (9.96, 1.0, 10), (5.02, 0.5, 10)],
)
def test_a_bin_of_which_less_than_a_twentieth_is_left_does_not_count(length_s, bin_seconds, n):
    assert count_bins(length_s, bin_seconds) == n


@pytest.mark.parametrize(
    ("seconds", "is_counted"), [(10, True), (9, False)],
)  # fmt: skip
def test_a_participant_counts_from_ten_readable_seconds_on(seconds, is_counted):
    values = [0.5] * seconds + [None] * (40 - seconds)
    cohort = build_cohort([video("a", {1: [0.5] * 40}), video("b", {1: values})])
    assert cohort.n_participants == 1 + is_counted
    assert [one.reason for one in cohort.left_out] == ["brief"] * (not is_counted)


def test_clocks_are_in_the_order_of_their_stimuli():
    names = ["beta", "Alpha", "gamma"]
    videos = [
        video(f"{name}{k}", {1: [0.5] * 20}, stimulus=Stimulus(name, None)) for name in names for k in (1, 2)
    ]
    assert [clock.stimulus.name for clock in build_clocks(videos)] == ["Alpha", "beta", "gamma"]


def test_a_stimulus_of_which_nobody_is_counted_has_no_clock():
    videos = [video(name, {1: [0.5] * 3}, stimulus=SHOW) for name in "ab"]
    assert build_clocks(videos) == ()
    assert build_clocks([video("a", {}, stimulus=SHOW)]) == ()


def test_who_is_readable_long_enough_with_one_stimulus_counts_though_another_was_left_early():
    ada = SessionRow(participant="Ada")
    videos = [
        video("a", {1: [0.5] * 40}, stimulus=SHOW, session=ada),
        video("b", {1: [0.5] * 2 + [None] * 38}, stimulus=Stimulus("quiz", None), session=ada),
    ]
    cohort = build_cohort(videos)
    assert [one.name for one in cohort.participants] == ["Ada"]
    assert cohort.left_out == ()


def test_a_video_of_unknown_length_ends_with_its_last_bin():
    one = CohortVideo("a", video("a", {1: [0.5] * 12}).timeline)
    assert (one.video_end_s, one.length_s, one.clock_end_s) == (12.0, 12.0, 12.0)
    nothing = CohortVideo("b", one.timeline.slice(0, 0))
    assert (nothing.video_end_s, nothing.is_outside) == (0.0, False)


@pytest.mark.parametrize(
    ("second", "n_clocks"),
    [(SessionRow(part=2), 1), (SessionRow(), 0), (SessionRow(part=2, participant="Ada"), 0)],
)
def test_files_share_a_time_if_all_are_parts_of_one_recording(second, n_clocks):
    videos = [
        video("a", {1: [0.5] * 20}, session=SessionRow(part=1)),
        video("b", {1: [0.5] * 20}, session=second),
    ]
    assert len(build_clocks(videos)) == n_clocks


def test_groups_are_in_alphabetical_order_and_participants_without_one_are_last():
    groups = {"a": "quiz", "b": None, "c": "drama", "d": "drama"}
    cohort = build_cohort([video(name, {1: [0.5] * 20}, group=group) for name, group in groups.items()])
    assert cohort.groups == ("drama", "quiz")
    assert [one.video_ids[0] for one in cohort.participants] == ["c", "d", "a", "b"]
    assert [len(cohort.of(group)) for group in ("drama", "quiz", None)] == [2, 1, 4]
