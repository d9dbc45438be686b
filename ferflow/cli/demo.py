"""`ferflow demo`: the main job on a sample clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferflow.cli.common import DEFAULTS, Out, Quiet, Verbose, Voice, run_and_exit


def demo(
    out: Out = Path("ferflow-demo"),
    seconds: Annotated[float, typer.Option(help="Length of the sample clip.", min=2.0)] = 20.0,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Analyse a sample clip, drawn here and now."""
    from ferflow.demo_clip import draw_sample

    clip = out / f"sample-{seconds:g}s.mp4"
    clip.parent.mkdir(parents=True, exist_ok=True)
    if not clip.exists():
        if not quiet:
            typer.echo("Drawing a sample clip ...", err=True)
        draw_sample(clip, seconds=seconds)
    run_and_exit([str(clip)], out / "results", DEFAULTS, voice=Voice(verbose=verbose, quiet=quiet))
