"""Pages as PDF and figures as pictures, made by the Chromium of this machine; nothing is loaded from the network.

PDF pages are printed by Chromium itself. PNG and SVG come from kaleido, plotly's own exporter, which drives the same
Chromium.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ferflow.dashboards.overview.clock_chart.figure import build_clock_figure, common_scale
from ferflow.dashboards.overview.cohort import group_looks, looks_in
from ferflow.dashboards.overview.overview_data import Folder, load_folder
from ferflow.dashboards.overview.response_figure import build_response_figure
from ferflow.dashboards.overview.sections.stimuli import is_worth_a_chart, title_of
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.dashboards.session_report.timeline_chart.figure import build_timeline_figure
from ferflow.dashboards.shared.figure_values import PlotlyAttributes, escape_html
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.errors import OptionsError, RecordsError
from ferflow.store.atomic_files import atomic_write
from ferflow.store.output_folder import OutputFolder
from ferflow.text import sanitize

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PDF_SECONDS = 120
"""A page that takes longer is not printed."""
PICTURE_WIDTH = 1200
_TITLE_PX = 40

# Chromium looks for updates, variations and connectivity at its maker's servers when it starts. The first five switch
# off what has a switch; the last two leave nothing to reach for what has none: no name resolves, and every request
# goes to a proxy on this machine that does not exist (port 9 is `discard`).
_OFFLINE = (
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-domain-reliability",
    "--disable-default-apps", "--proxy-server=http://127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


def find_chromium() -> str:
    """Path of Chromium, Chrome or Edge: the one in FERFLOW_CHROMIUM, else the first one found.

    Raises:
        OptionsError: none was found.
    """
    named = os.environ.get("FERFLOW_CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        where = f"FERFLOW_CHROMIUM={named} does not exist" if named else "none was found"
        raise OptionsError(
            f"PDF and pictures need Chromium or Chrome: {where}. Install one, or set FERFLOW_CHROMIUM to its path."
        )
    return found


def write_pdf(page: Path, out: Path) -> Path:
    """Print a page of an output folder to a PDF next to it.

    Raises:
        OptionsError: no Chromium, or it failed.
    """
    browser, path = find_chromium(), page.with_suffix(".pdf")
    with atomic_write(path, out=out) as part, tempfile.TemporaryDirectory() as profile:
        # A profile of its own, since a running browser would take over the command. The time budget runs the page's
        # timers ahead until the charts are drawn.
        command = [browser, "--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}",
                   "--no-pdf-header-footer", "--virtual-time-budget=10000", f"--print-to-pdf={part}",
                   *_OFFLINE, *_as_root(), page.absolute().as_uri()]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=PDF_SECONDS, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OptionsError(
                f"{page.name}: {browser} could not print this page ({type(error).__name__})."
            ) from error
        if not part.exists() or not part.read_bytes().startswith(b"%PDF"):
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = sanitize(lines[-1]) if lines else "no reason given"
            raise OptionsError(f"{page.name}: {browser} could not print this page ({reason}).")
    return path


def write_pictures(out: Path, options: PageOptions, formats: Sequence[str]) -> list[Path]:
    """Write every figure into `figures/` of the output folder, on white.

    Args:
        out: the output folder.
        options: as for the pages.
        formats: `png`, `svg` or both.

    Raises:
        OptionsError: no Chromium, or kaleido is not installed.
        RecordsError: `run.json` cannot be read.
    """
    if importlib.util.find_spec("kaleido") is None:
        raise OptionsError("pictures of figures need kaleido. Run: pip install 'ferflow[figures]'")
    import kaleido

    browser, made = find_chromium(), list[Path]()
    # No MathJax: kaleido would fetch it from the network.
    kaleido.start_sync_server(
        n=1, mathjax=False, path=browser, browser_cls=_offline_browser(), silence_warnings=True
    )
    try:
        for name, figure in _figures(out, options):
            for picture in formats:
                path = OutputFolder(out).figures / f"{name}.{picture}"
                size = {"format": picture, "width": PICTURE_WIDTH, "height": figure.layout.height, "scale": 2}
                with atomic_write(path, out=out) as part:
                    part.write_bytes(kaleido.calc_fig_sync(figure, opts=size))
                made.append(path)
    finally:
        kaleido.stop_sync_server(silence_warnings=True)
    return made


def _offline_browser() -> type:
    """Kaleido's Chromium, started with `_OFFLINE`."""
    from choreographer.browsers.chromium import Chromium

    class OfflineChromium(Chromium):
        def get_cli(self) -> Sequence[str]:
            return [*super().get_cli(), *_OFFLINE]

    return OfflineChromium


