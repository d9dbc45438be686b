"""Each format read again by its own library: the values are those of the tables, and no name breaks it."""

from __future__ import annotations

import gzip
import io
import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import duckdb
import numpy as np
import openpyxl
import opentimelineio as otio
import pandas as pd
import pympi
import pyreadstat
import pytest

from tests.exchange.made_folder import HOSTILE, recompute_one

ONE, TWO, EMPTY = "one-00000001", "two-00000002", "empty-00000003"
SCENE = "scene <A> & \u201cB\u201d"


@pytest.fixture
def tidy(export) -> pd.DataFrame:
    """The timeline as CSV, whose values another test recomputes."""
    return pd.read_csv(export("csv") / "timeline.csv")


@pytest.fixture
def events(export) -> pd.DataFrame:
    """The events as the DuckDB file has them."""
    with duckdb.connect(str(export("duckdb") / "ferflow.duckdb"), read_only=True) as database:
        return database.sql("from events").df()


def same_values(found: pd.DataFrame, expected: pd.DataFrame, names: list[str]) -> None:
    np.testing.assert_allclose(
        found[names].to_numpy(float), expected[names].to_numpy(float), atol=1e-6, equal_nan=True
    )


MEASURES = [
    "seconds",
    "face_s",
    "readable_s",
    "engagement",
    "valence",
    "attention",
    "shown_happy",
    "prob_sad",
]


def test_duckdb_holds_the_tables_and_its_views_weigh_by_time(export, tidy):
    with duckdb.connect(str(export("duckdb") / "ferflow.duckdb"), read_only=True) as database:
        names = {row[0] for row in database.sql("show tables").fetchall()}
        assert names >= {
            "sessions",
            "people",
            "timeline",
            "faces",
            "events",
            "markers",
            "participants",
            "expressions",
        }
        rows = database.sql("from timeline").df()
        same_values(rows, tidy, MEASURES)
        assert rows.state.tolist() == tidy.state.tolist()
        means = database.sql("from participants").df().set_index("participant")
        shown = database.sql("from expressions").df()
        assert len(database.sql("from faces").df()) > 1000
    for name, mine in tidy.groupby("participant"):
        weights = mine.readable_s.where(mine.engagement.notna())
        expected = (mine.engagement * weights).sum() / weights.sum()
        key = HOSTILE if name == "'" + HOSTILE else name
        assert means.engagement[key] == pytest.approx(expected, abs=1e-6)
    happy = shown[(shown.participant == "Ada") & (shown.label == "happy")].seconds.item()
    mine = tidy[tidy.participant == "Ada"]
    assert happy == pytest.approx((mine.shown_happy * mine.readable_s).sum(), abs=0.5)


def test_events_tell_every_moment_of_every_person_once(events, tidy):
    for (video, person), mine in events.groupby(["video_id", "person_id"]):
        mine = mine.sort_values("start_s")
        assert mine.start_s.iloc[0] == 0
        np.testing.assert_allclose(mine.start_s[1:], mine.end_s[:-1], atol=1e-6)
        rows = tidy[(tidy.video_id == video) & (tidy.person_id == person)]
        seconds = (
            (mine.end_s - mine.start_s).groupby(mine.kind + mine.label.where(mine.kind == "state", "")).sum()
        )
        assert seconds["expression"] == pytest.approx(rows.readable_s.sum(), abs=1e-6)
        assert mine.end_s.max() == pytest.approx({ONE: 40, TWO: 30}[video])
        if video == ONE:
            assert seconds["statenot_analysed"] == pytest.approx(2.2)
            assert seconds["stateleft_out"] == pytest.approx(4 if person == 3 else 2, abs=0.11)


def test_events_are_those_that_pandas_finds_in_the_faces(events, export):
    """Runs of the label of each frame, of the person without corrections in the middle."""
    faces = pd.read_csv(export("csv") / "faces.csv")
    mine = faces[(faces.video_id == TWO) & faces.shown.notna()].sort_values("time_s")
    is_new = (mine.shown != mine.shown.shift()) | (mine.time_s - (mine.time_s + mine.seconds).shift() > 1e-6)
    runs = mine.assign(end=mine.time_s + mine.seconds).groupby(is_new.cumsum())
    expected = runs.agg(start=("time_s", "first"), end=("end", "last"), label=("shown", "first"))
    found = events[(events.video_id == TWO) & (events.kind == "expression")].sort_values("start_s")
    assert found.label.tolist() == expected.label.tolist()
    np.testing.assert_allclose(found[["start_s", "end_s"]], expected[["start", "end"]], atol=1e-6)


