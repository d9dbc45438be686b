"""A face as it is answered to programs: by `ferflow predict`, `ferflow live` and the web application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ferflow.types import JsonObject


@dataclass(frozen=True, slots=True)
class FaceResult:
    """One face in one picture; unknown values are None, never NaN."""

    xyxy: tuple[float, float, float, float]
    """Box in pixels of the upright picture; the right and lower edges are exclusive."""
    score: float
    """Of the detector, 0 to 1."""
    probs: Mapping[str, float]
    """Probability of each expression, by label; their sum is 1."""
    landmarks: tuple[tuple[float, float], ...] | None = None
    """Five points (x, y) in pixels: right eye, left eye, nose, right and left corner of the mouth; None without."""
    yaw: float | None = None
    """Degrees, as are `pitch` and `roll`; signs as in docs/numbers.md."""
    pitch: float | None = None
    roll: float | None = None
    track_id: int | None = None
    """Of the track in a video; None in a single picture."""
    unreadable: str | None = None
    """Why the expression cannot be read (`turned`, `small`, `blurred`, `occluded`); None where it can."""

    @property
    def label(self) -> str:
        """The expression with the largest probability."""
        return max(self.probs, key=self.probs.__getitem__)

    def to_json(self) -> JsonObject:
        """As JSON; `track_id` and `landmarks` only where known."""
        found: JsonObject = {
            "xyxy": [round(value, 2) for value in self.xyxy],
            "score": round(self.score, 4),
            "label": self.label,
            "probs": {label: round(p, 5) for label, p in self.probs.items()},
            "yaw": _rounded(self.yaw),
            "pitch": _rounded(self.pitch),
            "roll": _rounded(self.roll),
            "unreadable": self.unreadable,
        }
        if self.track_id is not None:
            found["track_id"] = self.track_id
        if self.landmarks is not None:
            found["landmarks"] = [[round(x, 2), round(y, 2)] for x, y in self.landmarks]
        return found


def _rounded(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees, 2)
