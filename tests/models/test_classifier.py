from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from ferflow.errors import ModelError, OptionsError
from ferflow.models.classifier import OnnxClassifier, make_classifier
from ferflow.models.registry import list_models, resolve
from ferflow.options import AnalyzeOptions
from tests.conftest import face_frames


def crops(count: int) -> np.ndarray:
    """Faces, shifted and lit in different ways, and plain noise."""
    rng = np.random.default_rng(3)
    gray = cv2.cvtColor(face_frames(1)[0], cv2.COLOR_RGB2GRAY)[30:210, 10:190]
    face = cv2.resize(gray, (56, 56), interpolation=cv2.INTER_AREA)
    images = rng.integers(0, 255, (count, 48, 48, 1), dtype=np.uint8)
    for number in range(0, count, 2):
        x, y = rng.integers(0, 8, 2)
        lit = face[y : y + 48, x : x + 48].astype(float) * rng.uniform(0.4, 1.2)
        images[number, ..., 0] = np.clip(lit, 0, 255)
    return images


@pytest.fixture(scope="module")
def onnx():
    return make_classifier(AnalyzeOptions(backend="onnx"))


def test_probabilities_are_rows_that_sum_to_one(onnx):
    probs = onnx(crops(9))
    assert probs.shape == (9, len(onnx.card.labels))
    assert probs.dtype == np.float32
    assert probs.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (probs >= 0).all()


def test_an_empty_batch_is_no_special_case(onnx):
    assert onnx(crops(0)).shape == (0, len(onnx.card.labels))


def test_answers_do_not_depend_on_the_batch(onnx):
    images = crops(20)
    together = onnx(images)
    apart = np.concatenate([onnx(images[i : i + 1]) for i in range(20)])
    assert together == pytest.approx(apart, abs=1e-5)


def test_the_same_weights_give_the_same_answers_in_both_backends(onnx):
    pytest.importorskip("tensorflow", reason="needs ferflow[train]")
    keras = make_classifier(AnalyzeOptions(backend="keras", device="cpu"))
    images = crops(65)
    assert keras.card.sha256 == onnx.card.sha256
    in_float = OnnxClassifier(onnx.card, weights=onnx.card.float_file)
    assert keras(images) == pytest.approx(in_float(images), abs=1e-3)
    assert keras(crops(0)).shape == (0, len(keras.card.labels))


@pytest.mark.parametrize("name", list_models())
def test_int8_keeps_to_its_float_twin(name):
    # 256 levels per activation cost up to a tenth on a face between two labels, and next to nothing on average.
    card = resolve(name)
    assert card.is_int8
    faces = crops(200)[::2]
    gap = np.abs(OnnxClassifier(card)(faces) - OnnxClassifier(card, weights="onnx_float")(faces))
    assert gap.mean() < 0.01
    assert gap.max() < 0.2


def test_a_missing_gpu_is_told_when_it_was_asked_for():
    tf = pytest.importorskip("tensorflow", reason="needs ferflow[train]")
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU here")
    with pytest.raises(OptionsError, match="no GPU"):
        make_classifier(AnalyzeOptions(device="gpu"))


def test_a_model_nobody_knows_is_refused_with_the_known_ones():
    with pytest.raises(ModelError, match="default"):
        make_classifier(AnalyzeOptions(model="nonsense"))


def test_the_cpu_path_never_imports_tensorflow():
    code = (
        "import sys\nfrom ferflow.models.classifier import make_classifier\n"
        "from ferflow.options import AnalyzeOptions\n"
        "make_classifier(AnalyzeOptions())\nprint([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_gpu_path_on_the_cpu_device_of_the_same_code(onnx):
    tf = pytest.importorskip("tensorflow", reason="needs ferflow[train]")
    from ferflow.models.classifier import KerasClassifier, OnnxClassifier

    images = crops(33)
    whole = OnnxClassifier(onnx.card, piece=None)
    assert whole(images) == pytest.approx(onnx(images), abs=1e-5)
    with tf.device("/CPU:0"):
        mixed = KerasClassifier(onnx.card, compute="mixed_float16")(images)
        plain = KerasClassifier(onnx.card)(images)
    assert mixed == pytest.approx(plain, abs=1e-2)
    assert not np.array_equal(mixed, plain)


def test_a_gpu_that_cannot_be_had_costs_one_line_and_no_result(onnx, monkeypatch, caplog):
    """A driver, an ONNX Runtime that says it has CUDA, and no CUDA: what a half-installed machine looks like."""
    monkeypatch.setattr("ferflow.models.classifier.has_nvidia_driver", lambda: True)
    monkeypatch.setattr("ferflow.models.classifier.has_cuda", lambda: True)
    classifier = make_classifier(AnalyzeOptions())
    assert classifier(crops(3)) == pytest.approx(onnx(crops(3)), abs=1e-6)
    (record,) = caplog.records
    assert "GPU not used" in record.message
    assert "\n" not in record.message


def test_onnx_on_a_gpu_is_refused_where_onnx_runtime_has_none(monkeypatch):
    monkeypatch.setattr("ferflow.models.classifier.has_cuda", lambda: False)
    with pytest.raises(OptionsError, match="onnxruntime-gpu"):
        make_classifier(AnalyzeOptions(backend="onnx", device="gpu"))
