"""What is said of one person over the whole video."""

import pytest

from ferflow.analytics.persons import Person
from ferflow.analytics.sightings import Sighting


@pytest.mark.parametrize(
    ("readable_s", "engagement", "is_pointed_out"),
    [(12.0, 0.96, True), (10.0, 0.96, True), (9.9, 0.96, False), (60.0, 0.94, False), (60.0, 1.0, True)],
)
def test_who_is_at_rest_for_less_than_a_twentieth_of_ten_seconds_or_more_is_pointed_out(
    readable_s, engagement, is_pointed_out
):
    seen = Sighting(0.0, 60.0, 60.0, 1500, 0.9)
    person = Person(1, seen, readable_s, {"engagement": engagement}, 1.0, None)
    assert person.is_never_at_rest is is_pointed_out
