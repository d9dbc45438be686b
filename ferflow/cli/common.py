"""What several commands share: options that mean the same everywhere, logging, one way to run a job and exit."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from ferflow.analytics.wall_clock import parse_clock
from ferflow.cli.interrupt import SignalWait, interruptible
from ferflow.cli.printing import LineFormatter, echo
from ferflow.errors import EXIT_INTERRUPTED, FerflowError, OptionsError
from ferflow.jobs.job import EngineName, Job, parse_rest_values
from ferflow.options import AnalyzeOptions, RotateName
from ferflow.store.object_store import (
    file_address_to_path,
    is_object,
    parse_address,
    redact_address,
    source_text,
)
from ferflow.text import is_address, sanitize

if TYPE_CHECKING:
    from ferflow.jobs.run_events import WatchEvent
    from ferflow.jobs.watch import Watch

_NOTICE = """\
{place} {faces}
An expression is a movement of the face, not proof of a feeling (Barrett et al., 2019). Inform the people you
record and have their consent (GDPR; EU AI Act Art. 50(3)). In the EU, inferring emotions at work or in
education is forbidden, medical and safety reasons aside (AI Act Art. 5(1)(f))."""

DEFAULTS = AnalyzeOptions()


def format_notice(
    *,
    clips: bool,
    thumbnails: bool = False,
    segments: bool = False,
    engine: EngineName = "local",
    uses_store: bool = False,
) -> str:
    """What a user must know before the first run: where data stay, what is stored, and the limits of its use.

    Args:
        clips: whether clips are stored, or were by an earlier command.
        thumbnails: whether pictures of persons are stored.
        segments: whether videos are analysed in segments, whose files have pictures of faces.
        engine: of the run.
        uses_store: whether inputs or results are in an object store.
    """
    stored = [
        *(["Clips around the peaks are stored; they show faces."] if clips else []),
        *(
            ["Pictures of people are stored (ferflow people OUT --forget removes them)."]
            if thumbnails
            else []
        ),
        *(["Small pictures of faces are stored until a video is finished."] if segments else []),
    ]
    place = (
        "ferflow works on this machine only: nothing leaves it."
        if engine == "local"
        else "ferflow works on the machines of your cluster only: nothing leaves them."
    )
    if uses_store:
        machines = "this machine" if engine == "local" else "the machines of your cluster"
        place = f"ferflow works on {machines} and with the stores that you name: nothing goes elsewhere."
    return _NOTICE.format(place=place, faces=" ".join(stored) or "No face image is kept.")


def parse_not_empty(text: str) -> str:
    """An unset shell variable must not mean the current folder."""
    if not text:
        raise typer.BadParameter("empty name")
    return text


def parse_path(text: str) -> Path:
    """A path, which may not be empty, nor an address: as a path, `s3://bucket` would become a folder `s3:` here."""
    return _parse_path(text, stores=False)


def parse_moment(text: str) -> datetime:
    """A date with a time of day."""
    try:
        return parse_clock(text)
    except OptionsError as error:
        raise typer.BadParameter(str(error)) from error


def share_option(help_text: str, metavar: str) -> Any:
    """An option that takes a number from 0 to 1."""
    return typer.Option(help=help_text, metavar=metavar, min=0.0, max=1.0)


def parse_place(text: str) -> Path:
    """As `parse_path`, also an address of an object store."""
    return _parse_path(text, stores=True)


def _parse_path(text: str, *, stores: bool) -> Path:
    text = file_address_to_path(parse_not_empty(text))
    path = Path(text)
    if os.path.lexists(path):
        return (
            path.absolute() if is_object(text) else path
        )  # a local folder `s3:` must not look like an address
    if not is_address(text):
        return path
    if not is_object(text):
        raise typer.BadParameter(
            f"{redact_address(text)} is an address that ferflow does not use: copy it, or mount the storage as a folder"
        )
    try:
        address = parse_address(text)
    except OptionsError as error:
        raise typer.BadParameter(str(error)) from error
    if not stores:
        raise typer.BadParameter(
            f"{sanitize(address)} is an address. Here ferflow reads and writes files only: copy it first, an output "
            "folder with ferflow fetch ADDRESS FOLDER"
        )
    return address.path


Out = Annotated[Path, typer.Option("--out", "-o", parser=parse_path, metavar="FOLDER", help="Output folder.")]
Model = Annotated[
    str,
    typer.Option(
        help="Model: a name (see ferflow models), a card, or the folder of a training run.",
        metavar="NAME|PATH",
    ),
]
Stream = Annotated[
    int | None,
    typer.Option(
        help="Number of the video stream to analyse, as ffprobe and warnings count them.  [default: the default "
        "stream, then the largest; no previews]",
        metavar="N",
    ),
]
Rotate = Annotated[
    RotateName | None,
    typer.Option(
        help="Turn the stored picture by these degrees clockwise, whatever the file says; file: as the file says; "
        f"auto: as the file says, unless faces say otherwise.  [default: {DEFAULTS.rotate}]"
    ),
]
Markers = Annotated[
    Path | None,
    typer.Option(
        help="Events for the pages: CSV in seconds of video time (time_s,label[,end_s][,kind]), or a file of ELAN, "
        "BORIS, PsychoPy, OBS, LabRecorder (XDF) and others, recognised by its content. One file for all videos.  "
        "[default: STEM.markers.csv, .tsv, .txt, .eaf, .xdf or .log next to each video, if it exists]",
        metavar="FILE",
    ),
]
Chapters = Annotated[
    bool,
    typer.Option(
        "--chapters",
        help="Read the chapters of each video (MP4, Matroska; OBS writes them) as markers, where there is no file of "
        "markers.",
    ),
]
MarkersOffset = Annotated[
    str | None,
    typer.Option(
        help="Seconds to add to the times of files of markers, or two points that also correct a drift: "
        "FILE=VIDEO,FILE=VIDEO, such as 10=12.5,610=613.1.  [default: the column markers_offset of the session list, "
        "else as given before, else 0]",
        metavar="SECONDS|POINTS",
    ),
]
Speech = Annotated[
    Path | None,
    typer.Option(
        help="Transcript, WebVTT or SubRip, for a lane on the page of what is said. One file for all videos.  "
        "[default: STEM.vtt or .srt next to each video, if it exists]",
        metavar="FILE",
    ),
]
Signals = Annotated[
    Path | None,
    typer.Option(
        help="CSV or JSONL of continuous values for the pages, such as health, score or heart rate: a column time_s "
        "(seconds of video time) or timestamp (time of day), and a column of numbers per signal; or name,value. One "
        "file for all videos.  [default: STEM.signals.csv or .jsonl next to each video, if it exists]",
        metavar="FILE",
    ),
]
SignalsStart = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_moment,
        help="When the first frame of the videos was recorded, for signals with times of day: ISO 8601, such as "
        "2024-05-12T10:00:01+02:00; without a zone, local time.  [default: the column recording_start of the session "
        "list, else the creation time in the video file]",
        metavar="TIME",
    ),
]
RestStretches = Annotated[
    list[str] | None,
    typer.Option(
        "--rest",
        help="Stretch in which people are at rest, for calibration: 0:00-0:10 for everybody in view, NAME=0:00-0:10 "
        "for one person; may be repeated; none forgets those given before.  [default: as given before; else none]",
        metavar="START-END",
    ),
]
Corrections = Annotated[
    Path | None,
    typer.Option(
        help="List of corrections: CSV with the columns video_id,action,start,end,person,value,note, in place of "
        "OUT/corrections.csv.  [default: as in the last report; else OUT/corrections.csv]",
        metavar="FILE.csv",
    ),
]
Title = Annotated[
    str | None,
    typer.Option(
        help="Title of the report, on every page.  [default: as in the last report]", metavar="TEXT"
    ),
]
Logo = Annotated[
    Path | None,
    typer.Option(
        help="Logo, on every page: PNG, JPEG or SVG, at most 512 KiB. Pages contain a copy.  [default: as in the "
        "last report]",
        metavar="FILE",
    ),
]
EmbedClips = Annotated[
    bool,
    typer.Option(
        "--embed-clips", help="Store short video clips around the peaks with the pages; they show faces."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Number of videos analysed in parallel, each in a process of its own; 0: in this process, where a crash "
        "of a decoder ends the run. On a GPU, 1 is this process, too.  [default: by CPUs and memory]",
        min=0,
        metavar="N",
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        help="Number of retries of a video after a transient failure (killed worker, network share).",
        min=0,
        metavar="N",
    ),
]
FailFast = Annotated[
    bool,
    typer.Option(
        "--fail-fast", help="Stop the run at the first input that fails; videos in progress are abandoned."
    ),
]
NoReport = Annotated[
    bool, typer.Option("--no-report", help="Write no HTML pages; remove those that would be outdated.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Analyse the given inputs again and replace their results.")
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print what would be analysed or skipped, how long it would take and how much it would write, and write "
        "nothing.",
    ),
]
WatchInputs = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Keep running: look for new and changed files again and again, and analyse each when it is complete, "
        "until Ctrl+C or SIGTERM.",
    ),
]
MOST_SECONDS_BETWEEN_LOOKS = 86_400
WatchEvery = Annotated[
    float | None,
    typer.Option(
        help="With --watch, seconds between two looks. A file is complete when it did not change between two looks and "
        "no program has it open for writing.  [default: 30]",
        min=0.1,
        max=MOST_SECONDS_BETWEEN_LOOKS,
        metavar="SECONDS",
    ),
]
WatchUntilIdle = Annotated[
    float | None,
    typer.Option(
        help="With --watch, end when no input has changed for this time.  [default: never]",
        min=0,
        metavar="MINUTES",
    ),
]
Progress = Annotated[
    Literal["bars", "json"],
    typer.Option(help="Progress on stderr: bars for people, or one line of JSON per event for programs."),
]
LogFile = Annotated[
    Path | None, typer.Option(help="Append a log with tracebacks to this file.", metavar="FILE")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Verbose output with tracebacks.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


def parse_rest_stretches(values: list[str] | None) -> tuple[str, ...] | None:
    """The stretches of `--rest`; None if the option is not given."""
    return parse_rest_values(values) if values else None


def parse_watch(
    *, is_given: bool, every_s: float | None, until_idle_min: float | None, dry_run: bool
) -> Watch | None:
    """How inputs are watched; None: not at all.

    Raises:
        OptionsError: options of `--watch` without it, or with a dry run.
    """
    if not is_given:
        if every_s is not None or until_idle_min is not None:
            raise OptionsError("--watch-every and --watch-until-idle need --watch")
        return None
    if dry_run:
        raise OptionsError("--watch and --dry-run cannot be combined: give one of them")
    from ferflow.jobs.watch import Watch

    idle_s = None if until_idle_min is None else until_idle_min * 60
    return Watch(until_idle_s=idle_s) if every_s is None else Watch(every_s=every_s, until_idle_s=idle_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a command prints."""

    verbose: bool = False
    quiet: bool = False
    as_json: bool = False
    """Events on stderr, for programs, in place of bars and lines for people."""
    log_file: Path | None = None


