"""Shards: each input in exactly one, results those of one run, whichever shard runs when, twice or at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs.job import Job
from ferflow.jobs.merge import merge
from ferflow.jobs.plan import find_inputs
from ferflow.jobs.run import follow, run, run_events
from ferflow.jobs.shard import Shard
from ferflow.jobs.shard_inputs import choose_inputs
from ferflow.media.inputs import DiscoveredInput
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from tests.conftest import face_frames, some_slow, write_video

SLURM = {"SLURM_ARRAY_TASK_ID": "12", "SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_COUNT": "4"}
KUBERNETES = {"JOB_COMPLETION_INDEX": "0"}
AWS = {"AWS_BATCH_JOB_ARRAY_INDEX": "63", "AWS_BATCH_JOB_ARRAY_SIZE": "64"}


@pytest.mark.parametrize(
    ("text", "environment", "wanted"),
    [
        ("3/64", {}, "3/64"),
        ("auto", SLURM, "3/4"),
        ("auto", AWS, "64/64"),
        ("auto/8", KUBERNETES, "1/8"),
        ("auto/6", SLURM, "3/6"),
    ],
)
def test_a_shard_is_named_or_found_in_the_variables_of_an_array_of_jobs(text, environment, wanted):
    assert str(Shard.parse(text, environment)) == wanted


@pytest.mark.parametrize(
    ("text", "environment", "why"),
    [
        ("0/4", {}, "I from 1 to N"),
        ("5/4", {}, "I from 1 to N"),
        ("1/0", {}, "I from 1 to N"),
        ("1/10000000", {}, "at most 1,000,000"),
        ("3", {}, "such as 3/64"),
        ("-1/4", {}, "such as 3/64"),
        ("auto", {}, "not in an array of jobs"),
        ("auto", KUBERNETES, "Give auto/N"),
        ("auto/2", {"JOB_COMPLETION_INDEX": "2"}, "shard 3/2"),
        ("auto", {**SLURM, "SLURM_ARRAY_TASK_ID": "12\n"}, "not a number"),
        ("auto", {"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_MIN"),
    ],
)
def test_what_names_no_shard_is_refused_in_one_line(text, environment, why):
    with pytest.raises(OptionsError, match=why) as refused:
        Shard.parse(text, environment)
    assert "\n" not in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 10**9), max_size=60), count=st.integers(1, 12), copies=st.integers(1, 3))
def test_each_input_is_in_one_shard_and_none_has_much_more_than_its_part(
    tmp_path_factory, sizes, count, copies
):
    folder = tmp_path_factory.mktemp("sizes")
    inputs = []
    for number, size in enumerate(sizes):
        for copy in range(copies if number == 0 else 1):
            path = folder / str(copy) / f"{number}.mp4"
            path.parent.mkdir(exist_ok=True)
            path.touch()
            os.truncate(path, size)  # without content: a gigabyte takes no room
            inputs.append(DiscoveredInput(path))
    shares = [choose_inputs(Shard(number, count), inputs) for number in range(1, count + 1)]
    assert sorted(place for share in shares for place in share.places) == list(range(len(inputs)))
    assert all([inputs[place] for place in share.places] == share.inputs for share in shares)
    assert {share.all_inputs.n_inputs for share in shares} == {len(inputs)}
    assert len({share.all_inputs for share in shares}) == 1
    loads = [sum(one.path.stat().st_size for one in share.inputs) for share in shares]
    groups = [sizes[0] * copies, *sizes[1:]] if sizes else [0]
    least_possible = max(sum(groups) / count, max(groups))
    # Graham (1969): at most 4/3 of the best assignment, which may itself be above this bound by one group.
    assert max(loads) <= 4 / 3 * least_possible + max(groups) / 3 + 1
    if sizes:  # copies, whose ids depend on one another, are in one shard
        assert sum(any(one.path.name == "0.mp4" for one in share.inputs) for share in shares) == 1


@pytest.fixture
def model_loaded_once(monkeypatch):
    """As if all shards ran in one process: what is measured is not the start of processes."""
    tools = Tools.load(AnalyzeOptions(threads=1))
    monkeypatch.setattr(Tools, "load", classmethod(lambda cls, options: tools))


def job_of(folder: Path, out: Path, shard: str | None = None, **changes: object) -> Job:
    """All videos of a folder, in this process."""
    return Job(
        inputs=(str(folder),), out=out, workers=0, pages=False, options=AnalyzeOptions(threads=1),
        shard=None if shard is None else Shard.parse(shard), **changes,
    )  # fmt: skip


def seconds_of(job: Job) -> float:
    started = time.perf_counter()
    follow(run_events(job))
    return time.perf_counter() - started


def draw_videos(folder: Path, count: int) -> Path:
    """Small files of different lengths, one of which cannot be read."""
    folder.mkdir()
    kinds = [write_video(folder / f"kind{n}.mp4", face_frames(2 + n, size=(96, 64))) for n in range(4)]
    contents = [path.read_bytes() for path in kinds]
    for path in kinds:
        path.unlink()
    for number in range(count - 1):
        (folder / f"video{number:04}.mp4").write_bytes(contents[number % 4])
    (folder / "broken.mp4").write_bytes(b"no video" * 100)
    return folder


def contents_of(out: Path) -> dict[str, object]:
    """Tables with their footers, and `run.json`, without times and machine."""
    found: dict[str, object] = {}
    for path in sorted(out.rglob("*.parquet")):
        found[path.relative_to(out).as_posix()] = (
            pq.ParquetFile(path).read().to_pydict(),
            read_metadata(path),
        )
    read = json.loads((out / "run.json").read_text())
    for entry in read["videos"]:
        del entry["seconds"]
    found["run.json"] = {name: read[name] for name in read if name not in ("started", "finished", "host")}
    return found


def rows_of(out: Path) -> dict[str, object]:
    """Tables without footers, which say how many threads there were."""
    return {
        path.relative_to(out).as_posix(): pq.ParquetFile(path).read().to_pydict()
        for path in out.rglob("*.parquet")
    }


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("n_videos", "n_shards"), some_slow((14, 5), slow=[(1000, 64)]))
def test_shards_in_any_order_and_some_twice_make_what_one_run_makes(
    tmp_path, stand_in, model_loaded_once, n_videos, n_shards
):
    seed = int(os.environ.get("FERFLOW_TEST_SEED") or time.time_ns() % 2**32)
    print(f"seed: {seed} (FERFLOW_TEST_SEED)")
    draw = random.Random(seed)
    folder = draw_videos(tmp_path / "videos", n_videos)
    alone = seconds_of(job_of(folder, tmp_path / "one"))
    numbers = [*range(1, n_shards + 1), *draw.sample(range(1, n_shards + 1), n_shards // 4)]
    draw.shuffle(numbers)
    out, spent = tmp_path / "out", 0.0
    for place, number in enumerate(numbers):
        is_first = number not in numbers[:place]
        seconds = seconds_of(job_of(folder, out, f"{number}/{n_shards}"))
        spent += seconds if is_first else 0.0
        if place == len(numbers) // 2:  # in between, and without effect on what follows
            assert merge(out, pages=False).exit_code == 10
    started = time.perf_counter()
    report = merge(out, pages=False)
    spent += time.perf_counter() - started
    assert report.missing == ()
    assert [Path(entry.source).name for entry in report.failed] == ["broken.mp4"]
    assert report.exit_code == 10
    assert contents_of(out) == contents_of(tmp_path / "one")
    print(
        f"{n_shards} shards and merge: {1000 * (spent - alone) / n_videos:.1f} ms a video more than one run"
    )
    again = (out / "run.json").read_bytes()
    assert merge(out, pages=False).missing == ()
    read = [json.loads(text) for text in (again, (out / "run.json").read_bytes())]
    assert read[0]["videos"] == read[1]["videos"]


def start(folder: Path, out: Path, shard: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ferflow", "analyze", folder, "-o", out, "--shard", shard, "--no-report"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_one_shard_twice_at_once_analyses_each_video_once_and_a_killed_one_is_taken_over(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(3):
        write_video(folder / f"{number}.mp4", face_frames(100 + number, size=(320, 240)))
    out = tmp_path / "out"
    with start(folder, out, "1/1") as first:
        wait_for(lambda: any(out.glob("faces/.*.tmp")))
        with pytest.raises(RecordsError, match="another ferflow"):  # a run of the whole folder is kept out
            run([folder], out)
        unfinished = merge(out, pages=False)
        assert unfinished.missing == ("shard 1 of 1 has not finished",)
        with start(folder, out, "1/1") as second:
            wait_for(lambda: len(list(out.glob("faces/*.parquet"))) >= 1)
            first.send_signal(signal.SIGKILL)
            text = "".join(second.communicate(timeout=120))
            assert second.returncode == 0, text
    report = merge(out, pages=False)
    assert report.exit_code == 0
    assert [entry.n_frames for entry in report.videos] == [100, 101, 102]
    assert [entry.attempts for entry in report.videos] == [1, 1, 1]
    run([folder], tmp_path / "one", pages=False)
    assert rows_of(out) == rows_of(tmp_path / "one")
    assert not list(out.glob("*/.*.tmp"))


def test_missing_shards_and_other_inputs_are_named(tmp_path, stand_in):
    folder, out = draw_videos(tmp_path / "videos", 9), tmp_path / "out"
    (folder / "broken.mp4").unlink()
    for number in (1, 2, 6):
        follow(run_events(job_of(folder, out, f"{number}/7")))
    assert merge(out).missing == ("shards 3-5, 7 of 7 have not finished",)
    (folder / "later.mp4").write_bytes((folder / "video0000.mp4").read_bytes())
    for number in (3, 4, 5, 7):
        follow(run_events(job_of(folder, out, f"{number}/7")))
    (problem,) = merge(out).missing
    assert "different inputs (8, 9)" in problem
    for number in range(1, 8):
        follow(run_events(job_of(folder, out, f"{number}/7")))
    report = merge(out)
    assert (report.missing, len(report.videos), report.exit_code) == ((), 9, 0)
    assert {page.stem for page in out.glob("reports/*.html")} == set(OutputFolder(out).finished_ids())


def test_another_number_of_shards_goes_on_with_what_is_finished(tmp_path, stand_in):
    folder, out = draw_videos(tmp_path / "videos", 9), tmp_path / "out"
    follow(run_events(job_of(folder, out, "2/3")))
    reports = [follow(run_events(job_of(folder, out, f"{number}/2"))) for number in (1, 2)]
    assert sum(one.status == "skipped" for report in reports for one in report.videos) >= 2
    report = merge(out, pages=False)
    assert (report.missing, len(report.videos)) == ((), 9)


def test_a_shard_of_other_options_or_another_model_is_refused(tmp_path, stand_in, monkeypatch):
    folder, out = draw_videos(tmp_path / "videos", 5), tmp_path / "out"
    follow(run_events(job_of(folder, out, "1/2")))
    other = job_of(folder, out, "2/2").updated(options=AnalyzeOptions(every=2))
    with pytest.raises(RecordsError, match=r"shard 1/2 had other options \(every: 1, now 2\)"):
        follow(run_events(other))
    with monkeypatch.context() as patch:
        patch.setattr("ferflow.jobs.shard_run.model_sha256", lambda options: "1" * 64)
        with pytest.raises(RecordsError, match="another model"):
            follow(run_events(job_of(folder, out, "2/2")))
    merge(out)
    (out / "shards" / "1-of-2.json").unlink()
    with pytest.raises(RecordsError, match="the last run had other options"):
        follow(run_events(job_of(folder, out, "2/2").updated(options=AnalyzeOptions(every=2))))


def test_a_run_of_the_whole_folder_takes_over_what_shards_recorded(tmp_path, stand_in):
    folder, out = draw_videos(tmp_path / "videos", 5), tmp_path / "out"
    follow(run_events(job_of(folder, out, "1/2", stimulus="a film")))
    report = follow(run_events(job_of(folder, out)))
    assert {one.status for one in report.videos} == {"done", "skipped", "failed"}
    assert not (out / "shards").exists()
    read = json.loads((out / "run.json").read_text())
    analysed_by_shard = {one.video_id for one in report.videos if one.status == "skipped"}
    assert set(read["stimuli"]) == analysed_by_shard
    assert all(entry["seconds"] > 0 for entry in read["videos"])
    assert merge(out).missing == ()


def test_a_broken_manifest_of_a_shard_costs_the_others_nothing(tmp_path, stand_in):
    folder, out = draw_videos(tmp_path / "videos", 6), tmp_path / "out"
    for number in (1, 2, 3):
        follow(run_events(job_of(folder, out, f"{number}/3")))
    (out / "shards" / "2-of-3.json").write_text("{")
    report = merge(out)
    assert report.exit_code == 10
    assert any("2-of-3.json: not a run manifest" in line for line in report.missing)
    # The tables of that shard are there, and so are its videos.
    assert len([entry for entry in report.videos if entry.status == "done"]) == 5
    follow(run_events(job_of(folder, out, "2/3")))
    assert merge(out).missing == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"started": "yesterday"}, "isoformat"),
        ({"started": "2020-01-01T00:00:00"}, "no time zone"),
        ({"number": -5, "count": 10**12}, "shard -5 of"),
        ({}, "the record of shard 1 of 2. Remove this file"),  # of another shard, copied by hand
    ],
)
def test_a_record_that_no_shard_can_have_written_is_named(tmp_path, stand_in, changes, why):
    folder, out = draw_videos(tmp_path / "videos", 4), tmp_path / "out"
    for number in (1, 2):
        follow(run_events(job_of(folder, out, f"{number}/2")))
    content = json.loads((out / "shards" / "1-of-2.json").read_text()) | changes
    (out / "shards" / "9-of-9.json").write_text(json.dumps(content))
    (problem,) = merge(out, pages=False).missing
    assert "9-of-9.json" in problem
    assert why in problem
    assert not problem.endswith(".")  # merge ends each with one


def test_a_broken_record_of_the_first_shard_stops_no_shard(tmp_path, stand_in):
    folder, out = draw_videos(tmp_path / "videos", 4), tmp_path / "out"
    follow(run_events(job_of(folder, out, "1/3")))
    (out / "shards" / "1-of-3.json").write_text("{")
    for number in (3, 2, 1):
        follow(run_events(job_of(folder, out, f"{number}/3")))
    assert merge(out, pages=False).missing == ()


def test_a_run_that_is_refused_leaves_the_records_of_shards(tmp_path, stand_in):
    folder, out = draw_videos(tmp_path / "videos", 4), tmp_path / "out"
    follow(run_events(job_of(folder, out, "1/2")))
    with pytest.raises(RecordsError, match="made with other options"):
        follow(run_events(job_of(folder, out).updated(options=AnalyzeOptions(every=2, threads=1))))
    assert merge(out, pages=False).missing == ("shard 2 of 2 has not finished",)


def test_a_run_that_was_interrupted_is_unfinished_for_merge_too(tmp_path, stand_in):
    folder, out = draw_videos(tmp_path / "videos", 4), tmp_path / "out"
    (folder / "broken.mp4").unlink()
    follow(run_events(job_of(folder, out, "1/2")))
    events = run_events(job_of(folder, out))  # takes over the record of the shard, which then is unfinished
    next(event for event in events if type(event).__name__ == "Ended")
    events.close()
    assert merge(out, pages=False).missing == (
        "the last run was interrupted. The same command does the rest",
    )
    follow(run_events(job_of(folder, out)))
    assert merge(out, pages=False).exit_code == 0


def test_a_shard_that_starts_while_a_merge_writes_waits_for_it(tmp_path, stand_in, caplog):
    folder, out = draw_videos(tmp_path / "videos", 4), tmp_path / "out"
    follow(run_events(job_of(folder, out, "1/2")))
    at_work, ended = OutputFolder(out), threading.Event()

    def merge_slowly() -> None:
        with at_work.lock_merge(), at_work.lock():
            started.set()
            ended.wait(30)

    started, other = threading.Event(), threading.Thread(target=merge_slowly)
    other.start()
    started.wait(30)
    threading.Timer(1.2, ended.set).start()
    report = follow(run_events(job_of(folder, out, "2/2")))
    other.join()
    assert report.videos
    assert caplog.text.count("waiting for ferflow merge") == 1


def test_a_merge_while_a_run_writes_is_refused(tmp_path, stand_in):
    folder, out = draw_videos(tmp_path / "videos", 4), tmp_path / "out"
    follow(run_events(job_of(folder, out, "1/2")))
    with OutputFolder(out).lock(), pytest.raises(RecordsError, match="is writing here"):
        merge(out)


def test_a_file_that_changed_between_two_runs_of_shards_counts_once(tmp_path, stand_in):
    folder, out = draw_videos(tmp_path / "videos", 4), tmp_path / "out"
    (folder / "broken.mp4").unlink()
    for number in (1, 2):
        follow(run_events(job_of(folder, out, f"{number}/2")))
    (folder / "video0000.mp4").write_bytes((folder / "video0002.mp4").read_bytes())
    reports = [follow(run_events(job_of(folder, out, f"{number}/3"))) for number in (1, 2, 3)]
    (failed,) = [one for report in reports for one in report.failed]
    assert "video0000.mp4: has changed since it was analysed" in failed.error
    assert len(OutputFolder(out).finished_ids()) == 3


def test_files_that_exchanged_their_names_between_two_runs_of_shards_are_refused(tmp_path, stand_in):
    folder, out = draw_videos(tmp_path / "videos", 5), tmp_path / "out"
    (folder / "broken.mp4").unlink()
    for number in (1, 2):
        follow(run_events(job_of(folder, out, f"{number}/2")))
    first, second = folder / "video0000.mp4", folder / "video0003.mp4"
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    (folder / "video0001.mp4").unlink()  # the shares are others now
    reports = [follow(run_events(job_of(folder, out, f"{number}/2"))) for number in (1, 2)]
    failed = {Path(one.source).name for report in reports for one in report.failed}
    assert failed == {first.name, second.name}
    assert len(OutputFolder(out).finished_ids()) == 4
    assert {one.status for one in merge(out, pages=False).videos} == {"done", "failed"}


def test_merge_names_results_of_two_contents_of_one_file_and_copies(tmp_path, stand_in, caplog):
    folder, out = draw_videos(tmp_path / "videos", 4), tmp_path / "out"
    (folder / "broken.mp4").unlink()
    follow(run_events(job_of(folder, out, "1/1")))
    (out / "shards" / "1-of-1.json").unlink()  # as if two machines had seen two contents at once
    (folder / "video0000.mp4").write_bytes((folder / "video0002.mp4").read_bytes())
    follow(run_events(job_of(folder, out, "1/1")))
    report = merge(out, pages=False)
    (problem,) = report.missing
    assert "video0000.mp4: has changed since it was analysed, and counts 2 times" in problem
    assert report.exit_code == 10
    assert "video0000.mp4 and video0002.mp4 have the same content" in caplog.text
    run([folder], out, AnalyzeOptions(threads=1), overwrite=True, pages=False, workers=0)  # as it advises
    assert merge(out, pages=False).exit_code == 0


def test_what_reads_a_folder_says_that_its_shards_are_not_merged(tmp_path, stand_in, ferflow):
    folder, out = draw_videos(tmp_path / "videos", 4), tmp_path / "out"
    follow(run_events(job_of(folder, out, "1/1", stimulus="a film")))
    readers = (["report", out], ["export", out, "--format", "csv", "--overwrite"], ["compact", out])
    for command in readers:
        ended = ferflow(*command)
        assert (ended.code, f"Run first: ferflow merge {out}" in ended.stderr) == (0, True), ended.text
    ferflow("merge", out)
    assert not any("ferflow merge" in ferflow(*command).text for command in readers)


def test_doctor_and_forget_know_of_shards_that_are_not_merged(tmp_path, stand_in, ferflow):
    folder, out = draw_videos(tmp_path / "videos", 5), tmp_path / "out"
    for number in (1, 2):
        follow(run_events(job_of(folder, out, f"{number}/2")))
    looked = ferflow("doctor", out)
    assert (looked.code, "lacks results of shards (2 shards recorded some)" in looked.text) == (5, True)
    ended = ferflow("forget", out, "--video", "video0001.mp4", "--yes")
    assert ended.code == 0, ended.text
    assert not [path for path in out.rglob("*") if path.is_file() and b"video0001" in path.read_bytes()]
    assert len(json.loads((out / "run.json").read_text())["videos"]) == 4
    follow(run_events(job_of(folder, out, "1/1")))
    assert "joined with what 1 shard recorded" in ferflow("doctor", out, "--repair").text
    assert not (out / "shards").exists()


def test_a_shard_cannot_overwrite_and_inputs_that_are_all_mistyped_make_nothing(tmp_path, ferflow):
    with pytest.raises(OptionsError, match="overwrite does not go with a shard"):
        job_of(tmp_path, tmp_path / "out", "1/2", overwrite=True)
    ended = ferflow("analyze", tmp_path / "nothing.mp4", "-o", tmp_path / "out", "--shard", "2/2")
    assert (ended.code, "None of 1 input can be analysed" in ended.stderr) == (3, True)
    assert not (tmp_path / "out").exists()
    (tmp_path / "other" / "shards").mkdir(parents=True)  # of another program
    for place in (tmp_path / "out", tmp_path / "other"):
        ended = ferflow("merge", place)
        assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["shards"]


def test_a_shard_without_inputs_is_done_and_merge_knows_it(tmp_path, stand_in, ferflow):
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    write_video(folder / "one.mp4", face_frames(3, size=(96, 64)))
    for number in (1, 2, 3):
        ended = ferflow("analyze", folder, "-o", out, "--shard", f"{number}/3", "--workers", "0")
        assert ended.code == 0, ended.text
        assert "When every shard has ended: ferflow merge" in ended.stdout
    ended = ferflow("merge", out)
    assert (ended.code, ended.stdout.splitlines()[0]) == (0, "3 shards, 1 of 1 input done.")
    assert f"Report: {out / 'index.html'}" in ended.stdout


def test_inputs_that_are_missing_cost_no_other_of_their_shard_and_merge_names_each(
    tmp_path, stand_in, ferflow
):
    folder, out = draw_videos(tmp_path / "videos", 3), tmp_path / "out"
    gone = [tmp_path / "gone.mp4", tmp_path / "lost.mp4"]
    ended = ferflow("analyze", folder, *gone, "-o", out, "--shard", "1/1", "--workers", "0")
    assert ended.code == 10
    assert "gone.mp4: no such file" in ended.stderr
    assert len(OutputFolder(out).finished_ids()) == 2
    ended = ferflow("merge", out)
    assert all(path.name in ended.text for path in gone), ended


def test_a_manifest_gives_inputs_and_is_the_session_list(tmp_path, stand_in, ferflow):
    (tmp_path / "lists").mkdir()
    folder = draw_videos(tmp_path / "videos", 5)
    (folder / "broken.mp4").unlink()
    rows = [
        {"video": f"../videos/video000{n}.mp4", "participant": f"P{n}", "group": "ab"[n % 2]}
        for n in range(4)
    ]
    (tmp_path / "lists" / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    manifest, out = tmp_path / "lists" / "all.jsonl", tmp_path / "out"
    for number in (1, 2):
        ended = ferflow(
            "analyze", "--manifest", manifest, "-o", out, "--shard", f"{number}/2", "--workers", "0"
        )
        assert ended.code == 0, ended.text
    assert ferflow("merge", out).code == 0
    page = (out / "index.html").read_text()
    assert all(f"P{n}" in page for n in range(4))
    assert len(find_inputs(Job(inputs=(), manifest=manifest, out=out))) == 4
    job = tmp_path / "job.toml"
    job.write_text(f'manifest = "{manifest}"\nout = "{out}"\nshard = "1/2"\n')
    assert Job.from_toml(job).shard == Shard(1, 2)
    assert ferflow("run", job, "--dry-run").stdout.count("skip ") == 2


def test_a_manifest_that_names_no_file_names_the_missing_one(tmp_path, stand_in, ferflow):
    folder = draw_videos(tmp_path / "videos", 2)
    (tmp_path / "list.csv").write_text("video,participant\nvideos/video0000.mp4,A\nvideos/gone.mp4,B\n")
    ended = ferflow("analyze", "--manifest", tmp_path / "list.csv", "-o", tmp_path / "out", "--workers", "0")
    assert ended.code == 10
    assert "gone.mp4: no such file" in ended.stderr
    (tmp_path / "list.csv").write_text("video\n")
    ended = ferflow("analyze", "--manifest", tmp_path / "list.csv", "-o", tmp_path / "out")
    assert (ended.code, "names no video" in ended.stderr) == (2, True)
    ended = ferflow("analyze", "-o", tmp_path / "out")
    assert (ended.code, "no input" in ended.stderr) == (2, True)
    assert folder.exists()
