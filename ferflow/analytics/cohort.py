"""Many sessions or many people as one cohort: who is counted, and the mean of each participant.

A *participant* is the unit of counting: a person of a video, or the participant that the session list names for it.
Each participant counts once per group, however many videos, faces or frames show them. All numbers are defined in
`docs/numbers.md`, "Of a cohort". Everything here is a pure function of TIMELINE tables; curves over time are in
`shared_clock`, means in scenes and around markers in `pooled_markers`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Literal, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.markers import MARKERS
from ferflow.analytics.measures import MEASURES
from ferflow.analytics.person_names import GivenNames
from ferflow.analytics.session_list import UNLISTED, SessionRow
from ferflow.analytics.signals import BinnedSignal
from ferflow.analytics.stimuli import Stimulus
from ferflow.analytics.tally import Tally, column, ratio, tally
from ferflow.analytics.timeline import bin_length, person_rows, probability_columns, shown_columns
from ferflow.types import Float64Array, Int64Array

LEAST_SECONDS = 10.0
"""A participant whose face is readable for less is not counted: people who pass through the picture would count as much
as those who sit through the session. Half of the longest session is enough where that is shorter."""
LEAST_SHORT_SECONDS = 5.0
"""But never less: the means of a few seconds would count as much as those of a whole session."""

Reason: TypeAlias = Literal["outside", "excluded", "unseen", "unreadable", "short", "brief", "little"]
"""Why somebody is not counted: nothing of the stimulus lies within the video; corrections leave out the time or the
face; no face is seen for long enough to be a person; none is ever readable; the session is too short; in view too
briefly; in view for longer, but readable too briefly."""

LEAST_PART_OF_BIN = 0.05
"""A bin of which less belongs to the stimulus does not: recordings end some frames apart."""

_TOLERANCE_SECONDS = 1e-6
"""Tables store starts and ends of bins rounded to nanoseconds, and readable time is a sum over thousands of them."""


@dataclass(frozen=True, slots=True)
class CohortVideo:
    """One finished video of a cohort."""

    video_id: str
    timeline: pa.Table
    """See `timeline.person_timeline`."""
    name: str = ""
    """Of the file."""
    names: GivenNames = field(default_factory=GivenNames)
    session: SessionRow = UNLISTED
    group: str | None = None
    own_groups: Mapping[str, str | None] = field(default_factory=dict)
    """By participant, where several share the video; see `Sessions.groups_of_sharers`."""
    stimulus: Stimulus | None = None
    markers: pa.Table = field(default_factory=MARKERS.empty_table)
    """With those of the stimulus."""
    stimulus_labels: frozenset[str] = frozenset()
    """Labels of the markers that are the stimulus'."""
    duration_s: float | None = None
    """Length of the video as far as it was read; None: up to the end of its last bin."""
    stimulus_s: float | None = None
    """Length of the stimulus; None: unknown, so that everything after its start counts."""
    signals: Mapping[str, BinnedSignal] = field(default_factory=dict)
    """By name, in the bins of the timeline, as far as they belong to the stimulus; see `cohort_signals`."""
    is_corrected: bool = False
    """Whether `corrections.csv` leaves out stretches or people of it."""

    @property
    def bin_seconds(self) -> float:
        """Length of a bin; NaN without any."""
        return bin_length(self.timeline)

    @property
    def video_end_s(self) -> float:
        """Where the video ends."""
        if self.duration_s is not None:
            return self.duration_s
        return float(column(self.timeline, "bin_end_s").max()) if len(self.timeline) else 0.0

    @property
    def start_s(self) -> float:
        """From where on the video counts: the start of the stimulus, or of what the session list counts, if later."""
        return max(0.0, self.session.offset_s, self.session.start_s)

    @property
    def end_s(self) -> float:
        """Up to where the video counts: its end, that of the stimulus if it is known, or as the session list says."""
        stimulus_s = math.inf if self.stimulus_s is None else self.stimulus_s
        return min(self.video_end_s, self.session.offset_s + stimulus_s, self.session.end_s)

    @property
    def length_s(self) -> float:
        """How much of the video counts: what the camera recorded before and after the stimulus does not."""
        return max(0.0, self.end_s - self.start_s)

    @property
    def clock_end_s(self) -> float:
        """Time of the stimulus at which the part that counts ends."""
        return self.end_s - self.session.offset_s

    @property
    def is_outside(self) -> bool:
        """Whether nothing of the stimulus lies within the part of the video that counts."""
        return self.video_end_s > 0 and not self.length_s

    def clock_bins(self, starts: Float64Array) -> Int64Array:
        """Numbers of bins on the time of the stimulus, int64 (N,).

        Args:
            starts: where they start in the video, float64 (N,), not before `start_s`.
        """
        # The start of the stimulus is moved to the nearest bound of two bins. Not np.round, which rounds 0.5 and 1.5
        # apart.
        bins = np.floor((starts - self.session.offset_s) / self.bin_seconds + 0.5 + _TOLERANCE_SECONDS)
        if self.stimulus_s is not None:
            # Moved to a later bound, the last bin would lie after the end of the stimulus.
            bins = np.minimum(bins, max(1, count_bins(self.stimulus_s, self.bin_seconds)) - 1)
        return bins.astype(np.int64)

    @property
    def person_ids(self) -> list[int]:
        """Ids of the people, ascending."""
        ids: list[int] = self.timeline.column("person_id").drop_null().unique().to_pylist()
        return sorted(ids)

    @property
    def participant(self) -> str | None:
        """The participant of the session list; None also where stronger sources give everybody another name."""
        ids, name = self.person_ids, self.session.participant
        return name if name and (not ids or self.names.find_participant(name, ids)) else None


