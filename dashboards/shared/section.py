"""Sections of a page: each is one function and one template, listed once, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from markupsafe import Markup

from ferflow.dashboards.shared.page import render_template

Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class Section(Generic[Subject]):
    """One section of the pages about a `Subject`, such as a session."""

    id: str
    """Does not change with the title: scripts, links and tests find the section by it."""
    build: Callable[[Subject], object | None]
    """Returns what the template shows, frozen; None if there is nothing to show."""
    template: str
    """File in `templates`, or an absolute path. It gets `id` and `view`, what `build` returned."""
    scripts: tuple[str, ...] = ()
    """Files in `templates` that the section needs, in the order in which they must run."""


@dataclass(frozen=True, slots=True)
class RenderedSections:
    """The sections of one page that have something to show."""

    html: tuple[Markup, ...]
    scripts: tuple[str, ...]
    """Of all these sections, each once."""


def render_sections(sections: Iterable[Section[Subject]], subject: Subject) -> RenderedSections:
    """Build and render the sections of one page; those without anything to show are left out."""
    html: list[Markup] = []
    scripts: list[str] = []
    for section in sections:
        view = section.build(subject)
        if view is not None:
            html.append(render_template(section.template, id=section.id, view=view))
            scripts += section.scripts
    return RenderedSections(tuple(html), tuple(dict.fromkeys(scripts)))
