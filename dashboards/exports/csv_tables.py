"""The tables of the pages as CSV, unrounded; docs/cohort.md says which file is which table.

`csv/` of the output folder: here those of the overview, in `session_tables` those of the sessions' pages, all sessions
in one file each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from ferflow.analytics.cohort import Cohort, compare, group_band, mean_interval
from ferflow.analytics.csv_input import write_csv
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.analytics.peaks import strongest_moment
from ferflow.dashboards.exports.session_tables import Cells, Table, probability_names, session_tables
from ferflow.dashboards.overview.cohort import known_measures
from ferflow.dashboards.overview.overview_data import Entry, Folder, load_folder
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.store.output_folder import OutputFolder


def write_tables(out: Path, options: PageOptions) -> list[Path]:
    """Write every table.

    Raises:
        OptionsError, RecordsError: as `overview_data.load_folder`.
    """
    folder = load_folder(out, options)
    tables = overview_tables(folder) | session_tables(out, folder)
    return [write_csv(OutputFolder(out).csv_tables / f"{name}.csv", *table) for name, table in tables.items()]


def overview_tables(folder: Folder) -> dict[str, Table]:
    """Columns and rows of the overview's tables, by name."""
    probs = probability_names(folder)
    return {
        "videos": ([*_VIDEOS, *MEASURES, *probs], _videos(folder, [*MEASURES, *probs])),
        "participants": ([*_PARTICIPANTS, *MEASURES], _participants(folder.cohort)),
        "groups": (_GROUPS, _groups(folder.cohort)),
        "comparisons": (_COMPARISONS, _comparisons(folder.cohort)),
        "curves": (_CURVES, _curves(folder.cohort)),
    }


_VIDEOS = ["video_id", "name", "participant", "group", "status", "reason", "rank", "duration_s", "n_people",
           "analysed_s", "coverage", "most_reacting", "most_reacting_of", "most_reacting_at_s"]  # fmt: skip


def _videos(folder: Folder, names: list[str]) -> Iterator[Cells]:
    ranks = {entry.video_id: rank for rank, entry in enumerate(folder.ranked, 1)}
    for entry in folder.entries:
        facts: Cells = [
            entry.video_id,
            entry.name,
            entry.participant,
            entry.group,
            entry.status,
            entry.reason,
        ]
        if entry.video is None:
            # An input without results has the same columns, empty.
            yield facts + [None] * (len(_VIDEOS) + len(names) - len(facts))
        else:
            rank = ranks[entry.video_id] if math.isfinite(entry.mean(LEADING)) else None
            counts: Cells = [rank, entry.duration_s, entry.n_people, entry.analysed_s, entry.coverage]
            yield facts + counts + _most_reacting(entry) + [entry.mean(name) for name in names]


def _most_reacting(entry: Entry) -> Cells:
    """The bin in which most people react."""
    assert entry.video is not None
    top = strongest_moment(entry.video.timeline)
    return [None] * 3 if top is None else [top.n_reacting, top.n_readable, top.time_s]


_PARTICIPANTS = ["participant", "group", "video_ids", "seconds_in_view"]


def _participants(cohort: Cohort) -> Iterator[Cells]:
    for participant in cohort.participants:
        facts: Cells = [
            participant.name,
            participant.group,
            " ".join(participant.video_ids),
            participant.seconds,
        ]
        yield facts + [participant.mean(name) for name in MEASURES]


_GROUPS = ["group", "measure", "n", "mean", "low_95", "high_95"]


def _groups(cohort: Cohort) -> Iterator[Cells]:
    for group in (None, *cohort.groups):  # None, an empty cell: all participants
        for name in MEASURES:
            yield [group, name, *mean_interval(one.mean(name) for one in cohort.of(group))]


_COMPARISONS = ["measure", "first", "second", "n_first", "n_second", "difference", "low_95", "high_95", "hedges_g",
                "hedges_g_low_95", "hedges_g_high_95", "cliffs_delta"]  # fmt: skip


def _comparisons(cohort: Cohort) -> Iterator[Cells]:
    for found in compare(cohort, known_measures(cohort)):
        yield [found.measure, found.first, found.second, *found.n, found.difference, found.low, found.high,
               found.hedges_g, found.g_low, found.g_high, found.cliffs_delta]  # fmt: skip


_CURVES = ["group", "start_s", "end_s", "measure", "n", "mean", "low_95", "high_95"]


def _curves(cohort: Cohort) -> Iterator[Cells]:
    for group in (None, *cohort.groups):
        for name in known_measures(cohort):
            found = group_band(cohort.of(group), name, cohort.n_points)
            for k in range(cohort.n_points):
                span: Cells = [round(k * cohort.step_s, 9), round((k + 1) * cohort.step_s, 9)]
                values = [float(column[k]) for column in (found.mean, found.low, found.high)]
                yield [group, *span, name, int(found.n[k]), *values]
