"""The numbers of people, worked out millisecond by millisecond with pandas, without the product's own aggregation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tests.made_records import LABELS, PRIOR


def every_millisecond(
    faces: pd.DataFrame, step: int, prior: float = PRIOR, shifts: Mapping[int, float] | None = None
) -> pd.DataFrame:
    """What is known of each person in each millisecond: one row per millisecond and face.

    Args:
        faces: FACES of a video; `track_id` is the person, -1 nobody.
        step: milliseconds that each frame lasts, an even number.
        prior: of neutral, of the model.
        shifts: log odds that are subtracted, by person.
    """
    faces = faces[faces.track_id != -1].astype({f"prob_{n}": float for n in LABELS})
    neutral = faces.prob_neutral
    odds = (1 - neutral) / neutral / ((1 - prior) / prior)
    odds = odds * np.exp(-faces.track_id.map(shifts or {}).fillna(0.0))
    faces["E"] = odds / (1 + odds)
    for name in LABELS[:-1]:
        faces[f"p_{name}"] = faces[f"prob_{name}"] * faces.E / (1 - neutral)
    faces["p_neutral"] = 1 - faces.E
    gate = lambda angle: ((35 - angle.abs()) / 20).clip(0, 1)  # noqa: E731
    faces["attention"] = gate(faces.yaw) * gate(faces.pitch)
    faces["readable"] = ~(faces.yaw.abs() > 45) & (faces.face_px >= 28) & (faces.sharpness >= 50)
    parts = []
    for person, mine in faces.groupby("track_id"):
        start = (mine.time_s * 1000).round().astype(int).to_numpy()
        at = (start[:, None] + np.arange(step)).ravel()
        row = np.repeat(np.arange(len(mine)), step)
        known = np.zeros((round(faces.time_s.max() * 1000) + step + 1000, 8))
        readable = mine.readable.to_numpy()
        values = mine[[f"p_{name}" for name in LABELS]].to_numpy()
        use = readable[row]
        known[at[use], :7], known[at[use], 7] = values[row[use]], 1
        total = np.concatenate([np.zeros((1, 8)), known.cumsum(axis=0)])

        def running_mean(middle: np.ndarray, total: np.ndarray = total) -> np.ndarray:
            sums = total[middle + 250] - total[np.clip(middle - 250, 0, None)]
            with np.errstate(invalid="ignore"):
                return np.asarray(sums[:, :7] / sums[:, 7:])

        smoothed = np.where(readable[:, None], running_mean(start + step // 2), np.nan)
        table = pd.DataFrame(smoothed[row], columns=list(LABELS))
        table["at"], table["person"] = at, person
        neutral_now = running_mean(np.concatenate([at, at + 1])).reshape(2, len(at), 7)[:, :, -1].mean(axis=0)
        table["expressive"] = (neutral_now <= 0.5).reshape(-1, step).mean(axis=1)[row]
        for name in ("attention", "readable", *(f"prob_{label}" for label in LABELS)):
            table[name] = mine[name].to_numpy()[row]
        parts.append(table)
    ms = pd.concat(parts)
    ms["expressiveness"] = 1 - ms.neutral
    ms["engagement"] = ms.expressive.where(ms.readable)
    others = ms[list(LABELS[:-1])]
    leading = others.fillna(0).idxmax(axis=1)
    for label in LABELS:
        share = 1 - ms.expressive if label == "neutral" else ms.expressive * (leading == label)
        ms[f"shown_{label}"] = share.where(ms.readable)
        ms[f"prob_{label}"] = ms[f"prob_{label}"].where(ms.readable)
    ms["positive"] = ms.happy
    ms["negative"] = ms[["angry", "disgust", "fear", "sad"]].max(axis=1).where(ms.readable)
    ms["valence"] = ms.positive - ms.negative
    return ms
