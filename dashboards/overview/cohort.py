"""A cohort in words: who is in it, how groups differ, who its participants are. The template lays out."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import quote

import numpy as np

from ferflow import palette
from ferflow.analytics.cohort import (
    CONFIDENCE,
    Cohort,
    Comparison,
    Member,
    compare,
    group_band,
    mean_interval,
)
from ferflow.analytics.measures import MEASURES, REACTING_THRESHOLD, leading_measure, page_measures
from ferflow.analytics.session_list import GROUP
from ferflow.analytics.tally import BASELINE_SECONDS
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.overview.sparkline import interval, spark
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    count,
    format_measure,
    listed,
    percent,
    score,
    shown,
    signed,
    some,
    timecode,
)

Section = dict[str, Any]

MOST_GROUPS = len(palette.GROUPS)
"""Groups with a curve of their own, the largest ones."""
MOST_GROUPS_COMPARED = 5
"""Of more groups than these, the page compares no pairs; the CSV does."""
MOST_PARTICIPANT_ROWS = 60


def group_colours(cohort: Cohort) -> dict[str, str]:
    """A colour per drawn group, in the groups' order; the largest ones if there are too many."""
    return dict(zip(drawn_groups(cohort), palette.GROUPS, strict=False))


def drawn_groups(cohort: Cohort) -> list[str]:
    """The groups with a curve."""
    largest = sorted(cohort.groups, key=lambda group: (-len(cohort.of(group)), group))[:MOST_GROUPS]
    return sorted(largest)


def known_measures(cohort: Cohort) -> list[str]:
    """Measures known of anybody, in the page's order."""
    return [
        measure.name
        for measure in page_measures()
        if any(math.isfinite(member.mean(measure.name)) for member in cohort.members)
    ]


def leading_of(cohort: Cohort) -> str:
    """`engagement`; or `expressiveness`, where no pose is known of anybody."""
    return leading_measure(known_measures(cohort))


def cohort_section(folder: Folder) -> Section:
    """Everything the template needs of a cohort of two or more."""
    cohort = folder.cohort
    return {
        "lead": MEASURES[leading_of(cohort)].title,
        "title": f"Groups{by_words(folder)} over time" if cohort.groups else "Everybody together",
        "hint": _hint(folder),
        "legend": _legend(cohort),
        "notes": _notes(folder),
        "chart_words": _chart_words(cohort),
        "measures": _measures(cohort) if cohort.groups else [],
        "n_groups": len(cohort.groups),
        "comparisons": _comparisons(cohort),
        "comparison_hint": _comparison_hint(cohort),
        **_participants(folder),
        "reading": _reading(cohort),
    }


def headline_cards(folder: Folder) -> list[Section]:
    """Participants, then what they show on the whole."""
    cohort, name = folder.cohort, leading_of(folder.cohort)
    return [
        _card("Participants", count(cohort.n_participants), _who(folder)),
        _mean_card(cohort, name),
        _peak_card(cohort),
        _mean_card(cohort, "valence"),
    ]


def _card(label: str, value: str, note: str, unit: str = "") -> Section:
    return {"label": label, "value": value, "unit": unit, "note": note}


def _who(folder: Folder) -> str:
    groups = folder.cohort.groups
    return f"in {some(len(groups), 'group')}{by_words(folder)}" if groups else "each counted once"


def by_words(folder: Folder) -> str:
    """What the groups are made by, unless that is called "group"."""
    return "" if folder.by in (None, GROUP) else f" by {shown(folder.by)}"


def _mean_card(cohort: Cohort, name: str) -> Section:
    n, mean, low, high = mean_interval(member.mean(name) for member in cohort.members)
    title = MEASURES[name].title if name == "valence" else f"Mean {name}"
    note = f"95 % interval {_span(name, low, high)}, n {n}" if math.isfinite(low) else f"n {n}: no interval"
    return _card(title, _word(name, mean), note)


def _peak_card(cohort: Cohort) -> Section:
    share = group_band(cohort.members, "reacting", cohort.n_points)
    if not np.isfinite(share.mean).any() or not np.nansum(share.mean):
        return _card("Reacting at once", "0", f"nobody passes {REACTING_THRESHOLD:g} expressiveness")
    reacting = np.round(np.nan_to_num(share.mean * share.n), 6)
    k = int(np.lexsort((-np.arange(len(reacting)), np.nan_to_num(share.mean), reacting))[-1])
    at = timecode((k + 0.5) * cohort.step_s)
    number = f"{reacting[k]:.0f}" if reacting[k] >= 1 else "<1"
    return _card("Most reacting at once", number, f"at {at}; {percent(float(share.mean[k]))} of those in view",
                 unit=f"of {share.n[k]:.0f}")  # fmt: skip


