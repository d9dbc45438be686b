"""Everything the overview tells, gathered from an output folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from ferflow.analytics.cohort import Cohort, CohortVideo, build_cohort
from ferflow.analytics.measures import LEADING
from ferflow.analytics.peaks import peak_curve
from ferflow.analytics.person_names import PeopleList, person_timeline, read_people, unknown_tracks
from ferflow.analytics.session_list import NAME as SESSIONS_NAME
from ferflow.analytics.session_list import Sessions, read_sessions
from ferflow.analytics.tally import column, ratio
from ferflow.analytics.timeline import audience
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.errors import FerflowError, OptionsError, RecordsError
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import RUN_MANIFEST
from ferflow.store.records import RecordPaths, finished_videos, read_table
from ferflow.store.run_manifest import RunManifest, Status, TaskReport
from ferflow.types import Float64Array

_List = TypeVar("_List", PeopleList, Sessions)


@dataclass(frozen=True, slots=True)
class Entry:
    """One input: a finished video, or one that could not be analysed."""

    video_id: str
    name: str
    status: Status
    reason: str
    """Why it failed, or what to keep in mind."""
    video: CohortVideo | None = None
    """None without results."""
    duration_s: float | None = None
    n_people: int = 0
    n_frames: float = 0.0
    n_with_face: float = 0.0
    """Analysed frames, and those with a face."""
    participant: str | None = None
    group: str | None = None
    link: str | None = None
    """From the overview to its page."""

    @property
    def whole(self) -> pa.Table:
        """The audience's rows; the video must have results."""
        assert self.video is not None
        return audience(self.video.timeline)

    @property
    def measure(self) -> str:
        """`engagement`; or `expressiveness`, where no pose is known in the whole video."""
        return LEADING[0] if self.video is None else peak_curve(self.video.timeline)

    def curve(self, name: str) -> Float64Array:
        """A column of the audience, float64 (bins,); NaN where unknown."""
        return column(self.whole, name)

    def mean(self, name: str) -> float:
        """Its mean over the bins in which it is known; NaN if never, or without results."""
        if self.video is None:
            return float("nan")
        if name not in self.whole.column_names:  # a label that another video's model has
            return float("nan")
        values = self.curve(name)
        known = values[np.isfinite(values)]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def coverage(self) -> float:
        """Share of analysed frames that show a face; NaN without any."""
        return float(ratio(self.n_with_face, self.n_frames))


@dataclass(frozen=True, slots=True)
class Folder:
    """An output folder and the lists that lie in it."""

    run: RunManifest | None
    entries: tuple[Entry, ...]
    """Inputs of the last runs in their order, then videos that `run.json` does not know."""
    cohort: Cohort
    by: str | None
    """Column that makes the groups."""
    warnings: tuple[str, ...]
    """What is odd about the lists."""
    left_out: bool = False
    """Whether a list that cannot be read was left out."""

    @property
    def finished(self) -> list[Entry]:
        """Videos with results."""
        return [entry for entry in self.entries if entry.video is not None]

    @property
    def has_cohort(self) -> bool:
        """Whether there are participants to summarise: two or more."""
        return len(self.cohort.members) > 1

    @property
    def ranked(self) -> list[Entry]:
        """Those by their mean engagement (or what stands in for it), the highest first; unknown ones last."""
        return sorted(self.finished, key=lambda entry: -np.nan_to_num(entry.mean(entry.measure), nan=-1.0))

    @property
    def broken(self) -> list[Entry]:
        """Inputs without."""
        return [entry for entry in self.entries if entry.video is None]


def load_folder(out: Path, options: PageOptions, *, forgiving: bool = False) -> Folder:
    """Gather a folder.

    Args:
        out: the output folder.
        options: which list of sessions, grouped by what.
        forgiving: tell of a list that cannot be read in the warnings, and go on without it.

    Raises:
        RecordsError: `run.json` is there but cannot be read.
        OptionsError: `people.csv` or the list of sessions cannot be read, or has no such column; see also
            `PageOptions.remembered`.
    """
    run, warnings = RunManifest.load(out / RUN_MANIFEST), list[str]()
    people = _list(lambda: read_people(out), PeopleList(), warnings, forgiving)
    sources = _sources(out)
    sessions, by = _sessions_and_groups(out, options, sources, warnings, forgiving)
    left_out = bool(warnings)
    reports = list(run.videos) if run is not None else []
    known = {report.video_id for report in reports}
    reports += [
        TaskReport(source=source, video_id=video_id, status="skipped")
        for video_id, source in sources.items()
        if video_id not in known
    ]
    entries = [_entry(out, report, people, sessions, by) for report in reports]
    seen = [entry.video for entry in entries if entry.video is not None]
    groups = [entry.group for entry in entries if entry.video is not None]
    warnings += [*people.warnings, *unknown_tracks(people, _tracks(out, people, seen)), *sessions.warnings]
    return Folder(run, tuple(entries), build_cohort(seen, groups), by, tuple(warnings), left_out)


