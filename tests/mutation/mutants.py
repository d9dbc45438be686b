"""Every mutant of a module: one operator, number or word exchanged at one place.

>>> mutants_of("a < b")[0].describe()
'line 1, column 3: < becomes <='
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_COMPARE: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}  # fmt: skip
_BINARY: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"), ast.Pow: ("**", "*"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"),
}  # fmt: skip
_NAMES = {
    "min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor", "minimum": "maximum",
    "maximum": "minimum", "first": "last", "nanmin": "nanmax", "nanmax": "nanmin", "argmin": "argmax",
    "argmax": "argmin",
}  # fmt: skip
_QUIET = {"debug", "info", "warning", "error"}
"""Methods of loggers: what they say decides no number."""


_LEAST_NUMBER = 1e-5
"""Smaller ones only keep a division from failing, or a rounded number on its side of a bound."""
_CHECKS = {"strict", "copy"}
"""Arguments that change no result: they raise where lengths differ, or save a copy."""


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """A replacement in the source of one module; offsets count UTF-8 bytes."""

    line: int
    column: int
    """From 1, in bytes."""
    start: int
    end: int
    before: str
    after: str

    def describe(self) -> str:
        """In a few words."""
        return f"line {self.line}, column {self.column}: {self.before} becomes {self.after}"

    def apply(self, source: str) -> str:
        """The source with the fault."""
        content = source.encode()
        return (content[: self.start] + self.after.encode() + content[self.end :]).decode()


def mutants_of(source: str) -> list[Mutant]:
    """All mutants of a source, in order; those that no longer compile are left out."""
    place = _Places(source)
    found = {mutant for node in _nodes(ast.parse(source)) for mutant in _mutate(node, place)}
    return sorted(mutant for mutant in found if _compiles(mutant.apply(source)))


def constants_at(source: str, line: int) -> list[str]:
    """Names of the module's constants that are assigned in a line; such lines run on import, before any test."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno <= line <= (node.end_lineno or line):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return []


def is_in_function(source: str, line: int) -> bool:
    """Whether a line runs in a call; defaults of parameters and fields are computed on import."""
    return any(
        node.body[0].lineno <= line <= (node.end_lineno or line)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
    )


class _Places:
    """From lines and columns to offsets of bytes."""

    def __init__(self, source: str) -> None:
        self.content = source.encode()
        lines = self.content.splitlines(keepends=True)
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def between(self, left: ast.expr, right: ast.expr, before: str, after: str) -> Iterator[Mutant]:
        """The operator between two operands."""
        start, end = self.end(left), self.start(right)
        at = self.content.find(before.encode(), start, end)
        if at >= 0:
            yield self._make(at, at + len(before), before, after)

    def whole(self, node: ast.expr | ast.stmt, after: str) -> Iterator[Mutant]:
        start, end = self.start(node), self.end(node)
        yield self._make(start, end, self.content[start:end].decode(), after)

    def _make(self, start: int, end: int, before: str, after: str) -> Mutant:
        line = bisect_right(self._starts, start)
        return Mutant(line, start - self._starts[line - 1] + 1, start, end, before, after)


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes that decide something: no types, no messages, no decorators."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _decides_nothing(child):
                yield child
                yield from _nodes(child)


def _decides_nothing(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert):
        return True
    if isinstance(node, ast.keyword) and node.arg in _CHECKS:
        return True
    is_logged = (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _QUIET
    )
    is_type = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_logged or is_type or is_docstring


def _mutate(node: ast.AST, place: _Places) -> Iterator[Mutant]:  # noqa: C901 - one case per kind of node
    match node:
        case ast.Compare():
            operands = [node.left, *node.comparators]
            for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
                yield from place.between(left, right, *_COMPARE[type(operator)])
        case ast.BinOp() if type(node.op) in _BINARY:
            yield from place.between(node.left, node.right, *_BINARY[type(node.op)])
        case ast.BoolOp():
            words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in pairwise(node.values):
                yield from place.between(left, right, *words)
        case ast.UnaryOp(op=ast.Not()):
            yield from place.whole(node, f"({ast.unparse(node.operand)})")
        case ast.UnaryOp(op=ast.USub()):
            yield from place.whole(node, ast.unparse(node.operand))
        case ast.Constant(value=bool(value)):
            yield from place.whole(node, str(not value))
        case ast.Constant(value=int(value)):
            yield from place.whole(node, str(value + 1))
        case ast.Constant(value=float(value)) if abs(value) >= _LEAST_NUMBER or value == 0:
            yield from place.whole(node, repr(value * 1.5 + (0.5 if value == 0 else 0)))
        case ast.Name(id=name) if name in _NAMES:
            yield from place.whole(node, _NAMES[name])
        case ast.Attribute(attr=name) if name in _NAMES:
            yield from place.whole(node, f"{ast.unparse(node.value)}.{_NAMES[name]}")
        case ast.Continue():
            yield from place.whole(node, "break")
        case ast.Break():
            yield from place.whole(node, "continue")


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def read_mutants(path: Path) -> list[Mutant]:
    """All mutants of a module on disk."""
    return mutants_of(path.read_text(encoding="utf-8"))
