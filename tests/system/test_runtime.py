"""Keras, its backend or TensorFlow may be missing: one line says which and what to do."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ferflow.system.runtime import start_session, sums_overflow

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


def quantised_convolution(weight: int, channels: int) -> bytes:
    """A network that multiplies uint8 activations by one int8 weight and adds them up over the channels."""

    def scale(name: str) -> onnx.TensorProto:
        return numpy_helper.from_array(np.float32(1), name)

    weights = np.full((1, channels, 1, 1), weight, np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "one", "zero"], ["x8"]),
        helper.make_node("DequantizeLinear", ["x8", "one", "zero"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w8", "one_w", "zero_w"], ["wf"]),
        helper.make_node("Conv", ["xf", "wf"], ["sum"]),
        helper.make_node("QuantizeLinear", ["sum", "step", "zero"], ["y8"]),
        helper.make_node("DequantizeLinear", ["y8", "step", "zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "sums",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, channels, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            scale("one"), scale("one_w"), numpy_helper.from_array(np.float32(channels * 127), "step"),
            numpy_helper.from_array(np.uint8(0), "zero"), numpy_helper.from_array(np.int8(0), "zero_w"),
            numpy_helper.from_array(weights, "w8"),
        ],
    )  # fmt: skip
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()


def assert_sums_are_exact() -> None:
    """Two products of 255 and 127 need 17 bits; some instructions of older x86 processors keep 16."""
    channels = 64
    session = start_session(quantised_convolution(127, channels))
    for activation in (100, 255):
        (sums,) = session.run(None, {"x": np.full((1, channels, 4, 4), activation, np.float32)})
        assert np.unique(sums / (channels * 127)).tolist() == [activation]


def test_sums_of_int8_products_are_exact_on_this_processor():
    assert_sums_are_exact()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="an emulated CPU of another kind")
def test_sums_of_int8_products_are_exact_on_a_processor_without_vnni():
    """QEMU emulates AVX2, and no VNNI."""
    qemu = shutil.which("qemu-x86_64")
    if qemu is None:
        pytest.skip("qemu-user is not installed")
    program = (
        "from ferflow.system.runtime import sums_overflow; assert sums_overflow(); "
        "from test_runtime import assert_sums_are_exact; assert_sums_are_exact(); print('exact')"
    )
    done = subprocess.run(
        [qemu, "-cpu", "max", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "exact", done.stderr


def test_processors_with_vnni_take_the_quick_way():
    """The other way takes them 2.5 times as long."""
    flags = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not flags.exists():
        pytest.skip("the system does not say what the processor can do")
    assert sums_overflow() is ("vnni" not in flags.read_text())
