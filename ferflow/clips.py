"""Short clips around peaks, kept beside the page, and only where they were asked for.

    write_clips(paths, peaks(timeline))

A clip shows faces; it is the one thing ferflow keeps that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferflow.errors import VideoError
from ferflow.files import temporary, whole_file
from ferflow.records import RecordPaths, read_metadata, read_table
from ferflow.summaries import Peak

if TYPE_CHECKING:
    import av
    import pyarrow as pa

    from ferflow.source import Container

BEFORE_SECONDS = 3.0
AFTER_SECONDS = 4.0
TALLEST_PX = 360
MOST_FPS = 30.0

_TIME_BASE = Fraction(1, 90_000)


def clip_path(paths: RecordPaths, peak: Peak) -> Path:
    """Where the clip of a peak lies; its name is the peak's time in ms, so that it fits no other peak."""
    return paths.clips / f"{round(peak.time_s * 1000):09d}.mp4"


def clips_of(paths: RecordPaths, peaks: Sequence[Peak]) -> dict[int, Path]:
    """The clips that are there, by the peak's place in the list."""
    found = {k: clip_path(paths, peak) for k, peak in enumerate(peaks)}
    return {k: path for k, path in found.items() if path.is_file()}


def write_clips(paths: RecordPaths, peaks: Sequence[Peak]) -> list[Path]:
    """Cut a clip around every peak: H.264, upright, 360 px high at most, without sound.

    Clips of other moments, which an earlier analysis left, are removed.

    Raises:
        VideoError: the video is not there any more, or cannot be read.
        RecordsError: the tables of the video cannot be read.
    """
    wanted = [clip_path(paths, peak) for peak in peaks]
    for old in set(paths.clips.glob("*.mp4")) - set(wanted):
        old.unlink()
    footer = read_metadata(paths.faces)
    source = Path((footer.get("source") or {}).get("path") or "")
    for peak, path in zip(peaks, wanted, strict=True):
        if not path.exists():
            first_s = first_picture_s(read_table(paths.frames, ["pts", "time_s"]), footer)
            _write_clip(path, source, peak, first_s)
    return wanted


def first_picture_s(frames: pa.Table, footer: Mapping[str, Any]) -> Fraction:
    """When a video's first frame is shown by its file's own clock, from FRAMES: the first in it may be a later one."""
    row = frames.select(["pts", "time_s"]).slice(0, 1).to_pylist()[0]
    return int(row["pts"]) * Fraction(footer["source"]["time_base"]) - Fraction(row["time_s"])


def _write_clip(path: Path, source: Path, peak: Peak, first_s: Fraction) -> None:
    from ferflow.source import Container

    if not source.is_file():
        raise VideoError(f"{source.name}: not where it was analysed, so no clips of it can be made.")
    container = Container(source)
    try:
        start = first_s + Fraction(max(0.0, peak.time_s - BEFORE_SECONDS))
        pictures = _pictures_between(container, start, first_s + Fraction(peak.time_s + AFTER_SECONDS))
        with whole_file(path) as part:
            _encode(part, pictures, start, container.info.pixel_aspect)
    finally:
        container.close()
        temporary(path).unlink(missing_ok=True)


def _pictures_between(
    container: Container, start_s: Fraction, end_s: Fraction
) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """(seconds, picture) of a stretch, at most `MOST_FPS` a second; the timestamps are the container's."""
    from ferflow.faults import Faults
    from ferflow.sparing import Spared

    last_s = None
    container.seek(start_s)
    for picture in container.pictures(Faults()):
        time_s = (picture.pts or 0) * (picture.time_base or container.info.time_base)
        if time_s > end_s:
            return
        due = time_s >= start_s and (last_s is None or time_s - last_s >= 0.9 / MOST_FPS)
        if due and not isinstance(picture, Spared):  # none are, where nothing was spared
            last_s = time_s
            yield time_s, picture


def _encode(
    path: Path, pictures: Iterator[tuple[Fraction, av.VideoFrame]], start_s: Fraction, aspect: float
) -> None:
    import av

    # Players begin to show a clip before it is loaded whole only with the index in front.
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as clip:
        stream = None
        for time_s, picture in pictures:
            image = _upright(picture, aspect)
            if stream is None:
                stream = clip.add_stream("libx264", rate=30, options={"crf": "26", "preset": "veryfast"})
                stream.width, stream.height, stream.pix_fmt = image.width, image.height, "yuv420p"
                stream.time_base = stream.codec_context.time_base = _TIME_BASE
            image.pts, image.time_base = round((time_s - start_s) / _TIME_BASE), _TIME_BASE
            clip.mux(stream.encode(image))
        if stream is None:
            raise VideoError(f"{path.name}: no frame around this peak can be read any more.")
        clip.mux(stream.encode(None))


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
