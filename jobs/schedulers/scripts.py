"""Scripts that analyse a list of videos as an array of jobs, and join the results when all of them have ended.

>>> print(write_script("slurm", ArrayJob(manifest="sessions.csv", out="results", shards=64)))

Each member of the array is a shard (`jobs.shard`). One in which videos failed ends with exit code 10 or 3 and
stops nothing: merging says which they are.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

import jinja2

from ferflow.errors import OptionsError
from ferflow.text import sanitize
from ferflow.version import __version__

SchedulerName = Literal["slurm", "kubernetes", "snakemake"]

_TEMPLATES: dict[SchedulerName, str] = {
    "slurm": "slurm.sh.j2",
    "kubernetes": "kubernetes.yaml.j2",
    "snakemake": "Snakefile.j2",
}

# A DNS label, from which Kubernetes makes the names of pods: at most 63 characters with what it appends.
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayJob:
    """An array of jobs on a cluster: one shard each, and its resources."""

    manifest: str
    """Path of the list of videos, where the jobs run."""
    out: str
    """Path of the output folder, on a disk that all of them share."""
    shards: int = 16
    cpus: int = 4
    """Per shard; ferflow has a worker for every two."""
    memory_gib: int = 4
    """Per shard."""
    hours: int = 24
    """Time limit of a shard; when it runs again, it continues."""
    gpus: int = 0
    """Per shard."""
    image: str | None = None
    """Container image; None: ferflow is installed where the jobs run."""
    name: str = "ferflow"
    """Name of the jobs."""
    claim: str = "ferflow-data"
    """Kubernetes: the volume claim that holds videos, list and output folder."""
    mount: str = "/data"
    """Kubernetes: where it is mounted."""
    options: tuple[str, ...] = ()
    """Further arguments of `ferflow analyze`, the same for all shards."""

    def __post_init__(self) -> None:
        """Refuse texts that a script cannot contain.

        Raises:
            OptionsError: a text with control characters, or a name that Kubernetes refuses.
        """
        for text in (self.manifest, self.out, self.image or "", self.mount, *self.options):
            if sanitize(text) != text:
                raise OptionsError(
                    f"{sanitize(text)}: has a line break or another character that is not printable."
                )
        for text in (self.name, self.claim):
            if not _NAME.fullmatch(text):
                raise OptionsError(
                    f"{sanitize(text)[:60]!r} is not a valid name: give at most 40 lower-case letters, digits and "
                    "hyphens."
                )

    @property
    def command(self) -> list[str]:
        """Words of the shell command that starts ferflow."""
        if self.image is None:
            return ["ferflow"]
        return ["apptainer", "exec", *(["--nv"] if self.gpus else []), self.image, "ferflow"]

    @property
    def analyze_arguments(self) -> list[str]:
        """Arguments of ferflow for a shard, without `--shard`."""
        return ["analyze", "--manifest", self.manifest, "--out", self.out, *self.options]

    @property
    def merge_arguments(self) -> list[str]:
        """Arguments of ferflow that join the results."""
        return ["merge", self.out]


def write_script(scheduler: SchedulerName, job: ArrayJob) -> str:
    """The script for a scheduler, as text.

    Raises:
        OptionsError: a path that the scheduler cannot use.
    """
    if scheduler == "kubernetes":
        _check_mounted(job)
    if scheduler == "snakemake" and set("{}") & set(job.manifest):
        raise OptionsError(
            f"{job.manifest}: has a brace, which Snakemake takes for a wildcard. Rename the list."
        )
    # A path that begins with a hyphen would be read as an option.
    job = replace(job, manifest=_as_value(job.manifest), out=_as_value(job.out))
    return _environment().get_template(_TEMPLATES[scheduler]).render(job=job, version=__version__)


def _check_mounted(job: ArrayJob) -> None:
    for path in (job.manifest, job.out):
        place = PurePosixPath(path)
        if not place.is_absolute() or not place.is_relative_to(job.mount) or ".." in place.parts:
            raise OptionsError(f"{path}: must lie in {job.mount}, where the volume is mounted.")


def _as_value(path: str) -> str:
    return f"./{path}" if path.startswith("-") else path


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read_template),
        autoescape=False,  # noqa: S701 - not HTML; each value has a filter of its language
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "sh": shlex.quote,
        "sh_words": shlex.join,
        "python": repr,
        "yaml": _to_yaml,
        "argument": lambda text: _to_yaml(text.replace("$", "$$")),
    }
    return environment


def _to_yaml(text: str) -> str:
    """A text in quotes: JSON is YAML. Not ASCII only, since YAML does not know surrogate pairs of escapes."""
    return json.dumps(text, ensure_ascii=False)


def _read_template(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
