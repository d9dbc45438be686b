"""`ferflow bench`: the speed of this machine, and where the time goes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.analysis_options import Detect
from ferflow.cli.common import DEFAULTS, parse_path
from ferflow.cli.printing import echo
from ferflow.errors import OptionsError

if TYPE_CHECKING:
    from ferflow.jobs.benchmarks.speed import BenchReport


def bench(
    videos: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=parse_path, metavar="VIDEO", help="Video files; not with --scene.  [default: a drawn clip]"
        ),
    ] = None,
    scene: Annotated[
        list[str] | None,
        typer.Option(
            help="Clip to draw if no video is given: a camera in a room (720p, 480p-six, 1080p-seven, 360p), the same "
            "with the noise of real recordings (720p-camera), a recorded screen whose picture changes 5 times a second "
            "(screen-held) or in every frame (screen-moving); all: each of these. May be repeated.  [default: 720p]",
            metavar="NAME",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="Length of drawn clips.", min=1, max=3600, metavar="SECONDS")
    ] = 10.0,
    rounds: Annotated[
        int, typer.Option(help="Number of timed rounds; the median is reported.", min=1, max=99, metavar="N")
    ] = 3,
    vs_haar: Annotated[
        bool,
        typer.Option(
            "--vs-haar",
            help="Also time the naive script of the papers (Haar, Keras, one face at a time); needs ferflow[train].",
        ),
    ] = False,
    vs_fer: Annotated[
        Path | None,
        typer.Option(
            help="Also time the fer package, with the Python interpreter of an environment that has it.",
            metavar="PYTHON",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.  [default: all CPUs]", metavar="N")
    ] = None,
    detect: Detect = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures as JSON.", metavar="FILE")
    ] = None,
) -> None:
    """Measure the speed of this machine, stage by stage.

    Prints a Markdown table: frames per second of decoding and of the pipeline, their ratio, CPU time by stage, memory,
    and time to the first frame.
    """
    from ferflow.jobs.benchmarks.rivals import fer_package, haar_script
    from ferflow.jobs.benchmarks.speed import measure
    from ferflow.jobs.benchmarks.speed_table import as_json, as_table

    if videos and scene:
        raise OptionsError("a video and --scene were given: give one of them")
    options = DEFAULTS.updated(threads=threads, detect=detect)
    rivals = [haar_script()] if vs_haar else []
    rivals += [fer_package(vs_fer)] if vs_fer else []
    reports: list[BenchReport] = []
    with tempfile.TemporaryDirectory() as folder:
        for report in measure(
            videos or scene or ["720p"],
            Path(folder),
            options,
            seconds=seconds,
            rounds=rounds,
            rivals=rivals,
        ):
            echo(f"{report.video}: {report.full_fps:.0f} frames/s", err=True)
            reports.append(report)
    echo(*as_table(reports).split("\n"))
    if json_file is not None:
        _write(json_file, as_json(reports) + "\n")


def _write(path: Path, text: str) -> None:
    from ferflow.store.atomic_files import atomic_write

    try:
        with atomic_write(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OptionsError(f"{path}: cannot be written ({error.strerror}).") from error
