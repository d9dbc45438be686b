"""The straightforward script of the papers, to be compared with: one loop, one face at a time.

    python -m ferflow.jobs.benchmarks.haar VIDEO FRAMES

`cv2.VideoCapture`, the Haar cascade at its customary settings, `model.predict()` for each face; the network is
the same one that ferflow serves. Talks as `bench_fer` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferflow.jobs.benchmarks.fer_package import answer


def main() -> None:
    """Load, and answer."""
    from ferflow.models.keras_network import load_served
    from ferflow.models.registry import resolve

    model = load_served(resolve("default"))
    model.predict(np.zeros((1, 48, 48, 1), np.uint8), verbose=0)  # no face may be in the first frames
    file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
    cascade = cv2.CascadeClassifier(str(file))

    def count(image: Any) -> int:
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        boxes = cascade.detectMultiScale(gray, 1.3, 5)
        for x, y, w, h in boxes:
            face = cv2.resize(gray[y : y + h, x : x + w], (48, 48))
            model.predict(face.reshape(1, 48, 48, 1), verbose=0)
        return len(boxes)

    answer(count)


if __name__ == "__main__":
    main()
