"""The sections of the overview, from the top down.

To add one: a module here with a function `Folder -> view | None` (the view is a frozen dataclass, or a plain
value if it has one part), a template in `templates/sections`, and a line below.
"""

from __future__ import annotations

from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.overview.sections.glossary import build_glossary, build_words
from ferflow.dashboards.overview.sections.groups import build_comparisons, build_groups
from ferflow.dashboards.overview.sections.headline import (
    build_cards,
    build_copies,
    build_corrections,
    build_failures,
    build_left_out,
    build_list_warnings,
)
from ferflow.dashboards.overview.sections.participants import build_participants
from ferflow.dashboards.overview.sections.scenes import build_scenes
from ferflow.dashboards.overview.sections.sessions import build_sessions
from ferflow.dashboards.overview.sections.stimuli import build_stimuli, build_stimulus_table
from ferflow.dashboards.overview.sections.videos import build_videos
from ferflow.dashboards.shared.section import Section

SECTIONS: tuple[Section[Folder], ...] = (
    Section("failures", build_failures, "sections/notice.html.j2"),
    Section("list-warnings", build_list_warnings, "sections/notice.html.j2"),
    Section("copies", build_copies, "sections/notice.html.j2"),
    Section("cards", build_cards, "sections/cards.html.j2"),
    Section("left-out", build_left_out, "sections/notice.html.j2"),
    Section("corrections", build_corrections, "sections/notice.html.j2"),
    Section("words", build_words, "sections/words.html.j2"),
    Section(
        "stimuli", build_stimuli, "sections/stimuli.html.j2", ("chart.js", "video_controls.js", "stimuli.js")
    ),
    Section(
        "stimulus-table", build_stimulus_table, "sections/stimulus_table.html.j2", ("tables.js", "sort.js")
    ),
    Section("sessions", build_sessions, "sections/sessions.html.j2"),
    Section("scenes", build_scenes, "sections/scenes.html.j2", ("tables.js", "chart.js", "responses.js")),
    Section("groups", build_groups, "sections/groups.html.j2", ("tables.js",)),
    Section("comparisons", build_comparisons, "sections/comparisons.html.j2", ("tables.js",)),
    Section("videos", build_videos, "sections/videos.html.j2", ("tables.js", "sort.js")),
    Section("participants", build_participants, "sections/participants.html.j2", ("tables.js", "sort.js")),
    Section("glossary", build_glossary, "sections/glossary.html.j2"),
)
