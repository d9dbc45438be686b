"""The timeline chart: steps from the start of a bin to its end, axes, thresholds, and its rows on paper."""

from __future__ import annotations

import itertools
import json
import re
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from ferflow import palette
from ferflow.analytics.measures import EXPRESSIVE_THRESHOLD, MEASURES
from ferflow.dashboards.session_report.downsample import downsample
from ferflow.dashboards.session_report.sections.timeline import build_timeline
from ferflow.dashboards.session_report.session_data import Session, load_session
from ferflow.dashboards.session_report.timeline_chart.canvas import MOST_RUNS, find_runs
from ferflow.dashboards.session_report.timeline_chart.figure import build_timeline_figure
from ferflow.dashboards.shared.axis_range import fit_range, signed_ticks
from tests.made_records import Made, write_session

START = datetime(1970, 1, 1)


def session_of(out, made: Made, **metadata) -> Session:
    return load_session(out, write_session(out, made, **metadata))


def seconds(time: str) -> float:
    return (datetime.fromisoformat(time) - START).total_seconds()


def drawn_stretches(figure, name: str) -> list[tuple[float, float]]:
    """Where a curve is drawn, in seconds: the line between middles of bins, and what completes it."""
    place = next(k for k, trace in enumerate(figure.data) if trace.name == name and trace.line.width)
    curve, halves = figure.data[place], figure.data[place + 1]
    middles = seconds(curve.x0) + curve.dx / 1000 * np.arange(len(curve.y))
    found = [(a, b) for a, b, y, z in zip(middles, middles[1:], curve.y, curve.y[1:], strict=False)
             if y is not None and z is not None]  # fmt: skip
    x = halves.x or ()
    found += [(seconds(a), seconds(b)) for a, b in itertools.pairwise(x) if a is not None and b is not None]
    joined: list[tuple[float, float]] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1] + 1e-6:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def row_axis(figure, title: str):
    """The y axis of the row with this title."""
    (found,) = [note for note in figure.layout.annotations if title in note.text]
    return figure.layout["yaxis" + found.yref.split()[0][1:]]


@pytest.mark.parametrize("name", ["engagement", "expressiveness", "net positivity", "reacting"])
def test_a_curve_reaches_from_the_start_of_the_first_bin_to_the_end_of_the_last_and_stops_at_gaps(
    tmp_path, name
):
    figure = build_timeline_figure(
        session_of(tmp_path, Made(seconds=30, holes=((10, 12),), away=((20, 21),)))
    )
    assert drawn_stretches(figure, name) == [(0, 10), (12, 20), (21, 30)]


def test_a_bin_between_two_gaps_is_drawn(tmp_path):
    figure = build_timeline_figure(session_of(tmp_path, Made(seconds=9, away=((0, 4), (5, 9)))))
    assert drawn_stretches(figure, "engagement") == [(4, 5)]


def test_areas_start_and_end_where_the_curves_do(tmp_path):
    figure = build_timeline_figure(session_of(tmp_path, Made(seconds=30, holes=((10, 12),))))
    lines = [trace for trace in figure.data if trace.type == "scatter"]
    areas = [trace for trace in lines if trace.stackgroup and trace.stackgroup != "coverage"]
    assert len(areas) >= 6
    for trace in areas:
        # Plotly steps halfway between points: bin k is drawn from k to k + 1 if its point is at k + 0.5.
        assert (seconds(trace.x0), trace.dx, trace.line.shape) == (-0.5, 1000, "hvh")
        assert [k - 1 for k, value in enumerate(trace.y) if value is None] == [10, 11]
        assert (trace.y[0], trace.y[-1]) == (trace.y[1], trace.y[-2])


def test_many_gaps_do_not_make_the_page_heavy(tmp_path):
    away = tuple((k, k + 1) for k in range(0, 600, 2))
    figure = build_timeline_figure(session_of(tmp_path, Made(seconds=600, fps=4, away=away)))
    assert len(figure.to_json()) < 150_000
    assert (
        len(find_runs(np.array(next(t for t in figure.data if t.name == "engagement").y, float))) > MOST_RUNS
    )


def test_runs_of_known_values():
    nan = np.nan
    assert find_runs(np.array([nan, 1, 2, nan, 3])) == [(1, 2), (4, 4)]
    assert find_runs(np.array([nan])) == find_runs(np.array([])) == []


@pytest.mark.parametrize("seconds_long", [2.4, 2.96, 2.0, 0.1])
def test_the_chart_ends_where_the_video_ends(tmp_path, seconds_long):
    session = session_of(tmp_path, Made(seconds=seconds_long, fps=50))
    figure = build_timeline_figure(session)
    for axis in (figure.layout.xaxis, figure.layout.xaxis2, figure.layout.xaxis2.rangeslider):
        assert [seconds(end) for end in axis.range] == pytest.approx([0, seconds_long])
    assert drawn_stretches(figure, "engagement")[-1][1] == pytest.approx(
        max(seconds_long, int(seconds_long) + 0.5), abs=0.5
    )


