"""`ferflow compact`: the tables of all videos as one data set for DuckDB, Spark, Athena or BigQuery."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.common import Output, Quiet, Verbose, log_to_stderr, parse_path, print_message
from ferflow.cli.printing import echo
from ferflow.cli.report import Folder, check_is_output, warn_of_shards
from ferflow.errors import EXIT_PARTIAL
from ferflow.text import pluralize, sanitize

if TYPE_CHECKING:
    from ferflow.exchange.dataset.compaction import Compacted
    from ferflow.exchange.dataset.state import Dataset


def compact(
    out: Folder,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", "-o", parser=parse_path, metavar="DATASET", help="Where to write.  [default: OUT/dataset]"
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Write every file again, also of a data set of another output folder; without it, only what changed.",
        ),
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Join the tables of all videos into one data set that engines such as DuckDB, Spark or Athena read fast.

    Few large Parquet files in Hive partitions, sorted by participant, video and time: tables videos, timeline, minutes,
    faces and frames. Names, corrections and groups from people.csv, corrections.csv and the session list are applied.
    The next call writes only what has changed. Queries, and DDL for other engines: docs/scaling.md. Exit code: 10 if
    the tables of a video cannot be used.
    """
    from ferflow.dashboards import last_options
    from ferflow.dashboards.overview.folder_videos import FolderVideos
    from ferflow.exchange.dataset.compaction import compact as write_dataset
    from ferflow.exchange.dataset.plan import read_plan
    from ferflow.exchange.dataset.state import Dataset
    from ferflow.store.output_folder import OutputFolder

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    check_is_output(out)
    warn_of_shards(out)
    folder = OutputFolder(out)
    dataset = Dataset(to or folder.dataset)
    dataset.check_place(out, overwrite=overwrite)
    real = Path(os.path.realpath(out))
    with ExitStack() as stack:
        if to is None or Path(os.path.realpath(to)).is_relative_to(real):
            stack.enter_context(folder.lock())
            folder.remove_leftovers()
        stack.enter_context(dataset.lock())
        videos = FolderVideos.open(out, last_options(out), read_plan(dataset.plan).sources())
        for warning in videos.warnings:
            print_message(warning)
        done = write_dataset(videos, dataset, real, overwrite=overwrite)
    _print_outcome(done, dataset, quiet=quiet)
    sys.exit(EXIT_PARTIAL if done.plan.failed else 0)


def _print_outcome(done: Compacted, dataset: Dataset, *, quiet: bool) -> None:
    for video_id, reason in done.plan.failed.items():
        print_message(f"{sanitize(video_id)}: left out. {reason}")
    if quiet:
        return
    plan = done.plan
    echo(
        f"{pluralize(len(plan), 'video')}: {len(plan.changed)} new or changed, {done.n_gone} gone. Files: "
        f"{done.n_written} written, {done.n_kept} unchanged, {done.n_removed} removed."
    )
    echo(f"Files by table: {', '.join(f'{name} {n}' for name, n in done.n_buckets.items())}.")
    echo(f"Written: {sanitize(dataset.path)}")
