"""`ferflow demo`: the main job on a sample clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferflow.cli.common import Out, Output, Quiet, Verbose, run_and_exit
from ferflow.cli.printing import echo
from ferflow.jobs.job import Job


def demo(
    out: Out = Path("ferflow-demo"),
    seconds: Annotated[
        float, typer.Option(help="Length of the sample clip.", min=2.0, metavar="SECONDS")
    ] = 20.0,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Draw a sample clip and analyse it.

    Writes the clip into the output folder, and tables and pages into its subfolder `results`.
    """
    from ferflow.demo_clip import draw_sample, rest_stretches

    clip = out / f"sample-{seconds:g}s.mp4"
    clip.parent.mkdir(parents=True, exist_ok=True)
    if not clip.exists():
        if not quiet:
            echo("Drawing a sample clip ...", err=True)
        draw_sample(clip, seconds=seconds)
    # The portrait smiles, and the model takes its drawn face at rest for a smile: a case for a calibration.
    job = Job(inputs=(str(clip),), out=out / "results", rest=rest_stretches(seconds))
    run_and_exit(job, Output(verbose=verbose, quiet=quiet))
