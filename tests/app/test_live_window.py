"""The window of `ferflow live`: the newest picture in the browser, on this machine alone, until the session ends."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np
import psutil
import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ferflow.app.live_window import LiveWindow
from ferflow.cli import extras
from ferflow.jobs.live.stream_analyzer import LiveFrame
from ferflow.options import AnalyzeOptions
from ferflow.single_picture import make_frame
from ferflow.store.output_folder import OutputFolder
from tests.app.conftest import Visitor
from tests.command import Command
from tests.conftest import LABELS, numbered_image
from tests.dashboards.browse import HOSTILE, until


def numbered(number: int) -> tuple[LiveFrame, object]:
    picture = make_frame(numbered_image(number, (320, 240)), AnalyzeOptions())
    return LiveFrame(number, number / 10, 12.0, 3, ()), picture


@pytest.fixture
def window():
    with LiveWindow(HOSTILE, LABELS, is_recording=False) as opened:
        yield opened


def connect(window: LiveWindow, **headers: str):
    """As the page does, once it has its cookie."""
    place, token = urlsplit(window.address), window.address.partition("token=")[2]
    headers = {"Cookie": f"ferflow-token-{place.port}={token}"} | headers
    return websockets.sync.client.connect(
        f"ws://{place.netloc}/api/live", additional_headers=headers, proxy=None
    )


def receive(socket) -> tuple[dict[str, object], float]:
    """What is said of a picture, and how bright it is."""
    said = json.loads(socket.recv(timeout=10))
    image = cv2.imdecode(np.frombuffer(socket.recv(timeout=10), np.uint8), 0)
    assert image.shape == (240, 320)
    return said, float(np.median(image))


def test_a_viewer_gets_the_newest_picture_when_it_has_drawn_the_last(window):
    window.show(*numbered(1))
    with connect(window) as socket:
        said, brightness = receive(socket)
        assert (said["time_s"], said["width"], said["height"], said["faces"]) == (0.1, 320, 240, [])
        assert brightness == pytest.approx(24, abs=2)
        for number in range(2, 8):
            window.show(*numbered(number))
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.1)
        socket.send("next")
        said, brightness = receive(socket)
        assert said["time_s"] == 0.7
        assert brightness == pytest.approx(48, abs=2)


def test_the_end_of_the_session_is_said_and_nothing_listens_any_more():
    with ExitStack() as viewers:
        with LiveWindow("camera 0", LABELS, is_recording=True) as window:
            window.show(*numbered(1))
            socket = viewers.enter_context(connect(window))
            receive(socket)
            with httpx.Client(follow_redirects=True) as client:
                page = client.get(window.address).text
            assert "camera 0" in page
            assert "Tables are recorded; no picture is stored." in page
        assert json.loads(socket.recv(timeout=5)) == {"over": "The session has ended."}
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=5)
    with pytest.raises(httpx.ConnectError):
        httpx.get(window.address)


def test_it_listens_on_loopback_and_answers_only_those_who_have_its_address(window):
    place = urlsplit(window.address)
    own = [
        one for one in psutil.Process().net_connections("tcp") if one.laddr and one.laddr.port == place.port
    ]
    assert {one.laddr.ip for one in own if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    bare = f"http://{place.netloc}/"
    assert httpx.get(bare).status_code == 401
    assert httpx.get(window.address, headers={"host": "evil.example"}).status_code == 403
    with httpx.Client(follow_redirects=True) as client:
        page = client.get(window.address)
        assert page.status_code == 200
        assert "token" not in str(page.url)
        assert "<img src=x" not in page.text
        assert client.get(f"{bare}static/live.js").status_code == 200
        assert client.get(f"{bare}folder/index.html").status_code == 404
    for headers in ({"Origin": "http://evil.example"}, {"Cookie": "ferflow-token=guess"}):
        with pytest.raises(InvalidStatus) as refused:
            connect(window, **headers)
        assert refused.value.response.status_code == 403


def test_more_viewers_than_four_are_refused_in_words(window):
    window.show(*numbered(1))
    with ExitStack() as viewers:
        for _ in range(4):
            receive(viewers.enter_context(connect(window)))
        with connect(window) as fifth:
            assert "open already" in json.loads(fifth.recv(timeout=5))["over"]


def run_with_window(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ferflow", "live", *map(str, arguments), "--window"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "BROWSER": "true"},
    )  # fmt: skip


def read_address(process: subprocess.Popen[str]) -> str:
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line):
            return found[0]
    raise AssertionError("no address")


def test_the_command_prints_the_address_and_json_and_the_recording_are_as_without(face_video, tmp_path):
    process = run_with_window(face_video, "--json", "--record", tmp_path / "out")
    address = read_address(process)
    assert httpx.get(address, follow_redirects=False).status_code == 303
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    lines = [json.loads(line) for line in said.splitlines()]
    assert len(lines) + lines[-1]["dropped"] == 30
    (files,) = OutputFolder(tmp_path / "out").finished_videos()
    assert files.report.exists()
    assert not list((tmp_path / "out").rglob("*.jpg"))
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_without_the_extra_the_window_is_refused_with_what_to_install(monkeypatch, capfd, face_video):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name)
    )
    done = Command(monkeypatch, capfd)("live", face_video, "--window")
    assert done.code == 2
    assert "pip install 'ferflow[app]'" in done.text


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_shows_the_annotated_picture_and_that_it_ended(chromium, server, clip, tmp_path, width):
    looped = tmp_path / "looped.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-stream_loop", "9", "-i", clip, "-c", "copy", looped], check=True
    )
    process = run_with_window(looped, "--quiet")
    visitor = Visitor(chromium, server, viewport={"width": width, "height": 900})
    page = visitor.page
    page.goto(read_address(process))
    page.wait_for_selector("#faces .face", timeout=20_000)
    assert page.evaluate("document.getElementById('picture').naturalWidth") == 320
    # Something is drawn over the picture.
    assert page.evaluate(
        "(() => { const c = document.getElementById('overlay');"
        " const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
        " return data.some((v, i) => i % 4 === 3 && v > 0); })()"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert process.wait(timeout=60) == 0
    until(page, "document.getElementById('message').textContent === 'The session has ended.'")
    visitor.context.close()
    assert visitor.outside == visitor.wrong == []
    process.communicate()
