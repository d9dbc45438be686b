"""Which room may look into which: arrows point one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A module may import what stands on its own level or above it in this list.
LEVELS = [
    {"ferflow", "errors", "files", "text", "cpus", "runtime"},
    {"options", "records", "failures", "usercsv"},
    {"machine", "folder", "faults", "tones"},
    {"planes", "sparing"},
    {"yunet_graph"},
    {"source"},
    {"sequence"},
    {"video", "sound", "prefetch", "inputs", "fingerprint"},
    {"faces", "sample"},
    {"yunet", "haar", "track", "pose", "cuts"},
    {"crops", "carry"},
    {"models"},
    {"classify"},
    {"pipeline", "load", "tally", "markers"},
    {"explain"},
    {"timeline"},
    {"summaries", "people", "sessions"},
    {"marked", "clips", "cohort"},
    {"tasks"},
    {"plan", "runfile"},
    {"progress", "events"},
    {"dashboards"},
    {"jobs"},
    {"doctor"},
    {"folder_checks"},
    {"cli", "__main__"},
]
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}

# Choices between implementations, made inside a function of the contract's own module.
KNOWN = {("faces", "yunet"), ("faces", "haar")}


def modules() -> list[tuple[str, Path]]:
    """(room or module, file) of everything that ships."""
    found = []
    for path in sorted(ROOT.glob("ferflow/**/*.py")):
        parts = path.relative_to(ROOT / "ferflow").parts
        name = parts[0].removesuffix(".py")
        found.append(("ferflow" if name == "__init__" else name, path))
    for room in ("jobs", "dashboards"):
        found += [(room, path) for path in sorted((ROOT / room).glob("*.py"))]
    return found


def imported(path: Path) -> set[str]:
    """Rooms and modules of ferflow that a file imports, anywhere in it, type checking apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            base = node.module or ""
            names |= {f"{base}.{alias.name}" for alias in node.names} if base == "ferflow" else {base}
    parts = [name.split(".") for name in names if name.split(".")[0] == "ferflow"]
    found = {part[1] if len(part) > 1 else "ferflow" for part in parts}
    return {name if name in LEVEL_OF else "ferflow" for name in found}


@pytest.mark.parametrize(("room", "path"), modules(), ids=lambda value: str(value).replace(f"{ROOT}/", ""))
def test_arrows_point_one_way(room, path):
    for other in imported(path):
        if (room, other) in KNOWN or room == "ferflow":
            continue
        assert LEVEL_OF[other] <= LEVEL_OF[room], f"{room} must not look into {other}"


def heavy_modules_after(statement: str) -> set[str]:
    """Which heavy packages a fresh process has loaded after a statement."""
    heavy = ("tensorflow", "keras", "plotly", "ray", "onnxruntime", "cv2", "pyarrow", "pandas", "av", "scipy")
    code = f"{statement}\nimport sys\nprint(*[m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()) if done.stdout.strip() else set()


def test_help_loads_nothing_heavy():
    ask = (
        "import sys; sys.argv = ['ferflow', 'analyze', '--help']\n"
        "from ferflow.cli import main\ntry: main()\nexcept SystemExit: pass"
    )
    assert heavy_modules_after(ask) == set()


def test_importing_the_package_loads_nothing_heavy():
    assert heavy_modules_after("import ferflow") == set()


def test_the_public_names_are_the_documented_ones():
    import ferflow

    for name in ferflow.__all__:
        assert getattr(ferflow, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        ferflow.nonsense  # noqa: B018
