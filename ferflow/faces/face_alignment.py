"""Faces cut out so that their landmarks lie at the same places, as networks that compare faces expect them."""

from __future__ import annotations

import cv2
import numpy as np

from ferflow.faces.regions import cut_part
from ferflow.media.video import Frame
from ferflow.types import Float32Array, Float64Array, UInt8Array

SIZE = 112
"""Side of the result, pixels."""

# Where the landmarks come to lie, in the order of `detections.LANDMARKS`; that of OpenCV's FaceRecognizerSF.
_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def align(frame: Frame, landmarks: Float32Array) -> UInt8Array | None:
    """Cut out a face so that its landmarks lie where the network expects them.

    Args:
        frame: the frame.
        landmarks: float32 (5, 2), in its pixels.

    Returns:
        uint8 (112, 112, 3), BGR; None where the landmarks are unknown or outside of the picture.
    """
    if not np.isfinite(landmarks).all():
        return None
    planes = frame.planes
    reach = 2.0 * np.ptp(landmarks, axis=0).max()
    middle = landmarks.mean(axis=0)
    low = np.clip(np.floor(middle - reach), 0, [planes.width - 1, planes.height - 1]).astype(int)
    high = np.clip(np.ceil(middle + reach), 1, [planes.width, planes.height]).astype(int)
    if (high - low).min() < 2:
        return None
    part = cut_part(frame, *low.tolist(), *(high - low).tolist())
    matrix = _similarity(landmarks.astype(np.float64) - [part.x, part.y])
    image = cv2.warpAffine(part.frame.bgr(), matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
    return np.asarray(image, np.uint8)


def _similarity(landmarks: Float64Array) -> Float64Array:
    """The rotation, scale and shift that bring landmarks nearest to the template, float64 (2, 3), least squares."""
    (x, y), ones, zeros = landmarks.T, np.ones(5), np.zeros(5)
    rows = np.concatenate([np.stack([x, -y, ones, zeros], axis=1), np.stack([y, x, zeros, ones], axis=1)])
    (a, b, shift_x, shift_y), *_ = np.linalg.lstsq(rows, _TEMPLATE.T.ravel(), rcond=None)
    return np.array([[a, -b, shift_x], [b, a, shift_y]])
