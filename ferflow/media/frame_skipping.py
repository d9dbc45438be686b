"""Which frames need not be decoded, because they are not asked for and no other frame depends on them.

With `--fps 5` most frames of a video are never looked at. A decoder knows by a bit in each packet whether other frames
are predicted from it; those that are not referenced and not asked for are skipped. All other frames come out the same,
to the last bit, and every frame keeps its index and its time. Which frames will be asked for follows from the
timestamps of the packets, which are read some way ahead of the decoder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush

import av

from ferflow.media.decode_report import Lost, NoTimestamps

CODECS = frozenset({"h264", "hevc"})
"""Codecs whose FFmpeg decoders can change what they skip from one packet to the next."""

LOOK_AHEAD = 32
"""Packets. A frame is shown at most 16 frames later than it is decoded (H.264, HEVC); twice that is safe."""


@dataclass(frozen=True, slots=True)
class SkippedFrame:
    """Stands for a frame that was not decoded, so that it is counted all the same."""

    pts: int
    time_base: Fraction
    duration: int


class FrameSkipper:
    """Sets, before each packet, what the decoder of one stream may skip. It remembers timestamps, for one pass.

    A packet without a timestamp ends the skipping, since time then no longer follows from packets; and at damage the
    container is read again without it.
    """

    def __init__(self, fps: float, start_s: float = 0.0) -> None:
        """Expect `video.Selection` to take the first frame of each 1/fps of a second, from `start_s` on."""
        self._fps, self._start_s = fps, start_s
        self._first_pts: int | None = None
        self._new: list[tuple[int, Fraction]] = []
        self._first_in_cell: dict[int, int] = {}
        self._skippable: list[tuple[int, int]] = []
        self._is_stopped = False

    def set_skipping(
        self, packets: Iterable[av.Packet[av.VideoStream] | Lost], context: av.VideoCodecContext
    ) -> Iterator[av.Packet[av.VideoStream] | Lost]:
        """Pass the packets on, `LOOK_AHEAD` later, and set before each what the decoder may skip."""
        ahead: deque[av.Packet[av.VideoStream] | Lost] = deque()
        for packet in packets:
            ahead.append(packet)
            if not isinstance(packet, Lost):
                self._note(packet)
            if len(ahead) > LOOK_AHEAD:
                yield self._set_for(ahead.popleft(), context)
        while ahead:
            yield self._set_for(ahead.popleft(), context)

    def fill_in(
        self, events: Iterable[av.VideoFrame | Lost | NoTimestamps], time_base: Fraction
    ) -> Iterator[av.VideoFrame | SkippedFrame | Lost | NoTimestamps]:
        """Put a `SkippedFrame` between the decoded frames for each that was skipped, in order."""
        for event in events:
            if isinstance(event, av.VideoFrame):
                yield from self._skipped_before(event.pts, time_base)
            yield event
        yield from self._skipped_before(None, time_base)

    def _skipped_before(self, pts: int | None, time_base: Fraction) -> Iterator[SkippedFrame]:
        """What was skipped before a decoded frame; None: before the end."""
        while self._skippable and (pts is None or self._skippable[0][0] < pts):
            skipped_pts, duration = heappop(self._skippable)
            yield SkippedFrame(skipped_pts, time_base, duration)
        if self._skippable and self._skippable[0][0] == pts:
            heappop(self._skippable)  # a reference frame: it was decoded although it may have been skipped

    def _note(self, packet: av.Packet[av.VideoStream]) -> None:
        if packet.size == 0 or packet.is_discard:
            return
        if packet.pts is None or packet.time_base is None:
            self._is_stopped = True
        else:
            self._new.append((packet.pts, packet.time_base))

    def _sort_into_cells(self) -> None:
        """Sort what is new into cells of 1/fps.

        First called when `LOOK_AHEAD` packets were read: packets come in decoding order, so that the first timestamp
        is known only after some of them.
        """
        if self._new and self._first_pts is None:
            self._first_pts = min(pts for pts, _ in self._new)
        for pts, time_base in self._new:
            if pts < (self._first_pts or 0):
                self._is_stopped = True  # time runs backwards
            elif (cell := self._cell(pts, time_base)) is not None:
                self._first_in_cell[cell] = min(pts, self._first_in_cell.get(cell, pts))
        self._new.clear()
        if len(self._first_in_cell) > 4 * LOOK_AHEAD:  # old cells are not asked for again
            recent = sorted(self._first_in_cell)[-2 * LOOK_AHEAD :]
            self._first_in_cell = {cell: self._first_in_cell[cell] for cell in recent}

    def _cell(self, pts: int, time_base: Fraction) -> int | None:
        """As `video.Selection` counts them; None before the start."""
        time_s = float((pts - (self._first_pts or 0)) * time_base)
        return int(time_s * self._fps + 1e-6) if time_s >= self._start_s else None

    def _set_for(
        self, packet: av.Packet[av.VideoStream] | Lost, context: av.VideoCodecContext
    ) -> av.Packet[av.VideoStream] | Lost:
        self._sort_into_cells()
        if isinstance(packet, Lost):
            return packet
        may_skip = (
            packet.size > 0
            and not packet.is_discard
            and not self._is_asked_for(packet)
            and not self._is_stopped
        )
        context.skip_frame = "NONREF" if may_skip else "DEFAULT"
        if may_skip and packet.pts is not None:
            heappush(self._skippable, (packet.pts, packet.duration or 0))
        return packet

    def _is_asked_for(self, packet: av.Packet[av.VideoStream]) -> bool:
        if packet.pts is None or packet.time_base is None:
            return True
        cell = self._cell(packet.pts, packet.time_base)
        return cell is not None and self._first_in_cell.get(cell, packet.pts) >= packet.pts
