"""The page that lists the videos of an output folder and summarises them together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ferflow.dashboards.overview.overview_data import Folder, load_folder
from ferflow.dashboards.overview.sections import SECTIONS
from ferflow.dashboards.shared.notes import NO_NOTES, Notes, load_notes
from ferflow.dashboards.shared.number_format import pluralize, sanitize, timecode
from ferflow.dashboards.shared.page import ensure_assets, render, template_text, write_text
from ferflow.dashboards.shared.section import Section, render_sections
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.dashboards.shared.single_file import SingleFile
from ferflow.store.output_folder import OutputFolder


def write_index(out: Path, options: PageOptions | None = None) -> Path:
    """Write `index.html` from the tables, `run.json` and the lists of people and sessions.

    Raises:
        RecordsError: `run.json` is there but cannot be read.
        OptionsError: a list cannot be read, or lacks a column.
    """
    options = options or PageOptions()
    return write_folder(out, load_folder(out, options), options)


def write_folder(out: Path, folder: Folder, options: PageOptions) -> Path:
    """Write `index.html` of a folder that is loaded already."""
    paths = OutputFolder(out)
    notes = load_notes(paths.notes, page=paths.index, out=out)
    write_text(paths.index, render_index(folder, options, notes), out=out)
    if folder.has_charts:
        ensure_assets(out)
    return paths.index


def render_index(
    folder: Folder,
    options: PageOptions,
    notes: Notes = NO_NOTES,
    *,
    sections: Sequence[Section[Folder]] = SECTIONS,
    single: SingleFile | None = None,
) -> str:
    """The page as HTML; the same folder gives the same text."""
    rendered = render_sections(sections, folder)
    return render(
        "index.html.j2",
        lead=_describe_folder(folder),
        sections=rendered.html,
        scripts={name: template_text(name) for name in rendered.scripts},
        page_style=template_text("index.css"),
        version=folder.run.ferflow_version if folder.run else "",
        report=options,
        notes=notes,
        is_overview=True,
        clips_kept=folder.has_clips,
        thumbnails_kept=folder.has_thumbnails,
        theme=options.theme,
        single=single,
    )


def _describe_folder(folder: Folder) -> str:
    done = folder.finished
    seconds = sum(entry.duration_s or 0.0 for entry in done)
    people = sum(entry.n_people for entry in done)
    n_videos, n_people = pluralize(len(done), "video"), pluralize(people, "person", "people")
    lead = f"{n_videos} · total length {timecode(seconds)} · {n_people}"
    started = folder.run.started[:16].replace("T", " ") if folder.run else ""
    return lead + (f" · run of {sanitize(started)}" if started else "")
