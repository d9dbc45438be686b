"""Noise of cameras as it is left in recordings: how much a still background changes from frame to frame.

    python -m ferflow.jobs.benchmarks.camera_noise VIDEO... [--scene NAME] [--seconds 5]

Each frame is compared with the one before it in blocks of 16 x 16 pixels of luma. The noise of a block is the standard
deviation of its pixels' differences over the square root of two, the median over time, which passing motion hardly
changes; frames that repeat the last one are left out. Printed are the median over the blocks and their quartiles: of a
picture that is mostly still background, its noise. "Blocks" is the same of the blocks' means: noise that is coarse
enough to be seen in a reduced picture.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ferflow.jobs.benchmarks.clip import SCENES, draw_clip
from ferflow.media.video import Selection, open_video
from ferflow.options import TimePoint
from ferflow.types import Float32Array, UInt8Array

_BLOCK = 16
_DARKEST, _BRIGHTEST = 30, 225
"""Mean luma of blocks that count: noise is cut off at black and white."""
_NORMAL_SD_PER_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations over time, in gray levels of 255."""

    pixels: float
    low: float
    high: float
    """Quartiles over the blocks, `pixels` is their median."""
    blocks: float
    """Of the mean of a block."""
    n_frames: int


def measure_noise(luma: Sequence[UInt8Array]) -> Noise:
    """Measure the noise of successive frames.

    Args:
        luma: uint8 (H, W) each, of equal size, at least two that differ.
    """
    pairs = [(a, b) for a, b in pairwise(luma) if not np.array_equal(a, b)]
    differences = [_split(b.astype(np.float32) - a.astype(np.float32)) for a, b in pairs]
    level = np.mean([_split(a.astype(np.float32)).mean(axis=1) for a, _ in pairs], axis=0)
    counts = (level > _DARKEST) & (level < _BRIGHTEST)
    deviations = np.median([each.std(axis=1) for each in differences], axis=0)[counts] / np.sqrt(2)
    shifts = np.median([np.abs(each.mean(axis=1)) for each in differences], axis=0)[counts] / np.sqrt(2)
    low, middle, high = np.percentile(deviations, [25, 50, 75])
    return Noise(middle, low, high, float(np.median(shifts)) * _NORMAL_SD_PER_MAD, len(pairs))


def _split(plane: Float32Array) -> Float32Array:
    """Blocks of a plane, float32 (N, 256); what is left at its right and lower side is dropped."""
    rows, columns = (side // _BLOCK for side in plane.shape)
    blocks = plane[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).reshape(rows * columns, _BLOCK**2)


def read_luma(video: Path, seconds: float) -> list[UInt8Array]:
    """The first frames of a video, uint8 (H, W) each."""
    with open_video(video) as opened:
        frames = opened.frames(Selection(end=TimePoint(seconds=seconds)))
        return [frame.planes.y.copy() for frame in frames]


def main() -> None:
    """Print a line per video."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO")
    parser.add_argument("--scene", action="append", default=[], choices=[*SCENES], help="a clip to draw")
    parser.add_argument("--seconds", type=float, default=5.0, help="from the start of each")
    given = parser.parse_args()
    print(f"{'video':34}{'pixels':>8}{'quartiles':>14}{'blocks':>8}{'bits/pixel':>12}{'frames':>8}")
    with tempfile.TemporaryDirectory() as folder:
        drawn = [Path(folder) / f"{name}.mp4" for name in given.scene]
        for path in drawn:
            draw_clip(path, SCENES[path.stem], given.seconds)
        for video in [*given.videos, *drawn]:
            noise = measure_noise(read_luma(video, given.seconds))
            quartiles = f"{noise.low:.2f}-{noise.high:.2f}"
            print(
                f"{video.stem[:32]:34}{noise.pixels:8.2f}{quartiles:>14}{noise.blocks:8.2f}"
                f"{_bits_per_pixel(video):12.3f}{noise.n_frames:8}",
                flush=True,
            )


def _bits_per_pixel(video: Path) -> float:
    """Of the whole file."""
    with open_video(video) as opened:
        info = opened.info
    pixels = info.width * info.height * (info.duration_s_from_header or 0) * (info.frame_rate or 0)
    return video.stat().st_size * 8 / pixels if pixels else float("nan")


if __name__ == "__main__":
    main()
