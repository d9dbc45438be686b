"""The top of a session's page: warnings, cards, the summary and the overall expressions."""

from __future__ import annotations

from ferflow.analytics.peaks import Shown
from ferflow.analytics.person_names import describe_joined
from ferflow.analytics.persons import Person
from ferflow.analytics.readability import REASONS
from ferflow.analytics.timeline import leading_label
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.elements import Card, ExpressionBar, Notice, TimeButton, build_expression_bar
from ferflow.dashboards.shared.number_format import (
    count,
    join_words,
    percent,
    percent_of,
    pluralize,
    sanitize,
    timecode,
)
from ferflow.models.registry import POOR_IN_VIDEO

REASON_WORDS = {
    "turned": "turned away",
    "small": "too small",
    "blurred": "too blurred",
    "occluded": "covered",
}
"""What a reader calls the reasons for which a face is unreadable."""


def build_warnings(session: Session) -> Notice | None:
    """What the analysis warned of, and what limits the numbers of this page."""
    metadata = session.metadata
    lines = [*metadata.warnings, *_model_notes(session), *_person_notes(session)]
    if not lines:
        return None
    title = "The analysis has gaps" if metadata.status == "done_with_gaps" else "Please note"
    return Notice(title, lines=tuple(sanitize(line) for line in lines))


def _model_notes(session: Session) -> list[str]:
    name, notes = session.metadata.model.name, []
    if not session.people:
        return []
    if name in POOR_IN_VIDEO:
        notes.append(POOR_IN_VIDEO[name])
    if session.basis.neutral_prior is None and "neutral" in session.labels:
        notes.append(
            f"It is unknown how often model {name} expects a neutral face, so its scores are taken as they are. Faces "
            "at rest may count as expressive."
        )
    return notes


def _person_notes(session: Session) -> list[str]:
    """Who counts as the participant, who is calibrated, and who may need it."""
    calibrated = [session.name_of(one.person_id) for one in session.people if one.shift is not None]
    notes = []
    if session.participant:
        joined = session.names.find_participant(
            session.participant, [one.person_id for one in session.people]
        )
        if len(joined) > 1:
            notes.append(f"Session list: {describe_joined(session.participant, len(joined))}")
    if calibrated:
        notes.append(f"Calibrated by a stretch at rest: {join_words(calibrated)}.")
    elif session.basis.rest:
        notes.append(
            "No person is readable for long enough in the stretches marked as rest, so no person is calibrated."
        )
    notes += [
        f"{session.name_of(one.person_id)}: the stretch marked as rest looks expressive to the model, so the "
        "calibration was limited."
        for one in session.people
        if one.is_shift_limited
    ]
    return notes + [_describe_never_at_rest(session, one) for one in session.people if one.is_never_at_rest]


def _describe_never_at_rest(session: Session, one: Person) -> str:
    found = (
        f"{session.name_of(one.person_id)} is never seen at rest in {timecode(one.readable_s)}"
        f"{'' if one.shift is None else ', not even after the calibration'}: expressive throughout, or a face that the "
        "model misreads."
    )
    if one.shift is None:
        return f"{found} A stretch in which this person is at rest (--rest) tells the two apart."
    return found


def build_no_people(session: Session) -> Notice | None:
    """Which of three reasons applies if no person was tracked: no frame, no face, or no track."""
    if session.people:
        return None
    if any(row.action != "relabel" for row in session.corrections.honoured):
        return _all_left_out()
    if session.coverage.n_frames == 0:
        return _no_frames()
    if session.coverage.n_faces == 0:
        return _no_faces(session.coverage.n_frames)
    return _no_tracks(session)


def _all_left_out() -> Notice:
    return Notice(
        "The corrections leave out all people",
        lines=(
            "corrections.csv excludes the stretches, or drops the people, in which a person would have counted. This "
            "does not mean that the video shows no people.",
        ),
    )


def _no_frames() -> Notice:
    return Notice(
        "No frame was analysed",
        lines=(
            "The selected part of the video contains no frame that could be read. There is nothing to show. This does "
            "not mean that the video shows no people.",
        ),
    )


def _no_faces(n_frames: int) -> Notice:
    title = f"No face was found in any of the {pluralize(n_frames, 'analysed frame')}"
    return Notice(
        "No face was found in the one analysed frame" if n_frames == 1 else title,
        lines=(
            "The analysis succeeded: the video was read, and the detector found no face.",
            "If people appear in the video, their faces may be too small, turned away or too dark. Try a smaller "
            "--min-face or a lower --score, or see Data quality below.",
        ),
    )


def _no_tracks(session: Session) -> Notice:
    cover = session.coverage
    return Notice(
        f"{pluralize(cover.n_faces, 'face')} found, but no person is in view for long enough to be counted",
        lines=(
            f"Faces appear in {count(cover.n_frames_with_face)} of {pluralize(cover.n_frames, 'analysed frame')}, each "
            "too briefly to count as a person. The table of faces lists all of them.",
        ),
    )


# --- Cards ----------------------------------------------------------------------------------------------


def build_cards(session: Session) -> tuple[Card, ...]:
    """The headline numbers."""
    cards = [_visible_card(session), _people_card(session)]
    if session.people:
        cards += [*_expression_cards(session), _facing_card(session), *_moment_card(session)]
    return tuple(cards)


