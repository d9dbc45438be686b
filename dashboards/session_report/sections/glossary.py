"""How to read a session's page."""

from __future__ import annotations

from ferflow.analytics.event_locked import AFTER_SECONDS, BEFORE_SECONDS
from ferflow.analytics.measures import MEASURES
from ferflow.analytics.readability import LEAST_FACE_PX, YAW_LIMIT_DEGREES
from ferflow.analytics.signals import GAP_STEPS
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.elements import Terms

_EXPRESSIONS = (
    "Expressions",
    "describe how a face appears; they prove no feeling. The expression that is shown is the most likely one over half "
    "a second; neutral where rest is more likely than any expression. Talking and eating count in part, and the same "
    "scene in another size or compression may differ by several points.",
)
_AUDIENCE = (
    "Audience",
    "curves are means over the people whose faces can be read for at least half of a step, each counted once. While "
    "there is none, the value is unknown, not 0, and the curve has a gap.",
)
_COVERAGE = (
    "Coverage",
    "says what is known of each moment: a face that can be read; only faces that cannot, because they are turned away "
    f"by more than {YAW_LIMIT_DEGREES:g}°, smaller than {LEAST_FACE_PX:g} px, blurred or covered at the mouth; only "
    "faces that do not count, such as those of people seen briefly; no face; or no frame that could be read, so that "
    "this time is unknown.",
)
_SPEECH = (
    "Speech",
    "is what a transcript says that is spoken, by whomever. A mouth that forms words may look happy, surprised or "
    "disgusted: while somebody speaks, expressions of the mouth are less certain. No number is changed by it.",
)
_TIMES = ("Times", "are minutes and seconds after the first frame, from the timestamps of the file.")


def build_words(session: Session) -> Terms | None:
    """The words of the page that are no everyday words, where they first appear; None without people."""
    if not session.people:
        return None
    return (
        ("Engagement", "is the share of the time in which a face can be read that it shows an expression. It is not "
         "interest: a still face may be interested."),
        ("Reacting", "is a person who shows an expression for at least half of a step of the timeline."),
        ("Expressiveness", "is how likely it is that a face shows an expression rather than rest: the curve from which "
         "both follow."),
    )  # fmt: skip


def build_glossary(session: Session) -> Terms:
    """Explanations of what is on the page."""
    if not session.people:
        return _COVERAGE, *_signals(session), _TIMES
    of_lanes = *_signals(session), *_markers(session), *_speech(session)
    return *_measures(), _EXPRESSIONS, _AUDIENCE, _COVERAGE, *of_lanes, _TIMES


def _speech(session: Session) -> Terms:
    return (_SPEECH,) if session.speech else ()


def _measures() -> Terms:
    return tuple((measure.title, measure.description) for measure in MEASURES.values() if measure.has_column)


def _signals(session: Session) -> Terms:
    if not session.shown_signals:
        return ()
    return (
        (
            "Signals",
            "are values that a file gives for this session, such as a score or a heart rate; ferflow did not measure "
            "them. A value holds until the next one, and a point of a curve is the mean over its time. Where a signal "
            f"was logged at a steady rate, a pause of more than {GAP_STEPS:g} usual steps is a gap.",
        ),
    )


def _markers(session: Session) -> Terms:
    if not len(session.markers):
        return ()
    return (
        (
            "Around markers",
            "curves take the value of the step that contains the marker's time, from "
            f"{BEFORE_SECONDS:g} s before to {AFTER_SECONDS:g} s after it, so they are accurate to "
            f"{session.bin_seconds:g} s. Values are as they are, not differences from before the marker.",
        ),
    )
