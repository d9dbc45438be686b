r"""The `fer` package with its usual settings (Haar cascade, its own network), for comparison.

    PYTHON jobs/benchmarks/fer_package.py VIDEO FRAMES

PYTHON belongs to a separate environment with fer, because its requirements conflict with ours. The Haar detector needs
neither PyTorch (`facenet_pytorch`) nor `moviepy`, so these may be missing:

    python -m venv .fer
    .fer/bin/pip install --no-deps fer==25.10.3
    .fer/bin/pip install "opencv-python-headless<5" tensorflow-cpu pandas tqdm requests pillow matplotlib \
        "setuptools<80"

Prints "ready" when everything is loaded and warmed up. Then, for each line on its input, processes the first FRAMES
frames and prints a line of JSON: frames, faces, seconds, cpu_seconds. Imports nothing from ferflow.
"""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import cv2

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

NOT_USED = ("facenet_pytorch", "moviepy", "moviepy.editor", "ffmpeg")


def load_detector() -> Any:
    """Load `fer.FER`, without the missing packages that it imports but does not use."""
    missing = [name for name in NOT_USED if importlib.util.find_spec(name.partition(".")[0]) is None]
    sys.modules.update({name: MagicMock() for name in missing})
    from fer.fer import FER

    return FER(mtcnn=False)


def run_once(video: str, n_frames: int, count: Callable[[Any], int]) -> dict[str, float]:
    """Process the video once and measure; `count` detects and classifies the faces of a frame."""
    frames = faces = 0
    started, started_cpu = time.perf_counter(), time.process_time()
    capture = cv2.VideoCapture(video)
    while frames < n_frames:
        ok, image = capture.read()
        if not ok:
            break
        faces += count(image)
        frames += 1
    capture.release()
    return {
        "frames": frames,
        "faces": faces,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - started_cpu,
    }


def serve(count: Callable[[Any], int]) -> None:
    """Warm up, print "ready", and process the video of the command line for each line on the input."""
    video, n_frames = sys.argv[1], int(sys.argv[2])
    # Two frames: the first calls load and compile what is needed, which is not measured.
    run_once(video, 2, count)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(run_once(video, n_frames, count)), flush=True)


def main() -> None:
    """Load the package and answer requests."""
    fer = load_detector()
    serve(lambda image: len(fer.detect_emotions(image)))


if __name__ == "__main__":
    main()
