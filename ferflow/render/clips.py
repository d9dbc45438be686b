"""Short clips around peaks, made only on request.

    write_clips(paths, peaks(timeline))

Clips show faces. No other file in an output folder does.
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
from ferflow.render.removed_people import check_shows_nobody_removed
from ferflow.store.atomic_files import remove
from ferflow.store.metadata import VideoMetadata, read_metadata
from ferflow.store.video_files import VideoFiles

if TYPE_CHECKING:
    from ferflow.media.video import Frame, Video

BEFORE_SECONDS = 3.0
AFTER_SECONDS = 4.0

# Clips may be embedded in a page, so they are small: few pixels, a normal frame rate, moderate quality.
MAX_HEIGHT_PX = 360
MAX_FPS = 30.0
CLIP_CRF = 26
SOUND_BITS_PER_SECOND = 96_000


@dataclass(frozen=True, slots=True)
class Clip:
    """The file, the peaks and the times of one clip."""

    path: Path
    """Its name has the times of its first and last peak in ms, so that a clip of other peaks has another name."""
    peaks: tuple[int, ...]
    """Their indices in the list of peaks, in order of time."""
    start_s: float
    end_s: float


def plan_clips(paths: VideoFiles, peaks: Sequence[Peak]) -> list[Clip]:
    """Plan a clip around every peak; peaks so near that their clips would overlap share one."""
    runs: list[list[int]] = []
    for i in sorted(range(len(peaks)), key=lambda i: peaks[i].time_s):
        if runs and peaks[i].time_s - peaks[runs[-1][-1]].time_s < BEFORE_SECONDS + AFTER_SECONDS:
            runs[-1].append(i)
        else:
            runs.append([i])
    return [_plan_clip(paths, peaks, run) for run in runs]


def _plan_clip(paths: VideoFiles, peaks: Sequence[Peak], run: Sequence[int]) -> Clip:
    first_s, last_s = peaks[run[0]].time_s, peaks[run[-1]].time_s
    name = "-".join(f"{round(time_s * 1000):09d}" for time_s in dict.fromkeys((first_s, last_s)))
    return Clip(
        paths.clips / f"{name}.mp4", tuple(run), max(0.0, first_s - BEFORE_SECONDS), last_s + AFTER_SECONDS
    )


def existing_clips(paths: VideoFiles, peaks: Sequence[Peak]) -> list[Clip]:
    """The planned clips whose files exist."""
    return [clip for clip in plan_clips(paths, peaks) if clip.path.is_file()]


def write_clips(paths: VideoFiles, peaks: Sequence[Peak]) -> list[Path]:
    """Cut a clip around every peak: H.264, upright, 360 px high at most, with the sound as AAC if there is any.

    Clips of other moments, which an earlier analysis left, are removed; planned clips that exist are kept.

    Raises:
        VideoError: the video is no longer at its path, or cannot be read, or somebody was removed from its session.
        RecordsError: the tables of the video cannot be read.
    """
    wanted = plan_clips(paths, peaks)
    for old in set(paths.clips.glob("*.mp4")) - {clip.path for clip in wanted}:
        remove(old, out=paths.out)
    metadata = read_metadata(paths.faces)
    check_shows_nobody_removed(metadata)
    for clip in wanted:
        if not clip.path.exists():
            _write_clip(clip, metadata, paths.out)
    return [clip.path for clip in wanted]


def _write_clip(clip: Clip, metadata: VideoMetadata, out: Path) -> None:
    from ferflow.media.video import Reading, open_video

    source = Path(metadata.source.path)

    if not source.is_file():
        raise VideoError(f"{source.name}: not where it was analysed, so no clips of it can be made.")
    with open_video(source, Reading.again(metadata.options, metadata.source)) as video:
        _encode_clip(clip, video, out)


def _encode_clip(clip: Clip, video: Video, out: Path) -> None:
    from ferflow.media.audio import RATE, read_audio
    from ferflow.media.encode import EncodedSamples, VideoSettings, open_video_writer

    start_s, end_s = Fraction(clip.start_s), Fraction(clip.end_s)
    # The first frame is decoded before the file is made, because it determines the size.
    frames = thin_out(video.frames_between(start_s, end_s), MAX_FPS)
    first = next(frames, None)
    if first is None:
        raise VideoError(f"{clip.path.name}: no frame around this peak can be read any more.")
    # Frames have seconds after the first frame, sound is read by the file's own clock.
    origin_s = video.origin_s()
    samples = read_audio(video.info.path, origin_s + start_s, origin_s + end_s)
    audio = (
        None if samples is None else EncodedSamples(samples, rate=RATE, bits_per_second=SOUND_BITS_PER_SECOND)
    )
    settings = VideoSettings(size=fit_size(first, MAX_HEIGHT_PX), crf=CLIP_CRF)
    with open_video_writer(clip.path, settings, audio, out=out) as writer:
        for frame in chain((first,), frames):
            # The first frame is the one that is shown when the clip starts, so its own time may be before that; without
            # it the clip would start with black.
            writer.write(frame.bgr(settings.size), max(frame.time - start_s, Fraction(0)))


def thin_out(frames: Iterator[Frame], most_fps: float) -> Iterator[Frame]:
    """Yield so many frames per second at most, with a tolerance of a tenth of a step, since timestamps jitter."""
    last_s = None
    for frame in frames:
        if last_s is None or frame.time_s - last_s >= 0.9 / most_fps:
            last_s = frame.time_s
            yield frame


def fit_size(frame: Frame, most_height: int) -> tuple[int, int]:
    """(width, height) with square pixels, at most so many pixels high, both even."""
    shown = frame.planes.width * frame.pixel_aspect, float(frame.planes.height)
    scale = min(1.0, most_height / shown[1])
    width, height = (max(2, round(side * scale / 2) * 2) for side in shown)
    return width, height
