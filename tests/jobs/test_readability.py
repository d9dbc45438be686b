"""Disturbed portraits: what is done to them, and how readings are summed up."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferflow.jobs.benchmarks.readability import (
    Reading,
    blur,
    calibrate,
    compress,
    read,
    read_portraits,
    resize,
    smear,
    summarise,
)
from tests.conftest import portrait


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("portraits")
    for name in ("a_neutral", "a_happy"):
        cv2.imwrite(str(folder / f"{name}.jpg"), portrait()[:360, :360, ::-1])
    cv2.imwrite(str(folder / "b_happy.jpg"), np.full((360, 360, 3), 110, np.uint8))
    return folder


@pytest.fixture(scope="module")
def astronaut(folder, tools):
    return read_portraits(folder, tools)[0]


def test_photographs_without_a_face_are_dropped(folder, tools):
    assert [one.name for one in read_portraits(folder, tools)] == ["a_happy", "a_neutral"]


def test_a_smaller_face_is_cut_out_at_the_same_place(astronaut, tools):
    half = resize(astronaut, 0.5)
    assert half.luma.shape == (180, 180)
    assert half.face.xyxy == pytest.approx(astronaut.face.xyxy / 2)
    whole, small = (read([one], tools) for one in (astronaut, half))
    assert small.face_px == pytest.approx(whole.face_px / 2)
    assert small.expressiveness == pytest.approx(whole.expressiveness, abs=0.05)


def test_compression_keeps_the_face_where_it_is_and_loses_detail(astronaut):
    weak, strong = (compress([astronaut, astronaut], crf)[1] for crf in (5, 45))
    height, width = astronaut.luma.shape
    errors = [
        np.abs(one.luma[:height, :width].astype(float) - astronaut.luma).mean() for one in (weak, strong)
    ]
    assert errors[0] < 4 < errors[1] < 30
    assert weak.face is astronaut.face


def test_blur_and_movement_remove_detail_in_their_direction(astronaut):
    def detail(one, axis):
        return np.abs(np.diff(one.luma.astype(float), axis=axis)).mean()

    blurred, up, sideways = (
        blur(astronaut, 0.05),
        smear(astronaut, 0.1, vertical=True),
        smear(astronaut, 0.1, vertical=False),
    )
    assert detail(blurred, 0) < detail(astronaut, 0) / 2
    assert detail(up, 0) < detail(up, 1)
    assert detail(sideways, 1) < detail(sideways, 0)


def test_a_summary_counts_people_with_both_photographs():
    names = ["a_happy", "a_neutral", "b_happy", "b_neutral", "c_happy"]
    before = Reading(np.full(5, 30.0), np.arange(5.0), np.array([0.9, 0.1, 0.9, 0.1, 0.5]))
    now = Reading(np.full(5, 20.0), np.arange(5.0), np.array([0.8, 0.1, 0.4, 0.5, 0.5]))
    found = summarise(names, now, before)
    assert found.face_px == 20
    assert found.sharpness == pytest.approx((0.4, 2.0, 3.6))
    assert (found.neutral_expressive, found.happy_expressive, found.own_smile_above) == (0.5, 0.5, 0.5)
    assert found.change == pytest.approx((0.1 + 0 + 0.5 + 0.4 + 0) / 5)


def test_a_calibration_moves_both_faces_of_a_person_within_its_bound():
    names = ["a_neutral", "a_happy", "b_neutral", "b_happy"]
    # Log odds: a looks expressive at rest, b is more neutral than usual and smiles faintly.
    odds = np.array([1.0, 1.2, -4.0, -1.0])
    reading = Reading(np.zeros(4), np.zeros(4), 1 / (1 + np.exp(-odds)))
    before, after, little = (
        calibrate(names, reading, reading, bound, reference=-2.0) for bound in (0, 3, 0.5)
    )
    assert (before.neutral_expressive, before.happy_expressive) == (0.5, 0.5)
    # Shifts of 3 and -2: only the faint smile passes.
    assert (after.neutral_expressive, after.happy_expressive) == (0.0, 0.5)
    assert (little.neutral_expressive, little.happy_expressive) == (0.5, 0.5)
