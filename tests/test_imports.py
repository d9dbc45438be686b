"""What importing ferflow loads, and what it hands on. The direction of imports is held by `make lint`."""

from __future__ import annotations

import subprocess
import sys

import pytest


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


def test_a_run_without_pages_does_not_load_what_makes_them(tmp_path, face_video):
    code = (
        "import sys, ferflow\n"
        f"report = ferflow.run([{str(face_video)!r}], {str(tmp_path / 'out')!r}, pages=False)\n"
        "print(report.exit_code, [name for name in sys.modules if 'dashboards' in name or name == 'jinja2'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_importing_the_package_loads_nothing_heavy():
    assert heavy_modules_after("import ferflow") == set()


def test_the_public_names_are_the_documented_ones():
    import ferflow

    for name in ferflow.__all__:
        assert getattr(ferflow, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        ferflow.nonsense  # noqa: B018
