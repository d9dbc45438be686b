"""The overview in a real browser. Skipped, saying so, where there is no Chromium."""

from __future__ import annotations

import csv
import json
import shutil
import xml.etree.ElementTree as ElementTree

import pytest

from ferflow.dashboards import PageOptions, refresh
from tests.dashboards.test_dashboards_browser import CHROMIUM, HOSTILE, browser, playwright, until
from tests.made_cohort import forty_sessions, one_audience, write_run
from tests.made_records import Made, write_session

__all__ = ["browser", "playwright"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found; set FERFLOW_CHROMIUM to one")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Overviews of several kinds of folders."""
    folder = tmp_path_factory.mktemp("out")
    forty_sessions(folder / "many", seconds=20, n=12)
    one_audience(folder / "audience", seconds=40)
    write_run(folder / "single", [write_session(folder / "single", Made(seconds=20))])
    (folder / "empty").mkdir()
    (folder / "empty" / "run.json").write_text(json.dumps({"options": {}, "started": "", "videos": []}))
    hostile = folder / "hostile"
    write_run(hostile, [write_session(hostile, Made(seconds=20, people=2, video_id=name)) for name in "ab"])
    for name, head, rows in (
        ("sessions.csv", ["video", "group"], [["a", HOSTILE], ["b", "<b>'\"&amp;</script>"]]),
        ("people.csv", ["video_id", "track_id", "name"], [["a", 1, HOSTILE], ["b", 1, "</script><i>"]]),
    ):
        with (hostile / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([head, *rows])
    for place in folder.iterdir():
        refresh(place)
    return folder


def opened(browser, path, **context):
    page = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context)).new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    if page.locator("#cohort").count():
        page.wait_for_selector("#cohort[data-drawn=yes]", timeout=20_000)
    return page, wrong


def pointed_at(page, share=0.5):
    """What the chart says, and goes on saying, where it is pointed at."""
    box = page.locator("#cohort .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + share * box["width"], box["y"] + 40)
    page.wait_for_timeout(300)
    page.wait_for_selector("#cohort .hoverlayer .legend", state="attached", timeout=5_000)
    return page.locator("#cohort .hoverlayer").text_content()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["many", "audience", "single", "empty", "hostile"])
def test_every_overview_opens_without_errors_and_fits_the_screen(browser, out, name, width):
    page, wrong = opened(browser, out / name / "index.html", viewport={"width": width, "height": 800})
    assert wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_hostile_groups_and_people_are_text(browser, out):
    for place in ("index.html", "reports/a.html", "reports/b.html"):
        page, wrong = opened(browser, out / "hostile" / place)
        page.wait_for_timeout(200)
        assert wrong == []
        assert page.title() != "owned"
        assert page.locator("img").count() == 0
        assert "onerror" in page.locator("body").inner_text() or place == "reports/b.html"
        page.context.close()


def test_the_cursor_shows_every_group_and_the_zoom_works(browser, out):
    page, wrong = opened(browser, out / "many" / "index.html")
    for share in (0.5, 0.495, 0.53, 0.6, 0.601, 0.604):  # on, near and between points
        reported = pointed_at(page, share)
        assert all(group in reported for group in ("calm", "drama", "quiz show"))
    page.evaluate("""() => {
        const chart = document.getElementById("cohort");
        const k = chart.data.findIndex((trace) => trace.name === "calm, engagement");
        const y = Array.from(chart.data[k].y, (value, at) => (at > 5 && at < 15 ? null : value));
        return Plotly.restyle(chart, { y: [y] }, [k]);
    }""")
    reported = pointed_at(page, 0.51)
    assert "drama, engagement" in reported
    assert "calm, engagement" not in reported, "a value from beyond a gap"
    span = """(() => {
        const range = document.getElementById("cohort").layout.xaxis.range;
        return new Date(range[1]) - new Date(range[0]);
    })()"""
    whole = page.evaluate(span)
    page.get_by_role("button", name="Zoom in").click()
    until(page, f"{span} < {whole}")
    assert page.evaluate(span) == pytest.approx(whole / 2, rel=0.02)
    assert wrong == []
    page.context.close()


def test_the_table_of_videos_sorts_by_the_unrounded_numbers_and_leads_to_each_session(browser, out):
    page, wrong = opened(browser, out / "many" / "index.html")
    page.get_by_role("button", name="Net positivity").click()
    rows = page.locator("table.ranking tbody tr")
    values = rows.evaluate_all("rows => rows.map((row) => Number(row.dataset.valence))")
    assert len(values) == 12
    assert values == sorted(values, reverse=True)
    name = rows.first.locator("a").inner_text()
    rows.first.locator("a").click()
    page.wait_for_selector("#timeline[data-drawn=yes]", timeout=20_000)
    assert name in page.title()
    assert wrong == []
    page.context.close()


def test_printing_leaves_the_overview_on_screen_as_it_was(browser, out):
    page, wrong = opened(browser, out / "many" / "index.html")
    before = page.locator("#cohort").bounding_box()
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.wait_for_timeout(300)
    after = page.locator("#cohort").bounding_box()
    assert (after["width"], after["height"]) == pytest.approx((before["width"], before["height"]), abs=2)
    assert wrong == []
    page.context.close()


def test_an_overview_without_the_shared_script_says_what_is_missing_and_still_sorts(browser, out, tmp_path):
    shutil.copy(out / "many" / "index.html", tmp_path)
    page = browser.new_context().new_page()
    page.goto((tmp_path / "index.html").as_uri())
    assert "plotly.min.js next to this page" in page.locator("#cohort").inner_text()
    page.get_by_role("button", name="Net positivity").click()
    values = page.locator("table.ranking tbody tr").evaluate_all(
        "rows => rows.map((row) => Number(row.dataset.valence))"
    )
    assert values == sorted(values, reverse=True)
    page.context.close()


@pytest.mark.parametrize(("theme", "system"), [("dark", "light"), ("light", "dark")])
def test_a_theme_wins_over_the_readers_system(browser, tmp_path, theme, system):
    write_run(tmp_path, [write_session(tmp_path, Made(seconds=20, people=3))])
    refresh(tmp_path, PageOptions(theme=theme))
    for path in tmp_path.rglob("*.html"):
        page, wrong = opened(browser, path, color_scheme=system)
        red = int(
            page.evaluate("getComputedStyle(document.body).backgroundColor").split("(")[1].split(",")[0]
        )
        assert (red < 100) == (theme == "dark")
        assert wrong == []
        page.context.close()


def test_pdf_and_pictures_are_what_they_say(tmp_path):
    pytest.importorskip("kaleido")
    from PIL import Image

    from ferflow.dashboards.exports.figure_files import write_pdf, write_pictures

    write_run(tmp_path, [write_session(tmp_path, Made(seconds=20, people=3))])
    refresh(tmp_path)
    assert write_pdf(tmp_path / "index.html").read_bytes().startswith(b"%PDF")
    made = write_pictures(tmp_path, PageOptions(), ["png", "svg"])
    assert {path.name for path in made} == {
        f"{name}.{kind}" for name in ("cohort", "made-0123abcd") for kind in ("png", "svg")
    }
    for path in made:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.width == 2400
                assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
        else:
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
