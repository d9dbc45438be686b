"""Where a new shot starts.

>>> cuts = ShotCutDetector()
>>> is_cut = cuts.update(frame.planes.y)

A cut changes both the structure of the picture and the histogram of its gray levels. The structure distance ignores
brightness, contrast and small shifts, so that flashes, fades, exposure and camera motion leave it low; motion in the
picture leaves the histogram distance low. A mirrored shot has the histogram of the shot before, and is found because it
is its mirror image. In a dissolve no step is large, but each picture is a mean of the one before and the one after.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ferflow.types import Float32Array, Float64Array, UInt8Array

# Pictures are compared at 64x36, each row of which is made from 2 rows of the plane only, to save time.
_COLUMNS, _ROWS, _ROWS_READ = 64, 36, 2
# Shifts between two frames that count as camera motion, in cells: up to an eighth of the picture in each direction.
_SHIFT_X, _SHIFT_Y = 8, 4
# A picture of less contrast (standard deviation, gray levels) is blank: there is no structure to compare.
_BLANK = 3.0

# Structure distances in the trial clips, every frame compared: at most 0.25 within shots, 0.54 to 0.97 across cuts; of
# 462 pairs of unrelated pictures 95 in 100 were above 0.55. Histogram distances: at most 2.4 gray levels within shots,
# at least 8.4 across cuts.
_MIN_STRUCTURE = 0.4
_MIN_HISTOGRAM = 2.5
# The running mean of the structure distance is added to the threshold: sparse sampling and moving pictures raise it.
_LEVEL_MEMORY = 0.8
_MAX_LEVEL = 0.4
_NEGLIGIBLE_DISTANCE = 0.02
"""Up to this distance without a shift no better shift is searched for, to save time: it is far below a cut's."""


_MAX_MIRROR_DISTANCE = 0.15
"""Structure distance up to which a picture is the mirror image of the last one."""

# A dissolve is looked for over these numbers of frames, all even; 0.16 to 1.4 s at 25 frames per second. Half way, a
# picture must consist of at least this share of the first and of the last one, and of little else (share of variance):
# in the trial clips less than 0.02, and more than 0.2 where people or cameras moved.
_DISSOLVE_LAGS = (4, 12, 24, 36)
_MIN_DISSOLVE_STRUCTURE = 0.5
_MIN_DISSOLVE_SHARE = 0.25
_MAX_DISSOLVE_RESIDUAL = 0.05


class Change(IntEnum):
    """How a new shot starts; `NONE` is false."""

    NONE = 0
    CUT = 1
    """From one frame to the next."""
    DISSOLVE = 2
    """Gradually; it is half over."""


class ShotCutDetector:
    """Compares each frame with the last one that was not blank, and with earlier ones of its shot."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Return to the state before the first frame."""
        self.thumb: UInt8Array = np.zeros((_ROWS, _COLUMNS), np.uint8)
        """The last frame at 64x36, uint8 (36, 64), also if it was blank."""
        self._last: _Picture | None = None
        self._picture: _Picture | None = None
        self._level = 0.0
        self._dissolves = _DissolveDetector()

    def update(self, luma: UInt8Array) -> Change:
        """Whether this frame starts a new shot, and how.

        A blank frame (black, white) never does. The first frame after it does if it differs from the last frame before
        it that was not blank. In a dissolve, the new shot starts where about half of it is seen.

        Args:
            luma: uint8 (H, W), of any size and range; no reference to it is kept.
        """
        self.thumb = _downscale(luma)
        self._picture = _Picture.of(self.thumb)
        return self._compare(self._picture)

    def repeat(self) -> Change:
        """As `update`, for a frame with the pixels of the last one."""
        return self._compare(self._picture)

    def _compare(self, picture: _Picture | None) -> Change:
        if picture is None:
            return Change.NONE
        last, self._last = self._last, picture
        if last is None:
            return Change.NONE
        structure = 1.0 - min(max(picture.correlate(last), 0.0), 1.0)
        if structure > _NEGLIGIBLE_DISTANCE:
            structure = structure_distance(last.small, picture.small)
        is_cut = structure > _MIN_STRUCTURE + min(self._level, _MAX_LEVEL) and (
            histogram_distance(last.small, picture.small) > _MIN_HISTOGRAM
            or _is_mirrored(last.small, picture.small)
        )
        if is_cut:
            self._dissolves.restart()
        is_dissolved = self._dissolves.update(picture)
        # The distance of a cut says nothing about motion within shots, and would hide a second cut soon after.
        if not is_cut:
            self._level = _LEVEL_MEMORY * self._level + (1 - _LEVEL_MEMORY) * structure
        if is_cut:
            return Change.CUT
        return Change.DISSOLVE if is_dissolved else Change.NONE


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture that is not blank, uint8 (36, 64), and the same as float32 (2304,) of mean 0 and length 1."""

    small: UInt8Array
    unit: Float32Array

    @classmethod
    def of(cls, small: UInt8Array) -> _Picture | None:
        """None for a blank picture."""
        centred = small.ravel() - small.mean(dtype=np.float32)
        length = float(np.sqrt(centred @ centred))
        if length < _BLANK * np.sqrt(small.size):
            return None
        return cls(small, centred / np.float32(length))

    def correlate(self, other: _Picture) -> float:
        """Pearson's correlation, in [-1, 1]."""
        return float(self.unit @ other.unit)


