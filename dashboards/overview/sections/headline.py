"""The top of the overview: failures, warnings about the lists, cards, who is not counted."""

from __future__ import annotations

import math
from pathlib import Path

from ferflow.analytics.cohort import Cohort
from ferflow.analytics.intervals import Interval, share_interval
from ferflow.analytics.tally import ratio
from ferflow.analytics.timeline import leading_label
from ferflow.dashboards.overview.cohort import (
    count_people,
    describe_grouping,
    describe_pooling,
    describe_rule,
    list_left_out,
)
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.shared.elements import Card, Notice
from ferflow.dashboards.shared.number_format import (
    count,
    join_words,
    percent,
    pluralize,
    sanitize,
    timecode,
)


def build_failures(folder: Folder) -> Notice | None:
    """How many inputs have no results."""
    if not folder.broken:
        return None
    return Notice(
        f"{pluralize(len(folder.broken), 'input')} could not be analysed.",
        "The table of videos below gives the reason for each. The other inputs are not affected.",
    )


def build_list_warnings(folder: Folder) -> Notice | None:
    """Problems in the lists of people and sessions."""
    if not folder.warnings:
        return None
    lines = tuple(sanitize(warning) for warning in folder.warnings)
    return Notice("Problems in the lists of people, sessions or corrections", lines=lines)


def build_corrections(folder: Folder) -> Notice | None:
    """How many corrections the numbers of this page include."""
    corrected = [entry for entry in folder.finished if entry.n_corrections]
    if not corrected:
        return None
    n = sum(entry.n_corrections for entry in corrected)
    return Notice(
        f"This page honours {pluralize(n, 'correction')} of {sanitize(Path(folder.names.corrections.file).name)}.",
        f"{'It is' if n == 1 else 'They are'} about {pluralize(len(corrected), 'video')}; the pages of the sessions "
        "list them.",
    )


def build_copies(folder: Folder) -> Notice | None:
    """Recordings that count more than once."""
    if not folder.copies:
        return None
    return Notice("Copies of one file", lines=folder.copies)


def build_left_out(folder: Folder) -> Notice | None:
    """Who is not counted, by name."""
    left_out = folder.cohort.left_out
    if not left_out:
        return None
    return Notice("Not counted:", f"{list_left_out(left_out)}. {describe_rule()}")


# --- Cards ----------------------------------------------------------------------------------------------


def build_cards(folder: Folder) -> tuple[Card, ...] | None:
    """The headline numbers; None without results."""
    if not folder.finished:
        return None
    cards = [_videos_card(folder), _visible_card(folder)]
    if folder.cohort.participants:
        cards[1:1] = [_participants_card(folder)]
        cards += [*_expression_cards(folder.cohort), _ever_card(folder.cohort)]
    return tuple(cards)


def _videos_card(folder: Folder) -> Card:
    length = timecode(sum(entry.duration_s or 0.0 for entry in folder.finished))
    return Card("Videos", count(len(folder.finished)), f"{length} together")


def _visible_card(folder: Folder) -> Card:
    done = folder.finished
    share = float(ratio(sum(entry.face_s for entry in done), sum(entry.analysed_s for entry in done)))
    people = folder.cohort.participants
    face_s, readable_s = (sum(getattr(one, name) for one in people) for name in ("face_s", "readable_s"))
    readable = (
        f"; {percent(_cap(readable_s / face_s))} of the time in view of the participants can be read"
        if face_s
        else ""
    )
    return Card(
        "Face in view", percent(_cap(share)), f"of the analysed time of all videos shows a face{readable}"
    )


def _participants_card(folder: Folder) -> Card:
    groups, left_out = folder.cohort.groups, folder.cohort.left_out
    n_unseen = sum(one.reason == "unseen" for one in left_out)
    parts = (
        [f"in {pluralize(len(groups), 'group')}{describe_grouping(folder)}"]
        if groups
        else ["each counted once"]
    )
    parts += [pooled] if (pooled := describe_pooling(folder.cohort)) else []
    parts += [f"{n} more not counted"] if (n := len(left_out) - n_unseen) else []
    parts += [f"{n_unseen} without any face"] if n_unseen else []
    return Card("Participants", count(folder.cohort.n_participants), "; ".join(parts))


def _expression_cards(cohort: Cohort) -> list[Card]:
    """How much of the readable time of all participants shows an expression, and which."""
    share = cohort.mean("engagement")
    if not math.isfinite(share):
        return []
    own = [value for one in cohort.of(None) if math.isfinite(value := one.mean("engagement"))]
    spread = f"; {percent(min(own))} to {percent(max(own))} by participant" if len(own) > 1 else ""
    readable = timecode(sum(one.readable_s for one in cohort.participants))
    cards = [
        Card("Showing an expression", percent(share), f"of the {readable} in which faces can be read{spread}")
    ]
    shown = {name: cohort.mean(name) for name in cohort.measures if name.startswith("shown_")}
    label = leading_label(shown)
    if label is None:
        return [*cards, Card("Which expression", "none", "the faces are at rest")]
    others = sorted((name for name in shown if shown[name] >= 0.01), key=lambda name: -shown[name])
    rest = [f"{sanitize(name.removeprefix('shown_'))} {percent(shown[name])}" for name in others
            if name not in (f"shown_{label}", "shown_neutral")][:2]  # fmt: skip
    then = f", then {join_words(rest)}" if rest else ""
    note = f"{percent(shown[f'shown_{label}'])} of the readable time{then}"
    return [*cards, Card("Which expression", sanitize(label), note)]


def _ever_card(cohort: Cohort) -> Card:
    people = cohort.of(None)
    n = sum(one.has_reacted for one in people)
    return Card(
        "Reacted at least once", count(n), describe_share(share_interval(one.has_reacted for one in people)),
        unit=f"of {len(people)}",
    )  # fmt: skip


def describe_share(interval: Interval) -> str:
    """`75 % of 8 participants; 95 % interval 41 % to 93 %`."""
    return (
        f"{percent(interval.mean)} of {count_people(interval.n)}; 95 % interval {percent(interval.low)} to "
        f"{percent(interval.high)}"
    )


def _cap(share: float) -> float:
    # Sums of rounded times may be a little more than their whole.
    return 1.0 if share > 1 - 1e-9 else share
