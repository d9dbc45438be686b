"""Decoding on a device.

Machines that run tests have none. What they do without one is tested as it is; where a device must decode, a fake one
takes its place: it decodes in software and hands out frames as a device does, which FFmpeg itself converts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from av.codec.hwaccel import hwdevices_available
from av.video.reformatter import ColorRange
from msgspec.structs import replace

from ferflow.errors import OptionsError, VideoError
from ferflow.media import container
from ferflow.media.container import _decode_packet
from ferflow.media.hardware import NotOnDeviceError, find_devices
from ferflow.media.planes import planes_from_frame
from ferflow.media.video import Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest
from tests.conftest import face_frames, numbered_image, write_video

N_FRAMES = 40

Convert = Callable[[int, av.VideoFrame], av.VideoFrame]
"""Frames of the fake device from those of software, by their number."""


def to_device_format(number: int, picture: av.VideoFrame) -> av.VideoFrame:
    name = {"yuv420p": "nv12", "yuvj420p": "nv12", "yuv420p10le": "p010le"}[picture.format.name]
    given = picture.reformat(
        format=name, src_color_range=ColorRange.JPEG, dst_color_range=ColorRange.JPEG
    )  # equal ranges: samples are moved, not scaled
    given.color_range = picture.color_range
    given.pts, given.duration = picture.pts, picture.duration
    if picture.time_base is not None:
        given.time_base = picture.time_base
    return given


def fake_device(monkeypatch, convert: Convert = to_device_format) -> list[int]:
    """A device of the kind cuda, and none of the kind that FFmpeg prefers.

    Returns:
        Number of threads with which each frame was decoded; grows.
    """
    threads: list[int] = []
    on_device = []
    real = container.open_container

    def open_container(path, device=None):
        if device not in (None, "cuda"):
            raise VideoError("no such device")
        opened = real(path)
        if device is not None:
            on_device.append(opened)
        return opened

    def decode(packet):
        pictures = _decode_packet(packet)
        if not any(packet.stream.container is opened for opened in on_device):
            return pictures
        given = [convert(len(threads) + n, picture) for n, picture in enumerate(pictures)]
        threads.extend(packet.stream.codec_context.thread_count for _ in given)
        return given

    monkeypatch.setattr(container, "open_container", open_container)
    monkeypatch.setattr(container, "find_devices", lambda *_: ["vaapi", "cuda"])
    monkeypatch.setattr(container, "_decode_packet", decode)
    return threads


def read(path, hwaccel="none", **chosen):
    with open_video(path, threads=3, hwaccel=hwaccel) as video:
        frames = [
            (
                frame.index,
                frame.pts,
                frame.time,
                frame.planes.full_range,
                *(plane.tobytes() for plane in (frame.planes.y, frame.planes.u, frame.planes.v)),
            )
            for frame in video.frames(Selection(**chosen))
        ]
        return frames, video


def noisy(count: int, size: tuple[int, int] = (160, 120)) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        np.clip(image + rng.normal(0, 20, image.shape), 0, 255).astype(np.uint8)
        for image in face_frames(count, size=size)
    ]


@pytest.fixture(scope="module")
def h264(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("h264") / "a.mp4", noisy(N_FRAMES))


def picture(pix_fmt: str, size: tuple[int, int]) -> av.VideoFrame:
    """Random samples over all of the format's range."""
    rng, (width, height) = np.random.default_rng(0), size
    frame = av.VideoFrame(width, height, pix_fmt)
    depth = 10 if pix_fmt.endswith("10le") else 8
    for plane in frame.planes:
        n = plane.buffer_size // (2 if depth == 10 else 1)
        plane.update(rng.integers(0, 1 << depth, n).astype(np.uint16 if depth == 10 else np.uint8).tobytes())
    return frame


