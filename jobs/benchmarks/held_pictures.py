"""How many pictures that a recorded screen repeats are also the same once they are decoded, by encoder.

    python -m ferflow.jobs.benchmarks.held_pictures [--seconds 4]

The scene `screen-held` shows five pictures a second, each in six frames. An encoder with losses refines a picture while
it is held, and predicts a frame from both of its neighbours: few decoded pixels change, by a few levels, but they do.
Printed are the share of repeated pictures whose decoded planes equal those of the frame before, and the same of the
luma of the camera's picture alone.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import numpy as np

from ferflow.jobs.benchmarks.drawn_screen import SCREEN_FPS, Screen
from ferflow.types import UInt8Array

_RECORDED = Screen(1280, 720, 100, camera_fps=SCREEN_FPS)
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "x264, lossless": ("libx264", {"preset": "fast", "qp": "0"}),
    "x264 fast, crf 23": ("libx264", {"preset": "fast", "crf": "23"}),
    "x264 veryfast, 2.5 Mbit/s": ("libx264", {"preset": "veryfast", "b": "2500000"}),
    "x264 veryfast, crf 23, no B-frames": ("libx264", {"preset": "veryfast", "crf": "23", "bf": "0"}),
    "x264 veryfast, qp 23, no B-frames": ("libx264", {"preset": "veryfast", "qp": "23", "bf": "0"}),
    "x264 ultrafast, qp 23": ("libx264", {"preset": "ultrafast", "qp": "23"}),
    "MPEG-4, qscale 3": ("mpeg4", {"qscale": "3"}),
    "VP8, realtime, 2.5 Mbit/s": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "b": "2500000"}),
    "VP9, realtime, 2.5 Mbit/s": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "b": "2500000"}),
}
"""Name of FFmpeg's encoder, and its options."""


def encode(pictures: Sequence[UInt8Array], path: Path, codec: str, options: dict[str, str]) -> None:
    """Write pictures as Matroska, 30 per second.

    Args:
        pictures: BGR, uint8 (height, width, 3) each.
        path: the file.
        codec: name of an encoder.
        options: its options.
    """
    with av.open(str(path), "w", format="matroska") as container:
        stream = cast(av.VideoStream, container.add_stream(codec, rate=_RECORDED.fps, options=options))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))


def decode(path: Path) -> list[UInt8Array]:
    """All planes of each frame below one another, uint8 (height * 3 / 2, width)."""
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(), np.uint8) for frame in container.decode(video=0)]


def main() -> None:
    """Print a line per encoder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=4.0)
    seconds = parser.parse_args().seconds
    drawn = list(_RECORDED.pictures(round(seconds * _RECORDED.fps)))
    is_repeated = [np.array_equal(a, b) for a, b in pairwise(drawn)]
    x, y, width, height = _RECORDED.camera
    print(f"{'encoder':38}{'picture':>10}{'camera':>10}{'Mbit/s':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name, (codec, options) in ENCODERS.items():
            if codec not in av.codecs_available:
                continue
            encode(drawn, path := Path(folder) / "clip.mkv", codec, options)
            frames = decode(path)
            cameras = [frame[y : y + height, x : x + width] for frame in frames]
            megabits = path.stat().st_size * 8 / seconds / 1e6
            shares = [_share_equal(each, is_repeated) for each in (frames, cameras)]
            print(f"{name:38}{shares[0]:10.2f}{shares[1]:10.2f}{megabits:10.2f}", flush=True)


def _share_equal(frames: Sequence[UInt8Array], is_repeated: Sequence[bool]) -> float:
    """Of the frames that repeat the picture before them, the share that equals it."""
    pairs = zip(pairwise(frames), is_repeated, strict=True)
    return float(np.mean([np.array_equal(a, b) for (a, b), repeats in pairs if repeats]))


if __name__ == "__main__":
    main()
