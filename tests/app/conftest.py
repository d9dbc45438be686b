"""One server and one browser for all tests of the application."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

from ferflow.app.application import make_app
from ferflow.app.settings import AppSettings
from ferflow.errors import RecordsError
from ferflow.store.output_folder import OutputFolder
from tests.command import restore_signals
from tests.conftest import face_frames, numbered_image, portrait, write_video
from tests.dashboards.browse import ARGS, CHROMIUM
from tests.made_records import Made, write_session


@dataclass(frozen=True)
class Server:
    """A running application."""

    address: str
    out: Path
    process: subprocess.Popen[str]


def start_server(*arguments: object) -> tuple[subprocess.Popen[str], str]:
    """Start the command; its process and the address that it prints first.

    Signals end it, also where the tests run in the background.
    """
    command = [sys.executable, "-m", "ferflow", "app", *map(str, arguments), "--port", "0", "--no-browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=restore_signals,
    )  # fmt: skip
    return process, process.stdout.readline().strip()


def end_server(process: subprocess.Popen[str]) -> tuple[int, str]:
    """End it as Ctrl+C does; its exit code and what it said."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    return process.returncode, said


class Visitor:
    """A user: a browser context of its own; notes console errors, and blocks and counts what leaves loopback."""

    def __init__(self, chromium, server: Server, **context) -> None:
        self.server = server
        self.context = chromium.new_context(permissions=["camera"], **context)
        self.wrong: list[str] = []
        self.outside: list[str] = []
        self.context.route("**/*", self._route)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("response", self._note)

    def _note(self, response) -> None:
        # The console only says that something was not found, and not what.
        if response.status in (404, 500):
            self.wrong.append(f"{response.status} {response.url}")

    def _route(self, route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("blob", "data") or address.hostname == "127.0.0.1":
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def open(self, path: str = "") -> Visitor:
        self.page.goto(self.server.address + path)
        return self

    def drop(self, name: str, content: bytes, kind: str = "image/jpeg") -> None:
        self.page.set_input_files("#files", {"name": name, "mimeType": kind, "buffer": content})


@pytest.fixture(autouse=True)
def _calls_stay_in_this_process() -> None:
    """Not here: the application calls from several threads, and goes on when a test has ended."""


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
    yield from launch(request, camera)


def launch(request, camera: Path) -> Iterator[object]:
    """Chromium with a fake webcam."""
    if CHROMIUM is None:
        pytest.skip("no Chromium found; set FERFLOW_CHROMIUM to one")
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    browser = request.getfixturevalue("playwright").chromium.launch(
        executable_path=CHROMIUM, args=[*ARGS, *fake, f"--use-file-for-fake-video-capture={camera}"]
    )
    yield browser
    browser.close()


@pytest.fixture
def visit(chromium, server) -> Iterator[object]:
    visitors: list[Visitor] = []

    def make(**context) -> Visitor:
        visitors.append(Visitor(chromium, server, **context))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.context.close()
        assert visitor.outside == []
        assert visitor.wrong == []


@pytest.fixture(scope="session")
def api(tmp_path_factory) -> Iterator[TestClient]:
    """Requests without a socket, to an application of its own."""
    out = tmp_path_factory.mktemp("api") / "out"
    with TestClient(make_app(AppSettings(out=out, port=80)), base_url="http://127.0.0.1:80") as client:
        yield client


@dataclass(frozen=True)
class Edited:
    """A finished video of an application, whose lists a test changes; they are as before when it has ended."""

    out: Path
    video_id: str
    source: Path

    @property
    def markers(self) -> Path:
        """The file next to the video."""
        return self.source.with_suffix(".markers.csv")

    def read(self, name: str) -> list[dict[str, str]]:
        """Rows about this video of a list in the output folder, as pandas reads it; none without the file."""
        path = self.out / name
        if not path.exists():
            return []
        rows = pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
        return [row for row in rows if row["video_id"] == self.video_id]

    def read_markers(self) -> list[dict[str, str]]:
        """Rows of the file of markers."""
        if not self.markers.exists():
            return []
        return pd.read_csv(self.markers, dtype=str, keep_default_na=False).to_dict("records")

    def faces(self) -> pd.DataFrame:
        """FACES, as the analysis wrote it."""
        return pd.read_parquet(self.out / "faces" / f"{self.video_id}.parquet")


def make_edited(out: Path, source: Path, name: str = "trio", people: int = 3, codec: str = "h264") -> Edited:
    """Three people in eight seconds, for whom there is no video."""
    formats = {"h264": "mov,mp4", "mjpeg": "avi"}
    size = source.stat().st_size if source.exists() else 1
    facts = {"path": str(source), "name": source.name, "size": size, "codec": codec, "format": formats[codec],
             "time_base": Fraction(1, 1000)}  # fmt: skip
    made = Made(seconds=8.0, fps=10.0, people=people, video_id=f"{name}-0123abcd", source=facts)
    with lock(
        OutputFolder(out)
    ):  # an application that writes its pages there would remove half-written tables
        return Edited(out, write_session(out, made), source)


@contextmanager
def lock(folder: OutputFolder) -> Iterator[None]:
    """Keep an application out, once it is not writing."""
    deadline = time.monotonic() + 60
    while True:
        with ExitStack() as stack:
            try:
                stack.enter_context(folder.lock())
            except RecordsError:
                assert time.monotonic() < deadline
                continue
            yield
            return


def write_numbered(path: Path, codec: str = "libx264", pix_fmt: str = "yuv420p") -> Path:
    """Eight seconds of gray pictures, of the size that made tables state."""
    images = [numbered_image(number // 2, (1280, 720)) for number in range(80)]
    return write_video(path, images, pts=range(0, 8000, 100), codec=codec, pix_fmt=pix_fmt)


def undo_all(client: httpx.Client | TestClient, video_id: str) -> None:
    """Undo what a test has changed."""
    while client.post(f"/api/videos/{video_id}/undo").status_code == 200:
        pass


def jpeg(image: np.ndarray) -> bytes:
    """BGR as JPEG."""
    return cv2.imencode(".jpg", image)[1].tobytes()


def png_of(width: int, height: int) -> bytes:
    """A PNG that states a size and holds no more than a few kilobytes, with correct checksums."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    rows = zlib.compress(b"\0" * min(3 * width * height + height, 5_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def wait_for_job(client: httpx.Client | TestClient, job_id: str, *, state: str = "done") -> dict[str, object]:
    """Follow a job to its end."""
    with client.stream("GET", f"/api/jobs/{job_id}/events", timeout=60) as events:
        job: dict[str, object] = {}
        for line in events.iter_lines():
            if line.startswith("data: "):
                job = json.loads(line.removeprefix("data: "))
    assert job["state"] == state, job
    return job