def test_coverage_fills_the_part_of_the_last_bin_that_the_video_has(tmp_path):
    data = downsample(session_of(tmp_path, Made(seconds=2.4, fps=50)))
    np.testing.assert_allclose(sum(data.coverage.values()), 1.0)


def test_without_a_duration_the_chart_ends_with_the_last_bin(tmp_path):
    session = session_of(tmp_path, Made(seconds=2.4, fps=50), duration_s=0.0)
    assert downsample(session).end_s == 3.0


# --- Axes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("full", "values", "least", "wanted"),
    [
        ((0, 1), [0.01, 0.02], 0.5, (0, 0.5)),  # noise stays small
        ((0, 1), [0.1, 0.7], 0.5, (0, 0.77)),
        ((0, 1), [1.0], 0.5, (0, 1)),
        ((0, 1), [np.nan], 0.5, (0, 0.5)),
        ((0, 200), [130, 150], 0.5, (0, 165)),
        ((-1, 1), [-0.01, 0.02], 0.5, (-0.1, 0.5)),
        (
            (-1, 1),
            [-0.7, 0.1],
            0.5,
            (-0.77, 0.154),
        ),  # each side as high as its curve needs, zero always in sight
        ((-1, 1), [-0.3, 0.6], 0.25, (-0.33, 0.66)),
        ((-1, 1), [-1.0], 0.5, (-1, 0.22)),
        ((-10, 20), [15.0], 0.5, (-3.3, 16.5)),
    ],
)
def test_an_axis_follows_the_data_with_headroom_and_without_exaggeration(full, values, least, wanted):
    assert fit_range(full, np.array(values), least=least) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ((-0.15, 0.77), ["0", "+0.5"]),
        ((-1, 1), ["−1", "−0.5", "0", "+0.5", "+1"]),
        ((-0.33, 0.3), ["−0.2", "0", "+0.2"]),
    ],
)
def test_ticks_of_a_signed_axis_have_signs_and_zero(limits, words):
    assert signed_ticks(*limits)["ticktext"] == words


def test_net_positivity_uses_its_height_shows_zero_and_names_its_sides(tmp_path):
    figure = build_timeline_figure(session_of(tmp_path, Made(seconds=60, people=2)))
    axis = row_axis(figure, "Net positivity")
    drawn = [trace for trace in figure.data if (trace.meta or {}).get("measure") == "valence"]
    values = np.array(drawn[0].y, float)
    low, high = axis.range
    assert low < 0 < high
    assert 0 in axis.tickvals
    assert high - low < 1.6
    assert np.nanmax(values) > 0.4 * high
    (title,) = [note.text for note in figure.layout.annotations if "Net positivity" in note.text]
    assert re.search("above zero .*positive.*below zero .*negative", title)


def test_a_stretch_at_rest_is_labelled_and_differs_from_other_markers(tmp_path):
    marks = ((2.0, 12.0, "Person 1", "rest"), (20.0, 30.0, "level 1", "level"))
    session = session_of(tmp_path, Made(seconds=40, people=2, markers=marks))
    figure = build_timeline_figure(session)
    level, rest = [shape for shape in figure.layout.shapes if shape.xref == "x"]
    assert [seconds(end) for end in (rest.x0, rest.x1)] == [2, 12]
    assert rest.line.dash == "dash"
    assert level.line.width == 0
    assert rest.fillcolor != level.fillcolor
    facts = json.loads(build_timeline(session).facts)
    assert facts["segments"] == [[20, 30, "level 1"], [2, 12, "at rest: Person 1"]]
    # A calibration is no event with a response.
    assert set(session.curves.column("label").to_pylist()) == {"level 1"}


def test_shares_have_the_whole_axis_and_the_threshold_is_in_sight(tmp_path):
    figure = build_timeline_figure(session_of(tmp_path, Made(seconds=60, people=4)))
    assert row_axis(figure, "Reacting").range == (0, 1.05)
    assert row_axis(figure, "Expressions").range == pytest.approx((0, 1), abs=0.005)
    (line,) = [shape for shape in figure.layout.shapes if shape.xref == "x domain"]
    axis = row_axis(figure, "Engagement")
    assert figure.layout["yaxis" + line.yref[1:]] == axis
    assert line.y0 == line.y1 == EXPRESSIVE_THRESHOLD
    assert ["threshold" in words for words in axis.ticktext] == [
        value == EXPRESSIVE_THRESHOLD for value in axis.tickvals
    ]
    assert axis.range[0] == 0
    assert axis.range[1] >= 0.6


