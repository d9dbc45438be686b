"""One server and one browser for all tests of the application."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient

from ferflow.app.application import make_app
from ferflow.app.settings import AppSettings
from tests.conftest import face_frames, portrait, write_video
from tests.dashboards.browse import ARGS, CHROMIUM


@dataclass(frozen=True)
class Server:
    """A running application."""

    address: str
    out: Path
    process: subprocess.Popen[str]


def start_server(*arguments: object) -> tuple[subprocess.Popen[str], str]:
    """Start the command; its process and the address that it prints first."""
    command = [sys.executable, "-m", "ferflow", "app", *map(str, arguments), "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def end_server(process: subprocess.Popen[str]) -> tuple[int, str]:
    """End it as Ctrl+C does; its exit code and what it said."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    return process.returncode, said


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    out = tmp_path_factory.mktemp("app") / "out"
    process, address = start_server(out)
    yield Server(address, out, process)
    end_server(process)


@pytest.fixture(scope="session")
def portrait_jpeg() -> bytes:
    """640x480, one face."""
    return jpeg(cv2.resize(portrait(), (640, 480))[..., ::-1])


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """A face that moves, 1.2 s."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", face_frames(30))


@pytest.fixture(scope="session")
def camera(tmp_path_factory) -> Path:
    """What Chromium's fake webcam shows: a video in the one format that it reads."""
    folder = tmp_path_factory.mktemp("camera")
    write_video(folder / "face.mp4", face_frames(50, size=(640, 480), step=3))
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(folder / "face.mp4"),
        "-pix_fmt",
        "yuv420p",
        str(folder / "face.y4m"),
    ]
    subprocess.run(command, check=True)
    return folder / "face.y4m"


@pytest.fixture(scope="session")
def chromium(camera, request) -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("no Chromium found; set FERFLOW_CHROMIUM to one")
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    browser = request.getfixturevalue("playwright").chromium.launch(
        executable_path=CHROMIUM, args=[*ARGS, *fake, f"--use-file-for-fake-video-capture={camera}"]
    )
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def api(tmp_path_factory) -> Iterator[TestClient]:
    """Requests without a socket, to an application of its own."""
    out = tmp_path_factory.mktemp("api") / "out"
    with TestClient(make_app(AppSettings(out=out, port=80)), base_url="http://127.0.0.1:80") as client:
        yield client


def jpeg(image: np.ndarray) -> bytes:
    """BGR as JPEG."""
    return cv2.imencode(".jpg", image)[1].tobytes()


def wait_for_job(client: httpx.Client | TestClient, job_id: str, *, state: str = "done") -> dict[str, object]:
    """Follow a job to its end."""
    with client.stream("GET", f"/api/jobs/{job_id}/events", timeout=60) as events:
        job: dict[str, object] = {}
        for line in events.iter_lines():
            if line.startswith("data: "):
                job = json.loads(line.removeprefix("data: "))
    assert job["state"] == state, job
    return job
