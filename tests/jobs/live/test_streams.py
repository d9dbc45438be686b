"""Streams that FFmpeg serves on loopback: read, dropped, frozen, and back again."""

from __future__ import annotations

import signal
import time

import pytest

from ferflow.jobs.live import capture as capture_module
from ferflow.jobs.live.capture import Capture, Patience
from ferflow.jobs.live.sources import find_source
from ferflow.options import AnalyzeOptions
from tests.conftest import some_slow
from tests.jobs.live.ffmpeg_server import address, free_port, needs_ffmpeg, serve, wait_until_listening

pytestmark = needs_ffmpeg


def wait_for_frames(capture: Capture, count: int, seconds: float = 15.0) -> int:
    """Frames taken."""
    found, end_s = 0, time.monotonic() + seconds
    while found < count and time.monotonic() < end_s:
        found += capture.wait(0.1) is not None
    return found


@pytest.mark.parametrize("kind", some_slow("http", slow=["rtmp"]))
def test_a_stream_whose_server_dies_goes_on_with_the_next_one(kind, face_video, monkeypatch, caplog):
    monkeypatch.setattr(capture_module, "_FIRST_WAIT_S", 0.2)
    port = free_port()
    patience = Patience(stall_s=3, give_up_s=30)
    with serve(face_video, kind, port) as server:
        wait_until_listening(port)
        with Capture(find_source(address(kind, port)), AnalyzeOptions(), patience) as capture:
            assert wait_for_frames(capture, 8) == 8
            assert capture.feed.info.width == 320
            server.kill()
            server.wait()
            while capture.trouble is None:
                capture.wait(0.1)
            with serve(face_video, kind, port):
                assert wait_for_frames(capture, 8) == 8
                assert capture.trouble is None
                assert capture.counts.n_reconnects >= 1
            (gap,) = capture.feed.report.gaps
            assert 0 < gap.end_s - gap.start_s < 15
    assert any("Trying again" in record.getMessage() for record in caplog.records)
    assert any("back after" in record.getMessage() for record in caplog.records)


def test_a_stream_that_freezes_is_noticed_and_opened_again(face_video, monkeypatch, caplog):
    monkeypatch.setattr(capture_module, "_FIRST_WAIT_S", 0.2)
    port = free_port()
    with serve(face_video, "http", port) as server:
        wait_until_listening(port)
        source = find_source(address("http", port))
        with Capture(source, AnalyzeOptions(), Patience(stall_s=0.7, give_up_s=30)) as capture:
            assert wait_for_frames(capture, 8) == 8
            server.send_signal(signal.SIGSTOP)  # its connection stays open, and nothing comes
            started = time.monotonic()
            while capture.trouble is None and time.monotonic() - started < 5:
                capture.wait(0.1)
            assert capture.trouble is not None
            assert time.monotonic() - started < 3
            server.kill()
            server.wait()
            with serve(face_video, "http", port):
                assert wait_for_frames(capture, 5) == 5
    assert "no frame for 0.7 s" in caplog.text or "no data" in caplog.text