def test_reacting_is_a_share_of_several_people_and_yes_or_no_of_one(tmp_path):
    for people, ticks in ((1, ("no", "yes")), (4, None)):
        made = Made(seconds=60, people=people, video_id=f"of{people}")
        figure = build_timeline_figure(session_of(tmp_path, made))
        bins = pd.read_parquet(tmp_path / f"timeline/{made.video_id}.parquet")
        whole = bins[bins.person_id.isna()]
        curve = next(trace for trace in figure.data if trace.name == "reacting" and trace.meta)
        np.testing.assert_allclose(np.array(curve.y, float), whole.reacting.to_numpy(float), atol=1e-3)
        assert row_axis(figure, "Reacting").ticktext == ticks


def test_every_trace_draws_something(tmp_path):
    figure = build_timeline_figure(session_of(tmp_path, Made(seconds=20)))
    known = [trace.y if trace.type == "scatter" else trace.z for trace in figure.data]
    assert all(any(value is not None for value in values) for values in known)


def test_without_people_nobody_is_said_not_to_react(tmp_path):
    figure = build_timeline_figure(session_of(tmp_path, Made(seconds=20, people=0)))
    assert not [note for note in figure.layout.annotations if "Reacting" in note.text]


# --- On paper ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("people", [1, 6, 16, 40])
def test_on_paper_the_chart_fits_a_sheet_and_rows_stay_legible(tmp_path, people):
    session = session_of(tmp_path, Made(seconds=60, fps=5, people=people, markers=((5, None, "boo", ""),)))
    figure = build_timeline_figure(session)
    paper = figure.layout.meta["paper"][0]
    assert paper["height"] <= 940  # an A4 sheet has 1032 px between its margins, and the section a heading
    rows = sorted((bottom, top) for bottom, top in paper["domains"].values())
    assert all(top <= bottom for (_, top), (bottom, _) in itertools.pairwise(rows))
    heights = {axis: (top - bottom) * paper["height"] for axis, (bottom, top) in paper["domains"].items()}
    lanes = next(trace for trace in figure.data if trace.type == "heatmap")
    assert heights[lanes.yaxis] / len(lanes.z) >= 14
    assert heights[next(trace for trace in figure.data if trace.name == "engagement").yaxis] >= 70


def rows_of_bins(out, made: Made) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Audience and people, as the table has them."""
    bins = pd.read_parquet(out / f"timeline/{made.video_id}.parquet")
    return bins[bins.person_id.isna()], bins[bins.person_id.notna()]


def test_positive_is_drawn_upwards_and_negative_downwards_each_in_its_colour(tmp_path):
    made = Made(seconds=60, people=2)
    figure = build_timeline_figure(session_of(tmp_path, made))
    whole, _ = rows_of_bins(tmp_path, made)
    for name, sign, measure in (("positive", 1, "positive"), ("−negative", -1, "negative")):
        (area,) = [trace for trace in figure.data if trace.name == name]
        # One bin more on each side, out of sight.
        np.testing.assert_allclose(np.array(area.y[1:-1], float), sign * whole[measure], atol=2e-3)
        red, green, blue = (int(MEASURES[measure].colour[k : k + 2], 16) for k in (1, 3, 5))
        assert area.fillcolor.replace(" ", "").startswith(f"rgba({red},{green},{blue},")
    assert whole.negative.max() > 0.05


def test_each_lane_shows_the_label_that_its_person_shows_longest_in_its_colour(tmp_path):
    made = Made(seconds=60, people=3)
    session = session_of(tmp_path, made)
    figure = build_timeline_figure(session)
    (lanes,) = [trace for trace in figure.data if trace.type == "heatmap"]
    labels, _, people = session.labels, *rows_of_bins(tmp_path, made)
    colours = palette.colours(labels)
    n_seen = 0
    for person, lane in zip(lanes.meta["ids"], lanes.z, strict=True):
        mine = people[people.person_id == person].set_index("bin_start_s")
        for k, value in enumerate(lane):
            if value is None or value == len(labels) or mine.n_readable.get(float(k), 0) < 1:
                continue
            shown = mine.loc[float(k), [f"shown_{label}" for label in labels]].astype(float)
            assert shown.iloc[int(value)] == shown.max()
            # Plotly's scale goes from zmin to zmax, 0 to 1.
            place = (value - lanes.zmin) / (lanes.zmax - lanes.zmin)
            below = max(step for step in lanes.colorscale if step[0] <= place)
            assert below[1] == colours[labels[int(value)]]
            n_seen += 1
    assert n_seen > 60


def test_shares_of_labels_are_stacked_in_their_colours(tmp_path):
    made = Made(seconds=60, people=2)
    session = session_of(tmp_path, made)
    figure = build_timeline_figure(session)
    whole, _ = rows_of_bins(tmp_path, made)
    colours = palette.colours(session.labels)
    drawn = {trace.name: trace for trace in figure.data if getattr(trace, "stackgroup", None) == "shares"}
    assert set(drawn) == {label for label in session.labels if whole[f"shown_{label}"].sum() > 0}
    for label, area in drawn.items():
        np.testing.assert_allclose(np.array(area.y[1:-1], float), whole[f"shown_{label}"], atol=2e-3)
        assert area.fillcolor == colours[label]
