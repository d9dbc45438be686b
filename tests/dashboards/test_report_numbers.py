"""Every number on a session's page, worked out again from the Parquet files with pandas alone."""

from __future__ import annotations

import html as html_of
import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.signal import find_peaks

from ferflow.dashboards import write_session_report
from tests.dashboards.read_page import PROBS, card, clock, mix, share, signed, table, text, two
from tests.made_records import Made, write_session

MARKERS = (
    (5.0, None, "clap", ""), (21.0, None, "clap", ""), (42.5, None, "clap", ""), (70.0, None, "clap", ""),
    (8.0, 19.5, "level 1", "level"), (30.0, None, "part 2", "segment"), (118.0, None, "end", ""),
)  # fmt: skip
MADE = Made(
    seconds=120, people=4, untracked=0.02, away=((40, 46),), holes=((90, 93),), small=((60, 66),), markers=MARKERS,
    seed=5,
)  # fmt: skip


class Page:
    """The text of a page by its parts, and the tables it came from."""

    def __init__(self, out) -> None:
        path = write_session_report(out, write_session(out, MADE))
        self.html = path.read_text(encoding="utf-8")
        self.frames, self.faces, self.bins, self.markers = (
            pd.read_parquet(out / f"{name}/{MADE.video_id}.parquet")
            for name in ("frames", "faces", "timeline", "markers")
        )
        self.whole = self.bins[self.bins.person_id.isna()].reset_index(drop=True)
        # Of every tracked face: what docs/numbers.md says.
        faces = self.faces[self.faces.track_id > 0].copy()
        gate = lambda angle: ((35 - angle.abs()) / 20).clip(0, 1)  # noqa: E731
        faces["attention"] = gate(faces.yaw) * gate(faces.pitch)
        activity = 1 - faces.prob_neutral.astype(float)
        rest = activity.groupby(faces.track_id).transform(lambda values: np.quantile(values, 0.25))
        seconds = faces.groupby("track_id").frame_index.transform("size") / 10
        faces["expressiveness"] = (activity - rest.where(seconds >= 10, 0)).clip(lower=0)
        faces["engagement"] = faces.attention * faces.expressiveness
        faces["negative"] = faces[["prob_angry", "prob_disgust", "prob_fear", "prob_sad"]].max(axis=1)
        faces["valence"] = faces.prob_happy - faces.negative
        faces["reacting"] = (faces.expressiveness >= 0.3).astype(float)
        self.tracked = faces

    def card(self, label: str) -> tuple[str, str]:
        return card(self.html, label)

    def table(self, name: str) -> list[list[str]]:
        return table(self.html, name)

    def fact(self, term: str) -> str:
        return text(re.search(rf"<dt>{re.escape(term)}</dt><dd>(.*?)</dd>", self.html)[1])

    def mix(self, name: str, row: int) -> str:
        part = re.search(rf'<section[^>]*aria-labelledby="{name}-title">.*?</section>', self.html, re.S)[0]
        return html_of.unescape(
            re.findall(r'class="expression-bar" role="img" aria-label="([^"]*)"', part)[row]
        ).replace("\u202f", " ")


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return Page(tmp_path_factory.mktemp("numbers"))


def test_cards(page):
    whole, frames = page.whole, page.frames
    assert page.card("Duration") == (clock(120), f"{len(frames):,} frames analysed".replace(",", " "))
    assert page.card("People")[0] == str(page.tracked.track_id.nunique())
    assert (
        page.card("People")[1]
        == f"at most {page.bins.dropna(subset='person_id').groupby('bin_start_s').size().max()} in the same 1 s"
    )
    assert page.card("Coverage")[0] == share((frames.n_faces > 0).mean())
    assert page.card("Mean engagement") == (
        two(whole.engagement.mean()),
        f"attention {two(whole.attention.mean())} · expressiveness {two(whole.expressiveness.mean())}",
    )
    assert page.card("Net positivity") == (
        signed(whole.valence.mean()),
        f"positive {two(whole.positive.mean())} − negative {two(whole.negative.mean())}",
    )
    reacting = (whole.reacting * whole.n_people).round()
    top = whole[reacting == reacting.max()].sort_values("reacting", ascending=False, kind="stable").iloc[0]
    value, note = page.card("Most reacting at once")
    assert value == f"{reacting.max():.0f} of {top.n_people:.0f}"
    assert (
        note
        == f"at {clock(top.bin_start_s + 0.5)}; on average {share(whole.reacting.mean())} of the people in view"
    )


def test_overall_expressions(page):
    assert page.mix("expressions", 0) == mix(page.whole[PROBS].mean())


