"""Keras, its backend or TensorFlow may be missing: one line says which and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WITHOUT = """
import sys

hidden = sys.argv.pop(1)

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
from ferflow.cli import main
main()
"""


@pytest.mark.parametrize(
    ("hidden", "backend", "reported"),
    [
        pytest.param(
            "keras",
            "tensorflow",
            "training needs TensorFlow. Run: pip install 'ferflow[train]'",
            marks=pytest.mark.slow,
        ),
        ("tensorflow", "tensorflow", "training needs TensorFlow. Run: pip install 'ferflow[train]'"),
        pytest.param("jax", "jax", "training needs the package jax", marks=pytest.mark.slow),
        pytest.param("nothing", "abacus", "Set KERAS_BACKEND=tensorflow", marks=pytest.mark.slow),
    ],
)
def test_training_without_keras_or_its_backend_says_what_to_install(hidden, backend, reported, tmp_path):
    if hidden not in ("keras", "tensorflow"):
        pytest.importorskip("keras", reason="needs ferflow[train]")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, hidden, "train", "faces.csv", "-o", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": backend},
        timeout=120,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert reported in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
