"""`ferflow annotate` from existing tables, against decoding and encoding alone.

    python -m ferflow.jobs.benchmarks.annotate [VIDEO] [--rounds 3]

Both decode the same file with the same number of threads and encode with the same settings; only the second one finds
the faces of each frame in tables and draws them. The two alternate, and the median of their ratios is printed: of the
time that passes, and of the processor time of all threads, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
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
        ratios: list[tuple[float, float]] = []
        for _ in range(wanted.rounds):
            plain, annotated = (_measure(video, Path(folder), each) for each in (None, files))
            ratios.append((plain.passed_s / annotated.passed_s, plain.processor_s / annotated.processor_s))
            print(
                f"{plain.n_frames} frames: decode and encode {plain.n_frames / plain.passed_s:.0f} frames/s, annotate "
                f"{plain.n_frames / annotated.passed_s:.0f} frames/s, ratio {ratios[-1][0]:.2f}, of processor time "
                f"{ratios[-1][1]:.2f}"
            )
        passed, processor = (statistics.median(each) for each in zip(*ratios, strict=True))
        print(f"median ratio: {passed:.2f}, of processor time {processor:.2f}")


@dataclass(frozen=True, slots=True)
class _Measured:
    n_frames: int
    passed_s: float
    processor_s: float


def _draw_clip(folder: Path) -> Path:
    draw_clip(path := folder / "drawn.mp4", SCENES["480p-six"], 20)
    return path


def _measure(video: Path, folder: Path, files: VideoFiles | None) -> _Measured:
    """Reading the tables is included."""
    cv2.setNumThreads(1)
    start_s, start_processor_s = time.perf_counter(), time.process_time()
    painter: Painter = Unchanged() if files is None else Annotator.read(Persons.of(files), key="frame_index")
    wanted = Rewrite(target=folder / "made.mp4")
    with open_video(video) as opened:
        n = sum(1 for _ in rewrite(opened, WHOLE.frames(opened), wanted, painter))
    return _Measured(n, time.perf_counter() - start_s, time.process_time() - start_processor_s)


if __name__ == "__main__":
    main()
