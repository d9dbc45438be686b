"""Pages made again, those only whose inputs changed.

`.pages.json` keeps, for each page, a digest of all that it was made from: size and time of the tables,
the lists of people and sessions, the options, and the code of this room itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

from ferflow import __version__
from ferflow.errors import FerflowError, OptionsError
from ferflow.files import whole_file
from ferflow.options import AnalyzeOptions
from ferflow.people import NAME as PEOPLE_NAME
from ferflow.people import People, PeopleFile, read_people
from ferflow.records import RecordPaths, finished_videos, read_metadata
from ferflow.sessions import NAME as SESSIONS_NAME
from ferflow.tasks import write_timeline

from .folder import load_folder
from .index import write_folder
from .page import ensure_assets, write_session_report
from .settings import PageOptions

FORMAT = 1
INDEX = "index.html"

_ROOM = Path(__file__).parent


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


@dataclass(slots=True)
class Status:
    """Contents of `.pages.json`."""

    options: PageOptions = field(default_factory=PageOptions)
    """Those of the last time."""
    pages: dict[str, str] = field(default_factory=dict)
    """Digest of a page's inputs, by its path in the folder."""
    warnings: tuple[str, ...] = ()
    """What the overview says of the lists."""

    @classmethod
    def load(cls, out: Path) -> Self:
        """Read it back; one that is not there or not understood makes every page new."""
        try:
            content = json.loads(_status_path(out).read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                return cls()
            pages = {str(page): str(digest) for page, digest in content["pages"].items()}
            warnings = tuple(str(warning) for warning in content["warnings"])
            return cls(PageOptions.from_dict(content["options"]), pages, warnings)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def save(self, out: Path) -> None:
        """Write it under its name only once it is whole."""
        content = {
            "format": FORMAT,
            "options": self.options.as_dict(),
            "pages": self.pages,
            "warnings": self.warnings,
        }
        with whole_file(_status_path(out)) as part:
            part.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")

    def is_fresh(self, out: Path, page: str, digest: str) -> bool:
        """Whether a page is there and was made from the same."""
        return self.pages.get(page) == digest and (out / page).exists()


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
    status.options = options or status.options
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
    try:
        (written if _index(out, status, forgiving) else kept).append(out / INDEX)
    finally:
        status.save(out)
    return Refreshed(tuple(written), tuple(kept), failed, status.warnings)


def refresh_session(out: Path, video_id: str) -> Path:
    """Make the page of one video, unless it is up to date, as the last time.

    Raises:
        RecordsError: a table is missing, unreadable, or of another schema version.
    """
    status = Status.load(out)
    if _session(out, video_id, _people(out, forgiving=True).of(video_id), status):
        status.save(out)
    return RecordPaths(out, video_id).report


def _session(out: Path, video_id: str, people: People, status: Status) -> bool:
    """Whether the page had to be made."""
    paths = RecordPaths(out, video_id)
    if not paths.timeline.exists():
        options = read_metadata(paths.faces)["options"]
        write_timeline(paths, AnalyzeOptions().updated(bin_seconds=options["bin_seconds"]))
    page = paths.report.relative_to(out).as_posix()
    digest = _session_digest(out, paths, people, status.options)
    if status.is_fresh(out, page, digest):
        ensure_assets(out)
        return False
    status.pages.pop(page, None)
    write_session_report(out, video_id, people.keyed(), theme=status.options.theme)
    status.pages[page] = digest
    return True


def _index(out: Path, status: Status, forgiving: bool) -> bool:
    """Whether the overview had to be made."""
    digest = _index_digest(out, status.options, forgiving)
    if status.is_fresh(out, INDEX, digest):
        return False
    status.pages.pop(INDEX, None)
    folder = load_folder(out, status.options, forgiving=forgiving)
    write_folder(out, folder, status.options)
    status.pages[INDEX], status.warnings = digest, folder.warnings
    return True


def _people(out: Path, forgiving: bool) -> PeopleFile:
    try:
        return read_people(out)
    except OptionsError:
        if not forgiving:
            raise
        return PeopleFile()


def _status_path(out: Path) -> Path:
    return out / ".pages.json"


# --- What a page is made from ---------------------------------------------------------------------------


def _session_digest(out: Path, paths: RecordPaths, people: People, options: PageOptions) -> str:
    markers = out / "markers" / f"{paths.video_id}.parquet"
    source = read_metadata(paths.faces).get("source", {}).get("path")
    return _digest(
        _traits([paths.frames, paths.faces, paths.timeline, markers, *([Path(source)] if source else [])]),
        sorted(people.names.items()), options.theme,
    )  # fmt: skip


def _index_digest(out: Path, options: PageOptions, forgiving: bool) -> str:
    videos = [RecordPaths(out, video_id) for video_id in finished_videos(out)]
    lists = [out / "run.json", out / PEOPLE_NAME, options.sessions or out / SESSIONS_NAME]
    return _digest(
        _traits([path for paths in videos for path in (paths.faces, paths.timeline)]),
        [paths.report.exists() for paths in videos], [_content(path) for path in lists], options.as_dict(), forgiving,
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
    """Digest of the code of this room: a newer ferflow of the same version makes every page new."""
    files = sorted([*_ROOM.glob("*.py"), *(_ROOM / "templates").iterdir()])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files if path.is_file())).hexdigest()