def test_the_timeline_agrees_with_the_faces(page):
    by_person = page.tracked.assign(bin=np.floor(page.tracked.time_s + 1e-9)).groupby(["bin", "track_id"])
    for name in ("attention", "expressiveness", "engagement", "valence", *PROBS):
        means = by_person[name].mean().groupby("bin").mean()
        found = page.whole.set_index("bin_start_s")[name].dropna()
        np.testing.assert_allclose(found, means.dropna(), atol=1e-6)


def test_peaks(page):
    known = page.whole.engagement.notna()
    smooth = page.whole.engagement.rolling(3, center=True, min_periods=1).mean().where(known)
    curve = np.interp(page.whole.index, page.whole.index[known], smooth[known])
    held = np.pad(curve, 1, constant_values=curve.min())
    _, facts = find_peaks(held, prominence=0.05, distance=5, width=0, rel_height=0.5)
    rise = np.sort(facts["prominences"][facts["prominences"] >= facts["prominences"].max() / 5])[::-1][:8]
    rows = page.table("peaks")
    # Half of the prominence, in bins of 1 s; the first bin of what is held down lies before the video.
    edges = [np.clip(facts[f"{side}_ips"] - 0.5, 0, 120) for side in ("left", "right")]
    lasts = {f"{clock(start)} – {clock(end)}" for start, end in zip(*edges, strict=True)}
    assert {row[2] for row in rows} <= lasts
    assert len({row[2] for row in rows}) == len(rows)
    assert sorted(row[4] for row in rows) == sorted(two(value) for value in rise)
    for row in rows:
        at = page.whole[(page.whole.bin_start_s + 0.5).map(clock) == row[1]].iloc[0]
        assert row[3] == two(at.engagement)
        assert row[5] == at[PROBS[:-1]].astype(float).idxmax()[5:]
        here = page.bins[
            (page.bins.bin_start_s == at.bin_start_s)
            & (page.bins.reacting == 1)
            & page.bins.person_id.notna()
        ]
        assert [int(n) for n in re.findall(r"Person (\d+)", row[6])] == here.person_id.astype(
            int
        ).tolist() or here.empty


def test_people(page):
    rows = {row[0]: (k, row) for k, row in enumerate(page.table("people"))}
    assert len(rows) == page.tracked.track_id.nunique()
    steps = page.frames.time_s.diff().shift(-1)
    lasts = steps.where(steps <= 1, 0.1).fillna(0.1).set_axis(page.frames.frame_index)
    for track, faces in page.tracked.groupby("track_id"):
        k, row = rows[f"Person {track}"]
        assert (
            row[1]
            == f"{clock(faces.frame_index.map(lasts).sum())} {clock(faces.time_s.min())} – {clock(faces.time_s.max())}"
        )
        means = faces[["engagement", "attention", "expressiveness"]].mean()
        assert row[4:7] == [two(value) for value in means]
        assert row[7] == signed(faces.valence.mean())
        assert row[8] == share(faces.reacting.mean())
        assert row[9] == share(faces.yaw.notna().mean())
        assert page.mix("people", k) == mix(faces[PROBS].mean())


def test_segments(page):
    whole = page.whole
    rows = page.table("segments")
    stretches = {"level 1": (8.0, 19.5), "part 2": (30.0, 120.0), "Whole video": (0.0, 120.0)}
    assert [row[0] for row in rows] == ["level 1 level", "part 2 segment", "Whole video"]
    for k, (row, (start, end)) in enumerate(zip(rows, stretches.values(), strict=True)):
        weight = (whole.bin_end_s.clip(upper=end) - whole.bin_start_s.clip(lower=start)).clip(lower=0)
        mean = lambda name, weight=weight: (whole[name] * weight).sum() / weight[whole[name].notna()].sum()  # noqa: E731
        assert row[1:3] == [clock(start), f"{clock(end)} {clock(end - start)} long"]
        assert row[4:7] == [two(mean(name)) for name in ("engagement", "attention", "expressiveness")]
        assert row[7:9] == [signed(mean("valence")), share(mean("reacting"))]
        inside = page.bins[(page.bins.bin_start_s < end) & (page.bins.bin_end_s > start)]
        assert row[9:11] == [str(inside.person_id.nunique()), share(mean("presence"))]
        assert page.mix("segments", k) == mix(pd.Series({name: mean(name) for name in PROBS}))


