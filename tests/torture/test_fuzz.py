"""Spoilt inputs of every kind, in child processes: each ends in a result or in an error of ferflow's.

`FERFLOW_FUZZ_SEED` chooses other inputs; `python -m tests.torture.fuzz TARGET --seed S --case N` runs one again.
"""

from __future__ import annotations

import os

import pytest

from tests.torture.fuzz import fuzz
from tests.torture.targets import CONTROL, TARGETS

SEED = int(os.environ.get("FERFLOW_FUZZ_SEED", "20261124"))
READERS = [name for name in TARGETS if name != CONTROL]
MOST_MIB = 1024


def assert_clean(name: str, n: int) -> None:
    found = fuzz(name, SEED, n)
    print(f"{found.n_cases} cases of {name}, seed {SEED}, peak {found.peak_mib} MiB")
    assert found.wrong == []
    assert found.n_cases == n
    assert 0 < found.peak_mib < MOST_MIB


@pytest.mark.parametrize("name", READERS)
def test_spoilt_inputs_end_in_a_result_or_an_error_of_ours(name):
    assert_clean(name, 300 if name == "video" else 100)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "n"), [(name, 10_000 if name == "video" else 2_000) for name in READERS])
def test_ten_thousand_spoilt_videos_and_many_others(name, n):
    assert_clean(name, n)


@pytest.mark.slow
def test_the_loop_notices_death_silence_and_foreign_errors_and_goes_on():
    """Cases 2, 4 and 6 of every eight die, hang and raise; the others are fine."""
    found = fuzz(CONTROL, SEED, 10, per_child=4, seconds=5)
    assert [line.split(": ")[0] for line in found.wrong] == [
        f"control --seed {SEED} --case {n}" for n in (2, 4, 6)
    ]
    assert [
        word in line for word, line in zip(("ended by -6", "hangs", "KeyError"), found.wrong, strict=True)
    ] == [True] * 3
    assert found.n_cases == 10
