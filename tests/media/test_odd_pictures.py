"""Pictures that need something done to them before they can be looked at, and streams that give no more."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from ferflow.media import container, video
from ferflow.media.decode_report import MAX_GAPS, DecodeReport
from ferflow.media.hdr import sdr_luma_table
from ferflow.media.video import Reading, Selection, open_video
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.store.metadata import Gap
from tests.conftest import numbered_image, write_video
from tests.torture import wreck
from tests.torture.films import film, stills


def read(path, **how):
    with open_video(path, **how) as opened:
        return list(opened.frames(Selection())), opened


def corner_of_brightness(luma: np.ndarray) -> tuple[str, str]:
    """Where the bright corner of a picture lies."""
    half_y, half_x = luma.shape[0] // 2, luma.shape[1] // 2
    upper, left = (
        luma[:half_y].mean() > luma[half_y:].mean(),
        luma[:, :half_x].mean() > luma[:, half_x:].mean(),
    )
    return "upper" if upper else "lower", "left" if left else "right"


def marked(size=(96, 48)) -> np.ndarray:
    """A picture whose upper left corner is bright."""
    image = np.full((size[1], size[0], 3), 40, np.uint8)
    image[: size[1] // 2, : size[0] // 2] = 220
    return image


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), ("upper", "left")),
        ((-1, 0, 0, 1), ("upper", "right")),
        ((1, 0, 0, -1), ("lower", "left")),
        ((-1, 0, 0, -1), ("lower", "right")),
        ((0, 1, 1, 0), ("upper", "left")),
    ],
    ids=["as it is", "mirrored", "upside down and mirrored", "turned", "mirrored at the diagonal"],
)
def test_the_display_matrix_is_followed_also_where_it_mirrors(tmp_path, matrix, corner):
    wreck.display_matrix(lambda path: write_video(path, [marked()] * 3), *matrix)(path := tmp_path / "a.mp4")
    frames, opened = read(path)
    luma = frames[0].planes.y
    assert corner_of_brightness(luma) == corner
    assert opened.size == ((48, 96) if matrix[0] == 0 else (96, 48))


@pytest.mark.parametrize(
    ("orientation", "size"), [(1, (64, 48)), (3, (64, 48)), (6, (48, 64)), (8, (48, 64))]
)
def test_exif_orientation_of_stills_is_followed(tmp_path, orientation, size):
    stills(3, suffix=".jpg", orientation=orientation)(tmp_path / "turned")
    stills(3, suffix=".jpg")(tmp_path / "plain")
    (turned, *_), opened = read(tmp_path / "turned")
    (plain, *_), _ = read(tmp_path / "plain")
    quarter_turns = {1: 0, 3: 2, 6: -1, 8: 1}[orientation]
    assert opened.size == size
    assert np.abs(turned.planes.y.astype(int) - np.rot90(plain.planes.y, quarter_turns)).max() <= 1


def test_an_interlaced_frame_shows_one_moment_and_keeps_its_time(tmp_path):
    """The upper field is bright, the lower one dark: two moments in one frame."""
    image = np.full((48, 64, 3), 200, np.uint8)
    image[1::2] = 40
    path = tmp_path / "laced.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"x264-params": "tff=1", "crf": "5"}
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for stamp in (0, 40, 90, 120):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames, _ = read(path)
    assert [round(frame.time_s * 1000) for frame in frames] == [0, 40, 90, 120]
    luma = frames[0].planes.to_full_range(np.ascontiguousarray(frames[0].planes.y))
    assert luma.shape == (48, 64)
    assert luma.std() < 5
    assert luma.mean() == pytest.approx(200, abs=8)


# PQ of 0.005, 5, 100 and 203 cd/m2 by SMPTE ST 2084, HLG of reference white by BT.2408: from the standards' own tables.
@pytest.mark.parametrize(
    ("transfer", "signal", "share_of_white"),
    [
        (16, 0.0, 0.0),
        (16, 0.5081, 100 / 203),
        (16, 0.5807, 1.0),
        (16, 1.0, 1.0),
        (18, 0.0, 0.0),
        (18, 0.75, 1.0),
    ],
)
def test_hdr_luma_becomes_that_of_sdr(transfer, signal, share_of_white):
    table = sdr_luma_table(transfer)
    expected = 16 + 219 * share_of_white ** (1 / 2.4)
    assert float(table[round(16 + 219 * signal)]) == pytest.approx(expected, abs=2)
    assert (np.diff(table.astype(int)) >= 0).all()


def test_only_hdr_is_touched():
    assert [sdr_luma_table(transfer) for transfer in (0, 1, 2, 6, 13, 14)] == [None] * 6


def test_a_film_in_pq_looks_like_the_same_film_in_sdr(tmp_path):
    """A gray of a quarter of white: 50.75 cd/m2 is PQ 0.4405; in SDR it is 0.25 ** (1 / 2.4) = 0.561 of 219."""

    def tag(stream):
        stream.codec_context.color_trc = 16

    gray = np.full((48, 64), round(0.4405 * 255), np.uint8)
    path = tmp_path / "pq.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        stream.options = {"x265-params": "log-level=none"}
        tag(stream)
        for _ in range(3):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(gray, format="gray").reformat(format="yuv420p10le"))
            )
        container.mux(stream.encode(None))
    frames, _ = read(path)
    assert frames[0].planes.luma_mean() == pytest.approx(0.561 * 255, abs=4)


def test_gaps_say_where_frames_are_missing_and_how_many(tmp_path):
    wreck.without_frames(film("mjpeg", "yuvj420p", n=20), 3, 4, 11)(path := tmp_path / "a.avi")
    _, opened = read(path)
    assert [(round(g.start_s * 25), round(g.end_s * 25), g.n_frames) for g in opened.report.gaps] == [
        (2, 5, 2),
        (10, 12, 1),
    ]


def test_a_gap_at_the_end_has_no_end(tmp_path):
    wreck.without_frames(film("mjpeg", "yuvj420p", n=20), 18, 19)(path := tmp_path / "a.avi")
    _, opened = read(path)
    (gap,) = opened.report.gaps
    assert (round(gap.start_s * 25), gap.end_s, gap.n_frames) == (17, None, 2)


def test_a_hole_in_the_middle_does_not_cost_the_rest(tmp_path):
    wreck.without_frames(film("mjpeg", "yuvj420p", n=60), *range(10, 50))(path := tmp_path / "a.avi")
    frames, opened = read(path)
    assert [round(frame.time_s * 25) for frame in frames] == [*range(10), *range(50, 60)]
    assert [gap.n_frames for gap in opened.report.gaps] == [40]


def test_the_list_of_gaps_is_bounded_and_covers_all(tmp_path):
    report = DecodeReport()
    for number in range(3 * MAX_GAPS):
        report.add_gap(1, start_s=number, end_s=number + 0.5)
    assert len(report.gaps) == MAX_GAPS
    assert report.gaps[-1] == Gap(MAX_GAPS - 1, 3 * MAX_GAPS - 0.5, 2 * MAX_GAPS + 1)
    assert sum(gap.n_frames for gap in report.gaps) == 3 * MAX_GAPS


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libx264", "mkv"),
        ("libx264", "ts"),
        ("libx265", "mkv"),
        ("libvpx-vp9", "webm"),
        ("libsvtav1", "mkv"),
        ("mpeg4", "avi"),
        ("mjpeg", "avi"),
    ],
)
def test_damage_is_read_alike_by_any_number_of_threads(tmp_path, codec, suffix):
    whole = film(codec, "yuvj420p" if codec == "mjpeg" else "yuv420p", n=60, gop=10)
    wreck.bits_flipped(whole, 7, n=30, start=0.3, stop=0.9)(path := tmp_path / f"a.{suffix}")
    seen = set()
    for threads in (1, 2, 5, None):
        frames, _ = read(path, threads=threads)
        seen.add(tuple((frame.index, frame.time_s, frame.planes.y.tobytes()) for frame in frames))
    assert len(seen) == 1
    assert len(next(iter(seen))) > 5


def test_a_stream_that_gives_nothing_more_is_left_after_so_many_packets(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "MAX_PACKETS_WITHOUT_FRAME", 15)
    wreck.without_frames(film("mjpeg", "yuvj420p", n=60), *range(10, 50))(path := tmp_path / "a.avi")
    frames, opened = read(path)
    assert len(frames) == 10
    assert opened.report.warnings[-1] == "no frame in 15 packets; the rest was not read"
    assert opened.report.gaps[-1].end_s is None


def test_a_decoder_that_takes_for_ever_is_left_and_a_slow_consumer_is_not(tmp_path, monkeypatch):
    """The clock of the source jumps by 20 s whenever it is asked; between frames nobody asks it."""
    wreck.without_frames(film("mjpeg", "yuvj420p", n=30), *range(10, 20))(path := tmp_path / "a.avi")
    now = iter(range(0, 10**6, 20))
    monkeypatch.setattr(container.time, "monotonic", lambda: float(next(now)))
    with open_video(path, threads=1) as opened:
        frames = list(opened.frames(Selection()))
    assert len(frames) == 10
    assert opened.report.warnings[-1] == "no frame in 60 s of decoding; the rest was not read"


class Standing:
    """A source whose clock stops after the fifth frame."""

    def __init__(self, info) -> None:
        self.info = info

    def decode(self, from_pts=None):
        for number in range(100):
            picture = av.VideoFrame.from_ndarray(numbered_image(number % 50), format="rgb24")
            picture.pts, picture.time_base = min(number, 5), Fraction(1, 25)
            yield picture

    def find_start(self, from_pts):
        return None

    def close(self) -> None: ...


def test_frames_that_stand_still_in_time_are_left_after_so_many(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "MAX_FRAMES_AT_ONE_TIME", 8)
    _, real = read(write_video(tmp_path / "a.mkv", [numbered_image(0)] * 3))
    standing = video.Video(Standing(real.info))
    assert len(list(standing.frames(Selection()))) == 5 + 7
    assert "8 frames in a row have the same timestamp" in standing.report.warnings[-1]
    assert standing.report.gaps == [Gap(0.2, None, None)]


def test_size_and_rotation_are_known_when_the_range_begins_later(tmp_path):
    path = write_video(tmp_path / "a.mp4", [marked()] * 6, rotation=90)
    with open_video(path) as opened:
        frames = list(opened.frames(Selection(start=TimePoint(frame_index=4))))
    assert [frame.index for frame in frames] == [4, 5]
    assert (opened.rotation, opened.size) == (90, (48, 96))


@pytest.mark.parametrize("fps", [0.0011, 1 / 3, 23.976, 999.123456789, 1000.99999])
def test_any_rate_of_images_that_may_be_asked_for_is_kept(tmp_path, fps):
    stills(3)(tmp_path / "shots")
    assert AnalyzeOptions(sequence_fps=fps).sequence_fps == fps
    frames, _ = read(tmp_path / "shots", reading=Reading(sequence_fps=fps))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 1 / fps, 2 / fps], rel=1e-3)