def _visible_card(session: Session) -> Card:
    readable = percent_of(session.seconds_in("readable"), session.analysed_s)
    lost = {reason: session.seconds_in(reason) for reason in REASONS}
    parts = [
        f"{REASON_WORDS[reason]} {_share(session, seconds)}"
        for reason, seconds in lost.items()
        if seconds > 0
    ]
    if (seconds := session.seconds_in("uncounted")) > 0:
        parts.append(f"only faces that do not count {_share(session, seconds)}")
    parts += [f"no face {_share(session, seconds)}"] if (seconds := session.seconds_in("no_face")) > 0 else []
    if (seconds := session.left_out_s) > 0:
        parts.append(f"only faces that {_name_why(session)} {_share(session, seconds)}")
    of = f"of {timecode(session.analysed_s)}"
    return Card("Face visible", readable, "; ".join([f"{of} a face can be read", *parts]))


def _name_why(session: Session) -> str:
    """Why faces do not count of which nothing is shown."""
    if session.metadata.erasure is None:
        return "corrections leave out"
    return "corrections leave out or that were erased" if session.corrections.honoured else "were erased"


def _share(session: Session, seconds: float) -> str:
    return percent_of(seconds, session.analysed_s)


def _people_card(session: Session) -> Card:
    n, brief = len(session.people), len(session.left_out.brief)
    seen = (
        f"; {pluralize(brief, 'more', 'more')} seen only briefly or unclearly, not counted" if brief else ""
    )
    if not n:
        return Card("People", "0", "no person was tracked" + seen)
    if n == 1:
        return Card("People", "1", f"in view for {timecode(session.people[0].seconds)}{seen}")
    return Card(
        "People",
        count(n),
        f"at most {session.at_once.n} at once, at {timecode(session.at_once.time_s)}{seen}",
    )


def _expression_cards(session: Session) -> list[Card]:
    """How much of the readable time shows an expression, and which."""
    means = session.means
    share = means["engagement"]
    if not session.readable_s:
        return [Card("Showing an expression", "–", "no face can be read")]
    several = session.at_once.n > 1
    of = (
        "of the time of the people whose faces can be read"
        if several
        else "of the time in which the face can be read"
    )
    most = session.moment
    note = f"{of}; most at once: {most.n_reacting} of {most.n_readable}" if several and most else of
    cards = [Card("Showing an expression", percent(share), note)]
    shown = {name: value for name, value in means.items() if name.startswith("shown_")}
    label = leading_label(shown)
    if label is None:
        return [*cards, Card("Which expression", "none", "the faces are at rest")]
    others = sorted((name for name in shown if shown[name] >= 0.01), key=lambda name: -shown[name])
    rest = [f"{sanitize(name.removeprefix('shown_'))} {percent(shown[name])}" for name in others
            if name not in (f"shown_{label}", "shown_neutral")][:2]  # fmt: skip
    note = f"{percent(shown[f'shown_{label}'])} of readable time" + (
        f", then {join_words(rest)}" if rest else ""
    )
    note += f"; at rest {percent(shown['shown_neutral'])}" if shown.get("shown_neutral") else ""
    return [*cards, Card("Which expression", sanitize(label), note)]


def _facing_card(session: Session) -> Card:
    if not session.pose_known:
        return Card("Facing the camera", "–", "unknown: this detector gives no head pose")
    share = percent(session.means["attention"])
    return Card("Facing the camera", share, "of the time in view, by the turn of the head")


def _moment_card(session: Session) -> list[Card]:
    moment = session.moment
    if moment is None:
        return []
    what = describe_shown(moment.shown)
    note = f"of {pluralize(moment.n_readable, 'face')} that can be read"
    note = what if len(session.people) == 1 else f"{what}, {note}"
    return [Card("Strongest moment", timecode(moment.time_s), note, time=TimeButton.at(moment.time_s))]


# --- Summary and expressions ----------------------------------------------------------------------------


def build_summary(session: Session) -> str | None:
    """See `summarize`; None without people."""
    return summarize(session) or None


def summarize(session: Session) -> str:
    """The page in three sentences, for readers who skip the charts and for screen readers; empty without people."""
    if not session.people:
        return ""
    return " ".join([_sum_up_people(session), _sum_up_expressions(session), _sum_up_moment(session)])


def _sum_up_people(session: Session) -> str:
    who = "One person appears" if len(session.people) == 1 else f"{count(len(session.people))} people appear"
    readable = percent_of(session.seconds_in("readable"), session.analysed_s)
    return f"{who} in {timecode(session.analysed_s)} of video; a face can be read in {readable} of it."


def _sum_up_expressions(session: Session) -> str:
    means = session.means
    label = leading_label({name: value for name, value in means.items() if name.startswith("shown_")})
    if not session.readable_s:
        return "No expression can be read."
    if label is None:
        return "The faces are at rest all the time."
    share, most = percent(means["engagement"]), sanitize(label)
    return f"Expressions are shown in {share} of the readable time, mostly {most}."


def _sum_up_moment(session: Session) -> str:
    moment = session.moment
    if moment is None:
        return "There is no strong moment."
    what, when = describe_shown(moment.shown), timecode(moment.time_s)
    if len(session.people) == 1:
        return f"The strongest moment is at {when}: {what}."
    return (
        f"The strongest moment is at {when}: {moment.n_reacting} of {pluralize(moment.n_readable, 'face')} that can be "
        f"read react ({what})."
    )


def describe_shown(shown: Shown) -> str:
    """`happy`, or `3 happy, 1 surprise`."""
    if len(shown) == 1 and shown[0][1] == 1:
        return sanitize(shown[0][0])
    return ", ".join(f"{n} {sanitize(label)}" for label, n in shown) or "an expression"


def build_expressions(session: Session) -> ExpressionBar | None:
    """Shares of readable time by shown label; None where nothing is readable."""
    if not session.people or not session.readable_s:
        return None
    return build_expression_bar(session.labels, session.means)
