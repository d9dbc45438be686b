"""Twins of a video: the pictures that they show, and how far apart their numbers are."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ferflow.jobs.benchmarks.twins import at_rate, drop_frames, read_frames, spread, write_twins
from ferflow.media.video import Selection, open_video
from tests.conftest import numbered_image, write_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds at 20 frames per second; the brightness of a picture tells its number."""
    images = [numbered_image(number) for number in range(40)]
    return write_video(tmp_path_factory.mktemp("twins") / "clip.mp4", images, pts=range(0, 2000, 50))


def shown(path) -> list[tuple[float, int]]:
    """Time and number of every picture."""
    with open_video(path) as video:
        return [
            (frame.time_s, round((frame.planes.to_full_range(frame.planes.y).mean() - 20) / 4))
            for frame in video.frames(Selection())
        ]


def number_at(pictures, time_s: float) -> int:
    return [number for start, number in pictures if start <= time_s + 1e-6][-1]


def test_a_twin_shows_at_every_multiple_of_its_step_what_the_clip_shows_then(clip):
    for rate in (5, 12, 50):
        found = [(time, frame.index) for time, frame in at_rate(read_frames(clip, 9), rate)]
        times = [time for time, _ in found]
        assert times == [Fraction(k, rate) for k in range(int(1.95 * rate) + 1)]
        # 1e-9: some of these times are times of the clip.
        assert [index for _, index in found] == [int(float(time) * 20 + 1e-9) for time in times]


def test_a_variable_rate_is_slow_in_every_other_second(clip):
    kept = [frame.index for frame in drop_frames(read_frames(clip, 9))]
    assert kept == [*range(20), 24, 30, 36]


def test_the_pair_shows_the_same_picture_at_all_times(clip, tmp_path):
    variable, constant = (
        shown(path) for path in write_twins(clip, tmp_path, seconds=9)["variable and constant"]
    )
    assert [number for _, number in variable] == [*range(20), 24, 30, 36]
    assert np.diff([time for time, _ in constant]) == pytest.approx(0.04)
    for time_s, number in constant:
        assert number == number_at(variable, time_s)


def test_only_the_first_seconds_are_used(clip):
    assert [frame.index for frame in read_frames(clip, 0.25)] == [0, 1, 2, 3, 4]


def test_the_spread_is_the_largest_difference_of_two():
    twins = [{"a": 0.1, "b": -1.0}, {"a": 0.3, "b": 1.0}, {"a": 0.2, "b": 0.0}]
    assert spread(twins) == pytest.approx({"a": 0.2, "b": 2.0})
