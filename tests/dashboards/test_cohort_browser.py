"""The overview in a real browser. Skipped, saying so, where there is no Chromium."""

from __future__ import annotations

import csv
import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ferflow.dashboards import PageOptions, refresh
from tests.conftest import some_slow
from tests.dashboards.browse import CUT_OFF, HOSTILE, NEEDS_CHROMIUM, close_tab, open_tab, pages_of_pdf, until
from tests.made_cohort import (
    TRAILER,
    draw_stimulus,
    forty_sessions,
    one_audience,
    play_sessions,
    trailer_test,
    write_run,
)
from tests.made_records import Made, write_session

pytestmark = NEEDS_CHROMIUM


def make_many(folder: Path) -> None:
    forty_sessions(folder, seconds=20, n=12, stimulus="quiz")


def make_audience(folder: Path) -> None:
    one_audience(folder, seconds=40)


def make_single(folder: Path) -> None:
    write_run(folder, [write_session(folder, Made(seconds=20))])


def make_trailer(folder: Path) -> None:
    trailer_test(folder)
    draw_stimulus(folder / "trailer.mp4")
    (folder / "trailer.markers.csv").write_text(TRAILER)


def make_two(folder: Path) -> None:
    trailer_test(folder, n=3)
    trailer_test(folder, n=3, stimulus="Concert", first=3, seconds=40)


def make_play(folder: Path) -> None:
    play_sessions(folder, n=3)


def make_empty(folder: Path) -> None:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"options": {}, "started": "", "videos": []}))


def make_hostile(folder: Path) -> None:
    marks = ((2.0, 9.0, HOSTILE, ""), (4.0, None, "</script><i>", ""))
    made = [Made(seconds=20, people=2, video_id=name, markers=marks) for name in "ab"]
    write_run(folder, [write_session(folder, one) for one in made])
    groups = [["a", HOSTILE, HOSTILE], ["b", "<b>'\"&amp;</script>", HOSTILE]]
    for name, head, rows in (
        ("sessions.csv", ["video", "group", "stimulus"], groups),
        ("people.csv", ["video_id", "track_id", "name"], [["a", 1, HOSTILE], ["b", 1, "</script><i>"]]),
    ):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([head, *rows])


MAKERS = {
    "many": make_many, "audience": make_audience, "single": make_single, "trailer": make_trailer, "two": make_two,
    "play": make_play, "empty": make_empty, "hostile": make_hostile,
}  # fmt: skip


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """`out(name)` is a folder of a kind of `MAKERS` with its pages, made when it is first asked for."""
    place = tmp_path_factory.mktemp("out")

    def find(name: str) -> Path:
        folder = place / name
        if not (folder / "index.html").exists():
            MAKERS[name](folder)
            refresh(folder)
        return folder

    return find


def opened(browser, path, **context):
    page = open_tab(browser, **context)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    for chart in page.locator(".stimulus .chart, .responses").all():
        chart.scroll_into_view_if_needed()
        until(page, "(() => { const charts = [...document.querySelectorAll('.stimulus .chart, .responses')];"
                    " return charts.some((chart) => chart.dataset.drawn === 'yes'); })()")  # fmt: skip
    page.evaluate("scrollTo(0, 0)")
    return page, wrong


def pointed_at(page, share=0.5):
    """What the chart says, and goes on saying, where it is pointed at."""
    chart = page.locator("#stimulus-1 .nsewdrag").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + share * box["width"], box["y"] + 40)
    page.wait_for_timeout(300)
    page.wait_for_selector("#stimulus-1 .hoverlayer .legend", state="attached", timeout=5_000)
    return page.locator("#stimulus-1 .hoverlayer").text_content()


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 390])
@pytest.mark.parametrize(
    "name",
    some_slow("many", "empty", slow=("hostile", "two", "play", "audience", "single", "trailer")),
)
def test_every_overview_opens_without_errors_and_fits_the_screen(browser, out, name, width):
    page, wrong = opened(browser, out(name) / "index.html", viewport={"width": width, "height": 800})
    assert wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    close_tab(page)


def test_hostile_groups_people_scenes_and_stimuli_are_text(browser, out):
    for place in ("index.html", "reports/a.html", "reports/b.html"):
        page, wrong = opened(browser, out("hostile") / place)
        page.wait_for_timeout(200)
        assert wrong == []
        assert page.title() != "owned"
        assert page.locator("img").count() == 0
        assert "onerror" in page.locator("body").inner_text() or place == "reports/b.html"
        close_tab(page)


