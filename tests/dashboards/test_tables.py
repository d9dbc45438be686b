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
from tests.dashboards.expect_session import what_is_shown
from tests.dashboards.read_page import PROBS, SHOWN, clock, share, signed, table, two
from tests.dashboards.recompute import MEASURES, REASONS, STATES, Tables
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
        assert [row[2] for row in got] == (rows.seconds_readable / rows.seconds_in_view).map(
            whole_share
        ).tolist()
        assert [row[5:] for row in got] == written(*measures(rows), rows.pose_known.map(share))
        then = rows.shown_longest_but_neutral.where(rows.shown_longest_but_neutral != rows.shown_longest)
        assert [row[4] for row in got] == [
            most if pd.isna(other) else f"{most} next: {other}"
            for most, other in zip(rows.shown_longest, then, strict=True)
        ]
        rows = read(out, "peaks", video)
        assert len(rows)
        spans = rows.start_s.map(clock) + " – " + rows.end_s.map(clock)
        assert [[row[1], row[2], row[4]] for row in table(html, "peaks")] == written(
            rows.time_s.map(clock), spans, rows.appears.fillna("–")
        )
        shares = rows.measure == "reacting"
        what = [row[3].split(" %")[0] + " %" for row in table(html, "peaks")]
        assert [words for words, is_share in zip(what, shares, strict=True) if is_share] == rows.height[
            shares
        ].map(share).tolist()
    html, rows = page(out, "a"), read(out, "segments", "a")
    assert [row[:2] + row[4:] for row in table(html, "segments")][:-1] == written(
        (rows.label + " " + rows.kind), rows.start_s.map(clock), *measures(rows), rows.n_people.map(str),
        rows.presence.map(share),
    )  # fmt: skip
    marks = read(out, "markers", "a")
    seeks = re.findall(r'<li><button[^>]*data-seconds="([^"]*)"[^>]*>([^<]*)</button>', html)
    assert seeks == [(f"{at:g}", clock(at)) for at in marks.time_s]


def measures(rows: pd.DataFrame) -> list[pd.Series]:
    """The columns of measures of a page."""
    words = {"engagement": share, "attention": share, "expressiveness": two, "valence": signed}
    return [rows[name].map(write) for name, write in words.items()]


def whole_share(value: float) -> str:
    return share(1.0 if value > 1 - 1e-9 else value)


def test_what_is_around_markers_is_in_the_files(out):
    rows = read(out, "around_markers", "a")
    got = table(page(out, "a"), "around")
    at = ["the marker" if not lag else f"+{lag:.1f} s" for lag in rows.highest_offset_s]
    assert [[row[0], row[1], *row[2:4], *row[6:]] for row in got] == written(
        rows.label, rows.n_markers.map(str), rows.before.map(share), rows.after.map(share),
        rows.valence_before.map(signed), rows.valence_after.map(signed),
    )  # fmt: skip
    assert [row[4] for row in got] == [
        f"{share(top)} at {lag}" for top, lag in zip(rows.highest, at, strict=True)
    ]
    assert [row[5] for row in got] == ["–" if pd.isna(sd) else f"± {share(sd)}" for sd in rows.spread_there]


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


@pytest.fixture(params=[made.video_id for made in MADE])
def video(request, out) -> Tables:
    return Tables(out, request.param, {2: "Bo"} if request.param == "a" else {})


def close(found: pd.DataFrame, wanted: list[dict[str, object]]) -> None:
    """Every column but those that name the video, and every row."""
    found = found.drop(columns=["video_id", "video"]).reset_index(drop=True)
    wanted = pd.DataFrame(wanted, columns=found.columns)
    for name in found:
        if pd.api.types.is_numeric_dtype(found[name]):
            np.testing.assert_allclose(found[name], wanted[name].astype(float), atol=2e-6, err_msg=name)
        else:
            assert found[name].fillna("").tolist() == wanted[name].fillna("").tolist(), name


def test_people_are_what_pandas_finds(out, video):
    close(read(out, "people", video.facts["video_id"]), [person(video, one) for one in video.people])


def person(video: Tables, one: int) -> dict[str, object]:
    mine, seen = video.lanes[video.lanes.person_id == one], video.sightings.loc[one]
    means = video.means(mine)
    return means | {
        "person_id": one, "name": video.name_of(one), "first_s": seen.first_s, "last_s": seen.last_s,
        "seconds_in_view": seen.seconds, "seconds_readable": mine.readable_s.sum(), "n_faces": seen.n_faces,
        "shown_longest": video.leading(means, neutral=True), "shown_longest_but_neutral": video.leading(means),
        "pose_known": mine.face_s[mine.attention.notna()].sum() / mine.face_s.sum(), "shift": np.nan,
    }  # fmt: skip


