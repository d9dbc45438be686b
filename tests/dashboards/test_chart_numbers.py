"""Every number that the charts of a session's page contain, and what the page's scripts get, worked out with pandas.

A trace, title or shape that the test does not know fails it.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.dashboards.expect_session import (
    MOST_LANES,
    bins_per_step,
    curves,
    digits_of,
    split_unit,
    write_signal,
)
from tests.dashboards.made_sessions import SESSIONS, Session, some_sessions
from tests.dashboards.read_page import text, values_in
from tests.dashboards.recompute import MEASURES, STATES, Tables

ROUNDING = 1.1e-3  # three digits; 0.9997 is no 1.000
WORDS = dict(zip(STATES, (
    "with a face that can be read", "only faces turned away", "only small faces", "only blurred faces",
    "only covered faces", "only faces that do not count", "no face", "excluded by corrections",
    "no frame could be read", "outside start and end",
), strict=True))  # fmt: skip
FORMATS = {"engagement": "%{y:.0%}", "attention": "%{y:.0%}", "reacting": "%{y:.0%}", "expressiveness": "%{y:.2f}",
           "valence": "%{y:+.2f}"}  # fmt: skip
"""How the cursor's label writes the curves."""


def seconds(time: str) -> float:
    return (datetime.fromisoformat(time) - datetime(1970, 1, 1)).total_seconds()


def known(values: list[float | None] | np.ndarray) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def check_close(found: Any, wanted: Any, name: str) -> None:
    np.testing.assert_allclose(known(found), known(wanted), atol=ROUNDING, err_msg=name)


