"""What the persons of a video are called. Nothing else decides it.

Sources, the strongest first:

1. `people.csv`, by track or by person;
2. the participant of the session list, for a video in which one person counts;
3. the name of the region in which the person is, as of `--region player=bottom-right`, which may be the same for all
   videos;
4. the name of the file without its ending, for the only person of a video;
5. `Person 1` and so on.

>>> names = NameLists(read_people(out), read_sessions(path, sources))
>>> Persons.of(files, names.of(files.video_id)).name_of(1)
'Ada'
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from ferflow.analytics.correction_rows import Codings, Corrections
from ferflow.analytics.people_list import PeopleList, PersonNames
from ferflow.analytics.session_list import Sessions
from ferflow.text import sanitize


@dataclass(frozen=True, slots=True)
class NameLists:
    """The lists in which users name and correct what was found."""

    people: PeopleList = field(default_factory=PeopleList)
    sessions: Sessions = field(default_factory=Sessions)
    corrections: Corrections = field(default_factory=Corrections)
    codings: Codings = field(default_factory=Codings)

    def of(self, video_id: str) -> PersonNames:
        """What they say of one video."""
        listed = self.sessions.of(video_id)
        return replace(
            self.people.of(video_id),
            participant=listed.participant,
            limits=listed.limits,
            corrections=self.corrections.of(video_id),
            codings=self.codings.of(video_id),
        )


@dataclass(frozen=True, slots=True)
class GivenNames:
    """What the persons of a video are called."""

    by_person: Mapping[int, str] = field(default_factory=dict)
    """Names that the user gave: in a list, or to a region. A name in several videos is one participant."""
    of_file: Mapping[int, str] = field(default_factory=dict)
    """The only person of a video, if no name was given: called like the file, which tells nothing of other videos."""
    of_region: Mapping[int, str] = field(default_factory=dict)
    """Names of the regions in which persons are, also of persons whom `people.csv` calls otherwise."""

    def name_of(self, person_id: int) -> str:
        """The name, or `Person <id>`; `person no. <id>` if another person was given that name."""
        found = self.by_person.get(person_id) or self.of_file.get(person_id)
        if found:
            return found
        default = f"Person {person_id}"
        return f"person no. {person_id}" if default in self.by_person.values() else default

    def find_participant(self, participant: str, ids: Sequence[int]) -> list[int]:
        """Who of `ids` counts as the participant whom the session list names for their video.

        The person of that name; without one, all who were given no name: one face may have several ids, as after a cut.
        """
        named = [person for person in ids if self.name_of(person) == participant]
        return named or [person for person in ids if person not in self.by_person]


def describe_joined(participant: str, n: int) -> str:
    """That several people count as one participant, in two sentences."""
    name = sanitize(participant)
    return (
        f"{n} people are in view and none of them is called {name}, so all of them together count as {name}. To change "
        "that, give this name to the right tracks in people.csv."
    )


def name_sole_person(
    given: Mapping[int, str],
    sole: int | None,
    *,
    of_regions: Collection[str] = (),
    participant: str | None,
    file_name: str,
) -> GivenNames:
    """Names of a video with those of its only person.

    Args:
        given: names by `people.csv` and by regions.
        sole: the only person who counts; None: there is none, or there are several.
        of_regions: the names that regions have and `people.csv` does not give.
        participant: of the session list.
        file_name: of the video.
    """
    if sole is None or (sole in given and given[sole] not in of_regions):
        return GivenNames(given)
    # Somebody who is seen too briefly to count may have the participant's name already.
    if participant and participant not in given.values():
        return GivenNames({**given, sole: participant})
    return GivenNames(given, {} if sole in given else {sole: PurePath(file_name).stem})