def run_and_exit(job: Job, output: Output, watch: Watch | None = None) -> NoReturn:
    """Carry out a job, once or while its inputs are watched, report how it went, and exit."""
    _start_worker_in_advance(job)
    if output.as_json:
        _run_for_programs(job, output, watch)
    _run_for_people(job, output, watch)


def _events(job: Job, watch: Watch | None) -> Generator[WatchEvent, None, None]:
    if watch is None:
        from ferflow.jobs.run import run_events

        return run_events(job)
    from ferflow.jobs.watch import watch_events

    wait = SignalWait()
    return watch_events(job, watch, wait=wait, look=wait.look, working=wait.working)


def _start_worker_in_advance(job: Job) -> None:
    """Let the first worker load its libraries while this process loads its own, where there is work for it."""
    from ferflow.jobs.engines.worker_start import start_in_advance
    from ferflow.system.runtime import may_use_gpu

    # What is in an existing folder may be all there is to do.
    if job.engine == "local" and job.workers != 0 and not may_use_gpu(job.options) and not job.out.exists():
        start_in_advance()


def _run_for_people(job: Job, output: Output, watch: Watch | None) -> NoReturn:
    from ferflow.jobs.progress import Bars, format_summary, log_event
    from ferflow.jobs.run import follow
    from ferflow.store.output_folder import OutputFolder

    log_to_stderr(output)
    folder = OutputFolder(job.out)
    # Once per output folder: a user who continues a run has read it, except for faces that are stored from now on.
    shows_faces_now = job.embed_clips and not folder.has_clips
    if not output.quiet and (shows_faces_now or not folder.manifest.exists()):
        clips, thumbnails = job.embed_clips or folder.has_clips, folder.has_thumbnails
        notice = format_notice(
            clips=clips,
            thumbnails=thumbnails,
            segments=job.segment is not None,
            engine=job.engine,
            uses_store=job.uses_store,
        )
        echo(*notice.split("\n"), err=True)
    with (
        interruptible(show=print_message, clean_up=_find_clean_up(job)),
        Bars(quiet=output.quiet) as bars,
    ):
        report = follow(_events(job, watch), bars.show, log_event)
    if not output.quiet:
        echo(*format_summary(report.videos).split("\n"))
        # If every input failed, there are no tables.
        data = [str(path) for path in (*folder.tables, folder.manifest) if path.exists()]
        if data:
            echo(f"Data: {'  '.join(data)}")
        if job.shard is not None:
            echo(f"When every shard has ended: ferflow merge {shlex.quote(source_text(job.out))}")
        elif is_object(job.out) and any(video.status != "failed" for video in report.videos):
            echo(
                f"Results: {source_text(job.out)}",
                f"To look at them: ferflow fetch {source_text(job.out)} FOLDER",
            )
        elif job.pages and folder.index.exists():
            echo(f"Report: {folder.index}")
    sys.exit(report.exit_code)


