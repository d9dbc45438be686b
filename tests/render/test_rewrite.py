"""A copy of a video has the frames, times, size, colours and sound of its source, as ffprobe and ffmpeg read both."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from ferflow.media.copied_audio import HELD_CODECS
from ferflow.media.video import open_video
from ferflow.options import TimePoint
from ferflow.render.rewrite import Rewrite, Stretch, rewrite
from tests.conftest import some_of
from tests.dashboards.browse import NEEDS_CHROMIUM
from tests.render.sources import (
    SOURCES,
    make_source,
    needs_ffmpeg,
    packet_hashes,
    pictures,
    plays,
    rotated,
    shown_times,
    streams,
)

pytestmark = needs_ffmpeg


class Nothing:
    """Changes no picture."""

    def paint(self, frame, picture) -> None:
        """See `rewrite.Painter`."""


def copy(source, target, *, stretch=None, **settings):
    """Copy a video; returns the file and what was warned of."""
    stretch = stretch or Stretch()
    wanted = Rewrite(target=target, is_part=not stretch.is_whole, **settings)
    with open_video(source) as video:
        for _ in rewrite(video, stretch.frames(video), wanted, Nothing()):
            pass
    return target, video.report.warnings


def sound_of(path):
    return [stream for stream in streams(path) if stream["codec_type"] == "audio"]


@pytest.mark.parametrize("name", some_of(list(SOURCES), 3))
def test_a_copy_has_the_frames_and_the_times_of_its_source(tmp_path, name):
    source = make_source(tmp_path, name)
    made, _ = copy(source, tmp_path / "copy.mp4")
    assert shown_times(made) == shown_times(source)
    (sound,) = sound_of(source) or [None]
    if sound is None:
        assert not sound_of(made)
    elif (
        sound["codec_name"] in HELD_CODECS and name != "stream.ts"
    ):  # there each packet has a header of the broadcast
        assert packet_hashes(made, "a:0") == packet_hashes(source, "a:0")
    else:
        (copied,) = sound_of(made)
        assert copied["codec_name"] == "aac"
        assert float(copied["duration"]) == pytest.approx(2.3, abs=0.06)


@pytest.mark.parametrize(
    "name", ["even.mp4", "half_rows.mp4", "ten_bit.mp4", "full_range.mp4", "odd.webm", "gray.mkv"]
)
def test_a_copy_looks_like_its_source(tmp_path, name):
    source = make_source(tmp_path, name)
    made, _ = copy(source, tmp_path / "copy.mp4", crf=8)
    size = (159, 119) if name == "odd.webm" else (160, 120)
    assert (streams(made)[0]["width"], streams(made)[0]["height"]) == size
    assert np.abs(pictures(made, size).astype(int) - pictures(source, size)).mean() < 4


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_video_is_shown_the_same_way(tmp_path, degrees):
    source = rotated(tmp_path, degrees)
    made, _ = copy(source, tmp_path / "copy.mp4", crf=8)
    size = (160, 120) if degrees == 180 else (120, 160)
    assert np.abs(pictures(made, size).astype(int) - pictures(source, size)).mean() < 4
    assert shown_times(made) == shown_times(source)


def test_pixels_that_are_not_square_stay_so(tmp_path):
    made, _ = copy(make_source(tmp_path, "wide_pixels.mp4"), tmp_path / "copy.mp4")
    assert streams(made)[0]["sample_aspect_ratio"] == "4:3"


def test_a_part_starts_at_zero_and_its_sound_ends_with_it(tmp_path):
    source = make_source(tmp_path, "uneven.mp4")
    every = shown_times(source)
    stretch = Stretch(start=TimePoint(seconds=0.5), end=TimePoint(seconds=1.25))
    made, _ = copy(source, tmp_path / "copy.mp4", stretch=stretch)
    inside = [time for time in every if Fraction(1, 2) <= time - every[0] < Fraction(5, 4)]
    assert shown_times(made) == [time - inside[0] for time in inside]
    sound = shown_times(made, "a:0")
    assert 0 <= sound[0] < Fraction(1, 20)
    assert Fraction(7, 10) < sound[-1] < Fraction(4, 5)
    hashes = packet_hashes(source, "a:0")
    copied = packet_hashes(made, "a:0")
    first = hashes.index(copied[0])
    assert copied == hashes[first : first + len(copied)]


@pytest.mark.parametrize("codec", ["h265", "vp9", "av1"])
def test_other_codecs_keep_frames_and_times(tmp_path, codec):
    source = make_source(tmp_path, "uneven.mp4")
    made, _ = copy(source, tmp_path / "copy.mp4", codec=codec)
    assert shown_times(made) == shown_times(source)
    assert streams(made)[0]["codec_name"] == {"h265": "hevc"}.get(codec, codec)


@NEEDS_CHROMIUM
@pytest.mark.slow
@pytest.mark.parametrize("name", SOURCES)
def test_a_copy_of_any_source_plays_in_a_browser(tmp_path, browser, name):
    made, _ = copy(make_source(tmp_path, name), tmp_path / "copy.mp4")
    assert plays(browser, made, tmp_path) > 1.9


def test_sound_that_mp4_does_not_hold_is_named(tmp_path):
    _, warnings = copy(make_source(tmp_path, "prores.mov"), tmp_path / "copy.mp4")
    assert warnings == ["1 stream of sound (pcm_s16le) encoded as AAC: MP4 does not hold it"]


def test_an_error_leaves_no_file(tmp_path):
    class Broken:
        def paint(self, frame, picture) -> None:
            raise ValueError("no paint")

    source, target = make_source(tmp_path, "even.mp4"), tmp_path / "copy.mp4"
    with open_video(source) as video, pytest.raises(ValueError, match="no paint"):
        for _ in rewrite(video, Stretch().frames(video), Rewrite(target=target), Broken()):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["even.mp4"]
