"""Where videos made from videos are written: next to nothing that is lost, and over no input.

>>> plan_targets([Path("a/talk.mp4")], Path("done"), "annotated", overwrite=False)[0].path
PosixPath('done/talk.annotated.mp4')
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ferflow.errors import OptionsError
from ferflow.media.inputs import DiscoveredInput, discover
from ferflow.store.output_folder import find_maker
from ferflow.text import sanitize

KINDS = ("annotated", "anonymized")
_LONGEST_NAME = 255
"""Bytes, on most file systems."""
_LONGEST_ADDITION = len("..check.csv.1234567.tmp")
"""Of a name: that of the report of a check while it is written, see `atomic_write`."""


def find_inputs(inputs: Sequence[str], out: Path | None) -> list[DiscoveredInput]:
    """Expand files, folders and globs; results of earlier commands are found only by their full names.

    Args:
        inputs: as a user gives them.
        out: an output folder, which holds no inputs.
    """
    found = discover(inputs, out=Path(os.devnull) if out is None else out)
    made = tuple(f".{kind}.mp4" for kind in KINDS)
    return [each for each in found if not each.path.name.endswith(made) or str(each.path) in inputs]


@dataclass(frozen=True, slots=True)
class Target:
    """What becomes of one input."""

    source: Path
    path: Path
    problem: str | None = None
    """Why it cannot be written; None: it can."""


def plan_targets(
    inputs: Sequence[DiscoveredInput], folder: Path, kind: str, *, overwrite: bool
) -> list[Target]:
    """The file of each input: `FOLDER/<stem>.<kind>.mp4`.

    Args:
        inputs: videos, and what is wrong with them.
        folder: where the files go; need not exist.
        kind: one of `KINDS`.
        overwrite: whether files of these names may be replaced. One that is an input never is.

    Raises:
        OptionsError: the folder is none, or the names of all inputs are too long.
    """
    check_folder(folder)
    sources = {os.path.realpath(each.path): each.path for each in inputs}
    taken: dict[str, Path] = {}
    targets = []
    for each in inputs:
        source = each.path
        stem = source.resolve().name if os.path.isdir(source) else source.stem  # noqa: PTH112 - may be too long
        path = folder / f"{stem}.{kind}.mp4"
        problem = each.problem or _find_problem(source, path, sources, taken, overwrite=overwrite)
        if problem is None:
            taken[os.path.normcase(path)] = source
        targets.append(Target(source, path, problem))
    if targets and all(_is_too_long(target.path) for target in targets):
        raise OptionsError(targets[0].problem or "")
    return targets


def check_folder(folder: Path) -> None:
    """Refuse a folder for results that is, or lies in, something else.

    Raises:
        OptionsError: it is.
    """
    there = next((place for place in (folder, *folder.parents) if os.path.lexists(place)), None)
    if there is not None and not there.is_dir():
        raise OptionsError(f"{sanitize(there)}: not a folder. Give another one with -o.")


def _is_too_long(path: Path) -> bool:
    return len(os.fsencode(path.name)) + _LONGEST_ADDITION > _LONGEST_NAME


def _find_problem(
    source: Path, path: Path, sources: dict[str, Path], taken: dict[str, Path], *, overwrite: bool
) -> str | None:
    if _is_too_long(path):
        most = _LONGEST_NAME - _LONGEST_ADDITION - len(os.fsencode(path.name)) + len(os.fsencode(source.name))
        return f"{source}: the name is too long for its result. Give it one of at most {most} bytes; a link will do."
    if (other := taken.get(os.path.normcase(path))) is not None:
        return f"{source}: has the same name as {other}, whose result is {path}. Give it another -o."
    if os.path.realpath(path) in sources:
        return f"{source}: its result would be {path}, which is an input. Use another -o."
    if find_maker(path) is not None:
        return f"{source}: {path.parent} is a folder of ferflow's own. Use another -o."
    if os.path.lexists(path) and not overwrite:
        return f"{source}: {path} exists. Use --overwrite, or another -o."
    return None
