"""The numbers that a session's page shows at the cursor and at the current time, in a real browser."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from tests.conftest import some_slow
from tests.dashboards.browse import NEEDS_CHROMIUM, Opened
from tests.dashboards.expect_session import MOST_LANES
from tests.dashboards.test_chart_numbers import WORDS, Chart

pytestmark = NEEDS_CHROMIUM

NAMES = {"engagement": "engagement", "facing the camera": "attention", "expressiveness": "expressiveness",
         "net positivity": "valence", "reacting": "reacting"}  # fmt: skip
ACCURACY = 0.0051 + 0.0011
"""Half of the last digit, and the rounding of the chart's own numbers."""
SESSIONS = some_slow("six", slow=("a crowd", "no pose", "variable frame rate", "bins of half a second"))


def number(words: str) -> float:
    """`8 %`, `<0.01`, `+0.25`, `−0.10`; what is unknown is NaN."""
    if words == "unknown":
        return np.nan
    value = float(re.sub(r"[<>%\s]", "", words).replace("−", "-"))
    return value / 100 if "%" in words else value


@pytest.fixture(params=SESSIONS)
def chart(request, made_session) -> Chart:
    return Chart(made_session(request.param))


@pytest.fixture
def opened(browser, chart) -> Opened:
    with Opened(browser, chart.session.path) as opened:
        yield opened
        assert opened.wrong == []


def steps_to_look_at(chart: Chart) -> list[int]:
    """A few with people, and those around what differs: gaps, markers, faces that cannot be read."""
    states = chart.coverage.idxmax(axis=1)
    changes = [k for k in range(1, chart.n) if states.get(k) != states.get(k - 1)]
    spread = np.linspace(0, chart.n - 1, 5).astype(int).tolist()
    return sorted({*spread, *changes[:6]})


def people_at(chart: Chart, k: int) -> dict[str, str]:
    """Who is in view, and what each shows for the longest time."""
    video, found = chart.video, {}
    for person in sorted(video.people[:MOST_LANES]):
        mine = video.lanes[video.lanes.person_id == person]
        mine = mine[(mine.bin_start_s / chart.step_s + 1e-6).astype(int) == k]
        if len(mine):
            sums = mine[video.shown].mul(mine.readable_s, axis=0).sum()
            label = (
                "shown_neutral"
                if sums.shown_neutral > 0.5 * sums.sum()
                else sums.drop("shown_neutral").idxmax()
            )
            found[video.name_of(person)] = label[6:] if mine.readable_s.sum() else "not readable"
    return found


def test_the_values_at_the_current_time_are_those_of_its_step(chart, opened):
    for k in steps_to_look_at(chart):
        opened.go_to((k + 0.3) * chart.step_s)
        rows = opened.page.locator("#current-values-list > div")
        found = dict(
            zip(rows.locator("span").all_text_contents(), rows.locator("b").all_text_contents(), strict=True)
        )
        found.pop("markers", None)
        people = found.pop("people in view")
        assert people == (
            ", ".join(f"{name} ({label})" for name, label in people_at(chart, k).items()) or "no person"
        )
        states = chart.coverage.loc[k]
        assert found.pop("coverage") == (WORDS[states.idxmax()] if states.sum() else "unknown")
        posed = chart.video.whole.attention.notna().any()
        names = {"engagement", "facing the camera", "expressiveness", "net positivity"}
        assert set(found) == names - (set() if posed else {"facing the camera"})
        for name, words in found.items():
            assert number(words) == pytest.approx(chart.curves[NAMES[name]][k], abs=ACCURACY, nan_ok=True), (
                name
            )


def test_the_label_at_the_cursor_has_the_values_of_its_step(chart, opened):
    for k in steps_to_look_at(chart):
        opened.page.evaluate(
            "(ms) => Plotly.Fx.hover(document.getElementById('timeline'), { xval: ms }, 'xy')",
            (k + 0.5) * chart.step_s * 1000,
        )
        opened.page.wait_for_timeout(150)
        minutes, seconds = (
            opened.page.locator("#timeline .hoverlayer .legendtitletext").text_content().split(":")[-2:]
        )
        # A step may be narrower than a pixel.
        shown = int((60 * int(minutes) + float(seconds)) / chart.step_s + 1e-6)
        assert abs(shown - k) <= (3 if chart.n > 600 else 0)
        lines = opened.page.locator("#timeline .hoverlayer .legendtext").all_text_contents()
        seen = {check_line(chart, shown, *split(line)) for line in lines}
        assert "coverage" in seen
        # Few lines: the label must not cover the curves.
        assert len(lines) <= 9
        assert {name for name, column in NAMES.items() if not np.isnan(chart.curves[column][shown])} <= seen


def split(line: str) -> tuple[str, str]:
    """Name and value of a line of the cursor's label."""
    name, _, words = line.replace("\u200b", "").rpartition(" : ")
    return name, words


def check_line(chart: Chart, k: int, name: str, words: str) -> str:
    """Check a line of the cursor's label by its name, which is returned."""
    if not name:  # of people, or of markers
        people = re.findall(r"([^,·]+?): (\w+|not readable)(?: · |$)", words)
        assert people or chart.video.markers.label.map(lambda label: label in words).any(), words
        return words
    if name == "people":
        counts = Counter(people_at(chart, k).values())
        assert {label: int(n) for n, label in re.findall(r"(\d+) ([^·]+?)(?: · |$)", words)} == counts
    elif name in ("shown", "coverage"):
        found = dict(re.findall(r"([^,]+?) ([<>]?\d+%)(?:, |$)", words))
        columns = {words: chart.coverage[state] for state, words in WORDS.items()}
        columns |= {label: pd.Series(chart.curves[f"shown_{label}"]) for label in chart.video.labels}
        assert sum(map(number, found.values())) == pytest.approx(1, abs=0.03)
        for part, share in found.items():
            assert number(share) == pytest.approx(columns[part].get(k, np.nan), abs=ACCURACY), part
    else:
        assert number(words) == pytest.approx(chart.curves[NAMES[name]][k], abs=ACCURACY), name
    return name
