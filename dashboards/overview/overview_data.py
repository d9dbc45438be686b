"""What the overview is about: all inputs of an output folder, and the cohort of their participants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from ferflow.analytics.cohort import Cohort, CohortVideo, build_cohort, explain_outside, natural_key
from ferflow.analytics.copies import describe_copies
from ferflow.analytics.correction_rows import Correction
from ferflow.analytics.csv_input import count_rows
from ferflow.analytics.markers import MARKERS, load_markers
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.person_names import NameLists, describe_joined
from ferflow.analytics.pooled_markers import PooledMarkers, pool_markers
from ferflow.analytics.rest import drop_rest_of_others
from ferflow.analytics.session_list import SessionRow, Sessions
from ferflow.analytics.shared_clock import SharedClock, build_clocks
from ferflow.analytics.signals import load_signals, sum_timeline_bins
from ferflow.analytics.stimuli import Stimulus
from ferflow.analytics.stimulus_markers import StimulusMarkers
from ferflow.analytics.tally import column, ratio
from ferflow.analytics.timeline import audience, person_rows, person_timeline, weighted_means
from ferflow.dashboards.overview.lists import Lists, find_problems_of_names, load_lists
from ferflow.dashboards.overview.stimulus_video import StimulusVideo, find_stimulus_video
from ferflow.dashboards.shared.number_format import join_words
from ferflow.dashboards.shared.session_stimulus import locate
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.errors import FerflowError, OptionsError
from ferflow.exchange.marker_files import find_marker_file, read_marker_table
from ferflow.store.metadata import VideoMetadata, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest, Status, TaskReport
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize
from ferflow.types import Float64Array


@dataclass(frozen=True, slots=True)
class Entry:
    """One input: a finished video, or one that could not be analysed."""

    video_id: str
    name: str
    status: Status
    reason: str
    """Why it failed, or warnings."""
    video: CohortVideo | None = None
    """None without results."""
    duration_s: float | None = None
    n_people: int = 0
    analysed_s: float = 0.0
    face_s: float = 0.0
    """Analysed time, and the part of it that shows any face."""
    link: str | None = None
    """From the overview to its page."""
    source: tuple[str, object] | None = None
    """Path of the file, and what copies of it have in common; None: not known."""

    n_corrections: int = 0
    """That its numbers honour."""
    unknown_corrections: tuple[Correction, ...] = ()
    """About a person or track that it does not have."""

    @property
    def group(self) -> str | None:
        """Of the video; None: no group, or no results."""
        return self.video.group if self.video else None

    @property
    def stimulus(self) -> Stimulus | None:
        """Of the video; None: not known, or no results."""
        return self.video.stimulus if self.video else None

    @property
    def people(self) -> list[str]:
        """Names of the people in the video, or of the participant that the session list names."""
        if self.video is None:
            return []
        if self.video.participant:
            return [self.video.participant]
        return [self.video.names.name_of(person) for person in self.video.person_ids]

    @property
    def audience(self) -> pa.Table:
        """The rows of all people together; the video must have results."""
        assert self.video is not None
        return audience(self.video.timeline)

    def curve(self, name: str) -> Float64Array:
        """A column of the audience, float64 (bins,); NaN where unknown."""
        return column(self.audience, name)

    def mean(self, name: str) -> float:
        """Mean of a measure over all people, weighted by time; NaN if it is unknown, or without results."""
        if self.video is None:
            return float("nan")
        return weighted_means(person_rows(self.video.timeline)).get(name, float("nan"))

    @property
    def coverage(self) -> float:
        """Share of the analysed time that shows a face; NaN without any."""
        return float(ratio(self.face_s, self.analysed_s))


@dataclass(frozen=True, slots=True)
class Folder:
    """An output folder with its lists."""

    run: RunManifest | None
    entries: tuple[Entry, ...]
    """Inputs of the runs in their order, then finished videos that `run.json` does not mention."""
    cohort: Cohort
    clocks: tuple[SharedClock, ...]
    """Sessions that share a time; see `shared_clock`."""
    pools: tuple[PooledMarkers, ...]
    """Markers that several sessions share: those of each stimulus, then of the sessions without one."""
    stimulus_videos: Mapping[Stimulus, StimulusVideo]
    by: str | None
    """Column that makes the groups."""
    names: NameLists
    warnings: tuple[str, ...]
    """Problems in the lists."""
    copies: tuple[str, ...] = ()
    """Files of one content, each group in a sentence."""
    left_out: bool = False
    """Whether a list, or the column of the groups, is not used."""
    has_clips: bool = False
    has_thumbnails: bool = False
    """Whether pictures of faces are stored next to the pages."""

    @property
    def finished(self) -> list[Entry]:
        """Videos with results, by name."""
        done = [entry for entry in self.entries if entry.video is not None]
        return sorted(done, key=lambda entry: (natural_key(entry.name), entry.video_id))

    @property
    def has_cohort(self) -> bool:
        """Whether there are participants to summarise: two or more."""
        return len(self.cohort.participants) > 1

    @property
    def has_charts(self) -> bool:
        """Whether the page may draw a chart."""
        return bool(self.clocks or self.pools)

    @property
    def broken(self) -> list[Entry]:
        """Inputs without results."""
        return [entry for entry in self.entries if entry.video is None]


@dataclass(frozen=True, slots=True)
class _Stimuli:
    """The stimuli of a folder."""

    by_video: Mapping[str, Stimulus]
    """By video id."""
    videos: Mapping[Stimulus, StimulusVideo]

    @classmethod
    def find(cls, by_video: Mapping[str, Stimulus], page: Path) -> _Stimuli:
        distinct = dict.fromkeys(by_video.values())
        return cls(by_video, {stimulus: find_stimulus_video(stimulus, page) for stimulus in distinct})

    def length_s(self, video_id: str) -> float | None:
        """Length of the stimulus of a video; None: unknown, or there is none."""
        stimulus = self.by_video.get(video_id)
        return self.videos[stimulus].duration_s if stimulus is not None else None


def load_folder(out: Path, options: PageOptions, *, forgiving: bool = False) -> Folder:
    """Load all that the overview shows.

    Args:
        out: the output folder.
        options: which session list, and which of its columns makes the groups.
        forgiving: continue without a list that cannot be read, with a warning.

    Raises:
        RecordsError: `run.json` is there but cannot be read.
        OptionsError: `people.csv` or the list of sessions cannot be read, or has no such column; see also
            `PageOptions.remembered`.
    """
    run, sources = RunManifest.load(OutputFolder(out).manifest), OutputFolder(out).find_sources()
    lists = load_lists(out, options, sources, forgiving=forgiving)
    stimuli = find_stimuli(out, options, run, lists.sessions, sources)
    shown = _Stimuli.find(stimuli, OutputFolder(out).index)
    entries = tuple(_build_entry(out, report, lists, shown) for report in _list_reports(run, sources))
    entries, problems = _add_stimulus_markers(entries, forgiving=forgiving)
    videos = [entry.video for entry in entries if entry.video is not None]
    videos.sort(key=lambda video: (natural_key(video.name), video.video_id))
    outside = [
        f"{sanitize(video.name)}: {explain_outside(video)}. Correct the session list."
        for video in videos
        if video.is_outside
    ]
    warnings = (
        *lists.problems,
        *problems,
        *lists.people.warnings,
        *find_problems_of_names(out, lists.people),
        *lists.corrections.warnings,
        *lists.codings.warnings,
        *_count_unknown_corrections(entries, lists.corrections.file),
        *lists.sessions.warnings,
        *_find_renamed_participants(videos),
        *_find_joined_participants(videos),
        *outside,
    )
    clocks = build_clocks(videos)
    return Folder(
        run=run,
        entries=entries,
        cohort=build_cohort(videos),
        clocks=clocks,
        pools=_pool_all_markers(videos, clocks),
        stimulus_videos=shown.videos,
        by=lists.by,
        names=lists.names,
        warnings=warnings,
        copies=tuple(describe_copies(entry.source for entry in entries if entry.source is not None)),
        left_out=bool(lists.problems or problems),
        has_clips=OutputFolder(out).has_clips,
        has_thumbnails=OutputFolder(out).has_thumbnails,
    )


def _pool_all_markers(
    videos: Sequence[CohortVideo], clocks: Sequence[SharedClock]
) -> tuple[PooledMarkers, ...]:
    """Pool the markers of each stimulus, and those of the sessions without one."""
    found = [pool_markers(clock.videos, clock.cohort, clock.stimulus) for clock in clocks if clock.stimulus]
    alone = [video for video in videos if video.stimulus is None]
    found.append(pool_markers(alone, build_cohort(alone), None))
    return tuple(pool for pool in found if pool is not None)


def _add_stimulus_markers(
    entries: Sequence[Entry], *, forgiving: bool
) -> tuple[tuple[Entry, ...], list[str]]:
    """The entries with the markers next to the video files of their stimuli, and what is wrong with these.

    Raises:
        OptionsError: a file of markers cannot be used, and that is not forgiven.
    """
    files = {one.path for entry in entries if (one := entry.stimulus) is not None and one.path is not None}
    found, problems = dict[Path, pa.Table](), list[str]()
    for path in sorted(files):
        try:
            markers = find_marker_file(path)
            found[path] = MARKERS.empty_table() if markers is None else read_marker_table(markers)
        except OptionsError as error:
            if not forgiving:
                raise
            problems.append(f"left out: {error}")
    return tuple(_with_markers(entry, found) for entry in entries), problems


def _with_markers(entry: Entry, found: Mapping[Path, pa.Table]) -> Entry:
    path = entry.stimulus.path if entry.stimulus else None
    if entry.video is None or path is None or path not in found:
        return entry
    added = StimulusMarkers(found[path], entry.video.session.offset_s)
    merged = added.merge_into(entry.video.markers)
    return replace(entry, video=replace(entry.video, markers=merged, stimulus_labels=added.labels))


def stimulus_files(out: Path, options: PageOptions) -> list[Path]:
    """Files of all stimuli, each followed by its file of markers if there is one; what cannot be read names none.

    Raises:
        RecordsError: `run.json` is there but cannot be read.
    """
    run, sources = RunManifest.load(OutputFolder(out).manifest), OutputFolder(out).find_sources()
    lists = load_lists(out, options, sources, forgiving=True)
    found = find_stimuli(out, options, run, lists.sessions, sources)
    paths = sorted({stimulus.path for stimulus in found.values() if stimulus.path is not None})
    return [file for path in paths for file in (path, find_marker_file(path)) if file is not None]


def find_stimuli(
    out: Path, options: PageOptions, run: RunManifest | None, sessions: Sessions, sources: Mapping[str, str]
) -> dict[str, Stimulus]:
    """The stimulus of each video that has one, by id: as the session list says, else as the job said."""
    stored = run.stimuli if run is not None else {}
    named = {video_id: sessions.of(video_id).stimulus or stored.get(video_id) for video_id in sources}
    return {
        video_id: locate(text, out, options, sources[video_id]) for video_id, text in named.items() if text
    }


def _list_reports(run: RunManifest | None, sources: Mapping[str, str]) -> list[TaskReport]:
    """How each input ended: first those of the manifest, then finished videos that it does not mention."""
    reports = list(run.videos) if run is not None else []
    known = {report.video_id for report in reports}
    return reports + [
        TaskReport(source=source, video_id=video_id, status="skipped")
        for video_id, source in sources.items()
        if video_id not in known
    ]


def _find_renamed_participants(videos: Sequence[CohortVideo]) -> list[str]:
    """Where the session list names another participant than a stronger source."""
    found = []
    for video in videos:
        if video.session.participant and video.participant is None:
            names = join_words([sanitize(video.names.name_of(person)) for person in video.person_ids])
            who = "the only person is not" if len(video.person_ids) == 1 else "the persons are not"
            source = "people.csv" if len(video.person_ids) == 1 else "people.csv or a region"
            found.append(
                f"session list: {sanitize(video.name)}: {who} {sanitize(video.session.participant)} but {names}, by "
                f"{source}."
            )
    return found


def _count_unknown_corrections(entries: Iterable[Entry], file: str) -> list[str]:
    found = [
        f"line {row.line}: {row.who} of {entry.video_id}"
        for entry in entries
        for row in entry.unknown_corrections
    ]
    return count_rows(file, found, "is about a track or person that its video does not have",
                      "are about tracks or persons that their videos do not have")  # fmt: skip


def _find_joined_participants(videos: Sequence[CohortVideo]) -> list[str]:
    """Where several people count as the participant of the session list."""
    return [
        f"session list: {sanitize(video.name)}: {describe_joined(video.participant, len(mine))}"
        for video in videos
        if video.participant
        and len(mine := video.names.find_participant(video.participant, video.person_ids)) > 1
    ]


def _build_entry(out: Path, report: TaskReport, lists: Lists, stimuli: _Stimuli) -> Entry:
    video_id = report.video_id or ""
    name = Path(report.source).name or report.source or video_id
    paths = OutputFolder(out).video(video_id)
    if report.status == "failed" or not video_id or not paths.faces.exists():
        return Entry(video_id, name, report.status, report.error or "")
    try:
        return _build_finished(paths, report, lists, stimuli)
    except OptionsError as error:
        return Entry(video_id, name, report.status, str(error))
    except FerflowError as error:
        return Entry(video_id, name, report.status, f"its tables cannot be read: {error}")


def place_video(persons: Persons, lists: Lists, stimulus: Stimulus | None) -> CohortVideo:
    """A finished video with its timeline and its place in the session list, without markers and signals.

    Raises:
        RecordsError: a table cannot be read.
    """
    video_id, sessions = persons.paths.video_id, lists.sessions
    metadata = read_metadata(persons.paths.faces)
    return CohortVideo(
        video_id=video_id,
        timeline=person_timeline(persons),
        name=metadata.source.name,
        names=persons.names,
        session=replace(sessions.of(video_id), excluded=persons.limits.excluded),
        group=sessions.group(video_id, lists.by),
        own_groups=sessions.groups_of_sharers(video_id, lists.by),
        stimulus=stimulus,
        duration_s=metadata.duration_s,
        is_corrected=any(row.action != "relabel" for row in persons.corrections.honoured),
    )


def _build_finished(paths: VideoFiles, report: TaskReport, lists: Lists, stimuli: _Stimuli) -> Entry:
    persons, session = Persons.of(paths, lists.names.of(paths.video_id)), lists.sessions.of(paths.video_id)
    placed = place_video(persons, lists, stimuli.by_video.get(paths.video_id))
    table = placed.timeline
    metadata, rows = read_metadata(paths.faces), audience(table)
    seconds = column(rows, "seconds")
    video = replace(
        placed,
        markers=drop_rest_of_others(persons, load_markers(paths)),
        stimulus_s=stimuli.length_s(paths.video_id),
    )
    signals = sum_timeline_bins(load_signals(paths).signals, table, video.start_s, video.end_s)
    return Entry(
        video_id=paths.video_id,
        name=metadata.source.name,
        status=report.status,
        reason="; ".join(report.warnings or metadata.warnings),
        video=replace(video, signals=signals),
        duration_s=metadata.duration_s,
        n_people=len(table.column("person_id").drop_null().unique()),
        analysed_s=float(seconds.sum()),
        face_s=float(np.nan_to_num(column(rows, "presence") * seconds).sum()),
        link=f"reports/{quote(paths.report.name)}" if paths.report.exists() else None,
        source=_identify_source(metadata, session),
        n_corrections=len(persons.corrections.honoured),
        unknown_corrections=persons.corrections.unknown,
    )


def _identify_source(metadata: VideoMetadata, session: SessionRow) -> tuple[str, object] | None:
    """Two regions, or two stretches, of one recording are no copies."""
    source = metadata.source
    return (source.path, (source.sha256, metadata.options.region, session.limits)) if source.sha256 else None
