"""Templates filled in, JSON that may stand in a page, and the script that all pages share."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from ferflow.dashboards.shared.settings import Theme
from ferflow.store.atomic_files import atomic_write
from ferflow.store.output_folder import OutputFolder

_TEMPLATES = Path(__file__).parents[1] / "templates"


def ensure_assets(out: Path) -> Path:
    """Write `assets/plotly.min.js`, unless it is there already."""
    from plotly.offline import get_plotlyjs

    path = OutputFolder(out).plotly
    # The size is enough to find a script that was cut off, or that another version of plotly wrote.
    if not path.exists() or path.stat().st_size != _count_plotly_bytes():
        write_text(path, get_plotlyjs(), out=out)
    return path


@cache
def _count_plotly_bytes() -> int:
    # Reading the script takes a tenth as long as writing a page.
    from plotly.offline import get_plotlyjs

    return len(get_plotlyjs().encode())


def render(template: str, *, theme: Theme = "auto", **values: object) -> str:
    """Render a complete page; every value is escaped unless it is `Markup`."""
    return render_template(template, style=template_text("style.css"), theme=theme, **values)


def render_template(name: str, /, **values: object) -> Markup:
    """Render a template of `templates`; every value is escaped unless it is `Markup`."""
    return Markup(_environment().get_template(name).render(values))  # noqa: S704 - escaped by the template


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_read_template),
        autoescape=True,
        # A misspelt name must fail, not leave an empty place on the page.
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _read_template(name: str) -> str:
    # An absolute path stays what it is when it is joined to a folder: a section may bring a template of its own.
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def template_text(name: str) -> Markup:
    """A file of `templates`, inserted into a page as it is."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - our own file


def inline_json(text: str) -> Markup:
    """JSON that may stand inside a script element: nothing in it can end the element or start another."""
    # U+2028 and U+2029 are ends of lines in older JavaScript, though not in JSON.
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # noqa: S704 - nothing left that HTML reads


def write_text(path: Path, text: str, *, out: Path | None) -> None:
    """Write a file that appears under its name only once it is complete.

    Args:
        path: the file.
        text: its content.
        out: the output folder that it is in; None: the user has named the file.

    Raises:
        RecordsError: it cannot be written.
    """
    with atomic_write(path, out=out) as part:
        # Without `newline`, the bytes would differ between systems.
        part.write_text(text, encoding="utf-8", newline="\n")
