"""What ferflow promises to those who run it on files from anywhere."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest

import ferflow
from ferflow.errors import VideoError
from ferflow.media import container
from ferflow.media.video import Selection, open_video
from tests.conftest import numbered_image, write_video
from tests.torture import cage, wreck
from tests.torture.films import film

ROOT = Path(__file__).parents[1]
SHIPPED = [path for room in ("ferflow", "jobs", "dashboards") for path in sorted((ROOT / room).rglob("*.py"))]

# Modules that can run what they read, or reach another machine. Ray has sockets of its own.
NEVER = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "torch",
    "yaml",
    "socket",
    "ssl",
    "http",
    "urllib.request",
    "requests",
    "httpx",
    "aiohttp",
    "ftplib",
    "smtplib",
    "xmlrpc",
    "webbrowser",
}


SERVES = {
    "ferflow/app/guard.py": {"http.cookies"},
    "ferflow/app/server.py": {"socket", "webbrowser"},
    "jobs/benchmarks/app.py": {"http.client"},
    "jobs/engines/ray_cluster.py": {"socket"},
}
"""The web application listens on this machine and opens its own address; `tests/hostile/test_network.py` follows it.
Whether a cluster that the user names listens is asked before Ray is started.
"""


def called(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_that_is_read_can_run_and_nobody_is_called(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    suspect = {name for name in imported if name in NEVER or name.split(".")[0] in NEVER}
    assert suspect <= SERVES.get(path.relative_to(ROOT).as_posix(), set())
    for name, call in called(tree):
        assert name not in ("eval", "exec", "compile", "os.system", "os.popen"), name
        assert not name.endswith((".load_model", ".unsafe_load", "read_pickle")), (
            name
        )  # Keras' own format holds code
        if name == "np.load":
            allowed = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert allowed.get("allow_pickle") == "False"
        for keyword in call.keywords:
            assert (keyword.arg, ast.unparse(keyword.value)) != ("shell", "True")


def in_cage(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        preexec_fn=cage.without_network,
        env=cage.a_users_environment(),
    )


@pytest.mark.skipif(not cage.KNOWN, reason="the cage knows Linux on x86-64 and ARM64")
def test_the_whole_command_runs_where_opening_an_internet_socket_is_death(tmp_path, face_video):
    control = in_cage("import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)")
    assert control.returncode == -signal.SIGSYS
    # Reports to makers go out from the background, some seconds after the start.
    run = "import atexit, time; atexit.register(time.sleep, 6); from ferflow.cli import main; main()"
    done = in_cage(run, "analyze", str(face_video), "-o", str(tmp_path / "out"), "--no-report")
    assert done.returncode == 0, done.stderr
    assert len(ferflow.load_faces(tmp_path / "out")) == 30


def test_samples_in_another_file_are_not_fetched(tmp_path):
    path = tmp_path / "refers.mov"
    wreck.elsewhere(film("mjpeg", "yuvj420p"))(path)
    # A reader that follows references finds all of them: the file is what it should be.
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12
    with pytest.raises(VideoError, match="no frame could be decoded"), open_video(path) as video:
        list(video.frames(Selection()))


def test_the_decoder_is_told_to_open_local_files_of_known_kinds_only(tmp_path, monkeypatch):
    reported = {}
    real = av.open

    def opened(name, mode="r", **options):
        if mode == "r":
            reported.update(options, name=name)
        return real(name, mode, **options)

    monkeypatch.setattr(av, "open", opened)
    path = write_video(tmp_path / "http:a.mp4", [numbered_image(0)] * 3)
    with open_video(path) as video:
        assert len(list(video.frames(Selection()))) == 3
    assert reported["name"] == f"file:{path}"
    assert reported["options"]["protocol_whitelist"] == "file"
    allowed = set(reported["options"]["format_whitelist"].split(","))
    # Each of these opens what its input names.
    assert not allowed & {
        "concat",
        "concatf",
        "hls",
        "applehttp",
        "dash",
        "image2",
        "image2pipe",
        "sdp",
        "rtsp",
        "rtp",
        "sap",
        "lavfi",
        "tty",
        "vobsub",
        "webm_dash_manifest",
        "ffmetadata",
        "svg_pipe",
        "mpjpeg",
        "imf",
        "avs",
        "x11grab",
        "fbdev",
        "alsa",
        "video4linux2",
        "v4l2",
        "kmsgrab",
        "xv",
        "pulse",
        "data",
        "rawvideo",
    }


def test_a_huge_frame_in_the_middle_costs_no_memory(tmp_path):
    """The size in the header of one JPEG among others is 65534 by 65534."""
    frame = b"\xff\xc0\0\x11\x08\0\x30\0\x40"

    def blown_up(content: bytearray) -> None:
        at = [n for n in range(len(content)) if content.startswith(frame, n)][5]
        content[at + 5 : at + 9] = b"\xff\xfe\xff\xfe"

    path = tmp_path / "a.avi"
    wreck.spoilt(film("mjpeg", "yuvj420p"), blown_up)(path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom ferflow.media.video import Selection, open_video\n"
        "with open_video(Path(sys.argv[1])) as video:\n"
        "    print(len(list(video.frames(Selection()))), video.report.n_failed)\n"
        # Not `ru_maxrss`: it begins with the size of the process that started this one.
        "print(int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    counts, mib = done.stdout.splitlines()
    assert counts == "11 1"
    assert int(mib) < 400


def test_every_demuxer_that_is_allowed_reads_its_own_file_only():
    """A reminder for whoever adds one: look into FFmpeg whether it opens others, then add it here."""
    known = (
        "mov mp4 m4a 3gp 3g2 mj2 matroska webm avi mpegts mpeg mpegvideo flv asf ogg mxf gif apng ivf nut yuv4mpegpipe "
        "h264 hevc m4v obu av1 vc1 dv rm wtv mjpeg nsv gxf bink roq swf amv live_flv png_pipe jpeg_pipe bmp_pipe "
        "webp_pipe tiff_pipe webp webp_anim"
    )
    assert frozenset(known.split()) == container.DEMUXERS
