from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ferflow.media import container, frame_skipping
from ferflow.media.container import Container
from ferflow.media.decode_report import Lost
from ferflow.media.frame_skipping import SkippedFrame, cell_index, rounding_s
from ferflow.media.idr import is_idr
from ferflow.media.video import Selection, open_video
from ferflow.options import TimePoint
from tests.conftest import face_frames, some_of

N_FRAMES = 90
UNEVEN = np.cumsum([0, *([40, 20, 61, 33] * 30)])[:N_FRAMES].tolist()


def noisy_frames(count: int, size: tuple[int, int] = (320, 240)) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
        for image in face_frames(count, size=size)
    ]


def write_b_frames(path: Path, images: list[np.ndarray], pts: list[int] | None = None) -> Path:
    """H.264 in which two of three frames are B-frames that no other frame refers to; milliseconds."""
    with av.open(str(path), "w") as out:
        options = {
            "bf": "2",
            "b_strategy": "0",
            "sc_threshold": "0",
            "preset": "veryfast",
            "x264-params": "b-pyramid=none",
        }
        stream = out.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.gop_size = 50
        for image, stamp in zip(images, pts or range(0, 40 * len(images), 40), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def picture_types(path: Path) -> Counter[str]:
    with av.open(str(path)) as opened:
        return Counter(av.video.frame.PictureType(frame.pict_type).name for frame in opened.decode(video=0))


def read(path, monkeypatch, *, sparing: bool, **chosen):
    """What a selection gives, how many frames were counted, and how many of them the decoder skipped."""
    monkeypatch.setattr(container, "CODECS", frozenset({"h264", "hevc"} if sparing else ()))
    n_skipped = 0

    def counted(events):
        nonlocal n_skipped
        for event in events:
            n_skipped += isinstance(event, SkippedFrame)
            yield event

    with open_video(path, threads=2) as video:
        decode = video.source.decode
        video.source.decode = lambda *from_pts: counted(decode(*from_pts))
        frames = [(f.index, f.pts, f.time_s, f.planes.y.copy()) for f in video.frames(Selection(**chosen))]
        return frames, (video.end_s, video.report), n_skipped


def assert_same(path, monkeypatch, **chosen) -> int:
    """That skipping changes nothing; returns the number of frames skipped."""
    spared, counts, n_skipped = read(path, monkeypatch, sparing=True, **chosen)
    plain, plain_counts, none = read(path, monkeypatch, sparing=False, **chosen)
    assert none == 0
    assert [frame[:3] for frame in spared] == [frame[:3] for frame in plain]
    assert all(np.array_equal(a[3], b[3]) for a, b in zip(spared, plain, strict=True))
    assert counts == plain_counts
    return n_skipped


@pytest.fixture(scope="module")
def with_b_frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sparing")
    made = {
        "even": write_b_frames(folder / "even.mp4", noisy_frames(N_FRAMES)),
        "uneven": write_b_frames(folder / "uneven.mkv", noisy_frames(N_FRAMES), pts=UNEVEN),
    }
    for path in made.values():
        assert picture_types(path)["B"] >= N_FRAMES // 2
    return made


@pytest.mark.parametrize("clip", ["even", "uneven"])
@pytest.mark.parametrize(
    "chosen", [{"fps": 5.0}, {"fps": 7.3}, {"fps": 0.5}, {"fps": 5.0, "start": TimePoint(seconds=1.3)}]
)
def test_sampled_frames_are_the_same_bit_for_bit(with_b_frames, monkeypatch, clip, chosen):
    n_skipped = assert_same(with_b_frames[clip], monkeypatch, **chosen)
    # Two of three frames are B-frames, and at most those that are selected are decoded.
    n_selected = len(read(with_b_frames[clip], monkeypatch, sparing=True, **chosen)[0])
    n_b_frames = picture_types(with_b_frames[clip])["B"]
    assert n_b_frames - n_selected <= n_skipped <= N_FRAMES - n_selected


CLOSED, OPEN = (
    "keyint=12:min-keyint=12:scenecut=0:open-gop=0",
    "keyint=12:min-keyint=12:scenecut=0:open-gop=1",
)
N_GROUPS, GROUP = 8, 12


@pytest.fixture(scope="module")
def noisy_groups():
    return noisy_frames(N_GROUPS * GROUP, size=(160, 128))


def write_groups(path: Path, images: list[np.ndarray], codec: str, x_params: str, **options: str) -> Path:
    """H.264 or HEVC with a key frame every 12 frames, 24 frames per second."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=24)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {
            f"{codec[3:]}-params": x_params + ":log-level=none" * (codec == "libx265")
        } | options
        for image in images:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
    return path


# The encoder's parameters say which key frames are IDR pictures. Half a second is one group: where each of them starts
# once more, its first frame is the only one that is decoded.
@pytest.mark.parametrize(
    ("codec", "suffix", "x_params", "options", "n_decoded"),
    some_of(
        [
            ("libx264", "mp4", CLOSED, {}, N_GROUPS),
            ("libx264", "mkv", CLOSED + ":slices=3", {"preset": "veryslow"}, N_GROUPS),
            ("libx264", "ts", CLOSED, {}, N_GROUPS),
            ("libx264", "mp4", CLOSED + ":tff=1", {}, N_GROUPS),
            ("libx265", "mp4", CLOSED, {"preset": "ultrafast"}, N_GROUPS),
            ("libx265", "ts", CLOSED + ":bframes=4", {"preset": "ultrafast"}, N_GROUPS),
            ("libx264", "mkv", OPEN, {}, None),
            ("libx264", "ts", OPEN, {"preset": "veryslow"}, None),
            ("libx264", "mp4", "keyint=12:scenecut=0:intra-refresh=1:bframes=0", {}, None),
            ("libx265", "mkv", OPEN + ":bframes=4", {"preset": "ultrafast"}, None),
        ],
        2,
    ),
)
def test_of_a_group_nothing_is_decoded_after_its_last_selected_frame(
    noisy_groups, tmp_path, monkeypatch, codec, suffix, x_params, options, n_decoded
):
    path = write_groups(tmp_path / f"a.{suffix}", noisy_groups, codec, x_params, **options)
    n_skipped = assert_same(path, monkeypatch, fps=2.0)
    if n_decoded is not None:
        assert n_skipped == N_GROUPS * GROUP - n_decoded
    for fps in (0.6, 3.1, 7.0):
        assert_same(path, monkeypatch, fps=fps)
    assert_same(path, monkeypatch, fps=1.0, start=TimePoint(seconds=1.7), end=TimePoint(seconds=3.1))


def test_packets_wait_in_bounded_memory(with_b_frames, monkeypatch):
    monkeypatch.setattr(frame_skipping, "MOST_WAITING_BYTES", 0)
    n_bounded = assert_same(with_b_frames["even"], monkeypatch, fps=0.5)
    assert 0 < n_bounded <= picture_types(with_b_frames["even"])["B"]


def test_gaps_start_at_the_last_frame_before_them_though_it_was_not_decoded(
    noisy_groups, tmp_path, monkeypatch
):
    path = write_groups(tmp_path / "a.mkv", noisy_groups, "libx264", CLOSED)
    with av.open(str(path)) as opened:
        packets = [packet for packet in opened.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    at = content.find(bytes(packets[4 * GROUP]))  # an IDR picture
    content[at + 40 : at + packets[4 * GROUP].size] = bytes(packets[4 * GROUP].size - 40)
    path.write_bytes(content)
    _, (_, report), n_skipped = read(path, monkeypatch, sparing=True, fps=2.0)
    _, (_, plain), _ = read(path, monkeypatch, sparing=False, fps=2.0)
    assert plain.gaps
    assert (report.gaps, report.n_decoded) == (plain.gaps, plain.n_decoded)
    assert GROUP - 1 <= n_skipped <= 4 * GROUP


@pytest.mark.parametrize(
    ("codec", "packet", "extradata", "expected"),
    [
        # One unit of parameters and one of a picture; lengths of 4 and of 2 bytes, and start codes.
        ("h264", b"\0\0\0\2\x67\0\0\0\0\2\x65\x88", b"\1\x64\0\x1f\xff", True),
        ("h264", b"\0\2\x67\0\0\2\x41\x88", b"\1\x64\0\x1f\xfd", False),
        ("h264", b"\0\0\0\1\x09\xf0\0\0\1\x65\x88", None, True),
        ("h264", b"\0\0\0\1\x06\x05\0\0\1\x61\x88", b"\0\0\1\x67", False),
        ("hevc", b"\0\0\1\x40\1\0\0\1\x26\1\xaf", None, True),
        ("hevc", b"\0\0\1\x28\1\xaf", None, True),
        ("hevc", b"\0\0\1\x28\1\xef", None, False),  # frames that wait to be shown get lost
        ("hevc", b"\0\0\1\x2a\1\xaf", None, False),  # CRA
        ("h264", b"", None, False),
        ("h264", b"\xff\xff\xff\xff\x65\0", b"\1\x64\0\x1f\xff", True),
        ("hevc", b"\0\0\1", None, False),
    ],
)
def test_idr_pictures_are_found_by_the_type_of_their_nal_unit(codec, packet, extradata, expected):
    assert is_idr(packet, codec, extradata) is expected


@pytest.mark.parametrize(
    "chosen", [{"fps": 25.0}, {"every": 3}, {"fps": 5.0, "start": TimePoint(frame_index=20)}]
)
def test_no_frame_is_skipped_where_all_are_selected_or_numbers_decide(with_b_frames, monkeypatch, chosen):
    assert assert_same(with_b_frames["even"], monkeypatch, **chosen) == 0


def test_a_long_video_is_sampled_to_its_end(tmp_path, monkeypatch):
    # 200 cells of 0.2 s with three frames each: old cells are forgotten on the way, and must not be missed.
    images = noisy_frames(30, size=(64, 48)) * 20
    path = write_b_frames(tmp_path / "long.mp4", images, pts=[round(i * 200 / 3) for i in range(600)])
    frames, (end_s, report), n_skipped = read(path, monkeypatch, sparing=True, fps=5.0)
    assert [frame[0] for frame in frames] == list(range(0, 600, 3))
    assert report.n_decoded == 600
    assert end_s == pytest.approx(40.0, abs=0.002)
    # x264 ends each group of 50 with a P-frame; of the others two of three are B-frames, and some of them are selected.
    types = picture_types(path)
    assert types["B"] >= 380
    assert types["B"] - 200 <= n_skipped <= types["B"]
    assert_same(path, monkeypatch, fps=5.0)


def test_after_damage_all_frames_are_decoded_and_none_is_given_twice(with_b_frames, tmp_path, monkeypatch):
    content = bytearray(with_b_frames["uneven"].read_bytes())
    with av.open(str(with_b_frames["uneven"])) as opened:
        packets = [packet for packet in opened.demux(video=0) if packet.size]
    at = (
        content.find(bytes(packets[40])) + packets[40].size // 3
    )  # in the middle of the video, within a frame
    content[at : at + 200] = bytes(200)
    path = tmp_path / "damaged.mkv"
    path.write_bytes(content)
    frames, (_, report), n_skipped = read(path, monkeypatch, sparing=True, fps=5.0)
    plain, (_, plain_report), _ = read(path, monkeypatch, sparing=False, fps=5.0)
    assert report.n_damaged + report.n_failed > 0
    assert [frame[:3] for frame in frames] == [frame[:3] for frame in plain]
    assert all(np.array_equal(a[3], b[3]) for a, b in zip(frames, plain, strict=True))
    assert (report.n_decoded, report.gaps) == (plain_report.n_decoded, plain_report.gaps)
    # Of the frames before the damage some were skipped; after it none is, so that far fewer are than without damage.
    whole = read(with_b_frames["uneven"], monkeypatch, sparing=True, fps=5.0)[2]
    assert 0 < n_skipped < 0.8 * whole


def test_frames_that_nothing_depends_on_are_not_decoded(with_b_frames):
    opened = Container(with_b_frames["even"])
    opened.skip_frames(5.0, 0.0)
    pictures = [event for event in opened.decode() if not isinstance(event, Lost)]
    opened.close()
    assert [picture.pts * picture.time_base for picture in pictures] == [
        Fraction(i, 25) for i in range(N_FRAMES)
    ]
    assert all(picture.duration * picture.time_base == Fraction(1, 25) for picture in pictures)
    # The frames at 0, 0.2, 0.4 s... are decoded, whatever their type.
    decoded = {i for i, picture in enumerate(pictures) if not isinstance(picture, SkippedFrame)}
    assert decoded >= set(range(0, N_FRAMES, 5))


@pytest.mark.parametrize(
    ("time_base", "expected"),
    [
        (Fraction(1, 1000), 0.001),
        (Fraction(1, 90000), 1 / 90000),
        (Fraction(1, 500), 0.002),
        (Fraction(1, 25), 0),
    ],
)
def test_times_may_be_rounded_by_one_unit_of_the_container(time_base, expected):
    assert rounding_s(time_base) == pytest.approx(expected)


def test_rounded_times_lie_in_the_cells_of_the_exact_ones():
    for number in range(3000):
        exact = Fraction(number, 30)
        assert cell_index(float(int(exact * 1000) / 1000), 30.0, 0.001) == number
        assert cell_index(float(Fraction(number, 25)), 25.0) == number
