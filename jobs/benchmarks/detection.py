"""How many faces are found when they get smaller in the detector's input.

    python -m ferflow.jobs.benchmarks.detection VIDEO... [--score 0.7]

Faces found in whole frames at score 0.8 are the reference; the same frames are then reduced by 2 to 10, and a
reference face counts as found again if a box overlaps it by more than 0.4.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

from ferflow.faces.detections import iou
from ferflow.faces.yunet import SMALLEST_IN_INPUT, YuNet, weights_path
from ferflow.media.video import Selection, open_video
from ferflow.options import AnalyzeOptions

FACTORS = (2, 3, 4, 5, 6, 8, 10)
STEP_PX = 3


def count_found_by_height(videos: list[Path], score: float) -> dict[int, tuple[int, int]]:
    """Lower edge of a class of heights in the input, in pixels -> (found again, of how many)."""
    found: dict[int, int] = defaultdict(int)
    total: dict[int, int] = defaultdict(int)
    for path in videos:
        with open_video(path) as video:
            frames = list(video.frames(Selection(every=3)))
        reference = _make_detector(1, 0.8).detect(frames)
        for factor in FACTORS:
            again = _make_detector(factor, score).detect(frames)
            for wanted, got in zip(reference, again, strict=True):
                best = iou(wanted.xyxy, got.xyxy).max(axis=1, initial=0)
                heights = (wanted.xyxy[:, 3] - wanted.xyxy[:, 1]) / factor
                for height, overlap in zip(heights, best, strict=True):
                    edge = int(height // STEP_PX * STEP_PX)
                    total[edge] += 1
                    found[edge] += overlap > 0.4
    return {edge: (found[edge], total[edge]) for edge in sorted(total)}


def main() -> None:
    """Print one line per class of heights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--score", type=float, default=0.7, help="least score of a detection")
    arguments = parser.parse_args()
    print("height in input    found    of")
    for edge, (found, total) in count_found_by_height(arguments.videos, arguments.score).items():
        print(f"{edge:6d} to {edge + STEP_PX:3d} px {found / total:8.2f} {total:5d}")


def _make_detector(factor: int, score: float) -> YuNet:
    return YuNet(AnalyzeOptions(min_face=SMALLEST_IN_INPUT * factor, score=score), weights_path())


if __name__ == "__main__":
    main()