def assert_equal_planes(one, other):
    assert one.full_range == other.full_range
    for name in ("y", "u", "v"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("size", [(64, 48), (33, 17), (1, 1)])
@pytest.mark.parametrize("color_range", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("rotation", [0, 90])
def test_nv12_gives_the_planes_of_yuv420p(size, color_range, rotation):
    planar = picture("yuv420p", size)
    planar.color_range = color_range
    nv12 = to_device_format(0, planar)
    assert nv12.format.name == "nv12"
    found = planes_from_frame(nv12, rotation)
    assert found.full_range == (color_range == ColorRange.JPEG)
    assert_equal_planes(found, planes_from_frame(planar, rotation))


def test_p010_gives_the_planes_of_ten_bit_yuv420p():
    planar = picture("yuv420p10le", (64, 48))
    p010 = to_device_format(0, planar)
    assert p010.format.name == "p010le"
    assert_equal_planes(planes_from_frame(p010, 0), planes_from_frame(planar, 0))


@pytest.mark.parametrize(
    "hwaccel", ["auto", *sorted({"cuda", "vaapi", "videotoolbox", *hwdevices_available()})]
)
def test_a_machine_without_the_device_decodes_in_software_and_says_so_once(h264, hwaccel):
    frames, video = read(h264, hwaccel)
    assert frames == read(h264)[0]
    if video.hwaccel is None:  # as everywhere but on a machine with this device
        (warning,) = video.report.warnings
        assert warning.startswith(f"hwaccel {hwaccel}: ")
        assert "; software decoded the video; " in warning
        assert "\n" not in warning
        assert not video.report.gaps


def test_software_alone_has_nothing_to_say(h264):
    _, video = read(h264)
    assert (video.hwaccel, video.report.warnings) == (None, [])


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("mpeg2video", "yuv420p", "mkv"),
        ("mjpeg", "yuvj420p", "avi"),
        ("libx264", "yuv444p", "mp4"),
        ("libx264", "yuv422p10le", "mp4"),
    ],
)
def test_what_a_device_may_decode_to_other_pixels_is_left_to_software(tmp_path, codec, pix_fmt, suffix):
    path = write_video(tmp_path / f"a.{suffix}", noisy(3), codec=codec, pix_fmt=pix_fmt, time_base=Fraction(1, 25),
                       pts=range(3))  # fmt: skip
    frames, video = read(path, "auto")
    assert frames == read(path)[0]
    assert video.hwaccel is None
    (warning,) = video.report.warnings
    assert "need not give the same pixels" in warning


def test_images_are_left_to_software(tmp_path):
    import cv2

    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), numbered_image(number))
    with open_video(tmp_path, hwaccel="cuda") as video:
        assert len(list(video.frames(Selection()))) == 3
    assert [text.split(":")[0] for text in video.report.warnings] == ["hwaccel cuda"]


def test_a_device_of_another_kind_is_named_where_there_is_one():
    device = SimpleNamespace(device_type=SimpleNamespace(name="cuda"), is_supported=True)
    codec = SimpleNamespace(name="h264", hardware_configs=[device])
    assert find_devices(codec, "yuv420p", "auto") == find_devices(codec, "yuv420p", "cuda") == ["cuda"]
    with pytest.raises(NotOnDeviceError) as error:
        find_devices(codec, "yuv420p", "vaapi")
    assert "there is cuda" in error.value.advice


def test_a_pyav_without_devices_is_named():
    with pytest.raises(NotOnDeviceError, match="installed PyAV cannot use devices"):
        find_devices(SimpleNamespace(name="h264"), "yuv420p", "cuda")


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "chosen"),
    [
        ("libx264", "yuv420p", {}),
        ("libx264", "yuv420p", {"fps": 5.0}),
        ("libx264", "yuvj420p", {}),
        ("libx264", "yuv420p10le", {}),
    ],
)
def test_frames_of_a_device_are_those_of_software(tmp_path, monkeypatch, codec, pix_fmt, chosen):
    path = write_video(tmp_path / "a.mp4", noisy(N_FRAMES), codec=codec, pix_fmt=pix_fmt)
    expected, _ = read(path, **chosen)
    threads = fake_device(monkeypatch)
    frames, video = read(path, "cuda", **chosen)
    assert frames == expected
    assert (video.hwaccel, video.report.warnings) == ("cuda", [])
    assert set(threads) == {1}  # each thread would take memory of the device


def wrong_format(number: int, picture: av.VideoFrame) -> av.VideoFrame:
    return picture


