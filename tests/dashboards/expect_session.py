"""What a session's page should say: the numbers and labels of each of its parts, from the tables alone.

A part's texts are written here in the order of the page, with as many of its words as it takes to tell what they are;
the words themselves are not compared (`read_page.values_in`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tests.dashboards.read_page import bar_order, clock, integer, share, signed, two
from tests.dashboards.recompute import REASONS, STATES, Tables

MOST_LANES, MOST_DRAWN = 16, 1200
MOST_PEOPLE, MOST_NAMED, MOST_SEGMENTS, MOST_LISTED = 40, 8, 40, 120

COLUMNS = {
    "Engagement": ("engagement", share), "Facing camera": ("attention", share),
    "Expressiveness": ("expressiveness", two), "Net positivity": ("valence", signed),
}  # fmt: skip
"""Columns of measures in the tables of people and segments: title, name, and how a value is written."""

SUBGROUPS = "neutral, 102; neutral, 0.91 to 0.99, 9 to 69"
"""As the model card has them, see `test_dashboards`."""
FOOTER = ["Barrett et al., 2019, 20:1", "FER2013", SUBGROUPS, "Art. 5(1)(f)", "Art. 50(3)"]


def percent(value: float) -> str:
    return share(value).replace(" ", "")


def count(value: float) -> str:
    return integer(value).replace(" ", "")


def expected_values(video: Tables) -> dict[str, list[str]]:
    """The texts of each part of a page with a number, a label or something unknown in it."""
    source, version = video.facts["source"], video.facts["ferflow_version"]
    parts = {
        "title": [source["name"]],
        "header": [source["name"], f"ferflow {version}", video.facts["model"]["name"], video.facts["detector"]["name"],
                   sampling(video)],
        "warnings": warnings(video),
        "no-people": nobody(video),
        "cards": cards(video),
        "summary": summary(video),
        "left-out": left_out(video),
        "expressions": [] if not video.people or not video.readable_s else [*bar(video.means(video.lanes)),
                                                                          *legend(video.means(video.lanes))],
        "player": player(video),
        "timeline": timeline(video),
        "peaks": peaks(video),
        "segments": segments(video),
        "around": around(video),
        "people": people(video),
        "quality": quality(video),
        "glossary": glossary(video),
        "footer": [*FOOTER, version],
    }  # fmt: skip
    return {part: texts for part, texts in parts.items() if texts}


def sampling(video: Tables) -> str:
    options = video.facts["options"]
    every, fps = options["every"], options["fps"]
    words = f"at most {fps:g} frames" if fps else "every frame" if every == 1 else f"one frame in {every}"
    return f"{words} {options.get('start') or ''} {options.get('end') or ''}"


def bar(means: Mapping[str, float]) -> list[str]:
    """An expression bar: in words, then width and title of each part that is more than 0 %."""
    drawn = [label for label in bar_order(means) if means[f"shown_{label}"] != 0]
    parts = [(f"{100 * means[f'shown_{label}']:.2f}%", shown(means, label)) for label in drawn]
    return [*legend(means), *(text for part in parts for text in part)]


def legend(means: Mapping[str, float]) -> list[str]:
    return [shown(means, label) for label in bar_order(means)]


def shown(means: Mapping[str, float], label: str) -> str:
    return f"{label} {percent(means[f'shown_{label}'])}"


def button(seconds: float) -> list[str]:
    """Of a time: for the script, and for the reader."""
    return [f"{seconds:g}", clock(seconds)]


def known_share(video: Tables, state: str) -> float:
    """Share of the analysed time in a state; 1 only if it is all of it, but for rounding."""
    return whole(float(video.coverage[state].sum()) / video.analysed_s) if video.analysed_s else float("nan")


def whole(part: float) -> float:
    """A share that is 1 but for rounding is 1."""
    return 1.0 if part > 1 - 1e-9 else part


# --- The top of the page --------------------------------------------------------------------------------


def warnings(video: Tables) -> list[str]:
    if not video.people:
        return list(video.facts["warnings"])
    model = video.facts["model"]["name"]
    notes = [f"{model} FER2013" if model == "fer2013" else ""]
    if video.footer["basis"]["neutral_prior"] is None and "neutral" in video.labels:
        notes.append("how often the model expects a neutral face")
    calibrated = [one for one in video.people if one in video.shifts]
    notes += [video.name_of(one) for one in calibrated]
    notes += [f"{video.name_of(one)} limited" for one in video.people if video.shifts.get(one, 0) >= 1.5]
    for one in video.people:
        mine = video.lanes[video.lanes.person_id == one]
        if mine.readable_s.sum() >= 10 and 1 - video.means(mine)["engagement"] < 0.05:
            notes += [f"{video.name_of(one)} is never at rest in", clock(mine.readable_s.sum())]
    return [*video.facts["warnings"], *notes]


def nobody(video: Tables) -> list[str]:
    n_frames, n_faces = len(video.frames), len(video.faces)
    if video.people or not n_frames:
        return []
    if not n_faces:
        return [f"in any of the {count(n_frames)} frames"] if n_frames > 1 else []
    with_face = count((video.frames.n_faces > 0).sum())
    return [f"{count(n_faces)} faces", f"in {with_face} of {count(n_frames)} analysed frames"]


def cards(video: Tables) -> list[str]:
    lost = [state for state in (*REASONS, "uncounted", "no_face") if video.coverage[state].sum() > 0]
    visible = [f"{state} {percent(known_share(video, state))}" for state in ("readable", *lost)]
    people = [f"{visible[0]} of {clock(video.analysed_s)}", *visible[1:], f"People {len(video.people)}"]
    if len(video.people) == 1:
        people.append(f"in view for {clock(video.sightings.seconds[video.people[0]])}")
    elif video.people:
        n, time_s = video.most_at_once
        people.append(f"at most {n} at once, at {clock(time_s)}")
    if len(video.brief):
        people.append(f"{len(video.brief)} more")
    return [*people, *(expression_cards(video) if video.people else [])]


def expression_cards(video: Tables) -> list[str]:
    """Showing an expression, which, facing the camera, strongest moment."""
    means, moment = video.means(video.lanes), video.strongest
    texts = [f"Showing {percent(means['engagement'])}"]
    if not video.readable_s:
        texts = ["–"]
    elif video.most_at_once[0] > 1 and moment:
        texts.append(f"most at once {moment['n_reacting']} of {moment['n_readable']}")
    if video.readable_s:
        texts += which(means)
    is_posed = video.whole.attention.notna().any()
    texts.append(percent(means["attention"]) if is_posed else "–")
    if moment:
        of = f"of {moment['n_readable']} faces" if len(video.people) > 1 else ""
        texts += [*button(moment["time_s"]), what_is_shown(moment), of]
    return texts


def which(means: Mapping[str, float]) -> list[str]:
    """The expression that is shown longest, and the next two from one percent on."""
    label = Tables.leading(means)
    if label is None:
        return []
    others = [
        name for name in bar_order(means) if name not in ("neutral", label) and means[f"shown_{name}"] >= 0.01
    ]
    at_rest = f"at rest {percent(means['shown_neutral'])}" if means.get("shown_neutral") else ""
    return [*(shown(means, name) for name in (label, *others[:2])), at_rest]


def what_is_shown(moment: Mapping[str, Any]) -> str:
    """By the people who react: a label, or how many show each."""
    shown = moment["shown"]
    if len(shown) == 1 and shown[0][1] == 1:
        return shown[0][0]
    return ", ".join(f"{n} {label}" for label, n in shown)


def summary(video: Tables) -> list[str]:
    if not video.people:
        return []
    means, moment = video.means(video.lanes), video.strongest
    n = len(video.people)
    texts = [
        f"{n} people" if n > 1 else "",
        f"in {clock(video.analysed_s)}",
        percent(known_share(video, "readable")),
    ]
    label = Tables.leading(means)
    if video.readable_s and label:
        texts += [f"in {percent(means['engagement'])} of the readable time, mostly {label}"]
    if moment:
        texts.append(f"at {clock(moment['time_s'])}")
        texts += [f"{moment['n_reacting']} of {moment['n_readable']} faces"] if n > 1 else []
        texts.append(what_is_shown(moment))
    return texts


def left_out(video: Tables) -> list[str]:
    """How many tracks of each kind, for how long; faces of nobody, and in how much of the video; regions."""
    texts = []
    for name, rows in video.left_out.items():
        texts += [f"{len(rows)} {name} {clock(rows.seconds.sum())}"] if len(rows) else []
    for person, rows in video.second.groupby("owner"):
        seconds = video.frames.seconds[rows.row.unique()].sum()
        texts.append(f"second face of {video.name_of(person)} for {seconds:.1f} s")
    rest = video.of_nobody
    if len(rest):
        texts.append(f"{count(len(rest))} faces {clock(video.frames.seconds[rest.row.unique()].sum())}")
    regions = video.facts["options"].get("region") or []
    if "auto" in regions:
        regions = sorted(video.faces.region.dropna().astype(str).unique())
    return [*texts, *(text for region in regions for text in region.split("="))]


# --- The timeline ---------------------------------------------------------------------------------------


def bins_per_step(video: Tables) -> int:
    """How many bins of the table one step of the chart has."""
    times = video.frames.time_s.to_numpy()
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return max(1, -(-len(video.whole) // MOST_DRAWN), int(np.ceil(usual / video.bin_s - 1e-6)))


def player(video: Tables) -> list[str]:
    if not len(video.whole):
        return []
    step = bins_per_step(video) * video.bin_s
    return [first_picture(video), "00:00.0", f"from 0 to {video.end_s:g} by {step:g}", "at 0"]


def first_picture(video: Tables) -> str:
    """When the video's first picture is shown by its file's own clock; empty if the page has no video."""
    source = video.facts["source"]
    if not video.is_playable:
        return ""
    first = video.frames.iloc[0]
    return f"{round(float(int(first.pts) * Fraction(source['time_base'])) - first.time_s, 6)}"


def timeline(video: Tables) -> list[str]:
    if not len(video.whole):
        return []
    step, lanes = bins_per_step(video), len(video.people) > MOST_LANES
    texts = [
        f"{step * video.bin_s:g} s",
        f"({step} bins)" if step > 1 else "",
        f"{MOST_LANES} people" if lanes else "",
    ]
    texts += [*signals(video), *(split_unit(name)[0] for name in video.shown_signals), *summary(video)]
    n = len(video.markers)
    if not n:
        return texts
    texts += [f"{count(n)} markers", f"the first {MOST_LISTED}" if n > MOST_LISTED else ""]
    for marker in video.markers[:MOST_LISTED].itertuples():
        texts += [*button(marker.time_s), marker.label, marker.kind]
    return texts


def signals(video: Tables) -> list[str]:
    """How many signals are shown, and where they come from."""
    facts, n, shown = video.signal_footer, len(video.signal_names), len(video.shown_signals)
    if facts is None or not n:
        return []
    texts = [f"{shown} of the {n} signals" if 0 < shown < n else "", facts["source"]["name"]]
    if shown and facts["start"]:
        texts.append(datetime.fromisoformat(facts["start"]["time"]).isoformat(sep=" "))
    return texts


def split_unit(name: str) -> tuple[str, str]:
    """A signal's title, and the unit that it has in brackets."""
    title, _, rest = name.partition(" [")
    return title, rest.rstrip("]")


