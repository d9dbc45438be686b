"""Short clips around peaks, kept beside the page, and only where they were asked for.

    write_clips(paths, peaks(timeline))

A clip shows faces; it is the one thing ferflow keeps that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferflow.analytics.peaks import Peak
from ferflow.errors import VideoError
from ferflow.store.atomic_files import temporary, whole_file
from ferflow.store.records import RecordPaths, read_metadata, read_table

if TYPE_CHECKING:
    import av
    import pyarrow as pa

    from ferflow.media.audio import Samples
    from ferflow.media.container import Container

BEFORE_SECONDS = 3.0
AFTER_SECONDS = 4.0
TALLEST_PX = 360
MOST_FPS = 30.0

SOUND_BITS_PER_SECOND = 96_000

_TIME_BASE = Fraction(1, 90_000)
_FRAME_SAMPLES = 1024
"""What AAC codes together."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What one clip shows."""

    path: Path
    """Named by the times of its first and last peak in ms, so that it fits no others."""
    peaks: tuple[int, ...]
    """Their places in the list, by time."""
    start_s: float
    end_s: float


def plan_clips(paths: RecordPaths, peaks: Sequence[Peak]) -> list[Clip]:
    """A clip around every peak; peaks so near that two clips would show the same share one."""
    runs: list[list[int]] = []
    for place in sorted(range(len(peaks)), key=lambda place: peaks[place].time_s):
        near = runs and peaks[place].time_s - peaks[runs[-1][-1]].time_s < BEFORE_SECONDS + AFTER_SECONDS
        if near:
            runs[-1].append(place)
        else:
            runs.append([place])
    return [_clip(paths, peaks, run) for run in runs]


def _clip(paths: RecordPaths, peaks: Sequence[Peak], run: Sequence[int]) -> Clip:
    first_s, last_s = peaks[run[0]].time_s, peaks[run[-1]].time_s
    name = "-".join(f"{round(time_s * 1000):09d}" for time_s in dict.fromkeys((first_s, last_s)))
    return Clip(
        paths.clips / f"{name}.mp4", tuple(run), max(0.0, first_s - BEFORE_SECONDS), last_s + AFTER_SECONDS
    )


def existing_clips(paths: RecordPaths, peaks: Sequence[Peak]) -> list[Clip]:
    """The clips that are there."""
    return [clip for clip in plan_clips(paths, peaks) if clip.path.is_file()]


def write_clips(paths: RecordPaths, peaks: Sequence[Peak]) -> list[Path]:
    """Cut a clip around every peak: H.264, upright, 360 px high at most, with the sound as AAC if there is any.

    Clips of other moments, which an earlier analysis left, are removed; those that are there stay.

    Raises:
        VideoError: the video is not there any more, or cannot be read.
        RecordsError: the tables of the video cannot be read.
    """
    wanted = plan_clips(paths, peaks)
    for old in set(paths.clips.glob("*.mp4")) - {clip.path for clip in wanted}:
        old.unlink()
    footer = read_metadata(paths.faces)
    source = Path((footer.get("source") or {}).get("path") or "")
    for clip in wanted:
        if not clip.path.exists():
            first_s = first_picture_s(read_table(paths.frames, ["pts", "time_s"]), footer)
            _write_clip(clip, source, first_s)
    return [clip.path for clip in wanted]


def first_picture_s(frames: pa.Table, footer: Mapping[str, Any]) -> Fraction:
    """When a video's first frame, not the first analysed one of FRAMES, is shown by its file's own clock."""
    row = frames.select(["pts", "time_s"]).slice(0, 1).to_pylist()[0]
    return int(row["pts"]) * Fraction(footer["source"]["time_base"]) - Fraction(row["time_s"])


def _write_clip(clip: Clip, source: Path, first_s: Fraction) -> None:
    from ferflow.media.audio import read_audio
    from ferflow.media.container import Container

    if not source.is_file():
        raise VideoError(f"{source.name}: not where it was analysed, so no clips of it can be made.")
    start_s, end_s = first_s + Fraction(clip.start_s), first_s + Fraction(clip.end_s)
    container = Container(source)
    try:
        pictures = _pictures_between(container, start_s, end_s)
        with whole_file(clip.path) as part:
            sound = read_audio(source, start_s, end_s)
            _encode(part, pictures, start_s, aspect=container.info.pixel_aspect, sound=sound)
    finally:
        container.close()
        temporary(clip.path).unlink(missing_ok=True)


