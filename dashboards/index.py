"""The page that lists the videos of an output folder."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from ferflow.errors import RecordsError
from ferflow.records import RecordPaths, finished_videos, read_metadata, read_table
from ferflow.summaries import audience, peak_curve
from ferflow.tally import FloatArray, column, ratio

from . import palette
from .page import render, write_text
from .words import count, percent, score, shown, signed, some, timecode

SPARK_POINTS = 120
_SPARK_WIDTH, _SPARK_HEIGHT = 200, 36

_STATUS = {"done": "done", "done_with_gaps": "done, with gaps", "skipped": "done before", "failed": "failed"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One video of the list."""

    video_id: str
    name: str
    status: str
    """`done`, `done_with_gaps`, `skipped` or `failed`."""
    reason: str
    """Why it failed, or what to keep in mind."""
    duration_s: float | None = None
    n_people: int | None = None
    coverage: float = float("nan")
    engagement: float = float("nan")
    valence: float = float("nan")
    curve: FloatArray | None = None
    measure: str = "engagement"
    link: str | None = None


def write_index(out: Path) -> Path:
    """Write `index.html` from `run.json` and the timelines.

    Raises:
        RecordsError: `run.json` is there but cannot be read.
    """
    run = _read_run(out)
    path = out / "index.html"
    write_text(path, render("index.html.j2", page=_page(run, entries(out, run)), version=_version(run)))
    return path


def entries(out: Path, run: dict[str, Any]) -> list[Entry]:
    """Every video of the last run in its order, then those finished by earlier ones."""
    listed = [_entry(out, video) for video in run.get("videos", [])]
    known = {entry.video_id for entry in listed}
    earlier = [video_id for video_id in finished_videos(out) if video_id not in known]
    return listed + [_entry(out, {"video_id": video_id, "status": "skipped"}) for video_id in earlier]


def _entry(out: Path, video: dict[str, Any]) -> Entry:
    video_id = str(video.get("video_id") or "")
    status = str(video.get("status") or "failed")
    source = video.get("source")
    name = str(source.get("name") or source.get("path") if isinstance(source, dict) else source or video_id)
    failed = Entry(video_id, Path(name).name or name, status, str(video.get("error") or ""))
    paths = RecordPaths(out, video_id)
    if status == "failed" or not video_id or not paths.faces.exists():
        return failed
    try:
        return _finished(paths, failed, video)
    except RecordsError as error:
        return Entry(video_id, failed.name, status, f"its tables cannot be read: {error}")


def _finished(paths: RecordPaths, entry: Entry, video: dict[str, Any]) -> Entry:
    footer = read_metadata(paths.faces)
    timeline = read_table(paths.timeline)
    whole, measure = audience(timeline), peak_curve(timeline)
    n_frames = column(whole, "n_frames")
    with_face = np.nan_to_num(column(whole, "presence") * n_frames).sum()
    counts = footer.get("counts", {})
    people = {track for track in timeline.column("track_id").to_pylist() if track is not None}
    return Entry(
        video_id=entry.video_id,
        name=str(footer.get("source", {}).get("name") or entry.name),
        status=entry.status,
        reason="; ".join(str(warning) for warning in video.get("warnings") or footer.get("warnings") or []),
        duration_s=footer.get("duration_s"),
        n_people=counts.get("n_people", len(people)),
        coverage=float(ratio(with_face, n_frames.sum())),
        engagement=_mean(column(whole, measure)),
        valence=_mean(column(whole, "valence")),
        curve=_thinned(column(whole, measure)),
        measure=measure,
        link=f"reports/{quote(paths.report.name)}" if paths.report.exists() else None,
    )


