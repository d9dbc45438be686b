"""The session list: participant, group and stimulus of each video.

A CSV with a row per video: `video,participant,group,stimulus` and any others. `video` is a video's id, its file name,
the name without its ending, or its path. `stimulus` is what the person watched or did: a video file, or any text.
`offset_s`, where given, is the time in the video at which the stimulus starts: seconds or a timecode. Only what lies
from `start` to `end` of the video counts. `markers` is a file of markers for the video, `markers_offset` how its clock
differs from the video's, `part` tells which of several files of a participant it is, and `recording_start` is when the
recording started, for signals with times of day.
`region`, where given, is the part of the picture to analyse, as `--region` has it; participants who share a video have
a row each, with a region of their own.

>>> listed = read_sessions(Path("sessions.csv"), sources)
>>> listed.rows["talk-1a2b3c4d"].values["group"]
'control'
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ferflow.analytics.csv_input import Row, count_rows
from ferflow.analytics.limits import Limits, Stretch
from ferflow.analytics.list_rows import read_rows
from ferflow.analytics.session_columns import parse_offset, parse_part, parse_stretch, without_missing
from ferflow.errors import OptionsError
from ferflow.regions import AUTO, Region, parse_regions, split_regions
from ferflow.store.object_store import file_address_to_path, is_object
from ferflow.text import sanitize

GROUP = "group"
"""Column that defines the groups by default."""

REGION = "region"

AUTO_PART = 0
"""In place of the number of a part: its place follows from the file, see `analytics.parts`."""

_TIMES = ("offset_s", "start", "end")
_OWN_COLUMNS = {"video", *_TIMES, "part", "markers", "markers_offset", "recording_start", REGION}


@dataclass(frozen=True, slots=True)
class SessionRow:
    """The row of one video."""

    participant: str | None = None
    """None also where several share the video."""
    stimulus: str | None = None
    """As written in the list."""
    offset_s: float = 0.0
    """Time in the video at which its stimulus starts."""
    start_s: float = 0.0
    end_s: float = math.inf
    """The part of the video that counts."""
    part: int | None = None
    """Which of several files of the participant this video is, from 1, or `AUTO_PART`."""
    markers: str | None = None
    """A file of markers for the video, as written in the list."""
    values: Mapping[str, str] = field(default_factory=dict)
    """All columns, by name."""
    region: tuple[str, ...] = ()
    """Parts of the picture to analyse, as in `AnalyzeOptions.region`; empty: as the options say."""
    shared: tuple[SessionRow, ...] = ()
    """The rows of all participants, where several share the video, each in a region."""
    excluded: tuple[Stretch, ...] = ()
    """What `corrections.csv` excludes of the video."""

    @property
    def limits(self) -> Limits:
        """The part of the video that counts."""
        return Limits(self.start_s, self.end_s, self.excluded)

    @property
    def participants(self) -> tuple[str, ...]:
        """Everybody whom the list names in the video."""
        return tuple(row.participant for row in self.shared or (self,) if row.participant)


UNLISTED = SessionRow()


@dataclass(frozen=True, slots=True)
class Sessions:
    """The list, matched with the videos of a folder."""

    rows: Mapping[str, SessionRow] = field(default_factory=dict)
    """By video id."""
    columns: tuple[str, ...] = ()
    """Columns that can define groups."""
    warnings: tuple[str, ...] = ()

    def of(self, video_id: str) -> SessionRow:
        """The row of one video; an empty one if it is not listed."""
        return self.rows.get(video_id, UNLISTED)

    def group(self, video_id: str, by: str | None) -> str | None:
        """A video's value in the column `by`; None: no group, or participants in several."""
        row = self.of(video_id)
        found = {one.values.get(by, "") for one in row.shared or (row,)} if by else set()
        return found.pop() or None if len(found) == 1 else None

    def groups_of_sharers(self, video_id: str, by: str | None) -> dict[str, str | None]:
        """The same for each participant, where several share the video; empty where they do not."""
        rows = self.of(video_id).shared
        return {row.participant: row.values.get(by or "") or None for row in rows if row.participant}

    def grouping(self, by: str | None) -> str | None:
        """The column to group by: the requested one, else `group` if there is such a column.

        Raises:
            OptionsError: no such column.
        """
        if by is None:
            return GROUP if GROUP in self.columns else None
        name = unicodedata.normalize("NFC", by.strip()).lower()
        if name not in self.columns:
            known = ", ".join(sanitize(column) for column in self.columns)
            where = f"the session list has {known}" if known else "there is no session list: give --sessions"
            raise OptionsError(f"cannot group by {sanitize(by)!r}: {where}.")
        return name


