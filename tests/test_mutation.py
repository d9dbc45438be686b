"""The faults that `make mutants` draws, and that one run tells killed from surviving."""

from __future__ import annotations

import pytest

pytest.importorskip("coverage", reason="needs pytest-cov")

from tests.mutation.__main__ import try_mutant
from tests.mutation.mutants import constants_at, is_in_function, mutants_of

SOURCE = '''"""Words 1 + 1."""
LIMIT: int = 3

def is_large(a: float, b: float = 0.5) -> bool:
    """True if 1 < 2."""
    if not a:
        raise ValueError(f"{a} < 1")
    return a + 1 < min(b, LIMIT) and a is not None
'''


def test_operators_numbers_and_names_are_exchanged_one_at_a_time_and_words_are_not():
    found = [(mutant.line, mutant.before, mutant.after) for mutant in mutants_of(SOURCE)]
    expected = [
        (2, "3", "4"), (4, "0.5", "0.75"), (6, "not a", "(a)"), (8, "+", "-"), (8, "1", "2"), (8, "<", "<="),
        (8, "and", "or"), (8, "is not", "is"), (8, "min", "max"),
    ]  # fmt: skip
    assert sorted(found) == sorted(expected)


def test_what_runs_on_import_and_what_runs_in_a_call_are_told_apart():
    source = "A, B = 1, 2\nclass Some:\n    field: int = 3\n    def method(self, n=4):\n        return n\n"
    assert [constants_at(source, line) for line in (1, 3)] == [["A", "B"], []]
    assert [is_in_function(source, line) for line in range(1, 6)] == [False, False, False, False, True]


def test_neither_checks_nor_guards_against_zero_are_exchanged():
    places = [one.before for one in mutants_of("c = zip(a, b, strict=True)\nd = max(b, 1e-9)\n")]
    assert places == ["max"]


def test_a_mutant_differs_in_its_place_only():
    for mutant in mutants_of(SOURCE):
        changed = mutant.apply(SOURCE)
        assert changed[: mutant.start] == SOURCE[: mutant.start]
        assert changed[mutant.start :] == mutant.after + SOURCE[mutant.end :]


@pytest.mark.slow
def test_a_test_that_notices_kills_and_one_that_does_not_lets_survive(tmp_path, monkeypatch):
    source = "def double(number):\n    return number * 2\n"
    (tmp_path / "root").mkdir()
    (tmp_path / "tree").mkdir()
    test = (
        "from code_under_test import double\n"
        "def test_it_is_a_number(): assert double(2) is not None\n"
        "def test_it_is_twice(): assert double(3) == 6\n"
        "def test_that_fails_in_the_copy(): assert double is None\n"
    )
    for folder in (tmp_path / "root", tmp_path / "tree"):
        (folder / "code_under_test.py").write_text(source)
        (folder / "test_code.py").write_text(test)
    monkeypatch.setattr("tests.mutation.__main__.ROOT", tmp_path / "root")
    (mutant,) = [one for one in mutants_of(source) if one.before == "*"]
    tests = [f"test_code.py::{name}" for name in ("test_it_is_a_number", "test_it_is_twice")]
    killed = try_mutant("code_under_test.py", mutant, tests, tmp_path / "tree", 60)
    assert (killed.outcome, killed.by) == ("killed", "test_code.py::test_it_is_twice")
    survived = try_mutant("code_under_test.py", mutant, tests[:1], tmp_path / "tree", 60)
    assert survived.outcome == "survived"
    broken = [tests[0], "test_code.py::test_that_fails_in_the_copy"]
    assert try_mutant("code_under_test.py", mutant, broken, tmp_path / "tree", 60).outcome == "survived"
    killed = try_mutant("code_under_test.py", mutant, [*broken, tests[1]], tmp_path / "tree", 60)
    assert (killed.outcome, killed.by) == ("killed", tests[1])
    assert try_mutant("code_under_test.py", mutant, [], tmp_path / "tree", 60).outcome == "unreached"
    assert (tmp_path / "tree" / "code_under_test.py").read_text() == source
