"""`ferflow fetch`: an output folder from an object store to the local disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferflow.cli.common import Output, Quiet, Verbose, log_to_stderr, parse_path, parse_place
from ferflow.cli.printing import echo
from ferflow.errors import OptionsError
from ferflow.store.object_store import is_object
from ferflow.text import pluralize, sanitize


def fetch(
    address: Annotated[
        Path,
        typer.Argument(
            parser=parse_place,
            metavar="ADDRESS",
            help="Output folder in an object store: s3://, gs:// or az://.",
        ),
    ],
    folder: Annotated[
        Path, typer.Argument(parser=parse_path, metavar="FOLDER", help="Where to; created if needed.")
    ],
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Copy an output folder from an object store to the local disk, for report, export, people, app and the others.

    Files that are there already are not fetched again, so the same command continues after an interruption, and brings
    what is new. What was changed or removed in FOLDER since stays as it is. Nothing is written into the store but the
    final names of results that a killed run has left. Exit code: 0 done, 2 no such
    folder, 5 the store or the disk.
    """
    from ferflow.jobs.store_fetch import fetch as copy

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    if not is_object(address):
        raise OptionsError(f"{sanitize(address)}: not an address of a store. It is a folder already.")
    done = copy(address, folder)
    if not quiet:
        echo(
            f"{pluralize(done.n_videos, 'video')}, {pluralize(done.n_files, 'file')} fetched "
            f"({done.n_bytes / 2**20:.1f} MiB): {sanitize(folder)}"
        )