def read_sessions(path: Path, sources: Mapping[str, str]) -> Sessions:
    """Read the list and find the video of each row.

    Args:
        path: the CSV.
        sources: path of the source file of every finished video, by video id.

    Raises:
        OptionsError: no such table, a name that matches several videos, or rows that contradict each other.
    """
    rows, known = read_rows(path, required=("video",), numbers=_TIMES), _Sources.of(sources)
    found: dict[str, list[SessionRow]] = {}
    unknown, repeated = [], []
    for written in rows:
        video_id = known.find(written.values["video"], f"{path}: line {written.line}")
        if video_id is None:
            unknown.append(written.values["video"])
            continue
        row = without_missing(written)
        session, others = _session(path, row), found.setdefault(video_id, [])
        if any(_values_of(session) == _values_of(other) for other in others):
            repeated.append(row.values["video"])
        else:
            _check_sharing(path, row, [*others, session])
            elsewhere = (other for name, listed in found.items() if name != video_id for other in listed)
            _check_part(path, row, session, elsewhere)
            others.append(session)
    columns = tuple(name for name in (rows[0].values if rows else {}) if name not in _OWN_COLUMNS)
    joined = {video_id: _join(listed) for video_id, listed in found.items()}
    return Sessions(joined, columns, (
        *count_rows(sanitize(path.name), unknown, "names no video with results", "name no video with results"),
        *count_rows(sanitize(path.name), repeated, "repeats another", "repeat others"),
    ))  # fmt: skip


def list_videos(path: Path) -> list[str]:
    """The videos that a list names, each once; relative paths start at the folder of the list.

    Raises:
        OptionsError: no such list, or a row without a video.
    """
    found = []
    for row in read_rows(path, required=("video",)):
        if not (name := row.values["video"]):
            raise OptionsError(f"{sanitize(path)}: line {row.line} names no video.")
        name = file_address_to_path(name)
        if is_object(name):
            found.append(name)
            continue
        # Lists come from Windows, too.
        place = path.parent / name
        found.append(str(place if os.path.lexists(place) else path.parent / name.replace("\\", "/")))
    if not found:
        raise OptionsError(f"{sanitize(path)}: names no video.")
    return list(dict.fromkeys(found))


def find_videos(rows: Sequence[Row], name: str, sources: Mapping[str, str]) -> dict[int, str | None]:
    """Which video each row of a list is about, by the row's line; None: no video of `sources`.

    Args:
        rows: of the list.
        name: of the list, for messages.
        sources: as of `read_sessions`.

    Raises:
        OptionsError: a row names several videos.
    """
    known = _Sources.of(sources)
    return {row.line: known.find(row.values["video"], f"{name}: line {row.line}") for row in rows}


def _session(path: Path, row: Row) -> SessionRow:
    where, participant = f"{path}: line {row.line}", row.values.get("participant") or None
    try:
        region = _name_region(split_regions(row.values.get(REGION, "")), participant)
    except OptionsError as error:
        raise OptionsError(f"{where}: {error}") from error
    start_s, end_s = parse_stretch(row.values, where)
    return SessionRow(
        participant=participant,
        stimulus=row.values.get("stimulus") or None,
        offset_s=parse_offset(row.values, where),
        start_s=start_s,
        end_s=end_s,
        part=parse_part(row.values, where),
        markers=row.values.get("markers") or None,
        values=row.values,
        region=region,
    )


def _check_part(path: Path, row: Row, session: SessionRow, others: Iterable[SessionRow]) -> None:
    """Refuse one part of a participant for two videos."""
    key = session.participant, session.stimulus, session.part
    if session.part and any((other.participant, other.stimulus, other.part) == key for other in others):
        raise OptionsError(
            f"{path}: line {row.line}: part {session.part} of {sanitize(session.participant)} is listed twice. "
            "Number the files in their order."
        )


def _name_region(region: tuple[str, ...], participant: str | None) -> tuple[str, ...]:
    """A row's only region shows its participant, unless the region has a name of its own."""
    if participant is None or len(region) != 1 or region == (AUTO,) or Region.parse(region[0]).name:
        return region
    named = Region.parse(f"{participant}={region[0]}")
    return (str(named),)


