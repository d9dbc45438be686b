"""What a session is about: told by a job or by the session list, and which file it is."""

from __future__ import annotations

import json
import unicodedata

import pytest

from ferflow.analytics.stimuli import Stimulus, find_stimulus, locate_stimulus
from ferflow.dashboards import PageOptions
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.errors import OptionsError
from ferflow.jobs.job import Job
from ferflow.jobs.run import run
from tests.made_cohort import write_run
from tests.made_records import Made, write_session


def stimuli(out) -> dict[str, Stimulus | None]:
    return {entry.video_id: entry.stimulus for entry in load_folder(out, PageOptions()).entries}


@pytest.fixture
def three(tmp_path):
    out = tmp_path / "out"
    write_run(out, [write_session(out, Made(seconds=5, video_id=name)) for name in "abc"])
    return out


def test_a_text_is_a_stimulus_and_the_same_text_is_the_same_one(tmp_path):
    assert find_stimulus("Level 1", [tmp_path]) == Stimulus("Level 1", None)
    decomposed = unicodedata.normalize("NFD", "Café")
    assert find_stimulus(decomposed, [tmp_path]) == find_stimulus("Café", [])


def test_all_spellings_of_one_file_are_one_stimulus(tmp_path, monkeypatch):
    (tmp_path / "ads").mkdir()
    (tmp_path / "ads" / "ad.mp4").write_bytes(b"x")
    (tmp_path / "other.mp4").symlink_to(tmp_path / "ads" / "ad.mp4")
    monkeypatch.chdir(tmp_path)
    want = Stimulus("ad.mp4", (tmp_path / "ads" / "ad.mp4").resolve())
    for text in (
        "ads/ad.mp4",
        "ads\\ad.mp4",
        str(tmp_path / "ads/ad.mp4"),
        "other.mp4",
        locate_stimulus("ads/ad.mp4"),
    ):
        assert find_stimulus(text, [tmp_path]) == want
    assert find_stimulus("ad.mp4", [tmp_path, tmp_path / "ads"]) == want


@pytest.mark.parametrize("text", ["x" * 400, "a\0b", "../../..", "/", "no/such.mp4", "\ud800"])
def test_a_text_that_is_no_file_is_a_text(tmp_path, text):
    assert find_stimulus(text, [tmp_path]) == Stimulus(text, None)


def test_the_session_list_says_the_stimulus_and_its_own_folder_is_where_a_path_starts(three, tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "ad.mp4").write_bytes(b"x")
    listed = tmp_path / "lists" / "who.csv"
    listed.write_text("video,stimulus\na,ad.mp4\nb,Level 1\nc,\n")
    entries = load_folder(three, PageOptions(sessions=listed)).entries
    ad = Stimulus("ad.mp4", (tmp_path / "lists" / "ad.mp4").resolve())
    assert [entry.stimulus for entry in entries] == [ad, Stimulus("Level 1", None), None]


def test_sessions_can_be_grouped_by_their_stimulus(three):
    (three / "sessions.csv").write_text("video,stimulus\na,x\nb,x\nc,y\n")
    folder = load_folder(three, PageOptions(by="stimulus"))
    assert [entry.group for entry in folder.entries] == ["x", "x", "y"]


def test_a_job_stores_its_stimulus_and_a_later_run_without_one_keeps_it(face_video, in_folder):
    in_folder("ad.mp4").write_bytes(b"x")
    run([face_video], "out", stimulus="ad.mp4")
    (stored,) = json.loads(in_folder("out/run.json").read_text())["stimuli"].values()
    assert stored == str(in_folder("ad.mp4").resolve())
    run([face_video], "out")
    assert list(stimuli(in_folder("out")).values()) == [Stimulus("ad.mp4", in_folder("ad.mp4").resolve())]


def test_a_run_over_finished_videos_changes_or_removes_the_stimulus(face_video, in_folder):
    run([face_video], "out", stimulus="first")
    run([face_video], "out", stimulus="second")
    assert [one.name for one in stimuli(in_folder("out")).values()] == ["second"]
    run([face_video], "out", stimulus=" ")
    assert list(stimuli(in_folder("out")).values()) == [None]


def test_the_session_list_has_precedence_over_the_job(three):
    manifest = json.loads((three / "run.json").read_text())
    (three / "run.json").write_text(json.dumps(manifest | {"stimuli": {"a": "job", "b": "job"}}))
    (three / "sessions.csv").write_text("video,stimulus\na,list\nb,\n")
    assert [one and one.name for one in stimuli(three).values()] == ["list", "job", None]


def test_a_job_file_names_the_stimulus(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text('inputs = ["a.mp4"]\nout = "out"\nstimulus = " Trailer 3 "\n')
    assert Job.from_toml(path).stimulus == "Trailer 3"
    path.write_text(f'inputs = ["a.mp4"]\nout = "out"\nstimulus = "{"x" * 2000}"\n')
    with pytest.raises(OptionsError, match="at most 1000"):
        Job.from_toml(path)