def test_short_and_unsure_expressions_are_left_out_on_request(export, events):
    with duckdb.connect(
        str(export("duckdb", "--min-duration", "1", "--threshold", "0.8") / "ferflow.duckdb"), read_only=True
    ) as database:
        found = database.sql("from events where kind = 'expression'").df()
    assert 0 < len(found) < (events.kind == "expression").sum()
    assert ((found.end_s - found.start_s) >= 1 - 1e-6).all()
    assert found.score.min() >= 0.8
    assert len(events[events.kind == "state"]) > 0


def test_excel_has_typed_cells_and_no_formulas(export, tidy):
    book = openpyxl.load_workbook(export("xlsx") / "ferflow.xlsx")
    assert book.sheetnames == ["sessions", "people", "timeline", "events", "markers"]
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s", "n"}
    assert HOSTILE in {cell.value for cell in cells}
    rows = pd.read_excel(export("xlsx") / "ferflow.xlsx", sheet_name="timeline")
    same_values(rows, tidy, MEASURES)
    assert rows.dtypes["engagement"] == np.float64
    assert pd.read_excel(export("xlsx") / "ferflow.xlsx", sheet_name="markers").label.tolist() == [
        "clap",
        SCENE,
    ]


def test_spss_reads_labelled_variables_with_legal_names(export, tidy):
    rows, meta = pyreadstat.read_sav(export("spss") / "timeline.sav")
    same_values(rows, tidy, MEASURES)
    assert rows.state.tolist() == tidy.state.tolist()
    assert set(rows.person) == {"Ada", "Person 3", HOSTILE, "Böb"}
    labels = meta.column_names_to_labels
    assert labels["engagement"] == "Engagement"
    assert labels["shown_happy"] == "shown: happy"
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name) for name in meta.column_names)
    assert all(labels.values())


def test_elan_has_a_tier_of_each_person_with_its_events(export, events):
    file = pympi.Elan.Eaf(str(export("elan") / "elan" / f"{ONE}.eaf"))
    tiers = set(file.get_tier_names())
    assert tiers == {
        "Ada", "Ada (no expression)", "Person 3", "Person 3 (no expression)", HOSTILE, f"{HOSTILE} (no expression)",
        "markers", "segment",
    }  # fmt: skip
    mine = events[(events.video_id == ONE) & (events.person == "Ada") & (events.kind == "expression")]
    expected = sorted(
        (round(row.start_s * 1000), round(row.end_s * 1000), row.label) for row in mine.itertuples()
    )
    assert sorted(file.get_annotation_data_for_tier("Ada")) == expected
    assert file.get_annotation_data_for_tier("segment") == [(8000, 14000, SCENE)]
    assert file.get_annotation_data_for_tier("markers") == [(3000, 3001, "clap")]
    assert file.media_descriptors[0]["MEDIA_URL"] == "file:///films/one-00000001.mp4"
    assert file.tiers["Person 3"][2]["PARTICIPANT"] == "Person 3, one-00000001.mp4"


def test_boris_reads_state_events_in_pairs(export, events):
    project = json.loads((export("boris") / "boris" / "ferflow.boris").read_text())
    observation = project["observations"][ONE]
    known = {one["code"]: one["type"] for one in project["behaviors_conf"].values()}
    subjects = {one["name"] for one in project["subjects_conf"].values()}
    assert subjects == {"Ada", "Person 3", HOSTILE, "Böb"}
    rows = pd.DataFrame(observation["events"], columns=["time", "subject", "code", "modifier", "comment"])
    assert set(rows.code) <= set(known)
    assert set(rows.subject) <= subjects | {""}
    for (_, code), mine in rows.groupby(["subject", "code"]):
        assert len(mine) % 2 == 0 or known[code] == "Point event"
    table = pd.read_csv(export("boris") / "boris" / "aggregated_events.tsv", sep="\t")
    mine = table[(table["Observation id"] == ONE) & (table.Subject == "Ada")]
    found = events[(events.video_id == ONE) & (events.person == "Ada")]
    np.testing.assert_allclose(sorted(mine["Start (s)"]), sorted(found.start_s.round(3)), atol=1e-9)
    assert (table["Stop (s)"] - table["Start (s)"] - table["Duration (s)"].fillna(0)).abs().max() < 1e-6
    assert table[table["Behavior type"] == "POINT"].Behavior.tolist() == ["clap"]