def digits_of(values: Sequence[np.ndarray]) -> int:
    """Decimals of a signal's values: about three significant digits of their range."""
    known = np.concatenate(values)
    known = known[~np.isnan(known)]
    size = np.ptp(known) or abs(known.max())
    return 0 if size == 0 or size >= 1000 else 1 if size >= 10 else 2 - int(np.floor(np.log10(size)))


def write_signal(value: float, digits: int) -> str:
    """Without zeros at the end."""
    text = f"{value:.{digits}f}"
    return (
        "–" if np.isnan(value) else (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
    )


# --- Tables ---------------------------------------------------------------------------------------------


def peaks(video: Tables) -> list[str]:
    if not video.people:
        return []
    texts = ["–"] if video.peaks else []  # the heading "From – to"
    for number, peak in enumerate(video.peaks, 1):
        names = [video.name_of(person) for person in peak["people"][:MOST_NAMED]]
        hidden = len(peak["people"]) - len(names)
        what = what_happens(video, peak), what_is_shown(peak) or peak["label"] or "–"
        who = [*(names or ["–"]), f"{hidden} more" if hidden else ""]
        texts += [f"{number}", *button(peak["time_s"]), " – ".join(map(clock, peak["span"])), *what, *who]
    return texts


def what_happens(video: Tables, peak: Mapping[str, float]) -> str:
    if peak["curve"] == "valence":
        return f"net positivity by {abs(peak['height']):.2f}"
    if peak["curve"] == "expressiveness" or len(video.people) == 1:
        return f"expressiveness {two(video.whole.expressiveness[peak['bin']])}"
    return f"{percent(peak['height'])} of the people"


def measures(means: Mapping[str, float]) -> list[str]:
    """Cells of the columns of measures."""
    return [write(means[name]).replace(" ", "") for name, write in COLUMNS.values()]


def segments(video: Tables) -> list[str]:
    found = video.segments if len(video.whole) else []
    if not found:
        return []
    hidden = len(found) - MOST_SEGMENTS
    texts = [f"{hidden} later segments"] if hidden > 0 else []
    everything = video.means(video.lanes) | {
        "label": "Whole video", "kind": "", "start_s": 0.0, "end_s": video.end_s, "n_people": len(video.people),
        "presence": video.presence,
    }  # fmt: skip
    for row in (*found[:MOST_SEGMENTS], everything):
        times = [*button(row["start_s"]), clock(row["end_s"]), clock(row["end_s"] - row["start_s"])]
        seen = [count(row["n_people"]), percent(row["presence"])]
        texts += [row["label"], row["kind"], *times, *bar(row), *measures(row), *seen]
    return texts


def around(video: Tables) -> list[str]:
    if not video.people or not len(video.whole):
        return []
    engagement, valence = video.around("engagement"), video.around("valence")
    labels = list(engagement)[:6]
    if not labels:
        return []
    n = video.markers[video.markers.kind != "rest"].label.nunique()
    texts = ["from 5 s before to 10 s after", f"Of {n} labels the 6 with most markers" if n > 6 else ""]
    for label in labels:
        texts += [label, f"{len(engagement[label])}", *before_and_after(engagement[label], percent),
                  *highest(engagement[label], percent), *before_and_after(valence[label], signed)]  # fmt: skip
    return [*texts, *signals_around(video, labels)]


def before_and_after(values, write) -> list[str]:
    """Means of a curve before its markers and from them on, by marker (rows) and lag (columns)."""
    curve = values.mean()
    return [write(curve[curve.index < 0].mean()), write(curve[curve.index >= 0].mean())]


def signals_around(video: Tables, labels: list[str]) -> list[str]:
    """The signals around the markers of each label."""
    texts: list[str] = []
    curves = {name: video.around(name) for name in video.shown_signals}
    for label in labels:
        for name, found in curves.items():
            spread = [(one.mean(), one.std().fillna(0)) for one in list(found.values())[:6]]
            digits = digits_of([part for mean, sd in spread for part in (mean - sd, mean + sd)])
            write = partial(write_signal, digits=digits)
            top, *_ = highest(found[label], write)
            n = f"{len(found[label])}"
            texts += [label, n, split_unit(name)[0], *before_and_after(found[label], write), top]
    return texts


def highest(values, write) -> list[str]:
    """The highest value of a curve from its markers on, when, and the spread there."""
    curve, spread = values.mean(), values.std()
    after = curve[curve.index >= 0].dropna()
    if after.empty:
        return ["–", "–"]
    lag = after.idxmax()
    at = f"+{lag:.1f} s" if lag else "the marker"
    return [f"{write(after[lag])} at {at}", f"± {write(spread[lag])}"]


def people(video: Tables) -> list[str]:
    if not video.people:
        return []
    texts, brief = [], video.brief
    if len(brief):
        texts += [f"{len(brief)} people seen only briefly", *sorted(map(clock, brief.first_s))[:8]]
    hidden = video.people[MOST_PEOPLE:]
    if hidden:
        texts += [f"{len(hidden)} people", clock(video.sightings.seconds[hidden[0]])]
    for one in video.people[:MOST_PEOPLE]:
        texts += person(video, one)
    return texts


def person(video: Tables, one: int) -> list[str]:
    mine, seen = video.lanes[video.lanes.person_id == one], video.sightings.loc[one]
    means = video.means(mine)
    label, other = Tables.leading(means, neutral=True), Tables.leading(means)
    posed = mine.face_s[mine.attention.notna()].sum() / mine.face_s.sum()
    return [
        video.name_of(one), clock(seen.seconds), f"{clock(seen.first_s)} – {clock(seen.last_s)}",
        percent(whole(mine.readable_s.sum() / seen.seconds)), *bar(means), label or "–",
        other if other and other != label else "", *measures(means), percent(posed),
    ]  # fmt: skip


# --- Facts ----------------------------------------------------------------------------------------------


def quality(video: Tables) -> list[str]:
    faces, n = video.faces, len(video.faces)
    unreadable = faces.reason.isin(REASONS).sum()
    counts = video.facts["counts"]
    failed, unposed = counts["n_failed"], faces.yaw.isna().sum()
    return [
        f"{count(failed)} frames" if failed else "",
        f"unknown for {percent(unposed / n)} of faces" if unposed else "",
        f"not read from {percent(unreadable / n)} of faces, 45°, 28 px" if unreadable else "",
        *frame_facts(video), *face_facts(video), *model_facts(video), *source_facts(video),
    ]  # fmt: skip


def frame_facts(video: Tables) -> list[str]:
    counts, frames = video.facts["counts"], video.frames
    seen = int((frames.n_faces > 0).sum())
    return [
        sampling(video),
        *(count(counts.get(name, 0)) for name in ("n_decoded", "n_failed", "n_damaged")),
        count(len(frames)), count(seen), count(len(frames) - seen),
        *(f"{state} {clock(seconds)}" for state in STATES if (seconds := video.coverage[state].sum()) > 0),
        count(frames.is_cut.sum()), f"{video.bin_s:g} s" if len(video.whole) else "nan",
    ]  # fmt: skip


def face_facts(video: Tables) -> list[str]:
    faces, n = video.faces, len(video.faces)
    sizes = faces.face_px.astype(float).quantile([0.25, 0.5, 0.75]) if n else None

    def part(found: int) -> str:
        return f"{count(found)} ({percent(found / n)})" if n else count(found)

    return [
        count(n), part((faces.person == -1).sum()), part(faces.yaw.isna().sum()),
        f"45° {part((faces.reason == 'turned').sum())}", f"28 px {part((faces.reason == 'small').sum())}",
        f"sharpness below 50 {part((faces.reason == 'blurred').sum())}", part((faces.reason == "occluded").sum()),
        "–" if sizes is None else f"{sizes[0.5]:.0f} px", "25th to 75th percentile",
        "–" if sizes is None else f"{sizes[0.25]:.0f}–{sizes[0.75]:.0f} px",
    ]  # fmt: skip


def model_facts(video: Tables) -> list[str]:
    facts, prior = video.facts, video.footer["basis"]["neutral_prior"]
    identities = [text for part in ("model", "detector") for text in
                  (facts[part]["name"], f"sha256 {facts[part]['sha256'][:12]}…")]  # fmt: skip
    return [facts["ferflow_version"], *identities, f"{facts['options']['score']:g}",
            str(facts["options"].get("participants") or ""),
            "unknown" if prior is None else f"{prior:.3f}, replaced by 0.5", facts["options_digest"][:12]]  # fmt: skip


def source_facts(video: Tables) -> list[str]:
    source = video.facts["source"]
    rate, seconds = source["frame_rate"], source["duration_s_from_header"]
    return [
        source["name"], size(source["size"]), source["format"] or "–", source["codec"] or "–",
        f"{source['width']} × {source['height']} px", source["pix_fmt"] or "–", f"{source['rotation']}°",
        f"{round(rate, 3):g} per second" if rate else "–", "–" if seconds is None else clock(seconds),
    ]  # fmt: skip


def size(n_bytes: int) -> str:
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= step:
            return f"{n_bytes / step:.1f} {unit}"
    return f"{n_bytes} bytes"


def glossary(video: Tables) -> list[str]:
    coverage = ["turned by more than 45°, smaller than 28 px"]
    coverage += ["a pause of more than 10 usual steps"] if video.shown_signals else []
    if not video.people:
        return coverage
    terms = [
        "fully up to 15°, not at all from 35° on",
        "happy minus angry, disgust, fear and sad",
        "neutral where rest is more likely",
        "unknown, not 0",
    ]
    accuracy = f"from 5 s before to 10 s after, accurate to {video.bin_s:g} s"
    markers = [accuracy] if len(video.markers) else []
    return [*terms, *coverage, *markers]


def curves(video: Tables, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The audience's curves as the chart draws them: means over the steps, weighted by time."""
    whole, step = video.whole, pd.Series(video.whole.index // bins_per_step(video))
    weight_of = {"attention": "face_s", "presence": "seconds"}
    found = {}
    for name in names:
        weights = whole[weight_of.get(name, "readable_s")].where(whole[name].notna())
        sums = (whole[name] * weights).groupby(step).sum(), weights.groupby(step).sum()
        found[name] = (sums[0] / sums[1].where(sums[1] > 0)).to_numpy()
    return found
