"""What is stored of a face is what would be cut out of its frame."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ferflow.faces.detections import Detections
from ferflow.faces.looks import FrameLooks, Needs, StoredFrame, StoredLooks, face_key
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.regions import Region

ALL = Needs(patch=True, sample=True, picture=True)


def frame(*, gray: bool = False) -> Frame:
    numbers = np.random.default_rng(1)
    y = np.kron(numbers.integers(0, 255, (30, 40)), np.ones((8, 8))).astype(np.uint8)
    u, v = (np.kron(numbers.integers(60, 200, (15, 20)), np.ones((8, 8))).astype(np.uint8) for _ in range(2))
    return Frame(3, 120, Fraction(3, 25), Planes(y, None if gray else u, None if gray else v, False))


def faces() -> Detections:
    xyxy = np.array([[120, 60, 170, 120], [-10, 180, 60, 260], [260, 5, 318, 90]], np.float32)
    marks = (xyxy[:, None, :2] + np.random.default_rng(2).uniform(10, 40, (3, 5, 2))).astype(np.float32)
    marks[1] = np.nan
    return Detections(xyxy, np.array([0.9, 0.8, 0.4], np.float32), marks)


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("regions", [(), (Region(None, "20,10,290,220"),)])
def test_a_stored_look_is_the_one_of_the_frame(gray, regions):
    shown, found, looks = frame(gray=gray), faces(), FrameLooks(regions)
    stored = {face_key(found, row): looks.store(shown, found, row, ALL) for row in range(len(found))}
    gone = StoredFrame(
        3, 120, Fraction(3, 25), Planes(np.zeros((0, 0), np.uint8), None, None, True), looks=stored
    )
    order = np.array([2, 0, 1])
    for row, before in enumerate(order):
        look, again = looks.look(shown, found, before), StoredLooks().look(gone, found[order], row)
        assert np.array_equal(look.patch.luma, again.patch.luma)
        assert np.array_equal(look.patch.chroma, again.patch.chroma)
        for name in ("colour", "chromaticity", "n_samples"):
            assert np.array_equal(getattr(look.sample(), name), getattr(again.sample(), name))
        if np.isfinite(found.landmarks[before]).all():
            assert np.array_equal(
                looks.picture(shown, found, before), StoredLooks().picture(gone, found[order], row)
            )
    assert gray or any(one.sample().n_samples.any() for one in stored.values())


def test_only_what_is_needed_is_stored():
    shown, found, looks = frame(), faces(), FrameLooks()
    for name in ALL._fields:
        needs = Needs(*(field == name for field in ALL._fields))
        stored = looks.store(shown, found, 0, needs)
        given = (stored.patch_data, stored.colours_data, stored.picture_data)
        assert [data is not None for data in given] == list(needs)
    nothing = looks.store(replace(shown, planes=None), found, 0, Needs(False, False, False))
    with pytest.raises(AssertionError):
        nothing.sample()
