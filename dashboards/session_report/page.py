"""The page of one video: from what it says to HTML on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ferflow import palette
from ferflow.analytics.event_locked import instants_in
from ferflow.analytics.measures import page_measures
from ferflow.analytics.person_names import NO_NAMES, PersonNames
from ferflow.dashboards.session_report.expression_bar import mix_words
from ferflow.dashboards.session_report.figures import MOST_BANDS, MOST_MARKS, timeline_figure
from ferflow.dashboards.session_report.marker_curves import curves_figure
from ferflow.dashboards.session_report.sections import page_of
from ferflow.dashboards.session_report.session_data import Session, load_session
from ferflow.dashboards.shared.number_format import clipped, shown
from ferflow.dashboards.shared.page import ensure_assets, inline_json, render, template_text, write_text
from ferflow.dashboards.shared.settings import Theme
from ferflow.store.records import RecordPaths


def write_session_report(
    out: Path, video_id: str, names: PersonNames = NO_NAMES, *, theme: Theme = "auto"
) -> Path:
    """Write `reports/<video_id>.html` from the tables of one video, and the script it shares with the others.

    Beside the tables, the page follows the video itself (a player, if it is still where it was analysed) and
    the clips that lie beside it.

    Args:
        out: the output folder.
        video_id: of a finished video.
        names: of people; tracks of one name are one person.
        theme: colours of the page; `auto` follows the reader's system.

    Raises:
        RecordsError: a table is missing, unreadable, or of another schema version.
    """
    path = RecordPaths(out, video_id).report
    write_text(path, render_session(load_session(out, video_id, names), theme))
    ensure_assets(out)
    return path


def render_session(session: Session, theme: Theme = "auto") -> str:
    """A session's page as HTML; the same session gives the same text."""
    page = page_of(session)
    page["mix_words"], page["mix_keys"] = mix_words(page["mix"]), page["mix"]
    figures = {"timeline": timeline_figure(session).to_json()} if len(session.timeline) else {}
    if page["around"]:
        figures["around"] = curves_figure(session).to_json()
    return render(
        "session.html.j2",
        page=page,
        figures={name: inline_json(text) for name, text in figures.items()},
        facts=inline_json(json.dumps(_facts(session), ensure_ascii=False, separators=(",", ":"))),
        clips_kept=bool(session.clips),
        version=session.footer.ferflow_version,
        scripts=[template_text(name) for name in ("chart.js", "session.js", "player.js")],
        theme=theme,
    )


def _facts(session: Session) -> dict[str, Any]:
    """What the page's scripts need beside the figures."""
    names = {person.track_id: shown(session.name_of(person.track_id)) for person in session.people}
    return {
        "boxes": session.boxes if session.film.url else None,
        "names": names,
        "labels": [shown(label) for label in session.labels],
        # Name of the trace and format of its values; those that have no trace are passed over.
        "curves": [
            [measure.title.lower(), measure.format] for measure in page_measures() if measure.has_column
        ],
        "colours": list(palette.colours(session.labels).values()),
        # Clipped, so that whatever a file holds, the page stays small.
        "marks": [
            [round(marker.time_s, 3), clipped(shown(marker.label), 40)]
            for marker in instants_in(session.markers.slice(0, MOST_MARKS))
        ],
        "segments": [
            [round(row["start_s"], 3), round(row["end_s"], 3), clipped(shown(row["label"]), 40)]
            for row in session.segments.slice(0, MOST_BANDS).to_pylist()
        ],
    }
