"""When a timeline is written again, with what, and that nothing is analysed for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ferflow.analytics.timeline import timeline_schema
from ferflow.dashboards import refresh
from ferflow.jobs.additions import add_to_all
from ferflow.jobs.job import Additions, Job
from ferflow.jobs.run import follow, run, run_events
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import METADATA_KEY, Rest, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles
from tests.by_hand import every_millisecond
from tests.conftest import face_frames, write_video
from tests.made_cohort import write_run
from tests.made_records import LABELS, PRIOR, Made, made_tables, write_session

MADE = Made(seconds=30, people=2, video_id="talk")
FERPLUS_PRIOR = 0.264689
"""As `weights/ferplus.json` states it."""
DEFAULT_PRIOR = 0.20516


@pytest.fixture
def talk(tmp_path) -> VideoFiles:
    """A finished video of two people."""
    write_session(tmp_path, MADE)
    write_run(tmp_path, ["talk"])
    return VideoFiles(tmp_path, "talk")


@dataclass(frozen=True)
class State:
    """What a file is: its time of change and its bytes."""

    mtime_ns: int
    content: bytes

    @classmethod
    def of(cls, path: Path) -> State:
        return cls(path.stat().st_mtime_ns, path.read_bytes())


def edit_footer(path: Path, edit, columns: list[str] | None = None) -> None:
    """Change what a table says of itself, and keep some of its columns, as another program would."""
    table = pq.read_table(path, columns=columns)
    facts = json.loads(pq.read_metadata(path).metadata[METADATA_KEY])
    edit(facts)
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(facts).encode()}), path)


def age(files: VideoFiles, *, name: str = "default", sha256: str = "ab" * 32) -> None:
    """Make the files of a video what a ferflow of schema 2 wrote before timelines had a basis."""

    def forget_prior(facts):
        facts["model"] = {"name": name, "sha256": sha256}
        facts.pop("basis", None)

    before = ["video_id", "bin_start_s", "bin_end_s", "person_id", "n_frames", "n_faces", "presence", "attention",
              "expressiveness", "engagement", "valence", "positive", "negative", "reacting",
              *(f"prob_{label}" for label in LABELS), "n_people"]  # fmt: skip
    edit_footer(files.frames, forget_prior)
    edit_footer(files.faces, forget_prior)
    edit_footer(files.timeline, forget_prior, before)


def expressiveness_by_hand(prior: float) -> dict[int, float]:
    """Mean expressiveness of each person over readable time."""
    ms = every_millisecond(made_tables(MADE)[1].to_pandas(), round(1000 / MADE.fps), prior)
    return ms.groupby("person").expressiveness.mean().to_dict()


def expressiveness_on_disk(files: VideoFiles) -> dict[int, float]:
    rows = pd.read_parquet(files.timeline).dropna(subset=["person_id", "expressiveness"])
    sums = (rows.expressiveness * rows.readable_s).groupby(rows.person_id).sum()
    return (sums / rows.groupby("person_id").readable_s.sum()).to_dict()


def write_pages(files: VideoFiles) -> None:
    refresh(files.out)


def prepare_report(files: VideoFiles) -> None:
    assert add_to_all(files.out, Additions()) == {}


@pytest.mark.parametrize("bring_up_to_date", [write_pages, prepare_report])
def test_a_timeline_of_an_earlier_version_is_made_again_from_records_that_stay_as_they_are(
    talk, bring_up_to_date
):
    age(talk)
    before = {path: State.of(path) for path in (talk.frames, talk.faces)}
    bring_up_to_date(talk)
    assert {path: State.of(path) for path in before} == before
    assert pq.read_schema(talk.timeline).remove_metadata() == timeline_schema(LABELS)
    assert expressiveness_on_disk(talk) == pytest.approx(expressiveness_by_hand(DEFAULT_PRIOR), abs=1e-5)
    footer = read_metadata(talk.timeline)
    assert footer.basis.neutral_prior == DEFAULT_PRIOR
    written = State.of(talk.timeline)
    bring_up_to_date(talk)
    assert State.of(talk.timeline) == written


def test_the_prior_is_that_of_the_model_with_these_files_whatever_it_is_called(talk):
    from ferflow.models.registry import resolve

    age(talk, name="default", sha256=resolve("ferplus").sha256)
    prepare_report(talk)
    assert read_metadata(talk.timeline).basis.neutral_prior == FERPLUS_PRIOR
    assert expressiveness_on_disk(talk) == pytest.approx(expressiveness_by_hand(FERPLUS_PRIOR), abs=1e-5)


def test_a_prior_in_the_footer_comes_before_that_of_any_card(talk):
    edit_footer(talk.timeline, lambda facts: facts.pop("basis"))
    prepare_report(talk)
    assert read_metadata(talk.timeline).basis.neutral_prior == PRIOR
    assert expressiveness_on_disk(talk) == pytest.approx(expressiveness_by_hand(PRIOR), abs=1e-5)


def test_scores_of_a_model_with_an_unknown_prior_are_taken_as_they_are(talk):
    age(talk, name="mine")
    prepare_report(talk)
    assert read_metadata(talk.timeline).basis.neutral_prior is None
    assert expressiveness_on_disk(talk) == pytest.approx(expressiveness_by_hand(0.5), abs=1e-5)


# --- Stretches at rest --------------------------------------------------------------------------------


def shifts_by_hand(start_s: float, end_s: float, *persons: int) -> dict[int, float]:
    """How far the log odds in a stretch, of which the middle one counts, are above -2, at most 1.5."""
    faces = made_tables(MADE)[1].to_pandas().astype({"prob_neutral": float})
    faces = faces[~(faces.yaw.abs() > 45) & (faces.face_px >= 28) & (faces.sharpness >= 50)]
    faces = faces[(faces.time_s >= start_s) & (faces.time_s < end_s) & faces.track_id.isin(persons)]
    odds = np.log((1 - faces.prob_neutral) / faces.prob_neutral) - np.log((1 - PRIOR) / PRIOR)
    return (odds.groupby(faces.track_id).median() + 2).clip(-1.5, 1.5).to_dict()


def shifts_on_disk(files: VideoFiles) -> dict[int, float]:
    return {one.person_id: one.log_odds for one in read_metadata(files.timeline).basis.shifts}


def give_rest(files: VideoFiles, *stretches: str) -> None:
    assert add_to_all(files.out, Additions(rest=stretches)) == {}


def name_people(files: VideoFiles, *rows: str) -> None:
    text = "\n".join(["video_id,track_id,name", *rows]) + "\n"
    OutputFolder(files.out).people_list.write_text(text, encoding="utf-8")


def test_a_stretch_at_rest_calibrates_everybody_in_it_is_remembered_and_can_be_forgotten(talk):
    before = pd.read_parquet(talk.timeline)
    give_rest(talk, "0:02-0:08")
    wanted = shifts_by_hand(2, 8, 1, 2)
    assert len(wanted) == 2
    assert shifts_on_disk(talk) == pytest.approx(wanted, abs=0.02)
    assert read_metadata(talk.timeline).basis.rest == (Rest(2.0, 8.0, None),)
    prepare_report(talk)  # without the option
    assert shifts_on_disk(talk) == pytest.approx(wanted, abs=0.02)
    give_rest(talk)
    assert read_metadata(talk.timeline).basis.rest == ()
    pd.testing.assert_frame_equal(pd.read_parquet(talk.timeline), before)


def test_a_stretch_of_one_person_calibrates_that_person_alone(talk):
    name_people(talk, "talk,2,Ada")
    give_rest(talk, "Ada=0:02-0:08")
    assert shifts_on_disk(talk) == pytest.approx(shifts_by_hand(2, 8, 2), abs=0.02)


def test_a_stretch_of_somebody_else_calibrates_nobody(talk):
    give_rest(talk, "Ada=0:02-0:08")
    assert read_metadata(talk.timeline).basis.rest == ()
    name_people(talk, "talk,2,Ada")
    prepare_report(talk)
    assert read_metadata(talk.timeline).basis.rest == (Rest(2.0, 8.0, 2),)


def test_a_marker_of_kind_rest_in_a_file_is_about_the_person_whom_it_names_or_everybody(talk, tmp_path):
    name_people(talk, "talk,2,Ada")
    markers = tmp_path / "m.csv"
    markers.write_text("time_s,label,end_s,kind\n2,Ada,8,rest\n9,Everybody,15,rest\n20,clap,,\n")
    assert add_to_all(talk.out, Additions(markers=markers)) == {}
    assert read_metadata(talk.timeline).basis.rest == (Rest(2.0, 8.0, 2), Rest(9.0, 15.0, None))
    assert set(shifts_on_disk(talk)) == {1, 2}


def test_a_timeline_is_written_again_only_for_what_it_depends_on(talk, tmp_path):
    give_rest(talk, "Ada=0:02-0:08")
    name_people(talk, "talk,1,Ada")
    prepare_report(talk)
    refresh(talk.out)
    before, page = State.of(talk.timeline), State.of(talk.report)
    prepare_report(talk)
    give_rest(talk, "Ada=0:02-0:08")
    assert (State.of(talk.timeline), State.of(talk.report)) == (before, page)
    # Other names and other markers change no number of this table.
    name_people(talk, "talk,1,Ada", "talk,2,Bo")
    (tmp_path / "m.csv").write_text("time_s,label\n20,clap\n")
    assert add_to_all(talk.out, Additions(markers=tmp_path / "m.csv")) == {}
    assert State.of(talk.timeline) == before
    name_people(talk, "talk,2,Ada")
    prepare_report(talk)
    assert State.of(talk.timeline) != before
    # No page shows other numbers than the table.
    assert not talk.report.exists()
    assert set(shifts_on_disk(talk)) == {2}


# --- The whole run ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three_people(tmp_path_factory) -> Path:
    """One for three seconds, another in the last 1.2 of them, a third for ten frames: 75 frames."""
    face, images = face_frames(1, step=0)[0], []
    # Smaller than the first, so that no change is taken for a cut.
    small = face_frames(1, size=(160, 120), step=0)[0]
    for k in range(75):
        image = np.full((240, 640, 3), 120, np.uint8)
        image[:, :320] = face
        if k >= 45:
            image[:120, 400:560] = small
        if 20 <= k < 30:
            image[120:, 400:560] = small
        images.append(image)
    return write_video(tmp_path_factory.mktemp("video") / "three.mp4", images)


def people_of(out: Path) -> tuple[int, int]:
    """Number of people in `run.json`, and in the timeline."""
    (entry,) = json.loads((out / "run.json").read_text())["videos"]
    rows = pd.read_parquet(out / "timeline" / f"{entry['video_id']}.parquet")
    return entry["n_people"], rows.person_id.nunique()


def test_people_are_those_with_rows_in_the_timeline_everywhere(tmp_path, three_people, stand_in):
    from ferflow.doctor.output_check import repair
    from ferflow.jobs.progress import format_summary

    out = tmp_path / "out"
    for _ in range(2):
        report = run([three_people], out, pages=False)
        assert report.videos[0].n_people == 2
        assert people_of(out) == (2, 2)
        assert format_summary(report.videos).splitlines()[1].split()[1] == "2"
    files = VideoFiles(out, report.videos[0].video_id)
    assert pd.read_parquet(files.faces).track_id.nunique() == 3
    (out / "run.json").unlink()
    repair(out)
    assert people_of(out) == (2, 2)


@pytest.mark.parametrize(
    "again",
    ["run", pytest.param("report", marks=pytest.mark.slow), pytest.param("other", marks=pytest.mark.slow)],
)
def test_the_number_of_people_follows_a_timeline_that_is_written_again(
    tmp_path, three_people, face_video, stand_in, again
):
    out = tmp_path / "out"
    run([three_people], out, pages=False)
    manifest = json.loads((out / "run.json").read_text())
    manifest["videos"][0]["n_people"] = 3
    (out / "run.json").write_text(json.dumps(manifest))
    (files,) = OutputFolder(out).finished_videos()
    edit_footer(files.timeline, lambda facts: facts.pop("basis"))
    if again == "report":
        add_to_all(out, Additions())
    else:
        run([three_people if again == "run" else face_video], out, pages=False)
    entries = json.loads((out / "run.json").read_text())["videos"]
    assert [entry["n_people"] for entry in entries if entry["video_id"] == files.video_id] == [2]


def test_broken_markers_of_another_video_do_not_end_a_run(tmp_path, face_video, stand_in):
    out = tmp_path / "out"
    other = write_video(tmp_path / "other.mp4", face_frames(6))
    video_id = run([other], out, pages=False).videos[0].video_id
    markers = VideoFiles(out, video_id).markers
    markers.parent.mkdir()
    markers.write_bytes(b"PAR1 and nothing else")
    report = run([face_video], out, AnalyzeOptions(bin_seconds=0.5), pages=False)
    assert [video.status for video in report.videos] == ["done"]
    assert json.loads((out / "run.json").read_text())["finished"] is not None


def test_a_run_stores_the_stretches_of_its_job_and_the_next_one_remembers_them(
    tmp_path, face_video, stand_in
):
    out, long = tmp_path / "out", write_video(tmp_path / "long.mp4", face_frames(75, step=1))
    report = follow(run_events(Job(inputs=(str(long),), out=out, rest=("0:00-0:02.5",), pages=False)))
    files = VideoFiles(out, report.videos[0].video_id)
    faces = pd.read_parquet(files.faces).astype({"prob_neutral": float}).query("time_s < 2.5")
    odds = np.log((1 - faces.prob_neutral) / faces.prob_neutral) - np.log((1 - 0.2) / 0.2)
    low, high = (odds.quantile(0.5, end) + 2 for end in ("lower", "higher"))
    assert np.clip(low - 1e-4, -1.5, 1.5) <= shifts_on_disk(files)[1] <= np.clip(high + 1e-4, -1.5, 1.5)
    stored = pd.read_parquet(files.markers)
    assert stored[["time_s", "end_s", "label", "kind"]].values.tolist() == [[0.0, 2.5, "rest", "rest"]]
    # Those of another video are its own.
    run([face_video], out, pages=False)
    assert shifts_on_disk(files) != {}
    report = run([long], out, rest=(), pages=False)
    assert report.videos[0].status == "skipped"
    assert shifts_on_disk(files) == {}
    assert len(pd.read_parquet(files.markers)) == 0


# --- Time ---------------------------------------------------------------------------------------------


def seconds_of(out: Path) -> pd.DataFrame:
    """Seconds analysed and with the face, by bin, of the one video."""
    (path,) = (out / "timeline").iterdir()
    table = pd.read_parquet(path)
    return table[table.person_id.isna()].set_index("bin_start_s")[["seconds", "face_s"]]


def test_a_picture_that_is_held_counts_for_as_long_as_it_is_shown(tmp_path, stand_in):
    # A second of frames, the last of which is shown for three seconds more, then another second.
    pts = [*range(0, 1000, 40), *range(4000, 5000, 40)]
    video = write_video(tmp_path / "held.mp4", face_frames(50, step=1), pts=pts)
    report = run([video], tmp_path / "out", pages=False)
    assert report.videos[0].status == "done"
    got = seconds_of(tmp_path / "out")
    np.testing.assert_allclose(got, [[1, 1]] * 5, atol=1e-6)


def test_frames_of_any_rhythm_count_for_the_time_until_the_next(tmp_path, stand_in):
    steps = [20, 20, 200, 60, 100] * 10
    pts = np.cumsum([0, *steps]).tolist()
    video = write_video(tmp_path / "vfr.mkv", face_frames(len(pts), step=1), pts=pts)
    run([video], tmp_path / "out", pages=False)
    got = seconds_of(tmp_path / "out")
    np.testing.assert_allclose(got.seconds.iloc[:4], 1, atol=1e-6)
    np.testing.assert_allclose(got.face_s.iloc[:4], 1, atol=1e-6)


def test_time_that_the_decoder_could_not_read_does_not_count(tmp_path, stand_in):
    """Every picture is a JPEG; those between 1 and 4 s are overwritten."""
    video = write_video(tmp_path / "damaged.mp4", face_frames(125, step=0), codec="mjpeg", pix_fmt="yuvj420p",
                        pts=range(125), time_base=Fraction(1, 25))  # fmt: skip
    overwrite_frames(video, range(25, 100))
    report = run([video], tmp_path / "out", pages=False)
    assert report.videos[0].status == "done_with_gaps"
    got = seconds_of(tmp_path / "out")
    np.testing.assert_allclose(got, [[1, 1], [0, 0], [0, 0], [0, 0], [1, 1]], atol=1e-6)


def overwrite_frames(path: Path, numbers: range) -> None:
    """Replace the bytes of some pictures of an MP4 by zeros."""
    import av

    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in numbers:
        position, size = places[number]
        content[position : position + size] = bytes(size)
    path.write_bytes(content)
