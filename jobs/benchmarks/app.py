"""The web application: start to first page, time of an answer about a picture, many clients at once.

    python -m ferflow.jobs.benchmarks.app

Prints a table; median over all requests after a warm-up. The picture is 640x480 JPEG with one face.
"""

from __future__ import annotations

import http.client
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

_STARTS, _WARM_UP, _REQUESTS = 3, 30, 300
_CLIENTS, _REQUESTS_PER_CLIENT = 16, 20
_BOUNDARY = "----ferflow"


def main() -> None:
    """Measure and print."""
    body = _form(_face_jpeg())
    starts = [_seconds_to_first_page() for _ in range(_STARTS)]
    process, port = _start()
    try:
        _ask(port, body, _WARM_UP)
        alone = _ask(port, body, _REQUESTS)
        started = time.perf_counter()
        with ThreadPoolExecutor(_CLIENTS) as clients:
            parts = list(clients.map(lambda _: _ask(port, body, _REQUESTS_PER_CLIENT), range(_CLIENTS)))
        together, seconds = [ms for part in parts for ms in part], time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    print(f"start to first page, s               {min(starts):.2f} to {max(starts):.2f}")
    print(f"one client, ms                       {_describe(alone)}")
    print(f"{_CLIENTS} clients, ms                       {_describe(together)}")
    print(
        f"{_CLIENTS} clients, answers of requests      {len(together)} of {_CLIENTS * _REQUESTS_PER_CLIENT}"
    )
    print(f"{_CLIENTS} clients, answers per second       {len(together) / seconds:.0f}")


def _describe(values: Sequence[float]) -> str:
    return f"median {statistics.median(values):.1f}, 95th {statistics.quantiles(values, n=20)[-1]:.1f}"


def _start() -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "ferflow", "app", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    port = urlsplit(process.stdout.readline().strip()).port
    assert port is not None
    return process, port


def _seconds_to_first_page() -> float:
    started = time.perf_counter()
    process, port = _start()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    seconds = time.perf_counter() - started
    process.send_signal(signal.SIGINT)
    process.wait(20)
    return seconds


def _ask(port: int, body: bytes, count: int) -> list[float]:
    """Milliseconds of each of `count` answers over one connection; every one must find the face."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        connection.request("POST", "/api/predict", body, kind)
        answer = connection.getresponse()
        content = answer.read()
        taken.append((time.perf_counter() - started) * 1000)
        assert answer.status == 200, content
        assert b'"label":"happy"' in content, content
    connection.close()
    return taken


def _form(jpeg: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return head.encode() + jpeg + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _face_jpeg() -> bytes:
    import cv2
    from skimage.data import astronaut

    picture = cv2.resize(astronaut()[..., ::-1], (640, 480))  # type: ignore[no-untyped-call]
    return cv2.imencode(".jpg", picture)[1].tobytes()


if __name__ == "__main__":
    main()
