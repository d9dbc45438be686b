"""The GPU benchmark, on the CPU: without a GPU, and with the CPU in the place of one."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from ferflow.faces.detections import Detections
from ferflow.jobs.benchmarks import gpu, gpu_columns
from ferflow.jobs.benchmarks.gpu_answers import Answers, compare
from ferflow.models.classifier import OnnxClassifier
from ferflow.system.runtime import CPU

GPU_COLUMNS = ["GPU float32", "GPU TF32", "GPU FP16"]


def read_table(printed: str) -> dict[str, dict[str, str]]:
    """Row -> column -> cell of the one table that was printed."""
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def number(cell: str) -> float:
    return float(cell.split()[0].rstrip(","))


@pytest.fixture
def cpu_as_gpu(monkeypatch):
    """All that runs on a GPU, on the CPU: it knows no TF32, and computes float16 networks."""
    monkeypatch.setattr(gpu_columns, "has_cuda", lambda: True)
    monkeypatch.setattr(gpu_columns, "list_providers", lambda tf32: (CPU,))
    monkeypatch.setattr("ferflow.models.classifier.available_cpus", lambda: 1)


def test_without_a_gpu_the_cpu_is_measured_and_the_other_cells_say_so(capsys):
    gpu.main(["--device", "cpu", "--quick"])
    printed = capsys.readouterr().out
    assert "GPU FP16: not used: --device cpu" in printed
    assert f"CPU: runs on {CPU}\n" in printed
    table = read_table(printed)
    assert list(table) == [
        "boxes, max difference / face height", "scores, max difference", "faces found by both, share",
        "logits, max difference", "probs, max difference", "equal labels, share",
        "detection, 180p (320x192), ms/frame", "classification, 1 a call, faces/s",
        "classification, 8 a call, faces/s", "pipeline, decoders: 1, frames/s", "pipeline, decoders: 2, frames/s",
    ]  # fmt: skip
    assert table["faces found by both, share"]["CPU"] == "1 (>= 0.9)"
    assert number(table["logits, max difference"]["CPU"]) > 0  # int8 against float32
    for label, cells in list(table.items())[6:]:
        assert number(cells["CPU"]) > 0, label
    assert {cell for row in table.values() for name, cell in row.items() if name != "CPU"} == {"no GPU"}


@pytest.mark.slow
def test_each_precision_has_a_column_and_float16_answers_differ_a_little(cpu_as_gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "QUICK", replace(gpu.QUICK, batches=(1,), decoders=()))
    gpu.main(["--quick"])
    printed = capsys.readouterr().out
    assert "TensorFlow FP16: not used: ONNX Runtime is used" in printed
    table = read_table(printed)
    for name in GPU_COLUMNS:
        assert all(number(row[name]) >= 0 for row in table.values())
    logits, boxes = table["logits, max difference"], table["boxes, max difference / face height"]
    assert number(logits["GPU float32"]) < 1e-4 < number(logits["GPU FP16"]) < 0.1
    assert number(boxes["GPU float32"]) == 0 < number(boxes["GPU FP16"])
    assert {row["TensorFlow FP16"] for row in table.values()} == {"not used"}


class Mislabelled(OnnxClassifier):
    """Its probabilities belong to other labels."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.roll(super().__call__(images), 1, axis=1)


class Shifted:
    """Its boxes lie a tenth of a face to the right."""

    def __init__(self, detector: object) -> None:
        self.detector, self.crop_side = detector, detector.crop_side

    def detect(self, frames: list, score: float | None = None) -> list[Detections]:
        found = self.detector.detect(frames, score)
        return [replace(each, xyxy=each.xyxy + (each.xyxy[:, 3:] - each.xyxy[:, 1:2]) / 10) for each in found]


@pytest.mark.parametrize(
    ("part", "wrong"),
    [("classifier", lambda tools: Mislabelled(tools.classifier.card, weights=tools.classifier.card.float_file)),
     pytest.param("detector", lambda tools: Shifted(tools.detector), marks=pytest.mark.slow)],
)  # fmt: skip
def test_a_wrong_answer_of_the_gpu_ends_the_command_with_an_error(
    part, wrong, cpu_as_gpu, monkeypatch, capsys
):
    def load(tf32, half, folder):
        tools = gpu_columns.load_reference()
        return replace(tools, **{part: wrong(tools)}) if tf32 else tools

    monkeypatch.setattr(gpu_columns, "load_on_cuda", load)
    monkeypatch.setattr(gpu, "list_speeds", lambda *_: [])
    with pytest.raises(SystemExit) as ended:
        gpu.main(["--quick"])
    assert ended.value.code not in (None, 0)
    lines = str(ended.value.code).splitlines()
    assert lines[0] == "Wrong answers:"
    expected = {"classifier": {"probs, max difference", "equal labels, share"},
                "detector": {"boxes, max difference / face height"}}  # fmt: skip
    assert {line.split(": ")[1] for line in lines[1:]} == expected[part]
    assert {line.split(": ")[0] for line in lines[1:]} == {"GPU TF32"}
    assert "equal labels, share" in read_table(capsys.readouterr().out)


def test_differences_by_hand():
    box = np.array([[10, 10, 30, 50], [100, 10, 130, 50]], np.float32)
    marks = np.zeros((2, 5, 2), np.float32)
    right = Answers(
        [Detections(box, np.array([0.9, 0.8], np.float32), marks)],
        np.array([[1, 2], [3, 4]], np.float32), np.array([[0.4, 0.6], [0.3, 0.7]], np.float32),
    )  # fmt: skip
    # The second face first, 2 px lower; the other one is missing; a third one is new.
    moved = np.array([[100, 12, 130, 52], [300, 10, 330, 50]], np.float32)
    found = Answers(
        [Detections(moved, np.array([0.75, 0.9], np.float32), marks)],
        np.array([[1, 2], [3, 4.5]], np.float32), np.array([[0.55, 0.45], [0.3, 0.7]], np.float32),
    )  # fmt: skip
    differences = compare(right, found, gpu_columns.ELEVEN_BITS)
    assert [each.value for each in differences] == pytest.approx([2 / 40, 0.05, 1 / 2, 0.5, 0.15, 1 / 2])
    assert [each.is_wrong for each in differences] == [True, True, True, False, True, True]
    unknown = found._replace(probs=np.full((2, 2), np.nan, np.float32))
    assert compare(right, unknown, gpu_columns.ELEVEN_BITS)[4].is_wrong


def test_a_cell_without_time_says_so():
    assert gpu.time_classification(np.zeros((1, 48, 48, 1), np.uint8), 3, None, 0.0) == gpu.OUT_OF_TIME


def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(gpu_columns, "has_cuda", lambda: False)
    monkeypatch.setattr(gpu_columns, "make_classifier", _refuse)
    with pytest.raises(SystemExit, match="No GPU can be used"):
        gpu.main(["--device", "gpu", "--quick"])
    assert "TensorFlow FP16: not used: no GPU for TensorFlow" in capsys.readouterr().out


def _refuse(options: object) -> None:
    raise gpu_columns.OptionsError("no GPU for TensorFlow")


def test_a_missing_library_of_cuda_is_named(tmp_path):
    assert "libnowhere.so.12" in gpu_columns.find_missing_library(Path("libnowhere.so.12"))
    if sys.platform == "linux":
        (library, *_) = (Path(onnxruntime.__file__).parent / "capi").glob("*.so*")
        there = shutil.copy(library, tmp_path / "plugin.so")
        assert gpu_columns.find_missing_library(Path(there)) == ""
