"""The page of one video: from its tables to HTML on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ferflow.analytics.people_list import NO_NAMES, PersonNames
from ferflow.dashboards.session_report.sections import SECTIONS
from ferflow.dashboards.session_report.sections.quality import describe_sampling
from ferflow.dashboards.session_report.session_data import Session, load_session
from ferflow.dashboards.shared.notes import NO_NOTES, Notes, load_notes
from ferflow.dashboards.shared.number_format import sanitize
from ferflow.dashboards.shared.page import ensure_assets, render, template_text, write_text
from ferflow.dashboards.shared.section import Section, render_sections
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.dashboards.shared.single_file import SingleFile
from ferflow.store.output_folder import OutputFolder


def write_session_report(
    out: Path, video_id: str, names: PersonNames = NO_NAMES, options: PageOptions | None = None
) -> Path:
    """Write `reports/<video_id>.html` from the tables of one video, and the script it shares with the others.

    Besides the tables, the page depends on the video itself (a player, if the file is still where it was analysed), on
    the clips next to the page, and on the notes.

    Args:
        out: the output folder.
        video_id: of a finished video.
        names: of people; tracks of one name are one person.
        options: theme, title, logo and session list; None: the defaults.

    Raises:
        RecordsError: a table is missing, unreadable, or of another schema version.
    """
    files = OutputFolder(out).video(video_id)
    notes = load_notes(files.notes, page=files.report, out=out)
    page = render_session(load_session(out, video_id, names, options), options, notes)
    write_text(files.report, page, out=out)
    ensure_assets(out)
    return files.report


def render_session(
    session: Session,
    options: PageOptions | None = None,
    notes: Notes = NO_NOTES,
    *,
    sections: Sequence[Section[Session]] = SECTIONS,
    single: SingleFile | None = None,
) -> str:
    """A session's page as HTML; the same session gives the same text."""
    options = options or PageOptions()
    rendered = render_sections(sections, session)
    return render(
        "session.html.j2",
        name=sanitize(session.name),
        notes=notes,
        lead=_describe_analysis(session),
        sections=rendered.html,
        scripts={name: template_text(name) for name in rendered.scripts},
        clips_kept=session.has_clips,
        thumbnails_kept=session.has_thumbnails,
        faces_compared=session.metadata.options.stitch == "face",
        version=session.metadata.ferflow_version,
        report=options,
        theme=options.theme,
        single=single,
    )


def _describe_analysis(session: Session) -> str:
    made_by = session.metadata
    parts = (
        f"ferflow {made_by.ferflow_version}",
        f"model {made_by.model.name}",
        f"detector {made_by.detector.name}",
    )
    return " · ".join([*parts, describe_sampling(session)])
