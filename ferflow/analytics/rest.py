"""Stretches in which people are at rest, as the markers of a video state them: the basis of a calibration.

A marker of kind `rest` with an end is such a stretch. A label of `EVERYBODY`, in any case, is about everybody in view;
any other label is the name of a person, see `person_names`. Without such a person, the stretch has no effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ferflow.analytics.face_scores import LEAST_REST_SECONDS
from ferflow.analytics.markers import REST_KIND, Marker, load_markers, markers_in, parse_rest
from ferflow.analytics.measures import NEUTRAL_LABEL
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.readability import READABILITY_COLUMNS, read_codes
from ferflow.analytics.tally import column, read_ids, rows_by_value
from ferflow.store.metadata import Rest, read_markers_metadata, read_metadata
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize, timecode

EVERYBODY = frozenset({REST_KIND, "all", "everybody"})
"""Labels of stretches that are about everybody in view; an empty label is stored as `rest`."""

MOST_KNOWN = 8
"""Names in a message."""


def load_rest(persons: Persons) -> tuple[Rest, ...]:
    """The stretches at rest that are stored for a video and about somebody in it, by start; empty without any.

    Raises:
        RecordsError: a table cannot be read.
    """
    return tuple(stretch.rest for stretch in _load_stretches(persons) if stretch.is_about_anybody)


def drop_rest_of_others(persons: Persons, markers: pa.Table) -> pa.Table:
    """MARKERS of a video without the stretches of `--rest NAME=` whose NAME no person in it has.

    Such an option is about all videos of a run, and stored with each.

    Raises:
        RecordsError: a table cannot be read.
    """
    others = [one.marker for one in _load_stretches(persons) if one.is_by_option and not one.is_about_anybody]
    return markers.filter(pa.array([one not in others for one in markers_in(markers)], pa.bool_()))


@dataclass(frozen=True, slots=True)
class RestProblems:
    """What keeps the stretches at rest of a video from calibrating anybody."""

    lines: tuple[str, ...] = ()
    """A warning each."""
    known: frozenset[str] = frozenset()
    """What the persons of the video are called."""
    by_option: frozenset[str] = frozenset()
    """Names that were given as options; a video without them is no problem, since each may show other people."""


def find_rest_problems(persons: Persons) -> RestProblems:
    """Check the stretches at rest that are stored for a video, which needs a pass over FACES if there are any.

    Raises:
        RecordsError: a table cannot be read.
    """
    stretches = _load_stretches(persons)
    if not stretches:
        return RestProblems()
    metadata = read_metadata(persons.paths.faces)
    seconds = _find_readable_seconds(persons, [one.rest for one in stretches if one.is_about_anybody])
    known = frozenset(map(persons.name_of, persons.ids))
    lines = []
    for one in stretches:
        where = f"{sanitize(metadata.source.name)}: {one.describe()}"
        if not one.is_about_anybody:
            if not one.is_by_option:
                lines.append(
                    f"{where} has no effect: no person in the video has this name. Known: {_list(known)}; "
                    "rest, all or everybody is about everybody in view."
                )
        elif one.rest.start_s >= metadata.duration_s:
            lines.append(f"{where} begins after the end of the video ({timecode(metadata.duration_s)}).")
        elif not _is_enough(one.rest, seconds):
            most = max(_of_stretch(one.rest, seconds), default=0.0)
            lines.append(
                f"{where} has no effect: {most:.1f} s of it are readable, {LEAST_REST_SECONDS:g} s are needed."
            )
    names = {
        one.marker.label
        for one in stretches
        if one.is_by_option and one.marker.label.casefold() not in EVERYBODY
    }
    return RestProblems(tuple(lines), known, frozenset(names))


def describe_unknown_names(found: Iterable[RestProblems]) -> list[str]:
    """A warning for each name of an option that no person in any video has."""
    problems = list(found)
    known = frozenset().union(*(one.known for one in problems))
    unknown = frozenset().union(*(one.by_option for one in problems)) - known
    return [
        f"--rest {sanitize(name)}=...: has no effect: no person in these videos has this name. Known: {_list(known)}."
        for name in sorted(unknown)
    ]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A marker of kind `rest`, and whom it is about."""

    marker: Marker
    rest: Rest
    is_about_anybody: bool
    is_by_option: bool

    def describe(self) -> str:
        whom = (
            ""
            if self.rest.person_id is None and self.is_about_anybody
            else f" of {sanitize(self.marker.label)!r}"
        )
        return f"rest{whom} from {timecode(self.rest.start_s)} to {timecode(self.rest.end_s)}"


def _load_stretches(persons: Persons) -> list[_Stretch]:
    markers = [marker for marker in markers_in(load_markers(persons.paths)) if marker.kind == REST_KIND]
    if not markers:
        return []
    by_name = {persons.name_of(person): person for person in persons.ids}
    by_option = _given_as_options(persons.paths)
    found = []
    for marker in markers:
        if marker.end_s is None:
            continue
        everybody = marker.label.casefold() in EVERYBODY
        person = None if everybody else by_name.get(marker.label)
        rest = Rest(marker.time_s, marker.end_s, person)
        found.append(_Stretch(marker, rest, everybody or person is not None, marker in by_option))
    return found


def _given_as_options(paths: VideoFiles) -> list[Marker]:
    return [parse_rest(text) for text in read_markers_metadata(paths.markers).rest]


_Seconds = Mapping[Rest, Mapping[int, float]]
"""Readable time by stretch and person."""


def _find_readable_seconds(persons: Persons, rest: Sequence[Rest]) -> _Seconds:
    found: dict[Rest, dict[int, float]] = {one: {} for one in rest}
    if not rest:
        return found
    metadata = read_metadata(persons.paths.faces)
    # Also outside of what counts: a baseline is often recorded before it.
    persons = persons.of_whole_recording
    times, score = persons.times(), f"prob_{NEUTRAL_LABEL}"
    scores = [score] if NEUTRAL_LABEL in metadata.labels else []
    for block in persons.faces("frame_index", *READABILITY_COLUMNS, *scores):
        rows = times.rows(block)
        readable = read_codes(block) == 0
        if scores:
            readable &= ~np.isnan(column(block, score))
        for person, mine in rows_by_value(read_ids(block)).items():
            time_s, seconds = times.time_s[rows[mine]], times.seconds[rows[mine]]
            for one, by_person in found.items():
                here = readable[mine] & (time_s >= one.start_s) & (time_s < one.end_s)
                by_person[person] = by_person.get(person, 0.0) + float(seconds[here].sum())
    return found


def _of_stretch(rest: Rest, seconds: _Seconds) -> list[float]:
    """Readable time in a stretch of each person whom it is about."""
    return [value for person, value in seconds[rest].items() if rest.person_id in (None, person)]


def _is_enough(rest: Rest, seconds: _Seconds) -> bool:
    """Whether a person whom a stretch is about is calibrated, if only together with other stretches."""
    return any(
        value > 0
        and sum(more.get(person, 0.0) for one, more in seconds.items() if one.person_id in (None, person))
        >= LEAST_REST_SECONDS
        for person, value in seconds[rest].items()
        if rest.person_id in (None, person)
    )


def _list(names: Iterable[str]) -> str:
    shown = [sanitize(name) for name in sorted(names)]
    more = [f"and {len(shown) - MOST_KNOWN} more"] if len(shown) > MOST_KNOWN else []
    return ", ".join([*shown[:MOST_KNOWN], *more]) or "no one"
