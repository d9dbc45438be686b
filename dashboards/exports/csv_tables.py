"""The tables of the pages as CSV, unrounded; docs/cohort.md says which file is which table.

`csv/` of the output folder: here those of the overview, in `session_tables` those of the sessions' pages, all sessions
in one file each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from ferflow.analytics.cohort import Cohort, Participant
from ferflow.analytics.cohort_signals import clock_band, response_band, signal_names
from ferflow.analytics.csv_input import write_csv
from ferflow.analytics.group_comparison import compare
from ferflow.analytics.intervals import Band, mean_interval
from ferflow.analytics.measures import MEASURES
from ferflow.analytics.peaks import strongest_moment
from ferflow.analytics.signals import COLUMN_PREFIX
from ferflow.analytics.stimuli import Stimulus
from ferflow.dashboards.exports.session_tables import (
    Cells,
    Table,
    describe_bounds,
    probability_names,
    session_tables,
)
from ferflow.dashboards.overview.overview_data import Entry, Folder, load_folder
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.store.output_folder import OutputFolder


def write_tables(out: Path, options: PageOptions) -> list[str]:
    """Write every table.

    Returns:
        A warning for each video of which a table does not have everything.

    Raises:
        OptionsError, RecordsError: as `overview_data.load_folder`.
    """
    folder = load_folder(out, options)
    tables = overview_tables(folder) | session_tables(out, folder)
    place = OutputFolder(out).csv_tables
    for name, table in tables.items():
        write_csv(place / f"{name}.csv", *table, out=out)
    return describe_bounds(folder)


def overview_tables(folder: Folder) -> dict[str, Table]:
    """Columns and rows of the overview's tables, by name."""
    probs = probability_names(folder)
    return {
        "videos": ([*_VIDEOS, *MEASURES, *probs], _videos(folder, [*MEASURES, *probs])),
        "participants": ([*_PARTICIPANTS, *MEASURES], _participants(folder.cohort)),
        "groups": (_GROUPS, _groups(folder.cohort)),
        "comparisons": (_COMPARISONS, _comparisons(folder.cohort)),
        "curves": (_CURVES, _curves(folder)),
        "scenes": (_SCENES, _scenes(folder)),
        "responses": (_RESPONSES, _responses(folder)),
    }


_VIDEOS = ["video_id", "name", "participant", "group", "stimulus", "status", "reason", "duration_s", "n_people",
           "analysed_s", "coverage", "most_reacting", "most_reacting_of", "most_reacting_at_s"]  # fmt: skip


def _videos(folder: Folder, names: list[str]) -> Iterator[Cells]:
    participants = _find_participants(folder.cohort)
    for entry in (*folder.finished, *folder.broken):
        participant = "; ".join(participants.get(entry.video_id, ())) or None
        stimulus = _name_stimulus(folder, entry.stimulus)
        facts: Cells = [
            entry.video_id, entry.name, participant, entry.group, stimulus, entry.status, entry.reason,
        ]  # fmt: skip
        if entry.video is None:
            # An input without results has the same columns, empty.
            yield facts + [None] * (len(_VIDEOS) + len(names) - len(facts))
        else:
            counts: Cells = [entry.duration_s, entry.n_people, entry.analysed_s, entry.coverage]
            yield facts + counts + _most_reacting(entry) + [entry.mean(name) for name in names]


def _find_participants(cohort: Cohort) -> dict[str, list[str]]:
    """Names of the participants, as the overview has them, of each video for which the session list names any."""
    found: dict[str, list[str]] = {}
    for one in (*cohort.everybody, *(left_out.participant for left_out in cohort.left_out)):
        for part in one.parts:
            names = found.setdefault(part.video.video_id, [])
            if part.video.session.participants and part.name not in names:
                names.append(part.name)
    return found


def _most_reacting(entry: Entry) -> Cells:
    """The bin in which most people react."""
    assert entry.video is not None
    top = strongest_moment(entry.video.timeline)
    return [None] * 3 if top is None else [top.n_reacting, top.n_readable, top.time_s]


_PARTICIPANTS = [
    "participant",
    "group",
    "video_ids",
    "seconds_in_view",
    "readable_s",
    "has_reacted",
    "not_counted",
]


