"""What is written can be read again: times, colours, sound, and no half file."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ferflow.errors import VideoError
from ferflow.media.encode import EncodedSamples, VideoSettings, open_video_writer

SETTINGS = VideoSettings(size=(64, 48))


def plain(level: int) -> np.ndarray:
    return np.full((48, 64, 3), level, np.uint8)


def test_uneven_times_are_kept(tmp_path):
    times = [Fraction(0), Fraction(1, 25), Fraction(1, 10), Fraction(7, 3), Fraction(5, 2)]
    with open_video_writer(path := tmp_path / "a.mp4", SETTINGS) as writer:
        for number, time_s in enumerate(times):
            writer.write(plain(40 * number), time_s)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert [frame.pts * frame.time_base for frame in frames] == pytest.approx(times, abs=1 / 90_000)
    assert [round(frame.to_ndarray(format="gray").mean() / 40) for frame in frames] == [0, 1, 2, 3, 4]


def test_of_two_pictures_at_one_time_the_first_is_kept(tmp_path):
    with open_video_writer(path := tmp_path / "a.mp4", SETTINGS) as writer:
        for level, time_s in ((50, 0), (200, 0), (100, 1)):
            writer.write(plain(level), Fraction(time_s))
    with av.open(str(path)) as container:
        levels = [frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)]
    assert levels == pytest.approx([50, 100], abs=3)


def test_colours_are_tagged_and_come_back(tmp_path):
    colour = np.tile(np.array([30, 160, 220], np.uint8), (48, 64, 1))
    with open_video_writer(path := tmp_path / "a.mp4", VideoSettings(size=(64, 48), crf=10)) as writer:
        writer.write(colour, Fraction(0))
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
        assert (frame.colorspace, frame.color_range) == (6, 1)
        assert np.abs(frame.to_ndarray(format="bgr24").astype(int) - colour).max() <= 4


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_lasts_as_long_as_the_pictures_and_no_longer(tmp_path, channels):
    samples = np.full((channels, 5 * 48_000), 0.5, np.float32)
    with open_video_writer(
        path := tmp_path / "a.mp4", SETTINGS, EncodedSamples(samples, rate=48_000)
    ) as writer:
        for number in range(50):
            writer.write(plain(number), Fraction(number, 25))
    with av.open(str(path)) as container:
        n_samples = sum(frame.samples for frame in container.decode(audio=0))
    assert 0 <= n_samples - 2 * 48_000 <= 4 * 1024


def test_sound_and_pictures_are_interleaved(tmp_path):
    samples = np.zeros((2, 4 * 48_000), np.float32)
    with open_video_writer(
        path := tmp_path / "a.mp4", SETTINGS, EncodedSamples(samples, rate=48_000)
    ) as writer:
        for number in range(100):
            writer.write(plain(number), Fraction(number, 25))
    with av.open(str(path)) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    first_half = kinds[: len(kinds) // 2]
    assert min(first_half.count("video"), first_half.count("audio")) > 30


def test_an_error_leaves_no_file_and_keeps_the_old_one(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def write_half():
        with open_video_writer(path, SETTINGS) as writer:
            writer.write(plain(0), Fraction(0))
            raise LookupError

    with pytest.raises(LookupError):
        write_half()
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_bytes() == b"old"


def test_a_picture_of_another_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="64, 48"), open_video_writer(tmp_path / "a.mp4", SETTINGS) as writer:
        writer.write(np.zeros((48, 62, 3), np.uint8), Fraction(0))


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ferflow.media.encode.VideoWriter._encode", fail)
    with (
        pytest.raises(VideoError, match="No space left"),
        open_video_writer(tmp_path / "a.mp4", SETTINGS) as writer,
    ):
        writer.write(plain(0), Fraction(0))
    assert list(tmp_path.iterdir()) == []


def test_the_same_pictures_give_the_same_file(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        with open_video_writer(tmp_path / name, SETTINGS) as writer:
            for number in range(20):
                writer.write(plain(number * 5), Fraction(number, 30))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="scheduling of Linux")
def test_an_encoder_leaves_every_thread_as_the_system_schedules_it(tmp_path):
    """As root, SVT-AV1 makes its threads, and the one that opens it, real-time ones."""
    settings = VideoSettings(size=(64, 48), codec="av1", crf=None)
    with open_video_writer(tmp_path / "a.mp4", settings) as writer:
        writer.write(np.full((48, 64, 3), 90, np.uint8), Fraction(0))
        threads = [int(path.name) for path in Path("/proc/self/task").iterdir()]
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