def _find_clean_up(job: Job) -> Callable[[], object]:
    """The function that removes incomplete files when a run has to end at once.

    It does nothing for a shard, whose folder may hold incomplete files of other processes.
    """
    from ferflow.store.output_folder import OutputFolder

    return OutputFolder(job.out).remove_leftovers if job.shard is None else lambda: None


def _run_for_programs(job: Job, output: Output, watch: Watch | None) -> NoReturn:
    from ferflow.jobs.progress import JsonLines, log_event
    from ferflow.jobs.run import follow

    lines = JsonLines(sys.stderr)
    log_to_stderr(output, lines)
    with reporting_failures(lines.show_failure, clean_up=_find_clean_up(job)):
        report = follow(_events(job, watch), lines.show, log_event)
    sys.exit(report.exit_code)


@contextmanager
def reporting_failures(show: Callable[[int, str], None], *, clean_up: Callable[[], object]) -> Iterator[None]:
    """For programs: after an error or a signal, report message and exit code, and exit.

    Args:
        show: writes exit code and message for the program.
        clean_up: as of `interruptible`.
    """
    with interruptible(show=partial(show, EXIT_INTERRUPTED), clean_up=clean_up):
        try:
            yield
        except FerflowError as error:
            show(error.exit_code, str(error))
            sys.exit(error.exit_code)
        except Exception as error:
            logging.getLogger("ferflow").debug("unexpected error", exc_info=error)
            show(FerflowError.exit_code, f"unexpected {type(error).__name__}: {error}")
            sys.exit(FerflowError.exit_code)


