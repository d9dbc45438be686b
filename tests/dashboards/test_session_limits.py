"""`start` and `end` of the session list limit every number of a session; truth by pandas from FRAMES and FACES."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ferflow.analytics.peaks import peaks
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.timeline import person_timeline
from ferflow.cli import app
from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.jobs.lists import read_names
from ferflow.render.clips import plan_clips
from ferflow.store.video_files import VideoFiles
from tests.dashboards.made_sessions import acted
from tests.made_records import Made, made_tables, write_session

START, END = 10.25, 30.5


def write_list(out: Path, start: object = START, end: object = END) -> None:
    (out / "sessions.csv").write_text(f"video,participant,start,end\na,Ada,{start},{end}\n")


def tables(out: Path) -> dict[str, pd.DataFrame]:
    assert CliRunner().invoke(app, ["report", str(out), "--csv"]).exit_code == 0
    return {path.stem: pd.read_csv(path) for path in (out / "csv").glob("*.csv")}


def session_of(out: Path):
    return load_session(out, "a", load_folder(out, PageOptions()).names.of("a"))


def seconds_within(out: Path, start: float = START, end: float = END) -> pd.DataFrame:
    """FACES with the seconds of each face's frame between two times: each frame lasts until the next."""
    frames, faces = (pd.read_parquet(out / name / "a.parquet") for name in ("frames", "faces"))
    ends = frames.time_s.shift(-1).fillna(frames.time_s.iloc[-1] + 0.1)
    frames["seconds"] = (ends.clip(upper=end) - frames.time_s.clip(lower=start)).clip(lower=0)
    return faces.merge(frames[["frame_index", "seconds"]], on="frame_index")


def gate(angle: pd.Series) -> pd.Series:
    """How far a head that is turned by an angle faces the camera, docs/numbers.md."""
    return ((35 - angle.astype(float).abs()) / 20).clip(0, 1)


def test_one_session_has_one_headline_number(tmp_path):
    write_session(tmp_path, Made(seconds=40, video_id="a"))
    write_list(tmp_path)
    found = tables(tmp_path)
    session = session_of(tmp_path)
    for name in ("engagement", "valence", "attention"):
        numbers = [
            found["people"][name].item(),
            found["participants"].query("participant == 'Ada'")[name].item(),
            found["videos"][name].item(),
            session.means[name],
            session.people[0].means[name],
        ]
        assert numbers == pytest.approx([numbers[0]] * 5, abs=1e-6)


