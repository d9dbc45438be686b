"""Times of frames that come late, in bursts, again and without timestamps; by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from ferflow.jobs.live.stream_clock import StreamClock


def times(*frames: tuple[float | None, float]) -> list[float]:
    clock = StreamClock()
    return [float(clock.time(pts, now)) for pts, now in frames]


def test_time_follows_the_timestamps_and_not_the_moment_of_arrival():
    assert times((100.0, 7.0), (100.04, 7.3), (100.08, 7.31)) == [0.0, 0.04, 0.08]


def test_frames_without_timestamps_have_the_time_of_their_arrival():
    assert times((None, 7.0), (None, 7.25), (None, 8.0)) == [0.0, 0.25, 1.0]


@pytest.mark.parametrize("jump", [3600.0, -50.0])
def test_where_timestamps_jump_time_goes_on_by_the_clock_of_the_machine(jump):
    found = times((100.0, 7.0), (100.5, 7.5), (101.0 + jump, 8.0), (101.5 + jump, 8.5))
    assert found == [0.0, 0.5, 1.0, 1.5]


def test_after_a_reconnection_the_time_without_a_source_has_passed():
    clock = StreamClock()
    clock.time(10.0, 100.0)
    clock.interrupt()
    assert [float(clock.time(0.0, 130.0)), float(clock.time(0.5, 130.6))] == [30.0, 30.5]


def test_time_always_advances():
    found = times((1.0, 5.0), (1.0, 5.0), (0.9, 5.0), (1.2, 5.2))
    assert found == sorted(set(found))


def test_a_frame_that_waited_in_a_queue_was_there_earlier():
    clock = StreamClock()
    clock.time(0.0, 10.0)
    late = clock.time(Fraction(1), 11.5)  # half a second later than the first
    assert clock.moment(late, 11.5) == pytest.approx(11.0)
    prompt = clock.time(Fraction(2), 12.0)
    assert clock.moment(prompt, 12.0) == pytest.approx(12.0)


def test_a_moment_is_never_in_the_future():
    clock = StreamClock()
    clock.time(0.0, 10.0)
    early = clock.time(1.0, 10.1)  # a burst
    assert clock.moment(early, 10.1) == 10.1
