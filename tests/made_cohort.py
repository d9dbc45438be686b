"""Made-up cohorts: many sessions in groups, or one session with many people. Nobody was filmed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.made_records import Made, write_session


def forty_sessions(out: Path, *, seconds: float = 90.0, n: int = 40, fps: float = 5.0) -> list[str]:
    """A session each of `n` participants in three groups of unequal size, listed in `sessions.csv`."""
    groups = ["calm", "drama", "quiz show"]
    rows, videos = ["video,participant,group,age"], []
    for k in range(n):
        video_id = f"session-{k + 1:02d}"
        write_session(out, Made(seconds=seconds, fps=fps, video_id=video_id, seed=k, people=1))
        videos.append(video_id)
        rows.append(f"{video_id},p{k + 1:02d},{groups[(k * k) % 7 % 3]},{20 + k}")
    (out / "sessions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_run(out, videos)
    return videos


def one_audience(out: Path, *, people: int = 40, seconds: float = 120.0, fps: float = 4.0) -> str:
    """One session of an audience."""
    video_id = write_session(out, Made(seconds=seconds, fps=fps, people=people, video_id="audience"))
    write_run(out, [video_id])
    return video_id


def write_run(out: Path, videos: list[str]) -> None:
    """`run.json` as a run leaves it."""
    listed = [{"video_id": video_id, "source": f"/films/{video_id}.mp4", "status": "done", "warnings": []}
              for video_id in videos]  # fmt: skip
    run = {
        "schema_version": 1,
        "ferflow_version": "0.1.0",
        "options": {},
        "started": "2026-01-02T03:04:05+00:00",
        "videos": listed,
    }
    (out / "run.json").write_text(json.dumps(run), encoding="utf-8")


def interval_by_hand(values: list[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval, with Student's t from a printed table (n 2 to 41)."""
    table = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
             2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
             2.040, 2.037, 2.035, 2.032, 2.030, 2.028, 2.026, 2.024, 2.023, 2.021]  # fmt: skip
    n, mean = len(values), float(np.mean(values))
    half = table[n - 2] * float(np.sqrt(np.sum((np.array(values) - mean) ** 2) / (n - 1) / n))
    return mean, mean - half, mean + half