class Chart:
    """The timeline of a page, and what it should draw."""

    def __init__(self, session: Session) -> None:
        self.session, self.video, self.figure = session, session.video, session.page.json["timeline-figure"]
        self.traces: list[dict[str, Any]] = self.figure["data"]
        self.step_s = bins_per_step(self.video) * self.video.bin_s
        names = [*MEASURES, *self.video.shown]
        self.curves = curves(self.video, names)
        self.n = len(self.curves["engagement"])

    def check(self, k: int) -> None:
        """Check trace `k` by what it is."""
        trace = self.traces[k]
        name, group, is_curve = (
            trace.get("name", ""),
            trace.get("stackgroup", ""),
            "measure" in trace.get("meta", {}),
        )
        checks: list[tuple[bool, Callable[[dict[str, Any]], None]]] = [
            (is_curve, self.check_curve),
            ("signal" in trace.get("meta", {}), self.check_signal),
            ("x" in trace and name == "", lambda trace: self.check_halves(trace, self.traces[k - 1])),
            (group == "coverage", self.check_coverage),
            (bool(group) and group != "coverage", self.check_area),
            (name == "people", self.check_lanes),
            (name == "peaks", self.check_peaks),
            (name == "markers", self.check_markers),
        ]
        (check,) = [check for applies, check in checks if applies]
        check(trace)

    def check_grid(self, trace: dict[str, Any], first_s: float) -> None:
        """A point per step, the first at a time."""
        assert (seconds(trace["x0"]), trace["dx"]) == pytest.approx((first_s, self.step_s * 1000))

    def check_curve(self, trace: dict[str, Any]) -> None:
        name = trace["meta"]["measure"]
        check_close(trace["y"], self.curves[name], name)
        self.check_grid(trace, self.step_s / 2)
        assert trace["hovertemplate"] == FORMATS[name]

    def check_signal(self, trace: dict[str, Any]) -> None:
        name = self.video.shown_signals[trace["meta"]["signal"]]
        values = self.video.signal_bins(name, bins_per_step(self.video))
        title, unit = split_unit(name)
        digits = digits_of([values])
        assert (trace["name"], trace["meta"]["unit"]) == (title, unit)
        assert trace["hovertemplate"] == f"%{{y:.{digits}~f}} %{{meta.unit}}"
        np.testing.assert_allclose(known(trace["y"]), values, atol=10.0**-digits)
        self.check_grid(trace, self.step_s / 2)

    def check_halves(self, trace: dict[str, Any], curve: dict[str, Any]) -> None:
        """The first and the last half of a bin of each run of known ones, at the curve's value there."""
        points = list(zip(trace["x"], trace["y"], strict=True))
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            if x0 is not None and x1 is not None:
                k = int((seconds(x0) + seconds(x1)) / 2 / self.step_s)
                assert y0 == y1 == curve["y"][min(k, self.n - 1)]

    def check_area(self, trace: dict[str, Any]) -> None:
        """One more point on each side, out of sight."""
        name, row = trace["name"], trace["stackgroup"].split(" ")[0]
        wanted = {name[6:]: self.curves[name] for name in self.video.shown}
        wanted |= {"positive": self.curves["positive"], "−negative": -self.curves["negative"]}
        wanted[""] = self.curves.get("engagement" if row == "base" else row)
        check_close(
            trace["y"], np.pad(wanted[name.replace("&lt;", "<").replace("&gt;", ">")], 1, mode="edge"), name
        )
        self.check_grid(trace, -self.step_s / 2)

    @property
    def lane_axes(self) -> set[str]:
        """Axes with the names of people."""
        return {"yaxis" + trace["yaxis"][1:] for trace in self.traces if trace.get("name") == "people"}

    @property
    def coverage(self) -> pd.DataFrame:
        """Share of each step's time by state."""
        found = self.video.coverage
        sums = found.groupby(found.index // bins_per_step(self.video)).sum()
        return sums.div(sums.sum(axis=1), axis=0)

    def check_coverage(self, trace: dict[str, Any]) -> None:
        (state,) = [state for state, words in WORDS.items() if words == trace["name"]]
        wanted = self.coverage[state]
        check_close(trace["y"], np.pad(wanted.where(wanted > 0), 1, mode="edge"), state)
        self.check_grid(trace, -self.step_s / 2)

    def check_lanes(self, trace: dict[str, Any]) -> None:
        video = self.video
        people = sorted(video.people[:MOST_LANES])
        assert trace["meta"]["ids"] == people
        assert trace["meta"]["labels"] == [*video.labels, "not readable"]
        assert [text(name) for name in trace["meta"]["names"]] == [video.name_of(person) for person in people]
        for person, lane in zip(people, trace["z"], strict=True):
            mine = video.lanes[video.lanes.person_id == person]
            step = (mine.bin_start_s / self.step_s + 1e-6).astype(int)
            sums = mine[video.shown].mul(mine.readable_s, axis=0).groupby(step).sum()
            # As reacting: with expressions for half of the time, a face is not at rest, whichever leads.
            others = sums.drop(columns="shown_neutral", errors="ignore")
            wanted = others.idxmax(axis=1)
            if "neutral" in video.labels:
                wanted[sums.shown_neutral > 0.5 * sums.sum(axis=1)] = "shown_neutral"
            wanted = wanted.map(video.shown.index).astype(float)
            wanted[mine.readable_s.groupby(step).sum() == 0] = len(video.labels)
            wanted = wanted.reindex(range(self.n))
            np.testing.assert_array_equal(known(lane), wanted.to_numpy(float))
        self.check_grid(trace, self.step_s / 2)

    def check_peaks(self, trace: dict[str, Any]) -> None:
        peaks = self.video.peaks
        assert [seconds(x) for x in trace["x"]] == pytest.approx([peak["time_s"] for peak in peaks], abs=1e-3)
        heights = [self.curves["engagement"][int(peak["time_s"] / self.step_s)] for peak in peaks]
        check_close(trace["y"], np.nan_to_num(heights), "peaks")
        assert trace["text"] == [str(k + 1) for k in range(len(peaks))]

    def check_markers(self, trace: dict[str, Any]) -> None:
        times = self.drawn_instants
        if len(times) > 120:
            times = list({int(time / self.step_s + 1e-9): time for time in reversed(times)}.values())[::-1]
        assert [seconds(x) for x in trace["x"]] == pytest.approx(times, abs=1e-3)

    @property
    def drawn_instants(self) -> list[float]:
        return [time for time in self.video.instants.time_s if time < self.video.end_s]


@pytest.fixture(params=some_sessions(name for name, kind in SESSIONS.items() if kind.made.seconds))
def chart(request, made_session) -> Chart:
    """Of each kind of session that has a frame."""
    return Chart(made_session(request.param))


def test_every_trace_of_the_timeline_is_known_and_right(chart):
    for k in range(len(chart.traces)):
        chart.check(k)


@pytest.mark.clips
@pytest.mark.parametrize("clips", [slice(0, None, 6), pytest.param(slice(None), marks=pytest.mark.slow)])
def test_every_trace_of_the_timelines_of_real_clips_is_known_and_right(real_sessions, clips):
    for session in real_sessions[clips]:
        chart = Chart(session)
        for k in range(len(chart.traces)):
            chart.check(k)
        check_facts(chart)


def test_every_curve_is_drawn_that_is_known(chart):
    drawn = {trace["meta"]["measure"] for trace in chart.traces if "measure" in trace.get("meta", {})}
    wanted = (
        {name for name in FORMATS if not np.isnan(chart.curves[name]).all()} if chart.video.people else set()
    )
    assert wanted <= drawn
    states = {trace["name"] for trace in chart.traces if trace.get("stackgroup") == "coverage"}
    assert states == {WORDS[state] for state in STATES if chart.video.coverage[state].sum() > 0}


def test_titles_thresholds_and_axes_of_the_timeline(chart):
    video, layout = chart.video, chart.figure["layout"]
    late = int((video.markers.time_s >= video.end_s).sum())
    crowd = len(video.people) > MOST_LANES
    wanted = [f"the {MOST_LANES} longest in view, of {len(video.people)}"] if crowd else []
    wanted = [*(" ".join(split_unit(name)) for name in reversed(video.shown_signals)), *wanted]
    wanted += [f"{late} not shown"] if late else []
    assert values_in(text(note["text"]) for note in layout["annotations"]) == values_in(wanted)
    for axis in ("xaxis", "xaxis2"):
        assert [seconds(end) for end in layout[axis]["range"]] == pytest.approx([0, video.end_s], abs=1e-3)
    lines = [shape for shape in layout.get("shapes", []) if shape["xref"] == "x domain"]
    assert [(line["y0"], line["y1"]) for line in lines] == ([(0.5, 0.5)] if video.people else [])


def test_ticks_say_where_they_are(chart):
    for name, axis in chart.figure["layout"].items():
        if name.startswith("yaxis") and name not in chart.lane_axes:
            words = [text(word) for word in axis.get("ticktext", [])]
            signed = [word.replace("−", "-") for word in words]
            found = [
                float(word.split("%")[0]) / 100 if "%" in word else float({"no": 0, "yes": 1}.get(word, word))
                for word in signed
            ]
            np.testing.assert_allclose(found, axis.get("tickvals", [])[: len(found)], atol=0.005)


def test_no_curve_leaves_its_axis(chart):
    for trace in chart.traces:
        if "measure" in trace.get("meta", {}):
            low, high = chart.figure["layout"]["yaxis" + trace["yaxis"][1:]]["range"]
            values = known(trace["y"])
            assert np.isnan(values).all() or low <= np.nanmin(values) <= np.nanmax(values) <= high


def test_lines_and_bands_are_where_markers_and_segments_are(chart):
    shapes = [shape for shape in chart.figure["layout"].get("shapes", []) if shape["xref"] == "x"]
    spans = [seconds(shape[end]) for shape in shapes for end in ("x0", "x1")]
    segments = [
        end for row in chart.video.segments for end in (row["start_s"], min(row["end_s"], chart.video.end_s))
    ]
    instants = chart.drawn_instants if len(chart.drawn_instants) <= 120 else []
    assert spans == pytest.approx([*segments, *(time for time in instants for _ in range(2))], abs=1e-3)


def test_what_the_scripts_of_the_page_get(chart):
    check_facts(chart)


def check_facts(chart: Chart) -> None:
    """All that the scripts get besides the figures."""
    video, facts = chart.video, dict(chart.session.page.json["facts"])
    names = {str(person): video.name_of(person) for person in video.sightings.index}
    markers = [[round(row.time_s, 3), row.label] for row in video.instants.itertuples()]
    events = [row for row in video.segments if row["kind"] != "rest"]
    segments = [[round(row["start_s"], 3), round(row["end_s"], 3), row["label"]] for row in events]
    for rest in video.footer["basis"].get("rest", []):
        whose = "" if rest["person_id"] is None else f": {video.name_of(rest['person_id'])}"
        segments.append([rest["start_s"], min(rest["end_s"], video.end_s), f"at rest{whose}"])
    steps = np.diff(video.frames.time_s)
    joined = bins_per_step(video)
    signals = [
        [*split_unit(name), digits_of([video.signal_bins(name, joined)])] for name in video.shown_signals
    ]
    colours, boxes = facts.pop("colours"), facts.pop("boxes")
    assert facts == {
        "frame_s": round(float(np.median(steps)), 4) if len(steps) else 0.04, "names": names, "labels": video.labels,
        "measures": ["engagement", "attention", "expressiveness", "valence"], "signals": signals, "markers": markers,
        "segments": segments, "speech": [],
    }  # fmt: skip
    assert len(set(colours)) == len(video.labels)
    assert (boxes is None) == (not video.is_playable or not names)
    if boxes:
        check_boxes(video, boxes)


def check_boxes(video: Tables, boxes: dict[str, Any]) -> None:
    """A box per step of each person: place, shown label, and when each unbroken sequence starts and ends."""
    assert boxes["step_s"] == 0.2
    assert [track["id"] for track in boxes["tracks"]] == sorted(video.sightings.index)
    size = [video.facts["source"][side] for side in ("width", "height")] * 2
    for track in boxes["tracks"]:
        mine = video.faces[video.faces.person == track["id"]]
        label = (
            video.shown_label(track["id"]) if track["id"] in video.people else pd.Series(np.nan, mine.index)
        )
        steps = mine.assign(label=label).groupby((mine.start / 0.2 + 1e-9).astype(int))
        cells, first, last = list(steps.groups), steps.nth(0), steps.nth(-1)
        cell_of, corners, letters, spans = unpack(track["runs"])
        assert cell_of == cells
        wanted = (first[["x1", "y1", "x2", "y2"]] / size).clip(0, 1) * 255
        np.testing.assert_allclose(corners, wanted, atol=0.51)
        assert letters == "".join("." if np.isnan(place) else "abcdefg"[int(place)] for place in first.label)
        starts = [k for k, cell in enumerate(cells) if k == 0 or cells[k - 1] != cell - 1]
        ends = [k - 1 for k in starts[1:]] + [len(cells) - 1]
        wanted = [(first.start.iloc[a], last.start.iloc[b]) for a, b in zip(starts, ends, strict=True)]
        np.testing.assert_allclose(spans, wanted, atol=1e-3)


def unpack(runs: list[list[Any]]) -> tuple[list[int], np.ndarray, str, list[list[float]]]:
    """Steps with a box, corners in 255ths of the picture, a letter per step, and first and last time of each run."""
    places = [np.frombuffer(base64.b64decode(run[1]), np.uint8).reshape(-1, 4) for run in runs]
    cells = [run[0] + k for run, place in zip(runs, places, strict=True) for k in range(len(place))]
    letters = "".join(letter * int(n) for run in runs for letter, n in re.findall(r"([a-g.])(\d+)", run[2]))
    return cells, np.concatenate(places), letters, [run[3:] for run in runs]


# --- Around markers -------------------------------------------------------------------------------------


class Around:
    """The curves around markers of a page, and what they should be."""

    def __init__(self, session: Session) -> None:
        self.video, self.figure = session.video, session.page.json["around-figure"]
        measures = {"engagement": "engagement", "net positivity": "valence"}
        self.signals = {split_unit(name)[0]: name for name in self.video.shown_signals}
        self.columns = measures | {name[6:]: name for name in self.video.shown} | self.signals
        self.values = {title: self.video.around(name) for title, name in self.columns.items()}
        self.labels = list(self.values["engagement"])[:6]

    def values_of(self, curve: dict[str, Any]) -> pd.DataFrame:
        """By marker (rows) and lag (columns)."""
        rows_per_label = 1 + -(-len(self.signals) // 3)
        row = (int(curve["xaxis"][1:] or 1) - 1) // 3
        return self.values[curve["name"]][self.labels[row // rows_per_label]]

    def digits(self, title: str) -> int:
        """Of a signal, in the curves of all labels and their bands."""
        found = [self.values[title][label] for label in self.labels]
        spread = [(one.mean(), one.std().fillna(0)) for one in found]
        return digits_of([part.to_numpy() for mean, sd in spread for part in (mean - sd, mean + sd)])

    def check_close(self, curve: dict[str, Any], found: Any, wanted: Any) -> None:
        """With the digits that the page gives a curve."""
        title = curve["name"]
        accuracy = 10.0 ** -self.digits(title) if title in self.signals else ROUNDING
        np.testing.assert_allclose(known(found), known(wanted), atol=accuracy, err_msg=title)

    def writing(self, title: str) -> tuple[str, Callable[[float], str]]:
        """Format of a curve's values at the cursor, and how its spread is written."""
        if title in self.signals:
            digits = self.digits(title)
            return f".{digits}~f", lambda value: write_signal(value, digits)
        return (".2f", "{:.2f}".format) if title == "net positivity" else (".0%", "{:.0%}".format)


WITH_EVENTS = some_sessions(
    name for name, kind in SESSIONS.items() if any(kind_of != "rest" for *_, kind_of in kind.made.markers)
)


@pytest.fixture(params=WITH_EVENTS)
def around(request, made_session) -> Around:
    """Of each kind of session that has markers."""
    return Around(made_session(request.param))


def test_curves_around_markers(around):
    drawn = [trace for trace in around.figure["data"] if trace.get("name")]
    assert len(drawn) == len(around.columns) * len(around.labels)
    for curve in drawn:
        values = around.values_of(curve)
        assert curve["x"] == pytest.approx(values.columns.to_list())
        around.check_close(curve, curve["y"], values.mean())
        d3_format, write = around.writing(curve["name"])
        assert curve["hovertemplate"] == f"%{{y:{d3_format}}} %{{customdata}}"
        words = [f"({k} marker{'s' if k != 1 else ''})" for k in values.count()]
        spread = [f"± {write(sd)} " if sd == sd else "" for sd in values.std()]
        assert curve["customdata"] == [a + b for a, b in zip(spread, words, strict=True)]


def test_titles_of_curves_around_markers(around):
    notes = [text(note["text"]) for note in around.figure["layout"]["annotations"]]
    signals = [" ".join(split_unit(name)) for name in around.signals.values()]
    wanted = [[f"{label} n = {len(around.values['engagement'][label])}", *around.video.labels, *signals]
              for label in around.labels]  # fmt: skip
    assert values_in(notes) == values_in(word for label in wanted for word in label)


def test_bands_around_markers_are_a_standard_deviation_to_both_sides(around):
    traces = around.figure["data"]
    for k, trace in enumerate(traces):
        if not trace.get("name"):
            curve = next(later for later in traces[k:] if later.get("name"))
            values = around.values_of(curve).rename(columns=lambda lag: round(lag, 3))
            x, y, half = np.round(trace["x"], 3), trace["y"], len(trace["x"]) // 2
            around.check_close(curve, y[:half], (values.mean() + values.std())[x[:half]])
            around.check_close(curve, y[half:], (values.mean() - values.std())[x[half:]])