@dataclass(frozen=True, slots=True)
class Part:
    """One participant in one video."""

    key: tuple[str, ...]
    """Parts of one key are one participant: the given name, or video and person, which are two texts so that no name
    can equal them."""
    name: str
    video: CohortVideo
    rows: pa.Table
    """The person's rows of TIMELINE as far as they belong to the stimulus, see `_cut_to_stimulus`; of several people,
    if the session list names one participant and none of them is known to be that one."""
    is_expected: bool
    """Whether a participant was to be expected here: named, or the only person in the video."""
    listed_as: str | None = None
    """The participant of the region, if several share the video; `people.csv` may call the person otherwise."""

    @property
    def group(self) -> str | None:
        """Of the participant in this video."""
        own = self.video.own_groups
        return own.get(self.name, own.get(self.listed_as or "", self.video.group))

    @property
    def bins(self) -> Int64Array:
        """Number of the bin of each row, counted from the bin in which the stimulus starts, int64 (rows,)."""
        return self.video.clock_bins(column(self.rows, "bin_start_s"))

    @property
    def readable_s(self) -> float:
        """Time with a readable face."""
        return float(column(self.rows, "readable_s").sum())

    def weights(self, name: str) -> Float64Array:
        """What a measure is weighted by, seconds (rows,): attention by time in view, all else by readable time."""
        return column(self.rows, "face_s" if name == "attention" else "readable_s")

    @property
    def measures(self) -> list[str]:
        """Names of all measures, scores and shown labels."""
        return [*MEASURES, *probability_columns(self.rows), *shown_columns(self.rows)]

    def tally(self, cells: Int64Array, n_cells: int, names: Sequence[str]) -> Tally:
        """Sums of measures by cell; rows whose cell is not in [0, `n_cells`) do not count, nor unknown names."""
        inside = (cells >= 0) & (cells < n_cells)
        parts = (
            tally({name: column(self.rows, name)[inside]}, cells[inside], n_cells, self.weights(name)[inside])
            for name in names
            if name in self.rows.column_names
        )
        return sum(parts, start=Tally())