def wrong_size(number: int, picture: av.VideoFrame) -> av.VideoFrame:
    """As where the crop of the left edge is missing."""
    return picture.reformat(width=picture.width + 2, format="nv12")


@pytest.mark.parametrize("convert", [wrong_format, wrong_size])
def test_a_device_that_gives_other_frames_than_software_is_left_at_once(h264, monkeypatch, convert):
    expected, _ = read(h264)
    fake_device(monkeypatch, convert)
    frames, video = read(h264, "auto")
    assert frames == expected
    assert video.hwaccel is None
    (warning,) = video.report.warnings
    assert warning.startswith("hwaccel auto: cuda gave no frame that can be used")


@pytest.mark.parametrize("chosen", [{}, {"fps": 5.0}])
def test_where_a_device_fails_software_goes_on_with_the_next_frame(h264, monkeypatch, chosen):
    def fails_after_ten(number: int, picture: av.VideoFrame) -> av.VideoFrame:
        if number >= 10:
            raise container._DamageError
        return to_device_format(number, picture)

    expected, _ = read(h264, **chosen)
    fake_device(monkeypatch, fails_after_ten)
    frames, video = read(h264, "cuda", **chosen)
    assert frames == expected
    assert video.hwaccel == "cuda"
    (warning,) = video.report.warnings
    assert "cuda stopped after" in warning
    assert "software decoded its rest" in warning
    assert video.report.n_decoded == N_FRAMES
    assert not video.report.gaps


def test_damage_is_reported_as_by_software_though_a_device_met_it_first(tmp_path, monkeypatch, h264):
    content = bytearray(h264.read_bytes())
    with av.open(str(h264)) as opened:
        packets = [(packet.pos, packet.size) for packet in opened.demux(video=0) if packet.size]
    for position, size in (packets[12], packets[25]):
        content[position + 8 : position + size] = bytes(size - 8)
    (path := tmp_path / "a.mp4").write_bytes(content)
    expected, software = read(path)
    assert software.report.n_failed + software.report.n_damaged
    fake_device(monkeypatch)
    frames, video = read(path, "cuda")
    assert frames == expected
    assert video.report.gaps == software.report.gaps
    *_, last = video.report.warnings
    assert len(video.report.warnings) == len(software.report.warnings) + 1
    assert any(text.startswith("hwaccel cuda: cuda stopped") for text in video.report.warnings), last


def test_every_device_of_ffmpeg_can_be_chosen_and_nothing_else():
    for name in ("none", "auto", *hwdevices_available()):
        assert AnalyzeOptions(hwaccel=name).hwaccel == name
    with pytest.raises(OptionsError, match="hwaccel must be one of none, auto, cuda, vaapi, videotoolbox"):
        AnalyzeOptions(hwaccel="kuda")


def test_a_finished_video_stays_finished_whatever_decodes():
    assert AnalyzeOptions(hwaccel="auto").digest() == AnalyzeOptions().digest()
    assert AnalyzeOptions(hwaccel="auto").list_differences(AnalyzeOptions()) == []


def test_tables_say_what_decoded_and_are_those_of_software(
    tmp_path, face_video, ferflow, stand_in, monkeypatch
):
    def analyze(name: str, *arguments: str) -> tuple[Sequence[object], object]:
        done = ferflow("analyze", face_video, "-o", tmp_path / name, "--no-report", *arguments)
        assert done.code == 0, done.stderr
        out = OutputFolder(tmp_path / name)
        (entry,) = RunManifest.load(out.manifest).videos
        files = out.video(entry.video_id)
        return (pq.read_table(files.frames), pq.read_table(files.faces)), (entry, read_metadata(files.faces))

    tables, (entry, metadata) = analyze("software")
    assert metadata.source.hwaccel is None
    assert metadata.options.hwaccel == "none"
    fake_device(monkeypatch)
    same, (entry_of_device, of_device) = analyze("device", "--hwaccel", "cuda")
    assert all(one.equals(other) for one, other in zip(tables, same, strict=True))
    assert (of_device.source.hwaccel, of_device.options.hwaccel) == ("cuda", "cuda")
    assert entry_of_device.warnings == entry.warnings
    assert replace(of_device.source, hwaccel=None) == metadata.source