def _participants(cohort: Cohort) -> Iterator[Cells]:
    """Those who are counted, then the others with the reason, one of `cohort.Reason`."""
    for one in cohort.participants:
        yield [*_describe_participant(one), None, *(one.mean(name) for name in MEASURES)]
    for left_out in cohort.left_out:
        means = (left_out.participant.mean(name) for name in MEASURES)
        yield [*_describe_participant(left_out.participant), left_out.reason, *means]


def _describe_participant(one: Participant) -> Cells:
    ids = " ".join(one.video_ids)
    return [one.name, one.group, ids, one.face_s, one.readable_s, int(one.has_reacted)]


_INTERVAL = ["n", "mean", "low_95", "high_95"]

_GROUPS = ["group", "measure", *_INTERVAL]


def _groups(cohort: Cohort) -> Iterator[Cells]:
    for group in (None, *cohort.groups):  # None, an empty cell: all participants
        for name, measure in MEASURES.items():
            found = mean_interval((one.mean(name) for one in cohort.of(group)), measure.range)
            yield [group, name, found.n, found.mean, found.low, found.high]


_COMPARISONS = ["measure", "first", "second", "n_first", "n_second", "difference", "low_95", "high_95", "hedges_g",
                "hedges_g_low_95", "hedges_g_high_95", "cliffs_delta"]  # fmt: skip


def _comparisons(cohort: Cohort) -> Iterator[Cells]:
    """Also of groups that the page calls too small to compare: a reader of this table sees their n."""
    for found in compare(cohort, _known(cohort)):
        yield [found.measure, found.first, found.second, *found.n, found.difference, found.low, found.high,
               found.hedges_g, found.g_low, found.g_high, found.cliffs_delta]  # fmt: skip


_CURVES = ["stimulus", "group", "start_s", "end_s", "measure", *_INTERVAL]


def _curves(folder: Folder) -> Iterator[Cells]:
    for clock in folder.clocks:
        stimulus = _name_stimulus(folder, clock.stimulus)
        for group in (None, *clock.cohort.groups):
            curves = {name: clock.band(group, name) for name in _known(clock.cohort)}
            curves |= {"ever_reacted": clock.ever_reacted(group), "still_there": clock.still_there(group)}
            curves |= {
                COLUMN_PREFIX + name: clock_band(clock, group, name) for name in signal_names(clock.cohort)
            }
            for name, band in curves.items():
                for k, values in enumerate(_iterate(band)):
                    span = [round(k * clock.step_s, 9), round((k + 1) * clock.step_s, 9)]
                    yield [stimulus, group, *span, name, *values]


_SCENES = ["stimulus", "label", "group", "measure", *_INTERVAL]


def _scenes(folder: Folder) -> Iterator[Cells]:
    for pool in folder.pools:
        stimulus = _name_stimulus(folder, pool.stimulus)
        for label, group, name in product(pool.scenes, (None, *pool.cohort.groups), _known(pool.cohort)):
            found = pool.scene(label, group, name)
            yield [stimulus, label, group, name, found.n, found.mean, found.low, found.high]


_RESPONSES = ["stimulus", "label", "n_markers", "group", "offset_s", "measure", *_INTERVAL]


def _responses(folder: Folder) -> Iterator[Cells]:
    for pool in folder.pools:
        stimulus, names = _name_stimulus(folder, pool.stimulus), signal_names(pool.cohort)
        for label, group in product(pool.labels, (None, *pool.cohort.groups)):
            curves = {name: pool.response(label, group, name) for name in _known(pool.cohort)}
            curves |= {COLUMN_PREFIX + name: response_band(pool, label, group, name) for name in names}
            for name, band in curves.items():
                for lag_s, values in zip(pool.lags, _iterate(band), strict=True):
                    yield [stimulus, label, pool.n_markers(label), group, float(lag_s), name, *values]


def _iterate(band: Band) -> Iterator[Cells]:
    """n, mean and interval of each point."""
    for k in range(len(band.n)):
        yield [int(band.n[k]), float(band.mean[k]), float(band.low[k]), float(band.high[k])]


def _known(cohort: Cohort) -> list[str]:
    """Measures that are known of any participant."""
    return [name for name in MEASURES if any(math.isfinite(one.mean(name)) for one in cohort.participants)]


def _name_stimulus(folder: Folder, stimulus: Stimulus | None) -> str | None:
    return folder.stimulus_videos[stimulus].title if stimulus else None
