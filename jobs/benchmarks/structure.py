"""The structure of the code: how many modules there are, how deep the imports go, how long functions are.

    python -m ferflow.jobs.benchmarks.structure [CHECKOUT]

Reads the Python files that ship (`ferflow/`, `jobs/`, `dashboards/`) as text; nothing of them is run. The table in
docs/design.md was made by this command on the commits named there.
"""

from __future__ import annotations

import argparse
import ast
import io
import math
import re
import statistics
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOMS = ("ferflow", "jobs", "dashboards")
BESIDE_THE_PACKAGE = ("jobs", "dashboards")
"""Folders of a checkout that are installed inside the package."""
LONG_SIGNATURE = 5

_UNTYPED = re.compile(r"(dict|Mapping)\[str, (Any|object)\]")


@dataclass(frozen=True, slots=True)
class Module:
    """One file."""

    name: str
    """Dotted, as installed."""
    path: Path
    tree: ast.Module
    text: str


def modules_of(checkout: Path) -> list[Module]:
    """Every module that ships, by name."""
    found = []
    for room in ROOMS:
        for path in sorted((checkout / room).rglob("*.py")):
            parts = path.relative_to(checkout).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            name = f"ferflow.{name}" if room in BESIDE_THE_PACKAGE else name
            text = path.read_text(encoding="utf-8")
            found.append(Module(name, path, ast.parse(text), text))
    return found


def imports_of(module: Module, names: set[str], *, at_load: bool = False) -> set[str]:
    """Modules of this project that a module imports.

    Args:
        module: the importer; its relative imports are resolved.
        names: all modules there are.
        at_load: leave out what is imported inside functions and for type checking.
    """
    found = set()
    for node in ast.walk(module.tree) if not at_load else module.tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {name for name in found & names if name not in ("ferflow", module.name)}


def _base(module: Module, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package


def circles_in(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import one another in a loop (strongly connected components, Tarjan, 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in order:
            visit(name)
    return found


def levels_of(graph: Mapping[str, set[str]]) -> int:
    """Length of the longest chain of imports, in modules; a circle counts as one."""
    circle_of = {name: min(group) for group in circles_in(graph) for name in group}
    merged: dict[str, set[str]] = {}
    for name, others in graph.items():
        merged.setdefault(circle_of.get(name, name), set()).update(circle_of.get(one, one) for one in others)

    @cache
    def level(name: str) -> int:
        return 1 + max((level(other) for other in merged[name] if other != name), default=0)

    return max(map(level, merged))


def rooms_of(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The graph of rooms: a folder of the package, or a file in its root, with the rooms that it imports."""
    rooms: dict[str, set[str]] = {}
    for name, others in graph.items():
        if name == "ferflow":  # its __init__ only names what it hands on
            continue
        room = _room(name)
        rooms.setdefault(room, set()).update(_room(other) for other in others if _room(other) != room)
    return rooms


def _room(name: str) -> str:
    return ".".join(name.split(".")[:2])


def functions_of(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function is a command, whose signature is a list of options."""
    return any("Annotated" in ast.unparse(argument.annotation or ast.Constant(0))
               for argument in [*function.args.args, *function.args.kwonlyargs])  # fmt: skip


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the last statement, without the docstring."""
    has_docstring = ast.get_docstring(function) is not None
    docstring = function.body[0] if has_docstring else None
    inside = (docstring.end_lineno or 0) - docstring.lineno + 1 if docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - inside


def untyped_dictionaries(module: Module) -> int:
    """How often a dictionary of unknown content stands in a signature or as the type of a field."""
    count = 0
    for node in ast.walk(module.tree):
        annotations = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            annotations = [node.returns, *(argument.annotation for argument in arguments)]
        elif isinstance(node, ast.ClassDef):
            annotations = [part.annotation for part in node.body if isinstance(part, ast.AnnAssign)]
        texts = [ast.unparse(one) for one in annotations if one is not None]
        count += sum(bool(_UNTYPED.search(text)) for text in texts)
    return count


def counted_lines(module: Module) -> tuple[int, int, int]:
    """(lines of code, of comments alone on their line, of docstrings)."""
    docstrings = _docstring_lines(module.tree)
    code, comments = set[int](), set[int]()
    layout = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in layout:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings), len(comments - code), len(docstrings)


def import_lines(module: Module) -> int:
    """Lines taken by imports; longer paths and more modules make more of them."""
    nodes = [node for node in ast.walk(module.tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes)


def _docstring_lines(tree: ast.Module) -> set[int]:
    """Lines of texts that stand alone: docstrings, and those under fields and constants."""
    texts = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return {line for text in texts for line in range(text.lineno, (text.end_lineno or text.lineno) + 1)}


def figures(checkout: Path) -> dict[str, str]:
    """What is measured, by its title."""
    modules = modules_of(checkout)
    names = {module.name for module in modules}
    graph = {module.name: imports_of(module, names) for module in modules}
    loaded = {module.name: imports_of(module, names, at_load=True) for module in modules}
    functions = [function for module in modules for function in functions_of(module)]
    lengths = [lines_of(function) for function in functions if not is_command(function)]
    wide = [
        function
        for function in functions
        if not is_command(function) and _n_parameters(function) > LONG_SIGNATURE
    ]
    code, comments, docstrings = (sum(column) for column in zip(*map(counted_lines, modules), strict=True))
    return {
        "modules": str(len(modules)),
        "files in the root of the package": str(len(list((checkout / "ferflow").glob("*.py")))),
        "rooms: folders of the package and files in its root": str(len(rooms_of(graph))),
        "longest chain of imports, rooms": str(levels_of(rooms_of(graph))),
        "circles of imports between rooms": str(len(circles_in(rooms_of(graph)))),
        "longest chain of imports, modules": str(levels_of(graph)),
        "circles of imports between modules, imports inside functions included": str(len(circles_in(graph))),
        "circles of imports between modules when loaded": str(len(circles_in(loaded))),
        "lines of code, without comments and docstrings": str(code),
        "of these, lines of imports": str(sum(map(import_lines, modules))),
        "lines of docstrings": str(docstrings),
        "comment lines per 100 lines of code": f"{100 * comments / code:.1f}",
        "`dict[str, Any]` or `object` in signatures and fields": str(sum(map(untyped_dictionaries, modules))),
        "functions: median / 95th percentile / longest, lines": f"{statistics.median(lengths):.0f} / "
        f"{sorted(lengths)[math.ceil(0.95 * len(lengths)) - 1]} / {max(lengths)}",
        f"functions with more than {LONG_SIGNATURE} parameters": f"{100 * len(wide) / len(functions):.1f} %",
    }


def _n_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return sum(argument.arg not in ("self", "cls") for argument in arguments)


def main(arguments: list[str] | None = None) -> None:
    """Print the figures as a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", type=Path, nargs="?", default=Path())
    chosen = parser.parse_args(arguments)
    for title, figure in figures(chosen.checkout).items():
        print(f"{title:72} {figure}")


if __name__ == "__main__":
    main()
