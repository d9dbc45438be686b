"""Clips of the peaks: the moment, in step with its sound, one clip for peaks that are near."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pyarrow as pa
import pytest

from ferflow.analytics.peaks import Peak
from ferflow.errors import VideoError
from ferflow.render.clips import existing_clips, plan_clips, write_clips
from ferflow.store.metadata import read_metadata
from ferflow.store.records import read_table, write_table
from ferflow.store.video_files import VideoFiles
from tests.conftest import face_frames, numbered_image, some_slow, write_video
from tests.made_records import Made, write_session


def peak_at(time_s: float) -> Peak:
    return Peak(time_s, time_s - 1, time_s + 1, 0.5, 0.5, "engagement", "happy", (1,))


def test_a_clip_shows_the_moment_of_its_peak(tmp_path):
    numbers = [
        number // 2 for number in range(100)
    ]  # 20 s, five frames a second; the brightness tells the second
    video = write_video(
        tmp_path / "v.mp4",
        [numbered_image(n) for n in numbers],
        pts=[5000 + 200 * k for k in range(100)],
        gop=30,
    )
    source = {
        "path": str(video),
        "name": "v.mp4",
        "size": video.stat().st_size,
        "time_base": Fraction(1, 1000),
    }
    made = Made(seconds=20, fps=5, source=source)
    write_session(tmp_path, made)
    paths = VideoFiles(tmp_path, made.video_id)
    frames = read_table(paths.frames).to_pandas()
    shifted = frames.assign(pts=(5000 + 200 * frames.frame_index).astype("int64"))
    write_table(paths.frames, pa.Table.from_pandas(shifted, schema=read_table(paths.frames).schema.remove_metadata()),
                read_metadata(paths.frames))  # fmt: skip
    (clip,) = write_clips(paths, [peak_at(10.0)])
    with av.open(str(clip)) as container:
        brightness = [frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)]
        assert container.streams.audio == ()
    assert len(brightness) == 36  # 3 s before to 4 s after, both ends in
    first = 20 + 4 * numbers[35]
    assert brightness[0] == pytest.approx(first, abs=12)
    assert brightness[15] - brightness[0] == pytest.approx(4 * (numbers[50] - numbers[35]), abs=8)


def test_clips_of_other_moments_go_and_a_clip_fits_its_peak_only(tmp_path):
    video = write_video(tmp_path / "v.mp4", face_frames(50))
    made = Made(seconds=2, source={"path": str(video), "time_base": Fraction(1, 512)})
    write_session(tmp_path, made)
    paths = VideoFiles(tmp_path, made.video_id)
    write_clips(paths, [peak_at(0.5), peak_at(1.5)])
    assert existing_clips(paths, [peak_at(1.5), peak_at(0.7)]) == []
    write_clips(paths, [peak_at(1.5)])
    assert [path.name for path in paths.clips.iterdir()] == ["000001500.mp4"]


def test_clips_of_a_video_that_is_gone_are_refused(tmp_path):
    made = Made(seconds=2)
    write_session(tmp_path, made)
    with pytest.raises(VideoError, match="not where it was analysed"):
        write_clips(VideoFiles(tmp_path, made.video_id), [peak_at(1.0)])
    assert not list(VideoFiles(tmp_path, made.video_id).clips.glob("*"))


def test_a_clip_begins_with_the_picture_that_is_shown_then(tmp_path):
    images = [numbered_image(number) for number in range(50)]
    video = write_video(tmp_path / "v.mp4", images, pts=[200 * k for k in range(50)], gop=20)
    source = {"path": str(video), "name": "v.mp4", "time_base": Fraction(1, 1000)}
    made = Made(seconds=10, fps=5, source=source)
    write_session(tmp_path, made)
    (clip,) = write_clips(VideoFiles(tmp_path, made.video_id), [peak_at(5.1)])  # from 2.1, between 10 and 11
    with av.open(str(clip)) as container:
        first, second, *_ = container.decode(video=0)
    assert [first.time, second.time] == pytest.approx([0.0, 0.1], abs=1e-3)
    assert first.to_ndarray(format="gray").mean() == pytest.approx(20 + 4 * 10, abs=3)


def test_peaks_nearer_than_a_clip_is_long_share_one(tmp_path):
    paths = VideoFiles(tmp_path, "v")
    tops = [peak_at(time_s) for time_s in (4.0, 10.5, 17.4, 24.5, 60.0)]  # 7 s apart no clips overlap
    clips = plan_clips(paths, tops)
    assert [clip.peaks for clip in clips] == [(0, 1, 2), (3,), (4,)]
    assert [(clip.start_s, clip.end_s) for clip in clips] == [(1.0, 21.4), (21.5, 28.5), (57.0, 64.0)]
    assert [clip.path.name for clip in clips] == ["000004000-000017400.mp4", "000024500.mp4", "000060000.mp4"]
    assert [clip.peaks for clip in plan_clips(paths, tops[:1] + tops[2:])] == [(0,), (1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "layout"),
    [
        ("mp4", "aac", 44_100, "stereo"),
        ("mkv", "pcm_s16le", 22_050, "mono"),
        ("mp4", "mp3", 48_000, "stereo"),
    ],
)
@pytest.mark.parametrize("late_s", some_slow(1.3, slow=[0.0]))
def test_the_sound_of_a_clip_is_in_step_with_its_pictures(tmp_path, suffix, codec, rate, layout, late_s):
    """A click with each flash, every other second; the pictures begin `late_s` after the sound."""
    clicks = [1.0, 3.0, 5.0, 7.0, 9.0]
    video = write_flashes(tmp_path / f"v.{suffix}", clicks, codec, rate, layout, late_s=late_s)
    paths = flashes_analysed(tmp_path, video, late_s)
    (clip,) = write_clips(paths, [peak_at(5.3)])  # from 2.3 to 9.3
    flashes, heard = flashes_of(clip), clicks_of(clip)
    assert flashes == pytest.approx([time - 2.3 for time in (3.0, 5.0, 7.0, 9.0)], abs=0.041)
    assert len(heard) == len(flashes)
    assert [at - seen for at, seen in zip(heard, flashes, strict=True)] == pytest.approx([0] * 4, abs=0.012)


def test_sound_that_ends_early_costs_no_clip(tmp_path):
    video = write_flashes(tmp_path / "v.mkv", [1.0, 3.0, 5.0], "aac", 48_000, "stereo", sound_s=4.0)
    (clip,) = write_clips(flashes_analysed(tmp_path, video, 0.0), [peak_at(4.0)])
    assert clicks_of(clip) == pytest.approx([0.0, 2.0], abs=0.02)
    (silent,) = write_clips(flashes_analysed(tmp_path, video, 0.0), [peak_at(8.5)])
    with av.open(str(silent)) as container:
        assert container.streams.audio == ()
        assert sum(1 for _ in container.decode(video=0)) > 50


def test_damaged_sound_is_silence_and_the_rest_stays_in_step(tmp_path):
    video = write_flashes(tmp_path / "v.mkv", [1.0, 3.0, 5.0, 7.0], "aac", 48_000, "stereo")
    content = bytearray(video.read_bytes())
    with av.open(str(video)) as container:
        for packet in container.demux(audio=0):
            if packet.pts is not None and 4.5 < packet.pts * packet.time_base < 5.5:
                content[packet.pos + 12 : packet.pos + packet.size] = b"\xff" * (packet.size - 12)
    video.write_bytes(content)
    (clip,) = write_clips(flashes_analysed(tmp_path, video, 0.0), [peak_at(4.5)])  # from 1.5 to 8.5
    in_step = [
        at for at in clicks_of(clip) if not 3.0 < at < 4.1
    ]  # what broken packets sound like, nobody knows
    assert in_step == pytest.approx([1.5, 5.5], abs=0.012)


def write_flashes(path, clicks, codec, rate, layout, *, late_s=0.0, sound_s=12.0):
    """12 s, 25 dark frames a second and a white one at each click, which lasts 2 ms."""
    channels = 1 if layout == "mono" else 2
    sound = np.zeros((channels, int(rate * (late_s + sound_s))), dtype=np.float32)
    for click in clicks:
        first = round((click + late_s) * rate)
        sound[:, first : first + rate // 500] = 0.9
    with av.open(str(path), "w") as container:
        pictures = container.add_stream(
            "libx264", rate=25, options={"crf": "18", "preset": "ultrafast", "g": "60"}
        )
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        pictures.time_base = pictures.codec_context.time_base = Fraction(1, 1000)
        track = container.add_stream(codec, rate=rate, layout=layout)
        for k in range(300):
            image = np.full((48, 64, 3), 255 if k / 25 in clicks else 10, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(1000 * (k / 25 + late_s)), Fraction(1, 1000)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        for first in range(0, sound.shape[1], 4096):
            part = np.ascontiguousarray(sound[:, first : first + 4096])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def flashes_analysed(out, video, late_s):
    """Tables as an analysis leaves them: times count from the first picture."""
    with av.open(str(video)) as container:
        base = container.streams.video[0].time_base
        first = next(container.decode(video=0)).pts
    assert float(first * base) == pytest.approx(late_s, abs=0.002)
    source = {"path": str(video), "name": video.name, "time_base": str(base)}
    made = Made(seconds=12, fps=25, source=source)
    write_session(out, made)
    paths = VideoFiles(out, made.video_id)
    frames = read_table(paths.frames).to_pandas()
    shifted = frames.assign(pts=(first + frames.frame_index / 25 / float(base)).round().astype("int64"))
    write_table(paths.frames, pa.Table.from_pandas(shifted, schema=read_table(paths.frames).schema.remove_metadata()),
                read_metadata(paths.frames))  # fmt: skip
    return paths


def flashes_of(clip) -> list[float]:
    """Seconds of the white frames, by the file's clock."""
    with av.open(str(clip)) as container:
        return [
            frame.time for frame in container.decode(video=0) if frame.to_ndarray(format="gray").mean() > 150
        ]


def clicks_of(clip) -> list[float]:
    """Seconds at which the sound gets loud, by the file's clock."""
    with av.open(str(clip)) as container:
        parts = [
            (frame.time, frame.to_ndarray()[0], frame.sample_rate) for frame in container.decode(audio=0)
        ]
    time_s = np.concatenate([start + np.arange(len(samples)) / rate for start, samples, rate in parts])
    loud = time_s[np.abs(np.concatenate([samples for _, samples, _ in parts])) > 0.3]
    return [float(loud[0]), *loud[1:][np.diff(loud) > 0.5].tolist()]
