"""`ferflow analyze`: videos to tables and pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ferflow.cli.common import (
    DEFAULTS,
    EmbedClips,
    EngineName,
    Markers,
    Out,
    Quiet,
    Verbose,
    Voice,
    named,
    run_and_exit,
)
from ferflow.errors import OptionsError
from ferflow.options import AnalyzeOptions, BackendName, DetectorName, DeviceName, TimePoint
from ferflow.text import shown

if TYPE_CHECKING:
    from ferflow.store.run_manifest import VideoTask


def _time(text: str) -> TimePoint:
    try:
        return TimePoint.parse(text)
    except OptionsError as error:  # typer would put "Value error" before it
        raise typer.BadParameter(str(error)) from error


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        parser=named,
        help="Video files, folders (recursive), globs, folders of numbered images.",
    ),
]


def analyze(
    inputs: Inputs,
    out: Out,
    every: Annotated[
        int | None, typer.Option(help=f"Analyse each N-th frame.  [default: {DEFAULTS.every}]", metavar="N")
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Analyse at most F frames per second of video time.  [default: every frame]", metavar="F"
        ),
    ] = None,
    start: Annotated[
        TimePoint | None,
        typer.Option(
            parser=_time,
            metavar="TIME",
            help="Begin here: 12.5 (seconds), 300f (frame) or 1:30.5 (timecode).",
        ),
    ] = None,
    end: Annotated[
        TimePoint | None,
        typer.Option(parser=_time, metavar="TIME", help="Stop before this point; written as --start."),
    ] = None,
    min_face: Annotated[
        int | None,
        typer.Option(
            help="Smallest face looked for, in pixels, 10 or more.  [default: 1/15 of the short side, at least 24]",
            metavar="PX",
        ),
    ] = None,
    detector: Annotated[
        DetectorName | None,
        typer.Option(help=f"Face detector; haar knows no head pose.  [default: {DEFAULTS.detector}]"),
    ] = None,
    detect: Annotated[
        str | None,
        typer.Option(
            help="Detect faces in every frame, or in every Nth frame and at cuts and interpolate in between.  "
            f"[default: {DEFAULTS.detect}]",
            metavar="full|every:N",
        ),
    ] = None,
    score: Annotated[
        float | None,
        typer.Option(
            help=f"Leave out detections scored below this, 0.1 to 1.  [default: {DEFAULTS.score}]",
            metavar="S",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Expression model: default, fer2013 or ferplus (see ferflow models), or the folder or card of "
            f"one you trained.  [default: {DEFAULTS.model}]",
            metavar="NAME|PATH",
        ),
    ] = None,
    participants: Annotated[
        int | None,
        typer.Option(
            help="Known number of people in each video; with 1, the largest face is that person.", metavar="N"
        ),
    ] = None,
    bin_seconds: Annotated[
        float | None,
        typer.Option(
            "--bin",
            help=f"Length of a timeline bin.  [default: {DEFAULTS.bin_seconds:g}]",
            metavar="SECONDS",
        ),
    ] = None,
    sequence_fps: Annotated[
        float | None,
        typer.Option(
            help=f"Frames per second of numbered images.  [default: {DEFAULTS.sequence_fps:g}]", metavar="F"
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help=f"Faces classified together; results stay the same.  [default: {DEFAULTS.batch_size}]",
            metavar="N",
        ),
    ] = None,
    device: Annotated[
        DeviceName | None, typer.Option(help=f"Where faces are classified.  [default: {DEFAULTS.device}]")
    ] = None,
    backend: Annotated[
        BackendName | None,
        typer.Option(
            help=f"What classifies them: onnx, or keras (TensorFlow).  [default: {DEFAULTS.backend}]"
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads of all workers.  [default: as many as there are CPUs]", metavar="N"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that analyse videos side by side.  [default: by cores and memory]",
            min=1,
            metavar="N",
        ),
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="What carries out the work; ray needs ferflow[ray].")
    ] = "local",
    job: Annotated[
        Path | None,
        typer.Option(
            help="TOML of options, named as in ferflow.AnalyzeOptions; the command line wins.",
            metavar="FILE.toml",
        ),
    ] = None,
    retries: Annotated[
        int,
        typer.Option(
            help="Try again so often what may pass: a killed worker, a network share.", min=0, metavar="N"
        ),
    ] = 1,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Begin no further video after one has failed.")
    ] = False,
    markers: Markers = None,
    embed_clips: EmbedClips = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no HTML pages.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there already.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")
    ] = False,
    progress: Annotated[
        Literal["bars", "json"],
        typer.Option(help="How progress is shown on stderr; json: a line per event, for programs."),
    ] = "bars",
    log_file: Annotated[
        Path | None, typer.Option(help="Append to this file what happens, with traces.", metavar="FILE")
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Turn videos into tables and a page to look at.

    Per video: a table of frames, of faces and of a timeline, and an HTML report.

    Finished videos are passed over, so the same command continues where it was cut short. Exit code: 0 all
    done, 10 some inputs failed or have gaps, 2 wrong options, 3 nothing could be analysed, 4 model or
    environment, 5 output folder, 130 interrupted, 1 a fault of ferflow.
    """
    base = AnalyzeOptions.from_toml(job) if job is not None else DEFAULTS
    options = base.updated(
        every=every, fps=fps, start=start, end=end, min_face=min_face, detector=detector,
        detect=detect, score=score,
        model=model, participants=participants, bin_seconds=bin_seconds, sequence_fps=sequence_fps,
        batch_size=batch_size, threads=threads, device=device, backend=backend,
    )  # fmt: skip
    if dry_run:
        from ferflow.jobs.plan import plan

        _print_plan(plan(inputs, out, options, overwrite=overwrite))
        return
    from ferflow.jobs.report_inputs import Beside

    voice = Voice(verbose=verbose, quiet=quiet, as_json=progress == "json", log_file=log_file)
    run_and_exit(
        inputs, out, options, voice=voice, overwrite=overwrite, pages=not no_report, engine=engine,
        workers=workers, retries=retries, fail_fast=fail_fast, beside=Beside(markers, embed_clips),
    )  # fmt: skip


def _print_plan(tasks: list[VideoTask]) -> None:
    for task in tasks:
        if task.paths is None or task.problem is not None:
            typer.echo(f"cannot   {shown(task.problem)}")
        else:
            verb = "skip" if task.is_finished else "analyse"
            typer.echo(f"{verb:8} {shown(task.source)}  ->  {task.paths.video_id}")
    pending = sum(task.is_pending for task in tasks)
    typer.echo(f"{pending} to analyse, {len(tasks) - pending} not.")
