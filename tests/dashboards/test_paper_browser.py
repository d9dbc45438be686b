"""Pages on paper and on a phone, measured in a real browser: where sheets end, what covers what, what fits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ferflow.analytics.signals import store_signals
from ferflow.dashboards import refresh
from ferflow.store.video_files import VideoFiles
from tests.dashboards.browse import NEEDS_CHROMIUM, close_tab, open_tab, pages_of_pdf, until
from tests.dashboards.made_sessions import MARKERS, NOON, logged
from tests.made_cohort import TRAILER, draw_stimulus, forty_sessions, trailer_test, write_run
from tests.made_records import Made, write_session

pytestmark = NEEDS_CHROMIUM

SHEET_WIDTH = 703
"""CSS pixels of an A4 sheet between margins of 12 mm: (210 - 24) / 25.4 * 96."""
FEWEST_LETTERS = 300
"""Of a sheet; three lines have more."""

SIX_LABELS = tuple((8.0 * k + 4, None, f"event {k}", "") for k in range(6))
"""With signals, their curves are longer than two sheets."""

PAGES = (
    "trailer/index.html",
    "forty/index.html",
    "session/index.html",
    "session/reports/eight.html",
    "session/reports/hour.html",
    "session/reports/one.html",
)


def make_trailer(folder: Path) -> None:
    """A cohort with a stimulus."""
    trailer_test(folder)
    draw_stimulus(folder / "trailer.mp4")
    (folder / "trailer.markers.csv").write_text(TRAILER)


def make_forty(folder: Path) -> None:
    """A cohort with many lanes."""
    forty_sessions(folder, seconds=20, n=16, stimulus="quiz")


def make_session(folder: Path) -> None:
    """Sessions of one person, of eight, and of an hour."""
    made = [
        Made(seconds=60, video_id="one", markers=SIX_LABELS),
        Made(seconds=120, people=8, video_id="eight", brief=2, markers=MARKERS),
        Made(seconds=3700, fps=0.4, video_id="hour", markers=MARKERS[:2]),
    ]
    write_run(folder, [write_session(folder, one) for one in made])
    logged(60).to_csv(folder.parent / "one.signals.csv", index=False)
    store_signals(VideoFiles(folder, "one"), folder.parent / "one.signals.csv", 60, lambda: NOON)


MAKERS = {"trailer": make_trailer, "forty": make_forty, "session": make_session}


@pytest.fixture(scope="module")
def page_at(tmp_path_factory):
    """`page_at(name)` is the address of a page of `PAGES`, whose folder is made when it is first asked for."""
    folder = tmp_path_factory.mktemp("paper")

    def find(name: str) -> str:
        place = folder / name.partition("/")[0]
        if not (place / "index.html").exists():
            MAKERS[place.name](place)
            refresh(place)
        return (folder / name).as_uri()

    return find


QUICK = ("session/reports/one.html",)
SOME_SLOW = [page if page in QUICK else pytest.param(page, marks=pytest.mark.slow) for page in PAGES]


@pytest.fixture(scope="module", params=SOME_SLOW)
def printed(request, browser, page_at):
    """A page as it is laid out for paper, with the text of each sheet of its PDF."""
    page = open_tab(browser)
    page.goto(page_at(request.param))
    until(page, "document.querySelector('.chart[data-drawn=yes]')")
    sheets = pages_of_pdf(page.pdf(prefer_css_page_size=True))
    page.wait_for_timeout(300)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    until(page, "[...document.querySelectorAll('.panels')].every((chart) => chart.dataset.drawn === 'yes')")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": SHEET_WIDTH, "height": 1026})
    page.wait_for_timeout(200)
    yield page, sheets
    close_tab(page)


FIGURES = """() => [...document.querySelectorAll(".chart")].filter((chart) => chart.getClientRects().length)
  .map((chart) => [...chart.querySelectorAll(".main-svg text")].filter((text) => text.getClientRects().length)
    .map((text) => text.textContent))"""
"""Titles and tick labels of each figure."""


def test_no_figure_is_divided_between_sheets(printed):
    page, sheets = printed
    figures = page.evaluate(FIGURES)
    assert figures
    for texts in figures:
        words = {"".join(text.split()) for text in texts}
        # Each sheet has some of these words, such as "0"; one has all of them.
        assert any(all(word in sheet for word in words) for sheet in sheets), texts


def test_no_sheet_is_empty(printed):
    _, sheets = printed
    assert all(len(sheet) > FEWEST_LETTERS for sheet in sheets), [len(sheet) for sheet in sheets]


def test_each_heading_is_on_the_sheet_of_what_follows(printed):
    page, sheets = printed
    heads = page.evaluate("""() => [...document.querySelectorAll("main section h2")].map((title) => {
      const head = title.closest(".chart-tools") ?? title;
      return [title.textContent, (head.nextElementSibling ?? title).innerText];
    })""")
    for title, follows in heads:
        start, rest = "".join(title.split()), "".join(follows.split())[:20]
        assert any(start + rest in sheet for sheet in sheets), (title, follows)


COVERING = """() => {
  const covers = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const found = [];
  for (const chart of document.querySelectorAll(".chart")) {
    const boxes = [...chart.querySelectorAll(".annotation-text, [class$=tick] text")]
      .map((text) => [text.textContent, text.getBoundingClientRect()]).filter(([, box]) => box.width);
    const titles = [...chart.querySelectorAll(".annotation-text")].map((text) => text.textContent);
    boxes.forEach(([a, one], k) => boxes.slice(k + 1).forEach(([b, other]) => {
      if ((titles.includes(a) || titles.includes(b)) && covers(one, other)) found.push(`${a} | ${b}`);
    }));
  }
  return found;
}"""
"""Titles of rows and panels that lie over other texts."""


def test_no_title_covers_another_text(printed):
    page, _ = printed
    assert page.evaluate(COVERING) == []


def test_tables_fit_the_sheet(printed):
    page, _ = printed
    # Chromium prints a page that is wider in smaller letters: all lengths are wrong then.
    assert page.evaluate("document.documentElement.scrollWidth") <= SHEET_WIDTH


@pytest.mark.slow
def test_what_is_printed_leaves_no_trace_on_screen(browser, page_at):
    page = open_tab(browser)
    page.goto(page_at("trailer/index.html"))
    until(page, "document.querySelector('.chart[data-drawn=yes]')")
    order = "[...document.querySelectorAll('main > *')].map((part) => part.dataset.section ?? part.tagName)"
    before = page.evaluate(order)
    page.pdf(prefer_css_page_size=True)
    page.wait_for_timeout(300)
    assert page.evaluate(order) == before
    assert page.evaluate("document.querySelectorAll('.panels, .not-printed').length") == 0
    close_tab(page)


@pytest.mark.parametrize("name", SOME_SLOW)
def test_on_a_phone_nothing_sticks_out_and_times_are_upright(browser, page_at, name):
    page = open_tab(browser, viewport={"width": 390, "height": 844})
    page.goto(page_at(name))
    page.locator(".chart").first.scroll_into_view_if_needed()
    until(page, "document.querySelector('.chart[data-drawn=yes]')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # Of the slider's axis, too, which plotly calls x2.
    turned = page.locator("[class^=x][class$=tick] text").evaluate_all(
        "(texts) => texts.map((text) => text.getAttribute('transform'))"
    )
    assert turned
    assert not [one for one in turned if one and re.search(r"rotate\((?!0[,)])", one)]
    close_tab(page)
