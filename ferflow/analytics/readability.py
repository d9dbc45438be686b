"""Which faces an expression can be read from.

>>> [REASONS[code - 1] for code in unreadable_codes(np.array([60.0]), np.array([80.0]), np.array([300.0]))]
['turned']
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferflow.analytics.tally import column
from ferflow.types import Float64Array, Int64Array

YAW_LIMIT_DEGREES = 45.0
"""Beyond this yaw half of the face is hidden; the training images are frontal."""
LEAST_FACE_PX = 28.0
"""Faces with a shorter side, in pixels of the source, are too small: with strong compression, more than one resting
face in twenty is then read as expressive. The measurements behind this and the next bound are in docs/numbers.md."""
LEAST_SHARPNESS = 50.0
"""Faces whose crop has a smaller variance of the Laplacian are too blurred: more than half of the smiles are missed."""

Reason: TypeAlias = Literal["turned", "small", "blurred", "occluded"]
REASONS: tuple[Reason, ...] = ("turned", "small", "blurred", "occluded")
"""Why a face is unreadable, in order of precedence; code k is `REASONS[k - 1]`, code 0 a readable face."""

READABILITY_COLUMNS = ("yaw", "face_px", "sharpness", "unreadable")
"""Columns of FACES that `read_codes` reads."""


def unreadable_codes(yaw: Float64Array, face_px: Float64Array, sharpness: Float64Array) -> Int64Array:
    """Why each face is unreadable, int64 (N,): 0 for a readable face, else 1 + its place in `REASONS`.

    Args:
        yaw: degrees, (N,); NaN is unknown and excludes no face, since the Haar detector gives no pose.
        face_px: side of the face in pixels of the source, (N,).
        sharpness: variance of the Laplacian of the crop, (N,); NaN excludes no face.
    """
    # NaN compares as False, so what is unknown excludes nothing.
    found = [np.abs(yaw) > YAW_LIMIT_DEGREES, face_px < LEAST_FACE_PX, sharpness < LEAST_SHARPNESS]
    return np.select(found, [1, 2, 3], 0).astype(np.int64)


def read_codes(faces: pa.Table) -> Int64Array:
    """As `unreadable_codes`, of rows of FACES: what the analysis noted, or else what follows from pose and size."""
    computed = unreadable_codes(*(column(faces, name) for name in ("yaw", "face_px", "sharpness")))
    # A folder of an earlier version has nulls throughout.
    noted = pc.index_in(faces.column("unreadable").cast(pa.string()), pa.array(REASONS)).to_numpy()
    return np.where(np.isnan(noted), computed, np.nan_to_num(noted) + 1).astype(np.int64)
