"""What a session's page is about: everything that its sections show of one video."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from ferflow.analytics.agreement import NO_AGREEMENT, Agreement, compare_codings
from ferflow.analytics.applied_corrections import NO_EFFECT, AppliedCorrections
from ferflow.analytics.coverage import Coverage, coverage, coverage_timeline
from ferflow.analytics.event_locked import locked_curves, segments
from ferflow.analytics.face_scores import Basis, score_columns
from ferflow.analytics.frame_time import FrameTimes, usual_step
from ferflow.analytics.left_out import LeftOut, find_left_out
from ferflow.analytics.limits import NO_LIMITS, Limits
from ferflow.analytics.markers import Marker, event_markers, load_markers, load_speech
from ferflow.analytics.measures import DEFINITION
from ferflow.analytics.peaks import Moment, Peak, peaks, strongest_moment
from ferflow.analytics.people_list import NO_NAMES, PersonNames
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.person_names import GivenNames
from ferflow.analytics.persons import Person, people
from ferflow.analytics.readability import READABILITY_COLUMNS, REASONS, read_codes
from ferflow.analytics.rest import drop_rest_of_others
from ferflow.analytics.sightings import Sighting, find_sightings, is_brief
from ferflow.analytics.signals import Signal, StoredSignals, load_signals, signal_columns
from ferflow.analytics.stimulus_markers import StimulusMarkers
from ferflow.analytics.tally import Faces, blocks, column, read_ids
from ferflow.analytics.timeline import (
    audience,
    bin_length,
    person_rows,
    person_shifts,
    person_timeline,
    weighted_means,
)
from ferflow.dashboards.session_report.video_player import (
    FaceBoxes,
    PageVideo,
    PictureSizes,
    find_shown_labels,
    find_video,
    pack_boxes,
    url_between,
)
from ferflow.dashboards.shared.session_stimulus import find_session_stimulus
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.options import AnalyzeOptions
from ferflow.regions import AUTO
from ferflow.render.clips import existing_clips
from ferflow.store.metadata import Rest, TimelineBasis, VideoMetadata, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import read_table
from ferflow.store.video_files import VideoFiles
from ferflow.types import Float64Array, Int64Array

MOST_CURVES = 6
"""Labels with marker-locked curves on the page, those with most markers first."""

MOST_SIGNALS = 6
"""Signals on the page, the first of the file that have a value within the video."""

_BOX_COLUMNS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True)
class AtOnce:
    """The frame in which the most people are in view."""

    n: int
    time_s: float
    """Of the first such frame; NaN without people."""


@dataclass(frozen=True, slots=True)
class RestStretch:
    """A stretch in which people are at rest, as the user says; for calibration."""

    start_s: float
    end_s: float
    words: str
    """`at rest`, of everybody in view, or `at rest: <name>`."""


@dataclass(frozen=True, slots=True)
class Session:
    """One analysed video."""

    video_id: str
    metadata: VideoMetadata
    """What the analysis recorded about the video and itself."""
    basis: TimelineBasis
    """What its timeline was computed with."""
    labels: list[str]
    timeline: pa.Table
    people: list[Person]
    left_out: LeftOut
    """Faces that count in no headline."""
    regions: tuple[str, ...]
    """Names of the parts of the picture that were analysed, as FACES have them; none: all of it."""
    at_once: AtOnce
    moment: Moment | None
    """The strongest one."""
    peaks: list[Peak]
    coverage: Coverage
    frame_step_s: float
    """Usual time between two analysed frames; NaN for a single frame."""
    face_px: tuple[float, float, float]
    """Lower quartile, median and upper quartile of the sides of the crops, in pixels of the source; NaN without."""
    n_unreadable: dict[str, int]
    """Faces by what they are unreadable for, of `readability.REASONS`."""
    names: GivenNames
    """What people are called."""
    participant: str | None
    """Whom the session list names."""
    coverage_timeline: pa.Table
    """How much of each bin has a readable face, no face or no frame; see `coverage.coverage_timeline`."""
    markers: pa.Table
    """With those of the stimulus, at the time of this video."""
    stimulus: StimulusMarkers
    """Those of them that are the stimulus'."""
    segments: pa.Table
    curves: pa.Table
    """Marker-locked, of the `MOST_CURVES` labels with most markers; see `event_locked.locked_curves`."""
    signals: StoredSignals
    """All signals of the video."""
    shown_signals: tuple[Signal, ...]
    """Those on the page, at most `MOST_SIGNALS`."""
    video: PageVideo
    boxes: FaceBoxes | None
    """See `video_player.pack_boxes`."""
    clips: dict[str, tuple[int, ...]]
    """The peaks that each clip shows, as places in their list, by the clip's URL."""
    limits: Limits = NO_LIMITS
    """The part of the recording that counts: all numbers are of it, and the charts show the rest as outside."""
    corrections: AppliedCorrections = NO_EFFECT
    """What `corrections.csv` changes."""
    agreement: Agreement = NO_AGREEMENT
    """Of human coders with the model and with each other."""
    speech: tuple[Marker, ...] = ()
    """What is said when, by a transcript, as far as it reaches into the video."""
    has_clips: bool = False
    has_thumbnails: bool = False
    """Whether clips, or pictures of its persons, are stored."""

    @property
    def name(self) -> str:
        """The file's name, as it was found."""
        return self.metadata.source.name

    def describe_kind(self, label: str, kind: str) -> str:
        """The kind of a marker, and whether it is the stimulus'."""
        return ", ".join(
            [*([kind] if kind else []), *(["of the stimulus"] if self.is_stimulus(label) else [])]
        )

    def is_stimulus(self, label: str) -> bool:
        """Whether the markers of a label are the stimulus'."""
        return label in self.stimulus.labels

    def name_of(self, person_id: int) -> str:
        """What a person is called on the page."""
        return self.names.name_of(person_id)

    @property
    def shown_markers(self) -> pa.Table:
        """The markers that do not end before the video starts."""
        times = self.markers.column("time_s").to_numpy()
        ends = np.fmax(times, self.markers.column("end_s").to_numpy())
        return self.markers.filter(pa.array((times >= 0) | (ends > 0)))

    @property
    def audience(self) -> pa.Table:
        """A row per bin."""
        return audience(self.timeline)

    @property
    def bin_seconds(self) -> float:
        """Length of a bin; NaN without any."""
        return bin_length(self.timeline)

    @property
    def end_s(self) -> float:
        """Where the video ends; 0 without any frame."""
        return min(self.last_bin_end_s, self.duration_s) if self.duration_s else self.last_bin_end_s

    @property
    def last_bin_end_s(self) -> float:
        """Where the last bin ends; 0 without any."""
        return float(self.timeline.column("bin_end_s")[-1].as_py()) if len(self.timeline) else 0.0

    @property
    def duration_s(self) -> float:
        """Length of the video as far as it was read."""
        return self.metadata.duration_s

    @property
    def analysed_s(self) -> float:
        """Analysed time."""
        return float(column(self.audience, "seconds").sum())

    @property
    def readable_s(self) -> float:
        """Person-seconds in which an expression can be read."""
        return float(column(self.audience, "readable_s").sum())

    @property
    def pose_known(self) -> bool:
        """Whether the attention of any face is known."""
        return bool(np.isfinite(self.values("attention")).any())

    @property
    def means(self) -> dict[str, float]:
        """Means of all people, weighted by time; see `timeline.weighted_means`."""
        return weighted_means(person_rows(self.timeline))

    @property
    def rest(self) -> tuple[RestStretch, ...]:
        """The stretches at rest, by start."""
        found = [
            RestStretch(rest.start_s, min(rest.end_s, self.end_s), self._name_rest(rest))
            for rest in self.basis.rest
            if rest.start_s < self.end_s
        ]
        return tuple(sorted(found, key=lambda one: one.start_s))

    def _name_rest(self, rest: Rest) -> str:
        return "at rest" if rest.person_id is None else f"at rest: {self.name_of(rest.person_id)}"

    def values(self, name: str) -> Float64Array:
        """A column of the audience, float64 (bins,), NaN where unknown."""
        return column(self.audience, name)

    @property
    def left_out_s(self) -> float:
        """Analysed time in which only faces are seen that corrections leave out, or that were erased on request."""
        others = sum(self.seconds_in(state) for state in ("readable", *REASONS, "uncounted", "no_face"))
        left_s = self.analysed_s - others
        is_left_out = self.corrections.honoured or self.metadata.erasure
        return left_s if is_left_out and left_s > 1e-6 else 0.0

    def seconds_in(self, state: str) -> float:
        """Time in one of `coverage.STATES`."""
        return float(column(self.coverage_timeline, state).sum())