def _check_sharing(path: Path, row: Row, sessions: Sequence[SessionRow]) -> None:
    """Refuse rows of one video that contradict each other.

    Raises:
        OptionsError: they do.
    """
    if len(sessions) == 1:
        return
    where, video = f"{path}: line {row.line}", sanitize(row.values["video"])
    if not all(session.participant and session.region for session in sessions):
        raise OptionsError(
            f"{where}: {video} is listed twice, with different values. Keep one of the rows; participants who share a "
            "video need a participant and a region in each row."
        )
    same = ("stimulus", "offset_s", "start", "end", "markers", "recording_start")
    if differing := [name for name in same if len({one.values.get(name, "") for one in sessions}) > 1]:
        raise OptionsError(
            f"{where}: {video} has rows of several participants, and their {differing[0]} differs. Give the same in "
            "each."
        )
    try:
        parse_regions(tuple(text for session in sessions for text in session.region))
    except OptionsError as error:
        raise OptionsError(f"{where}: {error}") from error


def _join(sessions: Sequence[SessionRow]) -> SessionRow:
    if len(sessions) == 1:
        return sessions[0]
    region = tuple(text for session in sessions for text in session.region)
    return replace(sessions[0], participant=None, region=region, shared=tuple(sessions))


def read_regions(path: Path, sources: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Parts of the picture to analyse of the videos that a list names.

    Args:
        path: the list.
        sources: as of `read_sessions`.

    Returns:
        By video id; an empty tuple where the cell is empty. Nothing of a list without that column, or of one that is
        no table.

    Raises:
        OptionsError: as `read_sessions`, if the list has that column.
    """
    try:
        rows = read_rows(path, required=("video",))
    except OptionsError:
        return {}
    if not rows or REGION not in rows[0].values:
        return {}
    return {video_id: row.region for video_id, row in read_sessions(path, sources).rows.items()}


@dataclass(frozen=True, slots=True)
class _Sources:
    """The videos of a folder, by what a row may call them; a list has thousands of rows, and a folder of videos."""

    ids: Set[str]
    by_name: Mapping[str, list[tuple[list[str], str]]]
    """Parts of the path, and id, by file name."""
    by_stem: Mapping[str, list[str]]

    @classmethod
    def of(cls, sources: Mapping[str, str]) -> _Sources:
        by_name: dict[str, list[tuple[list[str], str]]] = {}
        by_stem: dict[str, list[str]] = {}
        for video_id, source in sources.items():
            parts = _parts(source)
            by_name.setdefault(parts[-1] if parts else "", []).append((parts, video_id))
            by_stem.setdefault(PurePosixPath(_normalize(source)).stem, []).append(video_id)
        return cls(sources.keys(), by_name, by_stem)

    def find(self, name: str, where: str) -> str | None:
        """Id of the video that a row names; None if there is no such video.

        Raises:
            OptionsError: it names several.
        """
        # Lists come from Windows, too.
        wanted = file_address_to_path(name).replace("\\", "/")
        if wanted in self.ids:
            return wanted
        # The path first: `talk.mp4` names one of `talk.mp4` and `talk.mp4.mkv`, although it is the stem of the other.
        for fitting in (self._with_path(wanted), self.by_stem.get(wanted, []) if wanted else []):
            if len(fitting) > 1:
                raise OptionsError(
                    f"{where}: {sanitize(wanted)} matches {len(fitting)} videos "
                    f"({', '.join(fitting[:3])}{', ...' if len(fitting) > 3 else ''}). Give the video id."
                )
            if fitting:
                return fitting[0]
        return None

    def _with_path(self, wanted: str) -> list[str]:
        """Ids of the videos whose path ends in the given path; names of folders and files are compared as a whole."""
        suffix = _parts(wanted)
        if not suffix:
            return []
        return [
            video_id
            for parts, video_id in self.by_name.get(suffix[-1], [])
            if parts[-len(suffix) :] == suffix
        ]


def _parts(path: str) -> list[str]:
    parts = [part for part in _normalize(path).split("/") if part not in ("", ".")]
    # What follows the last `..` is where the file is: `../videos/a.mp4`.
    last = max((place for place, part in enumerate(parts) if part == ".."), default=-1)
    return parts[last + 1 :]


def _normalize(path: str) -> str:
    return unicodedata.normalize("NFC", path.replace("\\", "/"))


def _values_of(session: SessionRow) -> dict[str, str]:
    # Two rows may name one video in different ways, by its id and by its path.
    return {name: value for name, value in session.values.items() if name != "video"}