def _hint(folder: Folder) -> str:
    cohort = folder.cohort
    joined = f" ({cohort.bins_joined} bins of the tables)" if cohort.bins_joined > 1 else ""
    return (
        f"Means over participants, each counted once; each point is {cohort.step_s:g} s{joined}. The band is the "
        f"{CONFIDENCE * 100:.0f} % confidence interval of the mean at each point by itself (Student's t); it is "
        "missing where fewer than two are in view. Sessions are laid over one another from their first frame, or "
        "from the moment that the session list gives."
    )


def _legend(cohort: Cohort) -> list[Section]:
    return [
        {"name": shown(group), "colour": colour, "n": len(cohort.of(group))}
        for group, colour in group_colours(cohort).items()
    ]


def _notes(folder: Folder) -> list[str]:
    """What was left out, and what to keep in mind."""
    cohort, notes = folder.cohort, []
    if cohort.n_brief:
        notes.append(
            f"{some(cohort.n_brief, 'person', 'people')} in view for less than {BASELINE_SECONDS:g} s (or half of a "
            "shorter session) cannot be judged, and are not counted here."
        )
    if cohort.other_bins:
        notes.append(
            f"{some(len(cohort.other_bins), 'video')} with bins of another length left out: "
            f"{shown(_some_of(cohort.other_bins))}."
        )
    if cohort.ambiguous:
        notes.append(
            f"{some(len(cohort.ambiguous), 'video')} with a named participant but several people in view: the mean of "
            f"all of them stands for the participant ({shown(_some_of(cohort.ambiguous))}). Give the participant's "
            "name to the right tracks in people.csv."
        )
    loose = [member for member in cohort.members if member.group is None]
    if cohort.groups and loose:
        notes.append(f"{some(len(loose), 'participant')} of no group: in no curve and no comparison.")
    if hidden := len(cohort.groups) - len(drawn_groups(cohort)):
        notes.append(f"The {MOST_GROUPS} largest groups have curves; {hidden} more in the table of groups.")
    if n := cohort.n_in_several:
        notes.append(
            f"{some(n, 'participant')} in several groups: the comparison takes them for different people."
        )
    return notes


