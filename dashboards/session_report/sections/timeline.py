"""The chart of all measures over time, and the list of markers below it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TypedDict

from markupsafe import Markup

from ferflow import palette
from ferflow.analytics.event_locked import instants_in
from ferflow.analytics.markers import REST_KIND, Marker, markers_in
from ferflow.analytics.measures import page_measures
from ferflow.analytics.signals import describe_start
from ferflow.dashboards.session_report.downsample import MOST_LANES, Downsampled, downsample
from ferflow.dashboards.session_report.sections.headline import summarize
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.session_report.timeline_chart.figure import build_timeline_figure
from ferflow.dashboards.session_report.timeline_chart.markers_row import MOST_BANDS, MOST_LABELS
from ferflow.dashboards.session_report.video_player import FaceBoxes
from ferflow.dashboards.shared.elements import TimeButton
from ferflow.dashboards.shared.number_format import join_words, pluralize, sanitize, shorten
from ferflow.dashboards.shared.page import inline_json
from ferflow.dashboards.shared.signal_values import SignalScale

MOST_LISTED_MARKERS = 120
"""Markers in the list below the chart, in order of time."""
MOST_LISTED_CUES = 300
"""Cues of a transcript in the list below the chart."""
MOST_CUES = 4000
"""Cues whose words the cursor shows: two to three hours of speech."""
MOST_SAID = 70
"""Letters of a cue at the cursor; the list has all."""


@dataclass(frozen=True, slots=True)
class ListedMarker:
    """A line of the list of markers."""

    time: TimeButton
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The chart, what explains it, and the markers in it."""

    hint: str
    description: str
    """The chart in words, for screen readers."""
    figure: Markup
    """JSON."""
    facts: Markup
    """JSON: what the page's scripts need besides the figure."""
    markers: tuple[ListedMarker, ...]
    markers_title: str
    speech: tuple[ListedMarker, ...] = ()
    speech_title: str = ""


def build_timeline(session: Session) -> Timeline | None:
    """None without any bin."""
    if not len(session.timeline):
        return None
    drawn = downsample(session)
    inside = session.shown_markers
    markers = markers_in(inside.slice(0, MOST_LISTED_MARKERS))
    return Timeline(
        hint=_hint(session, drawn),
        description=_describe(session),
        figure=inline_json(build_timeline_figure(session).to_json()),
        facts=inline_json(
            json.dumps(_script_facts(session, drawn), ensure_ascii=False, separators=(",", ":"))
        ),
        markers=tuple(_build_listed_marker(session, marker) for marker in markers),
        markers_title=pluralize(len(inside), "marker")
        + (f", the first {len(markers)} listed" if len(inside) > len(markers) else ""),
        speech=tuple(_build_listed_cue(cue) for cue in session.speech[:MOST_LISTED_CUES]),
        speech_title=_title_speech(session),
    )


def _build_listed_marker(session: Session, marker: Marker) -> ListedMarker:
    label = shorten(sanitize(marker.label), 80)
    kind = "at rest" if marker.kind == REST_KIND else session.describe_kind(marker.label, marker.kind)
    kind = shorten(sanitize(kind), 40)
    return ListedMarker(TimeButton.at(marker.time_s), label, kind)


def _build_listed_cue(cue: Marker) -> ListedMarker:
    return ListedMarker(TimeButton.at(cue.time_s), sanitize(cue.label), "")


def _title_speech(session: Session) -> str:
    n, more = len(session.speech), len(session.speech) > MOST_LISTED_CUES
    return f"Transcript: {pluralize(n, 'line')}" + (f", the first {MOST_LISTED_CUES} listed" if more else "")


def _hint(session: Session, drawn: Downsampled) -> str:
    joined = f" ({drawn.step} rows of the table)" if drawn.step > 1 else ""
    meaning = f"Coverage of the video; each step is {drawn.step_s:g} s{joined}."
    if session.people:
        meaning = (
            f"Each step is the mean over {drawn.step_s:g} s{joined}. A gap in a curve means that no face could be "
            "read; the row of coverage says why."
        )
    hidden = len(session.people) > MOST_LANES
    lanes = (
        f" Only the {MOST_LANES} people who are longest in view have a row of their own." if hidden else ""
    )
    return (
        f"{meaning} Point at the chart to read values, click to go to a time, drag to zoom in, double-click to reset."
        f"{lanes}{_describe_signals(session)}{_describe_speech(session)}"
    )