def test_the_cursor_shows_every_group_and_the_zoom_works(browser, out):
    page, wrong = opened(browser, out("many") / "index.html")
    for share in (0.5, 0.495, 0.53, 0.6, 0.601, 0.604):  # on, near and between points
        reported = pointed_at(page, share)
        assert all(f"{group}, reacting" in reported for group in ("calm", "drama", "quiz show"))
    page.evaluate("""() => {
        const chart = document.getElementById("stimulus-1");
        const k = chart.data.findIndex((trace) => trace.meta?.row === "reacting" && trace.meta.group === "calm");
        const y = Array.from(chart.data[k].y, (value, at) => (at > 5 && at < 15 ? null : value));
        return Plotly.restyle(chart, { y: [y] }, [k]);
    }""")
    reported = pointed_at(page, 0.51)
    assert "drama, reacting" in reported
    assert "calm, reacting" not in reported, "a value from beyond a gap"
    span = """(() => {
        const range = document.getElementById("stimulus-1").layout.xaxis.range;
        return new Date(range[1]) - new Date(range[0]);
    })()"""
    whole = page.evaluate(span)
    page.get_by_role("button", name="Zoom in").click()
    until(page, f"{span} < {whole}")
    assert page.evaluate(span) == pytest.approx(whole / 2, rel=0.02)
    assert wrong == []
    close_tab(page)


