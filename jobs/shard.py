"""Which part of a run a process has to do.

>>> str(Shard.parse("auto", {"SLURM_ARRAY_TASK_ID": "12", "SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_COUNT": "4"}))
'3/4'
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ferflow.errors import OptionsError
from ferflow.options import MOST_SHARDS

_SHARD = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)
_AUTO = re.compile(r"auto(?:/(\d{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _ArrayVariables:
    """Variables by which a scheduler says which member of an array of jobs a process is."""

    number: str
    first: str | None
    """Number of the first member; None: 0."""
    count: str | None
    """None: the scheduler does not say."""


_ARRAYS = (
    # Slurm, AWS Batch, Kubernetes (Indexed Job): as their documentation says.
    _ArrayVariables("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT"),
    _ArrayVariables("AWS_BATCH_JOB_ARRAY_INDEX", None, "AWS_BATCH_JOB_ARRAY_SIZE"),
    _ArrayVariables("JOB_COMPLETION_INDEX", None, None),
)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of the parts of a run."""

    number: int
    """From 1 to `count`."""
    count: int

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            OptionsError: out of range.
        """
        if not 1 <= self.number <= self.count <= MOST_SHARDS:
            raise OptionsError(
                f"shard {self.number}/{self.count}: I/N needs I from 1 to N, N at most {MOST_SHARDS:,}."
            )

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] = os.environ) -> Self:
        """Read `I/N`, or `auto` or `auto/N`: the member of an array of jobs of Slurm, Kubernetes or AWS Batch.

        Raises:
            OptionsError: anything else, out of range, or `auto` outside of an array of jobs.
        """
        if given := _SHARD.fullmatch(text.strip()):
            return cls(int(given[1]), int(given[2]))
        if auto := _AUTO.fullmatch(text.strip()):
            return cls._of_array(int(auto[1]) if auto[1] else None, environment)
        raise OptionsError(f"shard {text[:40]!r}: give I/N, such as 3/64, or auto in an array of jobs.")

    @classmethod
    def _of_array(cls, count: int | None, environment: Mapping[str, str]) -> Self:
        for array in _ARRAYS:
            if array.number not in environment:
                continue
            number = _read_number(environment, array.number)
            first = _read_number(environment, array.first) if array.first else 0
            if count is None and array.count is None:
                raise OptionsError(
                    f"shard auto: {array.number} does not say how many shards there are. Give auto/N."
                )
            return cls(number - first + 1, count or _read_number(environment, array.count or ""))
        known = ", ".join(array.number for array in _ARRAYS)
        raise OptionsError(f"shard auto: not in an array of jobs (none of {known} is set). Give I/N.")

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{self.number}/{self.count}"


def _read_number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise OptionsError(f"shard auto: {name} is {text[:20]!r}, not a number. Give I/N.")
    return int(text)
