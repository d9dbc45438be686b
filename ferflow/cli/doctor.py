"""`ferflow doctor`: check this machine or an output folder, and say what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.common import parse_path
from ferflow.cli.printing import echo
from ferflow.errors import ModelError, OptionsError, RecordsError

if TYPE_CHECKING:
    from ferflow.doctor.machine_check import Finding

_SIGNS = {"fine": "ok", "note": "note", "problem": "PROBLEM"}


def doctor(
    out: Annotated[
        Path | None,
        typer.Argument(
            parser=parse_path, metavar="OUT", help="Output folder to check.  [default: check this machine]"
        ),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Remove files that an interrupted run left in OUT, and rebuild its run.json from the tables.",
        ),
    ] = False,
) -> None:
    """Check this machine or an output folder.

    Without OUT: checks versions, processor, memory, GPU, codecs, models and detector, and analyses a drawn clip. With
    OUT: checks that the tables are complete and match run.json. Each problem comes with a line that says what to do.
    Exit code: 0 no problem, 4 a problem with the machine or installation, 5 with the output folder.
    """
    if out is None:
        if repair:
            raise OptionsError("--repair needs the output folder to repair")
        from ferflow.doctor.machine_check import examine_machine

        sys.exit(_print_findings(examine_machine(), ModelError.exit_code))

    from ferflow.doctor.output_check import examine_folder
    from ferflow.doctor.output_check import repair as repair_folder

    if repair:
        for line in repair_folder(out) or ["nothing to repair"]:
            echo(line)
    sys.exit(_print_findings(examine_folder(out), RecordsError.exit_code))


def _print_findings(findings: Iterable[Finding], code: int) -> int:
    """Print findings as they come; returns the exit code."""
    has_problem = False
    for finding in findings:
        has_problem |= finding.level == "problem"
        echo(f"{_SIGNS[finding.level]:8} {finding.what}")
        if finding.remedy:
            echo(f"{'':8} -> {finding.remedy}")
    return code if has_problem else 0
