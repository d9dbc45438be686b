"""Parts of a video that are read apart give the frames of all of it, each once, in the right place and time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ferflow.media.parts import InexactPartError, Part
from ferflow.media.split import CannotSplitError, split_video
from ferflow.media.video import Selection, open_video
from ferflow.options import TimePoint
from ferflow.system.scheduling import keep_scheduling
from tests.conftest import numbered_image, some_slow

N, GOP = 60, 12
WIDTH, HEIGHT = 64, 48


def encode(
    path: Path,
    codec: str,
    *,
    pts: list[int] | None = None,
    rate: int = 25,
    options: dict[str, str] | None = None,
) -> Path:
    """A clip of moving noise, so that each frame needs those before it."""
    still = np.random.default_rng(3).integers(0, 255, (HEIGHT // 8, WIDTH // 4, 3), np.uint8)
    wide = still.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context = stream.codec_context
        context.gop_size = GOP
        context.time_base = Fraction(1, rate) if pts is None else Fraction(1, 1000)
        stream.options = options or {}
        for number in range(N):
            image = np.ascontiguousarray(np.roll(wide, -2 * number, axis=1)[:, :WIDTH])
            image[:8, :8] = 4 * number
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = (number if pts is None else pts[number]), context.time_base
            with keep_scheduling():
                packets = stream.encode(frame)
            container.mux(packets)
        container.mux(stream.encode(None))
    return path


def x264(text: str = "") -> dict[str, str]:
    return {"x264-params": f"keyint={GOP}:min-keyint={GOP}:scenecut=0:bframes=3:{text}"}


UNEVEN = np.cumsum(np.random.default_rng(5).integers(20, 90, N)).tolist()

KINDS = some_slow(
    ("mp4", "libx264", {"options": x264()}),
    ("mp4", "libx264", {"options": x264("open-gop=1:b-pyramid=normal")}),
    ("mkv", "libx264", {"options": x264("open-gop=1"), "pts": UNEVEN}),
    ("mkv", "libx264", {"options": x264(), "pts": [40 * n - 100 for n in range(N)]}),
    ("mp4", "mpeg4", {"options": {"bf": "2"}}),
    ("webm", "libvpx-vp9", {"options": {"deadline": "realtime", "cpu-used": "8"}}),
    slow=[
        ("mp4", "libx264", {"options": x264(), "pts": UNEVEN}),
        ("ts", "libx264", {"options": x264()}),
        (
            "mp4",
            "libx265",
            {"options": {"x265-params": f"keyint={GOP}:min-keyint={GOP}:open-gop=1:log-level=0"}},
        ),
        (
            "mkv",
            "libx265",
            {"options": {"x265-params": f"keyint={GOP}:min-keyint={GOP}:open-gop=0:log-level=0"}},
        ),
        ("avi", "mpeg4", {}),
        ("mkv", "mpeg2video", {"options": {"bf": "2"}}),
        (
            "webm",
            "libvpx",
            {"options": {"deadline": "good", "cpu-used": "4", "auto-alt-ref": "1", "lag-in-frames": "10"}},
        ),
        ("mp4", "libsvtav1", {"options": {"preset": "12"}}),
    ],
)


def split(path: Path, n: int = 3, **selected: object) -> list[Part]:
    with open_video(path) as video:
        return split_video(video, Selection(**selected), lambda seconds: n)


def read(
    path: Path, part: Part | None = None, **selected: object
) -> tuple[list[tuple], float, list[str], int]:
    """Frames, end, warnings and number of frames."""
    with open_video(path, threads=2) as video:
        if part is not None:
            video.limit_to(part)
        frames = []
        for frame in video.frames(Selection(**selected)):
            if part is not None and part.end_pts is not None and frame.pts >= part.end_pts:
                break
            planes = frame.planes
            frames.append((frame.index, frame.pts, frame.time, planes.y.tobytes(), planes.u.tobytes()))
        return frames, video.end_s, video.report.warnings, video.report.n_decoded


@pytest.mark.parametrize(("suffix", "codec", "more"), KINDS)
def test_parts_give_the_frames_of_the_whole_video(tmp_path, suffix, codec, more):
    try:
        path = encode(tmp_path / f"a.{suffix}", codec, **more)
    except av.error.FFmpegError as error:  # pragma: no cover - an FFmpeg without this encoder
        pytest.skip(f"{codec}: {error}")
    with av.open(str(path)) as container:
        truth = [frame.pts for frame in container.decode(video=0)]
    for selected in ({}, {"every": 3}, {"fps": 4.0}):
        whole, *at_end = read(path, **selected)
        parts = split(path, **selected)
        assert len(parts) == 3
        read_apart = [read(path, part, **selected) for part in parts]
        assert [frame for frames, *_ in read_apart for frame in frames] == whole
        assert [*read_apart[-1][1:]] == at_end
        assert all(frames for frames, *_ in read_apart)
    assert [pts for _, pts, *_ in read(path)[0]] == truth


@pytest.mark.parametrize(("start", "end"), [("20f", None), ("0.5", "2.1"), (None, "30f")])
def test_parts_of_a_stretch_of_a_video(tmp_path, start, end):
    path = encode(tmp_path / "a.mp4", "libx264", options=x264("open-gop=1"))
    selected = {
        name: TimePoint.parse(text) for name, text in (("start", start), ("end", end)) if text is not None
    }
    whole, *at_end = read(path, **selected)
    parts = split(path, 2, **selected)
    read_apart = [read(path, part, **selected) for part in parts]
    assert len(parts) == 2
    assert [frame for frames, *_ in read_apart for frame in frames] == whole
    assert [*read_apart[-1][1:]] == at_end


def test_parts_are_about_equally_long(tmp_path):
    path = encode(tmp_path / "a.mp4", "libx264", options=x264())
    assert [part.n_frames for part in split(path, 5)] == [GOP] * 5
    assert [part.n_frames for part in split(path, 2)] in ([24, 36], [36, 24])
    assert len(split(path, 50)) == N // GOP


@pytest.mark.parametrize("make", ["images", "one key frame", "jump", "raw"])
def test_what_cannot_be_split_is_one_part_or_says_why(tmp_path, make):
    path = tmp_path / ("a.h264" if make == "raw" else "a.mkv")
    if make == "images":
        import cv2

        path = tmp_path / "images"
        path.mkdir()
        for number in range(3):
            cv2.imwrite(str(path / f"{number}.png"), numbered_image(number))
    elif make == "one key frame":
        encode(path, "libx264", options={"x264-params": "keyint=500:scenecut=0"})
        assert len(split(path)) == 1
        return
    elif make == "jump":
        encode(path, "libx264", options=x264(), pts=[40 * n + 3_000_000 * (n > 30) for n in range(N)])
    else:
        encode(path, "libx264", options=x264())
    with pytest.raises(CannotSplitError, match=r"images|jump|timestamp"):
        split(path)


def test_a_part_with_a_damaged_frame_is_refused_and_another_is_not(tmp_path):
    path = encode(tmp_path / "a.mp4", "libx264", options=x264())
    parts, whole = split(path), read(path)[0]
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    at, size = packets[parts[1].n_earlier]
    data[at + 8 : at + size] = bytes(size - 8)
    path.write_bytes(data)
    with pytest.raises(InexactPartError, match=r"a\.mp4: part 2"):
        read(path, parts[1])
    assert read(path, parts[2])[0] == whole[parts[2].n_earlier :]


def test_a_part_with_other_frames_than_promised_is_refused(tmp_path):
    import msgspec

    path = encode(tmp_path / "a.mp4", "libx264", options=x264())
    part = split(path)[1]
    for changed in ({"n_frames": part.n_frames - 1}, {"digest": "0" * 16}):
        with pytest.raises(InexactPartError):
            read(path, msgspec.structs.replace(part, **changed))
