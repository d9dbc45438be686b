"""Every number of the overview, worked out again from the Parquet files with pandas alone."""

from __future__ import annotations

import json
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ferflow.dashboards import PageOptions, write_index
from tests.dashboards.read_page import card, clock, share, signed, table, text, two
from tests.made_cohort import forty_sessions, write_run
from tests.made_records import Made, write_session

TITLES = {
    "engagement": "Engagement", "attention": "Attention", "expressiveness": "Expressiveness",
    "valence": "Net positivity", "positive": "Positive", "negative": "Negative", "reacting": "Reacting",
}  # fmt: skip
MIXED = (
    Made(seconds=60, people=4, untracked=0.02, away=((20, 26),), holes=((50, 52),), video_id="a", seed=5),
    Made(seconds=40, people=3, video_id="b", seed=9),
    Made(seconds=30, people=2, video_id="c", seed=4, pose=False),
)


class Overview:
    """A page, and for every participant's bin a row: who, in which group, when, the measures."""

    def __init__(self, out) -> None:
        self.html = write_index(out, PageOptions()).read_text(encoding="utf-8")
        self.frames, self.faces, self.bins = (
            pd.concat([pd.read_parquet(path) for path in sorted((out / room).glob("*.parquet"))])
            for room in ("frames", "faces", "timeline")
        )
        self.bins = self.bins.astype(dict.fromkeys(TITLES, float))
        self.audience = self.bins[self.bins.person_id.isna()]
        self.rows = self._participants(out)
        # One value per participant and second of the common clock, and one per participant.
        self.names = ["group", "participant"]
        self.seconds = self.rows.groupby([*self.names, "bin_start_s"])[list(TITLES)].mean()
        self.means = self.rows.groupby(self.names)[list(TITLES)].mean()

    def _participants(self, out) -> pd.DataFrame:
        people = self.bins[self.bins.person_id.notna()].copy()
        people["track_id"] = people.person_id.astype(int)
        listed = pd.read_csv(out / "sessions.csv").rename(columns={"video": "video_id"})
        people = people.merge(listed, on="video_id")
        if "participant" not in people:
            people["participant"] = people.video_id + "/" + people.track_id.astype(str)
        if (out / "people.csv").exists():
            named = pd.read_csv(out / "people.csv")
            people = people.merge(named, on=["video_id", "track_id"], how="left")
            people["participant"] = people.name.fillna(people.participant)
        # In view for 10 s, or for half of the sessions if they are shorter.
        lengths = self.bins.groupby("video_id").bin_end_s.max()
        whole = people.groupby(["group", "participant"])
        span = whole.video_id.unique().map(lambda ids: lengths[list(ids)].sum())
        enough = whole.presence.sum() >= np.minimum(10, span / 2) - 1e-6
        return people[enough.loc[pd.MultiIndex.from_frame(people[["group", "participant"]])].to_numpy()]

    def figure(self) -> list[dict]:
        return json.loads(re.search(r'id="cohort-figure">(.*?)</script>', self.html, re.S)[1])["data"]


@pytest.fixture(scope="module", params=["one each", "several in some"])
def page(request, tmp_path_factory) -> Overview:
    """Twelve sessions of one participant each in three groups; and three of several people, Ada in two of them."""
    out = tmp_path_factory.mktemp("overview")
    if request.param == "one each":
        forty_sessions(out, seconds=30, n=12)
        return Overview(out)
    write_run(out, [write_session(out, made) for made in MIXED])
    (out / "sessions.csv").write_text("video,group\na,x\nb,x\nc,y\n")
    (out / "people.csv").write_text("video_id,track_id,name\na,1,Ada\nb,2,Ada\n")
    return Overview(out)


def interval(values: pd.Series) -> tuple[int, float, float, float]:
    """n, mean and the 95 % interval of the mean by Student's t."""
    known = values.dropna()
    half = (
        stats.t.ppf(0.975, len(known) - 1) * known.std() / np.sqrt(len(known)) if len(known) > 1 else np.nan
    )
    return len(known), known.mean(), known.mean() - half, known.mean() + half


def word(measure: str, value: float) -> str:
    return {"valence": signed, "reacting": share}.get(measure, two)(value)


def span(measure: str, low: float, high: float) -> str:
    least = -1.0 if measure == "valence" else 0.0
    return "–" if np.isnan(low) else f"{word(measure, max(low, least))} to {word(measure, min(high, 1.0))}"


