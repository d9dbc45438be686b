"""The sections of a session's page, from the top down.

To add one: a module here with a function `Session -> view | None` (the view is a frozen dataclass, or a plain
value if it has one part), a template in `templates/sections`, and a line below.
"""

from __future__ import annotations

from ferflow.dashboards.session_report.sections.around_markers import build_around_markers
from ferflow.dashboards.session_report.sections.coding import build_coding
from ferflow.dashboards.session_report.sections.corrections import build_corrections
from ferflow.dashboards.session_report.sections.erasure import build_erasure
from ferflow.dashboards.session_report.sections.glossary import build_glossary, build_words
from ferflow.dashboards.session_report.sections.headline import (
    build_cards,
    build_expressions,
    build_no_people,
    build_summary,
    build_warnings,
)
from ferflow.dashboards.session_report.sections.left_out import build_left_out
from ferflow.dashboards.session_report.sections.peaks import build_peaks
from ferflow.dashboards.session_report.sections.people import build_people
from ferflow.dashboards.session_report.sections.player import build_player
from ferflow.dashboards.session_report.sections.quality import build_quality
from ferflow.dashboards.session_report.sections.segments import build_segments
from ferflow.dashboards.session_report.sections.timeline import build_timeline
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.section import Section

_CHARTS = ("chart.js", "session.js")

SECTIONS: tuple[Section[Session], ...] = (
    Section("warnings", build_warnings, "sections/notice.html.j2"),
    Section("no-people", build_no_people, "sections/no_people.html.j2"),
    Section("cards", build_cards, "sections/cards.html.j2"),
    Section("summary", build_summary, "sections/summary.html.j2"),
    Section("left-out", build_left_out, "sections/hint.html.j2"),
    Section("corrections", build_corrections, "sections/notice.html.j2"),
    Section("erasure", build_erasure, "sections/notice.html.j2"),
    Section("words", build_words, "sections/words.html.j2"),
    Section("expressions", build_expressions, "sections/expressions.html.j2"),
    Section("player", build_player, "sections/player.html.j2", (*_CHARTS, "video_controls.js", "player.js")),
    Section("timeline", build_timeline, "sections/timeline.html.j2", _CHARTS),
    Section("peaks", build_peaks, "sections/peaks.html.j2", ("tables.js", "video_controls.js")),
    Section("segments", build_segments, "sections/segments.html.j2", ("tables.js",)),
    Section("around", build_around_markers, "sections/around.html.j2", ("tables.js", *_CHARTS)),
    Section("people", build_people, "sections/people.html.j2", ("tables.js",)),
    Section("coding", build_coding, "sections/coding.html.j2", ("tables.js",)),
    Section("quality", build_quality, "sections/quality.html.j2"),
    Section("glossary", build_glossary, "sections/glossary.html.j2"),
)
