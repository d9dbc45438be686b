"""The pages' tables as CSV: all of them, with the numbers of the pages and of the Parquet."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest

from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.store.video_files import VideoFiles
from tests.dashboards.read_page import PROBS, clock, share, signed, table, two
from tests.made_cohort import write_run
from tests.made_records import Made, write_session

MARKERS = (
    (5.0, None, "clap", ""), (21.0, None, "clap", ""), (42.5, None, "clap", "loud"), (59.0, None, "end", ""),
    (8.0, 19.5, "level 1", "level"), (30.0, None, "part 2", "segment"),
)  # fmt: skip
MADE = (
    Made(
        seconds=60,
        people=4,
        untracked=0.02,
        away=((40, 46),),
        small=((50, 54),),
        markers=MARKERS,
        video_id="a",
    ),
    Made(seconds=40, people=3, markers=((20.0, None, "clap", ""),), video_id="b", seed=9),
    Made(seconds=30, people=2, video_id="c", seed=4, pose=False),
)
TABLES = {
    "videos", "participants", "groups", "comparisons", "curves", "people", "peaks", "markers", "segments",
    "around_markers", "marker_curves", "signals", "quality", "scenes", "responses",
}  # fmt: skip


def broken(out) -> None:
    """An input of the run that could not be analysed."""
    run = json.loads((out / "run.json").read_text())
    run["videos"].append(
        {"video_id": "", "source": "/films/gone.mp4", "status": "failed", "error": "no such file."}
    )
    (out / "run.json").write_text(json.dumps(run))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    out = tmp_path_factory.mktemp("tables")
    write_run(out, [write_session(out, made) for made in MADE])
    broken(out)
    (out / "sessions.csv").write_text("video,group\na,x\nb,y\nc,y\n")
    (out / "people.csv").write_text("video_id,track_id,name\na,2,Bo\n")
    refresh(out, PageOptions())
    write_tables(out, PageOptions())
    return out


def read(out, name: str, video: str | None = None) -> pd.DataFrame:
    found = pd.read_csv(out / "csv" / f"{name}.csv")
    return found if video is None else found[found.video_id == video].reset_index(drop=True)


def page(out, video: str) -> str:
    return VideoFiles(out, video).report.read_text(encoding="utf-8")


def index(out) -> str:
    return (out / "index.html").read_text(encoding="utf-8")


def bins(out, video: str) -> pd.DataFrame:
    return pd.read_parquet(out / "timeline" / f"{video}.parquet")


def audience(out, video: str) -> pd.DataFrame:
    return bins(out, video).query("person_id.isna()").reset_index(drop=True)


def written(*columns: pd.Series) -> list[list[str]]:
    """Rows of cells from columns of them."""
    return [list(row) for row in zip(*columns, strict=True)]


def test_there_is_a_file_for_every_table(out):
    assert {path.stem for path in (out / "csv").iterdir()} == TABLES


# --- What a page says is what its CSV says ----------------------------------------------------------------


def test_peaks_people_segments_and_markers_of_a_page_are_in_the_files(out):
    for video in "abc":
        html = page(out, video)
        rows = read(out, "people", video)
        got = table(html, "people")
        assert [row[0] for row in got] == rows.name.tolist()
        first, last = rows.first_s.map(clock), rows.last_s.map(clock)
        assert [row[1] for row in got] == (
            rows.seconds_in_view.map(clock) + " " + first + " – " + last
        ).tolist()
        assert [row[4:] for row in got] == written(
            *(rows[name].map(two) for name in ("engagement", "attention", "expressiveness")),
            rows.valence.map(signed), rows.reacting.map(share), rows.pose_known.map(share),
        )  # fmt: skip
        then = rows.most_but_neutral.where(rows.most_but_neutral != rows.appears_most)
        assert [row[3] for row in got] == [
            most if pd.isna(other) else f"{most} next: {other}"
            for most, other in zip(rows.appears_most, then, strict=True)
        ]
        rows = read(out, "peaks", video)
        assert len(rows)
        assert [[row[1], *row[3:6]] for row in table(html, "peaks")] == written(
            rows.time_s.map(clock), rows.height.map(two), rows.prominence.map(two), rows.appears
        )
    html, rows = page(out, "a"), read(out, "segments", "a")
    assert [row[:2] + row[4:] for row in table(html, "segments")][:-1] == written(
        (rows.label + " " + rows.kind), rows.start_s.map(clock),
        *(rows[name].map(two) for name in ("engagement", "attention", "expressiveness")),
        rows.valence.map(signed), rows.reacting.map(share), rows.n_people.map(str), rows.presence.map(share),
    )  # fmt: skip
    marks = read(out, "markers", "a")
    seeks = re.findall(r'<li><button[^>]*data-seconds="([^"]*)"[^>]*>([^<]*)</button>', html)
    assert seeks == [(f"{at:g}", clock(at)) for at in marks.time_s]


def test_what_is_around_markers_is_in_the_files(out):
    rows = read(out, "around_markers", "a")
    got = table(page(out, "a"), "around")
    at = ["the marker" if not lag else f"+{lag:.1f} s" for lag in rows.highest_offset_s]
    assert [[row[0], row[1], *row[2:4], *row[6:]] for row in got] == written(
        rows.label, rows.n_markers.map(str), rows.before.map(two), rows.after.map(two),
        rows.valence_before.map(signed), rows.valence_after.map(signed),
    )  # fmt: skip
    assert [row[4] for row in got] == [
        f"{two(top)} at {lag}" for top, lag in zip(rows.highest, at, strict=True)
    ]
    assert [row[5] for row in got] == ["–" if pd.isna(sd) else f"± {sd:.2f}" for sd in rows.spread_there]


def test_the_overviews_tables_are_in_the_files(out):
    html, rows = index(out), read(out, "videos").query("status != 'failed'")
    assert [[row[0], row[2], *row[4:8]] for row in table(html, "videos")[:3]] == written(
        rows.name, rows.group, rows.engagement.map(share), rows.valence.map(signed), rows.duration_s.map(clock),
        rows.coverage.map(share),
    )  # fmt: skip
    lost = read(out, "videos").query("status == 'failed'").iloc[0]
    assert f"{lost['name']} {lost.reason}" == "gone.mp4 no such file."
    found = read(out, "groups").dropna(subset="group")
    order = ["engagement", "attention", "expressiveness", "valence"]
    found = found[found.measure.isin(order)]
    found = found.sort_values("measure", key=lambda names: names.map(order.index), kind="stable")
    words = {"valence": signed, "engagement": share, "attention": share}
    assert [row[-5:-2] for row in table(html, "groups")] == [
        [row.group, str(row.n), words.get(row.measure, two)(row["mean"])] for _, row in found.iterrows()
    ]
    people = read(out, "participants")
    counted = people[people.not_counted.isna()]
    reported = written(
        counted.engagement.map(share), counted.valence.map(signed), counted.attention.map(share),
        counted.readable_s.map(clock),
    )  # fmt: skip
    rows = [row for row in table(html, "participants") if "not counted" not in row[0]]
    assert [row[3:7] for row in rows] == reported
    assert [row[0] for row in rows] == counted.participant.tolist()
    assert len(table(html, "participants")) == len(people)


# --- And what the Parquet says ----------------------------------------------------------------------------


def test_the_table_of_segments_is_what_pandas_finds(out):
    whole, rows = audience(out, "a"), read(out, "segments", "a")
    assert rows.label.tolist() == ["level 1", "part 2"]
    assert rows[["start_s", "end_s"]].to_numpy().tolist() == [[8.0, 19.5], [30.0, 60.0]]
    for _, row in rows.iterrows():
        weight = (whole.bin_end_s.clip(upper=row.end_s) - whole.bin_start_s.clip(lower=row.start_s)).clip(
            lower=0
        )
        for name in ("engagement", "valence", "reacting", "presence", *PROBS):
            known = whole[name].notna()
            assert row[name] == pytest.approx(np.average(whole[name][known], weights=weight[known]), abs=1e-6)


def test_curves_around_markers_are_what_pandas_finds(out):
    whole, rows = audience(out, "a").set_index("bin_start_s"), read(out, "marker_curves", "a")
    assert set(rows.measure) == {
        "attention",
        "expressiveness",
        "engagement",
        "valence",
        "positive",
        "negative",
        "reacting",
        *PROBS,
    }
    assert set(rows.offset_s) == set(range(-5, 11))
    for (label, measure, offset), found in rows.groupby(["label", "measure", "offset_s"]):
        times = [time for time, _, name, _ in MARKERS if name == label]
        values = whole[measure].reindex([np.floor(time + offset) for time in times])
        (row,) = found.itertuples()
        assert (row.n_markers, row.n) == (len(times), values.count())
        assert [row.mean, row.spread] == pytest.approx([values.mean(), values.std()], abs=1e-6, nan_ok=True)


def test_people_and_quality_are_what_pandas_finds(out):
    faces = pd.read_parquet(out / "faces" / "a.parquet")
    people = read(out, "people", "a").set_index("track_id")
    assert people.name.to_dict()[2] == "Bo"
    means = faces[faces.track_id > 0].groupby("track_id")[PROBS].mean()
    np.testing.assert_allclose(people.loc[means.index, PROBS], means, atol=1e-6)
    (row,) = read(out, "quality", "a").itertuples()
    assert (row.n_faces, row.n_untracked, row.n_pose_unknown, row.n_small, row.n_blurry) == (
        len(faces), (faces.track_id == -1).sum(), faces.yaw.isna().sum(), (faces.face_px < 30).sum(),
        (faces.sharpness < 80).sum(),
    )  # fmt: skip
    assert [row.face_px_25, row.face_px_50, row.face_px_75] == pytest.approx(
        faces.face_px.quantile([0.25, 0.5, 0.75]).tolist()
    )
    assert row.sharpness_50 == pytest.approx(faces.sharpness.median())
    assert row.seconds_face + row.seconds_small + row.seconds_no_face == pytest.approx(60, abs=1e-6)


def test_the_files_follow_the_names_of_people(out):
    peaks = read(out, "peaks", "a")
    assert peaks.people.str.contains("Bo").any()
    assert not peaks.people.str.contains("Person 2").any()


def test_a_video_without_pose_has_expressiveness_instead_of_engagement(out):
    row = read(out, "videos").set_index("video_id").loc["c"]
    assert np.isnan(row.engagement)
    assert set(read(out, "peaks", "c").measure) == {"expressiveness"}


# --- Foreign texts ----------------------------------------------------------------------------------------

RUN = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "ok;=1+1", "ok; =1+1", 'a"\n=1+1', "x\t@y"]


def test_no_text_from_outside_is_run_by_a_spreadsheet(tmp_path):
    markers = tuple((float(k), k + 0.5 if k % 2 else None, text, text) for k, text in enumerate(RUN))
    for k, text in enumerate(RUN[:4]):
        write_session(
            tmp_path, Made(seconds=20, people=2, video_id=f"v{k}", markers=markers, source={"name": text})
        )
    with (tmp_path / "sessions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["video", "participant", "group"], *([f"v{k}", t, t] for k, t in enumerate(RUN[:4]))]
        )
    with (tmp_path / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["video_id", "track_id", "name"], ["v0", 1, "=ann"], ["v0", 2, "@bo"]])
    write_tables(tmp_path, PageOptions())
    for path in (tmp_path / "csv").iterdir():
        content = path.read_text(encoding="utf-8")
        for delimiter in ",;\t":
            cells = [cell for row in csv.reader(content.splitlines(), delimiter=delimiter) for cell in row]
            running = [cell for cell in cells if re.match(r" *[=+@]|-[^\d]", cell)]
            assert not running, (path.name, delimiter, running)
    assert len(read(tmp_path, "markers", "v0")) == len(RUN)
