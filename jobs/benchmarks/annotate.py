"""`ferflow annotate` from existing tables, against decoding and encoding alone.

    python -m ferflow.jobs.benchmarks.annotate [VIDEO] [--rounds 3]

Both decode the same file with the same number of threads and encode with the same settings; only the second one finds
the faces of each frame in tables and draws them. The two alternate, and the median of their ratios is printed, so that
other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import cv2

from ferflow.analytics.person_faces import Persons
from ferflow.jobs.benchmarks.clip import SCENES, draw_clip
from ferflow.jobs.run import run
from ferflow.media.video import Frame, open_video
from ferflow.media.yuv_picture import YuvPicture
from ferflow.options import AnalyzeOptions
from ferflow.render.annotate import Annotator
from ferflow.render.rewrite import WHOLE, Painter, Rewrite, rewrite
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles


class Unchanged:
    """Draws nothing."""

    def paint(self, frame: Frame, picture: YuvPicture) -> None:
        """See `rewrite.Painter`."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", nargs="?", type=Path, help="default: a drawn clip, 854x480, six faces")
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = wanted.video or _draw_clip(Path(folder))
        run([video], Path(folder) / "out", AnalyzeOptions(), pages=False)
        (files,) = OutputFolder(Path(folder) / "out").finished_videos()
        ratios = []
        for _ in range(wanted.rounds):
            plain_s, n_frames = _measure(video, Path(folder), None)
            annotated_s, _ = _measure(video, Path(folder), files)
            ratios.append(plain_s / annotated_s)
            print(
                f"{n_frames} frames: decode and encode {n_frames / plain_s:.0f} frames/s, annotate "
                f"{n_frames / annotated_s:.0f} frames/s, ratio {ratios[-1]:.2f}"
            )
        print(f"median ratio: {statistics.median(ratios):.2f}")


def _draw_clip(folder: Path) -> Path:
    draw_clip(path := folder / "drawn.mp4", SCENES["480p-six"], 20)
    return path


def _measure(video: Path, folder: Path, files: VideoFiles | None) -> tuple[float, int]:
    """Seconds, tables included, and frames."""
    cv2.setNumThreads(1)
    start = time.perf_counter()
    painter: Painter = Unchanged() if files is None else Annotator.read(Persons.of(files), key="frame_index")
    wanted = Rewrite(target=folder / "made.mp4")
    with open_video(video) as opened:
        n = sum(1 for _ in rewrite(opened, WHOLE.frames(opened), wanted, painter))
    return time.perf_counter() - start, n


if __name__ == "__main__":
    main()