def test_the_numbers_are_those_of_the_frames_within_start_and_end(tmp_path):
    write_session(tmp_path, Made(seconds=40, video_id="a", away=((20, 22),), turned=((5, 12.5),)))
    write_list(tmp_path)
    faces, person = seconds_within(tmp_path), tables(tmp_path)["people"]
    facing = gate(faces.yaw) * gate(faces.pitch)
    # By bin, as docs/numbers.md has it: the mean where the pose is known counts for all time in view.
    inside = pd.DataFrame(
        {"bin": faces.time_s.clip(lower=START) // 1, "facing": facing, "seconds": faces.seconds}
    )
    inside["weighted"], inside["posed"] = (
        inside.facing * inside.seconds,
        inside.seconds.where(facing.notna(), 0),
    )
    bins = inside.query("seconds > 0").groupby("bin")[["weighted", "posed", "seconds"]].sum()
    attention = np.average(bins.weighted / bins.posed, weights=bins.seconds)
    assert 0.5 < attention < 0.95
    assert person.attention.item() == pytest.approx(attention, abs=1e-5)
    assert person.seconds_in_view.item() == pytest.approx(faces.seconds.sum(), abs=1e-6)
    assert person.n_faces.item() == (faces.seconds > 0).sum()
    assert person.first_s.item() == pytest.approx(START)
    assert session_of(tmp_path).analysed_s == pytest.approx(END - START, abs=1e-6)


def test_all_time_outside_is_shown_as_outside_and_counts_in_nothing(tmp_path):
    write_session(tmp_path, Made(seconds=40, video_id="a", holes=((15, 17),)))
    before = tables(tmp_path)["quality"].iloc[0]
    write_list(tmp_path)
    after = tables(tmp_path)["quality"].iloc[0]
    seconds = after.filter(like="seconds_")
    assert before.seconds_outside == 0
    assert after.seconds_outside == pytest.approx(START + 40 - END, abs=1e-6)
    assert seconds.sum() == pytest.approx(40, abs=1e-6)
    assert after.seconds_missing == pytest.approx(before.seconds_missing, abs=1e-6)


def test_who_is_seen_only_outside_is_no_person_of_the_session(tmp_path):
    made = Made(seconds=40, people=2, video_id="a")
    frames, faces = made_tables(made)
    keep = (faces.column("track_id").to_numpy() == 1) | (faces.column("time_s").to_numpy() < 10)
    faces = faces.filter(keep)
    count = np.bincount(faces.column("frame_index").to_numpy(), minlength=len(frames)).astype(np.int16)
    frames = frames.set_column(frames.schema.get_field_index("n_faces"), "n_faces", [count])
    write_session(tmp_path, made, tables=(frames, faces))
    assert len(tables(tmp_path)["people"]) == 2
    write_list(tmp_path)
    people = tables(tmp_path)["people"]
    assert people.person_id.tolist() == [1]
    assert people.name.tolist() == ["Ada"]
    listed = CliRunner().invoke(app, ["people", str(tmp_path)]).output
    assert "(before start or after end)" in listed


def test_peaks_and_clips_are_of_the_part_that_counts(tmp_path):
    made = Made(seconds=60, video_id="a")
    acts = ((1, 5.0, 9.0, "happy"), (1, 25.0, 29.0, "happy"), (1, 45.0, 49.0, "surprise"))
    write_session(tmp_path, made, tables=acted(made, *acts))
    assert tables(tmp_path)["peaks"].time_s.between(0, 60).sum() >= 3
    write_list(tmp_path, 20, 40)
    found = tables(tmp_path)["peaks"]
    assert len(found)
    assert found.time_s.between(25, 29).all()
    assert found.start_s.min() >= 20
    assert found.end_s.max() <= 40
    files = VideoFiles(tmp_path, "a")
    clips = plan_clips(files, peaks(person_timeline(Persons.of(files, read_names(files)))))
    assert len(clips) == 1
    assert clips[0].start_s == pytest.approx(found.time_s.min() - 3)


def test_markers_outside_have_no_curves(tmp_path):
    made = Made(seconds=60, video_id="a",
                markers=((5.0, None, "clap", ""), (25.0, None, "clap", ""), (50.0, None, "clap", "")))  # fmt: skip
    write_session(tmp_path, made)
    assert set(tables(tmp_path)["around_markers"].n_markers) == {3}
    write_list(tmp_path, 20, 40)
    assert set(tables(tmp_path)["around_markers"].n_markers) == {1}


def test_a_baseline_before_the_start_still_calibrates(tmp_path):
    write_session(tmp_path, Made(seconds=40, video_id="a", markers=((0.0, 8.0, "all", "rest"),)))
    before = tables(tmp_path)["people"]["shift"].item()
    write_list(tmp_path)
    assert before != 0
    assert tables(tmp_path)["people"]["shift"].item() == pytest.approx(before)


def test_the_tables_of_the_video_stay_whole(tmp_path):
    write_session(tmp_path, Made(seconds=40, video_id="a"))
    refresh(tmp_path)
    folders = ("frames", "faces", "timeline")
    before = {name: (tmp_path / name / "a.parquet").read_bytes() for name in folders}
    write_list(tmp_path)
    refresh(tmp_path)
    assert {name: (tmp_path / name / "a.parquet").read_bytes() for name in folders} == before


def test_limits_that_leave_nothing_make_a_page_that_says_so(tmp_path):
    write_session(tmp_path, Made(seconds=40, video_id="a"))
    write_list(tmp_path, 90, 100)
    assert not refresh(tmp_path).failed
    assert "from 01:30.0 on" in (tmp_path / "reports" / "a.html").read_text()
