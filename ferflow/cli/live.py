"""`ferflow live`: a camera, a screen, a stream or a pipe, as it comes."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from ferflow.cli.analysis_options import (
    Backend,
    BinSeconds,
    Detector,
    Device,
    ExpressionModel,
    MinFace,
    Participants,
    Score,
    Stitch,
)
from ferflow.cli.common import (
    DEFAULTS,
    LogFile,
    Output,
    Quiet,
    Verbose,
    format_notice,
    log_to_stderr,
    parse_path,
    print_message,
)
from ferflow.cli.extras import check_app_packages
from ferflow.cli.interrupt import exit_now
from ferflow.cli.printing import echo
from ferflow.errors import EXIT_PARTIAL, OptionsError, RecordsError, VideoError

if TYPE_CHECKING:
    from ferflow.app.live_window import LiveWindow
    from ferflow.cli.live_view import View
    from ferflow.jobs.live.lsl import LslOutlet
    from ferflow.jobs.live.session import Live
    from ferflow.jobs.live.stream_analyzer import LiveFrame

_LOOK_S = 0.1
"""How often keys are read while no frame comes."""
_END_KEY = "q"


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where results go besides the terminal; None: not there."""

    lsl: LslOutlet | None
    window: LiveWindow | None


def live(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Number or device of a camera; screen, or screen:N; an address (rtsp, rtmp, http, https); a file, "
            "played in real time; or - for a video on stdin, as ffmpeg pipes it.  [default: 0]",
            show_default=False,
        ),
    ] = "0",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON per analysed frame on stdout, for programs.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            "-o",
            parser=parse_path,
            metavar="FOLDER",
            help="Output folder: write tables and a report as ferflow analyze does. No picture is stored.",
        ),
    ] = None,
    window: Annotated[
        bool,
        typer.Option(
            "--window",
            help="Show the annotated picture in the browser, served on this machine alone (needs ferflow[app]).",
        ),
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(help="End after this time.  [default: when the source ends]", metavar="N")
    ] = None,
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="List the cameras of this machine and exit.")
    ] = False,
    size: Annotated[
        str | None,
        typer.Option(
            help="Size of the pictures of a camera or screen.  [default: 1280x720 where a camera has it]",
            metavar="WxH",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Frames per second of a camera or screen.  [default: 30]", metavar="F"),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            help="Label of the marker that a key sets while the session runs; may be repeated. Any other key sets a "
            "marker with its own name; q ends the session.",
            metavar="KEY=LABEL",
        ),
    ] = None,
    lsl: Annotated[
        bool,
        typer.Option(
            "--lsl",
            help="Publish faces and markers as Lab Streaming Layer streams, which programs in the local network can "
            "read (needs ferflow[lsl]).",
        ),
    ] = False,
    stall: Annotated[
        float, typer.Option(help="Open the source again after this time without a frame.", metavar="SECONDS")
    ] = 5.0,
    give_up: Annotated[
        float, typer.Option(help="End after this time without a source that was there.", metavar="SECONDS")
    ] = 300.0,
    fps: Annotated[
        float | None,
        typer.Option(help="Analyse at most F frames per second.  [default: every frame]", metavar="F"),
    ] = None,
    model: ExpressionModel = None,
    detector: Detector = None,
    min_face: MinFace = None,
    score: Score = None,
    participants: Participants = None,
    stitch: Stitch = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="Analyse a part of the picture only: X,Y,W,H in pixels or percent, or left, bottom-right and the "
            "like; with NAME= in front, one participant. May be repeated.",
            metavar="[NAME=]REGION",
        ),
    ] = None,
    rotate: Annotated[
        Literal["0", "90", "180", "270"] | None,
        typer.Option(help="Turn the picture by these degrees clockwise.  [default: as the source says]"),
    ] = None,
    bin_seconds: BinSeconds = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of the decoder.  [default: up to 4]", metavar="N")
    ] = None,
    device: Device = None,
    backend: Backend = None,
    log_file: LogFile = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Analyse a live picture: a camera, a screen, a stream, a file in real time, or a video on stdin.

    Shows the people in view, their expressions and how fast the analysis runs. The newest frame wins: frames that come
    while another one is analysed are dropped, and counted. A source that is lost is opened again. Nothing is stored
    without --record, and no address is opened but the one that you give.

    Ctrl+C or q ends the session and finishes the recording. Exit code: 0 done, 10 the source was lost for good,
    2 wrong options, 3 the source cannot be read, 4 model or environment, 5 output folder.
    """
    if list_devices:
        _list_devices()
        return
    output = Output(verbose=verbose, quiet=quiet, as_json=as_json, log_file=log_file)
    options = DEFAULTS.updated(
        fps=fps, model=model, detector=detector, min_face=min_face, score=score, participants=participants,
        stitch=stitch, region=tuple(region) if region else None, rotate=rotate, bin_seconds=bin_seconds,
        threads=threads, device=device, backend=backend,
    )  # fmt: skip
    labels = _parse_keys(key or [])
    if window:
        check_app_packages("ferflow live --window")
    from ferflow.jobs.live.capture import Patience
    from ferflow.jobs.live.session import Live
    from ferflow.jobs.live.sources import find_source

    log_to_stderr(output)
    found = find_source(source, size=size, rate=rate)
    session = Live(
        found, options, record=record, seconds=seconds, patience=Patience(stall_s=stall, give_up_s=give_up)
    )
    outlets = Outlets(
        _make_outlet(session, verbose=verbose) if lsl else None, _make_window(session) if window else None
    )
    _show_notice(session, output)
    _exit(_run(session, output, labels, outlets))


def _list_devices() -> None:
    from ferflow.jobs.live.devices import list_cameras

    cameras = list_cameras()
    for camera in cameras:
        echo(f"{camera.number}  {camera.name}  ({camera.address})")
    if not cameras:
        print_message("no camera found. Connect one; in a container or over SSH there is none.")


def _parse_keys(texts: list[str]) -> dict[str, str]:
    """Labels by key.

    Raises:
        OptionsError: not a key with a label.
    """
    labels = {}
    for text in texts:
        key, _, label = text[:1], text[1:2], text[2:].strip()
        if not key.isprintable() or text[1:2] != "=" or not label:
            raise OptionsError(
                f"key must be KEY=LABEL with one character as KEY, such as b=boss, got {text[:40]!r}"
            )
        if key == _END_KEY:
            raise OptionsError(f"key {_END_KEY} ends the session; choose another one")
        labels[key] = label
    return labels


def _make_outlet(session: Live, *, verbose: bool) -> LslOutlet:
    from ferflow.jobs.live.lsl import LslOutlet

    return LslOutlet(session.labels, f"ferflow-{session.source.name}", verbose=verbose)


def _make_window(session: Live) -> LiveWindow:
    from ferflow.app.live_window import LiveWindow

    return LiveWindow(session.source.label, session.labels, is_recording=session.recording is not None)


@contextlib.contextmanager
def _open_window(window: LiveWindow | None) -> Iterator[None]:
    """Serve the window, and open the browser; a machine without one is no error."""
    if window is None:
        yield
        return
    from ferflow.app.server import open_browser

    with window:
        # Also with --quiet: it is the only way to the picture.
        print_message(f"the picture is at {window.address}")
        open_browser(window.address)
        yield


def _show_notice(session: Live, output: Output) -> None:
    """Consent, before the first recording in a folder."""
    if session.recording is not None and not output.quiet and not session.recording.folder.manifest.exists():
        echo(*format_notice(clips=False).split("\n"), err=True)


def _run(session: Live, output: Output, labels: Mapping[str, str], outlets: Outlets) -> int:
    from ferflow.cli.hot_keys import HotKeys
    from ferflow.cli.live_view import format_summary
    from ferflow.jobs.live.live_summary import LiveSummary

    summary = LiveSummary(session.neutral_prior)
    lost: VideoError | None = None
    with _ending_by_signal(session), HotKeys() as keys:
        hint = _hint(session, labels) if keys.is_active else "Ctrl+C ends"
        try:
            with session:
                with _open_window(outlets.window), _view(output, hint) as view:
                    while not session.is_over:
                        frame = session.next_frame(_LOOK_S)
                        if frame is not None:
                            summary.add(frame)
                            _publish(frame, session, output, outlets)
                        _take_keys(keys.pressed(), session, labels, view, outlets.lsl)
                        view.show(session, summary)
                if session.recording is not None and not output.quiet:
                    print_message("finishing the recording; Ctrl+C leaves that to ferflow doctor --repair")
        except VideoError as error:
            if session.frame is None:
                raise
            lost = error
    if not output.quiet:
        _print_end(session, format_summary(session, summary), to_stderr=output.as_json)
    if session.report is not None and session.report.error is not None:
        raise RecordsError(session.report.error)
    if lost is not None:
        print_message(str(lost))
        return EXIT_PARTIAL
    if session.frame is None and not session.was_stopped:
        raise VideoError(f"{session.source.label}: no frame could be read. Is it a video?")
    return 0


def _view(output: Output, hint: str) -> View:
    from ferflow.cli.live_view import Dashboard, Lines, NoView

    if output.as_json or output.quiet:
        return NoView()
    if not sys.stdout.isatty():
        return Lines()
    dashboard = Dashboard(hint)
    # Lines of the log would tear the picture.
    for handler in list(logging.root.handlers):
        logging.root.removeHandler(handler)
    logging.root.addHandler(dashboard)
    return dashboard


def _hint(session: Live, labels: Mapping[str, str]) -> str:
    named = "  ".join(f"{key}: {label}" for key, label in labels.items())
    other = "any key sets a marker" if not labels else "other keys set markers, too"
    marks = f"{named}  {other}  " if session.recording is not None else ""
    return f"{marks}{_END_KEY} or Ctrl+C ends".strip()


def _publish(frame: LiveFrame, session: Live, output: Output, outlets: Outlets) -> None:
    if outlets.lsl is not None:
        outlets.lsl.send(frame)
    if outlets.window is not None and session.frame is not None:
        outlets.window.show(frame, session.frame)
    if output.as_json:
        is_read = echo(json.dumps(frame.to_json()))  # which flushes
        if not is_read:
            session.stop()


def _take_keys(
    pressed: str, session: Live, labels: Mapping[str, str], view: View, outlet: LslOutlet | None
) -> None:
    for key in pressed:
        if key == _END_KEY:
            session.stop()
        elif session.frame is not None:
            label = labels.get(key, "space" if key == " " else key)
            time_s = session.mark(label)
            if outlet is not None:
                outlet.send_marker(label)
            where = "" if session.recording is not None else " (not recorded)"
            view.note(f"marker at {time_s:.2f} s: {label}{where}")


def _print_end(session: Live, summary: str, *, to_stderr: bool) -> None:
    echo(summary, err=to_stderr)
    if session.recording is None or session.report is None:
        return
    folder = session.recording.folder
    paths = [path for path in (*folder.tables, session.recording.markers) if path.exists()]
    echo(f"Data: {'  '.join(map(str, paths))}", err=to_stderr)
    if session.report.error is None and session.recording.files.report.exists():
        echo(f"Report: {session.recording.files.report}", err=to_stderr)


@contextlib.contextmanager
def _ending_by_signal(session: Live) -> Iterator[None]:
    """The first signal ends the session, and the recording is finished; a second one ends the process."""
    before: dict[int, Any] = {}

    def on_signal(number: int, frame: FrameType | None) -> None:
        session.stop()
        for each, handler in before.items():
            signal.signal(each, handler)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(code: int) -> NoReturn:
    # A read that hangs in a driver would crash an interpreter that shuts down.
    if any(thread.name == "ferflow-read" for thread in threading.enumerate()):
        exit_now(code)
    sys.exit(code)
