"""Where a video can be split into parts that are read apart (`media.parts`).

A part begins at a key frame from which on every frame can be decoded without what comes before: an IDR picture, or one
after which only frames that are shown before it need more ("open GOP"); those belong to the part before. All packets
are read for it, and none is decoded but the first few.

>>> with open_video(path) as video:
...     parts = split_video(video, Selection(), lambda seconds: round(seconds / 300))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise

import av

from ferflow.errors import VideoError
from ferflow.media.clock import TimedFrame
from ferflow.media.container import Container
from ferflow.media.decode_report import Lost
from ferflow.media.frame_skipping import PacketOrLost, SkippedFrame, rounding_s
from ferflow.media.idr import is_clean_start
from ferflow.media.parts import Part, digest_of
from ferflow.media.spacing import Spacing
from ferflow.media.video import Selection, Video

_CODECS = frozenset("h264 hevc mpeg4 mpeg2video mpeg1video vp8 vp9 libdav1d av1 mjpeg prores".split())
"""Decoders that can start at key frames; of those of H.264 and HEVC, `idr` says at which."""

_N_EARLIER = 10
"""Timestamps before a part that its clock needs: it keeps nine steps."""
_N_PROBED = 48
"""Frames at the start that are decoded, to see whether the packets say which frames there are."""


class CannotSplitError(VideoError):
    """A video can only be read in one go; the message says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class _Packet:
    pts: int
    dts: int | None
    duration: int
    is_start: bool
    """Whether a part may begin with it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A frame at which a part may begin."""

    row: int
    """Of its packet, in the order of time."""
    n_seen: int
    last_cell: int
    """State of the selection before it."""
    spaced_s: tuple[float | None, ...]
    next_s: float
    """Time of the first frame from it on that is analysed."""


def split_video(
    video: Video, selection: Selection, count: Callable[[float], int], spacings: Sequence[float] = ()
) -> list[Part]:
    """Split a video into parts in which about equally much is analysed.

    Args:
        video: an open video, from which nothing was read; it cannot be read afterwards.
        selection: the frames that are analysed; fresh.
        count: the number of parts, by the seconds of video that are analysed; there are fewer where there are too few
            key frames.
        spacings: in seconds; of each, parts know which analysed frame it chooses last before them, see `Spacing`.

    Raises:
        CannotSplitError: parts of it would not give the same frames as all of it.
        VideoError: it cannot be read.
    """
    source = video.source
    if not isinstance(source, Container):
        raise CannotSplitError("it consists of images")
    codec, extradata = video.info.codec, source.extradata
    if codec not in _CODECS:
        raise CannotSplitError(f"decoding cannot start in the middle of {codec}")
    _check_first_frames(video, source)
    packets = sorted(_scan(source.packets(), codec, extradata), key=lambda packet: packet.pts)
    if not packets:
        raise CannotSplitError("it has no frames")
    if any(one.pts == other.pts for one, other in pairwise(packets)):
        raise CannotSplitError("it has several frames at one time")
    walk = _follow(video, packets, selection, [Spacing(seconds) for seconds in spacings])
    return _make_parts(packets, walk, _choose(walk, count(walk.last_s - walk.first_s)))


def _check_first_frames(video: Video, source: Container) -> None:
    """Compare the first frames that are decoded with the first packets.

    Raises:
        CannotSplitError: they differ, as for fields that are frames of their own.
    """
    decoded = [event.pts for event in islice(_frames(source.decode()), _N_PROBED)]
    promised = sorted(
        packet.pts
        for packet in islice(_scan(source.packets(), video.info.codec, source.extradata), 2 * _N_PROBED)
    )
    if decoded != promised[: len(decoded)]:
        raise CannotSplitError("its packets do not say which frames it has")


def _frames(events: Iterable[object]) -> Iterator[av.VideoFrame]:
    return (event for event in events if isinstance(event, av.VideoFrame))


