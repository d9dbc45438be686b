from __future__ import annotations

import gc
import itertools
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ferflow.errors import DecodeError, VideoError
from ferflow.media.video import Reading, Selection, open_video, quarter_turn
from ferflow.options import AnalyzeOptions, TimePoint
from tests.conftest import numbered_image, write_audio, write_video


def read(path: Path, **chosen):
    with open_video(path) as video:
        return list(video.frames(Selection.of(AnalyzeOptions(**chosen)))), video


def brightness(frame) -> float:
    return frame.planes.luma_mean()


def test_variable_frame_rate_keeps_the_container_timestamps(tmp_path):
    pts = [0, 33, 66, 500, 510, 2000]
    path = write_video(tmp_path / "vfr.mkv", [numbered_image(i) for i in range(6)], pts=pts)
    frames, _ = read(path)
    assert [frame.time_s for frame in frames] == pytest.approx([p / 1000 for p in pts], abs=1e-6)
    assert [frame.index for frame in frames] == list(range(6))


def test_a_delayed_start_counts_from_the_first_frame(tmp_path):
    pts = [700, 740, 780, 900]
    frames, _ = read(write_video(tmp_path / "late.mkv", [numbered_image(i) for i in range(4)], pts=pts))
    assert [frame.pts for frame in frames] == pts
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.2], abs=1e-6)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "avi", "webm", "gif"])
def test_every_frame_of_every_container_arrives_once_and_in_order(tmp_path, suffix):
    codec, pix_fmt = {
        "webm": ("libvpx-vp9", "yuv420p"),
        "gif": ("gif", "rgb8"),
        "avi": ("mpeg4", "yuv420p"),
    }.get(suffix, ("libx264", "yuv420p"))
    base = Fraction(1, 100) if suffix == "gif" else Fraction(1, 25)
    step = 4 if suffix == "gif" else 1
    images = [numbered_image(i) for i in range(12)]
    path = write_video(
        tmp_path / f"a.{suffix}",
        images,
        pts=range(0, 12 * step, step),
        time_base=base,
        codec=codec,
        pix_fmt=pix_fmt,
    )
    frames, _ = read(path)
    assert len(frames) == 12
    values = [brightness(frame) for frame in frames]
    assert values == pytest.approx([20 + 4 * i for i in range(12)], abs=8)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("libx264", "yuv420p", "mkv"),
        ("libx264", "yuvj420p", "mkv"),
        ("libx264", "yuv422p", "mkv"),
        ("libx264", "yuv444p", "mkv"),
        ("libx264", "yuv420p10le", "mkv"),
        ("libx265", "gray", "mkv"),
        ("ffv1", "yuv420p10le", "mkv"),
        ("ffv1", "gray", "mkv"),
        ("ffv1", "bgra", "mkv"),
        ("png", "rgb24", "mov"),
        ("mjpeg", "yuvj422p", "mkv"),
    ],
)
def test_brightness_is_the_same_in_every_pixel_format(tmp_path, codec, pix_fmt, suffix):
    images = [np.full((48, 64, 3), value, np.uint8) for value in (30, 120, 220)]
    frames, video = read(write_video(tmp_path / f"a.{suffix}", images, codec=codec, pix_fmt=pix_fmt))
    assert video.info.pix_fmt in (pix_fmt, pix_fmt.replace("yuvj", "yuv"))
    assert [brightness(frame) for frame in frames] == pytest.approx([30, 120, 220], abs=4)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_rotated_phone_video_is_read_upright(tmp_path, rotation):
    upright = np.full((48, 96, 3), 60, np.uint8)
    upright[:16, :32] = 220  # the upper left corner is bright
    # Stored turned clockwise, with a note to turn it back counter-clockwise.
    stored = np.ascontiguousarray(np.rot90(upright, -rotation // 90))
    path = write_video(tmp_path / "phone.mp4", [stored] * 3, rotation=rotation)
    with av.open(str(path)) as container:  # what the file says, by an independent reader
        note = next(container.decode(video=0)).rotation
    frames, video = read(path)
    luma = frames[0].planes.to_full_range(np.ascontiguousarray(frames[0].planes.y))
    assert note % 360 == rotation
    assert video.size == (96, 48)
    assert luma[4:12, 4:28].mean() > 200
    assert luma[30:, 40:].mean() < 80


def test_odd_sizes_are_read_to_the_last_pixel(tmp_path):
    image = np.full((51, 67, 3), 90, np.uint8)
    frames, video = read(write_video(tmp_path / "odd.mkv", [image] * 3, codec="ffv1", pix_fmt="yuv420p"))
    assert video.size == (67, 51)
    assert frames[0].planes.y.shape == (51, 67)


def test_every_nth_frame_keeps_its_own_index_and_time(tmp_path):
    path = write_video(tmp_path / "a.mp4", [numbered_image(i) for i in range(10)])
    frames, _ = read(path, every=3)
    assert [frame.index for frame in frames] == [0, 3, 6, 9]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.12, 0.24, 0.36])


