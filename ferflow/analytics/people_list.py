"""`people.csv`: who the tracks and persons of the videos are.

The file in the output folder has a row per name: `video_id,name` and either `track_id` or `person_id`. All tracks of a
video with one name are one person; two names in one person divide it. With `from_s`, a name of a track holds from that
time of the video on, so a track that passes from one person to another can be split. The tables on disk stay as the
analysis wrote them; the list is applied when they are read (`person_faces`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ferflow.analytics.correction_rows import NO_CORRECTIONS, Coding, VideoCorrections
from ferflow.analytics.csv_input import Row, count_rows, read_csv
from ferflow.analytics.limits import NO_LIMITS, Limits
from ferflow.analytics.video_times import parse_seconds
from ferflow.errors import OptionsError
from ferflow.store.output_folder import PEOPLE_LIST, OutputFolder
from ferflow.text import sanitize

COLUMNS = ("video_id", "name")


@dataclass(frozen=True, slots=True)
class PersonNames:
    """What the lists say of one video: its names, the part of it that counts, and corrections."""

    by_track: Mapping[int, Mapping[float, str]] = field(default_factory=dict)
    """By track id: the names, by the time from which they hold; 0 is the track's beginning."""
    by_person: Mapping[int, str] = field(default_factory=dict)
    """By person id."""
    participant: str | None = None
    """Whom the session list names."""
    limits: Limits = NO_LIMITS
    """The part of the video that counts, as the session list says."""
    corrections: VideoCorrections = NO_CORRECTIONS
    """What `corrections.csv` says of the video."""
    codings: tuple[Coding, ...] = ()
    """What human coders saw in the video."""
    lines: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """The first line of `people.csv` that names a `track` or a `person` of a number."""

    @property
    def in_people_list(self) -> set[str]:
        """All names but that of the session list."""
        return {name for pieces in self.by_track.values() for name in pieces.values()} | {
            *self.by_person.values()
        }


NO_NAMES = PersonNames()


@dataclass(frozen=True, slots=True)
class PeopleList:
    """What `people.csv` says."""

    videos: Mapping[str, PersonNames] = field(default_factory=dict)
    """By video id."""
    warnings: tuple[str, ...] = ()
    """Rows without effect, counted."""

    def of(self, video_id: str) -> PersonNames:
        """The names in one video."""
        return self.videos.get(video_id, NO_NAMES)


def read_people(out: Path) -> PeopleList:
    """Read the folder's `people.csv`; without one, no person has a name.

    Rows about unknown videos and repeated rows are counted in the warnings.

    Raises:
        OptionsError: it is no such table, or gives a track or a person two names.
    """
    path = OutputFolder(out).people_list
    if not path.exists():
        return PeopleList()
    return build_people(out, read_csv(path, required=COLUMNS, numbers=("from_s",)))


def build_people(out: Path, rows: Iterable[Row]) -> PeopleList:
    """The names of rows of a list; see `read_people`."""
    path = OutputFolder(out).people_list
    finished = set(OutputFolder(out).finished_ids())
    named: dict[_Key, str] = {}
    lines: dict[_Key, int] = {}
    repeated, unknown = [], []
    for row in rows:
        name = row.values["name"]
        if not name:
            continue
        key = _key(path, row)
        if key in named:
            _refuse_second_name(path, row, key, named[key])
            repeated.append(f"{key.video_id}, {key.kind} {key.number}")
        elif key.video_id not in finished:
            unknown.append(key.video_id)
        else:
            named[key], lines[key] = name, row.line
    return PeopleList(_by_video(named, lines), (
        *count_rows(PEOPLE_LIST, unknown, "names a video that is not in this folder",
                    "name videos that are not in this folder"),
        *count_rows(PEOPLE_LIST, repeated, "repeats another", "repeat others"),
    ))  # fmt: skip


def count_unknown(people: PeopleList, known: Mapping[str, tuple[Iterable[int], Iterable[int]]]) -> list[str]:
    """A warning that counts the names of tracks and persons that do not exist; empty if all exist.

    Args:
        people: the list.
        known: ids of the tracks and of the persons, by video id; names in other videos are not checked.
    """
    found = []
    for video_id, (tracks, persons) in known.items():
        names = people.of(video_id)
        found += [f"{video_id}, track {track}" for track in sorted(set(names.by_track) - set(tracks))]
        found += [f"{video_id}, person {person}" for person in sorted(set(names.by_person) - set(persons))]
    return count_rows(PEOPLE_LIST, found, "names a track or person that its video does not have",
                      "name tracks or persons that their videos do not have")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Key:
    """What a row names."""

    video_id: str
    kind: str
    """`track` or `person`."""
    number: int
    from_s: float


def _key(path: Path, row: Row) -> _Key:
    track, person = row.values.get("track_id", ""), row.values.get("person_id", "")
    if bool(track) == bool(person):
        raise OptionsError(
            f"{path}: line {row.line}: a name needs a track_id or a person_id, one of the two."
        )
    kind, text = ("track", track) if track else ("person", person)
    # int() alone would accept "1_0", and isdigit() alone "²", which int() refuses.
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise OptionsError(
            f"{path}: line {row.line}: {kind}_id must be a whole number from 1, got {sanitize(text[:40])!r}."
        )
    start = row.values.get("from_s", "")
    if start and kind == "person":
        raise OptionsError(f"{path}: line {row.line}: from_s splits a track: give its track_id.")
    from_s = parse_seconds(start, f"{path}: line {row.line}: from_s") if start else 0.0
    return _Key(row.values["video_id"], kind, int(text), from_s)


def _refuse_second_name(path: Path, row: Row, key: _Key, name: str) -> None:
    if row.values["name"] != name:
        raise OptionsError(
            f"{path}: line {row.line}: {key.kind} {key.number} of {sanitize(key.video_id[:200])} is called "
            f"{sanitize(row.values['name'][:80])!r} here and {sanitize(name[:80])!r} above. Keep one of the rows."
        )


def _by_video(named: Mapping[_Key, str], lines: Mapping[_Key, int]) -> dict[str, PersonNames]:
    tracks: dict[str, dict[int, dict[float, str]]] = {}
    persons: dict[str, dict[int, str]] = {}
    first_lines: dict[str, dict[tuple[str, int], int]] = {}
    for key, name in named.items():
        first_lines.setdefault(key.video_id, {}).setdefault((key.kind, key.number), lines[key])
        if key.kind == "person":
            persons.setdefault(key.video_id, {})[key.number] = name
        else:
            tracks.setdefault(key.video_id, {}).setdefault(key.number, {})[key.from_s] = name
    return {
        video_id: PersonNames(tracks.get(video_id, {}), persons.get(video_id, {}), lines=found)
        for video_id, found in first_lines.items()
    }
