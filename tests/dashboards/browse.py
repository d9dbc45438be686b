"""Pages in a real browser: one Chromium for all tests, see the fixture `browser`."""

from __future__ import annotations

import os
import re
import shutil
import time
import unicodedata
import zlib

import pytest

CHROMIUM = os.environ.get("FERFLOW_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer", "--in-process-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync"]  # fmt: skip
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found; set FERFLOW_CHROMIUM to one")


HOSTILE = "<img src=x onerror=\"document.title='owned'\">\n\"' </script> שלום \u202egpj.mp4"


def until(page, expression: str, seconds: float = 20.0) -> None:
    """Wait until a JavaScript expression holds (the page's policy forbids playwright's own way)."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never: {expression}"
        page.wait_for_timeout(50)


_EMPTY_TABS: list = []
"""That tests have closed, each alone in its context."""


def open_tab(browser, *, viewport=None, **context):
    """An empty tab; one that a test has closed where only a size is asked for, since a new one takes a second of CPU.

    Pages that the tests open keep nothing in the browser.
    """
    viewport = viewport or {"width": 1280, "height": 900}
    if context or not _EMPTY_TABS:
        return browser.new_context(viewport=viewport, **context).new_page()
    tab = _EMPTY_TABS.pop()
    tab.set_viewport_size(viewport)
    return tab


def close_tab(tab, **context) -> None:
    """Give back what `open_tab` gave with this context."""
    if context:
        tab.context.close()
        return
    tab.goto("about:blank")
    tab.emulate_media(media="null", color_scheme="null")
    _EMPTY_TABS.append(tab)


class Opened:
    """A page that remembers what went wrong in it."""

    def __init__(self, browser, path, *, viewport=None, **context) -> None:
        self._context = context
        self.page = open_tab(browser, viewport=viewport or {"width": 1440, "height": 900}, **context)
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
        close_tab(self.page, **self._context)

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

    def go_to(self, seconds: float) -> None:
        """Move the slider of moments."""
        self.page.evaluate(
            "(s) => { const e = document.getElementById('time-slider'); e.step = 'any'; e.value = s; "
            "e.dispatchEvent(new Event('input')); }",
            seconds,
        )

    def moment(self) -> float:
        """Where the cursor stands, read off its place in the chart."""
        return self.page.evaluate(
            "() => { const a = document.getElementById('timeline')._fullLayout.xaxis,"
            " c = document.getElementById('cursor').getBoundingClientRect(),"
            " t = document.getElementById('timeline').getBoundingClientRect();"
            " return a.p2d(c.left + 1 - t.left - a._offset + 0) ? Date.parse(a.p2d(c.left - t.left - a._offset)"
            ".replace(' ', 'T') + 'Z') / 1000 : null; }"
        )

    def until(self, expression: str, seconds: float = 20.0) -> None:
        until(self.page, expression, seconds)

    def ready(self) -> None:
        """Wait until the video shows its first picture."""
        self.until("document.getElementById('video').dataset.offset !== undefined")

    def film_time(self) -> float:
        """Seconds of the video after its first picture, once it has got there."""
        self.until("!document.getElementById('video').seeking")
        return self.page.evaluate(
            "() => { const v = document.getElementById('video'); return v.currentTime - Number(v.dataset.offset); }"
        )

    def span(self) -> list[str]:
        return self.page.evaluate("document.getElementById('timeline').layout.xaxis.range")


CUT_OFF = """() => {
  const inside = (box, around) => box.left >= around.left - 1 && box.right <= around.right + 1;
  const found = [];
  for (const area of document.querySelectorAll("main .wide")) {
    const around = area.closest("section").getBoundingClientRect();
    if (area.scrollWidth > area.clientWidth + 1) found.push("scrolls: " + area.getAttribute("aria-labelledby"));
    for (const cell of area.querySelectorAll("th, td")) {
      if (!cell.getClientRects().length) continue;
      if (!inside(cell.getBoundingClientRect(), around)) found.push("outside: " + cell.textContent);
      if (cell.scrollWidth > cell.clientWidth + 1) found.push("too narrow: " + cell.textContent);
    }
  }
  return found;
}"""
"""Cells of tables that a reader sees in part only, or has to scroll to the side for."""


def pages_of_pdf(pdf: bytes) -> list[str]:
    """The text of each page of a PDF that Chromium wrote, without spaces, in the order in which it is drawn."""
    objects = {int(number): body for number, body in re.findall(rb"(\d+) 0 obj\n(.*?)\nendobj", pdf, re.S)}

    def stream(number: int) -> str:
        head, _, rest = objects[number].partition(b"stream\n")
        length = int(re.search(rb"/Length (\d+)", head)[1])
        data = rest[:length]
        return (zlib.decompress(data) if b"FlateDecode" in head else data).decode("latin-1")

    def letters(font: int) -> dict[int, str]:
        table = re.search(rb"/ToUnicode (\d+) 0 R", objects[font])
        codes: dict[int, str] = {}
        for block in re.findall(
            r"beginbf(?:char|range)\n(.*?)endbf", stream(int(table[1])) if table else "", re.S
        ):
            for line in block.splitlines():
                first, *more = [int(value, 16) for value in re.findall(r"<(\w+)>", line)]
                last, start = (more[0], more[1]) if len(more) == 2 else (first, more[0])
                codes |= {first + k: chr(start + k) for k in range(last - first + 1)}
        return codes

    pages = []
    for body in objects.values():
        if not re.search(rb"/Type /Page\b", body):
            continue
        fonts = dict(re.findall(rb"/(F\d+) (\d+) 0 R", body))
        tables = {name.decode(): letters(int(number)) for name, number in fonts.items()}
        text, font = "", {}
        drawn = stream(int(re.search(rb"/Contents (\d+) 0 R", body)[1]))
        for name, run in re.findall(r"/(F\d+) [\d.]+ Tf|<([0-9A-Fa-f]+)> Tj", drawn):
            font = tables.get(name, {}) if name else font
            text += "".join(font.get(int(run[k : k + 4], 16), "") for k in range(0, len(run), 4))
        # Fonts have ligatures.
        pages.append("".join(unicodedata.normalize("NFKC", text).split()))
    return pages
