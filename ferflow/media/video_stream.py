"""Which of the video streams of a file is analysed.

As FFmpeg does, the one that the file calls its default, then the largest one, then the one with the most frames. Before
that, two kinds are left out that recorders put in front of the recording, and that many programs mark as the default
because they are the first: single pictures (cover art, thumbnails) and previews.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import av
import av.container
from av.stream import Disposition

from ferflow.errors import VideoError

_PREVIEW_PX = 180
"""Short side, pixels; a smaller stream is a preview where there is a larger one."""
_PREVIEW_SHARE = 0.1
"""Of the longest stream; a shorter one is a thumbnail."""


def choose_stream(container: av.container.InputContainer, name: str, wanted: int | None) -> av.VideoStream:
    """The stream to analyse.

    Args:
        container: of the file.
        name: of the file, for messages.
        wanted: number of the stream in the file; None: the best one.

    Raises:
        VideoError: there is none, or not the wanted one.
    """
    streams = pictures(container)
    if not streams:
        others = [s.type for s in container.streams]
        found = ", ".join(f"{others.count(kind)} {kind}" for kind in sorted(set(others))) or "nothing"
        raise VideoError(f"{name}: no video stream (found: {found}). Nothing to analyse.")
    if wanted is None:
        return _best(streams)
    chosen = [stream for stream in streams if stream.index == wanted]
    if not chosen:
        known = ", ".join(map(describe_stream, streams))
        raise VideoError(
            f"{name}: stream {wanted} is no video stream; there is {known}. Choose with --stream."
        )
    return chosen[0]


def pictures(container: av.container.InputContainer) -> list[av.VideoStream]:
    """The video streams without cover art of music files, which is stored as a video stream of one picture."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def describe_stream(stream: av.VideoStream) -> str:
    """A stream in words: `#1 (h264, 320x240, 90 frames)`."""
    context = stream.codec_context
    known = [context.name, f"{context.width}x{context.height}"] if context is not None else ["no decoder"]
    if stream.frames:
        known.append("1 frame" if stream.frames == 1 else f"{stream.frames} frames")
    return f"#{stream.index} ({', '.join(known)})"


def _best(streams: Sequence[av.VideoStream]) -> av.VideoStream:
    readable = [stream for stream in streams if stream.codec_context is not None] or streams
    long = _without_short(readable)
    # The first of equal ones, as FFmpeg.
    return max(
        long,
        key=lambda stream: (
            not _is_preview(stream, long),
            bool(stream.disposition & Disposition.default),
            _area(stream),
            stream.frames,
        ),
    )


def _without_short(streams: Sequence[av.VideoStream]) -> Sequence[av.VideoStream]:
    lengths = [_seconds(stream) for stream in streams]
    longest = max((length for length in lengths if length is not None), default=0.0)
    return [
        stream
        for stream, length in zip(streams, lengths, strict=True)
        if stream.frames != 1 and (length is None or length >= _PREVIEW_SHARE * longest)
    ] or streams


def tagged_seconds(stream: av.VideoStream) -> float | None:
    """Duration that a tag of Matroska states, from 0 to the end of the last frame; None without such a tag."""
    if (written := stream.metadata.get("DURATION")) is not None:
        with contextlib.suppress(ValueError):
            hours, minutes, seconds = map(float, written.split(":"))
            return hours * 3600 + minutes * 60 + seconds
    return None


def _seconds(stream: av.VideoStream) -> float | None:
    # The tag first: as the duration of the first stream of a Matroska file, FFmpeg gives that of the file.
    if (tagged_s := tagged_seconds(stream)) is not None:
        return tagged_s
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None


def _area(stream: av.VideoStream) -> int:
    context = stream.codec_context
    return context.width * context.height if context is not None else 0


def _is_preview(stream: av.VideoStream, others: Sequence[av.VideoStream]) -> bool:
    context = stream.codec_context
    small = context is not None and min(context.width, context.height) < _PREVIEW_PX
    return small and any(_area(other) > 2 * _area(stream) for other in others)
