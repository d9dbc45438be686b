"""Small pictures in a page, as PNG data URIs."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from ferflow.types import UInt8Array


def png_uri(image: UInt8Array) -> str:
    """Encode a picture, uint8 (H, W) or RGB (H, W, 3), as a data URI."""
    bgr = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, coded = cv2.imencode(".png", bgr)
    if not done:
        raise ValueError(f"cannot write {image.shape} {image.dtype} as PNG")
    return "data:image/png;base64," + base64.b64encode(coded.tobytes()).decode("ascii")


def enlarge(image: UInt8Array, side: int) -> UInt8Array:
    """Enlarge a picture, uint8 (S, S) or (S, S, 3), to a side in pixels, with cubic interpolation."""
    big = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(big, np.uint8)
