"""How to read the overview."""

from __future__ import annotations

from ferflow.analytics.measures import LEADING, MEASURES, REACTING_THRESHOLD
from ferflow.dashboards.overview.clock_chart.canvas import LEAST_SOLID
from ferflow.dashboards.overview.cohort import describe_rule
from ferflow.dashboards.overview.overview_data import Folder
from ferflow.dashboards.shared.elements import Terms


def build_words(folder: Folder) -> Terms | None:
    """The words of the page that are no everyday words, where they first appear; None without participants."""
    if not folder.cohort.participants:
        return None
    return (
        ("Engagement", "is the share of the time in which a face can be read that it shows an expression. It is not "
         "interest: a still face may be interested."),
        ("Reacting", "is a participant who shows an expression for at least half of a step of the curves."),
        ("Net positivity", "is how happy a face appears, minus how angry, disgusted, afraid or sad: above zero more "
         "positive, below zero more negative."),
    )  # fmt: skip


def build_glossary(folder: Folder) -> Terms | None:
    """None with fewer than two participants."""
    if not folder.has_cohort:
        return None
    return (
        ("Participants", "are what is counted: a person in a video, or the participant that the session list names for "
         "a video. Tracks with the same name in people.csv are one participant, in one video or in several. "
         + describe_rule()),
        (MEASURES[LEADING].title, MEASURES[LEADING].description + " All means are weighted by the time in which the "
         "face can be read."),
        ("Reacting", f"is a participant who shows an expression for at least {REACTING_THRESHOLD:.0%} of the readable "
         "time of a step."),
        ("Still there", "are the participants whose face is seen at that time or later, as a share of all whose face "
         "is seen at all. Those who leave too early to be counted elsewhere are in it. A recording that ends early "
         "counts as leaving: the page cannot know why it ends."),
        ("The shaded area", "shows how uncertain a mean is because the number of participants is limited. It does not "
         f"show whether the model reads these faces correctly. Curves over fewer than {LEAST_SOLID} participants are "
         "thin and have none."),
        ("Groups", "are compared by how faces appear, with the cameras and the light of the recordings. The page does "
         "not show the cause of a difference."),
        ("Negative", "does not mean bad: effort and suspense look similar, above all in games."),
    )  # fmt: skip
