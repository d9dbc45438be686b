"""The page that lists the videos of an output folder, and tells what they show together."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ferflow.analytics.measures import MEASURES
from ferflow.analytics.tally import ratio
from ferflow.dashboards.overview.cohort import cohort_section, group_colours, headline_cards
from ferflow.dashboards.overview.cohort_figure import cohort_figure
from ferflow.dashboards.overview.overview_data import Entry, Folder, load_folder
from ferflow.dashboards.overview.sparkline import spark
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    count,
    percent,
    score,
    shown,
    signed,
    some,
    timecode,
)
from ferflow.dashboards.shared.page import ensure_assets, inline_json, render, template_text, write_text
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.store.run_manifest import Status

_STATUS: dict[Status, str] = {
    "done": "done",
    "done_with_gaps": "done, with gaps",
    "skipped": "done before",
    "failed": "failed",
    "not_started": "not started",
}

Section = dict[str, Any]


def write_index(out: Path, options: PageOptions | None = None) -> Path:
    """Write `index.html` from the tables, `run.json` and the lists of people and sessions.

    Raises:
        RecordsError: `run.json` is there but cannot be read.
        OptionsError: a list cannot be read, or lacks a column.
    """
    options = options or PageOptions()
    return write_folder(out, load_folder(out, options), options)


def write_folder(out: Path, folder: Folder, options: PageOptions) -> Path:
    """Write `index.html` of a folder that was gathered already."""
    path = out / "index.html"
    write_text(path, render_index(folder, options))
    if _has_figure(folder):
        ensure_assets(out)
    return path


def render_index(folder: Folder, options: PageOptions) -> str:
    """The page as HTML; the same folder gives the same text."""
    page = _page(folder)
    page["figure"] = inline_json(cohort_figure(folder.cohort).to_json()) if _has_figure(folder) else None
    version = folder.run.ferflow_version if folder.run else ""
    scripts = [template_text(name) for name in ("chart.js", "cohort.js")]
    style = template_text("index.css")
    return render(
        "index.html.j2", page=page, version=version, scripts=scripts, page_style=style, theme=options.theme
    )


def _has_figure(folder: Folder) -> bool:
    return len(folder.cohort.members) > 1


def _page(folder: Folder) -> Section:
    done = folder.finished
    curves = [entry.curve(entry.measure) for entry in done]
    known = [curve for curve in curves if np.isfinite(curve).any()]
    top = max([float(np.nanmax(curve)) for curve in known], default=1.0)
    colours = group_colours(folder.cohort)
    return {
        "lead": _lead(folder),
        "n_failed": some(len(folder.broken), "input") if folder.broken else "",
        "broken": [_broken(entry) for entry in folder.broken],
        "warnings": [shown(warning) for warning in folder.warnings],
        "cards": _cards(folder) if done else [],
        "by": shown(folder.by or "").capitalize(),
        "with_group": any(entry.group for entry in done),
        "with_participant": any(entry.participant for entry in done),
        "rows": [_row(rank, entry, top, colours) for rank, entry in enumerate(folder.ranked, 1)],
        "any_expressiveness": any(_starred(entry) for entry in done),
        "cohort": cohort_section(folder) if _has_figure(folder) else None,
    }


def _lead(folder: Folder) -> str:
    done = folder.finished
    seconds = sum(entry.duration_s or 0.0 for entry in done)
    people = sum(entry.n_people for entry in done)
    lead = f"{some(len(done), 'video')} · {timecode(seconds)} in all · {some(people, 'person', 'people')}"
    started = folder.run.started[:16].replace("T", " ") if folder.run else ""
    return lead + (f" · run of {shown(started)}" if started else "")


# --- Headline numbers -----------------------------------------------------------------------------------


def _cards(folder: Folder) -> list[Section]:
    done = folder.finished
    coverage = float(ratio(sum(entry.n_with_face for entry in done), sum(entry.n_frames for entry in done)))
    cards = [
        _card(
            "Videos", count(len(done)), f"{timecode(sum(entry.duration_s or 0.0 for entry in done))} in all"
        ),
        _card("Coverage", percent(coverage), "of all analysed frames show a face"),
    ]
    if not folder.cohort.members:
        return cards
    participants, *means = headline_cards(folder)
    return [cards[0], participants, cards[1], *means]


def _card(label: str, value: str, note: str, unit: str = "") -> Section:
    return {"label": label, "value": value, "unit": unit, "note": note}


# --- The league table -----------------------------------------------------------------------------------


def _row(rank: int, entry: Entry, top: float, colours: dict[str, str]) -> Section:
    value = entry.mean(entry.measure)
    positivity = entry.mean("valence")
    return {
        "rank": str(rank) if math.isfinite(value) else UNKNOWN,
        "name": shown(entry.name),
        "link": entry.link,
        "group": shown(entry.group or UNKNOWN),
        "colour": colours.get(entry.group or "", "transparent"),
        "participant": shown(entry.participant or UNKNOWN),
        "status": _STATUS[entry.status],
        "fine": entry.status in ("done", "skipped"),
        "reason": shown(entry.reason),
        "duration": timecode(entry.duration_s),
        "people": count(entry.n_people),
        "coverage": percent(entry.coverage),
        "engagement": score(value) + ("*" if _starred(entry) else ""),
        "valence": signed(positivity),
        "reacting": percent(entry.mean("reacting")),
        "spark": _spark(entry, top),
        # What the table is sorted by, unrounded.
        "keys": {
            "engagement": _key(value), "valence": _key(positivity), "reacting": _key(entry.mean("reacting")),
            "people": _key(entry.n_people), "duration": _key(entry.duration_s), "coverage": _key(entry.coverage),
        },
    }  # fmt: skip


def _starred(entry: Entry) -> bool:
    return entry.measure == "expressiveness" and math.isfinite(entry.mean("expressiveness"))


def _key(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"


def _spark(entry: Entry, top: float) -> Any:
    curve, name = entry.curve(entry.measure), entry.measure
    if not np.isfinite(curve).any():
        return None
    words = f"{name} over time, from {score(float(np.nanmin(curve)))} to {score(float(np.nanmax(curve)))}"
    return spark(curve, top, MEASURES[name].colour, words)


def _broken(entry: Entry) -> Section:
    return {
        "name": shown(entry.name),
        "status": _STATUS[entry.status],
        "reason": shown(entry.reason or "No tables of it were found."),
    }
