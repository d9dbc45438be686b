"""Size of a one-hour session report, and how long until it can be used in a browser.

    python -m ferflow.jobs.benchmarks.reports [--people 8] [--runs 5]

The session is synthetic and has markers and face boxes, so that the page is as large as pages get. The script opens
it in Chromium several times and prints the medians of: the time until the timeline is drawn; the CPU time of the
page's thread for it, which depends less on other load; the time until the first reaction to the mouse; the time in
which its timeline is computed from its records; and, to compare machines, the time in which an empty page loads
plotly. Run it in a checkout: the records come from
`tests/made_records.py`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ferflow.analytics.person_faces import Persons
from ferflow.analytics.timeline import write_timeline
from ferflow.dashboards import write_session_report
from ferflow.jobs.benchmarks.made_records import import_made_records
from ferflow.models.timeline_basis import find_basis
from ferflow.store.video_files import VideoFiles

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LIMIT_KB = 400


def write_hour(out: Path, people: int) -> Path:
    """Write the report of a synthetic hour whose video, a file without pictures, can be found."""
    made_records = import_made_records()
    video = out / "hour.mp4"
    video.write_bytes(b"\0" * 1000)
    events = tuple((30.0 + 60 * k, None, ("jump", "boss", "find")[k % 3], "event") for k in range(59))
    parts = tuple((600.0 * k, 600.0 * (k + 1), f"level {k + 1}", "level") for k in range(6))
    source = {"path": str(video), "size": 1000}
    made = made_records.Made(
        seconds=3600, fps=10, people=people, video_id="hour", markers=events + parts, source=source
    )
    return write_session_report(out, made_records.write_session(out, made))


def aggregate(page: Path) -> float:
    """Seconds in which the timeline of the page's session is computed from its records, and written."""
    files = VideoFiles(page.parents[1], page.stem)
    started = time.perf_counter()
    write_timeline(files, find_basis(Persons.of(files)), 1.0)
    return time.perf_counter() - started


def open_page(browser: Browser, page: Path) -> tuple[float, float, float]:
    """Seconds until the timeline is drawn, CPU seconds for it, seconds until it has reacted to the mouse."""
    tab = browser.new_page(viewport={"width": 1440, "height": 900})
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    started = time.perf_counter()
    tab.goto(page.as_uri(), wait_until="commit")
    tab.wait_for_selector("#timeline[data-drawn=yes]", timeout=60_000)
    drawn = time.perf_counter() - started
    metrics = session.send("Performance.getMetrics")["metrics"]
    busy = next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")
    tab.locator("#timeline .nsewdrag").nth(1).hover()
    tab.wait_for_selector("#timeline .hoverlayer .legend", timeout=60_000, state="attached")
    reacted = time.perf_counter() - started
    tab.close()
    return drawn, busy, reacted


def open_empty_page(browser: Browser, page: Path) -> float:
    """Seconds in which a page without data loads plotly."""
    tab = browser.new_page()
    started = time.perf_counter()
    tab.goto(page.as_uri())
    tab.wait_for_function("() => typeof Plotly !== 'undefined'")
    tab.close()
    return time.perf_counter() - started


def main() -> None:
    """Print size and times."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=8, help="people in the session")
    parser.add_argument("--runs", type=int, default=5, help="times that the page is opened")
    asked = parser.parse_args()
    chromium = os.environ.get("FERFLOW_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        page = write_hour(Path(folder), asked.people)
        aggregated = min(aggregate(page) for _ in range(3))
        bare = page.with_name("bare.html")
        bare.write_text("<script src='../assets/plotly.min.js'></script>")
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        runs = [(*open_page(browser, page), open_empty_page(browser, bare)) for _ in range(asked.runs)]
        drawn, busy, reacted, alone = (statistics.median(column) for column in zip(*runs, strict=True))
        browser.close()
        size = page.stat().st_size
    print(f"one hour, {asked.people} people: {size / 1000:.0f} kB without plotly.js (limit {LIMIT_KB} kB)")
    print(
        f"drawn after {drawn:.2f} s ({busy:.2f} s of CPU), reacts to the mouse after {reacted:.2f} s (limit 2 s)"
    )
    print(f"of which plotly alone, in an empty page: {alone:.2f} s; CPU load here {os.getloadavg()[0]:.1f}")
    print(f"timeline of 1 s bins from its records: {aggregated:.2f} s")


if __name__ == "__main__":
    main()
