"""Entries of `run.json`: their order, and what of earlier runs stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from ferflow.errors import RecordsError
from ferflow.options import AnalyzeOptions
from ferflow.store.run_manifest import RunManifest, TaskReport, VideoTask
from ferflow.store.video_files import VideoFiles


def manifest(*entries: TaskReport) -> RunManifest:
    made = RunManifest(options=AnalyzeOptions(), started="2026-01-02T03:04:05+00:00")
    made.videos = list(entries)
    return made


def entry(name: str, status: str = "done", **facts: object) -> TaskReport:
    return TaskReport(**{"source": f"/films/{name}.mp4", "video_id": f"{name}-id", "status": status, **facts})


def sources(made: RunManifest) -> list[str]:
    return [Path(one.source).stem for one in made.videos]


def test_inputs_of_the_run_come_first_in_their_order_then_those_of_earlier_runs():
    made = manifest(*(entry(name) for name in ("old2", "b", "old1", "c", "a")))
    made.arrange([f"/films/{name}.mp4" for name in ("c", "a", "b")])
    assert sources(made) == ["c", "a", "b", "old2", "old1"]


def test_an_entry_takes_the_place_of_the_earlier_one_about_the_same_video():
    made = manifest(entry("a", "failed", error="a.mp4: no"), entry("b"))
    assert made.note(entry("a", n_faces=3))
    assert [(one.video_id, one.status, one.n_faces) for one in made.videos] == [
        ("b-id", "done", 0),
        ("a-id", "done", 3),
    ]


def test_videos_are_known_by_id_and_inputs_without_one_by_path():
    made = manifest(entry("a"), entry("x", "failed", video_id=None))
    made.note(entry("a", video_id="a-id2"))  # another content under the same path
    assert len(made.videos) == 3
    made.note(entry("x", video_id="x-id"))
    assert len(made.videos) == 3
    made.note(replace(entry("a"), source="/elsewhere/a.mp4"))
    assert len(made.videos) == 3


def test_results_that_were_replaced_have_no_entry():
    made = manifest(entry("a", video_id="a-old"), entry("b"))
    made.note(entry("a", video_id="a-new"), replaces=("a-old",))
    assert [one.video_id for one in made.videos] == ["b-id", "a-new"]


@pytest.mark.parametrize("before", ["done", "done_with_gaps", "failed"])
def test_an_input_that_was_not_begun_keeps_the_entry_of_an_earlier_run(before):
    made = manifest(entry("a", before, n_faces=7))
    assert not made.note(entry("a", "not_started", error="stopped", attempts=0))
    assert [(one.status, one.n_faces) for one in made.videos] == [(before, 7)]


def test_an_input_that_was_not_begun_and_is_new_has_an_entry_without_attempts():
    made, task = manifest(), VideoTask(Path("/films/a.mp4"), VideoFiles(Path("out"), "a-id"))
    assert made.note(TaskReport.not_started(task, "the run stopped"))
    (only,) = made.videos
    assert (only.source, only.video_id, only.status, only.attempts, only.error) == (
        "/films/a.mp4", "a-id", "not_started", 0, "the run stopped",
    )  # fmt: skip


@pytest.mark.parametrize(("has_gaps", "status"), [(False, "done"), (True, "done_with_gaps")])
def test_a_skipped_video_of_which_no_run_wrote_an_entry_counts_as_finished(has_gaps, status):
    for earlier in ((), (entry("a", "failed"),), (entry("a", "not_started"),)):
        made = manifest(*earlier)
        assert made.note(entry("a", "skipped", has_gaps=has_gaps, n_people=2))
        assert [(one.status, one.n_people) for one in made.videos] == [(status, 2)]


def test_a_skipped_video_keeps_its_entry_but_for_its_people_and_a_source_that_moved(tmp_path):
    here = tmp_path / "a.mp4"
    made = manifest(entry("a", seconds=12.5, n_people=1))
    assert made.note(entry("a", "skipped", source=str(here), n_people=3))
    (only,) = made.videos
    assert (only.status, only.seconds, only.n_people, only.source) == ("done", 12.5, 3, str(here))
    assert not made.note(entry("a", "skipped", source=str(here), n_people=3))
    here.touch()  # it is still there: a second copy of it is no move
    assert not made.note(entry("a", "skipped", source=str(tmp_path / "copy.mp4"), n_people=3))
    assert made.videos[0].source == str(here)


@pytest.mark.parametrize(("source", "n_people"), [("moved.mp4", 1), ("a.mp4", 2)])
def test_one_change_of_the_source_or_of_the_people_is_enough_to_store_the_entry(tmp_path, source, n_people):
    made = manifest(entry("a", source=str(tmp_path / "a.mp4"), n_people=1))
    assert made.note(entry("a", "skipped", source=str(tmp_path / source), n_people=n_people))
    (only,) = made.videos
    assert (only.source, only.n_people) == (str(tmp_path / source), n_people)


def test_the_number_of_people_is_stored_for_finished_videos_alone():
    made = manifest(entry("a", n_people=1), entry("b", "failed"), entry("c", "done_with_gaps"))
    assert [made.note_people(f"{name}-id", 4) for name in "abcx"] == [True, False, True, False]
    assert [one.n_people for one in made.videos] == [4, 0, 4]
    assert not made.note_people("a-id", 4)


def test_a_stimulus_is_stored_once_and_removed_by_an_empty_text():
    made = manifest()
    assert [made.note_stimulus("a", text) for text in ("show", "show", "quiz", "", "")] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert made.stimuli == {}


def test_a_new_run_keeps_entries_and_stimuli_and_has_not_finished(tmp_path):
    path = tmp_path / "run.json"
    earlier = manifest(entry("a"))
    earlier.finished = "2026-01-02T04:00:00+00:00"
    earlier.note_stimulus("a-id", "show")
    earlier.save(path)
    new = RunManifest.start(path, options=AnalyzeOptions(every=2), started="2026-02-02T00:00:00+00:00")
    assert (new.videos, new.stimuli, new.finished) == (earlier.videos, {"a-id": "show"}, None)
    assert (new.started, new.options.every) == ("2026-02-02T00:00:00+00:00", 2)
    new.save(path)
    assert RunManifest.load(path).videos == earlier.videos


@pytest.mark.parametrize(
    "content", ['{"videos": [', '{"videos": 3}', "[]", '{"schema_version": 99, "videos": []}', "[" * 100_000]
)
def test_what_is_no_manifest_is_refused_and_names_the_repair(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RecordsError, match="--repair"):
        RunManifest.load(tmp_path / "run.json")
    assert RunManifest.load(tmp_path / "none.json") is None


def test_a_record_that_could_not_be_read_again_is_not_written(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    manifest = RunManifest(options=AnalyzeOptions(), started="2026-02-02T00:00:00+00:00")
    manifest.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("ferflow.store.run_manifest._MOST_BYTES", len(before) + 100)
    manifest.videos = [TaskReport(source=f"/videos/{number}.mp4", status="done") for number in range(3)]
    with pytest.raises(RecordsError, match=r"too large with 3 inputs .* Use several output folders"):
        manifest.save(path)
    assert path.read_bytes() == before