def _scan(packets: Iterable[PacketOrLost], codec: str, extradata: bytes | None) -> Iterator[_Packet]:
    """Packets with a frame that is shown, in the order of the file."""
    for packet in packets:
        if isinstance(packet, Lost):  # the file ends inside of a frame, or before its end
            continue
        if packet.size == 0 or packet.is_discard:
            continue
        if packet.pts is None:
            raise CannotSplitError("it has frames without a timestamp")
        if packet.is_corrupt:
            raise CannotSplitError("it is damaged")
        if codec != "vp8" or bytes(packet)[0] & 0x10:  # VP8 has packets with a picture that is not shown
            is_start = packet.is_keyframe and is_clean_start(bytes(packet), codec, extradata)
            yield _Packet(packet.pts, packet.dts, packet.duration or 0, is_start)


@dataclass(frozen=True, slots=True)
class _Walk:
    """What is known of the frames of a video once their times are."""

    places: list[_Place]
    first_s: float
    last_s: float
    """Times of the first and the last frame that are analysed."""


def _follow(
    video: Video, packets: Sequence[_Packet], selection: Selection, spacings: Sequence[Spacing]
) -> _Walk:
    """Go through the frames in order of time, as `Video.frames` does."""
    time_base, clock = video.info.time_base, video.new_clock()
    rounded_s, places = rounding_s(time_base), list[_Place]()
    first_s, last_s = None, 0.0
    place: Callable[..., _Place] | None = None
    frames = clock.run(SkippedFrame(one.pts, time_base, one.duration) for one in packets)
    for row, timed in enumerate(frames):
        if not isinstance(timed, TimedFrame) or timed.jump_s is not None or timed.is_stray:
            raise CannotSplitError("its timestamps jump")
        time_s = float(timed.time)
        if selection.is_over(row, time_s):
            break
        # Of places without an analysed frame in between, the last one is the nearest to what comes.
        if packets[row].is_start and first_s is not None:
            spaced_s = tuple(None if one.last_s == -math.inf else one.last_s for one in spacings)
            place = partial(_Place, row, *selection.state, spaced_s)
        if selection.takes(row, time_s, rounded_s):
            first_s, last_s = time_s if first_s is None else first_s, time_s
            if place is not None:
                places.append(place(next_s=time_s))
                place = None
            for spacing in spacings:
                spacing.is_due(time_s)
    if first_s is None:
        raise CannotSplitError("no frame of it is analysed")
    return _Walk(places, first_s, last_s)


def _choose(walk: _Walk, n_parts: int) -> list[_Place]:
    """The places nearest to those at equal distances."""
    chosen: list[_Place] = []
    for number in range(1, n_parts):
        wanted_s = walk.first_s + (walk.last_s - walk.first_s) * number / n_parts
        free = [place for place in walk.places if not chosen or place.row > chosen[-1].row]
        if free:
            chosen.append(min(free, key=lambda place: abs(place.next_s - wanted_s)))
    return chosen


def _make_parts(packets: Sequence[_Packet], walk: _Walk, chosen: Sequence[_Place]) -> list[Part]:
    first = _Place(0, *Selection().state, (), next_s=walk.first_s)
    last = _Place(len(packets), *Selection().state, (), next_s=walk.last_s)
    return [
        Part(
            number=number,
            start_pts=packets[start.row].pts if number else None,
            start_dts=packets[start.row].dts if number else None,
            end_pts=packets[end.row].pts if end is not last else None,
            first_pts=packets[0].pts,
            earlier_pts=tuple(one.pts for one in packets[max(start.row - _N_EARLIER, 0) : start.row]),
            n_earlier=start.row,
            n_frames=end.row - start.row,
            digest=digest_of(one.pts for one in packets[start.row : end.row]),
            n_seen=start.n_seen,
            last_cell=start.last_cell,
            spaced_s=start.spaced_s,
            start_s=start.next_s,
            end_s=end.next_s,
        )
        for number, (start, end) in enumerate(pairwise([first, *chosen, last]))
    ]
