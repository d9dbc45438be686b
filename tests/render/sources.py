"""Videos as others make them, written by the FFmpeg program, and what ffprobe, another reader, says of a file."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

FFMPEG, FFPROBE = shutil.which("ffmpeg"), shutil.which("ffprobe")
needs_ffmpeg = pytest.mark.skipif(not (FFMPEG and FFPROBE), reason="the ffmpeg program is not installed")

_PICTURES = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=30:duration=2")
_SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=2.3")
_UNEVEN = (
    "-vf",
    "select='not(eq(mod(n,7),3))*not(eq(mod(n,11),5))',setpts='PTS+0.004/TB*mod(N,3)'",
    "-vsync",
    "vfr",
)
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "12")

SOURCES = {
    "even.mp4": (*_X264, "-pix_fmt", "yuv420p", "-c:a", "aac"),
    "uneven.mp4": (*_UNEVEN, *_X264, "-pix_fmt", "yuv420p", "-c:a", "aac"),
    "uneven.mkv": (*_UNEVEN, *_X264, "-pix_fmt", "yuv420p", "-c:a", "libopus"),
    "ten_bit.mp4": (*_X264, "-pix_fmt", "yuv420p10le", "-c:a", "aac"),
    "half_rows.mp4": (*_X264, "-pix_fmt", "yuv422p", "-c:a", "libmp3lame"),
    "prores.mov": ("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le", "-c:a", "pcm_s16le"),
    "full_range.mp4": (*_X264, "-pix_fmt", "yuvj420p", "-an"),
    "wide_pixels.mp4": ("-vf", "setsar=4/3", *_X264, "-pix_fmt", "yuv420p", "-c:a", "flac", "-strict", "-2"),
    "odd.webm": ("-vf", "scale=159:119", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-pix_fmt", "yuv420p", "-c:a",
                 "libvorbis"),
    "stream.ts": (*_X264, "-pix_fmt", "yuv420p", "-c:a", "aac"),
    "old.avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "late.mp4": (*_X264, "-pix_fmt", "yuv420p", "-c:a", "aac", "-output_ts_offset", "3.7"),
    "gray.mkv": (*_X264, "-pix_fmt", "gray", "-c:a", "ac3"),
    "moving.gif": ("-vf", "fps=10", "-an"),
}  # fmt: skip
"""By name: what is special is in it."""


def make_source(folder: Path, name: str, *more: str) -> Path:
    """A video of two seconds, with sound of 2.3 seconds unless it has none."""
    (path := folder / name).write_bytes(_encode_source(name, more))
    return path


@cache
def _encode_source(name: str, more: tuple[str, ...]) -> bytes:
    options = SOURCES[name]
    sound = () if "-an" in options else _SOUND
    with tempfile.TemporaryDirectory(prefix="ferflow-source-") as folder:
        _ffmpeg(*_PICTURES, *sound, *options, *more, path := Path(folder, name))
        return path.read_bytes()


def rotated(folder: Path, degrees: int) -> Path:
    """A video that is stored lying, with the rotation in its header."""
    path = folder / f"rotated{degrees}.mp4"
    _ffmpeg("-i", make_source(folder, "even.mp4"), "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}", path)
    return path


def _ffmpeg(*arguments: object) -> None:
    done = subprocess.run(
        [str(FFMPEG), "-v", "error", "-y", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def probe(path: Path, *options: str) -> dict:
    """What ffprobe says."""
    command = [str(FFPROBE), "-v", "error", *options, "-of", "json", f"file:{path}"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def shown_times(path: Path, stream: str = "v:0") -> list[Fraction]:
    """When each packet of the stream is shown, exact; without those that a player does not show."""
    found = probe(path, "-select_streams", stream, "-show_packets", "-show_streams")
    base = Fraction(found["streams"][0]["time_base"])
    # In some containers packets have no time of their own, and only the decoder knows it.
    if any("pts" not in packet for packet in found["packets"]):
        frames = probe(path, "-select_streams", stream, "-show_frames")["frames"]
        return sorted(frame["best_effort_timestamp"] * base for frame in frames)
    return sorted(packet["pts"] * base for packet in found["packets"] if "D" not in packet["flags"])


def packet_hashes(path: Path, stream: str) -> list[str]:
    """A hash of the bytes of each packet of a stream."""
    found = probe(path, "-select_streams", stream, "-show_packets", "-show_data_hash", "md5")
    return [packet["data_hash"] for packet in found["packets"]]


def streams(path: Path) -> list[dict]:
    """The streams of a file."""
    return probe(path, "-show_streams")["streams"]


def pictures(path: Path, size: tuple[int, int]):
    """All pictures as a player shows them, upright, gray, uint8 (N, H, W), decoded by the FFmpeg program."""
    import numpy as np

    width, height = size
    done = subprocess.run(
        [str(FFMPEG), "-v", "error", "-i", f"file:{path}", "-map", "0:v:0", "-vf", f"scale={width}:{height}", "-vsync",
         "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def plays(browser, path, folder) -> float:
    """Play a file to its end; its length in seconds."""
    page = browser.new_page()
    (html := folder / "play.html").write_text(f"<video src='{path.as_uri()}' muted></video>")
    page.goto(html.as_uri())
    seconds = page.evaluate(
        """() => new Promise((done, fail) => {
            const video = document.querySelector("video");
            video.onerror = () => fail(video.error.message);
            video.onended = () => done(video.currentTime);
            video.playbackRate = 8;
            video.play().catch(fail);
        })"""
    )
    page.close()
    return seconds