def read_cues(path: Path) -> list[tuple[float, float, str]]:
    """Cues as FFmpeg reads them, from its own SubRip."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "srt", "-"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    found = []
    for block in text.strip().split("\n\n"):
        _, times, *lines = block.splitlines()
        start, end = (
            sum(float(part) * 60**k for k, part in enumerate(reversed(one.replace(",", ".").split(":"))))
            for one in times.split(" --> ")
        )
        found.append((start, end, "\n".join(lines)))
    return found


def test_web_vtt_is_read_by_ffmpeg(export, events):
    cues = read_cues(export("vtt") / "vtt" / f"{ONE}.vtt")
    mine = events[(events.video_id == ONE) & (events.kind == "expression") & (events.label != "neutral")]
    expected = sorted((round(row.start_s, 3), round(row.end_s, 3)) for row in mine.itertuples())
    assert sorted((start, end) for start, end, _ in cues) == expected
    text = (export("vtt") / "vtt" / f"{ONE}.vtt").read_text()
    assert "<v Ada>happy</v>" in text
    chapters = read_cues(export("vtt") / "vtt" / f"{ONE}.chapters.vtt")
    assert (3.0, 4.0, "clap") in chapters
    assert any(cue[:2] == (8.0, 14.0) for cue in chapters)
    assert (export("vtt") / "vtt" / f"{EMPTY}.vtt").read_text() == "WEBVTT\n"


def test_bids_names_follow_the_specification_and_events_count_from_the_stimulus(export, events):
    place = export("bids") / "bids"
    files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    pattern = (
        r"(participants|dataset_description)\.(tsv|json)|derivatives/ferflow/dataset_description\.json|"
        r"(derivatives/ferflow/)?sub-(?P<sub>[A-Za-z0-9]+)/beh/sub-(?P=sub)_task-[A-Za-z0-9]+_run-[1-9][0-9]*_"
        r"(events\.(tsv|json)|recording-[A-Za-z0-9]+_physio\.(tsv\.gz|json))"
    )
    assert all(re.fullmatch(pattern, name) for name in files), files
    people = pd.read_csv(place / "participants.tsv", sep="\t").set_index("participant")
    assert people.group.to_dict() == {
        "Ada": "exp",
        "Person 3, one-00000001.mp4": "exp",
        HOSTILE: "exp",
        "Böb": "ctrl",
    }
    subject = people.participant_id["Böb"]
    stem = f"{subject}_task-trailer_run-1"
    rows = pd.read_csv(place / subject / "beh" / f"{stem}_events.tsv", sep="\t", na_values="n/a")
    assert list(rows.columns[:3]) == ["onset", "duration", "trial_type"]
    mine = events[events.person == "Böb"].sort_values("start_s")
    np.testing.assert_allclose(rows.onset, mine.start_s - 2.5, atol=1e-6)
    np.testing.assert_allclose(rows.duration, mine.end_s - mine.start_s, atol=1e-6)
    sidecar = json.loads((place / subject / "beh" / f"{stem}_events.json").read_text())
    assert set(rows.trial_type) <= set(sidecar["trial_type"]["Levels"])
    for name in ("Name", "BIDSVersion"):
        assert json.loads((place / "dataset_description.json").read_text())[name]


@pytest.mark.parametrize("dataset", ["bids", "bids/derivatives/ferflow"])
def test_the_official_validator_finds_no_error_in_bids(export, dataset):
    program = Path(sys.executable).with_name("bids-validator-deno")
    if not program.exists():
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [program, export("bids") / dataset, "--json"], capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in found if issue["severity"] == "error"] == []
    assert found  # advice at least: it has looked
    assert done.returncode == 0


def test_bids_recordings_have_a_sidecar_that_names_each_column(export, tidy):
    place = export("bids") / "bids" / "derivatives" / "ferflow"
    (sidecar,) = place.glob("sub-Bb/beh/*_physio.json")
    facts = json.loads(sidecar.read_text())
    assert facts["SamplingFrequency"] == 1.0
    assert facts["StartTime"] == -2.5
    content = gzip.decompress(sidecar.with_suffix(".tsv.gz").read_bytes())
    rows = pd.read_csv(io.BytesIO(content), sep="\t", header=None, names=facts["Columns"], na_values="n/a")
    same_values(rows, tidy[tidy.person == "Böb"], MEASURES)
    states = facts["state"]["Levels"]
    assert [states[str(one)] for one in rows.state] == tidy[tidy.person == "Böb"].state.tolist()
    assert all(facts[name]["Description"] for name in facts["Columns"])


def peaks_of_the_page(out: Path) -> list[tuple[float, float]]:
    from ferflow.dashboards import PageOptions
    from ferflow.dashboards.overview.overview_data import load_folder
    from ferflow.dashboards.session_report.session_data import load_session

    names = load_folder(out, PageOptions()).names
    return [(one.start_s, one.end_s) for one in load_session(out, ONE, names.of(ONE)).peaks]


def read_span(clip: otio.schema.Clip) -> tuple[float, float]:
    stretch = clip.source_range
    return stretch.start_time.to_seconds(), stretch.end_time_exclusive().to_seconds()


def test_otio_and_edl_are_the_peaks_of_the_page_and_the_segments(export, made_folder):
    expected = sorted([*peaks_of_the_page(made_folder), (8.0, 14.0)])
    assert len(expected) > 1
    timeline = otio.adapters.read_from_file(str(export("otio") / "otio" / f"{ONE}.otio"))
    clips = list(timeline.find_clips())
    spans = [read_span(one) for one in clips]
    np.testing.assert_allclose(spans, expected, atol=0.06)
    assert clips[0].media_reference.target_url == "file:///films/one-00000001.mp4"
    assert SCENE in [one.name for one in clips]
    edl = otio.adapters.read_from_file(
        str(export("edl") / "edl" / f"{ONE}.edl"), adapter_name="cmx_3600", rate=25
    )
    spans = [read_span(one) for one in edl.find_clips()]
    np.testing.assert_allclose(spans, expected, atol=0.5 / 25 + 1e-9)


def test_a_cut_list_keeps_frames_of_odd_rates(tmp_path):
    from ferflow.exchange.cut_list import Cut, write_edl, write_otio

    cuts = [
        Cut(Path("/films/a.mp4"), 3600.0, 3600.01, "x", 30000 / 1001),
        Cut(Path("b.mp4"), 1.0, 2.0, "y\nz\ud800"),
    ]
    write_otio(cuts, tmp_path / "a", "T")
    write_edl(cuts, tmp_path / "b", "Ä" * 200)
    first, second = otio.adapters.read_from_file(str(tmp_path / "a"), adapter_name="otio_json").find_clips()
    rate = Fraction(30000, 1001)
    assert first.source_range.start_time.value == round(3600 * rate)
    assert first.source_range.duration.value == 1
    assert second.name == "y z\ufffd"
    text = (tmp_path / "b").read_text()
    assert text.splitlines()[0] == "TITLE: " + "_" * 70


def test_corrections_hold_in_every_format(made_folder, export, events):
    """Nothing of a dropped track, and no value in an excluded stretch."""
    by_hand = recompute_one(made_folder)
    assert "Person 5" not in set(by_hand.index.get_level_values(0))
    everything = export("csv,long,wide,xlsx,vtt,elan,boris,bids,otio,edl,duckdb,spss")
    texts = [
        path.read_text("utf-8", "replace")
        for path in everything.rglob("*")
        if path.suffix in (".csv", ".vtt", ".eaf", ".tsv", ".json", ".boris", ".otio", ".edl")
    ]
    assert not any("Person 5" in text for text in texts)
    inside = events[(events.video_id == ONE) & (events.start_s < 17.99) & (events.end_s > 16.01)]
    assert set(inside.label) == {"left_out"}


def test_a_folder_in_which_nobody_is_seen_is_exported_too(tmp_path, ferflow):
    from tests.made_cohort import write_run
    from tests.made_records import Made, write_session

    out = tmp_path / "out"
    write_run(out, [write_session(out, Made(seconds=5, people=0))])
    done = ferflow(
        "export",
        out,
        "-f",
        "csv,long,wide,xlsx,vtt,elan,boris,bids,otio,edl,duckdb,spss",
        "-o",
        tmp_path / "x",
    )
    assert done.code == 0, done.text
    rows, _ = pyreadstat.read_sav(tmp_path / "x" / "timeline.sav")
    assert len(rows) == 0