def effect(value: float) -> str:
    """A number without bounds."""
    return "–" if np.isnan(value) else f"{value:+.2f}".replace("-", "−")


# --- Headline ---------------------------------------------------------------------------------------------


def test_lead_and_cards(page):
    by_video = page.frames.groupby("video_id")
    minutes = clock(
        by_video.time_s.max().sum() + by_video.time_s.apply(lambda times: times.diff().median()).sum()
    )
    n_people = page.faces[page.faces.track_id > 0].groupby("video_id").track_id.nunique().sum()
    assert f"{by_video.ngroups} videos · total length {minutes} · {n_people} people" in text(page.html)
    assert card(page.html, "Videos") == (str(by_video.ngroups), f"total length {minutes}")
    assert card(page.html, "Coverage")[0] == share((page.frames.n_faces > 0).mean())
    everybody = page.rows.groupby("participant")[list(TITLES)].mean()
    assert card(page.html, "Participants")[0] == str(len(everybody))
    for title, measure in (("Mean engagement", "engagement"), ("Net positivity", "valence")):
        n, mean, low, high = interval(page.means[measure])
        assert card(page.html, title) == (
            word(measure, mean),
            f"95 % interval {span(measure, low, high)}, n {n}",
        )


def test_the_most_who_react_at_once(page):
    at_once = page.seconds.reacting.groupby("bin_start_s").agg(["sum", "mean", "count"])
    top = at_once[at_once["sum"].round(6) == at_once["sum"].max().round(6)]
    start = top.sort_values("mean", ascending=False, kind="stable").index[0]
    most = at_once.loc[start]
    value, note = card(page.html, "Most reacting at once")
    assert value == f"{most['sum']:.0f} of {most['count']:.0f}"
    assert note == f"at {clock(start + 0.5)}; {share(most['mean'])} of those in view"


# --- The table of videos -------------------------------------------------------------------------------------


def test_the_table_of_videos(page):
    rows = table(page.html, "videos")
    means = page.audience.groupby("video_id")[list(TITLES)].mean()
    lead = means.engagement.fillna(means.expressiveness)
    order = lead.sort_values(ascending=False).index
    n_people = page.faces[page.faces.track_id > 0].groupby("video_id").track_id.nunique()
    lasts = page.frames.groupby("video_id").time_s.agg(lambda times: times.max() + times.diff().median())
    cover = page.frames.groupby("video_id").n_faces.apply(lambda n: (n > 0).mean())
    star = means.engagement.isna().map({True: "*", False: ""})
    assert [row[0] for row in rows] == [str(rank) for rank in range(1, len(order) + 1)]
    assert [row[1].removesuffix(".mp4") for row in rows] == order.tolist()
    assert [row[-7:-1] for row in rows] == [
        [two(lead[name]) + star[name], signed(means.valence[name]), share(means.reacting[name]), str(n_people[name]),
         clock(lasts[name]), share(cover[name])]
        for name in order
    ]  # fmt: skip
    words = re.findall(r'class="spark"[^>]*aria-label="(\w+) over time, from ([^"]*) to ([^"]*)"', page.html)
    curves = page.audience.set_index("video_id")
    for name, found in zip(order, words, strict=False):
        values = curves.loc[name, found[0]]
        assert found[1:] == tuple(
            two(value).replace("<", "&lt;").replace(">", "&gt;") for value in (values.min(), values.max())
        )


def test_participants(page):
    names = re.findall(r'aria-labelledby="participants-title"', page.html)
    if not names:  # one each: the table of videos says it all
        assert page.rows.groupby("participant").video_id.nunique().eq(1).all()
        return
    shown = page.rows.assign(name=[
        name if "/" not in name else f"Person {name.split('/')[1]}" for name in page.rows.participant
    ])  # fmt: skip
    want = []
    for _, mine in shown.groupby(["group", "participant"]):
        lead = "engagement" if page.means.engagement.notna().any() else "expressiveness"
        want.append([
            mine["name"].iloc[0], mine.group.iloc[0], two(mine[lead].mean()), signed(mine.valence.mean()),
            share(mine.reacting.mean()), clock(mine.presence.sum()),
            ", ".join(f"{video}.mp4" for video in mine.video_id.unique()),
        ])  # fmt: skip
    got = [
        [*row[:2], *row[3:6], row[6], re.sub(r" *, *", ", ", row[7])]
        for row in table(page.html, "participants")
    ]
    assert sorted(got) == sorted(want)


