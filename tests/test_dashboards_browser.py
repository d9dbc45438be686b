"""Pages in a real browser. Skipped, saying so, where there is no Chromium."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator

import pytest

from ferflow.dashboards import write_index, write_session_report
from tests.made_records import Made, write_session

CHROMIUM = os.environ.get("FERFLOW_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found; set FERFLOW_CHROMIUM to one")

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync"]  # fmt: skip
HOSTILE = "<img src=x onerror=\"document.title='owned'\">\n\"' </script> שלום \u202egpj.mp4"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Pages of several kinds of sessions, and the index."""
    folder = tmp_path_factory.mktemp("out")
    for made in (
        Made(seconds=60, video_id="one", holes=((30, 33),)),
        Made(seconds=120, people=8, video_id="eight", away=((40, 50),)),
        Made(seconds=20, people=0, video_id="nobody"),
        Made(seconds=30, people=2, pose=False, video_id="haar"),
        Made(seconds=3600, fps=2, people=8, video_id="hour"),
        Made(seconds=20, video_id="hostile", source={"name": HOSTILE}, warnings=(HOSTILE,)),
    ):
        write_session_report(folder, write_session(folder, made))
    failed = {"video_id": None, "source": HOSTILE, "status": "failed", "error": HOSTILE}
    (folder / "run.json").write_text(json.dumps({"videos": [failed]}))
    write_index(folder)
    return folder


class Opened:
    """A page that remembers what went wrong in it."""

    def __init__(self, browser, path, **context) -> None:
        self.context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | context))
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        if self.page.locator("#timeline").count():
            self.page.wait_for_selector("#timeline[data-drawn=yes]", timeout=20_000)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()

    def point_at(self, share: float, row: int = 0) -> None:
        """Move the cursor to a share of the width of one of the rows."""
        area = self.page.locator("#timeline .nsewdrag").nth(row)
        area.scroll_into_view_if_needed()
        box = area.bounding_box()
        x, y = box["x"] + share * box["width"], box["y"] + box["height"] / 2
        self.page.mouse.move(x - 5, y)
        self.page.mouse.move(x, y)

    def label(self) -> str:
        """The cursor's label, once it is there."""
        self.page.wait_for_selector("#timeline .hoverlayer .legend", state="attached", timeout=5_000)
        return self.page.locator("#timeline .hoverlayer").text_content()

    def span(self) -> list[str]:
        return self.page.evaluate("document.getElementById('timeline').layout.xaxis.range")


@pytest.mark.parametrize("video", ["one", "eight", "nobody", "haar", "hour", "hostile"])
@pytest.mark.parametrize("width", [1440, 390])
def test_pages_open_without_a_complaint_and_fit(browser, out, video, width):
    size = {"width": width, "height": 844}
    with Opened(browser, out / f"reports/{video}.html", viewport=size) as opened:
        assert opened.wrong == []
        assert all(url.startswith(("file:", "data:", "blob:")) for url in opened.asked)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        if video != "nobody":
            # Attention, expressiveness and engagement, or one of them without pose; and every expression.
            assert opened.page.locator("#timeline .scatterlayer path.js-line").count() >= 2
            assert opened.page.locator("#timeline .fills path.js-fill").count() >= 8
            assert opened.page.locator("#timeline .heatmaplayer image").count() >= 1


def test_dark_pages_are_dark_and_paper_is_white(browser, out):
    with Opened(browser, out / "reports/one.html", color_scheme="dark") as opened:
        background = "getComputedStyle(document.body).backgroundColor"
        assert opened.page.evaluate(background) == "rgb(18, 21, 28)"
        opened.page.emulate_media(media="print", color_scheme="dark")
        assert opened.page.evaluate(background) == "rgb(255, 255, 255)"
        assert opened.wrong == []


