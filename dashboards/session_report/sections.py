"""A session in words: what each section of its page says. Plain texts; the template escapes and lays out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ferflow import palette
from ferflow.analytics.measures import MEASURES, REACTING_THRESHOLD
from ferflow.analytics.peaks import PEAK_PROMINENCE, SMOOTHING_SECONDS
from ferflow.analytics.persons import Person
from ferflow.analytics.timeline import leading_label
from ferflow.dashboards.session_report.downsample import MOST_LANES, drawn
from ferflow.dashboards.session_report.expression_bar import mix_of, mix_words
from ferflow.dashboards.session_report.marker_section import moments_of
from ferflow.dashboards.session_report.measure_columns import measure_cells, measure_headings
from ferflow.dashboards.session_report.quality import quality_of, reading, sampling
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    count,
    listed,
    percent,
    score,
    shown,
    signed,
    some,
    timecode,
)

MOST_PEOPLE_ROWS = 40
"""People with a row of their own in the table, the longest seen first."""

Section = dict[str, Any]


def page_of(session: Session) -> Section:
    """Everything the template of a session needs but the figure."""
    footer = session.footer
    return {
        "name": shown(session.name),
        "lead": _lead(session),
        "warnings": [shown(warning) for warning in footer.warnings],
        "warnings_title": "The analysis has gaps" if footer.status == "done_with_gaps" else "To keep in mind",
        "empty": _empty(session),
        "cards": _cards(session),
        "summary": _summary(session),
        "mix": mix_of(
            session.labels, {f"prob_{label}": session.mean(f"prob_{label}") for label in session.labels}
        ),
        "measure_headings": measure_headings(),
        **_timeline_words(session),
        **_peaks(session),
        **_people(session),
        **moments_of(session),
        **quality_of(session),
        **_film(session),
        "reading": reading(session),
    }


# --- Top ------------------------------------------------------------------------------------------------


def _lead(session: Session) -> str:
    footer = session.footer
    parts = [f"ferflow {footer.ferflow_version}", f"model {footer.model.name}"]
    parts += [f"detector {footer.detector.name}", sampling(session)]
    return " · ".join(parts)


def _empty(session: Session) -> Section | None:
    n, faces = session.coverage.n_frames, session.coverage.n_faces
    if session.people:
        return None
    if n == 0:
        return {
            "title": "No frame was analysed",
            "paragraphs": [
                "The chosen part of the video holds no frame that could be read. There is nothing to show; "
                "this says nothing about who is in it.",
            ],
        }
    if faces == 0:
        title = f"No face was found in any of the {some(n, 'analysed frame')}"
        if n == 1:
            title = "No face was found in the one analysed frame"
        return {
            "title": title,
            "paragraphs": [
                "The video was read and analysed; the detector saw nobody. This is a result, not a failure.",
                "If people are in it, their faces may be too small, turned away or too dark: try a smaller "
                "--min-face, a lower --score, or look at the data-quality box below.",
            ],
        }
    return {
        "title": f"{some(faces, 'face')} found, but nobody could be followed",
        "paragraphs": [
            f"Faces appear in {percent(session.coverage.share)} of {some(n, 'analysed frame')}, each "
            "too briefly "
            "to be followed as a person. They are in the table of faces with track_id -1.",
        ],
    }


def _cards(session: Session) -> list[Section]:
    cover = session.coverage
    cards = [
        _card("Duration", timecode(session.duration_s), f"{some(cover.n_frames, 'frame')} analysed"),
        _card("People", count(cover.n_people), _people_note(session)),
        _card("Coverage", percent(cover.share), "of analysed frames show a face"),
    ]
    return cards + ([_engagement_card(session), _reacting_card(session), _valence_card(session)]
                    if session.people else [])  # fmt: skip


def _card(label: str, value: str, note: str, unit: str = "") -> Section:
    return {"label": label, "value": value, "unit": unit, "note": note}


def _people_note(session: Session) -> str:
    if not session.people:
        return "nobody was followed"
    if len(session.people) == 1:
        return f"in view for {timecode(session.people[0].seconds)}"
    return f"at most {session.most_at_once} within {session.bin_seconds:g} s"


def _engagement_card(session: Session) -> Section:
    expressiveness = score(session.mean("expressiveness"))
    if not session.pose_known:
        return _card("Expressiveness", expressiveness, "attention and engagement unknown: no head pose")
    note = f"attention {score(session.mean('attention'))} · expressiveness {expressiveness}"
    return _card("Mean engagement", score(session.mean("engagement")), note)


def _reacting_card(session: Session) -> Section:
    if session.most_at_once <= 1:
        return _card("Reacting", percent(session.mean("reacting")), "of the time somebody is in view")
    together = session.together
    if together is None:
        return _card("Reacting at once", "0", f"nobody passes {REACTING_THRESHOLD:g} expressiveness")
    return _card(
        "Most reacting at once",
        str(together.n_reacting),
        f"at {timecode(together.time_s)}; {percent(session.mean('reacting'))} of people on average",
        unit=f"of {together.n_people}",
    )


def _valence_card(session: Session) -> Section:
    note = f"positive {score(session.mean('positive'))} − negative {score(session.mean('negative'))}"
    return _card("Net positivity", signed(session.mean("valence")), note)


def _summary(session: Session) -> str:
    """The page in three sentences, for those who read no charts and those who hear the page."""
    if not session.people:
        return ""
    who = "One person is" if len(session.people) == 1 else f"{count(len(session.people))} people are"
    text = f"{who} in view; {percent(session.coverage.share)} of the analysed frames show a face. "
    means = {f"prob_{label}": session.mean(f"prob_{label}") for label in session.labels}
    most, next_ = leading_label(means, neutral=True), leading_label(means)
    if most:
        apart = f", apart from that {next_}" if next_ and next_ != most else ""
        text += f"On the whole {shown(most)} appears most{shown(apart)}. "
    if not session.peaks:
        return text + "No moment stands out from the others."
    top = max(session.peaks, key=lambda peak: peak.height)
    others = f", the highest of {len(session.peaks)} peaks" if len(session.peaks) > 1 else ""
    there = f"{top.curve.capitalize()} reaches {score(top.height)} around {timecode(top.time_s)}{others}"
    return f"{text}{there}; {shown(top.label)} appears there." if top.label else f"{text}{there}."


# --- Timeline, peaks, people ----------------------------------------------------------------------------


def _timeline_words(session: Session) -> Section:
    if not len(session.timeline):
        return {}
    data = drawn(session)
    joined = f" ({data.step} bins of the table)" if data.step > 1 else ""
    lanes = (
        f" People beyond the {MOST_LANES} longest in view have no lane."
        if len(session.people) > MOST_LANES
        else ""
    )
    rows = ["engagement with its factors", "shares of expressions", "net positivity", "who is in view"]
    rows = [*(["markers"] if len(session.markers) else []), *(rows if session.people else []), "coverage"]
    meaning = f"What became of the time, in steps of {data.step_s:g} s{joined}."
    if session.people:
        meaning = (
            f"Each point is the mean of {data.step_s:g} s{joined}; a break in a curve means nobody was in view, or "
            "no frame."
        )
    return {
        "timeline_hint": f"{meaning} Point to read off values, click to go to a moment, drag to look closer, "
        f"double-click for all of it.{lanes}",
        "chart_words": f"Timeline over one time axis: {listed(rows)}. {_summary(session)} Use the slider of "
        "moments below to hear its values.",
        "end_s": f"{data.end_s:g}",
        "step_s": f"{data.step_s:g}",
    }


def _film(session: Session) -> Section:
    film = session.film
    return {
        "film": {
            "url": film.url,
            "first_s": film.first_s,
            "problem": shown(film.problem),
            "coding": shown(film.coding),
        },
        "people_there": bool(session.people),
    }


def _peaks(session: Session) -> Section:
    colours = palette.colours(session.labels)
    measure = MEASURES[session.lead].title
    smooth = f"on the curve averaged over {SMOOTHING_SECONDS:g} s"
    hint = f"Moments worth watching: where {measure.lower()} stands out from what is around it, {smooth}."
    if session.peaks and not session.pose_known:
        hint += " Head pose is unknown in this video, so expressiveness stands in for engagement."
    if not session.peaks:
        hint = f"No moment rises by {PEAK_PROMINENCE:g} or more above what is around it, {smooth}."
    if math.isfinite(session.peak_end):
        end = score(session.peak_end)
        hint += f" Peak-end score of happy, the mean of its highest and its last value: {end}."
    return {
        "peaks_measure": measure,
        "peaks_hint": hint,
        "peaks": [_peak(session, k, colours) for k in range(len(session.peaks))],
        "clips": [_clip(session, url, places) for url, places in session.clips.items()],
    }


def _clip(session: Session, url: str, places: tuple[int, ...]) -> Section:
    """A clip and the peaks in it, by their numbers in the table."""
    shown_there = [session.peaks[place] for place in places]
    return {
        "url": url,
        "name": f"Clip of {listed([f'peak {place + 1}' for place in places])}",
        "peaks": [
            {"number": place + 1, "time": timecode(peak.time_s), "label": shown(peak.label or UNKNOWN)}
            for place, peak in zip(places, shown_there, strict=True)
        ],
    }


def _peak(session: Session, k: int, colours: Mapping[str, str]) -> Section:
    peak = session.peaks[k]
    return {
        "time": {"seconds": f"{peak.time_s:g}", "text": timecode(peak.time_s)},
        "span": f"{timecode(peak.start_s)} – {timecode(peak.end_s)}",
        "height": score(peak.height),
        "width": f"{100 * min(peak.height, 1.0):.1f}",
        "prominence": score(peak.prominence),
        "label": shown(peak.label or UNKNOWN),
        "colour": colours.get(peak.label or "", "transparent"),
        "people": _names(session, peak.track_ids),
    }


def _names(session: Session, track_ids: tuple[int, ...], most: int = 8) -> str:
    names = [shown(session.name_of(track)) for track in track_ids[:most]]
    return listed([*names, f"{len(track_ids) - most} more"] if len(track_ids) > most else names) or UNKNOWN


def _people(session: Session) -> Section:
    listed_people = session.people[:MOST_PEOPLE_ROWS]
    hint = (
        "Numbers are means over a person's faces, those above are over seconds: the two can differ a little. A person "
        "is a face followed without a break: somebody who leaves and returns may be counted twice."
    )
    if hidden := session.people[MOST_PEOPLE_ROWS:]:
        longest = timecode(hidden[0].seconds)
        hint += f" Not listed: {some(len(hidden), 'person', 'people')} in view for {longest} or less."
    return {"people_hint": hint, "people": [_person(session, person) for person in listed_people]}


def _person(session: Session, person: Person) -> Section:
    means, mix = person.means, mix_of(session.labels, person.means)
    return {
        "name": shown(session.name_of(person.track_id)),
        "seconds": timecode(person.seconds),
        "span": f"{timecode(person.first_s)} – {timecode(person.last_s)}",
        "mix": mix,
        "mix_words": mix_words(mix),
        "label": shown(person.label or UNKNOWN),
        "leading": shown(person.leading) if person.leading and person.leading != person.label else None,
        "measures": measure_cells(means),
        "pose_known": percent(person.pose_known),
    }