def print_message(message: str) -> None:
    """Print one line on stderr."""
    echo(f"ferflow: {message}", err=True)


def log_to_stderr(output: Output, handler: logging.Handler | None = None) -> None:
    """Send warnings to stderr, or to the handler given, and everything to the log file, if there is one.

    Raises:
        OptionsError: the log file cannot be written.
    """
    if handler is None:
        handler = logging.StreamHandler()
        handler.setFormatter(LineFormatter("ferflow: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    level = logging.DEBUG if output.verbose else logging.ERROR if output.quiet else logging.WARNING
    handler.setLevel(level)
    logger = logging.getLogger("ferflow")
    logger.setLevel(level)
    if output.log_file is not None:
        logger.addHandler(_open_log_file(output.log_file))
        logger.setLevel(logging.DEBUG)  # the handler of stderr keeps a level of its own


class _LogFile(logging.FileHandler):
    """A log that costs nothing but itself where it cannot be written, as on a full disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._has_failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Say it once; logging itself prints a traceback for each record."""
        error = sys.exc_info()[1]
        if not self._has_failed:
            self._has_failed = True
            reason = getattr(error, "strerror", None) or type(error).__name__
            print_message(f"log file {self.baseFilename}: incomplete, it cannot be written ({reason}).")

    def close(self) -> None:
        """See `logging.Handler`."""
        with suppress(OSError):  # what could not be written is tried again here
            super().close()


def _open_log_file(path: Path) -> logging.Handler:
    try:
        handler = _LogFile(path)
    except OSError as error:
        raise OptionsError(f"log file {path}: cannot be written ({error.strerror}).") from error
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler
