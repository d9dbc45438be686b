"""FFmpeg as a server of one stream on loopback."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def address(kind: str, port: int) -> str:
    return {"http": f"http://127.0.0.1:{port}/cam", "rtmp": f"rtmp://127.0.0.1:{port}/live/cam"}[kind]


@contextlib.contextmanager
def serve(clip: Path, kind: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve a clip, over and over, in real time, to one client."""
    # An MP4 of one picture group a second, as cameras send them, without frames that wait for later ones.
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "15", "-an"]
    container = {"http": "mpegts", "rtmp": "flv"}[kind]
    command = [
        "ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(clip), *encode,
        "-f", container, "-listen", "1", address(kind, port),
    ]  # fmt: skip
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(signal.SIGCONT)
        server.kill()
        server.wait()


def wait_until_listening(port: int) -> None:
    """Without a connection, which would be the one client that the server serves."""
    import time

    import psutil

    for _ in range(100):
        if any(
            c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in psutil.net_connections("tcp")
        ):
            return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")
