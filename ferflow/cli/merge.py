"""`ferflow merge`: one record and one overview from the results of shards."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ferflow.cli.common import NoReport, Output, Quiet, Verbose, log_to_stderr, parse_place, print_message
from ferflow.cli.printing import echo
from ferflow.store.object_store import is_object, source_text
from ferflow.text import pluralize, sanitize

_MOST_FAILURES = 20


def merge(
    out: Annotated[
        Path,
        typer.Argument(
            parser=parse_place,
            metavar="OUT",
            help="Output folder of the shards, or its address in an object store.",
        ),
    ],
    no_report: NoReport = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Join the results of `ferflow analyze --shard` into one record and one report.

    Writes run.json and the overview, and says which shards have not finished and which inputs failed. It may run at any
    time and any number of times, also while shards are running. Exit code: 0 every input of every shard is done, 10
    something is missing, failed or has gaps, 3 every input failed, 5 output folder.
    """
    from ferflow.jobs.merge import merge as join
    from ferflow.jobs.progress import format_failure
    from ferflow.store.output_folder import OutputFolder

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    if is_object(out):
        from ferflow.jobs.store_merge import merge_address

        report = merge_address(out, pages=not no_report)
    else:
        report = join(out, pages=not no_report)
    for entry in report.failed[:_MOST_FAILURES]:
        print_message(format_failure(entry.source, entry.error or entry.status))
    if (more := len(report.failed) - _MOST_FAILURES) > 0:
        print_message(f"and {pluralize(more, 'other input')} without results: see run.json.")
    for line in report.missing:
        print_message(f"{line}.")
    if not quiet:
        n_done = len(report.videos) - len(report.failed)
        echo(
            f"{pluralize(report.n_shards, 'shard')}, {n_done} of {pluralize(len(report.videos), 'input')} done."
        )
        index = OutputFolder(out).index
        if is_object(out):
            echo(f"Results: {source_text(out)}", f"To look at them: ferflow fetch {source_text(out)} FOLDER")
        elif not no_report and index.exists():
            echo(f"Report: {sanitize(index)}")
    sys.exit(report.exit_code)
