"""Templates filled in, JSON that may stand in a page, and the script that all pages share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ferflow.dashboards.shared.settings import Theme
from ferflow.store.atomic_files import whole_file

_TEMPLATES = Path(__file__).parents[1] / "templates"


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
    return environment.get_template(template).render(style=template_text("style.css"), theme=theme, **values)


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
