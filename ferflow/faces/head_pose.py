"""Head pose from the five landmarks of a detector.

>>> yaw, pitch, roll = estimate_head_pose(found.landmarks)[0]

A generic head is fitted under weak perspective (rotation, scale, shift), so that the camera need not be known.
The five points are not in one plane, so that the fit has a closed form and one solution.

Accuracy. With exact landmarks of heads of other proportions, the mean error up to 45 degrees of yaw is about 5 degrees
for yaw and pitch, and 2 for roll. The errors of YuNet's landmarks come on top: they are not quite symmetric (up to 6
degrees of yaw for a frontal face), and they follow a head that tilts sideways only in part. A portrait turned by 30
degrees in the picture gives a roll of 13 to 24 degrees when its face is 280 pixels high in YuNet's input, 3 to 9 at 110
and 0 at 40; tilts change yaw as well, and the landmarks of faces above 200 pixels are unsteady. So yaw and pitch of
upright heads, and changes of one person, are usable; roll is only a hint.
"""

from __future__ import annotations

import numpy as np

from ferflow.types import Float32Array, Float64Array

# Millimetres from the middle between the pupils: x to the right in the picture, y down, z away from the viewer.
# Distance of the pupils: 63, the adult mean (Dodgson, 2004, Proc. SPIE 5291:36). Heights of nose tip and mouth, and the
# width of the mouth: chosen so that the median frontal face of FER2013, with the detector's landmarks, has 0 degrees
# (the width of 51 is also the adult mean of Farkas, 1994). Depths: the nose tip about 30 in front of the corneas, the
# corners of the mouth a few (Farkas, 1994).
_HEAD = np.array(
    [[-31.5, 0.0, 0.0], [31.5, 0.0, 0.0], [0.0, 36.0, -30.0], [-25.5, 63.5, -5.0], [25.5, 63.5, -5.0]]
)
_CENTRED = _HEAD - _HEAD.mean(axis=0)
_HEAD_SIZE = float(np.sqrt((_CENTRED**2).sum(axis=1).mean()))
_TO_AFFINE = np.linalg.pinv(_CENTRED)

_MAX_MISFIT = 0.15
"""Root mean square distance of landmarks from the fitted head, in sizes of that head; no pose where it is larger."""
# In profile the detector puts the hidden eye and corner of the mouth on the outline of the face. The fit is then worse,
# but that the head is turned far is right.
_PROFILE_YAW, _MAX_MISFIT_IN_PROFILE = 45.0, 0.3


def estimate_head_pose(landmarks: Float32Array, *, pixel_aspect: float | Float64Array = 1.0) -> Float32Array:
    """Estimate yaw, pitch and roll of faces.

    Yaw > 0: the face turns towards the right edge of the picture. Pitch > 0: it looks up. Roll > 0: the head
    tilts clockwise as seen in the picture. The head is turned by pitch first, then yaw, then roll, so that
    roll is the slope of the line of the eyes and the other two do not change when the picture is rotated.

    Args:
        landmarks: float32 (N, 5, 2), pixels, in the order of `detections.LANDMARKS`.
        pixel_aspect: width of a pixel over its height; one for all, or float64 (N,).

    Returns:
        float32 (N, 3), degrees: yaw in [-90, 90], pitch and roll in [-180, 180]. NaN where landmarks are
        missing or do not fit a head.
    """
    poses = np.full((len(landmarks), 3), np.nan, np.float32)
    usable = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)))
    points = landmarks[usable].astype(np.float64)
    points[..., 0] *= np.broadcast_to(pixel_aspect, len(landmarks))[usable, None]
    points -= points.mean(axis=1, keepdims=True)
    rows, misfit = _fit_head(points)
    angles = _euler_angles(rows)
    in_profile = np.abs(angles[:, 0]) > _PROFILE_YAW
    fits = misfit <= np.where(in_profile, _MAX_MISFIT_IN_PROFILE, _MAX_MISFIT)
    poses[usable] = np.where(fits[:, None], angles, np.nan)
    return poses


def _fit_head(points: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Fit the head's rotation under weak perspective.

    Args:
        points: float64 (N, 5, 2), centred.

    Returns:
        float64 (N, 2, 3), the first two rows of a rotation matrix, and the misfit, float64 (N,).
    """
    # The least-squares affine map from head to picture; the nearest scaled rotation to it has the singular vectors, and
    # the mean singular value as its scale (the orthogonal Procrustes problem). Both steps are one call for all faces.
    affine = (_TO_AFFINE @ points).transpose(0, 2, 1)
    left, scales, right = np.linalg.svd(affine, full_matrices=False)
    rows = left @ right
    scale = scales.mean(axis=1)
    drawn = scale[:, None, None] * (_CENTRED @ rows.transpose(0, 2, 1))
    away = np.sqrt(((drawn - points) ** 2).sum(axis=2).mean(axis=1))
    misfit = np.divide(away, scale * _HEAD_SIZE, out=np.full_like(away, np.inf), where=scale > 0)
    return rows, misfit


def _euler_angles(rows: Float64Array) -> Float64Array:
    """Angles in degrees, (N, 3), of rotations by pitch about x, then yaw about y, then roll about z."""
    (ax, ay, az), (bx, by, bz) = rows[:, 0].T, rows[:, 1].T
    # The third row is the cross product of the first two; np.cross takes longer than the rest of this function.
    cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    yaw, pitch, roll = np.arcsin(np.clip(cx, -1, 1)), -np.arctan2(cy, cz), np.arctan2(bx, ax)
    degrees: Float64Array = np.degrees(np.stack([yaw, pitch, roll], axis=1))
    return degrees