def load_session(
    out: Path, video_id: str, names: PersonNames = NO_NAMES, options: PageOptions | None = None
) -> Session:
    """Load all that the page of one video shows, of the part of it that counts.

    Args:
        out: the output folder.
        video_id: of a finished video.
        names: of people, as the lists give them, and the part that counts; tracks of one name are one person.
        options: of the pages, which may name the session list; None: the defaults.

    Raises:
        RecordsError: a table is missing, unreadable, or of another schema version.
    """
    records = _Records.read(OutputFolder(out).video(video_id), names)
    paths, persons, timeline = records.paths, records.persons, records.timeline
    heights, codes = _sizes_and_codes(persons.faces("frame_index", *READABILITY_COLUMNS))
    stimulus, markers = _load_markers(persons, options or PageOptions())
    signals = _Signals.load(records)
    found = peaks(timeline)
    return Session(
        video_id=video_id,
        metadata=records.metadata,
        basis=records.footer.basis or TimelineBasis(definition=DEFINITION, neutral_prior=None),
        labels=list(records.metadata.labels),
        timeline=timeline,
        people=people(timeline, records.sightings, person_shifts(persons)),
        left_out=find_left_out(persons, records.times, records.counted),
        regions=_find_regions(records.metadata.options, persons.faces("region")),
        at_once=_find_most_at_once(persons.faces("frame_index"), records.times, records.counted),
        moment=strongest_moment(timeline),
        peaks=found,
        coverage=coverage(persons.frames(), persons.faces("frame_index", "yaw")),
        frame_step_s=records.frame_step_s,
        face_px=_quartiles(heights),
        n_unreadable={reason: int((codes == k).sum()) for k, reason in enumerate(REASONS, 1)},
        names=persons.names,
        participant=names.participant,
        coverage_timeline=_divide_time(records),
        markers=markers,
        stimulus=stimulus,
        segments=segments(timeline, markers),
        curves=locked_curves(
            timeline, event_markers(markers, persons.limits), extra=signals.binned, most=MOST_CURVES
        ),
        signals=signals.stored,
        shown_signals=signals.shown,
        video=find_video(records.metadata.source, paths.report, records.all_frames),
        boxes=_pack_boxes(records),
        clips={url_between(paths.report, clip.path): clip.peaks for clip in existing_clips(paths, found)},
        limits=persons.limits,
        corrections=persons.corrections,
        agreement=_compare_codings(records, names),
        speech=_load_speech(records),
        has_clips=paths.has_clips,
        has_thumbnails=paths.has_thumbnails,
    )


