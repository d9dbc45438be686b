"""How to read the overview."""

from __future__ import annotations

from ferflow.analytics.measures import LEADING, MEASURES, REACTING_THRESHOLD
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.shared.elements import Terms


def build_glossary(folder: Folder) -> Terms | None:
    """None with fewer than two participants."""
    if not folder.has_cohort:
        return None
    lead = MEASURES[LEADING]
    no_pose = (
        " It is used instead of engagement, which needs a head pose." if lead.name == "expressiveness" else ""
    )
    return (
        ("Participants", "are what is counted: a person in a video, or the participant that the session list names for "
         "a video. Tracks with the same name in people.csv are one participant, in one video or in several."),
        (lead.title, lead.description + no_pose),
        ("The band", f"shows how uncertain the mean {lead.title.lower()} is because the number of participants is "
         "limited. It does not show whether the model classifies these faces correctly."),
        ("Reacting", f"is the share of participants in view whose expressiveness is {REACTING_THRESHOLD:g} or more in "
         "at least half of their faces of a bin."),
        ("Groups", "are compared by how faces appear, with the cameras and the light of the recordings. The page does "
         "not show the cause of a difference."),
        ("Negative", "does not mean bad: effort and suspense look similar, above all in games."),
    )  # fmt: skip
