"""The newest frame of sources that are slow, stand still, end and come back; cameras are made up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ferflow.errors import VideoError
from ferflow.jobs.live import capture as capture_module
from ferflow.jobs.live import sources
from ferflow.jobs.live.capture import Capture, Patience, SourceLostError
from ferflow.jobs.live.feed import Captured, StreamState
from ferflow.jobs.live.sources import LiveSource, Platform, find_source
from ferflow.media.container import VideoInfo
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions

CAMERA = LiveSource(kind="camera", address="0", label="camera 0")
PLANES = Planes(np.zeros((8, 8), np.uint8), None, None, full_range=True)
INFO = VideoInfo(
    path=Path("camera"), format="v4l2", codec="mjpeg", pix_fmt="gray", width=8, height=8,
    time_base=Fraction(1, 1_000_000), frame_rate=100.0, duration_s_from_header=None, n_frames_from_header=None,
)  # fmt: skip

Frames = Callable[[StreamState, threading.Event], Iterator[float | None]]
"""Yields pauses in seconds, after each of which a frame comes."""


class FakeFeed:
    """A camera that gives frames as a test says."""

    def __init__(self, frames: Frames, state: StreamState, stop: threading.Event) -> None:
        self.info, self.report, self.is_endless, self.end_s = INFO, state.report, True, 0.0
        self._frames, self._state, self._stop = frames, state, stop

    def frames(self) -> Iterator[Captured]:
        for pause in self._frames(self._state, self._stop):
            self._stop.wait(pause)
            now = time.monotonic()
            yield Captured(Frame(0, 0, self._state.clock.time(None, now), PLANES), now)

    def close(self) -> None:
        pass


@pytest.fixture
def camera(monkeypatch) -> Callable[..., None]:
    """Let connections, one after the other, be these; an error instead of frames refuses the connection."""

    def install(*connections: Frames | VideoError) -> None:
        left = iter(connections)

        def open_fake(source, options, state, stop, stall_s):
            state.clock.interrupt()
            connection = next(left)
            if isinstance(connection, VideoError):
                raise connection
            return FakeFeed(connection, state, stop)

        monkeypatch.setattr(capture_module, "open_feed", open_fake)
        monkeypatch.setattr(capture_module, "_FIRST_WAIT_S", 0.05)

    return install


def steady(n: int, pause: float = 0.01) -> Frames:
    return lambda state, stop: iter([pause] * n)


def then_hang(n: int) -> Frames:
    def frames(state: StreamState, stop: threading.Event) -> Iterator[float]:
        yield from [0.01] * n
        time.sleep(3)  # as a driver does, deaf to everything

    return frames


def take_all(capture: Capture) -> list[Captured]:
    found = []
    while True:
        captured = capture.wait(0.5)
        if captured is None and capture.is_over:
            return found
        if captured is not None:
            found.append(captured)


def test_a_slow_consumer_gets_the_newest_frame_and_the_others_are_counted(camera):
    given, taken = threading.Semaphore(0), threading.Semaphore(0)

    def bursts(state: StreamState, stop: threading.Event) -> Iterator[float]:
        for _ in range(6):
            yield from [0.0] * 10
            given.release()
            assert taken.acquire(timeout=20)

    camera(bursts)
    indices = []
    with Capture(CAMERA, AnalyzeOptions(), Patience(give_up_s=0.01)) as capture:
        for _ in range(6):
            assert given.acquire(timeout=20)
            indices.append(capture.wait(0).frame.index)
            assert capture.wait(0) is None
            taken.release()
        counts = capture.counts
    # A queue would give frame after frame: 0, 1, 2.
    assert indices == [9, 19, 29, 39, 49, 59]
    assert (counts.n_captured, counts.n_dropped) == (60, 54)


def test_a_camera_that_stands_still_is_opened_again(camera, caplog):
    camera(then_hang(5), steady(10))
    with Capture(CAMERA, AnalyzeOptions(), Patience(stall_s=0.3, give_up_s=1.0)) as capture:
        with pytest.raises(SourceLostError, match="did not come back"):
            take_all(capture)
        assert capture.counts.n_captured == 15
        assert capture.counts.n_reconnects == 1
        (gap,) = capture.feed.report.gaps
        assert 0.25 < gap.end_s - gap.start_s < 2
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == "camera 0: no frame for 0.3 s. Trying again."
    assert messages[1].startswith("camera 0: back after")


def test_a_source_that_is_lost_is_tried_again_until_it_is_back(camera):
    refused = VideoError("camera 0: in use")
    camera(steady(3), refused, refused, steady(3))
    with Capture(CAMERA, AnalyzeOptions(), Patience(give_up_s=0.45)) as capture:
        with pytest.raises(SourceLostError):
            take_all(capture)
        assert capture.counts.n_captured == 6
        # Attempts that gave no frame are none, neither the two in between nor those after the end.
        assert capture.counts.n_reconnects == 1


def test_connections_that_gave_frames_again_are_counted(camera):
    refused = VideoError("camera 0: in use")
    camera(steady(2), steady(2), refused, steady(2), *[refused] * 50)
    with Capture(CAMERA, AnalyzeOptions()) as capture:
        while capture.counts.n_captured < 6:
            capture.wait(0.1)
        assert capture.counts.n_reconnects == 2


def test_a_pipe_that_pauses_is_no_reconnection(camera):
    def frames(state: StreamState, stop: threading.Event) -> Iterator[float]:
        yield 0.0
        while capture.trouble is None:
            time.sleep(0.01)
        yield 0.0

    camera(frames)
    pipe = LiveSource(kind="pipe", address="-", label="stdin")
    capture = Capture(pipe, AnalyzeOptions(), Patience(stall_s=0.1))
    with capture:
        while capture.counts.n_captured < 2:
            capture.wait(0.1)
        assert len(capture.feed.report.gaps) == 1
        assert capture.counts.n_reconnects == 0


@pytest.mark.parametrize("why", ["camera 0: in use", "camera 0: in use.", "camera 0: refused. Is it on?"])
def test_a_reason_and_what_follows_are_sentences(camera, caplog, why):
    camera(steady(1), *[VideoError(why)] * 50)
    with (
        Capture(CAMERA, AnalyzeOptions(), Patience(give_up_s=1.0)) as capture,
        pytest.raises(SourceLostError) as lost,
    ):
        take_all(capture)
    whole = why if why.endswith(("?", ".")) else f"{why}."
    assert str(lost.value) == f"{whole} It did not come back within 1 s; --give-up allows more."
    assert caplog.messages == ["camera 0: the connection ended. Trying again."]


def test_pauses_between_attempts_double(camera, monkeypatch):
    waits = []
    refused = VideoError("off")
    camera(steady(1), *[refused] * 6)
    with Capture(CAMERA, AnalyzeOptions(), Patience(give_up_s=1.5)) as capture:
        wait = capture._stop.wait
        monkeypatch.setattr(
            capture._stop, "wait", lambda seconds=None: (waits.append(seconds), wait(seconds))[1]
        )
        with pytest.raises(SourceLostError):
            take_all(capture)
    assert waits[:4] == [0.05, 0.1, 0.2, 0.4]


def test_what_never_gave_a_frame_is_not_tried_again(camera):
    camera(VideoError("camera 0: no such device."))
    with (
        Capture(CAMERA, AnalyzeOptions()) as capture,
        pytest.raises(VideoError, match="no such device"),
    ):
        take_all(capture)


def test_closing_ends_at_once_also_where_a_driver_hangs(camera):
    camera(then_hang(2))
    with Capture(CAMERA, AnalyzeOptions()) as capture:
        while capture.counts.n_captured < 2:
            capture.wait(0.1)
        started = time.monotonic()
    assert time.monotonic() - started < 1


def test_frames_that_were_not_asked_for_do_not_count_as_dropped(camera):
    camera(steady(50))
    started = time.monotonic()
    with Capture(CAMERA, AnalyzeOptions(fps=10), Patience(give_up_s=0.01)) as capture:
        while not capture.is_over:  # without a consumer, all that are taken but the last one are dropped
            time.sleep(0.01)
    assert capture.counts.n_captured == 50
    assert 0 < capture.counts.n_dropped <= 10 * (time.monotonic() - started) + 1


def test_a_file_is_played_in_real_time(face_video):
    started = time.monotonic()
    with Capture(find_source(face_video), AnalyzeOptions()) as capture:
        found = take_all(capture)
    took_s = time.monotonic() - started
    assert 1.1 < took_s < 4
    assert [captured.frame.index for captured in found][-1] == 29
    assert capture.counts.n_captured == 30
    assert capture.feed.report.n_decoded == 30


def test_frames_of_a_camera_by_ffmpegs_own_device(monkeypatch):
    """The only device that every machine has: FFmpeg's generator of pictures."""
    fake = Platform("lavfi", "testsrc=size=320x240:rate=30,realtime@{}", ({},), "lavfi", "{}")
    monkeypatch.setitem(sources.PLATFORMS, "linux", fake)
    monkeypatch.setattr("sys.platform", "linux")
    with Capture(find_source("0"), AnalyzeOptions()) as capture:
        found = [capture.wait(5) for _ in range(5)]
        assert capture.describe() == "320x240 at 30/s"
    assert all(captured is not None for captured in found)
    assert found[0].frame.planes.width == 320
    times = [captured.frame.time_s for captured in found]
    assert times == sorted(set(times))
