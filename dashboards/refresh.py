"""Pages made again, those only whose inputs changed.

`.pages/` keeps, for each page in a file of its own, a digest of all that it was made from: size and time of the
tables, the lists of people and sessions, the options, and ferflow's own code. Workers that write pages side by side
so never write the same file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import ferflow
from ferflow.analytics.person_names import NAME as PEOPLE_NAME
from ferflow.analytics.person_names import PeopleList, PersonNames, read_people
from ferflow.analytics.session_list import NAME as SESSIONS_NAME
from ferflow.analytics.timeline import complete_timeline
from ferflow.dashboards.overview.index import write_folder
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.dashboards.session_report.page import write_session_report
from ferflow.dashboards.shared.page import ensure_assets
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.errors import FerflowError, OptionsError
from ferflow.store.atomic_files import whole_file
from ferflow.store.metadata import read_metadata
from ferflow.store.records import RecordPaths, finished_videos
from ferflow.version import __version__

INDEX = "index.html"

_ROOM = Path(__file__).parent
_SOURCES = {".py", ".j2", ".js", ".css"}


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of the pages of a folder."""

    written: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()
    """They say what they would say if they were made again."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by video id."""
    warnings: tuple[str, ...] = ()
    """What is odd about the lists of people and sessions."""


@dataclass(frozen=True, slots=True)
class Status:
    """What `.pages/` says of an output folder."""

    out: Path
    options: PageOptions = field(default_factory=PageOptions)
    """Those of the last time."""
    warnings: tuple[str, ...] = ()
    """What the overview says of the lists."""

    @classmethod
    def load(cls, out: Path) -> Self:
        """Read it back; one that is not there or not understood makes every page new."""
        try:
            content = json.loads(_status_path(out, "options").read_text(encoding="utf-8"))
            warnings = tuple(str(warning) for warning in content["warnings"])
            return cls(out, PageOptions.from_dict(content["options"]), warnings)
        except (OSError, ValueError, KeyError, TypeError):
            return cls(out)

    def save(self) -> None:
        """Keep the options and warnings for the next time."""
        content = {"options": self.options.as_dict(), "warnings": self.warnings}
        _write(_status_path(self.out, "options"), json.dumps(content, indent=1, sort_keys=True))

    def is_fresh(self, page: Path, digest: str) -> bool:
        """Whether a page is there and was made from the same."""
        try:
            return page.exists() and _status_path(self.out, page.name).read_text(encoding="utf-8") == digest
        except (OSError, ValueError):
            return False

    def forget(self, page: Path) -> None:
        """A page is about to be written: until that is done it is not fresh."""
        _status_path(self.out, page.name).unlink(missing_ok=True)

    def note(self, page: Path, digest: str) -> None:
        """A page was made from this."""
        _write(_status_path(self.out, page.name), digest)


def refresh(out: Path, options: PageOptions | None = None, *, forgiving: bool = False) -> Refreshed:
    """Make every page of a folder that is not up to date; a video without a timeline gets it first.

    Args:
        out: the output folder.
        options: how; None: as the last time.
        forgiving: a list of people or sessions that cannot be read is told of on the overview and left out.

    Returns:
        What became of each page; what is wrong with one video's tables is in there, not raised.

    Raises:
        OptionsError: a list cannot be read, or lacks a column.
        RecordsError: `run.json` cannot be read.
    """
    status = Status.load(out)
    status = replace(status, options=options or status.options)
    people = _people(out, forgiving)
    written, kept, failed = list[Path](), list[Path](), dict[str, str]()
    for video_id in finished_videos(out):
        path = RecordPaths(out, video_id).report
        try:
            made = _session(out, video_id, people.of(video_id), status)
        except FerflowError as error:
            failed[video_id] = str(error)
        else:
            (written if made else kept).append(path)
    warnings = _index(out, status, forgiving)
    (kept if warnings is None else written).append(out / INDEX)
    status = status if warnings is None else replace(status, warnings=warnings)
    status.save()
    return Refreshed(tuple(written), tuple(kept), failed, status.warnings)


def last_options(out: Path) -> PageOptions:
    """How the pages of a folder were made the last time; the defaults, if that is not known."""
    return Status.load(out).options


def refresh_session(out: Path, video_id: str) -> Path:
    """Make the page of one video, unless it is up to date, as the last time.

    Raises:
        RecordsError: a table is missing, unreadable, or of another schema version.
    """
    status = Status.load(out)
    _session(out, video_id, _people(out, forgiving=True).of(video_id), status)
    return RecordPaths(out, video_id).report


def _session(out: Path, video_id: str, names: PersonNames, status: Status) -> bool:
    """Whether the page had to be made."""
    paths = RecordPaths(out, video_id)
    complete_timeline(paths)
    digest = _session_digest(paths, names, status.options)
    if status.is_fresh(paths.report, digest):
        ensure_assets(out)
        return False
    status.forget(paths.report)
    write_session_report(out, video_id, names, theme=status.options.theme)
    status.note(paths.report, digest)
    return True


def _index(out: Path, status: Status, forgiving: bool) -> tuple[str, ...] | None:
    """What is odd about the lists; None if the overview did not have to be made."""
    page, digest = out / INDEX, _index_digest(out, status.options)
    if status.is_fresh(page, digest):
        return None
    status.forget(page)
    folder = load_folder(out, status.options, forgiving=forgiving)
    write_folder(out, folder, status.options)
    if not folder.left_out:  # who asks for it strictly must be told, not be given the page as it is
        status.note(page, digest)
    return folder.warnings


def _people(out: Path, forgiving: bool) -> PeopleList:
    try:
        return read_people(out)
    except OptionsError:
        if not forgiving:
            raise
        return PeopleList()


def _status_path(out: Path, name: str) -> Path:
    return out / ".pages" / f"{name}.json"


def _write(path: Path, text: str) -> None:
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


# --- What a page is made from ---------------------------------------------------------------------------


def _session_digest(paths: RecordPaths, names: PersonNames, options: PageOptions) -> str:
    beside = [paths.markers, Path(read_metadata(paths.faces).source.path), *sorted(paths.clips.glob("*.mp4"))]
    return _digest(
        _traits([paths.frames, paths.faces, paths.timeline, *beside]),
        sorted(names.by_track.items()), options.theme,
    )  # fmt: skip


def _index_digest(out: Path, options: PageOptions) -> str:
    videos = [RecordPaths(out, video_id) for video_id in finished_videos(out)]
    lists = [out / "run.json", out / PEOPLE_NAME, options.sessions or out / SESSIONS_NAME]
    return _digest(
        _traits([path for paths in videos for path in (paths.faces, paths.timeline)]),
        [paths.report.exists() for paths in videos], [_content(path) for path in lists], options.as_dict(),
    )  # fmt: skip


def _traits(paths: Iterable[Path]) -> list[tuple[str, int, int] | None]:
    """Name, size and time of files; a file written anew has another time."""
    found: list[tuple[str, int, int] | None] = []
    for path in paths:
        try:
            stat = path.stat()
            found.append((path.name, stat.st_size, stat.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


def _content(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _digest(*parts: Any) -> str:
    text = json.dumps([__version__, _code(), *parts], ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _code() -> str:
    """Digest of ferflow's own code: a newer one of the same version makes every page new."""
    rooms = {Path(ferflow.__file__).parent, _ROOM}
    files = sorted({path for room in rooms for path in room.rglob("*") if path.suffix in _SOURCES})
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