class _DissolveDetector:
    """Finds pictures that are means of an earlier and a later one."""

    def __init__(self) -> None:
        self.restart()

    def restart(self, *, pause_frames: int = 0) -> None:
        """Forget all pictures, and those to come as well for some frames."""
        self._past: deque[_Picture] = deque(maxlen=max(_DISSOLVE_LAGS) + 1)
        self._pause_frames = pause_frames

    def update(self, picture: _Picture) -> bool:
        """Whether a dissolve is about half over with this picture."""
        if self._pause_frames:
            self._pause_frames -= 1
            return False
        self._past.append(picture)
        for lag in _DISSOLVE_LAGS:
            if len(self._past) > lag and self._is_dissolve(lag):
                # The second half of a dissolve looks like a dissolve, too.
                self.restart(pause_frames=lag)
                return True
        return False

    def _is_dissolve(self, lag: int) -> bool:
        first, middle, last = (self._past[-1 - lag], self._past[-1 - lag // 2], self._past[-1])
        correlation = first.correlate(last)
        if 1 - correlation < _MIN_DISSOLVE_STRUCTURE:
            return False
        # Least squares: the shares of both pictures that explain the one in the middle best.
        with_first, with_last = middle.correlate(first), middle.correlate(last)
        of_first = (with_first - correlation * with_last) / (1 - correlation**2 + 1e-9)
        of_last = (with_last - correlation * with_first) / (1 - correlation**2 + 1e-9)
        residual = 1 - of_first * with_first - of_last * with_last
        return (
            min(of_first, of_last) >= _MIN_DISSOLVE_SHARE
            and residual <= _MAX_DISSOLVE_RESIDUAL
            and structure_distance(first.small, last.small) > _MIN_DISSOLVE_STRUCTURE
        )


def is_blank(thumb: UInt8Array) -> bool:
    """Whether a picture, uint8 (36, 64), has too little contrast to start a shot."""
    return _Picture.of(thumb) is None


def _is_mirrored(last: UInt8Array, small: UInt8Array) -> bool:
    return structure_distance(np.ascontiguousarray(last[:, ::-1]), small) <= _MAX_MIRROR_DISTANCE


def structure_distance(a: UInt8Array, b: UInt8Array) -> float:
    """1 minus the best correlation of one picture's middle with the other picture, over small shifts.

    Args:
        a: uint8 (36, 64).
        b: uint8 (36, 64).

    Returns:
        In [0, 1]; symmetric; 0 for pictures that differ in brightness, contrast or a shift only.
    """
    # Both directions, since only the middle of one picture is compared; so the distance is symmetric.
    return 1.0 - (_best_correlation(a, b) + _best_correlation(b, a)) / 2


def histogram_distance(a: UInt8Array, b: UInt8Array) -> float:
    """Gray levels by which pixels would have to move to turn one histogram into the other (earth mover)."""
    # In one dimension the earth mover's distance is the area between the cumulative histograms; a bin has 8 gray
    # levels.
    return float(np.abs(_cumulative_histogram(a) - _cumulative_histogram(b)).sum()) * 8


def _downscale(luma: UInt8Array) -> UInt8Array:
    height, width = luma.shape
    rows = luma[_rows_read(height)]
    # With an integer factor INTER_AREA averages blocks, which is faster; up to a sixteenth of the columns is left out.
    rest = width % _COLUMNS
    columns = rows[:, : width - rest] if rest * 16 <= width else rows
    return cv2.resize(columns, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


@lru_cache(maxsize=64)
def _rows_read(height: int) -> npt.NDArray[np.intp]:
    return np.linspace(0, height - 1, _ROWS * _ROWS_READ).astype(np.intp)


def _best_correlation(a: UInt8Array, b: UInt8Array) -> float:
    middle = a[_SHIFT_Y:-_SHIFT_Y, _SHIFT_X:-_SHIFT_X]
    best = float(cv2.matchTemplate(b, middle, cv2.TM_CCOEFF_NORMED).max())
    # Where the middle has no contrast, OpenCV returns infinity or more than 1.
    return min(max(best, 0.0), 1.0) if np.isfinite(best) else 0.0


def _cumulative_histogram(small: UInt8Array) -> Float64Array:
    return np.cumsum(np.bincount((small >> 3).ravel(), minlength=32)) / small.size
