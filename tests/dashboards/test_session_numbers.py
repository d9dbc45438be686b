"""Every number on a session's page, worked out again from the Parquet files with pandas alone.

`expect_session` states what each part of the page should say. A number, label or unknown that it does not state fails
the test: a new number needs an expectation.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.dashboards import expect_session, read_page, recompute
from tests.dashboards.expect_session import COLUMNS, expected_values
from tests.dashboards.made_sessions import Session
from tests.dashboards.read_page import headings, values_in
from tests.dashboards.recompute import Tables


def test_every_number_on_the_page_is_known_and_right(session):
    check_page(session)


@pytest.mark.clips
def test_every_number_on_the_pages_of_real_clips_is_known_and_right(real_sessions):
    assert {len(session.video.people) for session in real_sessions} >= {0, 1, 2}
    for session in real_sessions:
        check_page(session)
        check_timeline(session.video)


def check_page(session: Session) -> None:
    """Every part of the page says what it should say, and nothing else."""
    wanted = {part: values_in(texts) for part, texts in expected_values(session.video).items()}
    found = {part: session.page.values(part) for part in session.page.parts}
    for part in {**wanted, **found}:
        assert found.get(part, []) == wanted.get(part, []), (session.video.facts["source"]["name"], part)


def test_the_timeline_is_what_its_frames_and_faces_say(session):
    # Of joined tracks, the timeline on disk is that of each track.
    check_timeline(Tables(session.path.parents[1], session.path.stem))


def check_timeline(video: Tables) -> None:
    """Every column and row of TIMELINE."""
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
        assert found[start + len(COLUMNS)] in ("Turn of head known", "People")


@pytest.mark.parametrize("module", [recompute, expect_session, read_page])
def test_what_is_expected_comes_from_no_code_of_the_product(module):
    imported = re.findall(
        r"^(?:from|import) ([\w.]+)", Path(module.__file__).read_text(encoding="utf-8"), re.M
    )
    assert not [name for name in imported if name.startswith(("ferflow", "tests.made", "tests.conftest"))]
