"""Frames of a stretch of a video, and their pictures in colour."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from ferflow.errors import DecodeError
from ferflow.media.planes import Planes
from ferflow.media.video import Selection, open_video
from tests.conftest import numbered_image, write_video
from tests.torture import wreck
from tests.torture.films import film


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """60 frames, a key frame every tenth, steps of 20 to 61 ms, the first one at 5 s of the file's clock."""
    pts = (5000 + np.cumsum([0, *([40, 20, 61, 33] * 15)])[:60]).tolist()
    return write_video(
        tmp_path_factory.mktemp("uneven") / "v.mkv", [numbered_image(n % 50) for n in range(60)], pts=pts
    )


def exact(frames) -> list[tuple[int, Fraction, bytes]]:
    return [(frame.pts, frame.time, frame.planes.y.tobytes()) for frame in frames]


@pytest.mark.parametrize(("start", "end"), [("0", "0.1"), ("0.9", "1.7"), ("1.001", "1.002"), ("2", "99")])
def test_a_stretch_has_the_frames_of_the_whole_video_and_begins_with_the_one_shown_then(uneven, start, end):
    with open_video(uneven) as video:
        every = exact(video.frames(Selection()))
    with open_video(uneven) as video:
        frames = list(video.frames_between(Fraction(start), Fraction(end)))
    part = exact(frames)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    shown = max(time for _, time, _ in every if time <= Fraction(start))
    assert part == [frame for frame in every if shown <= frame[1] <= Fraction(end)]


def test_what_lies_before_the_key_frame_is_not_decoded(uneven):
    with open_video(uneven) as video:
        assert video.origin_s() == 5
        events, decode = [], video.source.decode
        video.source.decode = lambda pts=None: (events.append(event) or event for event in decode(pts))
        frames = list(video.frames_between(Fraction("1.9"), Fraction("2.0")))
    assert len(frames) <= 4
    assert len(events) <= len(frames) + 11  # back to the key frame, and one beyond the end


def test_a_video_can_be_read_whole_after_a_part_of_it(uneven):
    with open_video(uneven) as video:
        every = exact(video.frames(Selection()))
    with open_video(uneven) as video:
        video.origin_s()
        list(video.frames_between(Fraction(1), Fraction("1.1")))
        assert exact(video.frames(Selection())) == every


def test_a_damaged_stretch_is_read_from_its_own_key_frame_with_any_number_of_threads(tmp_path):
    wreck.bits_flipped(film("libx264", "yuv420p", n=60, gop=10), 7, n=30, start=0.3, stop=0.9)(
        path := tmp_path / "a.mkv"
    )
    seen = set()
    for threads in (1, 2, None):
        with open_video(path, threads=threads) as video:
            seen.add(tuple(exact(video.frames_between(Fraction("1.0"), Fraction("2.2")))))
    (frames,) = seen
    assert len(frames) > 5
    assert all(time <= Fraction("2.2") for _, time, _ in frames)


def test_a_stretch_of_a_stream_without_timestamps_is_read_from_the_start(tmp_path):
    path = write_video(tmp_path / "a.h264", [numbered_image(n) for n in range(50)])
    with open_video(path) as video:
        every = exact(video.frames(Selection()))
    with open_video(path) as video:
        part = exact(video.frames_between(Fraction(1), Fraction("1.2")))
    assert part == [frame for frame in every if 1 <= frame[1] <= Fraction("1.2")]


def test_times_are_exact(tmp_path):
    path = write_video(
        tmp_path / "a.mkv", [numbered_image(0)] * 4, pts=[0, 1, 2, 3], time_base=Fraction(1, 30)
    )
    with open_video(path) as video:
        frames = list(video.frames(Selection()))
        assert [frame.time for frame in frames] == [frame.pts * video.info.time_base for frame in frames]
        assert [frame.time_s for frame in frames] == [float(frame.time) for frame in frames]


def test_a_stretch_of_a_video_without_a_frame_is_refused(tmp_path):
    wreck.without_frames(film("mjpeg", "yuvj420p", n=12), *range(12))(path := tmp_path / "a.avi")
    with pytest.raises(DecodeError), open_video(path) as video:
        list(video.frames_between(Fraction(0), Fraction(1)))


def striped() -> np.ndarray:
    """Six colours side by side, uint8 (48, 96, 3), BGR."""
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (30, 160, 220), (128, 128, 128), (210, 60, 190)]
    return np.repeat(np.repeat(np.array([colours], np.uint8), 48, axis=0), 16, axis=1)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv444p"])
@pytest.mark.parametrize("matrix", [1, 5, 9])
def test_colours_are_those_that_were_encoded(tmp_path, pix_fmt, matrix):
    full_range = pix_fmt.startswith("yuvj")
    picture = av.VideoFrame.from_ndarray(striped(), format="bgr24").reformat(
        format=pix_fmt, dst_colorspace=matrix, dst_color_range=2 if full_range else 1
    )
    with av.open(str(path := tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 48, pix_fmt.replace("j", "")
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full_range else 1
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with open_video(path) as video:
        (frame,) = video.frames(Selection())
    middles = slice(8, None, 16)
    assert frame.bgr().shape == (48, 96, 3)
    assert np.abs(frame.bgr()[24, middles].astype(int) - striped()[24, middles]).max() <= 3
    assert np.abs(frame.bgr((48, 24))[12, 4::8].astype(int) - striped()[24, middles]).max() <= 3


def test_pictures_are_upright(tmp_path):
    path = write_video(tmp_path / "a.mp4", [striped()[..., ::-1]] * 3, rotation=90)
    with open_video(path) as video:
        frame = next(video.frames(Selection()))
    assert frame.bgr().shape == (96, 48, 3)
    columns = frame.bgr()[8::16, 24].astype(int)
    assert (
        min(np.abs(columns - striped()[24, 8::16]).max(), np.abs(columns[::-1] - striped()[24, 8::16]).max())
        < 20
    )


def test_a_gray_picture_has_equal_colours():
    luma = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64).astype(np.uint8)
    assert (Planes(luma, None, None, full_range=True).bgr() == luma[..., None]).all()


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [0]), (3, [0, 10, 20]), (4, [0, 0, 10, 20]), (50, [0, 10, 20])],
)
def test_key_frames_lie_at_about_equal_distances_and_are_given_once(tmp_path, count, expected):
    """30 frames of 1.2 s, of which every tenth is a key frame; each place gives the one at or before it."""
    video = write_video(tmp_path / "a.mp4", [numbered_image(number) for number in range(30)], gop=10)
    with open_video(video) as opened:
        frames = list(opened.key_frames(count, 1.2))
    numbers = [round((frame.planes.luma_mean() - 20) / 4) for frame in frames]
    assert numbers == sorted(set(expected))
    assert [frame.time_s for frame in frames] == pytest.approx([number * 0.04 for number in numbers])