@dataclass(frozen=True, slots=True)
class Participant:
    """One participant, within one group or in all of them."""

    key: tuple[str, ...]
    name: str
    group: str | None
    parts: tuple[Part, ...]
    """Each video of the participant."""
    face_s: float
    """Time in view over all videos."""
    readable_s: float
    """Time with a readable face over all videos."""
    length_s: float
    """Length of all videos together."""
    has_reacted: bool
    """Whether the participant reacts in any bin."""
    total: Tally
    """Of one cell: sums of all measures over all bins."""

    @classmethod
    def of(cls, parts: Sequence[Part], group: str | None) -> Self:
        """The participant of parts of one key."""
        sums = (part.tally(np.zeros(len(part.rows), np.int64), 1, part.measures) for part in parts)
        return cls(
            key=parts[0].key,
            name=parts[0].name,
            group=group,
            parts=tuple(parts),
            face_s=sum(float(column(part.rows, "face_s").sum()) for part in parts),
            readable_s=sum(part.readable_s for part in parts),
            length_s=sum(part.video.length_s for part in parts),
            has_reacted=any((column(part.rows, "reacting") == 1).any() for part in parts),
            total=sum(sums, start=Tally()),
        )

    @property
    def video_ids(self) -> tuple[str, ...]:
        """Each video of the participant, once."""
        return tuple(dict.fromkeys(part.video.video_id for part in self.parts))

    @property
    def is_expected(self) -> bool:
        """Whether a participant was to be expected in any of the videos; see `Part`."""
        return any(part.is_expected for part in self.parts)

    def mean(self, name: str) -> float:
        """Mean of a measure, weighted by readable time (attention: by time in view); NaN if it is unknown."""
        return _mean_of(self.total, name)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A participant who is not counted, or a video without any person as a participant."""

    participant: Participant
    reason: Reason


@dataclass(frozen=True, slots=True)
class Cohort:
    """The participants of some videos."""

    participants: tuple[Participant, ...] = ()
    """Those who are counted, by group, then by name; one may be in several groups."""
    everybody: tuple[Participant, ...] = ()
    """The same without groups, each once."""
    left_out: tuple[LeftOut, ...] = ()
    """Everybody else, in the same order."""
    ambiguous: tuple[str, ...] = ()
    """Videos with a listed participant as whom several people count, since none of them has that name."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups in alphabetical order, without None."""
        return tuple(sorted({one.group for one in self.participants if one.group is not None}))

    def of(self, group: str | None) -> tuple[Participant, ...]:
        """The participants of a group; None: all of them, each once."""
        return (
            self.everybody if group is None else tuple(one for one in self.participants if one.group == group)
        )

    @property
    def n_participants(self) -> int:
        """Distinct participants; one may be in several groups."""
        return len(self.everybody)

    @property
    def stimuli(self) -> frozenset[Stimulus | None]:
        """Of the participants' videos; None: there are some without one."""
        return frozenset(part.video.stimulus for one in self.everybody for part in one.parts)

    @property
    def n_in_several(self) -> int:
        """Participants who are in more than one group."""
        return sum(n > 1 for n in Counter(one.key for one in self.participants).values())

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of all measures, scores and shown labels of the participants."""
        return tuple(dict.fromkeys(name for one in self.participants for name in one.total.sums))

    def mean(self, name: str) -> float:
        """Mean of a measure over all participants together, weighted by readable time (attention: by time in view).

        NaN if it is unknown. Other than in means over participants, who is readable for longer weighs more.
        """
        return _mean_of(sum((one.total for one in self.participants), start=Tally()), name)


def build_cohort(videos: Sequence[CohortVideo]) -> Cohort:
    """Find the participants of videos, and who of them is counted.

    A participant counts whose face is readable for `LEAST_SECONDS`, or for half of the longest session if that is
    shorter, in the sessions of one stimulus, or in those without one; never for less than `LEAST_SHORT_SECONDS`.
    """
    found = _merge([part for video in videos for part in _parts(video, is_alone=len(videos) == 1)])
    least_s = _least_seconds(videos)
    found = tuple(sorted(found, key=_by_group_and_name))
    reasons = [_why_left_out(one, least_s) for one in found]
    counted = tuple(one for one, reason in zip(found, reasons, strict=True) if reason is None)
    return Cohort(
        participants=counted,
        everybody=_join_groups(counted),
        left_out=tuple(LeftOut(one, reason) for one, reason in zip(found, reasons, strict=True) if reason),
        ambiguous=tuple(video.video_id for video in videos if _is_ambiguous(video)),
    )


def _least_seconds(videos: Sequence[CohortVideo]) -> dict[Stimulus | None, float]:
    """Readable time from which a participant counts, by stimulus."""
    longest: dict[Stimulus | None, float] = {}
    for video in videos:
        longest[video.stimulus] = max(longest.get(video.stimulus, 0.0), video.length_s)
    return {
        stimulus: min(LEAST_SECONDS, max(LEAST_SHORT_SECONDS, length / 2))
        for stimulus, length in longest.items()
    }


def _why_left_out(one: Participant, least_s: Mapping[Stimulus | None, float]) -> Reason | None:
    """The reason why a participant is not counted; None: counted."""
    readable: dict[Stimulus | None, float] = {}
    for part in one.parts:
        readable[part.video.stimulus] = readable.get(part.video.stimulus, 0.0) + part.readable_s
    if all(part.video.is_outside for part in one.parts):
        return "outside"
    if any(0 < seconds >= least_s[where] - _TOLERANCE_SECONDS for where, seconds in readable.items()):
        return None
    if not one.face_s and any(part.video.is_corrected for part in one.parts):
        return "excluded"
    if not one.face_s or not one.readable_s:
        return "unreadable" if one.face_s else "unseen"
    least = min(least_s[where] for where in readable)
    if one.length_s < least:
        return "short"
    return "brief" if one.face_s < least else "little"


def explain_outside(video: CohortVideo) -> str:
    """Why nothing of its stimulus lies within a video, as the end of a sentence."""
    if _is_outside_list(video):
        return "start and end in the session list leave nothing of the stimulus, or of the recording"
    offset = f"offset_s is {video.session.offset_s:.10g} s"
    if video.session.offset_s >= video.video_end_s:
        return f"{offset}, but the recording is only {video.video_end_s:.1f} s long"
    return (
        f"{offset}, so the stimulus, {video.stimulus_s or 0.0:.1f} s long, ended before the recording began"
    )


def _is_outside_list(video: CohortVideo) -> bool:
    """Whether something of the stimulus would lie within the video, if the list did not give `start` and `end`."""
    return not replace(video, session=replace(video.session, start_s=0.0, end_s=math.inf)).is_outside


def natural_key(text: str) -> list[tuple[float, str]]:
    """Sort key of a name: `session 2` comes before `session 10`, and case does not matter."""
    parts = [part for part in re.split(r"([0-9]+)", text.casefold()) if part]
    return [(int(part), "") if part[0] in "0123456789" else (math.inf, part) for part in parts]


def _by_group_and_name(one: Participant) -> tuple[bool, str, list[tuple[float, str]]]:
    return one.group is None, one.group or "", natural_key(one.name)


def _mean_of(total: Tally, name: str) -> float:
    # A score may be unknown to all videos: their models have other labels.
    return float(total.mean(name)[0]) if name in total.sums else float("nan")


# --- Who is a participant --------------------------------------------------------------------------------


def _parts(video: CohortVideo, *, is_alone: bool) -> list[Part]:
    ids, name = video.person_ids, video.participant
    if not name:
        found = [_person_part(video, person, is_sole=len(ids) == 1, is_alone=is_alone) for person in ids]
        expected = video.session.participants if video.session.shared else ()
        present = {part.name for part in found} | {part.listed_as for part in found}
        found += [_absent_part(video, one) for one in expected if one not in present]
        return found or [_absent_part(video, None)]
    if not ids:
        return [_absent_part(video, name)]
    people, mine = person_rows(video.timeline), video.names.find_participant(name, ids)
    people = people.filter(pc.is_in(people.column("person_id"), pa.array(mine, pa.int32())))
    return [Part((name,), name, video, _cut_to_stimulus(people, video), is_expected=True)]


def part_of(video: CohortVideo, person: int, *, is_alone: bool) -> Part:
    """A person of a video as the participant whom the overview has.

    Args:
        video: the video.
        person: one of its `person_ids`.
        is_alone: whether there is no other video.
    """
    ids, name = video.person_ids, video.participant
    part = _person_part(video, person, is_sole=len(ids) == 1, is_alone=is_alone)
    if not name or person not in video.names.find_participant(name, ids):
        return part
    return replace(part, key=(name,), name=name, is_expected=True, listed_as=None)


def _absent_part(video: CohortVideo, participant: str | None) -> Part:
    """One without a row, so that the page can say who is missing."""
    key = (participant,) if participant else (video.video_id, "")
    name = participant or PurePath(video.name).stem or video.video_id
    return Part(key, name, video, video.timeline.slice(0, 0), is_expected=True)


def _person_part(video: CohortVideo, person: int, *, is_sole: bool, is_alone: bool) -> Part:
    """A person of a video; `is_sole`: no other is in it, `is_alone`: there is no other video."""
    rows = video.timeline.filter(pc.equal(video.timeline.column("person_id"), person))
    given = video.names.by_person.get(person)
    key = (given,) if given else (video.video_id, str(person))
    name = video.names.name_of(person)
    if not is_alone and given is None and person not in video.names.of_file:
        # `Person 1` alone could be of any video.
        name = f"{name}, {video.name}"
    is_expected = is_sole or given is not None
    listed_as = video.names.of_region.get(person) if video.session.shared else None
    return Part(key, name, video, _cut_to_stimulus(rows, video), is_expected, listed_as)


def _cut_to_stimulus(rows: pa.Table, video: CohortVideo) -> pa.Table:
    """The rows that belong to the stimulus; of a bin that does in part, that part of its bounds and of its times.

    A bin of which less than `LEAST_PART_OF_BIN` belongs to it is left out.
    """
    starts, ends = column(rows, "bin_start_s"), column(rows, "bin_end_s")
    # A video ends within its last bin.
    lengths = np.minimum(ends, video.video_end_s) - starts
    inside = np.clip(np.minimum(ends, video.end_s) - np.maximum(starts, video.start_s), 0.0, None)
    # The times of the rows are already those within the limits of the session list.
    listed, listed_ends = video.session.limits.clip(starts, np.minimum(ends, video.video_end_s))
    share = np.clip(np.nan_to_num(ratio(inside, listed_ends - listed)), 0.0, 1.0)
    cut = {
        "bin_start_s": np.maximum(starts, video.start_s),
        "bin_end_s": ends if video.end_s >= video.video_end_s else np.minimum(ends, video.end_s),
        "face_s": column(rows, "face_s") * share,
        "readable_s": column(rows, "readable_s") * share,
    }
    for name, values in cut.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.float64()))
    return rows.filter(pa.array(ratio(inside, lengths) >= LEAST_PART_OF_BIN))


def count_bins(length_s: float, bin_seconds: float) -> int:
    """How many bins a time spans; one of which less than `LEAST_PART_OF_BIN` belongs to it does not count."""
    return math.ceil(length_s / bin_seconds - LEAST_PART_OF_BIN)


def _merge(parts: Iterable[Part]) -> tuple[Participant, ...]:
    """Add up the parts of each participant in each group, in the order of their first parts."""
    by_participant: dict[tuple[str | None, tuple[str, ...]], list[Part]] = {}
    for part in parts:
        by_participant.setdefault((part.group, part.key), []).append(part)
    return tuple(Participant.of(same, group) for (group, _), same in by_participant.items())


def _join_groups(participants: Sequence[Participant]) -> tuple[Participant, ...]:
    """The participants without groups, each once, in the order in which they are first named."""
    by_key: dict[tuple[str, ...], list[Participant]] = {}
    for one in participants:
        by_key.setdefault(one.key, []).append(one)
    return tuple(
        replace(same[0], group=None)
        if len(same) == 1
        else Participant.of([part for one in same for part in one.parts], None)
        for same in by_key.values()
    )


def _is_ambiguous(video: CohortVideo) -> bool:
    name = video.participant
    return name is not None and len(video.names.find_participant(name, video.person_ids)) > 1


def is_same_length(first_s: float, second_s: float) -> bool:
    """Whether two lengths of bins are equal but for their rounding."""
    return math.isclose(first_s, second_s, abs_tol=_TOLERANCE_SECONDS)