def _page(run: dict[str, Any], listed: list[Entry]) -> dict[str, Any]:
    done = [entry for entry in listed if entry.curve is not None]
    failed = [entry for entry in listed if entry.status == "failed"]
    seconds = sum(entry.duration_s or 0.0 for entry in done)
    people = sum(entry.n_people or 0 for entry in done)
    lead = f"{some(len(done), 'video')} · {timecode(seconds)} in all · {some(people, 'person', 'people')}"
    started = f" · run of {str(run['started'])[:16].replace('T', ' ')}" if run.get("started") else ""
    curves = [entry.curve for entry in done if entry.curve is not None and np.isfinite(entry.curve).any()]
    top = max([float(np.nanmax(curve)) for curve in curves], default=1.0)
    return {
        "lead": lead + shown(started),
        "n_failed": some(len(failed), "input") if failed else "",
        "rows": [_row(entry, top) for entry in listed],
        "any_expressiveness": any(
            entry.measure == "expressiveness" and math.isfinite(entry.engagement) for entry in done
        ),
    }


def _row(entry: Entry, top: float) -> dict[str, Any]:
    star = "*" if entry.measure == "expressiveness" and math.isfinite(entry.engagement) else ""
    return {
        "name": shown(entry.name),
        "link": entry.link,
        "status": _STATUS.get(entry.status, shown(entry.status)),
        "fine": entry.status in ("done", "skipped"),
        "finished": entry.curve is not None,
        "reason": shown(entry.reason),
        "duration": timecode(entry.duration_s),
        "people": count(entry.n_people),
        "coverage": percent(entry.coverage),
        "engagement": score(entry.engagement) + star,
        "valence": signed(entry.valence),
        "spark": _spark(entry.curve, top, entry.measure) if entry.curve is not None else None,
    }


def _spark(curve: FloatArray, top: float, measure: str) -> Markup | None:
    """A small curve as SVG, breaks where nothing is known; None if nothing is. All rows share one scale."""
    if not np.isfinite(curve).any():
        return None
    step = _SPARK_WIDTH / max(len(curve), 1)
    points = [
        None if math.isnan(value) else (f"{(k + 0.5) * step:.1f}", f"{_y(value, top):.1f}")
        for k, value in enumerate(curve)
    ]
    lines = [part for part in _unbroken(points) if part]
    drawn = ["L".join(f"{x} {y}" for x, y in part) for part in lines]
    paths = "".join(f"M{line}" for line in drawn)
    areas = "".join(
        f"M{part[0][0]} {_SPARK_HEIGHT}L{line}L{part[-1][0]} {_SPARK_HEIGHT}Z"
        for part, line in zip(lines, drawn, strict=True)
    )
    words = f"{measure} over time, from {score(float(np.nanmin(curve)))} to {score(float(np.nanmax(curve)))}"
    colour = palette.ENGAGEMENT if measure == "engagement" else palette.EXPRESSIVENESS
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="none">'
        '<path d="{}" fill="{}" fill-opacity=".2"/>'
        '<path d="{}" fill="none" stroke="{}" stroke-width="1.5" stroke-linejoin="round"/></svg>'
    ).format(_SPARK_WIDTH, _SPARK_HEIGHT, words, areas, colour, paths, colour)


def _y(value: float, top: float) -> float:
    return _SPARK_HEIGHT - 1 - (_SPARK_HEIGHT - 3) * value / max(top, 1e-9)


def _unbroken(points: list[tuple[str, str] | None]) -> list[list[tuple[str, str]]]:
    parts: list[list[tuple[str, str]]] = [[]]
    for point in points:
        if point is None:
            parts.append([])
        else:
            parts[-1].append(point)
    return parts


def _thinned(curve: FloatArray) -> FloatArray:
    """At most `SPARK_POINTS` means of neighbouring bins."""
    step = max(1, math.ceil(len(curve) / SPARK_POINTS))
    padded = np.pad(curve, (0, -len(curve) % step), constant_values=np.nan).reshape(-1, step)
    known = np.isfinite(padded)
    return ratio(np.where(known, padded, 0.0).sum(axis=1), known.sum(axis=1))


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _version(run: dict[str, Any]) -> str:
    return str(run.get("ferflow_version") or "")


def _read_run(out: Path) -> dict[str, Any]:
    path = out / "run.json"
    if not path.exists():
        return {}
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordsError(f"{path}: cannot be read ({error}). Analyse again, or remove it.") from error
    return run if isinstance(run, dict) else {}
