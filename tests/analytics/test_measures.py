"""A measure that only this test knows shows up everywhere, and the documents say what the registry says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.group_comparison import compare
from ferflow.analytics.measure_docs import BEGIN, END, TABLES, main, replace_table
from ferflow.analytics.measures import MEASURES, FaceValues, Measure, page_measures
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.persons import people
from ferflow.analytics.sightings import find_sightings
from ferflow.analytics.timeline import is_current, timeline, timeline_schema, usual_bins, write_timeline
from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.models.timeline_basis import find_basis
from ferflow.store.records import read_table
from ferflow.store.video_files import VideoFiles
from tests.dashboards.read_page import share, table
from tests.made_cohort import write_run
from tests.made_records import LABELS, Made, made_basis, made_tables, write_session

SMILE = Measure(
    name="smile",
    title="Smiling",
    formula="`prob_happy` > 0.5",
    description="is a face that the model takes for happy.",
    range=(0, 1),
    format="share",
    colour="#123ABC",
    compute=lambda faces: np.where(np.isnan(happy := faces.probabilities["happy"]), np.nan, happy > 0.5),
)
MADE = [
    Made(seconds=30, people=2, video_id="first", markers=((5.0, None, "clap", ""), (8.0, 12.0, "joke", ""))),
    Made(seconds=30, people=1, video_id="second", seed=4),
]


@pytest.fixture
def with_smile(monkeypatch):
    monkeypatch.setitem(MEASURES, SMILE.name, SMILE)


@pytest.fixture
def out(tmp_path):
    write_run(tmp_path, [write_session(tmp_path, made) for made in MADE])
    (tmp_path / "sessions.csv").write_text(
        "video,group,stimulus\nfirst,a,show\nsecond,b,show\n", encoding="utf-8"
    )
    return tmp_path


def readable_faces(made: Made) -> pd.DataFrame:
    """Tracked faces that can be read, with whether they smile; all frames last equally long."""
    faces = made_tables(made)[1].to_pandas().query("track_id != -1")
    faces = faces[~(faces.yaw.abs() > 45) & (faces.face_px >= 28) & (faces.sharpness >= 50)]
    return faces.assign(smiles=faces.prob_happy > 0.5)


def smiling_faces(made: Made) -> pd.Series:
    """Share of smiling faces by track."""
    return readable_faces(made).groupby("track_id").smiles.mean()


def smiling_bins(made: Made) -> pd.DataFrame:
    """Share of smiling faces by bin (rows) and track (columns)."""
    faces = readable_faces(made)
    return faces.smiles.groupby([(faces.time_s + 1e-9) // 1, faces.track_id]).mean().unstack()


def test_a_registered_measure_is_in_the_schema_the_timeline_and_the_means_of_people(with_smile):
    frames, faces = made_tables(MADE[0])
    assert timeline_schema(LABELS).names[-2 * len(LABELS) - 3] == "smile"
    rows = timeline(frames, faces, made_basis(MADE[0]), video_id="x", bin_seconds=1.0)
    seen = find_sightings(faces, FrameTimes.from_frames(frames, end_s=MADE[0].seconds))
    means = {person.person_id: person.means["smile"] for person in people(rows, seen)}
    rows = rows.to_pandas()
    by_hand = smiling_bins(MADE[0])
    assert by_hand.max(axis=None) > 0.5
    lanes = rows[rows.person_id.notna()].pivot(index="bin_start_s", columns="person_id", values="smile")
    np.testing.assert_allclose(lanes, by_hand.reindex(lanes.index), atol=1e-6)
    audience = rows[rows.person_id.isna()].set_index("bin_start_s").smile
    np.testing.assert_allclose(audience, by_hand.mean(axis=1).reindex(audience.index), atol=1e-6)
    assert means == pytest.approx(smiling_faces(MADE[0]).to_dict())


def test_a_registered_measure_is_in_cohorts_csv_files_and_pages(with_smile, out):
    assert refresh(out).failed == {}
    folder = load_folder(out, PageOptions())
    by_hand = {video.video_id: smiling_faces(video) for video in MADE}
    for participant in folder.cohort.participants:
        (video_id,) = participant.video_ids
        assert participant.mean("smile") == pytest.approx(
            by_hand[video_id][int(participant.key[-1])], abs=1e-6
        )
    (found,) = compare(folder.cohort, ["smile"])
    assert found.n == (2, 1)

    write_tables(out, PageOptions())
    for name in ("videos", "participants", "people", "segments"):
        assert "smile" in pd.read_csv(out / "csv" / f"{name}.csv", encoding="utf-8-sig").columns, name
    for name in ("groups", "comparisons", "curves", "marker_curves"):
        assert "smile" in set(pd.read_csv(out / "csv" / f"{name}.csv", encoding="utf-8-sig").measure), name

    page = VideoFiles(out, "first").report.read_text(encoding="utf-8")
    assert page.count('<th class="n">Smiling</th>') == 2  # people and segments
    cells = {row[0]: row[-2] for row in table(page, "people")}
    assert {name: cells[name] for name in ("Person 1", "Person 2")} == {
        f"Person {track}": share(value) for track, value in smiling_faces(MADE[0]).items()
    }
    figure = json.loads(re.search(r'id="timeline-figure">(.*?)</script>', page, re.DOTALL)[1])
    (curve,) = [trace for trace in figure["data"] if trace.get("name") == "smiling"]
    assert curve["line"]["color"] == SMILE.colour
    assert any("Smiling" in note["text"] for note in figure["layout"]["annotations"])
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)[1])
    assert "smile" in facts["measures"]
    assert "Smiling" in (out / "index.html").read_text(encoding="utf-8")


def test_a_timeline_from_before_a_measure_was_added_is_written_again_with_its_bins(out, monkeypatch):
    paths = VideoFiles(out, "first")
    write_timeline(paths, find_basis(Persons.of(paths)), 2.5)
    old = read_table(paths.timeline)
    assert is_current(paths, find_basis(Persons.of(paths)), 2.5)
    assert not is_current(paths, find_basis(Persons.of(paths)), 1.0)
    monkeypatch.setitem(MEASURES, SMILE.name, SMILE)
    assert not is_current(paths, find_basis(Persons.of(paths)))
    refresh(out)
    new = read_table(paths.timeline)
    assert usual_bins(paths) == 2.5
    assert new.drop_columns(["smile"]).equals(old)
    before = paths.timeline.stat().st_mtime_ns
    refresh(out)
    assert paths.timeline.stat().st_mtime_ns == before


def test_values_stay_within_the_range_that_a_measure_states():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(len(LABELS)), 500).T
    by_label = dict(zip(LABELS, scores, strict=True))
    faces = FaceValues(rng.uniform(-90, 90, 500), rng.uniform(-90, 90, 500), by_label, by_label, by_label)
    for measure in MEASURES.values():
        values = measure.compute(faces)
        assert measure.range[0] <= values.min() <= values.max() <= measure.range[1], measure.name


def test_what_readers_see_of_each_measure():
    """Its scale; no measure of ferflow's has a row of its own, and parts of another one have no column."""
    assert {name: one.range for name, one in MEASURES.items()} == dict.fromkeys(MEASURES, (0, 1)) | {
        "valence": (-1, 1)
    }
    assert [name for name, one in MEASURES.items() if one.has_row] == []
    assert {name for name, one in MEASURES.items() if not one.has_column} == {
        "positive",
        "negative",
        "reacting",
    }


def test_pages_lead_with_engagement():
    assert page_measures()[0].name == "engagement"
    assert {measure.name for measure in page_measures()} == set(MEASURES)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_documents_have_the_table_that_the_registry_gives(name):
    text = (Path(__file__).parents[2] / "docs" / name).read_text(encoding="utf-8")
    assert replace_table(text, TABLES[name]()) == text, "run python -m ferflow.analytics.measure_docs"


def test_a_registered_measure_is_in_the_documents(with_smile, tmp_path):
    for name in TABLES:
        (tmp_path / name).write_text(f"# {name}\n\n{BEGIN}\n{END}\n\nThe end.\n", encoding="utf-8")
    main([str(tmp_path)])
    for name in TABLES:
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "`smile`" in text
        assert "`prob_happy` > 0.5" in text
        assert text.endswith(f"{END}\n\nThe end.\n")
    with pytest.raises(ValueError, match="no place for the table"):
        replace_table("# No table\n", "")