# --- Groups -----------------------------------------------------------------------------------------------


def test_groups(page):
    rows = [row[-5:-1] for row in table(page.html, "groups")]
    want = []
    for measure in TITLES:
        for group, values in page.means[measure].groupby("group"):
            n, mean, low, high = interval(values)
            want.append([group, str(n), word(measure, mean), span(measure, low, high)])
    assert rows == want


def test_groups_compared(page):
    rows = {(row[0], row[1]): row[2:] for row in table(page.html, "comparisons")}
    groups = sorted(page.means.index.unique("group"))
    assert len(rows) == len(list(combinations(groups, 2))) * len(TITLES)
    for first, second in combinations(groups, 2):
        for measure, title in TITLES.items():
            a, b = (page.means[measure].loc[group].dropna() for group in (first, second))
            got = rows[f"{first} − {second}", title]
            assert got[0] == f"{len(a)} · {len(b)}"
            if min(len(a), len(b)) < 2:
                continue
            va, vb = a.var() / len(a), b.var() / len(b)
            freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
            half = stats.t.ppf(0.975, freedom) * np.sqrt(va + vb)
            gap, n = a.mean() - b.mean(), len(a) + len(b)
            assert got[1] == f"{effect(gap)} [{effect(gap - half)}, {effect(gap + half)}]"
            pooled = np.sqrt((a.var() * (len(a) - 1) + b.var() * (len(b) - 1)) / (n - 2))
            g = gap / pooled * (1 - 3 / (4 * (n - 2) - 1))
            wide = 1.959964 * np.sqrt(n / (len(a) * len(b)) + g * g / (2 * n))
            assert got[2] == f"{effect(g)} [{effect(g - wide)}, {effect(g + wide)}]"
            above = np.sign(np.subtract.outer(a.to_numpy(), b.to_numpy()))
            assert got[3] == signed(above.mean())


def test_curves_bands_and_the_share_who_react_each_second(page):
    lead = "engagement" if page.means.engagement.notna().any() else "expressiveness"
    rows = {"lead": lead, "reacting": "reacting", "valence": "valence", "n": lead}
    traces = page.figure()
    lines = [trace for trace in traces if trace.get("meta")]
    groups = sorted(page.means.index.unique("group"))
    assert {(trace["meta"], trace["name"]) for trace in lines} == {
        (row, group) for row in rows for group in groups
    }
    for trace in lines:
        values = page.seconds[rows[trace["meta"]]].loc[trace["name"]].dropna().groupby("bin_start_s")
        want = values.count() if trace["meta"] == "n" else values.mean()
        want = want.reindex(np.arange(len(trace["y"])), fill_value=0 if trace["meta"] == "n" else np.nan)
        got = np.array([np.nan if y is None else y for y in trace["y"]], dtype=float)
        np.testing.assert_allclose(got, want, atol=6e-4)
        if trace["meta"] in ("lead", "valence"):
            low, high = band_of(traces, trace)
            for start, part in values:
                n, _, bottom, top = interval(part)
                if n > 1:
                    least = -1 if trace["meta"] == "valence" else 0
                    assert low[start] == pytest.approx(max(bottom, least), abs=6e-4)
                    assert high[start] == pytest.approx(min(top, 1), abs=6e-4)
                else:
                    assert start not in low


def band_of(traces: list[dict], line: dict) -> tuple[dict[float, float], dict[float, float]]:
    """Lower and upper edge of a line's band by the start of the second."""
    red, green, blue = (int(line["line"]["color"][k : k + 2], 16) for k in (1, 3, 5))
    low: dict[float, float] = {}
    high: dict[float, float] = {}
    for trace in traces:
        if (
            trace["name"] != "band"
            or trace["yaxis"] != line["yaxis"]
            or f"({red},{green},{blue}," not in trace["fillcolor"]
        ):
            continue
        stretch: list[tuple[str, float]] = []
        for x, y in [*zip(trace["x"], trace["y"], strict=True), (None, None)]:
            if x is not None:
                stretch.append((x, y))
                continue
            half = len(stretch) // 2
            for edge, points in ((low, stretch[:half]), (high, stretch[half:])):
                edge |= {
                    (pd.Timestamp(at) - pd.Timestamp(0)).total_seconds() - 0.5: value for at, value in points
                }
            stretch = []
    return low, high
