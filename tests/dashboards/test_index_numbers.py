"""Every number of the overview, worked out again from the Parquet files with pandas alone."""

from __future__ import annotations

import json
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from ferflow.dashboards import PageOptions, write_index
from tests.cohort_by_hand import MEASURES, keep_counted, mean_interval, means, read_people, share_interval
from tests.dashboards.read_page import card, clock, share, signed, table, text, two
from tests.made_cohort import forty_sessions, trailer_test, write_run
from tests.made_records import Made, write_session

TITLES = {
    "engagement": "Engagement", "attention": "Facing the camera", "expressiveness": "Expressiveness",
    "valence": "Net positivity",
}  # fmt: skip
"""Of the page's tables of groups."""
MIXED = (
    Made(seconds=60, people=4, untracked=0.02, away=((20, 26),), holes=((50, 52),), video_id="a", seed=5),
    Made(seconds=40, people=3, video_id="b", seed=9),
    Made(seconds=30, people=2, video_id="c", seed=4, pose=False),
)


class Overview:
    """A page, and a row for each bin of each participant who is counted."""

    def __init__(self, out) -> None:
        self.html = write_index(out, PageOptions()).read_text(encoding="utf-8")
        self.frames, self.faces, self.bins = (
            pd.concat([pd.read_parquet(path) for path in sorted((out / room).glob("*.parquet"))])
            for room in ("frames", "faces", "timeline")
        )
        self.bins = self.bins.astype(dict.fromkeys(MEASURES, float))
        self.everybody = read_people(out)
        self.rows = keep_counted(self.everybody)
        self.own = means(self.rows, ["group", "participant"])

    def figure(self) -> list[dict]:
        found = re.search(r'data-stimulus="stimulus-1".*?class="figure">(.*?)</script>', self.html, re.S)
        return json.loads(found[1])["data"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Overview:
    """Eight people and one trailer; two more are not counted."""
    out = tmp_path_factory.mktemp("trailer")
    trailer_test(out)
    return Overview(out)


@pytest.fixture(scope="module", params=["shared", "one each", "several in some"])
def page(request, tmp_path_factory, shared) -> Overview:
    """The same; twelve sessions of one participant each in three groups; three of several people, Ada in two."""
    if request.param == "shared":
        return shared
    out = tmp_path_factory.mktemp("overview")
    if request.param == "one each":
        forty_sessions(out, seconds=30, n=12)
        return Overview(out)
    write_run(out, [write_session(out, made) for made in MIXED])
    (out / "sessions.csv").write_text("video,group\na,x\nb,x\nc,y\n")
    (out / "people.csv").write_text("video_id,track_id,name\na,1,Ada\nb,2,Ada\n")
    return Overview(out)


def natural(name: str) -> list:
    """`Person 2` before `Person 10`."""
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", name)]


def word(measure: str, value: float) -> str:
    return {"valence": signed, "expressiveness": two}.get(measure, share)(value)


def span(measure: str, low: float, high: float) -> str:
    return "–" if np.isnan(low) else f"{word(measure, low)} to {word(measure, high)}"


# --- Headline ---------------------------------------------------------------------------------------------


def test_lead_and_cards(page):
    by_video = page.frames.groupby("video_id")
    steps = by_video.time_s.apply(lambda times: times.diff().median())
    lengths = by_video.time_s.max() + steps
    n_people = page.everybody.groupby("video_id").person_id.nunique().sum()
    assert f"{by_video.ngroups} videos · total length {clock(lengths.sum())} · {n_people} people" in text(
        page.html
    )
    assert card(page.html, "Videos") == (str(by_video.ngroups), f"{clock(lengths.sum())} together")
    audience = page.bins[page.bins.person_id.isna()]
    seen = (audience.presence * audience.seconds).sum() / audience.seconds.sum()
    readable = page.rows.readable_s.sum() / page.rows.face_s.sum()
    assert card(page.html, "Face in view") == (
        share(seen),
        f"of the analysed time of all videos shows a face; {share(readable)} of the time in view of the participants "
        "can be read",
    )
    assert card(page.html, "Participants")[0] == str(page.rows.participant.nunique())


def test_the_share_of_readable_time_that_shows_an_expression_and_which(page):
    whole = means(page.rows.assign(all=0), ["all"]).iloc[0]
    own = means(page.rows, ["participant"]).engagement.dropna()
    value, note = card(page.html, "Showing an expression")
    assert value == share(whole.engagement)
    assert note == (
        f"of the {clock(page.rows.readable_s.sum())} in which faces can be read; {share(own.min())} to "
        f"{share(own.max())} by participant"
    )
    labels = [name for name in page.rows.columns if name.startswith("shown_") and name != "shown_neutral"]
    known = page.rows[page.rows.readable_s > 0]
    shown = {name: np.average(known[name].fillna(0), weights=known.readable_s) for name in labels}
    order = sorted(shown, key=lambda name: -shown[name])
    then = [f"{name[6:]} {share(shown[name])}" for name in order[1:3] if shown[name] >= 0.01]
    rest = f", then {' and '.join(then)}" if then else ""
    assert card(page.html, "Which expression") == (
        order[0][6:],
        f"{share(shown[order[0]])} of the readable time{rest}",
    )


def test_how_many_react_at_least_once(page):
    reacted = (page.rows.reacting == 1).groupby(page.rows.participant).any().astype(float)
    n, mean, low, high = share_interval(reacted)
    assert card(page.html, "Reacted at least once") == (
        f"{reacted.sum():.0f} of {n}",
        f"{share(mean)} of {n} participants; 95 % interval {share(low)} to {share(high)}",
    )


# --- The tables of videos and participants ----------------------------------------------------------------


def test_the_table_of_videos_is_in_the_order_of_their_names(page):
    rows = table(page.html, "videos")
    own = means(page.bins[page.bins.person_id.notna()], ["video_id"])
    lengths = page.frames.groupby("video_id").time_s.agg(lambda times: times.max() + times.diff().median())
    audience = page.bins[page.bins.person_id.isna()].groupby("video_id")
    visible = audience.apply(lambda rows: (rows.presence * rows.seconds).sum() / rows.seconds.sum())
    names = sorted(lengths.index)
    assert [row[0].split(".mp4")[0] for row in rows] == names
    unknown = pd.Series(dict.fromkeys(MEASURES, np.nan))
    assert [row[-5:-1] for row in rows] == [
        [share(values.engagement), signed(values.valence), clock(lengths[name]), share(visible[name])]
        for name in names
        for values in [own.loc[name] if name in own.index else unknown]
    ]


def test_participants_are_in_the_order_of_group_and_name(page):
    if not re.search(r'aria-labelledby="participants-title"', page.html):
        assert page.rows.groupby("participant").video_id.nunique().eq(1).all()
        return
    sole = page.everybody.groupby("video_id").person_id.nunique() == 1
    files = page.rows.video_id + ".mp4"
    shown = page.rows.assign(
        name=[
            who if "/" not in who else file if sole[video] else f"Person {who.split('/')[1]}, {file}"
            for who, video, file in zip(page.rows.participant, page.rows.video_id, files, strict=True)
        ]
    )
    want = []
    for (group, _), mine in shown.groupby(["group", "participant"]):
        values = means(mine, ["participant"]).iloc[0]
        want.append([
            mine["name"].iloc[0], group, share(values.engagement), signed(values.valence), share(values.attention),
            clock(mine.readable_s.sum()), ", ".join(f"{video}.mp4" for video in mine.video_id.unique()),
        ])  # fmt: skip
    rows = [[*row[:2], *row[3:7], re.sub(r" *, *", ", ", row[7])] for row in table(page.html, "participants")]
    got = [row for row in rows if "not counted" not in row[0]]
    assert sorted(got) == sorted(want)
    assert [row[:2] for row in got] == sorted(
        (row[:2] for row in got), key=lambda row: (row[1], natural(row[0]))
    )


# --- Groups -----------------------------------------------------------------------------------------------


def test_groups(page):
    rows = [row[-5:-1] for row in table(page.html, "groups")]
    want = []
    for measure in TITLES:
        for group, values in page.own[measure].groupby("group"):
            n, mean, low, high = mean_interval(values, MEASURES[measure])
            want.append([group, str(n), word(measure, mean), span(measure, low, high)])
    assert rows == want


def test_groups_compared_or_too_few(page):
    groups = sorted(page.own.index.unique("group"))
    sizes = {group: len(page.own.loc[group]) for group in groups}
    section = re.search(r'data-section="comparisons".*?</section>', page.html, re.S)[0]
    if sum(n >= 5 for n in sizes.values()) < 2:
        assert "Too few to compare" in text(section)
        assert "<table" not in section
        return
    rows = {(row[0], row[1]): row[2:] for row in table(page.html, "comparisons")}
    assert len(rows) == len(list(combinations(groups, 2))) * len(TITLES)
    for first, second in combinations(groups, 2):
        for measure, title in TITLES.items():
            got = rows[f"{first} − {second}", title]
            values = [page.own[measure].loc[group].dropna() for group in (first, second)]
            assert got[0] == f"{len(values[0])} · {len(values[1])}"
            if min(map(len, values)) < 5:
                assert got[1].startswith("too few to compare")
                assert len(got) == 2
            else:
                check_comparison(measure, *values, got[1:])


def check_comparison(measure: str, a: pd.Series, b: pd.Series, got: list[str]) -> None:
    (_, mean_a, low_a, high_a), (_, mean_b, low_b, high_b) = (
        mean_interval(x, MEASURES[measure]) for x in (a, b)
    )
    gap = mean_a - mean_b
    low = gap - np.sqrt((mean_a - low_a) ** 2 + (high_b - mean_b) ** 2)
    high = gap + np.sqrt((high_a - mean_a) ** 2 + (mean_b - low_b) ** 2)

    def points(x):
        return f"{100 * x:+.0f}".replace("-", "−")

    def effect(x):
        return f"{x:+.2f}".replace("-", "−")

    assert got[0] == (
        f"{points(gap)} [{points(low)}, {points(high)}] points"
        if measure in ("engagement", "attention")
        else f"{effect(gap)} [{effect(low)}, {effect(high)}]"
    )
    above = np.sign(np.subtract.outer(a.to_numpy(), b.to_numpy()))
    assert got[1] == f"{50 * (1 + above.mean()):.0f}"
    n = len(a) + len(b)
    pooled = np.sqrt((a.var() * (len(a) - 1) + b.var() * (len(b) - 1)) / (n - 2))
    g = gap / pooled * (1 - 3 / (4 * (n - 2) - 1))
    wide = 1.959964 * np.sqrt(n / (len(a) * len(b)) + g * g / (2 * n))
    assert got[2] == f"{effect(g)} [{effect(g - wide)}, {effect(g + wide)}]"


# --- Curves -----------------------------------------------------------------------------------------------


def test_sessions_without_a_shared_stimulus_have_no_common_curve(page, shared):
    assert ('data-section="stimuli"' in page.html) == (page is shared)
    assert ('data-section="sessions"' in page.html) == (page is not shared)
    if page is not shared:
        assert "column stimulus to the session list" in text(page.html)
        own = means(page.everybody, ["video_id"]).engagement
        section = re.search(r'data-section="sessions".*?</section>', page.html, re.S)[0]
        shares = [share(value) for value in own.sort_index()]
        assert [text(value) for value in re.findall(r"<b>(.*?)</b>", section)] == shares


def test_the_curves_of_a_stimulus(shared):
    rows = shared.rows[shared.rows.bin < 60]
    lines = lines_of(shared)
    at = means(rows, ["group", "bin", "participant"])
    for group in ("first cut", "new cut"):
        for row, measure in (
            ("reacting", "reacting"),
            ("expressiveness", "expressiveness"),
            ("valence", "valence"),
        ):
            values = at.loc[group][measure].groupby("bin").mean().reindex(range(60))
            np.testing.assert_allclose(numbers(lines[row, group]["y"]), values, atol=1e-3)
        readable = at.loc[group].engagement.groupby("bin").count().reindex(range(60), fill_value=0)
        assert lines["n", group]["y"] == readable.tolist()


def test_the_bands_of_a_stimulus_are_drawn_for_three_participants_or_more(shared):
    at = means(shared.rows[shared.rows.bin < 60], ["group", "bin", "participant"])
    for row, measure in (("reacting", "reacting"), ("valence", "valence")):
        for group in ("first cut", "new cut"):
            low, high = bands_of(shared.figure(), row, group)
            for number, values in at.loc[group][measure].groupby("bin"):
                interval = (
                    share_interval(values) if row == "reacting" else mean_interval(values, MEASURES[measure])
                )
                if interval[0] < 3:
                    assert np.isnan(low[number])
                else:
                    assert [low[number], high[number]] == pytest.approx(interval[2:], abs=2e-3)


def test_who_has_reacted_so_far_and_who_is_still_there(shared):
    lines = lines_of(shared)
    rows = shared.rows[shared.rows.bin < 60]
    for group in ("first cut", "new cut"):
        mine = rows[rows.group == group]
        first = mine[mine.reacting == 1].groupby("participant").bin.min().reindex(mine.participant.unique())
        want = [(first <= k).mean() for k in range(60)]
        np.testing.assert_allclose(numbers(lines["ever", group]["y"]), want, atol=1e-3)
        # Fred left after 4 s and is in it; Gina was never seen.
        seen = shared.everybody[(shared.everybody.group == group) & (shared.everybody.face_s > 0)]
        last = seen.groupby("participant").bin.max()
        want = [(last >= k).mean() for k in range(60)]
        np.testing.assert_allclose(numbers(lines["still", group]["y"]), want, atol=1e-3)


def test_the_headline_numbers_of_a_stimulus(shared):
    section = re.search(r'data-stimulus="stimulus-1".*?</section>', shared.html, re.S)[0]
    rows = shared.rows[shared.rows.bin < 60]
    at = rows[rows.reacting.notna()].groupby("bin").reacting.agg(["sum", "count", "mean"])
    top = at[at["sum"] == at["sum"].max()].sort_values("mean", ascending=False, kind="stable").iloc[0]
    reacting = f"{top['sum']:.0f} of {top['count']:.0f} faces that can be read react"
    assert f"{clock(top.name + 0.5)} {reacting}" in text(section)
    seen = shared.everybody[shared.everybody.face_s > 0].groupby("participant").bin.max()
    late, half = ((seen >= second).sum() for second in (54, 30))
    still = f"{late} of {len(seen)} have their face seen after {clock(54)}, {half} after {clock(30)}"
    assert still in text(section)


def test_who_is_not_counted_is_named_with_the_reason_and_grey(shared):
    words = text(shared.html)
    assert "Not counted: Fred (seen for 4 s) and Gina (no face was seen for a second or longer)." in words
    grey = re.findall(r'<tr class="left-out".*?</tr>', shared.html, re.S)
    assert ["Fred: seen for 4 s, not counted" in text(row) for row in grey] == [True, False]
    (lanes,) = [trace for trace in shared.figure() if trace["type"] == "heatmap"]
    assert "Fred" not in lanes["meta"]["names"]


def lines_of(page: Overview) -> dict[tuple[str, str], dict]:
    """Curves by row and group."""
    traces = [trace for trace in page.figure() if "group" in trace.get("meta", {})]
    return {(trace["meta"]["row"], trace["meta"]["group"]): trace for trace in traces}


def numbers(values: list) -> np.ndarray:
    return np.array([np.nan if y is None else y for y in values], dtype=float)


def bands_of(traces: list[dict], row: str, group: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edge of a group's band in a row, by the number of the bin."""
    edges = {
        trace["meta"]["edge"]: numbers(trace["y"])[1:-1]  # one more on each side, out of sight
        for trace in traces
        if trace["name"] == "band" and (trace["meta"]["band"], trace["meta"]["of"]) == (row, group)
    }
    return edges["low"], edges["low"] + edges["width"]


def test_people_without_a_face_are_not_among_those_in_view_and_pooled_stimuli_are_counted(tmp_path):
    for k, name in enumerate("abcd"):
        write_session(tmp_path, Made(seconds=20, people=1, video_id=name, seed=k))
    write_session(tmp_path, Made(seconds=20, people=0, video_id="e"))
    write_session(tmp_path, Made(seconds=4, people=1, video_id="f"))
    rows = ["video,group,stimulus", "a,x,one", "b,x,two", "c,y,one", "d,y,"]
    (tmp_path / "sessions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    html = write_index(tmp_path, PageOptions()).read_text(encoding="utf-8")
    assert " · 5 people" in text(html)
    assert card(html, "Participants") == (
        "4", "in 2 groups; over 2 stimuli and sessions without one; 1 more not counted; 1 without any face",
    )  # fmt: skip
    assert "Means over 2 stimuli and sessions without one. Means over participants" in text(html)


@pytest.mark.parametrize(("stimuli", "said"), [(("one", "two"), True), (("one", "one"), False)])
def test_compared_groups_say_which_stimuli_they_pool(tmp_path, stimuli, said):
    rows = ["video,group,stimulus"]
    for k in range(10):
        write_session(tmp_path, Made(seconds=20, fps=4, people=1, video_id=f"v{k}", seed=k))
        rows.append(f"v{k},{'xy'[k % 2]},{stimuli[k // 5]}")
    (tmp_path / "sessions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    compared = text(write_index(tmp_path, PageOptions()).read_text(encoding="utf-8")).split(
        "Groups compared"
    )[1]
    assert "Pairs: of 100 pairs" in compared
    assert ("Differences of means over 2 stimuli: a participant of several counts once" in compared) == said
