"""The tables of the sessions' pages, all sessions of a folder in one table each, with every row and unrounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from ferflow.analytics.cohort import CohortVideo
from ferflow.analytics.coverage import COVERAGE_TIMELINE
from ferflow.analytics.event_locked import CurveSummary, curves_by_label, segments, summarize_curves
from ferflow.analytics.markers import MARKERS, event_markers, times_by_label
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.analytics.peaks import peaks
from ferflow.analytics.persons import Person
from ferflow.analytics.readability import REASONS
from ferflow.analytics.signals import COLUMN_PREFIX, load_signals, signal_columns
from ferflow.analytics.tally import column
from ferflow.analytics.timeline import audience, probability_columns, shown_columns
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.session_report.sections.headline import describe_shown
from ferflow.dashboards.session_report.session_data import Session, load_session
from ferflow.errors import RecordsError
from ferflow.store.output_folder import OutputFolder
from ferflow.text import sanitize
from ferflow.types import Float64Array

Cells = list[object]
Table = tuple[list[str], Iterable[Cells]]
"""Columns and rows."""

MOST_LABELS = 500
"""Labels of a video with marker-locked curves in the CSV files, those with most markers: a curve has hundreds of rows,
and the curves of 20,000 labels would take minutes and 700 MB."""

_VIDEO = ["video_id", "video"]


def session_tables(out: Path, folder: Folder) -> dict[str, Table]:
    """Columns and rows of the tables of all sessions, by name."""
    probs = probability_names(folder)
    people, quality = _from_faces(out, folder, [*MEASURES, *probs])
    of_segments = [*_SEGMENTS, *MEASURES, *probs]
    return {
        "people": ([*_VIDEO, *_PEOPLE, *MEASURES, *probs], people),
        "peaks": ([*_VIDEO, *_PEAKS], _peaks(folder)),
        "markers": ([*_VIDEO, *_MARKERS], _markers(folder)),
        "segments": ([*_VIDEO, *of_segments], _segments(folder, of_segments)),
        "around_markers": ([*_VIDEO, *_AROUND], _around(out, folder)),
        "marker_curves": ([*_VIDEO, *_LOCKED.values()], _locked(out, folder)),
        "signals": ([*_VIDEO, *_SIGNALS], _signals(out, folder)),
        "quality": ([*_VIDEO, *_QUALITY], quality),
    }


def probability_names(folder: Folder) -> list[str]:
    """`prob_<label>` and `shown_<label>` of every label that any of the videos' models has."""
    tables = [video.timeline for _, video in _iterate_videos(folder)]
    names = [*(probability_columns(table) for table in tables), *(shown_columns(table) for table in tables)]
    return list(dict.fromkeys(chain.from_iterable(names)))


def _iterate_videos(folder: Folder) -> Iterator[tuple[Cells, CohortVideo]]:
    """First cells of a row, id and name, and the video, of each one with results."""
    for entry in folder.finished:
        assert entry.video is not None
        yield [entry.video_id, entry.name], entry.video


def _signals_of(out: Path, video: CohortVideo) -> dict[str, Float64Array]:
    """Its signals in the bins of the timeline; none if they cannot be read, which `refresh` reports."""
    try:
        stored = load_signals(OutputFolder(out).video(video.video_id))
    except RecordsError:
        return {}
    return signal_columns(stored.signals, video.timeline)


# --- Of the timeline, the markers and the signals --------------------------------------------------------------------


_PEAKS = ["time_s", "start_s", "end_s", "measure", "height", "prominence", "appears", "people"]


def _peaks(folder: Folder) -> Iterator[Cells]:
    for video, watched in _iterate_videos(folder):
        for peak in peaks(watched.timeline):
            names = "; ".join(watched.names.name_of(person) for person in peak.person_ids)
            yield [*video, peak.time_s, peak.start_s, peak.end_s, peak.curve, peak.height, peak.prominence,
                   describe_shown(peak.shown) if peak.shown else peak.label, names]  # fmt: skip


_MARKERS = [*(name for name in MARKERS.names if name != "video_id"), "stimulus"]


def _markers(folder: Folder) -> Iterator[Cells]:
    for video, watched in _iterate_videos(folder):
        name = watched.stimulus.name if watched.stimulus else ""
        for row in watched.markers.select(_MARKERS[:-1]).to_pylist():
            yield [*video, *row.values(), name if row["label"] in watched.stimulus_labels else ""]


_SEGMENTS = ["label", "kind", "start_s", "end_s", "n_people", "presence"]


def _segments(folder: Folder, names: list[str]) -> Iterator[Cells]:
    for video, watched in _iterate_videos(folder):
        found = segments(watched.timeline, watched.markers)
        for row in found.to_pylist():
            yield [*video, *map(row.get, names)]


_AROUND = ["label", "measure", "n_markers", "before", "after", "highest", "highest_offset_s", "spread_there",
           "valence_before", "valence_after"]  # fmt: skip


