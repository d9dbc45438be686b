"""Peaks of timelines whose bins are written here: places, heights and extents follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ferflow.analytics.peaks import Peak, peaks, smooth, strongest_moment
from ferflow.analytics.timeline import timeline_schema
from tests.made_records import LABELS


def timeline_of(
    people: Mapping[int, Sequence[str]],
    *,
    bin_seconds: float = 1.0,
    expressive: Sequence[float] | None = None,
    valence: Sequence[float] | None = None,
    seconds: Sequence[float] | None = None,
) -> pa.Table:
    """A TIMELINE of people and what each shows in each bin: the first letters of a label, `.` neutral, ` ` not seen."""
    n = len(next(iter(people.values())))
    lengths = seconds or [bin_seconds] * n
    rows = []
    for k in range(n):
        here = {person: shown[k] for person, shown in people.items() if shown[k] != " "}
        bounds = {"bin_start_s": k * bin_seconds, "bin_end_s": (k + 1) * bin_seconds, "seconds": lengths[k]}
        reacting = [float(shown != ".") for shown in here.values()]
        facts = {
            "expressiveness": expressive[k] if expressive else 0.0,
            "valence": valence[k] if valence else 0.0,
        }
        known = facts if here else {}
        shares = {
            f"shown_{label}": float(np.mean([label.startswith(shown) for shown in here.values()]))
            if here
            else None
            for label in LABELS
        }
        mean = float(np.mean(reacting)) if here else None
        rows.append(
            {**bounds, "person_id": None, "n_readable": len(here), "reacting": mean, **known, **shares}
        )
        for person, shown in here.items():
            own = {f"shown_{label}": float(label.startswith(shown)) for label in LABELS}
            rows.append(
                {
                    **bounds,
                    "person_id": person,
                    "n_readable": 1,
                    "reacting": float(shown != "."),
                    **known,
                    **own,
                }
            )
    schema = timeline_schema(LABELS)
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in schema.names} for row in rows], schema=schema
    )


def lane(n: int, *stretches: tuple[int, int, str]) -> str:
    shown = ["."] * n
    for start, stop, label in stretches:
        shown[start:stop] = label * (stop - start)
    return "".join(shown)


def curves(found: Sequence[Peak], curve: str) -> list[Peak]:
    return [peak for peak in found if peak.curve == curve]


@pytest.mark.parametrize("bin_seconds", [0.2, 0.5, 1.0, 2.0, 10.0])
def test_a_reaction_is_found_in_bins_of_any_length(bin_seconds):
    # From 40 s to 60 s of 120 s; of equally strong bins the last whole one is the strongest.
    n, first, last = (round(seconds / bin_seconds) for seconds in (120, 40, 60))
    (peak,) = peaks(
        timeline_of({1: lane(n, (first, last, "h")), 2: lane(n, (first, last, "s"))}, bin_seconds=bin_seconds)
    )
    assert peak.curve == "reacting"
    assert peak.time_s == pytest.approx(60 - bin_seconds / 2)
    # Half of the height is at the bounds of the reaction, for every width of the moving average.
    assert peak.start_s == pytest.approx(40, abs=1e-6)
    assert peak.end_s == pytest.approx(60, abs=1e-6)
    assert (peak.height, peak.prominence) == pytest.approx((1.0, 1.0))
    assert peak.person_ids == (1, 2)
    assert sorted(peak.shown) == [("happy", 1), ("sad", 1)]


@pytest.mark.parametrize(
    ("bin_seconds", "width"), [(0.2, 15), (0.5, 5), (1.0, 3), (2.0, 1), (0.6, 5), (10.0, 1)]
)
def test_curves_are_averaged_over_about_three_seconds(bin_seconds, width):
    values = np.random.default_rng(2).random(40)
    values[[3, 4, 20]] = np.nan
    wanted = pd.Series(values).rolling(width, center=True, min_periods=1).mean()
    got = smooth(values, bin_seconds)
    known = np.isfinite(values) | (width > 1)
    np.testing.assert_allclose(got[known], wanted[known])


def test_where_nobody_reacts_expressive_faces_are_no_peak():
    expressive = [0.4 if 20 <= k < 25 else 0.0 for k in range(60)]
    assert peaks(timeline_of({1: lane(60)}, expressive=expressive)) == []
    assert strongest_moment(timeline_of({1: lane(60)}, expressive=expressive)) is None
    (peak,) = peaks(timeline_of({1: lane(60, (22, 23, "h"))}, expressive=expressive))
    assert (peak.time_s, peak.person_ids, peak.label) == (22.5, (1,), "happy")


@pytest.mark.parametrize(("height", "is_found"), [(0.09, False), (0.11, True)])
def test_a_peak_of_expressiveness_stands_out_by_a_tenth(height, is_found):
    # Someone reacts throughout, so that only expressiveness changes.
    expressive = [0.3 + height * (20 <= k < 26) for k in range(60)]
    found = peaks(timeline_of({1: "h" * 60}, expressive=expressive))
    assert [peak.curve for peak in found] == ["expressiveness"] * is_found


@pytest.mark.parametrize(("small", "n"), [(0.11, 1), (0.13, 2)])
def test_a_peak_of_less_than_a_fifth_of_the_largest_one_is_a_ripple(small, n):
    expressive = [0.6 * (10 <= k < 16) + small * (40 <= k < 46) for k in range(60)]
    assert len(peaks(timeline_of({1: "h" * 60}, expressive=expressive))) == n


@pytest.mark.parametrize(("apart", "n"), [(4, 1), (6, 2)])
def test_of_two_peaks_within_five_seconds_the_higher_one_is_kept(apart, n):
    expressive = [0.0] * 60
    expressive[30], expressive[30 + apart] = 0.9, 0.7
    found = peaks(timeline_of({1: "h" * 60}, expressive=expressive))
    assert [peak.time_s for peak in found] == [30.5, 30.5 + apart][:n]


def test_peaks_of_two_curves_at_one_moment_are_one():
    # Reacting is 1 of 2 people for 6 s; expressiveness rises by more, two seconds later.
    expressive = [0.9 * (22 <= k < 28) for k in range(60)]
    (peak,) = peaks(timeline_of({1: lane(60, (20, 26, "h")), 2: lane(60)}, expressive=expressive))
    assert peak.curve == "expressiveness"


def test_bins_without_analysed_time_at_both_ends_do_not_count():
    away = "     "
    people = {1: away + lane(40, (0, 4, "h"), (36, 40, "h")) + away}
    seconds = [0.0] * 5 + [1.0] * 40 + [0.0] * 5
    found = peaks(timeline_of(people, seconds=seconds))
    assert [(peak.start_s, peak.end_s) for peak in found] == [(5.0, 9.0), (41.0, 45.0)]
    assert peaks(timeline_of({1: " " * 5}, seconds=[0.0] * 5)) == []


def test_a_video_ends_within_its_last_bin():
    found = peaks(timeline_of({1: lane(30, (26, 30, "h"))}, bin_seconds=2.0, seconds=[2.0] * 29 + [1.5]))
    assert [(peak.time_s, peak.end_s) for peak in found] == [((58 + 59.5) / 2, 59.5)]


@pytest.mark.parametrize(("last_s", "time_s"), [(0.9, 56 + 1), (1.1, 58 + 0.55)])
def test_a_bin_that_the_video_only_begins_is_not_the_strongest(last_s, time_s):
    found = peaks(timeline_of({1: lane(30, (26, 30, "h"))}, bin_seconds=2.0, seconds=[2.0] * 29 + [last_s]))
    assert [peak.time_s for peak in found] == [pytest.approx(time_s)]


def test_a_bin_with_more_people_is_stronger_than_one_with_more_expressive_faces():
    people = {1: lane(30, (10, 16, "h")), 2: lane(30, (12, 13, "h")), 3: lane(30, (12, 14, "s"))}
    expressive = [0.9 * (k == 15) + 0.1 * (k == 12) for k in range(30)]
    moment = strongest_moment(timeline_of(people, expressive=expressive))
    assert (moment.time_s, moment.n_reacting, moment.n_readable) == (12.5, 3, 3)
    assert moment.person_ids == (1, 2, 3)
    assert (moment.label, moment.shown) == ("happy", (("happy", 2), ("sad", 1)))


@pytest.mark.parametrize(
    ("before", "after", "is_found"),
    [
        (-0.5, 0.5, True), (0.5, -0.5, True), (-0.18, 0.9, False), (-0.22, 0.9, True), (0.15, 0.9, False),
        (-0.22, 0.22, False), (-0.3, 0.25, True),
    ],
)  # fmt: skip
def test_a_turn_of_net_positivity_needs_both_sides_and_half_of_its_range(before, after, is_found):
    # Bins of three seconds: a mean before and after is that of one bin.
    valence = [before] * 10 + [after] * 10
    found = peaks(timeline_of({1: "." * 20}, valence=valence, bin_seconds=3.0))
    assert [peak.curve for peak in found] == ["valence"] * is_found
    for peak in found:
        assert (peak.height, peak.time_s) == pytest.approx((after - before, 31.5), abs=1e-6)
        assert peak.person_ids == ()


@pytest.mark.parametrize("bin_seconds", [0.2, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_turn_is_where_it_is_largest(bin_seconds, sign):
    # The means change sign in the bins around it, too, by less: there the sides are mixed.
    n = round(60 / bin_seconds)
    valence = [-0.3 * sign] * (n // 2) + [0.95 * sign] * (n // 2)
    (peak,) = peaks(timeline_of({1: "." * n}, valence=valence, bin_seconds=bin_seconds))
    assert (peak.height, peak.time_s) == pytest.approx((1.25 * sign, 30 + bin_seconds / 2), abs=1e-6)


def test_a_gap_in_which_nobody_is_seen_is_no_peak():
    shown = lane(60, (10, 16, "h"))
    gap = shown[:30] + " " * 10 + shown[40:]
    assert peaks(timeline_of({1: gap})) == peaks(timeline_of({1: shown}))


def test_only_the_most_prominent_peaks_are_kept_in_order_of_time():
    expressive = [0.0] * 120
    heights = {10: 0.5, 22: 0.9, 34: 0.6, 46: 0.3, 58: 0.8}
    for at, height in heights.items():
        expressive[at] = height
    found = peaks(timeline_of({1: "h" * 120}, expressive=expressive), most=3)
    assert [peak.time_s for peak in found] == [22.5, 34.5, 58.5]


def test_a_page_shows_eight_peaks_at_most():
    expressive = [0.0] * 240
    expressive[10::20] = [0.9] * 12
    assert len(peaks(timeline_of({1: "h" * 240}, expressive=expressive), most=20)) == 12
    assert len(peaks(timeline_of({1: "h" * 240}, expressive=expressive))) == 8


@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_turn_near_either_end_has_the_mean_of_what_there_is_on_that_side(is_reversed):
    valence = [-0.9, -0.5] + [0.9] * 28
    (peak,) = peaks(timeline_of({1: "." * 30}, valence=valence[::-1] if is_reversed else valence))
    # A turn is at the first bin after it.
    assert peak.time_s == (28.5 if is_reversed else 2.5)
    assert abs(peak.height) == pytest.approx(0.9 + 0.7)
