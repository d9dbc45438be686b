"""Every reader of texts, cards and footers, with spoilt inputs, in this process: each ends in time, in a result or in
an error of ferflow's.

`FERFLOW_FUZZ_SEED` chooses other inputs; `python -m tests.torture.fuzz TARGET --seed S --case N` runs one again.
"""

from __future__ import annotations

import os
import time

import pytest

from ferflow.errors import FerflowError
from tests.torture.fuzz import case_of
from tests.torture.targets import TARGETS

SEED = int(os.environ.get("FERFLOW_FUZZ_SEED", "20261130"))
READERS = [name for name in TARGETS if name not in ("video", "analysis", "still", "control")]
"""What native decoders read is in `tests.torture.test_fuzz`, in child processes."""
QUICK, ALL = 300, 10_000
MOST_SECONDS = 5
"""For one case; a hundred times what the slowest takes on an idle machine."""


def assert_readers_hold(name: str, n: int, folder) -> None:
    target, wrong = TARGETS[name], list[str]()
    path = folder / f"case{target.suffix}"
    for number in range(n):
        path.write_bytes(case_of(name, SEED, number))
        start = time.monotonic()
        try:
            target.read(path)
        except FerflowError as error:
            if "\n" in str(error) or len(str(error)) > 1500:
                wrong.append(f"{number}: a message of {len(str(error))} characters")
        except Exception as error:
            wrong.append(f"{number}: {type(error).__name__}: {error}"[:300])
        if (seconds := time.monotonic() - start) > MOST_SECONDS:
            wrong.append(f"{number}: took {seconds:.1f} s")
    print(f"{n} cases of {name}, seed {SEED}: {len(wrong)} wrong")
    assert wrong == []


@pytest.mark.parametrize("name", READERS)
def test_a_spoilt_text_ends_in_a_result_or_an_error_of_ours(name, tmp_path):
    assert_readers_hold(name, QUICK, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", READERS)
def test_ten_thousand_spoilt_texts_of_each_kind(name, tmp_path):
    assert_readers_hold(name, ALL, tmp_path)