def test_curves_around_markers(page):
    whole = page.whole.set_index(page.whole.bin_start_s.astype(int))
    lags = np.arange(-5, 11)
    for row in page.table("around"):
        times = page.markers[page.markers.label == row[0]].time_s
        assert row[1] == str(len(times))
        around = np.array([whole.engagement.reindex(np.floor(time + lags)) for time in times])
        mean, spread = pd.DataFrame(around).mean(), pd.DataFrame(around).std()
        assert row[2:4] == [two(mean[lags < 0].mean()), two(mean[lags >= 0].mean())]
        k = mean[lags >= 0].idxmax()
        assert row[4] == f"{two(mean[k])} at " + (f"+{lags[k]:.1f} s" if lags[k] else "the marker")
        assert row[5] == ("–" if np.isnan(spread[k]) else f"± {spread[k]:.2f}")
        valence = pd.DataFrame(
            [whole.valence.reindex(np.floor(time + lags)).to_numpy() for time in times]
        ).mean()
        assert row[6:8] == [signed(valence[lags < 0].mean()), signed(valence[lags >= 0].mean())]
    assert [row[0] for row in page.table("around")] == ["clap", "end", "level 1", "part 2"]


def test_quality(page):
    faces, frames = page.faces, page.frames
    part = lambda n: f"{n:,} ({share(n / len(faces))})".replace(",", " ")  # noqa: E731
    assert page.fact("Found") == f"{len(faces):,}".replace(",", " ")
    assert page.fact("Not assigned to a person") == part((faces.track_id == -1).sum())
    assert page.fact("Head pose unknown") == part(faces.yaw.isna().sum())
    assert page.fact("Smaller than 30 px") == part((faces.face_px < 30).sum())
    assert page.fact("Blurry") == part((faces.sharpness < 80).sum())
    quarters = faces.face_px.quantile([0.25, 0.5, 0.75])
    assert page.fact("Median size") == f"{quarters[0.5]:.0f} px"
    assert page.fact("Sizes, 25th to 75th percentile") == f"{quarters[0.25]:.0f}–{quarters[0.75]:.0f} px"
    seen = (frames.n_faces > 0).sum()
    assert page.fact("Without a face") == str(len(frames) - seen)
    assert page.fact("With a face") == f"{seen:,} ({share(seen / len(frames))})".replace(",", " ")
    assert page.fact("Analysed") == f"{len(frames):,}".replace(",", " ")
    assert page.fact("Median sharpness") == f"{faces.sharpness.median():.0f}"


def test_the_summary_in_words(page):
    words = text(re.search(r'<p class="summary"[^>]*>(.*?)</p>', page.html, re.S)[1])
    means = page.whole[PROBS].mean()
    assert f"{page.tracked.track_id.nunique()} people appear in the video" in words
    assert f"{share((page.frames.n_faces > 0).mean())} of the analysed frames show a face" in words
    first, second = means.idxmax()[5:], means[PROBS[:-1]].idxmax()[5:]
    assert f"Overall, {first} has the highest mean score, followed by {second}" in words
    top = max(page.table("peaks"), key=lambda row: float(row[3]))
    at = page.whole[(page.whole.bin_start_s + 0.5).map(clock) == top[1]].iloc[0]
    assert f"Engagement reaches {two(at.engagement)} around {top[1]}" in words
    assert at.engagement == pytest.approx(max(
        page.whole.engagement[(page.whole.bin_start_s + 0.5).map(clock).isin([row[1] for row in page.table("peaks")])]
    ))  # fmt: skip


def test_the_curves_that_are_drawn(page):
    """A point a second, as the table has it; the page's curves carry three digits."""
    data = json.loads(re.search(r'id="timeline-figure">(.*?)</script>', page.html, re.S)[1])["data"]
    curves = {
        trace["name"]: trace["y"] for trace in data if trace.get("name") and isinstance(trace.get("y"), list)
    }
    for title, name in {
        "engagement": "engagement",
        "attention": "attention",
        "net positivity": "valence",
    }.items():
        got = np.array([np.nan if y is None else y for y in curves[title]], dtype=float)
        np.testing.assert_allclose(got, page.whole[name], atol=1.1e-3)  # 0.9997 is no 1.000


def test_coverage_distinguishes_four_states(page):
    largest = page.faces.groupby("frame_index").face_px.max().reindex(page.frames.frame_index).to_numpy()
    lasts = pd.Series(0.1, index=page.frames.index)  # ten frames a second, and one gap
    assert page.fact("Time: with a face") == clock(lasts[largest >= 30].sum())
    assert page.fact("Time: only small faces") == clock(lasts[largest < 30].sum())
    assert page.fact("Time: no face") == clock(lasts[np.isnan(largest)].sum())
    assert page.fact("Time: no frame could be read") == clock(3.0)


def test_the_peak_end_score(page):
    smooth = page.whole.prob_happy.rolling(3, center=True, min_periods=1).mean()
    last = page.whole.index[page.whole.n_people > 0][-1]
    assert f"last value) is {two((smooth.max() + smooth[last]) / 2)}." in text(page.html)
