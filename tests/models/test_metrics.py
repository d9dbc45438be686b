"""Scores against figures worked out by hand."""

import json

import numpy as np
import pytest

from ferflow.errors import OptionsError
from ferflow.models.metrics import calibration_error, evaluate, predict

NAMES = ("a", "b", "c")
PROBS = np.array(
    [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4]], np.float32
)
TRUTH = np.array([0, 1, 1, 1, 2])


def test_scores_equal_those_worked_out_by_hand():
    scores = evaluate(PROBS, TRUTH, NAMES)
    # predicted 0 0 1 1 0
    assert scores.confusion == [[1, 0, 0], [1, 2, 0], [1, 0, 0]]
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.top2_accuracy == pytest.approx(5 / 5)
    assert scores.per_class["a"].precision == pytest.approx(1 / 3)
    assert scores.per_class["b"].recall == pytest.approx(2 / 3)
    assert scores.per_class["b"].f1 == pytest.approx(0.8)
    assert scores.per_class["c"].support == 1
    assert scores.macro_recall == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert scores.macro_precision == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert scores.macro_f1 == pytest.approx((0.5 + 0.8 + 0) / 3)


def test_calibration_error_equals_the_one_worked_out_by_hand():
    # confidences 0.7 right, 0.6 wrong, 0.5 right, 0.8 right, 0.5 wrong; the two 0.5 share a bin: gap 0
    assert calibration_error(PROBS, TRUTH) == pytest.approx((0.3 + 0.6 + 0.2 + 0.0) / 5, abs=1e-6)


def test_sure_and_right_is_perfectly_calibrated():
    assert calibration_error(np.eye(3, dtype=np.float32), np.arange(3)) == 0


def test_a_class_nobody_shows_does_not_lower_the_macro_means():
    probs = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]], np.float32)
    scores = evaluate(probs, np.array([0, 1]), NAMES)
    assert scores.macro_recall == 1
    assert scores.per_class["c"].recall == 0


def test_rows_without_a_label_are_left_out_and_batches_keep_their_order():
    images = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 48, 48), np.uint8)
    probs = predict(lambda crops: PROBS[crops[:, 0, 0, 0]], images, batch=2)
    assert np.array_equal(probs, PROBS)
    scores = evaluate(probs, np.where(TRUTH == 2, -1, TRUTH), NAMES)
    assert scores.n == 4
    assert scores.accuracy == pytest.approx(3 / 4)
    assert scores.confusion == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]


def test_the_table_has_the_promised_keys_and_is_json():
    table = json.loads(json.dumps(evaluate(PROBS, TRUTH, NAMES).table()))
    promised = "n accuracy top2_accuracy macro_precision macro_recall macro_f1 per_class confusion ece"
    assert set(table) == {*promised.split(), "faces_per_second", "model"}


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(OptionsError):
        evaluate(PROBS, TRUTH[:3], NAMES)
    with pytest.raises(OptionsError):
        evaluate(PROBS[:0], TRUTH[:0], NAMES)
    with pytest.raises(OptionsError):
        evaluate(PROBS, np.full(5, -1), NAMES)