def test_peaks_are_what_pandas_finds(out, video):
    wanted = [
        peak | {"start_s": peak["span"][0], "end_s": peak["span"][1], "measure": peak["curve"],
                "appears": what_is_shown(peak) or peak["label"],
                "people": "; ".join(map(video.name_of, peak["people"]))}
        for peak in video.peaks
    ]  # fmt: skip
    close(read(out, "peaks", video.facts["video_id"]), wanted)


def test_segments_are_what_pandas_finds(out, video):
    close(read(out, "segments", video.facts["video_id"]), video.segments)


def test_curves_around_markers_are_what_pandas_finds(out, video):
    rows = read(out, "marker_curves", video.facts["video_id"])
    assert set(rows.measure) == ({*MEASURES, *PROBS, *SHOWN} if len(video.markers) else set())
    for measure, found in rows.groupby("measure"):
        wanted = [
            {"label": label, "n_markers": len(values), "offset_s": lag, "measure": measure, "mean": values[lag].mean(),
             "spread": values[lag].std(), "n": values[lag].count()}
            for label, values in video.around(measure).items() for lag in values
        ]  # fmt: skip
        close(found, wanted)


def test_quality_is_what_pandas_finds(out, video):
    facts, faces, frames = video.facts, video.faces, video.frames
    sizes = faces.face_px.astype(float).quantile([0.25, 0.5, 0.75])
    wanted = dict(zip(["face_px_25", "face_px_50", "face_px_75"], sizes, strict=True))
    wanted |= {f"n_{reason}": (faces.reason == reason).sum() for reason in REASONS}
    wanted |= {f"seconds_{state}": video.coverage[state].sum() for state in STATES}
    wanted |= {
        name: facts["counts"].get(name, 0) for name in ("n_decoded", "n_failed", "n_damaged", "n_cuts")
    }
    wanted |= {
        "n_frames": len(frames), "n_frames_with_face": (frames.n_faces > 0).sum(), "n_faces": len(faces),
        "n_untracked": (faces.track_id == -1).sum(), "n_pose_unknown": faces.yaw.isna().sum(), "bin_s": video.bin_s,
        "model": facts["model"]["name"], "model_sha256": facts["model"]["sha256"],
        "detector": facts["detector"]["name"], "detector_sha256": facts["detector"]["sha256"],
        "ferflow_version": facts["ferflow_version"],
    }  # fmt: skip
    found = read(out, "quality", facts["video_id"])
    # Read as a number, its zeros would be lost.
    close(found.drop(columns="options_digest"), [wanted])


def test_videos_are_what_pandas_finds(out, video):
    row = read(out, "videos").set_index("video_id").loc[video.facts["video_id"]]
    top = video.strongest
    wanted = video.means(video.lanes) | {
        "duration_s": video.duration_s, "n_people": len(video.people), "analysed_s": video.analysed_s,
        "coverage": video.presence, "most_reacting": top["n_reacting"], "most_reacting_of": top["n_readable"],
        "most_reacting_at_s": top["time_s"],
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == pytest.approx(wanted, abs=2e-6, nan_ok=True)


def test_the_files_follow_the_names_of_people(out):
    people = read(out, "people", "a")
    assert people.name[people.person_id == 2].tolist() == ["Bo"]
    assert not read(out, "peaks", "a").people.str.contains("Person 2").any()


def test_without_a_pose_engagement_is_known_and_where_people_face_is_not(out):
    row = read(out, "videos").set_index("video_id").loc["c"]
    assert np.isnan(row.attention)
    assert row.engagement >= 0


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


def test_curves_of_the_labels_with_most_markers_are_written_and_the_others_are_mentioned(tmp_path):
    rare = tuple((10 + k / 100, None, f"rare {k:03d}", "") for k in range(600))
    often = ((12.0, None, "often", ""), (14.0, None, "often", ""))
    write_session(tmp_path, Made(seconds=30, people=1, video_id="a", markers=(*rare, *often)))
    (warning,) = write_tables(tmp_path, PageOptions())
    assert "601 marker labels" in warning
    for name in ("around_markers", "marker_curves"):
        found = set(read(tmp_path, name).label)
        assert len(found) == 500
        assert "often" in found
    assert len(set(read(tmp_path, "markers").label)) == 601
