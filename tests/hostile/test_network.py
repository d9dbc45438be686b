"""No command reaches for anything outside this machine; docs/security.md states the promise, command by command."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from ferflow.dashboards.exports.figure_files import BROWSERS
from tests.conftest import face_frames, portrait, write_video
from tests.hostile.trace import STRACE, Traced, needs_strace, read_log, trace_command, trace_ferflow
from tests.jobs.live.ffmpeg_server import address, free_port, needs_ffmpeg, serve, wait_until_listening
from tests.object_server import needs_object_server, serve_objects
from tests.torture import cage

needs_chromium = pytest.mark.skipif(
    not (os.environ.get("FERFLOW_CHROMIUM") or any(map(shutil.which, BROWSERS))),
    reason="Chromium is not installed",
)
needs_kaleido = pytest.mark.skipif(
    importlib.util.find_spec("kaleido") is None, reason="kaleido is not installed"
)
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")

IPV6_PROBE = ("2001:4860:4860::8888", 443)
"""Chromium asks the kernel for a route to this address, by a datagram socket on which it sends nothing. It has no
switch for that."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", face_frames(30))


@pytest.fixture(scope="module")
def analysed(clip, tmp_path_factory) -> tuple[Path, Traced | None]:
    """An output folder, and what the analysis reached where it can be traced."""
    folder = tmp_path_factory.mktemp("analysed")
    arguments = ["analyze", clip, "-o", folder / "out", "--workers", "0"]
    if STRACE:
        return folder / "out", trace_ferflow(arguments, folder / "log")
    subprocess.run([sys.executable, "-m", "ferflow", *arguments], check=True, capture_output=True)
    return folder / "out", None


@pytest.fixture(scope="module")
def out(analysed) -> Path:
    return analysed[0]


@needs_strace
def test_the_tracer_sees_what_leaves_the_machine_and_not_what_stays(tmp_path):
    # Addresses of RFC 5737 and 3849: for documentation, routed nowhere. A datagram socket that connects sends nothing.
    code = (
        "import socket\n"
        "for family, address in ((2, '192.0.2.77'), (10, '2001:db8::7'), (2, '127.0.0.1'), (10, '::1')):\n"
        "    try: socket.socket(family, socket.SOCK_DGRAM).connect((address, 9))\n"
        "    except OSError: pass\n"
        "try: socket.socket(socket.AF_UNIX).connect('/nowhere')\n"
        "except OSError: pass\n"
    )
    grandchild = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    done = trace_command([sys.executable, "-c", grandchild], tmp_path / "log")
    assert done.returncode == 0, done.output
    assert {("192.0.2.77", 9)} <= done.reached <= {("192.0.2.77", 9), ("2001:db8::7", 9)}


def test_an_attempt_in_a_log_is_found_also_where_calls_overlap():
    log = (
        '7 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.1")}, 16 <unfinished ...>\n'
        "7 connect(3, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "
        '"::ffff:192.0.2.2", &sin6_addr), sin6_scope_id=0}, 28) = -1 EINPROGRESS\n'
        '7 sendto(4, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("127.0.0.2")}, 16) = 1\n'
        '7 connect(5, {sa_family=AF_UNIX, sun_path="/run/x"}, 9) = 0\n'
        "7 <... connect resumed>) = 0\n"
    )
    assert read_log(log) == {("10.0.0.1", 53), ("::ffff:192.0.2.2", 80)}


@needs_strace
def test_analyze_reaches_nobody(analysed):
    _, done = analysed
    assert done.returncode == 0, done.output
    assert done.reached == frozenset()


@needs_strace
@pytest.mark.slow
def test_a_worker_of_analyze_reaches_nobody(clip, tmp_path):
    """In the quick half, the self-test of `ferflow doctor` analyses in a worker."""
    done = trace_ferflow(["analyze", clip, "-o", tmp_path / "out", "--workers", "1"], tmp_path / "log")
    assert done.returncode == 0, done.output
    assert done.reached == frozenset()


ASK_THE_APPLICATION = """
import base64, json, subprocess, sys, urllib.request
command = [sys.executable, "-m", "ferflow", "app", sys.argv[1], "--port", "0", "--no-browser"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    address = server.stdout.readline().split()[-1]
    try:
        for path in ("", "jobs", "webcam", "api/docs", "static/style.css"):
            urllib.request.urlopen(address.rstrip("/") + "/" + path).read()
        picture = base64.b64encode(open(sys.argv[2], "rb").read()).decode()
        ask = urllib.request.Request(
            address.rstrip("/") + "/api/predict", json.dumps({"image": picture}).encode(),
            {"Content-Type": "application/json"},
        )
        assert len(json.load(urllib.request.urlopen(ask))["faces"]) == 1
    finally:
        server.terminate()
"""


@needs_strace
def test_the_web_application_reaches_no_other_machine(out, tmp_path):
    cv2.imwrite(str(tmp_path / "picture.jpg"), portrait()[..., ::-1])
    command = [sys.executable, "-c", ASK_THE_APPLICATION, out, tmp_path / "picture.jpg"]
    done = trace_command(command, tmp_path / "log")
    assert done.returncode == 0, done.output
    assert done.reached == frozenset()


