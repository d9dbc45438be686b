"""`ferflow template`: scripts for schedulers, and job files to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ferflow.cli.printing import echo
from ferflow.jobs.schedulers.scripts import ArrayJob, SchedulerName, write_script
from ferflow.version import __version__

JobFileName = Literal["recorded-sessions", "audience-engagement", "game-test-playback"]

template = typer.Typer(
    name="template",
    help="Print a script that runs ferflow on a cluster, or a job file to start from.\n\n"
    "For example: ferflow template slurm --manifest sessions.csv -o results --shards 64 > submit.sh",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

_DEFAULTS = ArrayJob(manifest="sessions.csv", out="results")

Manifest = Annotated[
    str,
    typer.Option(
        help="List of the videos, see ferflow analyze; a path on the machines of the jobs.", metavar="FILE"
    ),
]
Out = Annotated[
    str, typer.Option("--out", "-o", help="Output folder, on a disk that all jobs share.", metavar="FOLDER")
]
Shards = Annotated[
    int,
    typer.Option(help="Number of parts (shards).", min=1, max=100_000, metavar="N"),
]
Cpus = Annotated[
    int, typer.Option(help="CPUs of each part; ferflow starts a worker for every two.", min=1, metavar="N")
]
Memory = Annotated[int, typer.Option(help="Memory of each part, in GiB.", min=1, metavar="GIB")]
Hours = Annotated[
    int,
    typer.Option(
        "--time", help="Time limit of each part, in hours; submit again to continue.", min=1, metavar="H"
    ),
]
Gpus = Annotated[int, typer.Option(help="GPUs of each part.", min=0, metavar="N")]
Name = Annotated[str, typer.Option(help="Name of the jobs.", metavar="NAME")]
Options = Annotated[
    list[str] | None,
    typer.Argument(metavar="-- [OPTION]...", help="Options of ferflow analyze, such as -- --fps 10."),
]


@template.command()
def slurm(
    options: Options = None,
    manifest: Manifest = _DEFAULTS.manifest,
    out: Out = _DEFAULTS.out,
    shards: Shards = _DEFAULTS.shards,
    cpus: Cpus = _DEFAULTS.cpus,
    memory: Memory = _DEFAULTS.memory_gib,
    hours: Hours = _DEFAULTS.hours,
    gpus: Gpus = _DEFAULTS.gpus,
    image: Annotated[
        str | None,
        typer.Option(
            help="Container image for apptainer: a file, or docker://NAME.  [default: ferflow on PATH]",
            metavar="IMAGE",
        ),
    ] = None,
    name: Name = _DEFAULTS.name,
) -> None:
    """Print a script for Slurm: an array job, and a job that joins its results."""
    _print(
        "slurm",
        ArrayJob(
            manifest=manifest, out=out, shards=shards, cpus=cpus, memory_gib=memory, hours=hours, gpus=gpus,
            image=image, name=name, options=tuple(options or ()),
        ),
    )  # fmt: skip


@template.command()
def kubernetes(
    options: Options = None,
    manifest: Manifest = "/data/sessions.csv",
    out: Out = "/data/results",
    shards: Shards = _DEFAULTS.shards,
    cpus: Cpus = _DEFAULTS.cpus,
    memory: Memory = _DEFAULTS.memory_gib,
    hours: Hours = _DEFAULTS.hours,
    gpus: Gpus = _DEFAULTS.gpus,
    image: Annotated[
        str, typer.Option(help="Container image, as the Containerfile makes it.", metavar="IMAGE")
    ] = f"ferflow:{__version__}",
    name: Name = _DEFAULTS.name,
    claim: Annotated[
        str,
        typer.Option(help="Volume claim that holds list, videos and output folder.", metavar="NAME"),
    ] = _DEFAULTS.claim,
    mount: Annotated[
        str, typer.Option(help="Folder in which the claim is mounted.", metavar="FOLDER")
    ] = _DEFAULTS.mount,
) -> None:
    """Print two Jobs for Kubernetes: an indexed one, and a suspended one that joins its results."""
    _print(
        "kubernetes",
        ArrayJob(
            manifest=manifest, out=out, shards=shards, cpus=cpus, memory_gib=memory, hours=hours, gpus=gpus,
            image=image, name=name, claim=claim, mount=mount, options=tuple(options or ()),
        ),
    )  # fmt: skip


@template.command()
def snakemake(
    options: Options = None,
    manifest: Manifest = _DEFAULTS.manifest,
    out: Out = _DEFAULTS.out,
    shards: Shards = _DEFAULTS.shards,
    cpus: Cpus = _DEFAULTS.cpus,
    memory: Memory = _DEFAULTS.memory_gib,
    hours: Hours = _DEFAULTS.hours,
    gpus: Gpus = _DEFAULTS.gpus,
    image: Annotated[
        str | None,
        typer.Option(
            help="Container image: a file, or docker://NAME.  [default: ferflow on PATH]", metavar="IMAGE"
        ),
    ] = None,
) -> None:
    """Print a Snakefile: a rule for the parts, and one that joins their results."""
    _print(
        "snakemake",
        ArrayJob(
            manifest=manifest, out=out, shards=shards, cpus=cpus, memory_gib=memory, hours=hours, gpus=gpus,
            image=image, options=tuple(options or ()),
        ),
    )  # fmt: skip


@template.command()
def job(
    name: Annotated[JobFileName, typer.Argument(metavar="NAME", help="One of the names below.")],
) -> None:
    """Print a commented job file for ferflow run.

    recorded-sessions: one participant per video. audience-engagement: several people in one picture.
    game-test-playback: recordings of the screen with the player's camera, and the log of the game.
    """
    import ferflow.jobs

    path = Path(ferflow.jobs.__file__).parent / f"{name}.toml"
    echo(*path.read_text(encoding="utf-8").rstrip("\n").split("\n"))


def _print(scheduler: SchedulerName, array: ArrayJob) -> None:
    echo(*write_script(scheduler, array).rstrip("\n").split("\n"))