def _cohort_figures(folder: Folder) -> Iterator[tuple[str, Figure]]:
    """The chart of each stimulus, and the responses to the markers of each pool; numbered as on the page."""
    looks, scale = group_looks(folder.cohort), common_scale(folder.clocks, group_looks(folder.cohort))
    names = {escape_html(look.name): escape_html(look.name) for look in looks}
    for k, clock in enumerate((clock for clock in folder.clocks if is_worth_a_chart(clock)), 1):
        figure = build_clock_figure(clock, looks, scale)
        yield f"stimulus-{k}", _on_white(figure, title_of(folder, clock), names)
    for k, pool in enumerate((pool for pool in folder.pools if pool.cohort.participants), 1):
        figure = build_response_figure(pool, looks_in(pool.cohort, looks))
        yield f"responses-{k}", _on_white(figure, "Around scenes and events", names)


def _figures(out: Path, options: PageOptions) -> Iterator[tuple[str, Figure]]:
    folder = load_folder(out, options)
    yield from _cohort_figures(folder)
    for video_id in OutputFolder(out).finished_ids():
        try:
            session = load_session(out, video_id, folder.names.of(video_id), options)
        except RecordsError:
            continue  # `refresh` reports it
        if session.people:
            names = {escape_html(label): escape_html(label) for label in session.labels}
            yield video_id, _on_white(build_timeline_figure(session), session.name, names)


def _on_white(figure: Figure, title: str, named: Mapping[str, str]) -> Figure:
    """Give a figure the colours, title and legend that the page has on screen.

    Args:
        figure: changed in place.
        title: above it.
        named: for the legend, names of traces and their texts.
    """
    # On the page, the script sets these colours (chart.js).
    axes = [name for name in figure.layout.to_plotly_json() if name.startswith(("xaxis", "yaxis"))]
    ticks = {"color": "#5b6475", "size": 11}
    soft: PlotlyAttributes = {"gridcolor": "#eceded", "zerolinecolor": "#5b6475", "tickfont": ticks}
    figure.update_layout(dict.fromkeys(axes, soft))
    figure.update_layout(
        paper_bgcolor="#ffffff", plot_bgcolor="#ffffff", font={"color": "#1c2230", "size": 12},
        height=figure.layout.height + _TITLE_PX, margin={"l": figure.layout.margin.l + 16, "r": 24, "t": _TITLE_PX + 4},
        title={"text": escape_html(sanitize(title)), "x": 0.01, "y": 0.985, "yanchor": "top", "font": {"size": 16}},
    )  # fmt: skip
    figure.update_xaxes(rangeslider_visible=False)
    keyed = dict(named)
    for trace in figure.data:
        words = keyed.pop(trace.name, None)  # once each: a group has a curve in every row
        trace.update(showlegend=words is not None, name=words or trace.name)
    if len(named) > 1:
        figure.update_layout(showlegend=True, legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0,
                             "yanchor": "bottom", "traceorder": "normal"})  # fmt: skip
    return figure


def _as_root() -> list[str]:
    """Chromium does not run as root in its sandbox; the only page that it opens is our own."""
    return ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