def _list(read: Callable[[], _List], none: _List, warnings: list[str], forgiving: bool) -> _List:
    try:
        return read()
    except OptionsError as error:
        if not forgiving:
            raise
        warnings.append(f"left out: {error}")
        return none


def _sessions_and_groups(
    out: Path, options: PageOptions, sources: Mapping[str, str], warnings: list[str], forgiving: bool
) -> tuple[Sessions, str | None]:
    if _has_vanished(options):
        warnings.append(
            f"session list {options.sessions}: not there any more, so there is no list and no groups of it. Put it "
            "back, name another with --sessions, or give --forget."
        )
        return Sessions(), None
    sessions = _list(lambda: _sessions(out, options, sources), Sessions(), warnings, forgiving)
    return sessions, _grouping(sessions, options, warnings, forgiving or "by" in options.remembered)


def _has_vanished(options: PageOptions) -> bool:
    """Whether a list that nobody asks for now, but somebody did, is gone."""
    if options.sessions is None or "sessions" not in options.remembered:
        return False
    return not os.path.exists(options.sessions)  # noqa: PTH110 - a share that is away is no error to it


def _grouping(sessions: Sessions, options: PageOptions, warnings: list[str], forgiving: bool) -> str | None:
    try:
        return sessions.grouping(options.by)
    except OptionsError as error:
        if not forgiving:
            raise
        warnings.append(str(error))
        return sessions.grouping(None)


def _sessions(out: Path, options: PageOptions, sources: Mapping[str, str]) -> Sessions:
    path = options.sessions or out / SESSIONS_NAME
    return read_sessions(path, sources) if options.sessions or path.exists() else Sessions()


def _sources(out: Path) -> dict[str, str]:
    """Path of the source of every finished video, by id; empty where the tables cannot be read."""
    found = {}
    for video_id in finished_videos(out):
        try:
            found[video_id] = read_metadata(RecordPaths(out, video_id).faces).source.path
        except RecordsError:
            found[video_id] = ""
    return found


def _tracks(out: Path, people: PeopleList, videos: Sequence[CohortVideo]) -> dict[str, list[int]]:
    """Ids of the tracks on disk of every video that somebody named people of."""
    named = [video.video_id for video in videos if people.of(video.video_id).by_track]
    tables = {name: read_table(RecordPaths(out, name).timeline, ["person_id"]) for name in named}
    return {
        name: table.column("person_id").drop_null().unique().to_pylist() for name, table in tables.items()
    }


def _entry(out: Path, report: TaskReport, people: PeopleList, sessions: Sessions, by: str | None) -> Entry:
    video_id = report.video_id or ""
    name = Path(report.source).name or report.source or video_id
    failed = Entry(video_id, name, report.status, report.error or "")
    paths = RecordPaths(out, video_id)
    if report.status == "failed" or not video_id or not paths.faces.exists():
        return failed
    try:
        session = sessions.of(video_id)
        table = person_timeline(paths, people.of(video_id))
        watched = CohortVideo(video_id, table, people.of(video_id), session)
        return _finished(paths, failed, report, watched, sessions.group(video_id, by))
    except FerflowError as error:
        return Entry(video_id, name, report.status, f"its tables cannot be read: {error}")


def _finished(
    paths: RecordPaths, entry: Entry, report: TaskReport, watched: CohortVideo, group: str | None
) -> Entry:
    metadata, whole = read_metadata(paths.faces), audience(watched.timeline)
    n_frames = column(whole, "n_frames")
    tracks = watched.timeline.column("person_id").drop_null().unique()
    return Entry(
        video_id=entry.video_id,
        name=metadata.source.name,
        status=entry.status,
        reason="; ".join(report.warnings or metadata.warnings),
        video=watched,
        duration_s=metadata.duration_s,
        n_people=len(tracks),
        n_frames=float(n_frames.sum()),
        n_with_face=float(np.round(np.nan_to_num(column(whole, "presence") * n_frames)).sum()),
        participant=watched.session.participant,
        group=group,
        link=f"reports/{quote(paths.report.name)}" if paths.report.exists() else None,
    )
