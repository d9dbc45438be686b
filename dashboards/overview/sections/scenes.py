"""Markers that several sessions share: a table of scenes by group, and the responses to events."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ferflow.analytics.event_locked import AFTER_SECONDS, BEFORE_SECONDS
from ferflow.analytics.intervals import Interval
from ferflow.analytics.measures import LEADING, MEASURES
from ferflow.analytics.pooled_markers import PooledMarkers
from ferflow.dashboards.overview.cohort import (
    EVERYBODY,
    GroupName,
    format_interval,
    format_value,
    group_looks,
    looks_in,
)
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.overview.response_figure import MOST_LABELS, build_response_figure, shown_signals
from ferflow.dashboards.overview.sparkline import draw_interval
from ferflow.dashboards.shared.number_format import pluralize, sanitize, shorten
from ferflow.dashboards.shared.page import inline_json

MOST_SCENES = 30
"""Rows of the table of scenes, the first ones in time; the CSV has all."""


@dataclass(frozen=True, slots=True)
class SceneCell:
    """Mean of a measure in a scene over the participants of one group."""

    value: str
    interval: str
    picture: Markup | None


@dataclass(frozen=True, slots=True)
class SceneRow:
    """A group in one scene."""

    group: GroupName
    n: int
    cells: tuple[SceneCell, ...]
    """Engagement, net positivity."""


@dataclass(frozen=True, slots=True)
class SceneRows:
    """One scene, a row per group."""

    label: str
    rows: tuple[SceneRow, ...]


@dataclass(frozen=True, slots=True)
class SharedMarkers:
    """The markers of the sessions of one stimulus, or of those without one."""

    title: str
    scene_hint: str
    """Empty: no label is a segment."""
    scenes: tuple[SceneRows, ...]
    response_hint: str
    figure: Markup
    """JSON."""


def build_scenes(folder: Folder) -> tuple[SharedMarkers, ...] | None:
    """None where no label is shared."""
    found = tuple(_build(folder, pool) for pool in folder.pools if pool.cohort.participants)
    return found or None


def _build(folder: Folder, pool: PooledMarkers) -> SharedMarkers:
    scenes = pool.scenes[:MOST_SCENES]
    looks = looks_in(pool.cohort, group_looks(folder.cohort))
    return SharedMarkers(
        title=_title(folder, pool),
        scene_hint=_scene_hint(pool) if scenes else "",
        scenes=tuple(_build_scene(folder, pool, label) for label in scenes),
        response_hint=_response_hint(pool),
        figure=inline_json(build_response_figure(pool, looks).to_json()),
    )


def _title(folder: Folder, pool: PooledMarkers) -> str:
    if pool.stimulus is None:
        return "Scenes and events of all sessions"
    return f"Scenes and events of {sanitize(folder.stimulus_videos[pool.stimulus].title)}"


def _scene_hint(pool: PooledMarkers) -> str:
    hidden = len(pool.scenes) - MOST_SCENES
    more = (
        f" The first {MOST_SCENES} scenes of {len(pool.scenes)} are listed; --csv writes all."
        if hidden > 0
        else ""
    )
    apart = (
        " The sessions have no common time, so a scene is wherever a session has its marker."
        if pool.stimulus is None
        else ""
    )
    return (
        "How the faces appear in each scene: engagement and net positivity. "
        "A participant who is in a scene several times counts once, with all of that time; then participants are "
        f"averaged. n is their number, with the 95 % interval of the mean.{apart}{more}"
    )


def _response_hint(pool: PooledMarkers) -> str:
    n = len(pool.labels)
    signals = " Signals come from files; ferflow did not measure them." if shown_signals(pool) else ""
    hidden = f" Of {n} labels, the {MOST_LABELS} with most markers are shown." if n > MOST_LABELS else ""
    totals = ", ".join(
        f"{shorten(sanitize(label), 40)} {pluralize(pool.n_markers(label), 'marker')}"
        for label in pool.labels[:MOST_LABELS]
    )
    return (
        f"What the faces show from {BEFORE_SECONDS:g} s before to {AFTER_SECONDS:g} s after each event ({totals}): "
        "first the mean over the events of a participant, then over participants, each counted once. The shaded area "
        f"is the 95 % interval. A change after an event is not necessarily caused by it.{signals}{hidden}"
    )


def _build_scene(folder: Folder, pool: PooledMarkers, label: str) -> SceneRows:
    groups: list[str | None] = [*pool.cohort.groups] or [None]
    return SceneRows(
        shorten(sanitize(label), 60), tuple(_build_row(folder, pool, label, group) for group in groups)
    )


def _build_row(folder: Folder, pool: PooledMarkers, label: str, group: str | None) -> SceneRow:
    found = {name: pool.scene(label, group, name) for name in (LEADING, "valence")}
    name = GroupName.of(folder.cohort, group) if group else GroupName(EVERYBODY, "transparent")
    colour = name.colour if name.colour.startswith("#") else MEASURES[LEADING].colour
    cells = tuple(_build_cell(measure, interval, colour) for measure, interval in found.items())
    return SceneRow(name, found[LEADING].n, cells)


def _build_cell(measure: str, found: Interval, colour: str) -> SceneCell:
    value, span = format_value(measure, found.mean), format_interval(measure, found)
    words = f"{value}, 95 % interval {span}"
    picture = draw_interval(
        found.mean, found.low, found.high, bounds=MEASURES[measure].range, colour=colour, words=words
    )
    return SceneCell(value, span, picture)
