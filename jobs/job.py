"""A job: inputs, output folder and everything that may be chosen about a run, checked before any work starts.

>>> Job.from_toml("job.toml")
>>> Job(inputs=("talk.mp4",), out=Path("out"), workers=4)
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from msgspec import Meta, structs

from ferflow.analytics.stimuli import check_stimulus
from ferflow.analytics.wall_clock import parse_clock
from ferflow.errors import OptionsError
from ferflow.jobs.shard import Shard
from ferflow.options import AnalyzeOptions, Checked, read_toml
from ferflow.store.object_store import file_address_to_path, is_object, parse_address, redact_address
from ferflow.text import is_address, sanitize

EngineName = Literal["local", "ray"]
ENGINES: dict[EngineName, str] = {
    "local": "ferflow.jobs.engines.local",
    "ray": "ferflow.jobs.engines.ray_engine",
}
"""Modules that analyse videos; see `engines.protocol.Engine`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """What to add to videos."""

    markers: Path | None = None
    """One file for all videos; None: `<stem>.markers.csv` or the like next to each video, if there is one."""
    chapters: bool = False
    """Read the chapters of a video (MP4, Matroska) as markers, where there is no file of markers."""
    markers_offset: str | None = None
    """Clock of files of markers against that of the video, as `exchange.file_clock` reads it; None: as the session
    list says, else as given before."""
    speech: Path | None = None
    """One transcript for all videos; None: `<stem>.vtt` or `<stem>.srt` next to each video, if there is one."""
    signals: Path | None = None
    """One file for all videos; None: `<stem>.signals.csv` or `.jsonl` next to each video, if there is one."""
    signals_start: datetime | None = None
    """When the first frame of each video was recorded; None: as the session list or the video file says."""
    sessions: Path | None = None
    """The session list; None: that of the pages."""
    rest: tuple[str, ...] | None = None
    """Stretches in which people are at rest, as `analytics.markers.parse_rest` reads them, in all videos; None: those
    given before."""
    embed_clips: bool = False
    """Cut clips around the peaks."""