def test_fps_takes_the_first_frame_of_each_slot_of_time(tmp_path):
    pts = [0, 40, 80, 120, 200, 210, 390, 400, 1000, 1010]
    path = write_video(tmp_path / "a.mkv", [numbered_image(i) for i in range(10)], pts=pts)
    frames, _ = read(path, fps=5.0)
    assert [round(frame.time_s * 1000) for frame in frames] == [0, 200, 400, 1000]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("0.2", "0.32", [5, 6, 7]),
        ("3f", "6f", [3, 4, 5]),
        ("0:00.2", None, [5, 6, 7, 8, 9]),
        (None, "0.08", [0, 1]),
    ],
)
def test_a_range_begins_at_its_start_and_stops_before_its_end(tmp_path, start, end, expected):
    path = write_video(tmp_path / "a.mp4", [numbered_image(i) for i in range(10)])
    chosen = {k: TimePoint.parse(v) for k, v in (("start", start), ("end", end)) if v is not None}
    frames, _ = read(path, **chosen)
    assert [frame.index for frame in frames] == expected


def test_a_truncated_file_yields_every_frame_before_the_damage(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", [numbered_image(i % 50) for i in range(250)])
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with av.open(str(cut)) as container:
        readable = sum(1 for _ in container.decode(video=0))
    frames, video = read(cut)
    assert 10 < readable < 250
    assert len(frames) == readable
    assert any("truncated" in warning for warning in video.report.warnings)


def test_damage_is_told_of_a_range_too(tmp_path):
    path, _ = spoilt(tmp_path)
    _, video = read(path, end=TimePoint(1.6))
    assert video.report.warnings == ["3 frames could not be decoded (after 00:00.4, 00:01.2), 37 could"]


@pytest.mark.parametrize("pts", [[0], [0, 2000, 4000, 6000], [0, 40, 80, 5000]])
def test_long_last_frames_are_not_taken_for_truncation(tmp_path, pts):
    path = write_video(tmp_path / "slides.mp4", [numbered_image(i) for i in range(len(pts))], pts=pts)
    _, video = read(path)
    assert video.report.warnings == []


def test_a_delayed_start_in_matroska_is_not_taken_for_truncation(tmp_path):
    pts = range(5000, 5960, 40)
    frames, video = read(write_video(tmp_path / "late.mkv", [numbered_image(i) for i in range(24)], pts=pts))
    assert len(frames) == 24
    assert video.report.warnings == []


def test_frames_an_hour_apart_are_read_though_their_average_rate_is_nearly_zero(tmp_path):
    path = tmp_path / "lapse.mp4"
    write_video(path, [numbered_image(number) for number in range(3)], pts=[0, 3_600_000, 7_200_000])
    with av.open(str(path)) as file:
        assert 0 < file.streams.video[0].average_rate < Fraction(1, 2002)
    frames, video = read(path)
    assert len(frames) == 3
    assert [gap.jump_s for gap in video.report.gaps] == pytest.approx([3600.0, 3600.0])


def test_a_raw_stream_without_timestamps_gets_them_from_its_rate_and_says_so(tmp_path):
    source = write_video(tmp_path / "a.mp4", [numbered_image(i) for i in range(20)])
    raw = tmp_path / "raw.h264"
    with av.open(str(source)) as container:
        annex_b = av.BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
        packets = [out for packet in container.demux(video=0) for out in annex_b.filter(packet)]
        raw.write_bytes(b"".join(bytes(packet) for packet in packets))
    frames, video = read(raw)
    times = [frame.time_s for frame in frames]
    assert len(frames) == 20
    assert times == pytest.approx([i / 25 for i in range(20)], abs=0.01)
    assert any("no timestamps" in warning for warning in video.report.warnings)


def test_time_never_runs_backwards_where_timestamps_do(tmp_path):
    parts = [
        write_video(tmp_path / f"{start}.ts", [numbered_image(i) for i in range(20)],
                    pts=range(start, start + 20 * 3600, 3600), time_base=Fraction(1, 90_000))
        for start in (1_800_000, 0)
    ]  # fmt: skip
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, video = read(joined)
    times = [frame.time_s for frame in frames]
    assert len(frames) > 30
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    assert times[-1] < 3
    assert any("jump back" in warning for warning in video.report.warnings)


def test_a_whole_file_has_no_warnings(tmp_path):
    _, video = read(write_video(tmp_path / "a.mp4", [numbered_image(i) for i in range(40)]))
    assert video.report.warnings == []
    assert video.report.n_failed == 0


def spoilt(tmp_path: Path) -> tuple[Path, tuple[int, ...]]:
    """A video of 60 frames, four of which cannot be decoded."""
    gone = (10, 11, 30, 45)
    path = write_video(tmp_path / "a.avi", [face(i) for i in range(60)], codec="mjpeg", pix_fmt="yuvj420p",
                       time_base=Fraction(1, 25), pts=range(60))  # fmt: skip
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in gone:
        position, size = packets[number]
        start = content.index(b"\xff\xd8\xff", position)
        content[start : start + size] = bytes(size)
    path.write_bytes(content)
    return path, gone


def test_corrupt_frames_are_skipped_and_counted(tmp_path):
    path, gone = spoilt(tmp_path)
    frames, video = read(path)
    assert {round(frame.time_s * 25) for frame in frames} == set(range(60)) - set(gone)
    assert len(frames) == 56
    assert video.report.n_failed == 4
    assert frames[-1].time_s == pytest.approx(59 / 25)
    assert len(video.report.warnings) == 1


def face(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    return rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)


def test_numbered_images_are_read_in_the_order_a_person_counts(tmp_path):
    import cv2

    folder = tmp_path / "shots"
    folder.mkdir()
    for number in (1, 2, 10, 11):
        cv2.imwrite(str(folder / f"shot_{number}.png"), numbered_image(number))
    (folder / "notes.txt").write_text("not an image")
    with open_video(folder, Reading(sequence_fps=10)) as video:
        frames = list(video.frames(Selection()))
    assert [round((brightness(frame) - 20) / 4) for frame in frames] == [1, 2, 10, 11]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_an_unreadable_image_leaves_a_gap_in_time_and_is_counted(tmp_path):
    import cv2

    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), numbered_image(number))
    (tmp_path / "1.png").write_bytes(b"no png")
    (tmp_path / "._1.png").write_bytes(b"what other systems leave behind")
    with open_video(tmp_path, Reading(sequence_fps=10)) as video:
        frames = list(video.frames(Selection()))
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.2, 0.3])
    assert video.report.n_failed == 1


