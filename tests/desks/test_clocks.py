"""Times of frames where a recorder's timestamps are rounded, wrong, or jump. The truth is arithmetic."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from ferflow.media.clock import MOST_STRAYS
from ferflow.media.video import Selection, open_video
from tests.desks.recorders import FPS, restamped, rounded_times

AWAY_S = 37_600.0


def read(path, **chosen):
    with open_video(path) as video:
        return [frame.time_s for frame in video.frames(Selection(**chosen))], video


def is_each(numbers):
    """Seconds of frames by number at a constant rate, as milliseconds have them."""
    return pytest.approx([number / FPS for number in numbers], abs=0.0011)


@pytest.mark.parametrize("suffix", ["mkv", "webm", "flv"])
@pytest.mark.parametrize("fps", [24, 30, 60])
def test_sampling_at_the_film_s_own_rate_keeps_all_frames_of_rounded_times(tmp_path, suffix, fps):
    path = rounded_times(tmp_path / f"a.{suffix}", fps=fps)
    with av.open(str(path)) as file:
        n_packets = sum(packet.size > 0 for packet in file.demux(video=0))
    times, _ = read(path, fps=float(fps))
    assert len(times) == n_packets == 90


@pytest.mark.parametrize("suffix", ["mkv", "flv"])
def test_sampling_at_half_the_rate_keeps_every_second_frame_of_rounded_times(tmp_path, suffix):
    times, _ = read(rounded_times(tmp_path / f"a.{suffix}"), fps=FPS / 2)
    assert times == is_each(range(0, 90, 2))


@pytest.mark.parametrize("n_stray", [1, 3, MOST_STRAYS])
@pytest.mark.parametrize("away_s", [AWAY_S, 5.0, -2.0])
def test_timestamps_that_jump_away_and_come_back_are_interpolated_and_counted(tmp_path, n_stray, away_s):
    strays = range(100, 100 + n_stray)
    path = restamped(tmp_path / "a.mkv", 300, lambda number: number / FPS + away_s * (number in strays))
    times, video = read(path)
    assert times == is_each(range(300))
    assert video.end_s == pytest.approx(10.0, abs=0.002)
    assert video.report.n_strays == n_stray
    assert video.report.gaps == []
    (warning,) = video.report.warnings
    assert warning.startswith(f"{n_stray} frame{'s' * (n_stray > 1)} had timestamps far from those")
    assert "first at 00:03.3" in warning


def test_several_strays_are_interpolated_each(tmp_path):
    strays = {50, 53, 54, 120, 299}
    times, video = read(
        restamped(tmp_path / "a.mkv", 300, lambda number: number / FPS + AWAY_S * (number in strays))
    )
    # The last one cannot come back: it is a jump, and time continues there.
    assert times == is_each(range(300))
    assert video.report.n_strays == 4
    assert [gap.jump_s for gap in video.report.gaps] == [pytest.approx(AWAY_S + 1 / FPS, abs=0.002)]


@pytest.mark.parametrize("away_s", [3600.0, -3.0])
def test_a_clock_that_was_set_is_a_gap_with_its_length_and_no_hours_of_bins(tmp_path, away_s):
    path = restamped(tmp_path / "a.mkv", 300, lambda number: 5 + number / FPS + away_s * (number >= 150))
    times, video = read(path)
    assert times == is_each(range(300))
    (gap,) = video.report.gaps
    assert gap.jump_s == pytest.approx(away_s + 1 / FPS, abs=0.002)
    assert (gap.start_s, gap.end_s) == pytest.approx((149 / FPS, 5.0), abs=0.002)
    assert ("ahead" if away_s > 0 else "back") in video.report.warnings[0]


def test_a_picture_that_is_held_for_minutes_is_no_jump(tmp_path):
    path = restamped(tmp_path / "a.mkv", 60, lambda number: number / FPS + 300 * (number >= 30))
    times, video = read(path)
    assert np.diff(times).max() == pytest.approx(300 + 1 / FPS, abs=0.002)
    assert video.report.gaps == []
    assert video.report.warnings == []


@pytest.mark.parametrize("fps", [30.0, 5.0])
def test_sampling_sees_the_same_times_where_timestamps_jump(tmp_path, fps):
    strays = {40, 41}

    def stamp(number: int) -> float:
        return number / FPS + AWAY_S * (number in strays) + 3600 * (number >= 150)

    path = restamped(tmp_path / "a.mkv", 300, stamp)
    every, _ = read(path)
    sampled, video = read(path, fps=fps)
    assert set(sampled) <= set(every)
    assert len(sampled) == pytest.approx(10 * fps, abs=1)
    assert video.report.n_strays == 2


def test_a_transport_stream_that_pauses_is_a_gap(tmp_path):
    path = tmp_path / "a.ts"
    with av.open(str(path), "w", format="mpegts") as file:
        stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 25)
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number + 25 * 20 * (number >= 50), Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    times, video = read(path)
    assert times == pytest.approx([number / 25 for number in range(100)], abs=0.001)
    assert [round(gap.jump_s) for gap in video.report.gaps] == [20]