class Job(Checked, frozen=True, kw_only=True):
    """The request of a run."""

    inputs: tuple[str, ...]
    """Files, folders (recursive), globs and addresses of stores."""
    out: Path
    """The output folder, created if needed; or the address of one in a store."""
    manifest: Path | None = None
    """A session list (CSV, JSON Lines or Parquet) whose videos are inputs, too; the session list of the run, unless
    `sessions` names another."""
    shard: Shard | None = None
    """Analyse this part of the inputs only; other processes analyse the others, and `jobs.merge` joins them."""
    options: AnalyzeOptions = AnalyzeOptions()
    """How videos are analysed."""

    overwrite: bool = False
    """Replace results of other options, of another model, or of another content of the same file, and analyse finished
    videos again."""
    pages: bool = True
    """Write the HTML reports."""
    markers: Path | None = None
    """One file of markers for all videos; None: `<stem>.markers.csv` or the like next to each video, if it exists."""
    chapters: bool = False
    """Read the chapters of each video (MP4, Matroska) as markers, where there is no file of markers."""
    markers_offset: str | None = None
    """Seconds that are added to times of files of markers, or two points `FILE=VIDEO,FILE=VIDEO`; None: as the session
    list says, else as given before."""
    speech: Path | None = None
    """One transcript for all videos; None: `<stem>.vtt` or `<stem>.srt` next to each video, if there is one."""
    signals: Path | None = None
    """One file of signals for all videos; None: `<stem>.signals.csv` or `.jsonl` next to each video, if it exists."""
    signals_start: datetime | None = None
    """When the first frame of the videos was recorded, for signals with times of day; None: as the session list or the
    video files say."""
    sessions: Path | None = None
    """The session list; None: that of the last report, else `sessions.csv` in the output folder."""
    corrections: Path | None = None
    """The list of corrections; None: that of the last report, else `corrections.csv` in the output folder."""
    title: str | None = None
    """Title of the report; None: as in the last one."""
    logo: Path | None = None
    """Its logo, a picture; None: as in the last one."""
    rest: tuple[str, ...] | None = None
    """Stretches in which people are at rest, such as `0:00-0:10` or `Ada=0:00-0:10`, for calibration; the same in all
    videos; empty, or `none` in a job file: none. None: those given before."""
    embed_clips: bool = False
    """Cut short clips around the peaks, for the reports."""
    stimulus: str | None = None
    """What the people in all inputs watched or did: a video file, or any text. Stored in the output folder; None: as
    stored before, empty: none. A session list may say it for each video."""
    engine: EngineName = "local"
    """`local`, or `ray` for several machines."""
    address: str | None = None
    """Of the Ray cluster: `HOST:PORT` of its head, or `auto`; None: as RAY_ADDRESS says, else Ray is started here."""
    workers: Annotated[int, Meta(ge=0)] | None = None
    """Processes that analyse videos in parallel; 0: this one; None: by CPUs and memory, of all machines with Ray. 1 on
    a GPU is this one, unless Ray runs it."""
    retries: Annotated[int, Meta(ge=0)] = 1
    """Retries of a video after a transient failure."""
    segment: Annotated[float, Meta(ge=0.05, le=100_000)] | None = None
    """Split long videos into segments of about this many minutes, which are analysed in parallel; results are those of
    the whole video. None: each video is one task."""
    fail_fast: bool = False
    """Start no further video after one has failed."""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            OptionsError: naming the option, the bound and the value.
        """
        super().__post_init__()
        check_output_path(self.out)
        if is_object(self.out):
            self._check_store()
        if self.shard is not None and self.overwrite:
            raise OptionsError(
                "overwrite does not go with a shard, which may run twice: use another -o, or overwrite without shards."
            )
        if self.engine == "ray" and self.workers == 0:
            raise OptionsError(
                "workers 0 is this process, and engine ray has its own: give 1 or more, or leave it out."
            )
        if self.address is not None:
            if self.engine != "ray":
                raise OptionsError("address is that of a Ray cluster and needs engine ray.")
            check_cluster_address(self.address)
        if self.segment is not None:
            check_segments(self.options)
        if self.stimulus is not None:
            structs.force_setattr(self, "stimulus", check_stimulus(self.stimulus))

    def _check_store(self) -> None:
        """Refuse what an output folder in a store cannot have."""
        parse_address(self.out)
        if self.overwrite:
            raise OptionsError("overwrite does not go with an output folder in a store: use another -o.")
        if self.engine == "ray" and self.segment is not None:
            raise OptionsError(
                "segment does not go with engine ray and an output folder in a store: segments need a shared disk."
            )

    def on_this_machine(self) -> Self:
        """The same job for the engine without a cluster."""
        return structs.replace(self, engine="local", address=None)

    @property
    def uses_store(self) -> bool:
        """Whether inputs or results are in an object store, as far as the request says without reading a list."""
        return is_object(self.out) or any(map(is_object, self.inputs))

    @property
    def session_list(self) -> Path | None:
        """The session list that is given for this run; None: that of the output folder."""
        return self.sessions or self.manifest

    @property
    def additions(self) -> Additions:
        """What to add to the videos."""
        return Additions(
            markers=self.markers,
            chapters=self.chapters,
            markers_offset=self.markers_offset,
            speech=self.speech,
            signals=self.signals,
            signals_start=self.signals_start,
            sessions=self.session_list,
            rest=self.rest,
            embed_clips=self.embed_clips,
        )

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a job file: the fields of a job and the options of AnalyzeOptions, all at the top level.

        Relative paths start at the current folder, as on the command line.

        Raises:
            OptionsError: unreadable file, missing or unknown key, wrong type or value.
        """
        table = read_toml(Path(path))
        own = {name: table.pop(name) for name in _KEYS if name in table}
        if "out" not in own or not {"inputs", "manifest"} & own.keys():
            missing = "out" if "out" not in own else "inputs"
            raise OptionsError(
                f"{path}: {missing} is missing. A job file must have the keys inputs (or manifest) and out."
            )
        if unknown := sorted(set(table) - set(AnalyzeOptions.__struct_fields__)):
            known = sorted((*_KEYS, *AnalyzeOptions.__struct_fields__))
            raise OptionsError(f"{path}: unknown option {unknown[0][:40]!r}; known are {', '.join(known)}")
        try:
            return cls(inputs=(), out=Path()).updated(**own, options=AnalyzeOptions().updated(**table))
        except OptionsError as error:
            raise OptionsError(f"{path}: {error}") from error

    @classmethod
    def _parse(cls, name: str, value: object) -> object:
        if name == "signals_start" and isinstance(value, str):
            return parse_clock(value)
        if name == "shard" and isinstance(value, str):
            return Shard.parse(value)
        paths = ("out", "manifest", "markers", "speech", "signals", "sessions", "corrections", "logo")
        if name in paths and isinstance(value, str):
            if not value:  # an unset variable of a template must not mean the current folder
                raise OptionsError(f"{name} must be a path, got ''")
            return Path(file_address_to_path(value))
        if name == "rest" and isinstance(value, (str, list)):
            return parse_rest_values([value] if isinstance(value, str) else value)
        return (value,) if name == "inputs" and isinstance(value, str) else value


def check_output_path(out: Path) -> None:
    """Refuse an address of no store: as a path, `ftp://host` would become a folder `ftp:` here.

    Raises:
        OptionsError: it is one.
    """
    if is_address(out) and not is_object(out) and not os.path.lexists(out):
        raise OptionsError(
            f"out must be a folder or an address of s3://, gs:// or az://, got the address {redact_address(out)}. "
            "Write to a folder and copy it, or mount the storage."
        )


def check_segments(options: AnalyzeOptions) -> None:
    """Refuse options whose results depend on who is who while frames are read.

    Raises:
        OptionsError: naming the option.
    """
    if options.detect_stride > 1:
        raise OptionsError(
            "segment does not go with detect every:N, whose faces follow from tracks: use detect auto or full."
        )
    if options.stitch == "face":
        raise OptionsError(
            "segment does not go with stitch face, which chooses faces by tracks: use stitch colour or off."
        )


def check_cluster_address(address: str) -> None:
    """Refuse what is no address of a cluster that this machine is a part of.

    Raises:
        OptionsError: neither `auto` nor a host and a port.
    """
    if address != "auto" and not _HOST_AND_PORT.fullmatch(address):
        raise OptionsError(
            f"address {sanitize(address)[:60]!r}: give HOST:PORT of the head of a Ray cluster, or auto, on a machine "
            "of the cluster."
        )


def parse_rest_values(values: Sequence[str]) -> tuple[str, ...]:
    """The stretches at rest that a user gives; `none` as the only one: no stretches."""
    return () if list(values) == ["none"] else tuple(values)


_HOST_AND_PORT = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}", re.ASCII)

_KEYS = tuple(name for name in Job.__struct_fields__ if name != "options")
"""Keys of a job file that are not options of the analysis."""