@pytest.mark.slow
def test_a_click_in_the_chart_moves_the_cursor_the_values_and_the_video_of_the_stimulus(browser, out):
    page, wrong = opened(browser, out("trailer") / "index.html")
    video = page.locator("[data-stimulus] video")
    until(page, "document.querySelector('[data-stimulus] video').dataset.offset !== undefined")
    area = page.locator("#stimulus-1 .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 30)
    until(page, "Math.abs(document.querySelector('[data-stimulus] video').currentTime - 30) < 0.3")
    clock = page.locator("[data-stimulus] .clock").inner_text()
    assert clock[:4] in ("00:2", "00:3")
    values = page.locator("[data-stimulus] .current-values-list").inner_text()
    assert "dinner" in values
    assert "first cut" in values
    assert page.locator("[data-stimulus] .cursor").is_visible()
    assert video.get_attribute("src") == "trailer.mp4"
    assert wrong == []
    close_tab(page)


def test_the_cursor_follows_the_video_and_the_strongest_moment_is_a_button(browser, out):
    page, wrong = opened(browser, out("trailer") / "index.html")
    until(page, "document.querySelector('[data-stimulus] video').dataset.offset !== undefined")
    button = page.locator("[data-stimulus] button.time")
    button.click()
    until(page, f"document.querySelector('[data-stimulus] .clock').textContent === '{button.inner_text()}'")
    until(page, "!document.querySelector('[data-stimulus] video').seeking")
    page.evaluate("(() => { document.querySelector('[data-stimulus] video').currentTime = 12; })()")
    until(page, "document.querySelector('[data-stimulus] .clock').textContent === '00:12.0'")
    assert "car chase" in page.locator("[data-stimulus] .current-values-list").inner_text()
    assert wrong == []
    close_tab(page)


@pytest.mark.slow
def test_the_values_at_the_cursor_name_those_who_show_an_expression(browser, out):
    page, wrong = opened(browser, out("trailer") / "index.html")
    found = page.evaluate("""() => {
        const lanes = document.getElementById("stimulus-1").data.find((trace) => trace.type === "heatmap");
        const neutral = lanes.meta.labels.indexOf("neutral");
        const lane = lanes.z.findIndex((values) => values.some((value) => value !== null && value !== neutral));
        const k = lanes.z[lane].findIndex((value) => value !== null && value !== neutral);
        return { name: lanes.meta.names[lane], label: lanes.meta.labels[lanes.z[lane][k]], at: k };
    }""")
    page.locator("[data-stimulus] input[type=range]").fill(str(found["at"]))
    assert (
        f"{found['name']} ({found['label']})"
        in page.locator("[data-stimulus] .current-values-list").inner_text()
    )
    assert wrong == []
    close_tab(page)


@pytest.mark.slow
def test_a_video_of_the_stimulus_that_is_gone_leaves_the_curves(browser, out, tmp_path):
    shutil.copytree(out("trailer"), tmp_path / "moved", ignore=shutil.ignore_patterns("trailer.mp4"))
    page = open_tab(browser)
    page.goto((tmp_path / "moved" / "index.html").as_uri())
    until(page, "!document.querySelector('[data-stimulus] .video-error').hidden")
    assert "cannot show the video" in page.locator("[data-stimulus] .video-error").inner_text()
    page.wait_for_selector("#stimulus-1[data-drawn=yes]", timeout=20_000)
    close_tab(page)


def test_the_table_of_videos_sorts_by_the_unrounded_numbers_and_leads_to_each_session(browser, out):
    page, wrong = opened(browser, out("many") / "index.html")
    page.locator("[data-section=videos] button", has_text="Net positivity").click()
    rows = page.locator("[data-section=videos] tbody tr")
    values = rows.evaluate_all("rows => rows.map((row) => Number(row.dataset.valence))")
    assert len(values) == 12
    assert values == sorted(values, reverse=True)
    name = rows.first.locator("a").inner_text()
    rows.first.locator("a").click()
    page.wait_for_selector("#timeline[data-drawn=yes]", timeout=20_000)
    assert name in page.title()
    assert wrong == []
    close_tab(page)


@pytest.mark.slow
def test_printing_leaves_the_overview_on_screen_as_it_was(browser, out):
    page, wrong = opened(browser, out("many") / "index.html")
    before = page.locator("#stimulus-1").bounding_box()
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.wait_for_timeout(300)
    after = page.locator("#stimulus-1").bounding_box()
    assert (after["width"], after["height"]) == pytest.approx((before["width"], before["height"]), abs=2)
    assert wrong == []
    close_tab(page)


@pytest.mark.parametrize("name", some_slow("trailer", slow=("hostile", "many", "play", "two")))
def test_on_a_phone_tables_are_read_without_scrolling_to_the_side(browser, out, name):
    page, wrong = opened(browser, out(name) / "index.html", viewport={"width": 390, "height": 844})
    assert page.evaluate(CUT_OFF) == []
    groups = page.locator("[data-section=groups] tbody tr").first
    if groups.count():
        said = groups.locator("td").evaluate_all("(cells) => cells.map((cell) => cell.dataset.label)")
        assert said == ["Group", "Participants (n)", "Mean", "95 % interval", ""]
        assert groups.locator("td").nth(3).is_visible()
    # The table of videos can still be sorted.
    page.locator("[data-section=videos] button", has_text="Net positivity").click()
    assert wrong == []
    close_tab(page)


@pytest.mark.parametrize("name", some_slow("trailer", slow=("many", "play")))
def test_on_paper_the_first_sheet_is_used_and_charts_are_whole(browser, out, name):
    page, wrong = opened(browser, out(name) / "index.html")
    sheets = pages_of_pdf(page.pdf(prefer_css_page_size=True))
    starts = ("Sessionsbesideeachother", "isthestartofthestimulus", "GroupsMeans", "VideosIn")
    assert any(word in sheets[0] for word in starts)
    for text in sheets:
        assert ("Reactingshare" in text) == ("Facesthatcanbereadnumber" in text)
    assert wrong == []
    close_tab(page)


@pytest.mark.slow
def test_the_controls_of_the_stimulus_lie_below_its_picture(browser, out):
    page, wrong = opened(browser, out("trailer") / "index.html")
    frame, bar = (
        page.locator(f"[data-stimulus] {name}").bounding_box() for name in ("video", ".video-controls")
    )
    assert bar["y"] >= frame["y"] + frame["height"]
    page.locator("[data-stimulus]").get_by_role("button", name="Mute").click()
    assert page.locator("[data-stimulus] video").evaluate("(video) => video.muted && !video.controls")
    assert wrong == []
    close_tab(page)


def test_an_overview_without_the_shared_script_says_what_is_missing_and_still_sorts(browser, out, tmp_path):
    shutil.copy(out("many") / "index.html", tmp_path)
    page = open_tab(browser)
    page.goto((tmp_path / "index.html").as_uri())
    assert "plotly.min.js next to this page" in page.locator("#stimulus-1").inner_text()
    page.locator("[data-section=videos] button", has_text="Net positivity").click()
    values = page.locator("[data-section=videos] tbody tr").evaluate_all(
        "rows => rows.map((row) => Number(row.dataset.valence))"
    )
    assert values == sorted(values, reverse=True)
    close_tab(page)


@pytest.mark.slow
@pytest.mark.parametrize(("theme", "system"), some_slow(("dark", "light"), slow=[("light", "dark")]))
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
        close_tab(page, color_scheme=system)


@pytest.mark.slow
def test_pdf_and_pictures_are_what_they_say(tmp_path):
    pytest.importorskip("kaleido")
    from PIL import Image

    from ferflow.dashboards.exports.figure_files import write_pdf, write_pictures

    write_run(tmp_path, [write_session(tmp_path, Made(seconds=20, people=3))])
    refresh(tmp_path)
    assert write_pdf(tmp_path / "index.html", tmp_path).read_bytes().startswith(b"%PDF")
    made = write_pictures(tmp_path, PageOptions(), ["png", "svg"])
    assert {path.name for path in made} == {
        f"{name}.{kind}" for name in ("stimulus-1", "made-0123abcd") for kind in ("png", "svg")
    }
    for path in made:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.width == 2400
                assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
        else:
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
