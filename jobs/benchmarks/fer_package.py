r"""The `fer` package at its usual settings (Haar cascade, its own network), to be compared with.

    PYTHON jobs/bench_fer.py VIDEO FRAMES

PYTHON is of an environment of its own that has fer: its requirements are at odds with ours. The Haar path needs
neither PyTorch (`facenet_pytorch`) nor `moviepy`, so these may be missing:

    python -m venv .fer
    .fer/bin/pip install --no-deps fer==25.10.3
    .fer/bin/pip install "opencv-python-headless<5" tensorflow-cpu pandas tqdm requests pillow matplotlib \
        "setuptools<80"

Says "ready" when all is loaded and warm; then, for each line on its input, goes through the first FRAMES frames and
answers with a line of JSON: frames, faces, seconds, cpu_seconds. Imports nothing of ferflow.
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


def detector() -> Any:
    """`fer.FER`, what it imports and does not use left out where it is missing."""
    missing = [name for name in NOT_USED if importlib.util.find_spec(name.partition(".")[0]) is None]
    sys.modules.update({name: MagicMock() for name in missing})
    from fer.fer import FER

    return FER(mtcnn=False)


def one_pass(video: str, n_frames: int, count: Callable[[Any], int]) -> dict[str, float]:
    """Frames, faces and seconds of one go through the video; `count` finds and classifies the faces of a frame."""
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


def answer(count: Callable[[Any], int]) -> None:
    """Warm up, say so, and go through the video of the command line for each line on the input."""
    video, n_frames = sys.argv[1], int(sys.argv[2])
    one_pass(video, 2, count)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(one_pass(video, n_frames, count)), flush=True)


def main() -> None:
    """Load, and answer."""
    fer = detector()
    answer(lambda image: len(fer.detect_emotions(image)))


if __name__ == "__main__":
    main()