def _pictures_between(
    container: Container, start_s: Fraction, end_s: Fraction
) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """(seconds, picture) of a stretch, at most `MOST_FPS` a second; the timestamps are the container's.

    What is shown when it starts comes first, at the start: a clip must not begin with black.
    """
    from ferflow.media.decode_report import Faults
    from ferflow.media.frame_skipping import SkippedFrame

    last_s, before = None, None
    container.seek(start_s)
    for picture in container.pictures(Faults()):
        time_s = (picture.pts or 0) * (picture.time_base or container.info.time_base)
        if isinstance(picture, SkippedFrame):  # none are, where nothing was spared
            continue
        if time_s > start_s and before is not None:
            last_s = start_s
            yield start_s, before
        before = picture if time_s < start_s else None
        if time_s > end_s:
            return
        if time_s >= start_s and (last_s is None or time_s - last_s >= 0.9 / MOST_FPS):
            last_s = time_s
            yield time_s, picture


def _encode(
    path: Path,
    pictures: Iterator[tuple[Fraction, av.VideoFrame]],
    start_s: Fraction,
    *,
    aspect: float,
    sound: Samples | None,
) -> None:
    import av

    # Players begin to show a clip before it is loaded whole only with the index in front.
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as clip:
        stream, track = None, None
        for time_s, picture in pictures:
            image = _upright(picture, aspect)
            if stream is None:
                stream = _picture_stream(clip, image)
                track = None if sound is None else _SoundTrack(clip, sound)
            image.pts, image.time_base = round((time_s - start_s) / _TIME_BASE), _TIME_BASE
            clip.mux(stream.encode(image))
            if track is not None:
                track.write(time_s - start_s)
        if stream is None:
            raise VideoError(f"{path.name}: no frame around this peak can be read any more.")
        clip.mux(stream.encode(None))
        if track is not None:
            track.close()


def _picture_stream(clip: av.container.OutputContainer, image: av.VideoFrame) -> av.VideoStream:
    stream = clip.add_stream("libx264", rate=30, options={"crf": "26", "preset": "veryfast"})
    stream.width, stream.height, stream.pix_fmt = image.width, image.height, "yuv420p"
    stream.time_base = stream.codec_context.time_base = _TIME_BASE
    return stream


class _SoundTrack:
    """The sound of a clip, written as far as its pictures are: players want both side by side."""

    def __init__(self, clip: av.container.OutputContainer, samples: Samples) -> None:
        from ferflow.media.audio import LAYOUT, RATE

        self._clip, self._samples, self._at = clip, samples, 0
        self._stream = clip.add_stream("aac", rate=RATE, layout=LAYOUT)
        self._stream.bit_rate = SOUND_BITS_PER_SECOND

    def write(self, until_s: Fraction) -> None:
        """Write whole frames of the encoder up to a time of the clip."""
        import av
        import numpy as np

        while self._at + _FRAME_SAMPLES <= min(until_s * self._stream.rate, self._samples.shape[1]):
            part = np.ascontiguousarray(self._samples[:, self._at : self._at + _FRAME_SAMPLES])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=self._stream.layout.name)
            frame.sample_rate, frame.pts = self._stream.rate, self._at
            frame.time_base = Fraction(1, self._stream.rate)
            self._clip.mux(self._stream.encode(frame))
            self._at += _FRAME_SAMPLES

    def close(self) -> None:
        """Write what the encoder holds back."""
        self._clip.mux(self._stream.encode(None))


def _upright(picture: av.VideoFrame, aspect: float) -> av.VideoFrame:
    """Turned, with square pixels, small, with even sides."""
    import av
    import numpy as np

    turns = round(picture.rotation / 90) % 4
    shown = picture.width * aspect, float(picture.height)
    scale = min(1.0, TALLEST_PX / shown[1 if turns % 2 == 0 else 0])
    width, height = (max(2, round(side * scale / 2) * 2) for side in shown)
    image = np.rot90(picture.to_ndarray(format="rgb24", width=width, height=height), turns)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(image, dtype=np.uint8), format="rgb24")
