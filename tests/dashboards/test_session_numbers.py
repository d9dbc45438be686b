"""Every number on a session's page, worked out again from the Parquet files with pandas alone.

`expect_session` states what each part of the page should say. A number, label or unknown that it does not state fails
the test: a new number needs an expectation.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.dashboards.expect_session import COLUMNS, expected_values
from tests.dashboards.read_page import headings, values_in
from tests.dashboards.recompute import Tables


def test_every_number_on_the_page_is_known_and_right(session):
    wanted = {part: values_in(texts) for part, texts in expected_values(session.video).items()}
    found = {part: session.page.values(part) for part in session.page.parts}
    for part in {**wanted, **found}:
        assert found.get(part, []) == wanted.get(part, []), part


def test_the_timeline_is_what_its_frames_and_faces_say(session):
    # Of joined tracks, the timeline on disk is that of each track.
    video = Tables(session.path.parents[1], session.path.stem)
    wanted, found = video.timeline(), video.stored
    assert len(found) == len(wanted)
    for name in found.columns.drop("video_id"):
        np.testing.assert_allclose(
            found[name].to_numpy(float), wanted[name].to_numpy(float), atol=2e-6, err_msg=name
        )


def test_calibrations_are_what_the_stretches_at_rest_say(session):
    found = {
        shift["person_id"]: shift["log_odds"] for shift in session.video.footer["basis"].get("shifts", [])
    }
    assert found == pytest.approx(session.video.shifts)


@pytest.mark.parametrize("table", ["people", "segments"])
def test_columns_of_measures_are_those_that_the_test_knows(session, table):
    if table in session.page.parts:
        found = headings(session.page.html, table)
        start = found.index(next(iter(COLUMNS)))
        assert found[start : start + len(COLUMNS)] == list(COLUMNS)
        assert found[start + len(COLUMNS)] in ("Pose known", "People")
