"""The tables of the pages as CSV, unrounded.

`csv/` of the output folder: `videos`, `participants`, `groups`, `comparisons` and `curves` of the overview;
`people` and `peaks` of the sessions' pages, all sessions in one file each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ferflow.cohort import Cohort, Watched, compare, group_band, mean_interval
from ferflow.people import PersonFaces, tracks_of
from ferflow.records import Blocks, RecordPaths, read_metadata, read_table
from ferflow.summaries import Person, peaks, people
from ferflow.timeline import MEASURES
from ferflow.usercsv import write_csv

from .cohort import known_measures
from .folder import Folder, load_folder
from .settings import PageOptions

Cells = list[object]

_FACE_COLUMNS = ["frame_index", "time_s", "track_id", "yaw", "pitch"]


def write_tables(out: Path, options: PageOptions) -> list[Path]:
    """Write every table anew.

    Raises:
        OptionsError, RecordsError: as `folder.load_folder`.
    """
    folder = load_folder(out, options)
    tables = {
        "videos": (_VIDEOS, _videos(folder)),
        "participants": (_PARTICIPANTS, _participants(folder.cohort)),
        "groups": (_GROUPS, _groups(folder.cohort)),
        "comparisons": (_COMPARISONS, _comparisons(folder.cohort)),
        "curves": (_CURVES, _curves(folder.cohort)),
        "people": (_PEOPLE, _people(out, folder)),
        "peaks": (_PEAKS, _peaks(folder)),
    }
    return [write_csv(out / "csv" / f"{name}.csv", *table) for name, table in tables.items()]


_VIDEOS = ["video_id", "name", "participant", "group", "status", "duration_s", "n_people", "n_frames",
           "coverage", *MEASURES]  # fmt: skip


def _videos(folder: Folder) -> Iterator[Cells]:
    for entry in folder.entries:
        facts: Cells = [entry.video_id, entry.name, entry.participant, entry.group, entry.status]
        if entry.video is None:
            yield facts + [None] * (len(_VIDEOS) - len(facts))
        else:
            counts: Cells = [entry.duration_s, entry.n_people, int(entry.n_frames), entry.coverage]
            yield facts + counts + [entry.mean(name) for name in MEASURES]


_PARTICIPANTS = ["participant", "group", "video_ids", "seconds_in_view", *MEASURES]


def _participants(cohort: Cohort) -> Iterator[Cells]:
    for member in cohort.members:
        facts: Cells = [member.name, member.group, " ".join(member.video_ids), member.seconds]
        yield facts + [member.mean(name) for name in MEASURES]


_GROUPS = ["group", "measure", "n", "mean", "low_95", "high_95"]


def _groups(cohort: Cohort) -> Iterator[Cells]:
    for group in cohort.groups or (None,):
        for name in MEASURES:
            yield [group, name, *mean_interval(member.mean(name) for member in cohort.of(group))]


_COMPARISONS = ["measure", "first", "second", "n_first", "n_second", "difference", "low_95", "high_95", "hedges_g",
                "hedges_g_low_95", "hedges_g_high_95", "cliffs_delta"]  # fmt: skip


def _comparisons(cohort: Cohort) -> Iterator[Cells]:
    for found in compare(cohort, known_measures(cohort)):
        yield [found.measure, found.first, found.second, *found.n, found.difference, found.low, found.high,
               found.hedges_g, found.g_low, found.g_high, found.cliffs_delta]  # fmt: skip


_CURVES = ["group", "start_s", "end_s", "measure", "n", "mean", "low_95", "high_95"]


def _curves(cohort: Cohort) -> Iterator[Cells]:
    for group in cohort.groups or (None,):
        for name in known_measures(cohort):
            found = group_band(cohort.of(group), name, cohort.n_points)
            for k in range(cohort.n_points):
                span: Cells = [round(k * cohort.step_s, 9), round((k + 1) * cohort.step_s, 9)]
                values = [float(column[k]) for column in (found.mean, found.low, found.high)]
                yield [group, *span, name, int(found.n[k]), *values]


_PEOPLE = ["video_id", "video", "track_id", "name", "first_s", "last_s", "seconds_in_view", "n_faces",
           "appears_most", "pose_known", *MEASURES]  # fmt: skip


def _people(out: Path, folder: Folder) -> Iterator[Cells]:
    for entry in folder.finished:
        assert entry.video is not None
        for person in _persons(out, entry.video):
            name = entry.video.people.name(person.track_id)
            facts: Cells = [entry.video_id, entry.name, person.track_id, name, person.first_s, person.last_s]
            spans: Cells = [person.seconds, person.n_faces, person.label, person.pose_known]
            yield facts + spans + [person.means.get(name) for name in MEASURES]


def _persons(out: Path, video: Watched) -> list[Person]:
    paths = RecordPaths(out, video.video_id)
    labels = read_metadata(paths.faces)["labels"]
    faces = Blocks(paths.faces, [*_FACE_COLUMNS, *(f"prob_{label}" for label in labels)])
    merged = PersonFaces.of(faces, video.people.persons(tracks_of(paths)))
    return people(read_table(paths.frames), merged, labels)


_PEAKS = [
    "video_id",
    "video",
    "time_s",
    "start_s",
    "end_s",
    "measure",
    "height",
    "prominence",
    "appears",
    "people",
]


def _peaks(folder: Folder) -> Iterator[Cells]:
    for entry in folder.finished:
        assert entry.video is not None
        for peak in peaks(entry.video.timeline):
            names = "; ".join(entry.video.people.name(track) for track in peak.track_ids)
            yield [entry.video_id, entry.name, peak.time_s, peak.start_s, peak.end_s, peak.curve, peak.height,
                   peak.prominence, peak.label, names]  # fmt: skip