def _describe_signals(session: Session) -> str:
    """Where the signals came from, and what of them is not shown."""
    if session.signals.metadata is None or not session.signals.signals:
        return ""
    source = sanitize(session.signals.metadata.source.name)
    n, n_shown = len(session.signals.signals), len(session.shown_signals)
    if not n_shown:
        return f" No value of {source} lies within the video."
    which = f"{n_shown} of the {n} signals" if n_shown < n else "The signals" if n > 1 else "The signal"
    start = session.signals.metadata.start
    clock = ""
    if start is not None:
        when = describe_start(start, session.signals.metadata.assumed_zone)
        clock = f", whose times of day count from the start of the recording, {when}"
    come = "come" if n_shown > 1 else "comes"
    return f" {which} {come} from {source}{clock}; each value holds until the next one."


def _describe_speech(session: Session) -> str:
    if not session.speech or not session.people:
        return ""
    return (
        " Where the rows are shaded somebody speaks, by the transcript: a mouth that forms words may look happy, "
        "surprised or disgusted, so expressions of the mouth are less certain there. No number is changed."
    )


def _describe(session: Session) -> str:
    rows = ["engagement with expressiveness", "reacting", "expressions", "net positivity"]
    rows += [*(["facing the camera"] if session.pose_known else []), "people in view"]
    rows = [
        *(["markers"] if len(session.markers) else []),
        *(["speech"] if session.speech else []),
        *(rows if session.people else []),
        *(sanitize(signal.name) for signal in session.shown_signals),
        "coverage",
    ]
    return (
        f"Timeline with one time axis: {join_words(rows)}. {summarize(session)} Use the time slider above to hear the "
        "values."
    )


class ScriptFacts(TypedDict):
    """What the page's scripts need besides the figures."""

    boxes: FaceBoxes | None
    frame_s: float
    """Usual time between two analysed frames."""
    names: dict[int, str]
    """By track id."""
    measures: list[str]
    labels: list[str]
    colours: list[str]
    """`#RRGGBB`, of the labels."""
    signals: list[tuple[str, str, int | None]]
    """Title, unit and decimals; see `SignalScale.digits`."""
    markers: list[tuple[float, str]]
    """Seconds and label."""
    segments: list[tuple[float, float, str]]
    """Start and end in seconds, and label."""
    speech: list[tuple[float, float, str]]
    """Start and end of each cue in seconds, and what is said."""


def _script_facts(session: Session, drawn: Downsampled) -> ScriptFacts:
    # In a folder of an earlier version, boxes are also drawn of those who are seen too briefly to be counted.
    boxed = {track["id"] for track in session.boxes["tracks"]} if session.boxes else set()
    ids = sorted({person.person_id for person in session.people} | boxed)
    names = {person_id: sanitize(session.name_of(person_id)) for person_id in ids}
    return {
        "boxes": session.boxes if session.video.url else None,
        "frame_s": 0.04 if math.isnan(session.frame_step_s) else round(session.frame_step_s, 4),
        "names": names,
        "measures": [measure.name for measure in page_measures() if measure.has_column],
        "labels": [sanitize(label) for label in session.labels],
        "colours": list(palette.colours(session.labels).values()),
        "signals": [
            (sanitize(one.title), sanitize(one.unit), SignalScale.of([drawn.signals[one.name]]).digits)
            for one in session.shown_signals
        ],
        # Labels are clipped, so that the page stays small whatever a file of markers contains.
        "markers": [
            (round(marker.time_s, 3), shorten(sanitize(marker.label), 40))
            for marker in instants_in(session.shown_markers.slice(0, MOST_LABELS))
        ],
        "segments": [
            *(
                (round(row["start_s"], 3), round(row["end_s"], 3), shorten(sanitize(row["label"]), 40))
                for row in session.segments.slice(0, MOST_BANDS).to_pylist()
                if row["kind"] != REST_KIND
            ),
            *(
                (round(one.start_s, 3), round(one.end_s, 3), shorten(sanitize(one.words), 40))
                for one in session.rest
            ),
        ],
        "speech": [
            (round(one.time_s, 2), round(one.end_s or 0.0, 2), shorten(sanitize(one.label), MOST_SAID))
            for one in session.speech[:MOST_CUES]
        ],
    }
