"""A sole participant who leaves: no person is counted while no face is seen, and nothing is said of an expression."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ferflow.analytics.event_locked import segments
from ferflow.analytics.markers import MARKERS
from ferflow.analytics.timeline import timeline
from ferflow.store.records import count_people
from tests.made_records import Made, made_basis, made_tables, write_session

AWAY = Made(seconds=30, people=1, away=((10, 20),))


@pytest.fixture(scope="module")
def table() -> pa.Table:
    frames, faces = made_tables(AWAY)
    return timeline(frames, faces, made_basis(AWAY), video_id="x", bin_seconds=1.0)


def test_bins_without_the_participant_have_no_people_and_no_row_of_a_person(table):
    rows = table.to_pandas()
    whole, person = rows[rows.person_id.isna()].set_index("bin_start_s"), rows[rows.person_id.notna()]
    away = (whole.index >= 10) & (whole.index < 20)
    assert (whole.n_people[away] == 0).all()
    assert (whole.n_readable[away] == 0).all()
    assert (
        whole[["reacting", "engagement", "expressiveness", "valence", "attention"]][away]
        .isna()
        .all(axis=None)
    )
    assert (whole.presence[away] == 0).all()
    seen = set(person.bin_start_s)
    assert seen.isdisjoint(np.arange(10, 20))
    assert (whole.n_people[~away] == [float(start in seen) for start in whole.index[~away]]).all()
    assert whole.n_people.max() == 1


@pytest.mark.parametrize(("start_s", "end_s", "n"), [(11, 19, 0), (5, 25, 1), (10, 20, 0), (2, 8, 1)])
def test_a_segment_counts_the_people_who_are_seen_in_it(table, start_s, end_s, n):
    marks = [{"video_id": "x", "time_s": float(start_s), "end_s": float(end_s), "label": "a", "kind": ""}]
    (found,) = segments(table, pa.Table.from_pylist(marks, schema=MARKERS)).to_pylist()
    assert found["n_people"] == n
    assert (found["engagement"] is None) == (n == 0)
    assert found["presence"] == pytest.approx(
        {(11, 19): 0, (10, 20): 0}.get((start_s, end_s), found["presence"])
    )


@pytest.mark.parametrize(("made", "n"), [(AWAY, 1), (Made(seconds=10, people=0, video_id="nobody"), 0)])
def test_the_people_of_a_video_are_those_with_rows(tmp_path, made, n):
    from ferflow.store.video_files import VideoFiles

    assert count_people(VideoFiles(tmp_path, write_session(tmp_path, made))) == n
