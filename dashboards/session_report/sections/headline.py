"""The top of a session's page: warnings, cards, the summary and the overall expressions."""

from __future__ import annotations

from ferflow.analytics.measures import REACTING_THRESHOLD
from ferflow.analytics.timeline import leading_label
from ferflow.dashboards.session_report.session_data import Session, find_most_reacting
from ferflow.dashboards.shared.elements import Card, ExpressionBar, Notice, build_expression_bar
from ferflow.dashboards.shared.number_format import (
    count,
    percent,
    pluralize,
    sanitize,
    score,
    signed,
    timecode,
)


def build_warnings(session: Session) -> Notice | None:
    """What the analysis warned of."""
    metadata = session.metadata
    if not metadata.warnings:
        return None
    title = "The analysis has gaps" if metadata.status == "done_with_gaps" else "Please note"
    return Notice(title, lines=tuple(sanitize(warning) for warning in metadata.warnings))


def build_no_people(session: Session) -> Notice | None:
    """Which of three reasons applies if no person was tracked: no frame, no face, or no track."""
    if session.people:
        return None
    if session.coverage.n_frames == 0:
        return _no_frames()
    if session.coverage.n_faces == 0:
        return _no_faces(session.coverage.n_frames)
    return _no_tracks(session)


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
        f"{pluralize(cover.n_faces, 'face')} found, but no person could be tracked",
        lines=(
            f"Faces appear in {percent(cover.share)} of {pluralize(cover.n_frames, 'analysed frame')}, each too "
            "briefly to be tracked as a person. The table of faces lists them with track_id -1.",
        ),
    )


# --- Cards ----------------------------------------------------------------------------------------------


def build_cards(session: Session) -> tuple[Card, ...]:
    """The headline numbers."""
    cover = session.coverage
    cards = [
        Card("Duration", timecode(session.duration_s), f"{pluralize(cover.n_frames, 'frame')} analysed"),
        Card("People", count(cover.n_people), _people_note(session)),
        Card("Coverage", percent(cover.share), "of analysed frames show a face"),
    ]
    if session.people:
        cards += [_engagement_card(session), _reacting_card(session), _valence_card(session)]
    return tuple(cards)


def _people_note(session: Session) -> str:
    if not session.people:
        return "no person was tracked"
    if len(session.people) == 1:
        return f"in view for {timecode(session.people[0].seconds)}"
    return f"at most {session.most_at_once} in the same {session.bin_seconds:g} s"


def _engagement_card(session: Session) -> Card:
    expressiveness = score(session.mean("expressiveness"))
    if not session.pose_known:
        return Card("Expressiveness", expressiveness, "attention and engagement unknown: no head pose")
    note = f"attention {score(session.mean('attention'))} · expressiveness {expressiveness}"
    return Card("Mean engagement", score(session.mean("engagement")), note)


def _reacting_card(session: Session) -> Card:
    share = percent(session.mean("reacting"))
    if session.most_at_once <= 1:
        return Card("Reacting", share, "of the time in which a person is in view")
    most = find_most_reacting(session.timeline)
    if most is None:
        return Card("Reacting at once", "0", f"no person reaches {REACTING_THRESHOLD:g} expressiveness")
    note = f"at {timecode(most.time_s)}; on average {share} of the people in view"
    return Card("Most reacting at once", str(most.n_reacting), note, unit=f"of {most.n_people}")


def _valence_card(session: Session) -> Card:
    note = f"positive {score(session.mean('positive'))} − negative {score(session.mean('negative'))}"
    return Card("Net positivity", signed(session.mean("valence")), note)


# --- Summary and expressions ----------------------------------------------------------------------------


def build_summary(session: Session) -> str | None:
    """See `summarize`; None without people."""
    return summarize(session) or None


def summarize(session: Session) -> str:
    """The page in three sentences, for readers who skip the charts and for screen readers; empty without people."""
    if not session.people:
        return ""
    return " ".join([_sum_up_people(session), *_sum_up_expressions(session), _sum_up_peaks(session)])


def _sum_up_people(session: Session) -> str:
    who = "One person appears" if len(session.people) == 1 else f"{count(len(session.people))} people appear"
    return f"{who} in the video; {percent(session.coverage.share)} of the analysed frames show a face."


def _sum_up_expressions(session: Session) -> list[str]:
    means = _mean_probabilities(session)
    most, without_neutral = leading_label(means, neutral=True), leading_label(means)
    if not most:
        return []
    second = f", followed by {without_neutral}" if without_neutral and without_neutral != most else ""
    return [f"Overall, {sanitize(most)} has the highest mean score{sanitize(second)}."]


def _sum_up_peaks(session: Session) -> str:
    if not session.peaks:
        return "There is no peak."
    top = max(session.peaks, key=lambda peak: peak.height)
    others = f", the highest of {len(session.peaks)} peaks" if len(session.peaks) > 1 else ""
    label = f"; apart from neutral, {sanitize(top.label)} has the highest score there" if top.label else ""
    return (
        f"{top.curve.capitalize()} reaches {score(top.height)} around {timecode(top.time_s)}{others}{label}."
    )


def build_expressions(session: Session) -> ExpressionBar | None:
    """Mean scores over the whole video; None without people."""
    if not session.people:
        return None
    return build_expression_bar(session.labels, _mean_probabilities(session))


def _mean_probabilities(session: Session) -> dict[str, float]:
    return {f"prob_{label}": session.mean(f"prob_{label}") for label in session.labels}