def _around(out: Path, folder: Folder) -> Iterator[Cells]:
    for video, watched in _iterate_videos(folder):
        signals = _signals_of(out, watched)
        rows: dict[str, list[Cells]] = {measure: [] for measure in (LEADING, *signals)}
        for curves in _curves(watched, signals):
            for measure, cells in rows.items():
                cells += [_around_cells(found, measure) for found in summarize_curves(curves, measure)]
        yield from ([*video, *cells] for cells in chain.from_iterable(rows.values()))


def _around_cells(found: CurveSummary, measure: str) -> Cells:
    return [found.label, measure, found.n_markers, found.before, found.after, found.highest, found.highest_lag_s,
            found.spread, found.valence_before, found.valence_after]  # fmt: skip


_LOCKED = {"label": "label", "n_markers": "n_markers", "lag_s": "offset_s", "measure": "measure", "mean": "mean",
           "sd": "spread", "n": "n"}  # fmt: skip
"""Columns of `curves_by_label`, and what they are called in the CSV."""


def _locked(out: Path, folder: Folder) -> Iterator[Cells]:
    for video, watched in _iterate_videos(folder):
        for curves in _curves(watched, _signals_of(out, watched)):
            columns = [curves.column(name).to_pylist() for name in _LOCKED]
            yield from ([*video, *row] for row in zip(*columns, strict=True))


def _curves(watched: CohortVideo, signals: Mapping[str, Float64Array]) -> Iterator[pa.Table]:
    """Marker-locked curves of a video, a table per label, of `MOST_LABELS` labels at most."""
    markers = event_markers(watched.markers, watched.session.limits)
    return islice(curves_by_label(watched.timeline, markers, extra=signals), MOST_LABELS)


def describe_bounds(folder: Folder) -> list[str]:
    """A warning for each video that has more labels than the tables of curves."""
    found = []
    for (_, name), watched in _iterate_videos(folder):
        n_labels = len(times_by_label(event_markers(watched.markers, watched.session.limits)))
        if n_labels > MOST_LABELS:
            found.append(
                f"{sanitize(str(name))}: {n_labels:,} marker labels. around_markers.csv and marker_curves.csv have the "
                f"{MOST_LABELS} with most markers; markers.csv has all."
            )
    return found


_SIGNALS = ["start_s", "end_s", "signal", "mean"]


def _signals(out: Path, folder: Folder) -> Iterator[Cells]:
    for video, watched in _iterate_videos(folder):
        rows = audience(watched.timeline)
        starts, ends = column(rows, "bin_start_s"), column(rows, "bin_end_s")
        counts = watched.session.limits.reach(starts, ends)
        for name, values in _signals_of(out, watched).items():
            for start, end, value in zip(starts[counts], ends[counts], values[counts], strict=True):
                yield [*video, float(start), float(end), name.removeprefix(COLUMN_PREFIX), float(value)]


# --- Of the faces ---------------------------------------------------------------------------------------


def _from_faces(out: Path, folder: Folder, names: list[str]) -> tuple[list[Cells], list[Cells]]:
    """Rows of `people` and of `quality`: a session's faces are read once for both."""
    people: list[Cells] = []
    quality: list[Cells] = []
    for video, watched in _iterate_videos(folder):
        try:
            session = load_session(out, watched.video_id, folder.names.of(watched.video_id))
        except RecordsError:
            continue  # `refresh` reports it
        people += [[*video, *_person(session, person, names)] for person in session.people]
        quality.append([*video, *_quality(session)])
    return people, quality


_PEOPLE = ["person_id", "name", "first_s", "last_s", "seconds_in_view", "seconds_readable", "n_faces",
           "shown_longest", "shown_longest_but_neutral", "pose_known", "shift"]  # fmt: skip


def _person(session: Session, person: Person, names: list[str]) -> Cells:
    seen = person.sighting
    return [person.person_id, session.name_of(person.person_id), seen.first_s, seen.last_s, seen.seconds,
            person.readable_s, seen.n_faces, person.label, person.leading, person.pose_known, person.shift,
            *map(person.means.get, names)]  # fmt: skip


_QUALITY = ["n_decoded", "n_failed", "n_damaged", "n_cuts", "n_frames", "n_frames_with_face", "n_faces",
            "n_untracked", "n_pose_unknown", *(f"n_{reason}" for reason in REASONS), "face_px_25", "face_px_50",
            "face_px_75", *(f"seconds_{state}" for state in COVERAGE_TIMELINE.names[1:]), "bin_s",
            "model", "model_sha256", "detector", "detector_sha256", "ferflow_version", "options_digest"]  # fmt: skip


def _quality(session: Session) -> Cells:
    counts, cover, metadata = session.metadata.counts, session.coverage, session.metadata
    lasts = [float(np.sum(column(session.coverage_timeline, state))) for state in COVERAGE_TIMELINE.names[1:]]
    made_by = [fact for part in (metadata.model, metadata.detector) for fact in (part.name, part.sha256)]
    return [
        counts.n_decoded, counts.n_failed, counts.n_damaged, counts.n_cuts, cover.n_frames, cover.n_frames_with_face,
        cover.n_faces, cover.n_untracked, cover.n_pose_unknown, *session.n_unreadable.values(),
        *session.face_px, *lasts, session.bin_seconds, *made_by, metadata.ferflow_version,
        metadata.options_digest,
    ]  # fmt: skip
