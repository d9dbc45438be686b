"""The simple script of the papers, for comparison: one loop, one face at a time.

    python -m ferflow.jobs.benchmarks.haar VIDEO FRAMES

`cv2.VideoCapture`, the Haar cascade with its usual settings, `model.predict()` for each face. The network is the one
that ferflow serves. The protocol is that of `fer_package`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferflow.jobs.benchmarks.fer_package import serve


def main() -> None:
    """Load the model and answer requests."""
    from ferflow.models.keras_network import load_network
    from ferflow.models.registry import resolve

    model = load_network(resolve("default"))
    model.predict(np.zeros((1, 48, 48, 1), np.uint8), verbose=0)  # the first frames may contain no face
    file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
    cascade = cv2.CascadeClassifier(str(file))

    def count(image: Any) -> int:
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        boxes = cascade.detectMultiScale(gray, 1.3, 5)
        for x, y, w, h in boxes:
            face = cv2.resize(gray[y : y + h, x : x + w], (48, 48))
            model.predict(face.reshape(1, 48, 48, 1), verbose=0)
        return len(boxes)

    serve(count)


if __name__ == "__main__":
    main()
