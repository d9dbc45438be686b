"""From what a page says to HTML on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ferflow.files import whole_file
from ferflow.records import RecordPaths

from .figures import timeline_figure
from .sections import mix_words, page_of
from .session import PersonNames, Session, load_session
from .settings import Theme

_TEMPLATES = Path(__file__).parent / "templates"


def write_session_report(
    out: Path, video_id: str, people_names: PersonNames | None = None, *, theme: Theme = "auto"
) -> Path:
    """Write `reports/<video_id>.html` from the tables of one video, and the script it shares with the others.

    Args:
        out: the output folder.
        video_id: of a finished video.
        people_names: names of people, and which tracks are one of them; None: each track is a person.
        theme: colours of the page.

    Raises:
        RecordsError: a table is missing, unreadable, or of another schema version.
    """
    path = RecordPaths(out, video_id).report
    write_text(path, render_session(load_session(out, video_id, people_names), theme))
    ensure_assets(out)
    return path


def render_session(session: Session, theme: Theme = "auto") -> str:
    """A session's page as HTML; the same session gives the same text."""
    page = page_of(session)
    page["mix_words"], page["mix_keys"] = mix_words(page["mix"]), page["mix"]
    page["figure"] = inline_json(timeline_figure(session).to_json()) if session.people else None
    version = str(session.footer.get("ferflow_version", ""))
    script = template_text("session.js")
    return render("session.html.j2", page=page, version=version, script=script, theme=theme)


def ensure_assets(out: Path) -> Path:
    """Write `assets/plotly.min.js`, unless it is there already."""
    from plotly.offline import get_plotlyjs

    path = out / "assets" / "plotly.min.js"
    source = get_plotlyjs()
    if not path.exists() or path.stat().st_size != len(source.encode()):
        write_text(path, source)
    return path


def render(template: str, *, theme: Theme = "auto", **values: Any) -> str:
    """Fill in a template of this room; every value is escaped unless it is `Markup`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(style=_style(theme), **values)


def _style(theme: Theme) -> Markup:
    """The style sheet, with what it says of the reader's system settled where a theme is asked for."""
    text = template_text("style.css")
    if theme == "auto":
        return text
    dark = "screen" if theme == "dark" else "not all"
    text = text.replace("screen and (prefers-color-scheme: dark)", dark)
    return text.replace("color-scheme: light dark", f"color-scheme: {theme}")


def template_text(name: str) -> Markup:
    """A file of ours, to be set into a page as it is."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - our own file


def inline_json(text: str) -> Markup:
    """JSON that may stand inside a script element: nothing in it can end the element or start another."""
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - nothing left that HTML reads


def write_text(path: Path, text: str) -> None:
    """Write a file that bears its name only once it is whole."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