@dataclass(frozen=True, slots=True)
class _Records:
    """The tables of a video, and who counts in the part of it that counts."""

    paths: VideoFiles
    metadata: VideoMetadata
    footer: VideoMetadata
    """Of TIMELINE."""
    persons: Persons
    all_frames: pa.Table
    """FRAMES of the whole recording."""
    all_times: FrameTimes
    times: FrameTimes
    """Of the part that counts."""
    timeline: pa.Table
    sightings: Mapping[int, Sighting]
    counted: frozenset[int]
    """Persons who are not seen only briefly."""

    @classmethod
    def read(cls, paths: VideoFiles, names: PersonNames) -> Self:
        persons = Persons.of(paths, names)
        times = persons.times()
        sightings = find_sightings(persons.faces("frame_index", "score"), times)
        return cls(
            paths=paths,
            metadata=read_metadata(paths.faces),
            footer=read_metadata(paths.timeline),
            persons=persons,
            all_frames=read_table(paths.frames),
            all_times=persons.of_whole_recording.times(),
            times=times,
            timeline=person_timeline(persons),
            sightings=sightings,
            counted=frozenset(one for one, seen in sightings.items() if not is_brief(seen, times.total_s)),
        )

    @property
    def frame_step_s(self) -> float:
        return usual_step(self.all_times.time_s)


def _load_markers(persons: Persons, options: PageOptions) -> tuple[StimulusMarkers, pa.Table]:
    """The markers of the stimulus, and all markers."""
    stimulus = find_session_stimulus(persons.paths, options).load_markers()
    own = drop_rest_of_others(persons, load_markers(persons.paths))
    return stimulus, stimulus.merge_into(own)