def missing(tmp_path):
    return tmp_path / "nowhere.mp4"


def empty(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    return path


def text(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("Dear diary, " * 500)
    return path


def audio_only(tmp_path):
    return write_audio(tmp_path / "song.m4a")


def no_index(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", [numbered_image(i) for i in range(40)])
    path = tmp_path / "half.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return path


def playlist(tmp_path):
    target = write_video(tmp_path / "secret.mp4", [numbered_image(i) for i in range(5)])
    path = tmp_path / "list.mp4"
    path.write_text(f"ffconcat version 1.0\nfile '{target}'\n")
    return path


def hls(tmp_path):
    write_video(tmp_path / "segment.ts", [numbered_image(i) for i in range(5)], gop=5)
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nsegment.ts\n#EXT-X-ENDLIST\n")
    return path


def subtitles(tmp_path):
    path = tmp_path / "words.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    return path


@pytest.mark.parametrize(
    "make",
    [missing, empty, text, audio_only, no_index, playlist, hls, subtitles],
    ids=lambda make: make.__name__,
)
def test_what_is_no_video_is_refused_in_one_line_that_names_it(tmp_path, make):
    path = make(tmp_path)
    with pytest.raises(VideoError) as caught:
        read(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    assert not isinstance(caught.value, DecodeError)


@pytest.mark.parametrize("target", ["there.mp4", "not_there.mp4"])
def test_a_playlist_is_refused_before_what_it_names_is_looked_for(tmp_path, target):
    write_video(tmp_path / "there.mp4", [numbered_image(i) for i in range(5)])
    path = tmp_path / "list.mp4"
    path.write_text(f"ffconcat version 1.0\nfile '{target}'\n")
    with pytest.raises(
        VideoError, match=r"list\.mp4: not a video or picture \(no format that ferflow reads\)"
    ):
        read(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match="not a regular file"):
        read(tmp_path / "a.mp4")


def test_audio_only_says_what_it_found(tmp_path):
    with pytest.raises(VideoError, match="1 audio"):
        read(audio_only(tmp_path))


def test_a_cover_picture_is_no_video(tmp_path):
    song = tmp_path / "song.mp4"
    with av.open(str(song), "w") as container:
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 16
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24").reformat(
            format="yuvj420p"
        )
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with pytest.raises(VideoError, match="no video stream"):
        read(song)


def test_a_frame_too_large_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", [numbered_image(0)] * 3)
    monkeypatch.setattr("ferflow.media.container.MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(VideoError, match="over the limit"):
        read(path)


def test_real_clips_have_the_frames_and_times_an_independent_loop_finds(clips):
    for path in sorted(p for p in clips.iterdir() if p.suffix in {".mp4", ".mov", ".mkv", ".gif"}):
        with av.open(str(path)) as container:
            stamps = [(frame.pts, frame.time_base) for frame in container.decode(video=0)]
        frames, _ = read(path)
        expected = [float((pts - stamps[0][0]) * base) for pts, base in stamps]
        assert len(frames) == len(stamps), path.name
        assert [frame.time_s for frame in frames] == pytest.approx(expected, abs=1e-6), path.name


def test_no_picture_waits_for_the_garbage_collector(face_video):
    """Each holds megabytes outside of Python's sight."""

    def count() -> int:
        return sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        n_before = count()
        with open_video(face_video) as video:
            assert sum(1 for _ in video.frames(Selection())) == 30
            n_alive = count() - n_before
    finally:
        gc.enable()
    assert n_alive <= 3


def test_the_time_base_is_a_plain_fraction_whatever_type_pyav_has(tmp_path):
    with open_video(write_video(tmp_path / "a.mp4", [numbered_image(0)])) as video:
        assert type(video.info.time_base) is Fraction


@pytest.mark.parametrize(
    ("degrees", "turn"),
    [(0, 0), (44, 0), (46, 90), (180, 180), (271, 270), (314, 270), (316, 0), (360, 0), (-90, 270)],
)
def test_a_rotation_is_the_nearest_quarter_of_a_turn(degrees, turn):
    assert quarter_turn(degrees) == turn