@pytest.mark.parametrize("row", range(5))
def test_the_cursor_reads_every_row_wherever_it_points(browser, out, row):
    with Opened(browser, out / "reports/eight.html") as opened:
        opened.point_at(0.6, row)
        label = opened.label()
        for name in (
            "engagement",
            "attention",
            "expressiveness",
            "happy",
            "neutral",
            "net positivity",
            "with a face",
        ):
            assert name in label
        assert "01:1" in label
        assert opened.wrong == []


def test_a_peak_in_the_table_shows_its_moment_in_the_timeline(browser, out):
    with Opened(browser, out / "reports/eight.html") as opened:
        button = opened.page.locator("button.time").first
        seconds = float(button.get_attribute("data-seconds"))
        button.focus()
        opened.page.keyboard.press("Enter")
        opened.page.wait_for_function("document.getElementById('timeline').layout.xaxis.range[1].length > 10")
        seconds_of = "(date) => Date.parse(date.replace(' ', 'T') + 'Z') / 1000"
        start, end = (opened.page.evaluate(seconds_of, date) for date in opened.span())
        assert start <= seconds <= end
        assert end - start <= 40.001
        assert "engagement" in opened.label()
        assert opened.wrong == []


def test_closer_and_all_of_it(browser, out):
    with Opened(browser, out / "reports/one.html") as opened:
        whole = opened.span()
        opened.page.get_by_role("button", name="Closer").click()
        opened.page.wait_for_function(
            f"document.getElementById('timeline').layout.xaxis.range[0] !== '{whole[0]}'"
        )
        assert opened.span()[0].startswith("1970-01-01 00:00:15")
        opened.page.get_by_role("button", name="All of it").click()
        opened.page.wait_for_function(
            "document.getElementById('timeline').layout.xaxis.range[0].includes('00:00:00')"
        )
        assert opened.wrong == []


def test_a_hostile_name_is_shown_as_text(browser, out):
    with Opened(browser, out / "reports/hostile.html") as opened:
        assert "<img src=x onerror=" in opened.page.locator("h1").inner_text()
        assert opened.page.title() != "owned"
        assert opened.page.locator("img").count() == 0
    with Opened(browser, out / "index.html") as opened:
        assert opened.page.get_by_text("<img src=x onerror=").count() >= 2
        assert opened.page.locator("img").count() == 0
        assert opened.wrong == []


def test_the_index_leads_to_the_pages_and_back(browser, out):
    with Opened(browser, out / "index.html") as opened:
        opened.page.get_by_role("link", name="one.mp4").click()
        opened.page.wait_for_selector("#timeline[data-drawn=yes]")
        opened.page.get_by_role("link", name="all videos").click()
        opened.page.wait_for_selector("text=Analysed videos")
        assert opened.wrong == []


def test_printing_keeps_the_chart_on_the_sheet_and_the_screen_as_it_was(browser, out):
    with Opened(browser, out / "reports/eight.html") as opened:
        before = opened.page.locator("#timeline").bounding_box()
        pdf = opened.page.pdf(prefer_css_page_size=True)
        assert pdf.startswith(b"%PDF")
        opened.page.wait_for_timeout(300)
        after = opened.page.locator("#timeline").bounding_box()
        assert (after["width"], after["height"]) == pytest.approx((before["width"], before["height"]), abs=2)
        assert opened.wrong == []


def test_a_page_without_the_shared_script_says_what_is_missing(browser, out, tmp_path):
    alone = tmp_path / "reports" / "one.html"
    alone.parent.mkdir()
    shutil.copy(out / "reports/one.html", alone)
    with Opened.__new__(Opened) as opened:
        opened.context = browser.new_context()
        page = opened.context.new_page()
        page.goto(alone.as_uri())
        assert "plotly.min.js" in page.locator("#timeline").inner_text()


def test_an_hour_is_ready_within_two_seconds_of_drawing(browser, out):
    with Opened(browser, out / "reports/hour.html") as opened:
        took = opened.page.evaluate("performance.now()")
        assert took < 15_000  # a loaded machine; the aim on a quiet one is 2 s