def _some_of(names: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _chart_words(cohort: Cohort) -> str:
    name = leading_of(cohort)
    title = MEASURES[name].title.lower()
    groups: list[str | None] = [*drawn_groups(cohort)] or [None]
    found = {group: mean_interval(member.mean(name) for member in cohort.of(group)) for group in groups}
    means = [f"{shown(group or 'everybody')} {_word(name, mean)}" for group, (_, mean, *_) in found.items()]
    return (
        f"Four rows over one time axis: {title}, share of people reacting, net positivity, and how "
        f"many people the curves rest on. Mean {title}: {listed(means)}."
    )


# --- Groups ---------------------------------------------------------------------------------------------


def _measures(cohort: Cohort) -> list[Section]:
    """Per measure, a row per group."""
    colours = group_colours(cohort)
    return [
        {"title": MEASURES[name].title, "rows": _group_rows(cohort, name, colours)}
        for name in known_measures(cohort)
    ]


def _group_rows(cohort: Cohort, name: str, colours: dict[str, str]) -> list[Section]:
    found = {
        group: mean_interval(member.mean(name) for member in cohort.of(group)) for group in cohort.groups
    }
    edges = [value for _, *values in found.values() for value in values if math.isfinite(value)]
    bounds = (min([0.0, *edges]), max([0.0, *edges]))
    return [
        {
            "group": shown(group), "n": n, "mean": _word(name, mean), "span": _span(name, low, high),
            "colour": colours.get(group, "transparent"),
            "picture": interval(mean, low, high, bounds=bounds, colour=colours.get(group, MEASURES["negative"].colour),
                                words=f"{_word(name, mean)}, 95 % interval {_span(name, low, high)}"),
        }
        for group, (n, mean, low, high) in found.items()
    ]  # fmt: skip


def _comparisons(cohort: Cohort) -> list[Section]:
    if len(cohort.groups) > MOST_GROUPS_COMPARED:
        return []
    return [_comparison(found) for found in compare(cohort, known_measures(cohort))]


def _comparison(found: Comparison) -> Section:
    return {
        "measure": MEASURES[found.measure].title,
        "first": shown(found.first),
        "second": shown(found.second),
        "n": f"{found.n[0]} · {found.n[1]}",
        "difference": _signed_span(found.difference, found.low, found.high),
        "g": _signed_span(found.hedges_g, found.g_low, found.g_high, _effect),
        "delta": signed(found.cliffs_delta),
    }


def _comparison_hint(cohort: Cohort) -> str:
    if len(cohort.groups) > MOST_GROUPS_COMPARED:
        return (
            f"{len(cohort.groups)} groups make more pairs than anybody can judge: none are shown. "
            "`ferflow report OUT --csv` writes all of them."
        )
    n = len(cohort.groups) * (len(cohort.groups) - 1) // 2 * len(known_measures(cohort))
    return (
        "First group less second, over the participants' own means. Hedges' g is the difference in pooled standard "
        "deviations; Cliff's delta is how much oftener a participant of the first group is above one of the second "
        f"than below. In brackets 95 % intervals. Of {n} comparisons on this page about one in twenty would show an "
        "interval without 0 by chance alone."
    )


def _effect(value: float) -> str:
    """A number without bounds, with its sign and two digits."""
    if not math.isfinite(value):
        return UNKNOWN
    return f"{'−' if value < 0 else '+'}{abs(value):.2f}" if value else "0"


def _signed_span(value: float, low: float, high: float, word: Any = None) -> str:
    word = word or _effect
    return f"{word(value)} [{word(low)}, {word(high)}]" if math.isfinite(low) else word(value)


def _word(name: str, value: float) -> str:
    return format_measure(MEASURES[name], value)


def _span(name: str, low: float, high: float) -> str:
    """An interval, cut off at the bounds of what is measured."""
    if not math.isfinite(low):
        return UNKNOWN
    bottom, top = MEASURES[name].range
    return f"{_word(name, max(low, bottom))} to {_word(name, min(high, top))}"


# --- Participants ---------------------------------------------------------------------------------------


def _participants(folder: Folder) -> Section:
    cohort = folder.cohort
    videos = {entry.video_id: entry for entry in folder.finished}
    if _is_one_each(cohort, len(videos)):
        return {"participants": [], "participants_hint": ""}
    name = leading_of(cohort)
    longest = sorted(cohort.members, key=lambda member: -member.seconds)[:MOST_PARTICIPANT_ROWS]
    ranked = sorted(longest, key=lambda member: -np.nan_to_num(member.mean(name), nan=-1.0))
    curves = [member.curve(name) for member in ranked]
    top = max([float(np.nanmax(curve)) for curve in curves if np.isfinite(curve).any()], default=1.0)
    colours = group_colours(cohort)
    hint = f"Means over a participant's bins. All curves share one scale; {MEASURES[name].title.lower()} ranks them."
    if hidden := len(cohort.members) - len(ranked):
        hint += f" The {len(ranked)} longest in view are listed, {hidden} are not; `--csv` writes all."
    return {
        "participants_hint": hint,
        "participants": [_participant(member, name, top, colours, videos) for member in ranked],
    }


def _is_one_each(cohort: Cohort, n_videos: int) -> bool:
    """Whether the list of videos says it all: every video shows one participant, and each is in one video."""
    pairs = [member.video_ids for member in cohort.members]
    return len(pairs) == n_videos and len(set(pairs)) == n_videos and all(len(ids) == 1 for ids in pairs)


def _participant(
    member: Member, name: str, top: float, colours: dict[str, str], videos: dict[str, Any]
) -> Section:
    colour = colours.get(member.group or "", MEASURES["engagement"].colour)
    words = f"{name} over time, mean {score(member.mean(name))}"
    return {
        "name": shown(member.name),
        "group": shown(member.group or UNKNOWN),
        "colour": colours.get(member.group or "", "transparent"),
        "videos": [
            {"name": shown(videos[video_id].name), "link": f"reports/{quote(video_id)}.html"
             if videos[video_id].link else None}
            for video_id in member.video_ids
        ],
        "seconds": timecode(member.seconds),
        "spark": spark(member.curve(name), top, colour, words),
        "value": _word(name, member.mean(name)),
        "valence": signed(member.mean("valence")),
        "reacting": percent(member.mean("reacting")),
        "keys": {key: f"{value:.6g}" if math.isfinite(value) else "" for key, value in (
            ("value", member.mean(name)), ("valence", member.mean("valence")),
            ("reacting", member.mean("reacting")), ("seconds", member.seconds))},
    }  # fmt: skip


def _lead_reading(cohort: Cohort) -> list[tuple[str, str]]:
    if leading_of(cohort) == "engagement":
        return [("Engagement", "is attention (how far a face is turned to the camera) × expressiveness. It measures "
                 "faces, not interest: somebody absorbed and still has little of it.")]  # fmt: skip
    return [("Expressiveness", "is the score of everything but neutral, less the person's own resting face. It stands "
             "in for engagement, which needs a head pose.")]  # fmt: skip


def _reading(cohort: Cohort) -> list[tuple[str, str]]:
    name = MEASURES[leading_of(cohort)].title.lower()
    return [
        ("Participants", "are what is counted: a person of a video, or whom the session list names for a video. "
         "Tracks that people.csv gives one name are one participant, also over several videos."),
        *_lead_reading(cohort),
        ("The band", f"says how far the mean {name} may be off because few were watched. It says nothing of whether "
         "the model reads these faces well."),
        ("Reacting", f"is the share of participants in view whose expressiveness is {REACTING_THRESHOLD:g} or more "
         "in at least half of their faces of a bin."),
        ("Groups", "that differ on this page differ in what appears on faces, under these cameras and this light. "
         "Why they do, the page cannot know."),
        ("Negative", "does not mean bad: effort and suspense look like it, in games most of all."),
    ]  # fmt: skip