@needs_strace
@pytest.mark.parametrize(
    "command",
    [
        ["report", "OUT", "--csv", "--embed-clips", "--single-file"],
        pytest.param(["people", "OUT"], marks=pytest.mark.slow),
        pytest.param(["forget", "OUT", "--participant", "clip", "--dry-run"], marks=pytest.mark.slow),
        pytest.param(["explain", "CLIP", "-o", "PAGE"], marks=pytest.mark.slow),
        pytest.param(["predict", "PICTURE", "--annotate", "ANNOTATED"], marks=pytest.mark.slow),
        pytest.param(["live", "CLIP", "--record", "LIVE"], marks=pytest.mark.slow),
        ["doctor"],
        pytest.param(["doctor", "OUT"], marks=pytest.mark.slow),
        *(
            pytest.param(words.split(), marks=pytest.mark.slow)
            for words in (
                "models",
                "merge OUT",
                "compact OUT -o ANNOTATED",
                "export OUT --format csv -o ANNOTATED",
                "template slurm --manifest PICTURE -o OUT --shards 2",
            )
        ),
    ],
    ids=" ".join,
)
def test_commands_about_results_reach_nobody(command, clip, out, tmp_path):
    cv2.imwrite(str(tmp_path / "picture.jpg"), portrait()[..., ::-1])
    places = {
        "OUT": out, "CLIP": clip, "PAGE": tmp_path / "page.html",
        "PICTURE": tmp_path / "picture.jpg", "LIVE": tmp_path / "live", "ANNOTATED": tmp_path / "annotated",
    }  # fmt: skip
    done = trace_ferflow([places.get(word, word) for word in command], tmp_path / "log")
    assert done.returncode == 0, done.output
    assert done.reached == frozenset()


@needs_strace
@needs_ffmpeg
@pytest.mark.parametrize("kind", ["http", pytest.param("rtmp", marks=pytest.mark.slow)])
def test_live_connects_to_the_address_that_it_is_given_and_to_no_other(kind, clip, tmp_path):
    port = free_port()
    with serve(clip, kind, port):
        wait_until_listening(port)
        done = trace_ferflow(["live", address(kind, port), "--json", "--seconds", "1"], tmp_path / "log")
    assert done.returncode == 0, done.output
    assert '"faces"' in done.output
    assert done.reached == frozenset()
    assert done.on_loopback == {("127.0.0.1", port)}


@needs_strace
@needs_object_server
@pytest.mark.slow
def test_a_run_with_an_object_store_connects_to_that_store_and_to_no_other(clip, tmp_path, monkeypatch):
    (folder := tmp_path / "server").mkdir()
    with serve_objects(folder) as server:
        server.put("in/clip.mp4", clip.read_bytes())
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        for command in (
            ["analyze", "s3://data/in", "-o", "s3://data/out", "--workers", "1"],
            ["merge", "s3://data/out"],
            ["fetch", "s3://data/out", tmp_path / "out"],
        ):
            done = trace_ferflow(command, tmp_path / "log")
            assert done.returncode == 0, done.output
            assert done.reached == frozenset()
            assert done.on_loopback == {("127.0.0.1", server.s3_port)}


@needs_strace
@pytest.mark.slow
def test_a_live_window_reaches_nobody(clip, tmp_path):
    # Which browser a machine has, and what that asks for, is its own affair.
    command = ["env", "BROWSER=true", sys.executable, "-m", "ferflow", "live", clip, "--window"]
    done = trace_command(command, tmp_path / "log")
    assert done.returncode == 0, done.output
    assert done.reached == frozenset()


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("annotate", "{clip}", "--from", "{out}"),
        ("annotate", "{clip}", "--anonymize", "blur"),
        ("clips", "{out}", "--expression", "happy", "--annotate"),
    ],
)
def test_videos_made_from_videos_reach_nobody(arguments, clip, out, tmp_path):
    argv = [part.format(clip=clip, out=out) for part in arguments]
    done = trace_ferflow([*argv, "-o", tmp_path / "made"], tmp_path / "log")
    assert done.returncode == 0, done.output
    assert done.reached == frozenset()
    assert list((tmp_path / "made").glob("*.mp4"))


@needs_strace
@pytest.mark.slow
def test_demo_reaches_nobody(tmp_path):
    done = trace_ferflow(["demo", "-o", tmp_path / "demo"], tmp_path / "log")
    assert done.returncode == 0, done.output
    assert done.reached == frozenset()


@needs_strace
@needs_chromium
@pytest.mark.parametrize("export", ["--pdf", pytest.param("--png", marks=[needs_kaleido, pytest.mark.slow])])
def test_what_chromium_prints_is_sent_nowhere(export, out, tmp_path):
    done = trace_ferflow(["report", out, export], tmp_path / "log")
    assert done.returncode == 0, done.output
    assert done.reached <= {IPV6_PROBE}


@pytest.mark.slow
@needs_strace
@needs_ray
def test_ray_started_here_stays_here(clip, tmp_path):
    arguments = ["analyze", clip, "-o", tmp_path / "out", "--no-report", "--engine", "ray", "--workers", "1"]
    done = trace_ferflow(arguments, tmp_path / "log")
    assert done.returncode == 0, done.output
    assert done.reached == frozenset()


def in_empty_namespace(arguments: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run ferflow where there is no network interface, not even loopback."""
    command = ["unshare", "--net", sys.executable, "-m", "ferflow", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=250, check=False, env=cage.a_users_environment()
    )


def may_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_unshare(), reason="no right to make a network namespace")
def test_analysis_and_pages_need_no_network_interface(clip, tmp_path):
    done = in_empty_namespace(["analyze", clip, "-o", tmp_path / "out"])
    assert done.returncode == 0, done.stderr
    if any(map(shutil.which, BROWSERS)):
        done = in_empty_namespace(["report", tmp_path / "out", "--pdf"])
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out" / "index.pdf").read_bytes().startswith(b"%PDF")
