"""Changes of `people.csv` and `corrections.csv`, one at a time, that can be undone.

    edit = add_correction(lists, CorrectionCells("talk-1a2b3c4d", "exclude", "10", "0:20", note="the break"))
    undo(out, edit)

A change is checked as a whole before a byte is written: what `ferflow report` would refuse is refused here. Rows,
columns and comments that it is not about stay as they are, byte for byte. Files are replaced at once; where a change is
about both, a process that is killed between the two leaves one of them as it was, and no half file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from ferflow.analytics.correction_rows import COLUMNS as CORRECTION_COLUMNS
from ferflow.analytics.correction_rows import REQUIRED, TIMES, Corrections
from ferflow.analytics.corrections import build_corrections
from ferflow.analytics.csv_input import MOST_BYTES, Row
from ferflow.analytics.editable_csv import EditableCsv, clean_text
from ferflow.analytics.people_list import COLUMNS as PEOPLE_REQUIRED
from ferflow.analytics.people_list import PeopleList, build_people
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.video_times import parse_seconds
from ferflow.errors import OptionsError
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write, remove
from ferflow.store.output_folder import CORRECTIONS, PEOPLE_LIST, OutputFolder
from ferflow.store.schemas import UNTRACKED
from ferflow.text import sanitize

LONGEST_NAME = 200

_PEOPLE_COLUMNS = ("video_id", "track_id", "person_id", "name", "from_s")


@dataclass(frozen=True, slots=True)
class ListChange:
    """One file before and after; None: it is not there."""

    name: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class Edit:
    """What a change did to the lists."""

    changes: tuple[ListChange, ...]
    """Those of files whose content changed."""
    version: str
    """Of both lists afterwards; see `Lists.version`."""


@dataclass(frozen=True, slots=True)
class CorrectionCells:
    """A row of `corrections.csv`, as it is written; see `correction_rows`."""

    video_id: str
    action: str
    start: str = ""
    end: str = ""
    person: str = ""
    value: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lists:
    """Both lists of a folder as they are on disk."""

    out: Path
    people: bytes | None
    corrections: bytes | None

    @classmethod
    def read(cls, out: Path) -> Self:
        """Read both.

        Raises:
            OptionsError: one is too large, or cannot be read.
        """
        folder = OutputFolder(out)
        return cls(out, _read(folder.people_list), _read(folder.corrections))

    @property
    def version(self) -> str:
        """Changes with each change of a list, so that an edit of a list that changed in the meantime is refused."""
        return hashlib.sha256(repr((self.people, self.corrections)).encode()).hexdigest()[:16]

    def check_version(self, version: str) -> Self:
        """Refuse to continue where the lists are not those of this version.

        Raises:
            OptionsError: they are not.
        """
        if version != self.version:
            raise OptionsError(
                "the lists were changed in the meantime. Read them again, and repeat the change."
            )
        return self

    @property
    def editable_people(self) -> EditableCsv:
        """`people.csv`, row by row."""
        return EditableCsv.parse(self.people or b"", _PEOPLE_COLUMNS)

    @property
    def editable_corrections(self) -> EditableCsv:
        """`corrections.csv`, row by row."""
        return EditableCsv.parse(self.corrections or b"", CORRECTION_COLUMNS)

    def save(self, people: EditableCsv | None = None, corrections: EditableCsv | None = None) -> Edit:
        """Check the changed lists together, and write those that changed.

        Raises:
            OptionsError: a row is wrong, or contradicts another, or a list was changed since it was read; nothing is
                written.
            RecordsError: a file cannot be written, or another process is changing the lists.
        """
        after = Lists(
            self.out,
            people.encode() if people is not None else self.people,
            corrections.encode() if corrections is not None else self.corrections,
        )
        after._check()
        return _write(self, after)

    def _check(self) -> None:
        people = PeopleList()
        if self.people is not None:
            people = build_people(
                self.out, self.editable_people.rows(PEOPLE_LIST, PEOPLE_REQUIRED, ("from_s",))
            )
        if self.corrections is not None:
            self._check_corrections(people)

    def _check_corrections(self, people: PeopleList) -> Corrections:
        return build_corrections(
            self.out, self.editable_corrections.rows(CORRECTIONS, REQUIRED, TIMES), people
        )


def format_seconds(seconds: float) -> str:
    """A time as it is written, to the millisecond: in no dialect of CSV can it be read as another number."""
    text = f"{max(seconds, 0.0):.3f}".rstrip("0").rstrip(".")
    # Among numbers with decimal commas, 1.234 may be a thousand.
    return f"{text}0" if len(text.partition(".")[2]) == 3 else text


def add_correction(lists: Lists, cells: CorrectionCells) -> Edit:
    """Add a row to `corrections.csv`.

    Raises:
        OptionsError: the row is wrong, or contradicts another.
    """
    text = lists.editable_corrections.with_columns(CORRECTION_COLUMNS)
    return lists.save(corrections=text.append(_clean(cells)))


def change_correction(lists: Lists, line: int, cells: CorrectionCells) -> Edit:
    """Change the row that ends on a line, as when a stretch is moved.

    Raises:
        OptionsError: there is no such row, or it would be wrong.
    """
    text = lists.editable_corrections.with_columns(CORRECTION_COLUMNS)
    return lists.save(corrections=text.change(line, _clean(cells)))


def remove_correction(lists: Lists, line: int) -> Edit:
    """Remove the row that ends on a line.

    Raises:
        OptionsError: there is no such row.
    """
    return lists.save(corrections=lists.editable_corrections.remove([line]))


def name_persons(lists: Lists, persons: Persons, ids: Collection[int], name: str) -> Edit:
    """Give persons of a video one name: one person is named, several become one. Their corrections keep to them.

    Args:
        lists: as the persons were read with.
        persons: of the video.
        ids: of those to be named.
        name: the new name.

    Raises:
        OptionsError: no such person, an empty or too long name, or one that another person of the video has.
    """
    name = _check_name(name)
    unknown = sorted(set(ids) - set(persons.ids))
    if unknown or not ids:
        raise OptionsError(f"{persons.paths.video_id}: there is no person {unknown[0] if unknown else ''}.")
    others = {persons.name_of(person) for person in persons.ids if person not in ids}
    if name in others:
        raise OptionsError(
            f"{sanitize(name)!r} is another person of this video. Merge the two, or give another name."
        )
    people, corrections = lists.editable_people, lists.editable_corrections
    for person in sorted(ids):
        people = _name_person(people, persons, person, name)
        corrections = _rename_in_corrections(corrections, persons, person, name)
    return lists.save(people, corrections if lists.corrections is not None else None)


def name_track(lists: Lists, persons: Persons, track_id: int, name: str, *, from_s: float = 0.0) -> Edit:
    """Split a person: give a track, or what follows from a time of it, a name of its own.

    Args:
        lists: as the persons were read with.
        persons: of the video.
        track_id: of a track.
        name: of whose it is; the name of another person of the video gives the track to that person.
        from_s: time of the video from which the name holds; 0: all of the track.

    Raises:
        OptionsError: no such track, or an empty or too long name.
    """
    name = _check_name(name)
    if track_id not in persons.person_of:
        raise OptionsError(f"{persons.paths.video_id}: there is no track {track_id}.")
    people = lists.editable_people.with_columns(_PEOPLE_COLUMNS)
    if from_s <= 0:
        people = _keep_others(people, persons, track_id)
    own = _find_track_rows(people, persons.paths.video_id, track_id, from_s)
    start = format_seconds(from_s) if from_s > 0 else ""
    cells = {"video_id": persons.paths.video_id, "track_id": str(track_id), "name": name, "from_s": start}
    return lists.save(people.change(own[0], {"name": name}) if own else people.append(cells))


def undo(out: Path, edit: Edit) -> Edit:
    """Write back what the files held before a change; the result can be undone, too.

    Raises:
        OptionsError: a file was changed since.
    """
    now = Lists.read(out)
    held = {PEOPLE_LIST: now.people, CORRECTIONS: now.corrections}
    before = dict(held)
    for change in edit.changes:
        if held[change.name] != change.after:
            raise OptionsError(
                f"{change.name} was changed since, so this cannot be undone. Change the row itself."
            )
        before[change.name] = change.before
    return _write(now, Lists(out, before[PEOPLE_LIST], before[CORRECTIONS]))


def _read(path: Path) -> bytes | None:
    try:
        return read_plain_file(path, MOST_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OptionsError(f"{sanitize(path)}: cannot be read ({error.strerror}). Check the path.") from error


def _write(before: Lists, after: Lists) -> Edit:
    pairs = (
        (CORRECTIONS, before.corrections, after.corrections),
        (PEOPLE_LIST, before.people, after.people),
    )
    changes = tuple(ListChange(name, old, new) for name, old, new in pairs if old != new)
    if not changes:
        return Edit((), after.version)
    with OutputFolder(after.out).lock_lists():
        # Another process may have written one since it was read: its edit must not be lost.
        Lists.read(after.out).check_version(before.version)
        for change in changes:
            path = after.out / change.name
            if change.after is None:
                remove(path, out=after.out)
            else:
                with atomic_write(path, out=after.out) as part:
                    part.write_bytes(change.after)
    return Edit(changes, after.version)


def _clean(cells: CorrectionCells) -> dict[str, str]:
    return {name: clean_text(str(text)) for name, text in asdict(cells).items()}


def _check_name(name: str) -> str:
    clean = clean_text(name)
    if not clean or len(clean) > LONGEST_NAME:
        raise OptionsError(f"a name needs 1 to {LONGEST_NAME} characters.")
    return clean


def _name_person(people: EditableCsv, persons: Persons, person: int, name: str) -> EditableCsv:
    """With a new name for a person: in the rows that name this person, else in new ones."""
    given, video_id = persons.names.by_person.get(person), persons.paths.video_id
    lines = [
        row.line
        for row in _read_rows(people)
        if row.values["video_id"] == video_id and row.values["name"] == given
    ]
    for line in lines:
        people = people.change(line, {"name": name})
    if lines:
        return people
    people = people.with_columns(_PEOPLE_COLUMNS)
    for cells in _list_parts(persons, person):
        people = people.append({"video_id": video_id, "name": name, **cells})
    return people


def _list_parts(persons: Persons, person: int) -> Iterable[Mapping[str, str]]:
    """What a person without rows consists of: the person that the analysis stitched, else each piece of a track."""
    mine = {track for track, pieces in persons.person_of.items() if person in pieces.values()}
    stitched = {track for track, one in persons.stitched.items() if one == person}
    is_whole = all(set(persons.person_of[track].values()) == {person} for track in mine)
    if mine == stitched and is_whole:
        return [{"person_id": str(person)}]
    return [
        {"track_id": str(track), "from_s": format_seconds(from_s) if from_s > 0 else ""}
        for track in sorted(mine)
        for from_s, one in sorted(persons.person_of[track].items())
        if one == person
    ]


def _rename_in_corrections(corrections: EditableCsv, persons: Persons, person: int, name: str) -> EditableCsv:
    """With the new name in rows about this person, by the name that pages show so far."""
    shown = persons.name_of(person)
    for row in corrections.rows(CORRECTIONS, REQUIRED, TIMES):
        same = row.values.get("person", "").casefold() == shown.casefold()
        if same and row.values["video_id"] == persons.paths.video_id:
            corrections = corrections.change(row.line, {"person": name})
    return corrections


def _keep_others(people: EditableCsv, persons: Persons, track_id: int) -> EditableCsv:
    """With a name for the person of a track, so that its other tracks do not follow the one that gets another name."""
    video_id, stitched = persons.paths.video_id, persons.stitched[track_id]
    rows = [row for row in _read_rows(people) if row.values["video_id"] == video_id]
    if any(row.values.get("person_id") == str(stitched) for row in rows):
        return people
    followers = [
        persons.person_of[other][0.0]
        for other, person in persons.stitched.items()
        if person == stitched != UNTRACKED
        and other != track_id
        and persons.person_of[other][0.0] != UNTRACKED
        and not _find_track_rows(people, video_id, other, 0.0)
    ]
    if not followers:
        return people
    name = persons.name_of(followers[0])
    return people.append({"video_id": video_id, "person_id": str(stitched), "name": name})


def _find_track_rows(people: EditableCsv, video_id: str, track_id: int, from_s: float) -> list[int]:
    """Lines of the rows that name a track from a time on."""
    return [
        row.line
        for row in _read_rows(people)
        if row.values["video_id"] == video_id
        and row.values.get("track_id") == str(track_id)
        and _is_at(row.values.get("from_s", "") or "0", from_s)
    ]


def _read_rows(people: EditableCsv) -> list[Row]:
    return people.rows(PEOPLE_LIST, PEOPLE_REQUIRED, ("from_s",))


def _is_at(text: str, from_s: float) -> bool:
    return abs(parse_seconds(text, "from_s") - from_s) < 0.0005
