"""Which frames need not be decoded, because they are not selected and no other frame depends on them.

With `--fps 5` most frames of a video are not analysed. A bit in each packet tells the decoder whether other frames are
predicted from this one; frames that are neither referenced nor selected are skipped. Between the last selected frame
and the next IDR picture, which refers to nothing before it, no frame is decoded. All other frames are the same, to the
last bit, and every frame keeps its index and its time. Which frames will be selected follows from the timestamps of
the packets, which are read some way ahead of the decoder.

"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from typing import TypeAlias

import av

from ferflow.media.decode_report import Lost, NoTimestamps
from ferflow.media.idr import is_idr

PacketOrLost: TypeAlias = "av.Packet[av.VideoStream] | Lost"

CODECS = frozenset({"h264", "hevc"})
"""Codecs whose FFmpeg decoders can change what they skip from one packet to the next."""

LOOK_AHEAD = 32
"""Packets read ahead of the decoder. A frame is shown at most 16 frames after it is decoded (H.264, HEVC), so that an
earlier timestamp of the same cell comes within 16 packets; 32 leave a margin."""


MOST_WAITING_BYTES = 16 << 20
"""Of packets that are kept until it is known whether a selected frame may depend on them."""

_JUMP_S = 5
"""Seconds between two packets from which on the times of frames may no longer follow from those of packets alone."""

COARSEST_ROUNDING_S = Fraction(1, 500)
"""Seconds. A file with a coarser time base (AVI, GIF) counts in frames, and its times are exact."""


def rounding_s(time_base: Fraction) -> float:
    """How much too early a time may be that a container has rounded: one unit, as both ends of it were rounded."""
    return float(time_base) if time_base <= COARSEST_ROUNDING_S else 0.0


def cell_index(time_s: float, fps: float, rounded_s: float = 0.0) -> int:
    """The cell of 1/fps of a second in which a time is; see `rounding_s`.

    Matroska, WebM and FLV count in milliseconds: at 30 frames per second, the second frame is at 33 and not at 33.3.
    """
    # The constant puts 0.2 s * 5 fps into cell 1 although 0.2 may be rounded down.
    return int((time_s + rounded_s) * fps + 1e-6)


@dataclass(frozen=True, slots=True)
class SkippedFrame:
    """Takes the place of a frame that was not decoded, so that it is counted like the others."""

    pts: int
    time_base: Fraction
    duration: int


class FrameSkipper:
    """Sets, before each packet, what the decoder of one stream may skip. It has state and serves one pass.

    A packet without a timestamp ends the skipping, since time then no longer follows from packets, and so does a jump
    of the timestamps, see `media.clock`. At damage the container is read again without a skipper.
    """

    def __init__(self, fps: float, start_s: float, first_pts: int | None = None) -> None:
        """Expect `video.Selection` to take the first frame of each 1/fps of a second, from `start_s` on.

        Args:
            fps: cells per second.
            start_s: seconds after the first frame.
            first_pts: timestamp of the first frame, where reading starts later; None: it starts there.
        """
        self._fps, self._start_s = fps, start_s
        self._first_pts = first_pts
        # Timestamps that are not sorted into cells yet, the earliest one of each cell, and a heap of the frames that
        # the decoder was allowed to skip: packets come in decoding order, frames in order of time.
        self._new: list[tuple[int, Fraction]] = []
        self._first_in_cell: dict[int, int] = {}
        self._skippable: list[tuple[int, int]] = []
        # Packets of frames that are not selected, since the last one that was passed on.
        self._waiting: list[av.Packet[av.VideoStream]] = []
        self._n_waiting_bytes = 0
        self._latest_s: Fraction | None = None
        self._is_stopped = False

    def set_skipping(
        self, packets: Iterable[PacketOrLost], context: av.VideoCodecContext
    ) -> Iterator[PacketOrLost]:
        """Pass on the packets that the decoder needs, and set before each what it may skip."""
        for packet in self._look_ahead(packets):
            self._sort_into_cells()
            if isinstance(packet, Lost):
                yield from self._pass_waiting_on(context)
                yield packet
                continue
            if _needs_nothing_before(packet, context) and not self._is_stopped:
                self._drop_waiting()
            if self._may_skip(packet):
                self._waiting.append(packet)
                self._n_waiting_bytes += packet.size
                if self._n_waiting_bytes > MOST_WAITING_BYTES:
                    yield from self._pass_waiting_on(context)
                continue
            yield from self._pass_waiting_on(context)
            context.skip_frame = "DEFAULT"
            yield packet

    def _look_ahead(self, packets: Iterable[PacketOrLost]) -> Iterator[PacketOrLost]:
        """The same packets, noted `LOOK_AHEAD` packets before they are passed on."""
        ahead: deque[PacketOrLost] = deque()
        for packet in packets:
            ahead.append(packet)
            if not isinstance(packet, Lost):
                self._note(packet)
            if len(ahead) > LOOK_AHEAD:
                yield ahead.popleft()
        yield from ahead

    def fill_in(
        self, events: Iterable[av.VideoFrame | Lost | NoTimestamps], time_base: Fraction
    ) -> Iterator[av.VideoFrame | SkippedFrame | Lost | NoTimestamps]:
        """Insert a `SkippedFrame` between the decoded frames for each one that was skipped, in order of time."""
        for event in events:
            if isinstance(event, av.VideoFrame):
                yield from self._skipped_before(event.pts, time_base)
            yield event
        yield from self._skipped_before(None, time_base)

    def _skipped_before(self, pts: int | None, time_base: Fraction) -> Iterator[SkippedFrame]:
        """Frames skipped before the timestamp of a decoded frame; None: before the end."""
        while self._skippable and (pts is None or self._skippable[0][0] < pts):
            skipped_pts, duration = heappop(self._skippable)
            yield SkippedFrame(skipped_pts, time_base, duration)
        if self._skippable and self._skippable[0][0] == pts:
            heappop(self._skippable)  # a reference frame: the decoder was allowed to skip it, but did not

    def _note(self, packet: av.Packet[av.VideoStream]) -> None:
        # Frames that the container marks as discarded (outside an edit list) are never given by the decoder.
        if packet.size == 0 or packet.is_discard:
            return
        if packet.pts is None or packet.time_base is None:
            self._is_stopped = True
            return
        time_s = packet.pts * packet.time_base
        if self._latest_s is not None and abs(time_s - self._latest_s) > _JUMP_S:
            self._is_stopped = True
        self._latest_s = time_s
        self._new.append((packet.pts, packet.time_base))

    def _sort_into_cells(self) -> None:
        """Sort new timestamps into cells of 1/fps.

        First called after `LOOK_AHEAD` packets: they come in decoding order, so that the earliest timestamp need not be
        that of the first packet.
        """
        if self._new and self._first_pts is None:
            self._first_pts = min(pts for pts, _ in self._new)
        for pts, time_base in self._new:
            if pts < (self._first_pts or 0):
                self._is_stopped = True  # time runs backwards
            elif (cell := self._cell(pts, time_base)) is not None:
                self._first_in_cell[cell] = min(pts, self._first_in_cell.get(cell, pts))
        self._new.clear()
        if len(self._first_in_cell) > 4 * LOOK_AHEAD:  # old cells are not needed again; long videos have many
            recent = sorted(self._first_in_cell)[-2 * LOOK_AHEAD :]
            self._first_in_cell = {cell: self._first_in_cell[cell] for cell in recent}

    def _cell(self, pts: int, time_base: Fraction) -> int | None:
        """Index of the cell; None before the start."""
        time_s = float((pts - (self._first_pts or 0)) * time_base)
        return cell_index(time_s, self._fps, rounding_s(time_base)) if time_s >= self._start_s else None

    def _pass_waiting_on(self, context: av.VideoCodecContext) -> Iterator[av.Packet[av.VideoStream]]:
        """A selected frame may depend on them, unless the decoder finds that no frame refers to them."""
        waiting, self._waiting, self._n_waiting_bytes = self._waiting, [], 0
        for packet in waiting:
            # The skipping may have been ended since.
            if may_skip := self._may_skip(packet):
                self._note_skippable(packet)
            # Whether the decoder skipped the frame is seen in `fill_in`.
            context.skip_frame = "NONREF" if may_skip else "DEFAULT"
            yield packet

    def _drop_waiting(self) -> None:
        """No frame that is decoded depends on them."""
        for packet in self._waiting:
            self._note_skippable(packet)
        self._waiting, self._n_waiting_bytes = [], 0

    def _note_skippable(self, packet: av.Packet[av.VideoStream]) -> None:
        if packet.pts is not None:
            heappush(self._skippable, (packet.pts, packet.duration or 0))

    def _may_skip(self, packet: av.Packet[av.VideoStream]) -> bool:
        return (
            packet.size > 0
            and not packet.is_discard
            and not self._is_selected(packet)
            and not self._is_stopped
        )

    def _is_selected(self, packet: av.Packet[av.VideoStream]) -> bool:
        if packet.pts is None or packet.time_base is None:
            return True
        cell = self._cell(packet.pts, packet.time_base)
        return cell is not None and self._first_in_cell.get(cell, packet.pts) >= packet.pts


def _needs_nothing_before(packet: av.Packet[av.VideoStream], context: av.VideoCodecContext) -> bool:
    """Whether the decoder gives this packet's frame and all later ones without the packets before; also of the end."""
    if packet.size == 0:
        return True
    return packet.is_keyframe and is_idr(bytes(packet), context.name, context.extradata)
