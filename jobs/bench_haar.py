"""The straightforward script of the papers, to be compared with: one loop, one face at a time.

    python -m ferflow.jobs.bench_haar VIDEO FRAMES

`cv2.VideoCapture`, the Haar cascade at its customary settings, `model.predict()` for each face; the network is
the same one that ferflow serves. Says "ready" when all is loaded and warm; then, for each line on its input,
goes through the first FRAMES frames and answers with a line of JSON: frames, faces, seconds, cpu_seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def one_pass(video: Path, n_frames: int, cascade: cv2.CascadeClassifier, model: Any) -> dict[str, float]:
    """Frames, faces and seconds of one go through the video."""
    frames = faces = 0
    started, started_cpu = time.perf_counter(), time.process_time()
    capture = cv2.VideoCapture(str(video))
    while frames < n_frames:
        ok, image = capture.read()
        if not ok:
            break
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        for x, y, w, h in cascade.detectMultiScale(gray, 1.3, 5):
            face = cv2.resize(gray[y : y + h, x : x + w], (48, 48))
            model.predict(face.reshape(1, 48, 48, 1), verbose=0)
            faces += 1
        frames += 1
    capture.release()
    return {
        "frames": frames,
        "faces": faces,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - started_cpu,
    }


def main() -> None:
    """Load, warm up, and answer."""
    from ferflow.models.cnn import load_served
    from ferflow.models.registry import resolve

    video, n_frames = Path(sys.argv[1]), int(sys.argv[2])
    model = load_served(resolve("default"))
    model.predict(np.zeros((1, 48, 48, 1), np.uint8), verbose=0)
    file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
    cascade = cv2.CascadeClassifier(str(file))
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(one_pass(video, n_frames, cascade, model)), flush=True)


if __name__ == "__main__":
    main()
