"""The table of people."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ferflow.analytics.persons import Person
from ferflow.dashboards.session_report.measure_columns import measure_cells, measure_headings
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.elements import ExpressionBar, build_expression_bar
from ferflow.dashboards.shared.number_format import (
    UNKNOWN,
    percent,
    percent_of,
    pluralize,
    sanitize,
    timecode,
)

MOST_PEOPLE_ROWS = 40
"""People with a row of their own, the longest in view first."""


_RECOGNITION = {
    "colour": "After a break, a person is recognised by clothing and hair, within this video only: two who are dressed "
    "alike may count as one, and one whose clothing looks different in other light as two.",
    "face": "After a break, a person is recognised by the face, within this video only: two who look alike may count "
    "as one, and one who is seen from another side as two.",
    "off": "No person is recognised after a break: who leaves the picture and returns counts as another person.",
}
"""How tracks become persons, by the option `--stitch`."""


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person over the whole video."""

    name: str
    seconds: str
    readable: str
    """Share of the time in view in which the face can be read."""
    span: str
    bar: ExpressionBar
    label: str
    second_label: str
    """The expression shown longest but neutral, if that is another one."""
    measures: tuple[str, ...]
    """By the page's columns of measures."""
    pose_known: str


@dataclass(frozen=True, slots=True)
class People:
    """People in view, the longest first."""

    hint: str
    measure_headings: tuple[Markup, ...]
    rows: tuple[PersonRow, ...]


def build_people(session: Session) -> People | None:
    """None without people."""
    if not session.people:
        return None
    rows = tuple(_build_row(session, person) for person in session.people[:MOST_PEOPLE_ROWS])
    return People(_hint(session), measure_headings(), rows)


def _hint(session: Session) -> str:
    hint = (
        "Shares and means over the time in which the person's face can be read. "
        f"{_RECOGNITION[session.metadata.options.stitch]}"
    )
    if session.left_out.brief:
        n = len(session.left_out.brief)
        times = [one.first_s for one in session.left_out.brief]
        hint += (
            f" {pluralize(n, 'person', 'people')} seen only briefly or unclearly {'is' if n == 1 else 'are'} not listed"
            f" and not counted (from {', '.join(map(timecode, times[:8]))}{', …' if n > 8 else ''} on)."
        )
    if hidden := session.people[MOST_PEOPLE_ROWS:]:
        longest = timecode(hidden[0].seconds)
        hint += f" Not listed: {pluralize(len(hidden), 'person', 'people')} in view for {longest} or less."
    return hint


def _build_row(session: Session, person: Person) -> PersonRow:
    means = person.means
    second = person.leading if person.leading and person.leading != person.label else ""
    return PersonRow(
        name=sanitize(session.name_of(person.person_id)),
        seconds=timecode(person.seconds),
        readable=percent_of(person.readable_s, person.seconds),
        span=f"{timecode(person.sighting.first_s)} – {timecode(person.sighting.last_s)}",
        bar=build_expression_bar(session.labels, means),
        label=sanitize(person.label or UNKNOWN),
        second_label=sanitize(second),
        measures=measure_cells(means),
        pose_known=percent(person.pose_known),
    )
