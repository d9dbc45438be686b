"""`ferflow run`: a job file in place of a long command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferflow.cli.common import (
    DryRun,
    LogFile,
    Output,
    Overwrite,
    Progress,
    Quiet,
    Verbose,
    WatchEvery,
    WatchInputs,
    WatchUntilIdle,
    Workers,
    parse_path,
    parse_place,
    parse_watch,
    run_and_exit,
)
from ferflow.cli.dry_run import print_plan
from ferflow.jobs.job import Job


def run(
    job_file: Annotated[
        Path,
        typer.Argument(
            parser=parse_path, metavar="JOB.toml", help="Job file: inputs, output folder and options."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=parse_place,
            metavar="FOLDER",
            help="Output folder, or its address in an object store, in place of `out` in the file.",
        ),
    ] = None,
    workers: Workers = None,
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
    """Analyse the videos that a job file names.

    A job file is TOML with the keys inputs and out. Optional keys are overwrite, pages, markers, chapters,
    markers_offset, speech, signals, signals_start, sessions, rest, title and logo (see ferflow report), stimulus,
    embed_clips, engine, address, workers, segment, retries, fail_fast, and the options of the analysis: as of ferflow
    analyze, with underscores (min_face), and bin_seconds for --bin. Options on the command line replace those of the
    file.
    Relative paths start at the current folder. Exit codes are those of ferflow analyze.
    """
    # None leaves what the file says; a flag that is absent must not switch off `overwrite = true`.
    job = Job.from_toml(job_file).updated(out=out, workers=workers, overwrite=overwrite or None)
    output = Output(verbose=verbose, quiet=quiet, as_json=progress == "json", log_file=log_file)
    how_watched = parse_watch(
        is_given=watch, every_s=watch_every, until_idle_min=watch_until_idle, dry_run=dry_run
    )
    if dry_run:
        print_plan(job, output)
    else:
        run_and_exit(job, output, how_watched)
