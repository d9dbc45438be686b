"""Which tests reach a line: from coverage with a context per test."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import coverage

from tests.mutation.mutants import Mutant, constants_at, is_in_function


@dataclass(slots=True)
class Reach:
    """Tests by file and line."""

    data: coverage.CoverageData
    seconds: dict[str, float]
    """How long each test took, set-up included."""
    _lines: dict[Path, dict[int, list[str]]] = field(default_factory=dict)
    _longest: dict[str, float] = field(default_factory=dict)
    """By file, of its tests: each of them may need what the longest one has set up."""

    @classmethod
    def load(cls, coverage_file: Path, durations: Path) -> Reach:
        """Read what a run with coverage left.

        Args:
            coverage_file: written by `pytest --cov --cov-context=test`.
            durations: lines of `SECONDS TEST`.
        """
        data = coverage.CoverageData(str(coverage_file))
        data.read()
        seconds: dict[str, float] = {}
        for line in durations.read_text().splitlines():
            taken, _, test = line.partition(" ")
            seconds[test] = seconds.get(test, 0.0) + float(taken)
        longest: dict[str, float] = {}
        for test, taken_s in seconds.items():
            file = test.partition("::")[0]
            longest[file] = max(longest.get(file, 0.0), taken_s)
        return cls(data, seconds, _longest=longest)

    def tests(self, path: Path, mutant: Mutant) -> list[str]:
        """Tests that reach a mutant: those of its module, of its room, then others; file by file, the fastest first."""
        lines, source = self._by_line(path), path.read_text(encoding="utf-8")
        found = set(lines.get(mutant.line, ()))
        # Coverage does not know for which test another thread works, nor what other modules do with a constant.
        found |= {test for test in self.seconds if _is_of_module(path, test)}
        if not is_in_function(source, mutant.line):
            names = "|".join(constants_at(source, mutant.line)) or "$^"
            uses = [n for n, text in enumerate(source.splitlines(), 1) if re.search(rf"\b({names})\b", text)]
            found |= {test for line in uses for test in lines.get(line, ())}
            if not found:  # used by other modules alone, or by all of this one
                found = {test for tests in lines.values() for test in tests}
        return sorted(found, key=lambda test: (_distance(path, test), *self._cost(test)))

    def _cost(self, test: str) -> tuple[float, str, float, str]:
        file = test.partition("::")[0]
        return self._longest.get(file, 0.0), file, self.seconds.get(test, 0.0), test

    def _by_line(self, path: Path) -> dict[int, list[str]]:
        if path not in self._lines:
            contexts = self.data.contexts_by_lineno(str(path))
            self._lines[path] = {
                line: [context.partition("|")[0] for context in names if "::" in context]
                for line, names in contexts.items()
            }
        return self._lines[path]


def _distance(path: Path, test: str) -> int:
    """0: a test of the module; 1: of its room; 2: another."""
    if _is_of_module(path, test):
        return 0
    return 1 if Path(test.partition("::")[0]).parent.name == path.parent.name else 2


def _is_of_module(path: Path, test: str) -> bool:
    """Whether a test is in the file of a module's tests, or in one that begins with its name."""
    file = Path(test.partition("::")[0])
    is_named = file.stem == f"test_{path.stem}" or file.stem.startswith(f"test_{path.stem}_")
    return is_named and file.parent.name == path.parent.name
