"""`ferflow analyze`: videos to tables and pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferflow.cli.analysis_options import (
    Backend,
    BinSeconds,
    Detect,
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
    Chapters,
    Corrections,
    DryRun,
    EmbedClips,
    FailFast,
    LogFile,
    Logo,
    Markers,
    MarkersOffset,
    NoReport,
    Output,
    Overwrite,
    Progress,
    Quiet,
    RestStretches,
    Retries,
    Rotate,
    Signals,
    SignalsStart,
    Speech,
    Stream,
    Title,
    Verbose,
    WatchEvery,
    WatchInputs,
    WatchUntilIdle,
    Workers,
    parse_not_empty,
    parse_path,
    parse_place,
    parse_rest_stretches,
    parse_watch,
    run_and_exit,
)
from ferflow.cli.dry_run import print_plan
from ferflow.errors import OptionsError
from ferflow.jobs.job import EngineName, Job
from ferflow.jobs.shard import Shard
from ferflow.options import (
    TimePoint,
    ZeroName,
)


def _time(text: str) -> TimePoint:
    try:
        return TimePoint.parse(text)
    except OptionsError as error:  # typer would put "Value error" in front of it
        raise typer.BadParameter(str(error)) from error


def _shard(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except OptionsError as error:
        raise typer.BadParameter(str(error)) from error


_INPUTS = typer.Argument(
    metavar="INPUT",
    parser=parse_not_empty,
    help="Video files, folders (searched recursively), quoted globs, or folders of numbered images.",
)
Inputs = Annotated[list[str], _INPUTS]
_INPUTS_AND_ADDRESSES = typer.Argument(
    metavar="INPUT",
    parser=parse_not_empty,
    help="Video files, folders (searched recursively), quoted globs, folders of numbered images, or addresses of an "
    "object store: s3://, gs:// or az:// (needs ferflow[objectstore]).",
)


def analyze(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            parser=parse_place,
            metavar="FOLDER",
            help="Output folder, or its address in an object store.",
        ),
    ],
    inputs: Annotated[list[str] | None, _INPUTS_AND_ADDRESSES] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            parser=parse_path,
            help="Analyse the videos in the column video of FILE (CSV, .jsonl or .parquet); relative paths start at "
            "the folder of FILE. FILE is also the session list, unless --sessions names another.",
            metavar="FILE",
        ),
    ] = None,
    shard: Annotated[
        Shard | None,
        typer.Option(
            parser=_shard,
            help="Analyse only part I of N of the inputs, balanced by size; other processes analyse the other parts "
            "into the same OUT. Afterwards run ferflow merge OUT. auto: the number of an array job of Slurm, "
            "Kubernetes or AWS Batch.",
            metavar="I/N|auto[/N]",
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            help=f"Analyse every Nth frame; not with --fps.  [default: {DEFAULTS.every}]", metavar="N"
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Analyse at most F frames per second of video time; not with --every.  [default: every frame]",
            metavar="F",
        ),
    ] = None,
    start: Annotated[
        TimePoint | None,
        typer.Option(
            parser=_time,
            metavar="TIME",
            help="First frame to analyse: 12.5 (seconds), 300f (frame index from 0) or 1:30.5 (timecode).  "
            "[default: first frame]",
        ),
    ] = None,
    end: Annotated[
        TimePoint | None,
        typer.Option(
            parser=_time,
            metavar="TIME",
            help="Stop before this point; written as --start.  [default: end of video]",
        ),
    ] = None,
    min_face: MinFace = None,
    detector: Detector = None,
    detect: Detect = None,
    score: Score = None,
    model: ExpressionModel = None,
    participants: Participants = None,
    stitch: Stitch = None,
    region: Annotated[
        list[str] | None,
        typer.Option(
            help="Analyse a part of the picture only: X,Y,W,H in pixels or percent, or left, bottom-right and the like."
            " With NAME= in front of it, it shows one participant of this name. May be given several times. auto:"
            " a picture-in-picture frame, as of a game capture.  [default: all of the picture]",
            metavar="[NAME=]REGION",
        ),
    ] = None,
    stream: Stream = None,
    rotate: Rotate = None,
    zero: Annotated[
        ZeroName | None,
        typer.Option(
            help="What time 0 is: the first picture, or the start of the sound where that is earlier.  [default: "
            f"{DEFAULTS.zero}]"
        ),
    ] = None,
    bin_seconds: BinSeconds = None,
    sequence_fps: Annotated[
        float | None,
        typer.Option(
            help=f"Frames per second of numbered images.  [default: {DEFAULTS.sequence_fps:g}]", metavar="F"
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help=f"Faces classified together; does not change results.  [default: {DEFAULTS.batch_size}]",
            metavar="N",
        ),
    ] = None,
    hwaccel: Annotated[
        str | None,
        typer.Option(
            help="Decode on a device: cuda (NVDEC), vaapi, videotoolbox or another name of FFmpeg; auto: any of them. "
            "Software (none) is the reference; it also decodes what a device cannot, and a warning says so.  "
            f"[default: {DEFAULTS.hwaccel}]",
            metavar="none|auto|NAME",
        ),
    ] = None,
    device: Device = None,
    backend: Backend = None,
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads of all workers together.  [default: all CPUs]", metavar="N"),
    ] = None,
    workers: Workers = None,
    engine: Annotated[
        EngineName, typer.Option(help="This machine, or several machines with Ray (needs ferflow[ray]).")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            parser=parse_not_empty,
            help="The Ray cluster of this machine, with --engine ray: HOST:PORT of its head, or auto.  "
            "[default: RAY_ADDRESS; without it, Ray is started on this machine only]",
            metavar="HOST:PORT|auto",
        ),
    ] = None,
    segment: Annotated[
        float | None,
        typer.Option(
            help="Split long videos into segments of about this many minutes, which are analysed in parallel and "
            "joined; not with --detect every:N or --stitch face.  [default: a video is one task]",
            metavar="MINUTES",
        ),
    ] = None,
    retries: Retries = 1,
    fail_fast: FailFast = False,
    markers: Markers = None,
    chapters: Chapters = False,
    markers_offset: MarkersOffset = None,
    speech: Speech = None,
    signals: Signals = None,
    signals_start: SignalsStart = None,
    rest: RestStretches = None,
    embed_clips: EmbedClips = False,
    sessions: Annotated[
        Path | None,
        typer.Option(
            parser=parse_path,
            help="Session list: CSV with the columns video,participant,group,stimulus,region and any others, a row per "
            "video (or per participant, each in a region).  [default: as in the last report; else OUT/sessions.csv]",
            metavar="FILE.csv",
        ),
    ] = None,
    corrections: Corrections = None,
    stimulus: Annotated[
        str | None,
        typer.Option(
            help="What the people in all inputs watched or did: a video file, or any text. The overview lays sessions "
            "with the same stimulus over one another; a session list may name it for each video.",
            metavar="FILE|TEXT",
        ),
    ] = None,
    title: Title = None,
    logo: Logo = None,
    no_report: NoReport = False,
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
    watch: WatchInputs = False,
    watch_every: WatchEvery = None,
    watch_until_idle: WatchUntilIdle = None,
    progress: Progress = "bars",
    log_file: LogFile = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Analyse videos and write tables and reports.

    Writes three Parquet tables per video (frames, faces, timeline) and an HTML report. `ferflow run` does the same
    with the options in a file.

    Finished videos are skipped, so the same command continues after an interruption. One output folder holds results
    of one model and one set of options. Exit code: 0 all done, 10 some inputs failed, have gaps or were not started,
    2 wrong options, 3 every input failed, 4 model or environment, 5 output folder, 130 interrupted, 1 an error in
    ferflow.
    """
    if not inputs and manifest is None:
        raise OptionsError("no input: give video files, folders or globs, or --manifest FILE.")
    # What was not given is None here, so that a default is written once, in `AnalyzeOptions`.
    options = DEFAULTS.updated(
        every=every, fps=fps, start=start, end=end, min_face=min_face, detector=detector, detect=detect,
        score=score, model=model, participants=participants, stitch=stitch, bin_seconds=bin_seconds,
        stream=stream, rotate=rotate, zero=zero,
        region=tuple(region) if region else None, sequence_fps=sequence_fps,
        batch_size=batch_size, threads=threads, hwaccel=hwaccel, device=device, backend=backend,
    )  # fmt: skip
    job = Job(
        inputs=tuple(inputs or ()), out=out, manifest=manifest, shard=shard, options=options,
        overwrite=overwrite, pages=not no_report, markers=markers,
        chapters=chapters, markers_offset=markers_offset, speech=speech, rest=parse_rest_stretches(rest),
        signals=signals, signals_start=signals_start, sessions=sessions, corrections=corrections,
        embed_clips=embed_clips,
        stimulus=stimulus, title=title, logo=logo, engine=engine, address=address,
        workers=workers, segment=segment, retries=retries, fail_fast=fail_fast,
    )  # fmt: skip
    output = Output(verbose=verbose, quiet=quiet, as_json=progress == "json", log_file=log_file)
    how_watched = parse_watch(
        is_given=watch, every_s=watch_every, until_idle_min=watch_until_idle, dry_run=dry_run
    )
    if dry_run:
        print_plan(job, output)
    else:
        run_and_exit(job, output, how_watched)
