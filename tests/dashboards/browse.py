"""Pages in a real browser: one Chromium for all tests, see the fixture `browser`."""

from __future__ import annotations

import os
import shutil
import time

import pytest

CHROMIUM = os.environ.get("FERFLOW_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync"]  # fmt: skip
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found; set FERFLOW_CHROMIUM to one")
HOSTILE = "<img src=x onerror=\"document.title='owned'\">\n\"' </script> שלום \u202egpj.mp4"


def until(page, expression: str, seconds: float = 20.0) -> None:
    """Wait until a JavaScript expression holds (the page's policy forbids playwright's own way)."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never: {expression}"
        page.wait_for_timeout(50)


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
