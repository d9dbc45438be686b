"""How to read a session's page."""

from __future__ import annotations

from ferflow.analytics.coverage import SMALL_FACE_PX
from ferflow.analytics.event_locked import AFTER_SECONDS, BEFORE_SECONDS
from ferflow.analytics.measures import MEASURES, Measure
from ferflow.analytics.tally import BASELINE_SECONDS
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.elements import Terms

_EXPRESSIONS = (
    "Expressions",
    "are the model's scores for how a face appears. A face with a score of 0.8 for happy is not 80 % happy, and the "
    "person may not be happy at all.",
)
_AUDIENCE = (
    "Audience",
    "curves are means over the people in view, each counted once. While no person is in view, the value is unknown, "
    "not 0, and the curve has a gap.",
)
_COVERAGE = (
    "Coverage",
    f"distinguishes four cases: a face of {SMALL_FACE_PX:g} px or more was found; only smaller faces were found, whose "
    "expressions are uncertain; no face was found; or no frame could be read, so that this time is unknown.",
)
_TIMES = ("Times", "are minutes and seconds after the first frame, from the timestamps of the file.")

_BASELINE = (
    " The resting face is the lower quartile over the video, for people in view for "
    f"{BASELINE_SECONDS:g} s or longer."
)


def build_glossary(session: Session) -> Terms:
    """Explanations of what is on the page."""
    if not session.people:
        return _COVERAGE, _TIMES
    return *_measures(session), _EXPRESSIONS, _AUDIENCE, _COVERAGE, *_markers(session), _TIMES


def _measures(session: Session) -> Terms:
    return tuple(
        (measure.title, measure.description + _addition(session, measure))
        for measure in MEASURES.values()
        if measure.has_column
    )


def _addition(session: Session, measure: Measure) -> str:
    if measure.name == "expressiveness":
        return _BASELINE
    only_one = session.metadata.options.participants == 1
    if measure.name == "attention" and only_one:
        return f" While the only participant is out of view, it counts as {measure.when_away:g}."
    return ""


def _markers(session: Session) -> Terms:
    if not len(session.markers):
        return ()
    return (
        (
            "Around markers",
            "curves take the value of the bin that contains the marker's time, from "
            f"{BEFORE_SECONDS:g} s before to {AFTER_SECONDS:g} s after it, so they are accurate to "
            f"{session.bin_seconds:g} s. No baseline is subtracted.",
        ),
    )
