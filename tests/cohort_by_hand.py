"""The numbers of a cohort once more, with pandas and arithmetic alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

T_TABLE = [12.7062, 4.30265, 3.18245, 2.77645, 2.57058, 2.44691, 2.36462, 2.30600, 2.26216, 2.22814, 2.20099, 2.17881,
           2.16037, 2.14479, 2.13145, 2.11991, 2.10982, 2.10092, 2.09302, 2.08596, 2.07961, 2.07387,
           2.06866, 2.06390, 2.05954, 2.05553, 2.05183, 2.04841, 2.04523, 2.04227, 2.03951, 2.03693, 2.03452, 2.03224,
           2.03011, 2.02809, 2.02619, 2.02439, 2.02269, 2.02108]  # fmt: skip
"""Student's t, two-sided 95 %, for 1 to 40 degrees of freedom, from a printed table."""

MEASURES = {
    "engagement": (0, 1), "attention": (0, 1), "expressiveness": (0, 1), "valence": (-1, 1), "positive": (0, 1),
    "negative": (0, 1), "reacting": (0, 1),
}  # fmt: skip
"""Limits by name."""


def read_people(out: Path, stimulus_s: float = np.inf) -> pd.DataFrame:
    """A row per person and bin: TIMELINE with participant, group, stimulus, and the bin counted from the stimulus.

    Of a bin in which the stimulus starts or ends, `readable_s` and `face_s` are those of the part within the stimulus.

    Args:
        out: the output folder.
        stimulus_s: length of the stimulus; bins have one second, and so have the last ones of videos.
    """
    bins = pd.concat([pd.read_parquet(path) for path in sorted((out / "timeline").glob("*.parquet"))])
    bins = bins[bins.person_id.notna()].astype({"person_id": int} | dict.fromkeys(MEASURES, float))
    listed = pd.DataFrame({"video_id": bins.video_id.unique()})
    if (out / "sessions.csv").exists():
        given = pd.read_csv(out / "sessions.csv").rename(columns={"video": "video_id"})
        listed = listed.merge(given, on="video_id", how="left")
    rows = bins.merge(listed, on="video_id")
    own = rows.video_id + "/" + rows.person_id.astype(str)
    rows["participant"] = rows.participant.fillna(own) if "participant" in rows else own
    if (out / "people.csv").exists():
        named = pd.read_csv(out / "people.csv").rename(columns={"track_id": "person_id"})
        rows = rows.merge(named, on=["video_id", "person_id"], how="left")
        rows["participant"] = rows.name.fillna(rows.participant)
    for column in ("group", "stimulus"):
        rows[column] = rows.get(column)
    offset = rows.offset_s.fillna(0) if "offset_s" in rows else 0
    start, end = rows.bin_start_s - offset, rows.bin_start_s + 1 - offset
    part = np.minimum(end, stimulus_s) - np.maximum(start, 0)
    rows["bin"] = np.floor(np.maximum(start, 0) + 0.5 + 1e-6).astype(int)
    for column in ("readable_s", "face_s"):
        rows[column] *= part.clip(0, 1)
    return rows[part >= 0.05]


def keep_counted(rows: pd.DataFrame, least_s: float = 10.0) -> pd.DataFrame:
    """The participants whose face is readable for long enough."""
    seconds = rows.groupby("participant").readable_s.sum()
    return rows[rows.participant.map(seconds) >= least_s - 1e-6]


def means(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Means weighted by readable time; attention by time in view."""
    return rows.groupby(by).apply(_weighted, include_groups=False)


def _weighted(rows: pd.DataFrame) -> pd.Series:
    found = {}
    for name in MEASURES:
        known = rows[rows[name].notna()]
        weight = known.face_s if name == "attention" else known.readable_s
        found[name] = (known[name] * weight).sum() / weight.sum() if weight.sum() else np.nan
    return pd.Series(found)


def mean_interval(values: pd.Series, limits: tuple[float, float]) -> tuple[int, float, float, float]:
    """n, mean and its 95 % interval on the logit scale of the limits; Wilson's where no value varies."""
    known, (low, high) = values.dropna(), limits
    n = len(known)
    scaled = (known - low) / (high - low)
    m = scaled.mean()
    if n < 2:
        return n, known.mean(), np.nan, np.nan
    if scaled.std() < 1e-6:
        ends = wilson(m, n)
    else:
        half = T_TABLE[n - 2] * scaled.std() / np.sqrt(n) / (m * (1 - m))
        ends = [1 / (1 + np.exp(-(np.log(m / (1 - m)) + sign * half))) for sign in (-1, 1)]
    return n, known.mean(), *(low + (high - low) * end for end in ends)


def share_interval(values: pd.Series) -> tuple[int, float, float, float]:
    """n, share and Wilson's 95 % interval."""
    known = values.dropna()
    if not len(known):
        return 0, np.nan, np.nan, np.nan
    return len(known), known.mean(), *wilson(known.mean(), len(known))


def wilson(p: float, n: int) -> tuple[float, float]:
    """Solutions of (p - x)^2 = z^2 x (1 - x) / n, a quadratic equation in x."""
    z2 = 1.959964**2
    roots = np.roots([1 + z2 / n, -(2 * p + z2 / n), p * p])
    low, high = sorted(np.clip(roots.real, 0, 1))
    return (0.0 if p == 0 else low), (1.0 if p == 1 else high)
