"""Sections of pages: one function and one template each, in the order of one list."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from ferflow.dashboards.overview import sections as overview_sections
from ferflow.dashboards.overview.index import render_index
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.dashboards.session_report import sections as session_sections
from ferflow.dashboards.session_report.page import render_session
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.dashboards.shared.section import Section
from ferflow.dashboards.shared.settings import PageOptions
from tests.made_records import Made, write_session


@dataclass(frozen=True)
class Greeting:
    words: str


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "greeting.html.j2"
    path.write_text('<p data-section="{{ id }}">{{ view.words }}</p>')
    return str(path)


def ids(html: str) -> list[str]:
    return re.findall(r'data-section="([\w-]+)"', html)


def insert(sections, place: int, section: Section):
    return (*sections[:place], section, *sections[place:])


def test_a_registered_section_is_on_the_session_page_in_its_place(tmp_path, template):
    session = load_session(tmp_path, write_session(tmp_path, Made(seconds=20, people=2)))
    mine = Section("greeting", lambda session: Greeting(f"{session.name} <b>"), template)
    order = insert(session_sections.SECTIONS, 4, mine)
    html = render_session(session, sections=order)
    assert f'<p data-section="greeting">{session.name} &lt;b&gt;</p>' in html
    shown = ids(html)
    assert shown == [section.id for section in order if section.id in shown]
    assert shown[shown.index("greeting") - 1 :][:3] == ["summary", "greeting", "words"]


def test_a_registered_section_is_on_the_overview_in_its_place(tmp_path, template):
    write_session(tmp_path, Made(seconds=20))
    folder = load_folder(tmp_path, PageOptions())
    mine = Section("greeting", lambda folder: Greeting(f"{len(folder.finished)} video"), template)
    sections = overview_sections.SECTIONS
    after_cards = [section.id for section in sections].index("cards") + 1
    html = render_index(folder, PageOptions(), sections=insert(sections, after_cards, mine))
    assert '<p data-section="greeting">1 video</p>' in html
    assert ids(html)[:3] == ["cards", "greeting", "words"]


def test_a_section_with_nothing_to_show_leaves_nothing(tmp_path, template):
    session = load_session(tmp_path, write_session(tmp_path, Made(seconds=20, people=0)))
    html = render_session(session)
    assert ids(html) == ["no-people", "cards", "player", "timeline", "quality", "glossary"]
    empty = Section("greeting", lambda session: None, template, ("sort.js",))
    assert render_session(session, sections=(*session_sections.SECTIONS, empty)) == html


def test_a_page_has_the_scripts_of_its_sections_each_once(tmp_path, template):
    session = load_session(tmp_path, write_session(tmp_path, Made(seconds=20)))
    html = render_session(session)
    assert [html.count(f"globalThis.{name} = ") for name in ("charts", "ferflow")] == [1, 1]
    assert html.index("globalThis.charts = ") < html.index("globalThis.ferflow = ")
    mine = Section("greeting", lambda session: Greeting("hello"), template)
    plain = render_session(session, sections=(mine,))
    assert "<script" not in plain


def test_ids_are_unique():
    for sections in (session_sections.SECTIONS, overview_sections.SECTIONS):
        assert len({section.id for section in sections}) == len(sections)
