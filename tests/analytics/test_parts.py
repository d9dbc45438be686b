"""Several files of one participant as one recording; the truth is arithmetic, and pandas over their tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from ferflow.analytics.parts import FileFacts, place_parts
from ferflow.analytics.session_list import read_sessions
from ferflow.dashboards import PageOptions
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.dashboards.shared.session_stimulus import find_session_stimulus
from ferflow.store.video_files import VideoFiles
from tests.made_records import Made, write_session

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def placed(tmp_path, rows: str, facts: dict[str, FileFacts]) -> tuple[dict[str, float], tuple[str, ...]]:
    """`offset_s` of every video, and the warnings."""
    path = tmp_path / "sessions.csv"
    path.write_text(f"video,participant,stimulus,part,offset_s\n{rows}", encoding="utf-8")
    listed = place_parts(read_sessions(path, {name: f"/films/{name}.mp4" for name in facts}), facts)
    return {name: row.offset_s for name, row in listed.rows.items()}, listed.warnings


def test_a_part_starts_where_the_parts_before_it_end(tmp_path):
    facts = {name: FileFacts(f"{name}.mp4", length) for name, length in (("c", 7.0), ("a", 5.5), ("b", 2.25))}
    offsets, warnings = placed(tmp_path, "b,Ada,film,3,\nc,Ada,film,1,1.5\na,Ada,film,2,\n", facts)
    assert offsets == {"c": 1.5, "a": 1.5 - 7.0, "b": 1.5 - 7.0 - 5.5}
    assert warnings == ()


def test_a_part_with_a_place_of_its_own_keeps_it_and_the_next_follows_it(tmp_path):
    facts = {name: FileFacts(name, 10.0) for name in "abc"}
    offsets, _ = placed(tmp_path, "a,Ada,film,1,\nb,Ada,film,2,-12\nc,Ada,film,3,\n", facts)
    assert offsets == {"a": 0.0, "b": -12.0, "c": -22.0}


def test_chapters_follow_one_another_by_name_where_they_have_one_creation_time(tmp_path):
    names = ["GX030007", "GX010007", "GX020007"]
    facts = {name: FileFacts(f"{name}.MP4", 100.0, NOON) for name in names}
    rows = "".join(f"{name},Ada,film,auto,\n" for name in names)
    assert placed(tmp_path, rows, facts)[0] == {"GX010007": 0.0, "GX020007": -100.0, "GX030007": -200.0}


def test_files_follow_one_another_by_their_creation_times(tmp_path):
    facts = {
        name: FileFacts(name, 60.0, NOON + timedelta(minutes=late))
        for name, late in (("late", 9), ("early", 3), ("zero", 0))
    }
    rows = "".join(f"{name},Ada,,auto,\n" for name in facts)
    assert placed(tmp_path, rows, facts)[0] == {"zero": 0.0, "early": -60.0, "late": -120.0}


def test_a_missing_part_is_named(tmp_path):
    facts = {name: FileFacts(name, 10.0) for name in "abc"}
    _, warnings = placed(tmp_path, "a,Ada,film,1,\nb,Ada,film,3,\nc,Bo,film,2,\n", facts)
    assert warnings == (
        "session list: of Ada, part 2 is missing, so that part 3 follows part 1",
        "session list: of Bo, part 1 is missing, so that the clock starts with part 2",
    )


@pytest.mark.parametrize("stimulus", ["a film", ""])
def test_on_the_common_clock_two_files_are_one_session(tmp_path, stimulus):
    for name, seconds in (("a", 20), ("b", 15)):
        write_session(tmp_path, Made(seconds=seconds, video_id=name, people=1, seed=seconds))
    (tmp_path / "sessions.csv").write_text(
        f"video,participant,part,stimulus\na,Ada,1,{stimulus}\nb,Ada,2,{stimulus}\n", encoding="utf-8"
    )
    folder = load_folder(tmp_path, PageOptions())
    (clock,) = folder.clocks
    (ada,) = clock.cohort.everybody
    found = clock.curve(ada, "valence")
    tables = [pd.read_parquet(tmp_path / "timeline" / f"{name}.parquet") for name in "ab"]
    whole = np.concatenate([table[table.person_id.notna()].valence for table in tables])
    assert len(found) == len(whole) == 35
    np.testing.assert_allclose(found, whole, atol=1e-9)
    assert ada.length_s == pytest.approx(35, abs=0.3)


def test_markers_of_the_stimulus_are_on_the_page_of_a_later_part(tmp_path):
    for name in "ab":
        write_session(tmp_path, Made(seconds=20, video_id=name, people=1))
    (tmp_path / "sessions.csv").write_text(
        "video,participant,part,stimulus\na,Ada,1,film\nb,Ada,2,film\n", encoding="utf-8"
    )
    length_s = load_folder(tmp_path, PageOptions()).entries[0].duration_s
    stimulus = find_session_stimulus(VideoFiles(tmp_path, "b"), PageOptions())
    assert stimulus.offset_s == pytest.approx(-length_s)
