"""Frames that nobody asked for and nothing depends on need not be decoded.

With `--fps 5` most frames of a video are never looked at. Those that no other frame is predicted from, which a
decoder knows by a bit in each, are passed over; the rest comes out as ever, down to the last bit, and every frame
keeps its number and time. Which frames will be asked for is known from the timestamps of the packets, some way
ahead of the decoder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush

import av

CODECS = frozenset({"h264", "hevc"})
"""Whose decoders in FFmpeg can pass over frames that are no reference, from one packet to the next."""

LOOK_AHEAD = 32
"""Packets; a frame is shown at most 16 frames later than it is decoded (H.264, HEVC)."""


@dataclass(frozen=True, slots=True)
class SkippedFrame:
    """Stands for a frame that was not decoded."""

    pts: int
    time_base: Fraction
    duration: int
    is_corrupt: bool = False


class FrameSkipper:
    """Tells the decoder of one stream what it may pass over. Remembers timestamps; for one pass.

    What it cannot be sure of is decoded: packets without timestamps end it, and at damage `source` reads again
    without it.
    """

    def __init__(self, fps: float, start_s: float = 0.0) -> None:
        """Expect `video.Selection` to take the first frame of each 1/fps of a second, from `start_s` on."""
        self._fps, self._start_s = fps, start_s
        self._first_pts: int | None = None
        self._noted: list[tuple[int, Fraction]] = []
        self._first_in_cell: dict[int, int] = {}
        self._waiting: list[tuple[int, int]] = []
        self._is_over = False

    def marked(
        self, packets: Iterable[av.Packet[av.VideoStream]], context: av.VideoCodecContext
    ) -> Iterator[av.Packet[av.VideoStream]]:
        """The packets, with the decoder told before each whether it may pass over it."""
        ahead: deque[av.Packet[av.VideoStream]] = deque()
        for packet in packets:
            ahead.append(packet)
            self._note(packet)
            if len(ahead) > LOOK_AHEAD:
                yield self._told(ahead.popleft(), context)
        while ahead:
            yield self._told(ahead.popleft(), context)

    def filled(
        self, pictures: Iterable[av.VideoFrame], time_base: Fraction
    ) -> Iterator[av.VideoFrame | SkippedFrame]:
        """The decoded pictures, in order, and what was passed over between them."""
        for picture in pictures:
            yield from self._before(picture.pts, time_base)
            yield picture
        yield from self._before(None, time_base)

    def _before(self, pts: int | None, time_base: Fraction) -> Iterator[SkippedFrame]:
        """What was passed over before a decoded picture; None: before the end."""
        while self._waiting and (pts is None or self._waiting[0][0] < pts):
            spared_pts, duration = heappop(self._waiting)
            yield SkippedFrame(spared_pts, time_base, duration)
        if self._waiting and self._waiting[0][0] == pts:
            heappop(self._waiting)  # a reference: it was decoded all the same

    def _stop(self) -> None:
        """Decode everything from here on."""
        self._is_over = True

    def _note(self, packet: av.Packet[av.VideoStream]) -> None:
        if packet.size == 0 or packet.is_discard:
            return
        if packet.pts is None or packet.time_base is None:
            self._stop()
        else:
            self._noted.append((packet.pts, packet.time_base))

    def _settle(self) -> None:
        """Sort what was noted into cells; by the first time there is enough of it to know where time begins."""
        if self._noted and self._first_pts is None:
            self._first_pts = min(pts for pts, _ in self._noted)
        for pts, time_base in self._noted:
            if pts < (self._first_pts or 0):
                self._stop()  # time runs backwards
            elif (cell := self._cell(pts, time_base)) is not None:
                self._first_in_cell[cell] = min(pts, self._first_in_cell.get(cell, pts))
        self._noted.clear()
        if len(self._first_in_cell) > 4 * LOOK_AHEAD:  # those long gone by are not asked for again
            recent = sorted(self._first_in_cell)[-2 * LOOK_AHEAD :]
            self._first_in_cell = {cell: self._first_in_cell[cell] for cell in recent}

    def _cell(self, pts: int, time_base: Fraction) -> int | None:
        """As `video.Selection` counts them; None before the start."""
        time_s = float((pts - (self._first_pts or 0)) * time_base)
        return int(time_s * self._fps + 1e-6) if time_s >= self._start_s else None

    def _told(
        self, packet: av.Packet[av.VideoStream], context: av.VideoCodecContext
    ) -> av.Packet[av.VideoStream]:
        self._settle()
        spare = (
            packet.size > 0 and not packet.is_discard and not self._is_asked_for(packet) and not self._is_over
        )
        context.skip_frame = "NONREF" if spare else "DEFAULT"
        if spare and packet.pts is not None:
            heappush(self._waiting, (packet.pts, packet.duration or 0))
        return packet

    def _is_asked_for(self, packet: av.Packet[av.VideoStream]) -> bool:
        if packet.pts is None or packet.time_base is None:
            return True
        cell = self._cell(packet.pts, packet.time_base)
        return cell is not None and self._first_in_cell.get(cell, packet.pts) >= packet.pts
