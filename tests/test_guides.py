"""The scripts for users of Python and R: they run, and their numbers are those of the pages."""

from __future__ import annotations

import io
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.exports.csv_tables import write_tables
from tests.made_records import Made, write_session

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """Two sessions with markers, and the tables of their pages."""
    folder = tmp_path_factory.mktemp("guides") / "out"
    clap = tuple((5.0 * k, None, "clap", "") for k in range(1, 6))
    stretch = (3.0, 9.0, "level", "segment")
    write_session(folder, Made(seconds=30, people=3, video_id="one", markers=(*clap, stretch)))
    write_session(folder, Made(seconds=30, people=3, video_id="two", markers=clap, seed=2))
    refresh(folder)
    write_tables(folder, PageOptions())
    return folder


def of_pages(out: Path) -> pd.DataFrame:
    people = pd.read_csv(out / "csv" / "people.csv").sort_values(["video_id", "person_id"])
    return people[["video_id", "person_id", "engagement"]].reset_index(drop=True)


def compare(found: pd.DataFrame, out: Path) -> None:
    found = found.sort_values(["video_id", "person_id"]).reset_index(drop=True)
    found = found[["video_id", "person_id", "engagement"]].astype({"person_id": "int64"})
    pd.testing.assert_frame_equal(found, of_pages(out), check_dtype=False, rtol=1e-6)


def test_the_script_for_python_runs(out):
    pytest.importorskip("polars")
    done = subprocess.run([sys.executable, DOCS / "python_users.py", out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "faces of a score above 0.9" in done.stdout


def test_engagement_as_the_guide_computes_it_is_that_of_the_pages(out):
    pytest.importorskip("polars")
    guide = runpy.run_path(str(DOCS / "python_users.py"))
    timeline = guide["read_timeline"](out)
    compare(guide["mean_by_person"](timeline), out)
    seconds = pd.read_csv(out / "csv" / "people.csv").sort_values(["video_id", "person_id"])
    assert guide["ask_in_sql"](out)["seconds_in_view"].tolist() == pytest.approx(
        seconds["seconds_in_view"].tolist()
    )


def test_means_around_markers_are_those_of_the_rows(out):
    """By hand, for one marker and one person."""
    pytest.importorskip("polars")
    guide = runpy.run_path(str(DOCS / "python_users.py"))
    timeline = guide["read_timeline"](out)
    found = guide["around_markers"](out, timeline).set_index(["video_id", "time_s", "person_id"])
    one = timeline.query("video_id == 'one' and person_id == 1")
    for when, starts in (("before", range(5, 10)), ("after", range(10, 16))):
        rows = one[one["bin_start_s"].isin(starts)]
        wanted = (rows["engagement"] * rows["readable_s"]).sum() / rows["readable_s"].sum()
        assert found.loc[("one", 10.0, 1), when] == pytest.approx(wanted)
    assert len(found) <= 5 * 6
    assert set(found["label"]) == {"clap"}


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_the_script_for_r_gives_the_engagement_of_the_pages(out):
    has_arrow = subprocess.run(["Rscript", "-e", "library(arrow)"], capture_output=True).returncode == 0
    if not has_arrow:
        pytest.skip("R has no package arrow")
    done = subprocess.run(["Rscript", DOCS / "r_users.R", out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    compare(pd.read_csv(io.StringIO(done.stdout)), out)
