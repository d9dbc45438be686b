"""The top of the overview: failures, warnings about the lists, cards."""

from __future__ import annotations

import math

import numpy as np

from ferflow.analytics.cohort import Cohort, group_band, mean_interval
from ferflow.analytics.measures import LEADING, MEASURES, REACTING_THRESHOLD
from ferflow.analytics.tally import ratio
from ferflow.dashboards.overview.cohort import describe_grouping, format_interval, format_value
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.shared.bins import find_largest
from ferflow.dashboards.shared.elements import Card, Notice
from ferflow.dashboards.shared.number_format import count, percent, pluralize, sanitize, timecode


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
    return Notice("Problems in the lists of people or sessions", lines=lines)


def build_cards(folder: Folder) -> tuple[Card, ...] | None:
    """The headline numbers; None without results."""
    done = folder.finished
    if not done:
        return None
    analysed_s, face_s = sum(entry.analysed_s for entry in done), sum(entry.face_s for entry in done)
    length = timecode(sum(entry.duration_s or 0.0 for entry in done))
    videos = Card("Videos", count(len(done)), f"total length {length}")
    coverage = Card(
        "Coverage", percent(float(ratio(face_s, analysed_s))), "of the analysed time shows a face"
    )
    if not folder.cohort.participants:
        return videos, coverage
    return videos, _participants_card(folder), coverage, *_mean_cards(folder.cohort)


def _participants_card(folder: Folder) -> Card:
    groups = folder.cohort.groups
    note = (
        f"in {pluralize(len(groups), 'group')}{describe_grouping(folder)}" if groups else "each counted once"
    )
    return Card("Participants", count(folder.cohort.n_participants), note)


def _mean_cards(cohort: Cohort) -> tuple[Card, ...]:
    return _mean_card(cohort, LEADING), _reacting_card(cohort), _mean_card(cohort, "valence")


def _mean_card(cohort: Cohort, name: str) -> Card:
    n, mean, low, high = mean_interval(one.mean(name) for one in cohort.participants)
    title = MEASURES[name].title if name == "valence" else f"Mean {name}"
    interval = f"95 % interval {format_interval(name, low, high)}, n {n}"
    return Card(title, format_value(name, mean), interval if math.isfinite(low) else f"n {n}: no interval")


def _reacting_card(cohort: Cohort) -> Card:
    share = group_band(cohort.participants, "reacting", cohort.n_points)
    if not np.isfinite(share.mean).any() or not np.nansum(share.mean):
        return Card("Reacting at once", "0", f"no person reaches {REACTING_THRESHOLD:g} expressiveness")
    # Products that are equal must compare as equal, whatever the rounding of floating point.
    reacting = np.round(np.nan_to_num(share.mean * share.n), 6)
    k = find_largest(reacting, share.mean)
    at = timecode((k + 0.5) * cohort.step_s)
    number = f"{reacting[k]:.0f}" if reacting[k] >= 1 else "<1"
    note = f"at {at}; {percent(float(share.mean[k]))} of those in view"
    return Card("Most reacting at once", number, note, unit=f"of {share.n[k]:.0f}")
