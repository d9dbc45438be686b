"""Short clips around peaks, cut only where they are asked for.

    write_clips(paths, peaks(timeline))

A clip shows faces; it is the one thing ferflow keeps that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ferflow.analytics.peaks import Peak
from ferflow.errors import VideoError
from ferflow.store.metadata import read_metadata
from ferflow.store.video_files import VideoFiles

if TYPE_CHECKING:
    from ferflow.media.video import Frame, Video

BEFORE_SECONDS = 3.0
AFTER_SECONDS = 4.0
TALLEST_PX = 360
MOST_FPS = 30.0

SOUND_BITS_PER_SECOND = 96_000

CLIP_CRF = 26


@dataclass(frozen=True, slots=True)
class Clip:
    """What one clip shows."""

    path: Path
    """Named by the times of its first and last peak in ms, so that it fits no others."""
    peaks: tuple[int, ...]
    """Their places in the list, by time."""
    start_s: float
    end_s: float


def plan_clips(paths: VideoFiles, peaks: Sequence[Peak]) -> list[Clip]:
    """A clip around every peak; peaks so near that two clips would show the same share one."""
    runs: list[list[int]] = []
    for place in sorted(range(len(peaks)), key=lambda place: peaks[place].time_s):
        near = runs and peaks[place].time_s - peaks[runs[-1][-1]].time_s < BEFORE_SECONDS + AFTER_SECONDS
        if near:
            runs[-1].append(place)
        else:
            runs.append([place])
    return [_clip(paths, peaks, run) for run in runs]


def _clip(paths: VideoFiles, peaks: Sequence[Peak], run: Sequence[int]) -> Clip:
    first_s, last_s = peaks[run[0]].time_s, peaks[run[-1]].time_s
    name = "-".join(f"{round(time_s * 1000):09d}" for time_s in dict.fromkeys((first_s, last_s)))
    return Clip(
        paths.clips / f"{name}.mp4", tuple(run), max(0.0, first_s - BEFORE_SECONDS), last_s + AFTER_SECONDS
    )


def existing_clips(paths: VideoFiles, peaks: Sequence[Peak]) -> list[Clip]:
    """The clips that are there."""
    return [clip for clip in plan_clips(paths, peaks) if clip.path.is_file()]


def write_clips(paths: VideoFiles, peaks: Sequence[Peak]) -> list[Path]:
    """Cut a clip around every peak: H.264, upright, 360 px high at most, with the sound as AAC if there is any.

    Clips of other moments, which an earlier analysis left, are removed; those that are there stay.

    Raises:
        VideoError: the video is not there any more, or cannot be read.
        RecordsError: the tables of the video cannot be read.
    """
    wanted = plan_clips(paths, peaks)
    for old in set(paths.clips.glob("*.mp4")) - {clip.path for clip in wanted}:
        old.unlink()
    source = Path(read_metadata(paths.faces).source.path)
    for clip in wanted:
        if not clip.path.exists():
            _write_clip(clip, source)
    return [clip.path for clip in wanted]


def _write_clip(clip: Clip, source: Path) -> None:
    from ferflow.media.video import open_video

    if not source.is_file():
        raise VideoError(f"{source.name}: not where it was analysed, so no clips of it can be made.")
    with open_video(source) as video:
        _encode_clip(clip, video)


def _encode_clip(clip: Clip, video: Video) -> None:
    from ferflow.media.audio import RATE, read_audio
    from ferflow.media.encode import EncodedSamples, VideoSettings, open_video_writer

    start_s, end_s = Fraction(clip.start_s), Fraction(clip.end_s)
    frames = _thin_out(video.frames_between(start_s, end_s))
    first = next(frames, None)
    if first is None:
        raise VideoError(f"{clip.path.name}: no frame around this peak can be read any more.")
    origin_s = video.origin_s()
    samples = read_audio(video.info.path, origin_s + start_s, origin_s + end_s)
    audio = (
        None if samples is None else EncodedSamples(samples, rate=RATE, bits_per_second=SOUND_BITS_PER_SECOND)
    )
    settings = VideoSettings(size=_clip_size(first), crf=CLIP_CRF)
    with open_video_writer(clip.path, settings, audio) as writer:
        for frame in chain((first,), frames):
            # The first frame may be shown since before the clip starts: a clip must not begin with black.
            writer.write(frame.bgr(settings.size), max(frame.time - start_s, Fraction(0)))


def _thin_out(frames: Iterator[Frame]) -> Iterator[Frame]:
    """At most `MOST_FPS` frames a second; a tenth of a step is allowed for, since times jitter."""
    last_s = None
    for frame in frames:
        if last_s is None or frame.time_s - last_s >= 0.9 / MOST_FPS:
            last_s = frame.time_s
            yield frame


def _clip_size(frame: Frame) -> tuple[int, int]:
    """(width, height) with square pixels, `TALLEST_PX` high at most, even."""
    shown = frame.planes.width * frame.pixel_aspect, float(frame.planes.height)
    scale = min(1.0, TALLEST_PX / shown[1])
    width, height = (max(2, round(side * scale / 2) * 2) for side in shown)
    return width, height