def _load_speech(records: _Records) -> tuple[Marker, ...]:
    """The cues within the video, cut at its ends."""
    end_s = records.metadata.duration_s
    return tuple(
        replace(one, time_s=max(0.0, one.time_s), end_s=min(one.end_s, end_s))
        for one in load_speech(records.paths)
        if one.end_s is not None and one.end_s > 0 and one.time_s < end_s
    )


@dataclass(frozen=True, slots=True)
class _Signals:
    """The signals of a video, and those on its page."""

    stored: StoredSignals
    shown: tuple[Signal, ...]
    binned: Mapping[str, Float64Array]
    """Values of those on the page in the bins of the timeline, by column."""

    @classmethod
    def load(cls, records: _Records) -> Self:
        stored = load_signals(records.paths)
        columns = signal_columns(stored.signals, records.timeline)
        known = (one for one in stored.signals if np.isfinite(columns[one.column]).any())
        shown = tuple(known)[:MOST_SIGNALS]
        return cls(stored, shown, {one.column: columns[one.column] for one in shown})


def _divide_time(records: _Records) -> pa.Table:
    faces = records.persons.faces("frame_index", *READABILITY_COLUMNS)
    return coverage_timeline(
        records.all_times,
        records.all_frames,
        faces,
        counted=records.counted,
        bin_seconds=records.footer.bin_seconds or bin_length(records.timeline),
        # Time before a chosen start was not analysed; without one, it could not be read.
        ranged=records.metadata.options.start is not None,
        limits=records.persons.limits,
        find_left_out=faces.find_left_out,
        erased=records.metadata.erasure.alone if records.metadata.erasure else (),
    )


def _compare_codings(records: _Records, names: PersonNames) -> Agreement:
    """With what the model shows, not with what corrections make of it."""
    bin_seconds = records.footer.bin_seconds or bin_length(records.timeline)
    return compare_codings(
        records.persons, names, records.all_frames, Basis.stored(records.footer), bin_seconds
    )


def _pack_boxes(records: _Records) -> FaceBoxes | None:
    """Of the whole recording: the player shows all of it."""
    metadata, faces = records.metadata, records.persons.of_whole_recording.faces
    return pack_boxes(
        faces("frame_index", "time_s", *_BOX_COLUMNS),
        PictureSizes.from_frames(records.all_frames, metadata.source),
        find_shown_labels(
            records.all_frames,
            faces(*score_columns(metadata.labels)),
            Basis.stored(records.footer),
            records.persons.corrections.relabels,
        ),
        frame_step_s=records.frame_step_s,
    )


def _find_regions(options: AnalyzeOptions, faces: Faces) -> tuple[str, ...]:
    """Those that were given, by their options; of `auto`, those that it found faces in."""
    if AUTO not in options.region:
        return tuple(
            f"{region.name} ({region.spec})" if region.name else region.spec for region in options.regions
        )
    found = {name for block in blocks(faces) for name in block.column("region").unique().to_pylist() if name}
    return tuple(sorted(found))


def _find_most_at_once(faces: Faces, times: FrameTimes, persons: Set[int]) -> AtOnce:
    """The first frame with the most of these people."""
    counts = np.zeros(len(times.time_s), dtype=np.int64)
    counted = np.array(sorted(persons), dtype=np.int64)
    for block in blocks(faces):
        mine = np.isin(read_ids(block), counted)
        counts += np.bincount(times.rows(block)[mine], minlength=len(counts))
    if not counts.any():
        return AtOnce(0, float("nan"))
    k = int(counts.argmax())
    return AtOnce(int(counts[k]), float(times.time_s[k]))


def _sizes_and_codes(faces: Faces) -> tuple[Float64Array, Int64Array]:
    """Side, and code of what makes it unreadable, of every face."""
    parts = [(column(block, "face_px"), read_codes(block)) for block in blocks(faces)]
    sizes, codes = zip(*parts, strict=True) if parts else ((np.zeros(0),), (np.zeros(0, dtype=np.int64),))
    return np.concatenate(sizes), np.concatenate(codes)


def _quartiles(values: Float64Array) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75]) if len(values) else np.full(3, np.nan)
    return float(low), float(middle), float(high)
