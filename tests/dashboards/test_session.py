"""What a session's page is made of beside its curves: people, the strip of coverage, the video, clips."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ferflow.analytics.coverage import coverage_timeline
from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.people_list import PersonNames
from ferflow.analytics.person_faces import Persons
from ferflow.dashboards import write_session_report
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.dashboards.session_report.video_player import (
    MOST_BOXES,
    PictureSizes,
    ShownLabels,
    find_shown_labels,
    find_video,
    pack_boxes,
    url_between,
)
from ferflow.errors import OptionsError
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import SourceInfo
from ferflow.store.video_files import VideoFiles
from tests.conftest import face_frames, write_video
from tests.dashboards.made_sessions import with_columns
from tests.dashboards.read_page import text
from tests.dashboards.recompute import Tables
from tests.made_records import Made, gaps_of, made_basis, made_tables, source_info, write_session


def of(table, name: str) -> list[float]:
    return [round(value, 6) for value in table.column(name).to_pylist()]


def states_of(made: Made, *, gaps=None, ranged: bool = False):
    """Seconds of each second by what is known of it."""
    frames, faces = made_tables(made)
    times = FrameTimes.from_frames(frames, end_s=made.seconds, gaps=gaps_of(made) if gaps is None else gaps)
    people = range(1, made.people + 1)
    return coverage_timeline(times, frames, faces, counted=people, bin_seconds=1.0, ranged=ranged)


def test_the_coverage_timeline_distinguishes_what_faces_can_be_read_for_and_no_face_and_no_frame():
    made = Made(seconds=12, holes=((4, 6.5),), away=((7, 8),), small=((8, 9),), turned=((9, 10),), blurred=((10, 11),),
                seed=3)  # fmt: skip
    table = states_of(made)
    assert of(table, "missing") == [0, 0, 0, 0, 1, 1, 0.5, 0, 0, 0, 0, 0]
    for second, state in ((8, "small"), (9, "turned"), (10, "blurred"), (11, "readable")):
        # A head whose pose is unknown is not known to be turned.
        unknown = of(table, "readable")[second] if state == "turned" else 0
        assert of(table, state)[second] + of(table, "no_face")[second] + unknown == pytest.approx(1)
        assert of(table, state)[second] > 0.7
    assert of(table, "no_face")[7] == 1
    assert of(table, "readable")[0] + of(table, "no_face")[0] == pytest.approx(1)
    total = sum(np.array(of(table, name)) for name in table.column_names[1:])
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_of_several_faces_the_time_is_readable_if_one_is_and_else_what_the_largest_is():
    made = Made(seconds=2, people=2)
    frames, faces = made_tables(made)
    person, second = faces.column("track_id").to_numpy(), faces.column("time_s").to_numpy() // 1
    frame = faces.column("frame_index").to_numpy()
    both = np.bincount(frame)[frame] == 2
    yaw = np.where((person == 1) | (second == 1), 60.0, 0.0)
    size = np.where((person == 2) & (second == 1), 20.0, 90.0)
    faces = with_columns(faces, yaw=np.where(size < 28, 0.0, yaw), face_px=size).filter(both)
    times = FrameTimes.from_frames(frames, end_s=2.0)
    table = coverage_timeline(times, frames, faces, counted=(1, 2), bin_seconds=1.0, ranged=False)
    assert of(table, "readable")[0] > 0.5
    assert of(table, "turned")[1] == 0.3  # the frames with both of them
    assert of(table, "small") == [0, 0]


def test_time_with_faces_of_nobody_who_counts_is_neither_readable_nor_without_a_face():
    made = Made(seconds=2, people=2)
    frames, faces = made_tables(made)
    times = FrameTimes.from_frames(frames, end_s=2.0)
    of_one = faces.filter(pa.array(faces.column("track_id").to_numpy() == 2))
    one = coverage_timeline(times, frames, of_one, counted=(1,), bin_seconds=1.0, ranged=False)
    assert of(one, "readable") == [0, 0]
    both = np.array(of(one, "uncounted")) + of(one, "no_face")
    np.testing.assert_allclose(both, 1)
    assert of(one, "uncounted")[0] > 0.5


def test_a_single_lost_frame_is_missing_and_one_that_never_was_is_held():
    made = Made(seconds=4, people=0, holes=((1.5, 1.6),))
    assert of(states_of(made), "missing") == [0, 0.1, 0, 0]
    assert of(states_of(made, gaps=()), "missing") == [0, 0, 0, 0]


def test_time_before_a_chosen_start_is_not_analysed_and_otherwise_unreadable():
    made = Made(seconds=4, people=0, holes=((0, 1.5),))
    ranged, plain = states_of(made, ranged=True), states_of(made)
    assert (of(ranged, "outside"), of(ranged, "missing")) == ([1, 0.5, 0, 0], [0, 0, 0, 0])
    assert (of(plain, "outside"), of(plain, "missing")) == ([0, 0, 0, 0], [1, 0.5, 0, 0])


def test_one_frame_and_none_have_a_coverage_timeline():
    assert of(states_of(Made(seconds=0.1, people=0)), "no_face") == [0.1]
    assert of(states_of(Made(seconds=0, people=0)), "no_face") == []


# --- People -----------------------------------------------------------------------------------------------

JOINED = PersonNames({1: {0.0: "Ann <b>"}, 3: {0.0: "Ann <b>"}, 2: {0.0: "Bo"}})


def test_tracks_of_one_person_are_one_person_in_every_number(tmp_path):
    made = Made(seconds=40, people=4)
    video_id = write_session(tmp_path, made)
    _, faces = made_tables(made)
    joined = next(iter(Persons.of(VideoFiles(tmp_path, video_id), JOINED).faces()))
    assert set(joined.column("person_id").to_pylist()) == {-1, 1, 2, 4}
    session = load_session(tmp_path, video_id, JOINED)
    bins = session.timeline.to_pandas()
    both = faces.to_pandas().query("track_id in (1, 3)")
    # A person is in a frame once: there track 1, which has more faces, stands for both.
    assert (both.track_id == 1).sum() > (both.track_id == 3).sum()
    both = both.sort_values(["frame_index", "track_id"]).drop_duplicates("frame_index")
    assert {person.person_id for person in session.people} == {1, 2, 4}
    ann = next(person for person in session.people if person.person_id == 1)
    assert ann.sighting.n_faces == len(both)
    video = Tables(tmp_path, video_id, {track: names[0.0] for track, names in JOINED.by_track.items()})
    mine = video.lanes[video.lanes.person_id == 1]
    for name, value in video.means(mine).items():
        assert ann.means[name] == pytest.approx(value, abs=1e-6), name
    people = bins.dropna(subset="person_id").groupby("bin_start_s").person_id.nunique()
    whole = bins[bins.person_id.isna()].set_index("bin_start_s")
    assert (whole.n_people[people.index] == people).all()
    assert [session.name_of(track) for track in (1, 2, 4)] == ["Ann <b>", "Bo", "Person 4"]


def test_names_of_people_are_shown_everywhere_and_escaped(tmp_path):
    html = write_session_report(
        tmp_path, write_session(tmp_path, Made(seconds=40, people=4)), JOINED
    ).read_text("utf-8")
    assert "Ann &lt;b&gt;" in html
    assert "Ann <b>" not in html
    assert "Person 3" not in html
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', html, re.S)[1])
    assert facts["names"] == {"1": "Ann <b>", "2": "Bo", "4": "Person 4"}


def test_without_names_a_page_is_the_same_as_with_none(tmp_path):
    video_id = write_session(tmp_path, Made(seconds=20, people=2))
    first = write_session_report(tmp_path, video_id).read_bytes()
    assert write_session_report(tmp_path, video_id, PersonNames({})).read_bytes() == first


# --- The video --------------------------------------------------------------------------------------------


def source_of(video: Path, **changes) -> SourceInfo:
    return source_info(**{"path": str(video), "name": video.name, "size": video.stat().st_size} | changes)


def test_an_existing_video_has_a_relative_url(tmp_path):
    video = tmp_path / "my films" / "a #1?%.mp4"
    video.parent.mkdir()
    video.write_bytes(b"1234")
    film = find_video(source_of(video), tmp_path / "out" / "reports" / "a.html")
    assert film.url == "../../my%20films/a%20%231%3F%25.mp4"
    assert film.problem == ""


@pytest.mark.parametrize(
    ("changes", "reported"),
    [
        ({"path": "/nowhere/a.mp4"}, "not where it was analysed"),
        ({"size": 5}, "Another file"),
        ({"codec": "mpeg4"}, "Browsers do not play"),
        ({"format": "avi"}, "Browsers do not play"),
    ],
)
def test_the_page_says_why_a_video_cannot_be_shown(tmp_path, changes, reported):
    video = tmp_path / "a.mp4"
    video.write_bytes(b"1234")
    film = find_video(source_of(video, **changes), tmp_path / "a.html")
    assert film.url is None
    assert reported in film.problem


def test_a_link_whose_video_was_removed_costs_no_page(tmp_path):
    video, link = tmp_path / "real.mp4", tmp_path / "a.mp4"
    video.write_bytes(b"1234")
    link.symlink_to(video)
    source = source_of(link)
    video.unlink()
    assert "not where it was analysed" in find_video(source, tmp_path / "a.html").problem


def test_numbered_images_have_no_player(tmp_path):
    film = find_video(source_of(tmp_path, format="images", codec="png"), tmp_path / "a.html")
    assert "Numbered images" in film.problem


def test_a_url_is_valid_for_any_file_name(tmp_path):
    for name in ('"><script>.mp4', "a\nb.mp4", "שלום.mp4", "\udcff.mp4"):
        assert re.fullmatch(r"[\w./%~-]+", url_between(tmp_path / "r" / "x.html", tmp_path / name), re.ASCII)


def spelled_out(letters: str) -> str:
    return "".join(letter * int(n) for letter, n in re.findall(r"(\D)(\d+)", letters))


UNKNOWN = ShownLabels(np.zeros(0), np.zeros(0, int), np.zeros(0, int))


def test_boxes_are_those_of_the_table(tmp_path):
    made = Made(seconds=10, people=2, seed=1)
    frames, faces = made_tables(made)
    boxes = pack_boxes(faces, PictureSizes.from_frames(frames, source_info()), UNKNOWN)
    assert boxes["step_s"] == 0.2
    rows = faces.to_pandas()
    for track in boxes["tracks"]:
        own = rows[rows.track_id == track["id"]]
        for first, coded, letters, start_s, end_s in track["runs"]:
            n = len(base64.b64decode(coded)) // 4
            assert letters == f".{n}"
            inside = own[(own.time_s > first * 0.2 - 1e-6) & (own.time_s < (first + n) * 0.2 - 1e-6)]
            assert (start_s, end_s) == (inside.time_s.min(), inside.time_s.max())
            for k, corners in enumerate(np.frombuffer(base64.b64decode(coded), np.uint8).reshape(-1, 4)):
                cell = own[
                    (own.time_s > (first + k) * 0.2 - 1e-6) & (own.time_s < (first + k + 1) * 0.2 - 1e-6)
                ].iloc[0]
                expected = cell[["x1", "y1", "x2", "y2"]].to_numpy(float) / [1280, 720, 1280, 720] * 255
                np.testing.assert_allclose(corners, np.clip(expected, 0, 255), atol=0.51)


def test_a_box_has_the_label_that_its_face_shows_at_that_time():
    """One person laughs from 4 s on and turns away from 8 s on; the other rests."""
    made = Made(seconds=12, people=2)
    frames, faces = made_tables(made)
    table = faces.to_pandas()
    laughs = (table.track_id == 1) & (table.time_s >= 4)
    for label in made.labels:
        table[f"prob_{label}"] = np.where(laughs, 0.9 if label == "happy" else 0.1 / 6,
                                          0.94 if label == "neutral" else 0.01)  # fmt: skip
    table["yaw"] = np.where((table.track_id == 1) & (table.time_s >= 8), 70.0, 0.0)
    table["pitch"] = 0.0
    faces = pa.Table.from_pandas(table, schema=faces.schema, preserve_index=False)
    shown = find_shown_labels(frames, faces, made_basis(made))
    boxes = pack_boxes(faces, PictureSizes.from_frames(frames, source_info()), shown)

    def wanted(track_id: int, time_s: float) -> str:
        label = "happy" if track_id == 1 and time_s >= 4 else "neutral"
        return "." if track_id == 1 and time_s >= 8 else "abcdefg"[made.labels.index(label)]

    runs = [
        (track["id"], first, letters) for track in boxes["tracks"] for first, _, letters, *_ in track["runs"]
    ]
    seen = [(track_id, k * boxes["step_s"], letter) for track_id, first, letters in runs
            for k, letter in enumerate(spelled_out(letters), first)]  # fmt: skip
    assert len(seen) > 80
    for track_id, time_s, letter in seen:
        # Scores are smoothed over half a second, so the moment of the change is not sharp.
        if min(abs(time_s - 4), abs(time_s - 8)) > 0.4:
            assert letter == wanted(track_id, time_s)


@pytest.mark.parametrize("fps", [1 / 3, 2, 2.997, 25])
def test_boxes_stay_from_frame_to_frame_however_few_are_analysed(fps):
    frames, faces = made_tables(Made(seconds=60, fps=fps))
    rows = faces.to_pandas().query("track_id == 1")
    sizes = PictureSizes.from_frames(frames, source_info())
    (track,) = pack_boxes(faces, sizes, UNKNOWN, frame_step_s=1 / fps)["tracks"]
    missed = int((rows.time_s.diff() * fps > 1.5).sum())
    assert len(track["runs"]) <= 1 + missed


def test_boxes_of_an_hour_fit_into_a_page():
    frames, faces = made_tables(Made(seconds=3600, fps=4, people=8))
    boxes = pack_boxes(faces, PictureSizes.from_frames(frames, source_info()), UNKNOWN)
    assert len(json.dumps(boxes)) < 90_000
    n = sum(len(base64.b64decode(coded)) // 4 for track in boxes["tracks"] for _, coded, *_ in track["runs"])
    assert MOST_BOXES * 0.7 < n <= MOST_BOXES


def test_boxes_are_relative_to_the_picture_of_their_own_frame():
    frames, faces = made_tables(Made(seconds=4))
    half = len(frames) // 2
    smaller = np.where(np.arange(len(frames)) < half, 1280, 640)
    frames = frames.set_column(frames.column_names.index("width"), "width", pa.array(smaller, pa.int32()))
    one = faces.to_pandas().query("track_id == 1")
    expected = one.x1 / np.where(one.frame_index < half, 1280, 640)
    boxes = pack_boxes(faces, PictureSizes.from_frames(frames, source_info()), UNKNOWN)
    packed = b"".join(base64.b64decode(run[1]) for run in boxes["tracks"][0]["runs"])
    shown = np.frombuffer(packed, np.uint8).reshape(-1, 4)[:, 0] / 255
    assert shown[0] == pytest.approx(expected.iloc[0], abs=0.01)
    assert shown[-1] == pytest.approx(np.clip(expected.iloc[-2:], 0, 1).mean(), abs=0.05)
    assert shown[-1] > 1.5 * shown[0] or expected.iloc[0] > 0.5


def test_boxes_of_tables_without_sizes_are_relative_to_the_source():
    frames, faces = made_tables(Made(seconds=4))
    known = PictureSizes.from_frames(frames, source_info())
    for name in ("width", "height"):
        place = frames.column_names.index(name)
        frames = frames.set_column(place, name, pa.nulls(len(frames), pa.int32()))
    unknown = PictureSizes.from_frames(frames, source_info())
    assert pack_boxes(faces, unknown, UNKNOWN) == pack_boxes(faces, known, UNKNOWN)


def test_without_faces_there_are_no_boxes():
    frames, faces = made_tables(Made(seconds=2))
    assert pack_boxes(faces.slice(0, 0), PictureSizes.from_frames(frames, source_info()), UNKNOWN) is None


# --- Markers given to a run -------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch, tools):
    """Runs with a classifier without weights."""
    from ferflow.jobs import plan
    from ferflow.pipeline import Tools

    monkeypatch.setattr(plan, "model_sha256", lambda options: tools.classifier.card.sha256)
    monkeypatch.setattr(Tools, "load", classmethod(lambda cls, options: tools))


def test_markers_next_to_a_video_are_on_its_page_and_outlive_their_file(tmp_path, face_video, quick):
    video = tmp_path / "in" / "face.mp4"
    video.parent.mkdir()
    video.write_bytes(face_video.read_bytes())
    beside = video.with_name("face.markers.csv")
    beside.write_text("time_s,label,end_s\n0.2,boom,1.0\n")
    out = tmp_path / "out"
    report = run([video.parent], out)
    (done,) = report.videos
    page = out / done.report
    assert report.exit_code == 0
    assert "boom" in text(page.read_text("utf-8"))
    beside.write_text("time_s,label\n0.4,bang\n")
    run([video.parent], out)
    assert "bang" in text(page.read_text("utf-8"))
    assert "boom" not in page.read_text("utf-8")
    before = page.read_bytes()
    beside.unlink()
    run([video.parent], out)
    assert write_session_report(out, done.video_id).read_bytes() == before
    assert pd.read_parquet(out / "markers").label.tolist() == ["bang"]


def test_one_file_of_markers_is_for_every_video_and_wins(tmp_path, face_video, quick):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.mp4").write_bytes(face_video.read_bytes() + name.encode())
    (folder / "a.markers.csv").write_text("time_s,label\n0.1,own\n")
    shared = tmp_path / "shared.csv"
    shared.write_text("time_s,label\n0.1,shared\n")
    report = run([folder], tmp_path / "out", markers=shared)
    for video in report.videos:
        html = (tmp_path / "out" / video.report).read_text("utf-8")
        assert "shared" in html
        assert "own" not in re.findall(r"<bdi[^>]*>(.*?)</bdi>", html)


def test_invalid_markers_next_to_a_video_cost_neither_its_page_nor_the_others(tmp_path, face_video, quick):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.mp4").write_bytes(face_video.read_bytes() + name.encode())
    (folder / "a.markers.csv").write_text("time_s,label\nsoon,x\n")
    report = run([folder], tmp_path / "out")
    assert [video.status for video in report.videos] == ["failed", "done"]
    assert "a.markers.csv, line 2" in report.videos[0].error
    assert report.exit_code == 10
    assert len(list((tmp_path / "out/reports").glob("*.html"))) == 2


def test_a_broken_file_for_all_is_refused_before_any_work(tmp_path, face_video):
    shared = tmp_path / "shared.csv"
    shared.write_text("nothing")
    with pytest.raises(OptionsError, match="must name the columns"):
        run([face_video], tmp_path / "out", markers=shared)
    assert not (tmp_path / "out" / "frames").exists()


def test_clips_are_stored_only_on_request(tmp_path, face_video, quick):
    options, out = AnalyzeOptions(bin_seconds=0.2), tmp_path / "out"
    run([face_video], out, options)
    assert not list(out.glob("reports/*.clips"))
    report = run([face_video], out, options, embed_clips=True)
    session = load_session(out, report.videos[0].video_id)
    assert len(session.clips) == len(session.peaks) == len(list(out.glob("reports/*.clips/*.mp4")))
    html = (out / report.videos[0].report).read_text("utf-8")
    assert html.count("<figure>") == len(session.peaks)
    if session.peaks:
        assert "Clips around the peaks" in text(html)


def test_two_renders_with_everything_on_the_page_are_the_same_bytes(tmp_path):
    video = write_video(tmp_path / "v.mp4", face_frames(30))
    made = Made(seconds=20, people=3, markers=((1.0, 2.0, "a", ""), (5.0, None, "b", "")),
                source={"path": str(video), "size": video.stat().st_size})  # fmt: skip
    video_id = write_session(tmp_path, made)
    first = write_session_report(tmp_path, video_id).read_bytes()
    assert write_session_report(tmp_path, video_id).read_bytes() == first
    again = tmp_path / "again"
    write_session(again, replace(made))
    # Only the way to the video differs between two folders.
    other = write_session_report(again, video_id).read_bytes()
    assert other.replace(b"../../v.mp4", b"../v.mp4") == first
