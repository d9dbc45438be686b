"""Inputs and output folders in an object store, on a real S3 server: one visible result each, whatever happens.

What is stored is put there and looked at by the server's own interface for files, not by the client under test.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferflow.jobs.benchmarks.compare_outputs import find_differences
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended
from ferflow.jobs.store_publish import report_dead_publisher
from ferflow.jobs.store_worker import process_in_store
from ferflow.jobs.video_job import Analyzed
from ferflow.media import object_file
from ferflow.media.inputs import content_key, video_id_of
from ferflow.store import object_store
from ferflow.store.object_store import Address, create_object, parse_address, permit, read_object
from ferflow.store.published import PublishedFolder, Source
from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.store.video_files import VideoFiles
from tests.conftest import face_frames, write_video
from tests.object_server import (
    LOST,
    READER_KEY,
    READER_SECRET,
    RESET,
    SECRET,
    UNAVAILABLE,
    Fault,
    ObjectServer,
    Proxy,
    Request,
    disturb,
    environment_for,
    needs_object_server,
    serve_objects,
)

pytestmark = [needs_object_server, pytest.mark.timeout(600)]

numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with serve_objects(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small videos."""
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate("abc"):
        write_video(folder / f"{name}.mp4", face_frames(12 + number, size=(160, 120)))
    return folder


@pytest.fixture(scope="module")
def stored(server: ObjectServer, clips: Path) -> str:
    """Their address."""
    for path in clips.iterdir():
        server.put(f"in/{path.name}", path.read_bytes())
    return "s3://data/in"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Set the environment of a client, and forget what it has opened and read before."""

    def set_environment(environment: dict[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        object_store._open_bucket.cache_clear()
        object_file._last.clear()

    return set_environment


@pytest.fixture
def out(server: ObjectServer, connect: Callable[[dict[str, str]], None]) -> str:
    """A new output folder in the store, with the environment for it; its key."""
    connect(server.environment)
    return f"out{next(numbers)}"


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails for good does so in a second."""
    monkeypatch.setattr(object_store, "RETRY_SECONDS", 1)
    monkeypatch.setattr(object_store, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(object_store, "_RETRIES", 2)
    monkeypatch.setattr("ferflow.jobs.processing.RETRY_AFTER_SECONDS", 0.0)


def named(text: str) -> Address:
    """An address that the user has given."""
    address = parse_address(text)
    permit(address)
    return address


OPTIONS = ("--workers", "0", "--threads", "1")


def check_published(server: ObjectServer, out: str, names: str = "abc") -> dict[str, str]:
    """Each video has one commit, the files that it names, and nothing else is left; the ids by name of the video."""
    keys = server.list(out)
    assert not [key for key in keys if key.startswith(f"{out}/attempts/")], keys
    commits = [json.loads(server.get(key)) for key in keys if key.startswith(f"{out}/commits/")]
    assert sorted(Path(commit["source"]).stem for commit in commits) == sorted(names)
    wanted = {file["name"]: file for commit in commits for file in commit["files"]}
    tables = [key.removeprefix(f"{out}/") for key in keys if key.endswith(".parquet")]
    assert sorted(tables) == sorted(wanted)
    for name, file in wanted.items():
        content = server.get(f"{out}/{name}")
        assert (len(content), _sha256(content)) == (file["size"], file["sha256"])
    return {Path(commit["source"]).stem: commit["video_id"] for commit in commits}


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def read_tables(server: ObjectServer, out: str, video_id: str) -> list[dict[str, list]]:
    """Rows of all tables of a video."""
    return [
        pq.read_table(pa.BufferReader(server.get(f"{out}/{kind}/{video_id}.parquet"))).to_pydict()
        for kind in ("frames", "faces", "timeline")
    ]


def read_local(out: Path, video_id: str) -> list[dict[str, list]]:
    return [
        pq.read_table(out / kind / f"{video_id}.parquet").to_pydict()
        for kind in ("frames", "faces", "timeline")
    ]


# --- Conditional put: what everything else rests on --------------------------------------------------------


@pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_of_writers_that_create_one_object_at_once_exactly_one_wins(server, out, rounds):
    n_writers = 4
    for number in range(rounds):
        address = named(f"s3://data/{out}/race-{number}")
        barrier = threading.Barrier(n_writers)

        def write(writer: int, address: Address = address, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return create_object(address, b"writer %d" % writer)

        with ThreadPoolExecutor(n_writers) as pool:
            won = list(pool.map(write, range(n_writers)))
        assert won.count(True) == 1
        assert server.get(address.key) == b"writer %d" % won.index(True)


_CREATE = (
    "import sys; from ferflow.store.object_store import create_object, parse_address, permit\n"
    "permit(parse_address(sys.argv[1]))\n"
    "for number in range(int(sys.argv[3])):\n"
    "    print(int(create_object(parse_address(f'{sys.argv[1]}-{number}'), sys.argv[2].encode())))\n"
)


@pytest.mark.slow
def test_of_processes_that_create_one_object_exactly_one_wins(server, out):
    command = [sys.executable, "-c", _CREATE, f"s3://data/{out}/race"]
    processes = [
        subprocess.Popen([*command, f"writer {n}", "50"], stdout=subprocess.PIPE, text=True) for n in range(3)
    ]
    answers = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    for number, won in enumerate(zip(*answers, strict=True)):
        assert Counter(won)["1"] == 1
        assert server.get(f"{out}/race-{number}") == f"writer {won.index('1')}".encode()


def test_a_writer_whose_first_answer_was_lost_knows_that_it_has_won(server, out, connect):
    lost: list[Request] = []

    def choose(request: Request) -> Fault | None:
        if request.method == "PUT" and not lost:
            lost.append(request)
            return LOST
        return None

    with disturb(server) as proxy:
        proxy.choose = choose
        connect(proxy.environment)
        assert create_object(named(f"s3://data/{out}/one"), b"mine")
        assert not create_object(named(f"s3://data/{out}/one"), b"another")
    assert server.get(f"{out}/one") == b"mine"
    assert sum(request.method == "PUT" for request in proxy.requests) == 3


# --- Inputs ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("stand_in")
def test_results_of_objects_are_those_of_the_same_files(server, out, ferflow, tmp_path, monkeypatch):
    # Small blocks and a small cache, so that a small video has many and loses some.
    monkeypatch.setattr(object_file, "BLOCK_BYTES", 1 << 12)
    monkeypatch.setattr(object_file, "_most_cached_bytes", lambda: 4 << 12)
    files = {
        "a.mp4": "libx264",
        "b.mkv": "libx264",
        "c.webm": "libvpx-vp9",
        "d.avi": "mpeg4",
        "e.ts": "libx264",
    }
    (tmp_path / "in").mkdir()
    for name, codec in files.items():
        path = write_video(tmp_path / "in" / name, face_frames(15, size=(160, 120)), codec=codec)
        server.put(f"{out}-in/{name}", path.read_bytes())
        address = named(f"s3://data/{out}-in/{name}").path
        assert (video_id_of(address), content_key(address)) == (video_id_of(path), content_key(path))
    assert ferflow("analyze", tmp_path / "in", "-o", tmp_path / "local", *OPTIONS, "--no-report").code == 0
    done = ferflow("analyze", f"s3://data/{out}-in/", "-o", tmp_path / "remote", *OPTIONS, "--no-report")
    assert done.code == 0, done.text
    differ = list(find_differences(tmp_path / "local", tmp_path / "remote"))
    assert [line for line in differ if not line.endswith("(footer: ferflow.source.path)")] == [
        "differs: run.json (videos)"
    ], differ
    written = (tmp_path / "remote" / "run.json").read_text()
    assert f'"s3://data/{out}-in/a.mp4"' in written
    again = ferflow("analyze", f"s3://data/{out}-in/", "-o", tmp_path / "remote", *OPTIONS, "--no-report")
    assert (again.code, "5 skipped" in again.stdout) == (0, True), again.text


@pytest.mark.usefixtures("stand_in")
def test_each_byte_of_an_object_is_fetched_once(server, out, connect, ferflow, tmp_path, monkeypatch):
    monkeypatch.setattr(object_file, "BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr("ferflow.media.inputs._FINGERPRINT_BYTES", 1)
    images = face_frames(60, size=(320, 240))
    path = write_video(tmp_path / "large.mp4", images)  # its index lies at the end
    content = path.read_bytes()
    assert content.rindex(b"moov") > content.index(b"mdat")
    server.put(f"{out}/large.mp4", content)
    with disturb(server) as proxy:
        connect(proxy.environment)
        done = ferflow(
            "analyze", f"s3://data/{out}/large.mp4", "-o", tmp_path / "out", *OPTIONS, "--no-report"
        )
    assert done.code == 0, done.text
    ranges = [request.headers["range"] for request in proxy.requests if "range" in request.headers]
    last = len(content) - 1
    blocks = Counter(text for text in ranges if text not in ("bytes=0-0", f"bytes={last}-{last}"))
    assert set(blocks.values()) == {1}
    assert len(blocks) == -(-len(content) // (1 << 14)) > 8


def test_a_prefix_a_pattern_and_one_key_name_the_objects_that_a_folder_would(server, out, ferflow, tmp_path):
    for key in (
        "x/a.mp4", "x/sub dir/b.MKV", "x/.hidden/c.mp4", "x/.d.mp4", "x/note.txt", "x/own/ferflow.json",
        "x/own/reports/e.clips/f.mp4", "x/local/run.json", "x/local/faces/g.parquet", "x/local/reports/h.mp4",
        "xy/i.mp4", "x/up%2Fdown.mp4", "x/A.mp4", "x/k [1].mp4",
    ):  # fmt: skip
        server.put(f"{out}/{key}", b"x")

    def find(*inputs: str) -> list[str]:
        done = ferflow("analyze", *inputs, "-o", tmp_path / "o", "--dry-run", "--workers", "0", "-q")
        return re.findall(rf"(?:analyse|cannot) +s3://data/{out}/(.*?)(?:  ->|:)", done.stdout)

    listed = ["x/A.mp4", "x/a.mp4", "x/k [1].mp4", "x/sub dir/b.MKV", "x/up%2Fdown.mp4"]
    assert find(f"s3://data/{out}/x") == find(f"s3://data/{out}/x/") == listed
    assert find(f"s3://data/{out}/x/*.mp4") == ["x/A.mp4", "x/a.mp4", "x/k [1].mp4", "x/up%2Fdown.mp4"]
    assert find(f"s3://data/{out}/x*/[ai].mp4") == ["x/a.mp4", "xy/i.mp4"]
    assert find(f"s3://data/{out}/**/b.MKV", f"s3://data/{out}/x/a.mp4") == ["x/sub dir/b.MKV", "x/a.mp4"]
    assert find(f"s3://data/{out}/x/k [1].mp4") == ["x/k [1].mp4"]
    assert find(f"s3://data/{out}/x/note.txt") == ["x/note.txt"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("s3://data/nothing-here", "no object of this name, and nothing below it"),
        ("s3://data/nothing*.mp4", "the pattern matches no object"),
        ("s3://no-such-bucket/a.mp4", "no object of this name|no such bucket"),
        ("s3://data/a//b.mp4", "keys with empty parts"),
        ("s3://data/a/../b.mp4", "keys with empty parts"),
        ("s3://data/./b.mp4", "keys with empty parts"),
        ("s3://", "no name of a bucket"),
        ("s3://data/keys", r"key has control characters or empty parts \(keys/new\ufffdline.mp4\)"),
        ("s3:///a.mp4", "an address that ferflow does not read|no name of a bucket"),
        ("s3://KEY7:hush4@data/a.mp4", "holds a password or a signature"),
        ("s3://data/a.mp4?X-Amz-Signature=hush4&X-Amz-Credential=KEY7", "holds a password or a signature"),
        ("https://KEY7:hush4@host/a.mp4?X-Amz-Signature=hush4", "an address that ferflow does not read"),
        ("az://data/a.mp4?sv=1&sig=hush4KEY7", "holds a password or a signature"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_a_line_without_its_secrets(
    server, out, ferflow, tmp_path, text, why
):
    if text.endswith("keys"):
        server.put("keys/new\nline.mp4", b"x")
    done = ferflow("analyze", text, "-o", tmp_path / "o", "-q")
    assert done.code in (2, 3), done.text
    assert re.search(why, done.stderr), done.text
    assert "hush4" not in done.text
    assert "KEY7" not in done.text
    assert not (tmp_path / "o").exists()
    refused = ferflow("analyze", "a.mp4", "-o", text, "-q")
    assert (refused.code != 0, "hush4" in refused.text, "KEY7" in refused.text) == (True, False, False)
    assert not Path("s3:").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("stand_in")
def test_a_manifest_names_objects_and_files(stored, out, clips, ferflow, tmp_path):
    listed = tmp_path / "list.csv"
    listed.write_text(
        f"video,participant\n{stored}/a.mp4,Ada\n{clips / 'b.mp4'},Bob\nfile://{clips / 'c.mp4'},Cy\n"
    )
    done = ferflow("analyze", "--manifest", listed, "-o", tmp_path / "out", *OPTIONS, "--no-report")
    assert (done.code, "3 done" in done.stdout) == (0, True), done.text
    assert ferflow("export", tmp_path / "out", "-f", "csv", "-q").code == 0
    named = "".join(path.read_text() for path in (tmp_path / "out" / "export").rglob("*.csv"))
    assert all(name in named for name in ("Ada", "Bob", "Cy"))


@pytest.mark.usefixtures("stand_in")
def test_an_object_that_is_replaced_meanwhile_is_a_failed_video_and_no_mixture(
    server, out, clips, connect, ferflow, tmp_path, monkeypatch
):
    monkeypatch.setattr(object_file, "BLOCK_BYTES", 1 << 12)
    server.put(f"{out}/a.mp4", (clips / "a.mp4").read_bytes())

    def choose(request: Request) -> None:
        if request.headers.get("range") == "bytes=8192-12287":  # the third block
            server.put(f"{out}/a.mp4", (clips / "b.mp4").read_bytes())

    with disturb(server) as proxy:
        proxy.choose = choose
        connect(proxy.environment)
        done = ferflow("analyze", f"s3://data/{out}/a.mp4", "-o", tmp_path / "out", *OPTIONS)
    assert (done.code, "changed while it was analysed" in done.stderr) == (3, True), done.text
    assert not list((tmp_path / "out").rglob("*.parquet"))


# --- The output folder -------------------------------------------------------------------------------------


def test_a_process_without_the_disk_of_the_run_publishes_itself(
    server, out, clips, tools, tmp_path, monkeypatch
):
    """An actor of Ray: it gets a task whose files lie in a folder of another machine."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    job = Job(inputs=(str(clips),), out=Path(f"s3://data/{out}"), engine="ray", pages=False)
    task = VideoTask(clips / "a.mp4", VideoFiles(Path("/of-another-machine"), video_id_of(clips / "a.mp4")))
    named(f"s3://data/{out}")
    events = list(process_in_store(task, job, tools))
    assert [type(event) for event in events[-2:]] == [Analyzed, Ended]
    assert (events[-1].report.status, events[-1].metadata.source.name) == ("done", "a.mp4")
    assert check_published(server, out, "a") == {"a": task.video_id}
    assert list(tmp_path.iterdir()) == []
    # A second one that analyses the same video, since this one was slow, tells of the result of the first.
    *_, second = process_in_store(task, job, tools)
    assert second.report == events[-1].report
    assert check_published(server, out, "a") == {"a": task.video_id}
    # Nor does a video count as failed whose process died after it had published.
    assert report_dead_publisher(task, PublishedFolder(parse_address(job.out)), "died.") == second.report
    other = VideoTask(clips / "b.mp4", VideoFiles(Path("/of-another-machine"), video_id_of(clips / "b.mp4")))
    dead = report_dead_publisher(other, PublishedFolder(parse_address(job.out)), "died.")
    assert (dead.status, dead.failure, dead.error) == ("failed", "transient", "b.mp4: died.")


def test_a_session_list_that_differs_from_that_of_the_store_is_refused_for_ray(
    stored, server, out, ferflow, tmp_path
):
    server.put(f"{out}/sessions.csv", b"video,participant\na.mp4,Ada\n")
    mine = tmp_path / "mine.csv"
    mine.write_text("video,participant\na.mp4,Bob\n")
    done = ferflow("analyze", stored, "-o", f"s3://data/{out}", "--engine", "ray", "--sessions", mine)
    assert (done.code, "mine.csv: differs from sessions.csv in the store" in done.stderr) == (2, True), (
        done.text
    )


def test_a_process_that_cannot_use_the_store_fails_its_video(
    out, clips, tools, quick_retries, connect, server
):
    job = Job(inputs=(str(clips),), out=Path(f"s3://data/{out}"), engine="ray", pages=False)
    task = VideoTask(clips / "a.mp4", VideoFiles(Path("/of-another-machine"), video_id_of(clips / "a.mp4")))
    connect(server.environment | {"AWS_SECRET_ACCESS_KEY": "wrong"})
    named(f"s3://data/{out}")
    (event,) = process_in_store(task, job, tools)
    assert event.report.status == "failed"
    assert f"s3://data/{out}" in event.report.error


@pytest.mark.usefixtures("stand_in")
def test_a_folder_in_a_store_is_that_of_a_local_run(stored, server, out, ferflow, tmp_path):
    place = f"s3://data/{out}"
    done = ferflow("analyze", stored, "-o", place, *OPTIONS)
    assert (done.code, "3 done" in done.stdout) == (0, True), done.text
    ids = check_published(server, out)
    assert ferflow("analyze", stored, "-o", tmp_path / "local", *OPTIONS).code == 0
    for video_id in ids.values():
        assert read_tables(server, out, video_id) == read_local(tmp_path / "local", video_id)
    assert ferflow("fetch", place, tmp_path / "fetched").code == 0
    differ = list(find_differences(tmp_path / "local", tmp_path / "fetched"))
    assert differ == [
        f"only in {tmp_path / 'fetched'}: {name}" for name in (".fetched.json", "shards/1-of-1.json")
    ]
    # The commands that know folders only go on from there, and nothing is fetched twice.
    assert "0 files fetched" in ferflow("fetch", place, tmp_path / "fetched").stdout
    assert ferflow("report", tmp_path / "fetched").code == 0
    again = ferflow("analyze", stored, "-o", place, *OPTIONS)
    assert (again.code, "3 skipped" in again.stdout) == (0, True), again.text
    planned = ferflow("analyze", stored, "-o", place, *OPTIONS, "--dry-run")
    assert (planned.code, "0 of 3 inputs would be analysed" in planned.stdout) == (0, True), planned.text
    other = ferflow("analyze", stored, "-o", place, *OPTIONS, "--every", "2")
    assert (other.code, "made with other options (every: 1, now 2)" in other.stderr) == (5, True), other.text
    assert check_published(server, out) == ids


@pytest.mark.slow
@pytest.mark.usefixtures("stand_in")
def test_shards_of_local_files_publish_into_one_folder_and_merge_joins_them(
    server, out, clips, ferflow, tmp_path
):
    place = f"s3://data/{out}"
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    inputs = (*sorted(clips.iterdir()), broken)
    for shard in ("1/2", "2/2"):
        done = ferflow("analyze", *inputs, "-o", place, *OPTIONS, "--shard", shard)
        assert done.code in (0, 10), done.text
        assert f"ferflow merge {place}" in done.stdout
    assert f"{out}/index.html" not in server.list(out)
    merged = ferflow("merge", place)
    assert (merged.code, "2 shards, 3 of 4 inputs done" in merged.stdout) == (10, True), merged.text
    ids = check_published(server, out)
    record = json.loads(server.get(f"{out}/run.json"))
    assert [(Path(v["source"]).stem, v["video_id"], v["status"]) for v in record["videos"]] == [
        *((name, ids[name], "done") for name in "abc"), ("broken", record["videos"][3]["video_id"], "failed"),
    ]  # fmt: skip
    assert f"{out}/index.html" in server.list(out)


@pytest.mark.usefixtures("stand_in")
def test_fetching_again_brings_what_is_new_and_replaces_nothing_of_the_user(
    stored, server, out, ferflow, tmp_path
):
    place, folder = f"s3://data/{out}", tmp_path / "fetched"
    for name in "ab":
        assert ferflow("analyze", f"{stored}/{name}.mp4", "-o", place, *OPTIONS, "--no-report").code == 0
    server.put(f"{out}/people.csv", b"video_id,track_id,name\n")
    assert ferflow("fetch", place, folder).code == 0
    ids = {Path(commit).stem[0]: Path(commit).stem for commit in server.list(f"{out}/commits")}
    (folder / "people.csv").write_text(f"video_id,track_id,name\n{ids['b']},1,Bob\n")
    assert ferflow("forget", folder, "--video", ids["a"], "--yes").code == 0
    assert ferflow("analyze", f"{stored}/c.mp4", "-o", place, *OPTIONS, "--no-report").code == 0
    done = ferflow("fetch", place, folder)
    assert (done.code, "changed or removed here, and stay so" in done.stderr) == (0, True), done.text
    assert [path.stem[0] for path in sorted((folder / "faces").iterdir())] == ["b", "c"]
    assert "Bob" in (folder / "people.csv").read_text()
    for path in folder.rglob("*"):
        assert ids["a"] not in path.name
        assert path.is_dir() or ids["a"].encode() not in path.read_bytes(), path
    assert ferflow("analyze", f"{stored}/c.mp4", "-o", tmp_path / "other", *OPTIONS, "--no-report").code == 0
    refused = ferflow("fetch", place, tmp_path / "other")
    assert (refused.code, "not fetched from" in refused.stderr) == (5, True), refused.text


@pytest.mark.usefixtures("stand_in")
def test_a_merge_removes_attempts_that_have_lost_and_no_other(stored, server, out, ferflow):
    assert ferflow("analyze", f"{stored}/a.mp4", "-o", f"s3://data/{out}", *OPTIONS, "--no-report").code == 0
    (video_id,) = check_published(server, out, "a").values()
    server.put(f"{out}/attempts/{video_id}/{'0' * 32}/faces/{video_id}.parquet", b"lost")
    may_win = f"{out}/attempts/other-01234567/{'0' * 32}/faces/other-01234567.parquet"
    server.put(may_win, b"of a run that is not ready yet")
    server.put(f"{out}/faces/other-01234567.parquet", b"put there by hand, without a commit")
    merged = ferflow("merge", f"s3://data/{out}")
    assert (merged.code, "1 of 1 input done" in merged.stdout) == (0, True), merged.text
    assert server.list(f"{out}/attempts") == [may_win]


def test_commands_that_need_a_folder_refuse_an_address_and_say_what_to_do(out, ferflow, tmp_path):
    place = f"s3://data/{out}"
    for command in ("report", "people", "export", "compact", "doctor", "app"):
        refused = ferflow(command, place)
        assert (refused.code, "ferflow fetch ADDRESS FOLDER" in refused.stderr) == (2, True), refused.text
    for command in (
        ["explain", f"{place}/a.mp4", "-o", tmp_path / "page.html"],
        ["predict", f"{place}/a.jpg"],
        ["annotate", f"{place}/a.mp4", "-o", tmp_path / "o"],
        ["bench", f"{place}/a.mp4"],
        ["demo", "-o", place],
        ["fetch", place, f"{place}/x"],
    ):
        refused = ferflow(*command)
        assert (refused.code, "reads" in refused.stderr) == (2, True), refused.text
    for option in (["--overwrite"], ["--watch"], ["--engine", "ray", "--segment", "5"]):
        refused = ferflow("analyze", tmp_path, "-o", place, *option)
        assert (refused.code, "in a store" in refused.stderr) == (2, True), refused.text
    for command in (["merge", place], ["fetch", place, tmp_path / "f"]):
        refused = ferflow(*command)
        assert (refused.code, "no output folder of ferflow" in refused.stderr) == (2, True), refused.text


def test_inputs_in_the_output_folder_are_none(stored, server, out, ferflow):
    done = ferflow("analyze", stored, "-o", "s3://data", "-q")
    assert (done.code, "lies in the output folder of the run" in done.stderr) == (3, True), done.text
    assert "ferflow.json" not in server.list()


@pytest.mark.slow
@pytest.mark.usefixtures("stand_in")
def test_two_videos_of_one_name_and_what_a_run_published_below_its_inputs(server, out, clips, ferflow):
    for folder, name in (("one", "a"), ("two", "b")):
        server.put(f"{out}/{folder}/talk.mp4", (clips / f"{name}.mp4").read_bytes())
    server.put(f"{out}/copy/talk.mp4", (clips / "a.mp4").read_bytes())
    arguments = ("analyze", f"s3://data/{out}", "-o", f"s3://data/{out}/results", *OPTIONS, "--embed-clips")
    for status in ("done", "skipped"):
        done = ferflow(*arguments)
        assert (done.code, f"3 {status}" in done.stdout) == (0, True), done.text
    commits = server.list(f"{out}/results/commits")
    assert len(commits) == 3
    assert sum(key.endswith("-2.json") for key in commits) == 1


@pytest.mark.usefixtures("stand_in")
def test_no_secret_is_in_what_is_stored_printed_or_logged(stored, server, out, ferflow, tmp_path, connect):
    log = tmp_path / "log.txt"
    done = ferflow("analyze", stored, "-o", f"s3://data/{out}", *OPTIONS, "-v", "--log-file", log)
    assert done.code == 0, done.text
    connect(environment_for(server.s3_port, secret="wrong-" + SECRET))
    refused = ferflow("analyze", stored, "-o", tmp_path / "o", "-v", "--log-file", log)
    assert (refused.code, "the store refuses access" in refused.stderr) == (3, True), refused.text
    texts = [
        done.text,
        refused.text,
        log.read_text(),
        *(server.get(key).decode("latin-1") for key in server.list(out)),
    ]
    for text in texts:
        assert SECRET not in text
        assert "testkey" not in text
        assert "Signature=" not in text


@pytest.mark.usefixtures("stand_in")
def test_a_server_that_ignores_the_condition_of_a_put_is_refused(stored, server, out, connect, ferflow):
    fine = b'HTTP/1.1 200 OK\r\nETag: "0"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
    with disturb(server) as proxy:
        proxy.choose = lambda request: Fault(answer=fine) if "if-none-match" in request.headers else None
        connect(proxy.environment)
        done = ferflow("analyze", stored, "-o", f"s3://data/{out}", *OPTIONS)
    assert (done.code, "ignores conditions of a put" in done.stderr) == (5, True), done.text
    assert server.list(out) == []


@pytest.mark.usefixtures("quick_retries", "stand_in")
def test_without_rights_to_write_nothing_is_analysed(stored, server, out, connect, ferflow):
    connect(environment_for(server.s3_port, READER_KEY, READER_SECRET))
    done = ferflow("analyze", stored, "-o", f"s3://data/{out}", *OPTIONS)
    assert (done.code, "the store refuses access (AccessDenied)" in done.stderr) == (5, True), done.text
    assert server.list(out) == []


def test_an_endpoint_without_encryption_is_used_on_this_machine_only(out, connect, ferflow, tmp_path, server):
    environment = {**server.environment, "AWS_ENDPOINT_URL": f"http://192.0.2.7:{server.s3_port}"}
    connect(environment)
    refused = ferflow("analyze", "s3://data/in", "-o", tmp_path / "o")
    assert (refused.code != 0, "has no encryption" in refused.stderr) == (True, True), refused.text


def test_without_the_library_one_line_says_what_to_install(out, ferflow, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    object_store._open_bucket.cache_clear()
    done = ferflow("analyze", "s3://data/in", "-o", tmp_path / "o")
    assert (done.code != 0, "pip install 'ferflow[objectstore]'" in done.stderr) == (True, True), done.text


# --- Races and faults --------------------------------------------------------------------------------------


def test_of_attempts_that_are_published_at_once_one_is_visible_and_whole(server, out, tmp_path):
    published = PublishedFolder(named(f"s3://data/{out}"))
    n_attempts = 3
    barrier = threading.Barrier(n_attempts)

    def publish(number: int) -> str:
        files = VideoFiles(tmp_path / str(number), "talk-0123abcd")
        for path in (files.frames, files.timeline, files.faces):
            path.parent.mkdir(parents=True)
            path.write_bytes(b"attempt %d" % number * (number + 1))
        report = TaskReport(source="talk.mp4", video_id="talk-0123abcd", status="done", seconds=number)
        barrier.wait()
        return published.publish(files, Source("c.mp4", "0", "0", ()), report).attempt

    with ThreadPoolExecutor(n_attempts) as pool:
        assert len(set(pool.map(publish, range(n_attempts)))) == 1
    check_published(server, out, "c")
    assert (
        len({server.get(f"{out}/{kind}/talk-0123abcd.parquet") for kind in ("frames", "faces", "timeline")})
        == 1
    )


@pytest.mark.usefixtures("stand_in", "quick_retries")
@pytest.mark.parametrize(
    "kind",
    ["503", "lost", "cut", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("reset", "slow"))],
)
def test_a_store_that_fails_now_and_then_costs_nothing(
    kind, stored, server, out, connect, ferflow, monkeypatch
):
    monkeypatch.setattr(object_store, "_RETRIES", 5)
    monkeypatch.setattr(object_store, "RETRY_SECONDS", 30)
    faults = {
        "reset": RESET, "503": UNAVAILABLE, "lost": LOST, "cut": Fault(cut_after=700), "slow": Fault(delay_s=0.1),
    }  # fmt: skip
    seen: Counter[tuple[str, str]] = Counter()

    def choose(request: Request) -> Fault | None:
        seen[request.method, request.path] += 1
        is_first = seen[request.method, request.path] == 1
        return faults[kind] if is_first and sum(seen.values()) % 3 == 1 else None

    with disturb(server) as proxy:
        proxy.choose = choose
        connect(proxy.environment)
        done = ferflow("analyze", stored, "-o", f"s3://data/{out}", *OPTIONS, "--no-report")
    assert (done.code, "3 done" in done.stdout) == (0, True), done.text
    check_published(server, out)


@pytest.mark.slow
@pytest.mark.usefixtures("stand_in", "quick_retries")
def test_a_store_that_stays_away_ends_the_run_with_a_line_and_the_next_run_does_the_rest(
    stored, server, out, connect, ferflow
):
    n_commits = count()

    def choose(request: Request) -> Fault | None:
        is_commit = request.method == "PUT" and "/commits/" in request.path
        return UNAVAILABLE if is_commit and next(n_commits) >= 1 else None

    with disturb(server) as proxy:
        proxy.choose = choose
        connect(proxy.environment)
        done = ferflow("analyze", stored, "-o", f"s3://data/{out}", *OPTIONS)
    assert (done.code, "analysed, but not published" in done.stderr) == (10, True), done.text
    assert "the store asks to slow down" in done.stderr
    connect(server.environment)
    again = ferflow("analyze", stored, "-o", f"s3://data/{out}", *OPTIONS)
    assert (again.code, "2 done, 1 skipped" in again.stdout) == (0, True), again.text
    check_published(server, out)


@pytest.mark.usefixtures("stand_in", "quick_retries")
def test_a_store_that_is_gone_is_named_in_a_line(connect, ferflow, tmp_path):
    connect(environment_for(9))  # the port of the discard service, where nothing listens
    for arguments in (["s3://data/in", "-o", tmp_path / "o"], [tmp_path, "-o", "s3://data/out"]):
        write_video(tmp_path / "a.mp4", face_frames(2, size=(160, 120)))
        done = ferflow("analyze", *arguments, *OPTIONS, "-q")
        assert done.code in (3, 5), done.text
        assert re.search(r"cannot be reached: connection (refused|failed)", done.stderr), done.text
        assert done.stderr.count("\n") == 1, done.text


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., dict]]:
    """Carry out a command in a fork; see tests/faults/forked.py. Its process never opens a store itself."""
    folder = tmp_path_factory.mktemp("forked")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.forked"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    ) as process:  # fmt: skip

        def run(
            argv: list[str],
            environment: dict[str, str],
            temporary: Path,
            *,
            fault: str | None = None,
            at: int = 0,
            meanwhile: Callable[[int], None] | None = None,
        ) -> dict:
            output = folder / "output.txt"
            order = {
                "argv": argv, "watch": str(temporary), "fault": fault, "at": at, "output": str(output),
                "temporary": str(temporary), "environment": environment,
            }  # fmt: skip
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            pid = json.loads(process.stdout.readline())["pid"]
            if meanwhile is not None:
                meanwhile(pid)
            return {**json.loads(process.stdout.readline()), "output": output.read_text(errors="replace")}

        yield run
        process.stdin.close()


def count_writes(requests: list[Request]) -> int:
    return sum(request.method != "GET" and request.method != "HEAD" for request in requests)


@pytest.mark.parametrize("n_kills", [1, pytest.param(60, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_at_any_request_leaves_one_result_each_after_the_next(
    stored, server, out, forked, tmp_path, n_kills
):
    seed = int(os.environ.get("FERFLOW_TEST_SEED") or time.time_ns() % 2**32)
    print(f"seed: {seed} (FERFLOW_TEST_SEED)")
    draw = random.Random(seed)
    argv = ["analyze", stored, *OPTIONS, "--no-report", "-q", "-o"]
    with disturb(server) as proxy:
        whole = forked([*argv, f"s3://data/{out}-whole"], proxy.environment, tmp_path)
        assert whole["code"] == 0, whole["output"]
        n_requests = len(proxy.requests)
    ids = check_published(server, f"{out}-whole")
    wanted = {name: read_tables(server, f"{out}-whole", video_id) for name, video_id in ids.items()}
    for number in range(n_kills):
        at, place = draw.randrange(n_requests), f"{out}-{number}"
        with disturb(server) as proxy:
            process: list[int] = []

            def choose(
                request: Request, at: int = at, proxy: Proxy = proxy, process: list = process
            ) -> Fault | None:
                if len(proxy.requests) != at + 1:
                    return None
                while not process:
                    time.sleep(0.01)
                os.kill(process[0], signal.SIGKILL)
                # Half of them reach the server after the process is gone.
                return LOST if at % 2 else RESET

            proxy.choose = choose
            killed = forked(
                [*argv, f"s3://data/{place}"], proxy.environment, tmp_path, meanwhile=process.append
            )
            assert killed["code"] in (-9, 0), (seed, at, killed)
        again = forked([*argv, f"s3://data/{place}"], server.environment, tmp_path)
        assert again["code"] == 0, (seed, at, again["output"])
        assert check_published(server, place) == ids, (seed, at)
        for name, video_id in ids.items():
            assert read_tables(server, place, video_id) == wanted[name], (seed, at)


@pytest.mark.slow
@pytest.mark.parametrize("n_faults", [60])
def test_a_fault_of_the_local_disk_at_any_operation_leaves_one_result_each_after_the_next_run(
    stored, server, out, forked, tmp_path, n_faults
):
    from tests.faults.kinds import CODES

    seed = int(os.environ.get("FERFLOW_TEST_SEED") or time.time_ns() % 2**32)
    print(f"seed: {seed} (FERFLOW_TEST_SEED)")
    draw = random.Random(seed)
    commands = {
        "analyze": ["analyze", stored, *OPTIONS, "-q", "-o"],
        "merge": ["merge", "-q"],
        "fetch": ["fetch", "-q"],
    }
    for number in range(n_faults):
        place, temporary = f"s3://data/{out}-{number}", tmp_path / str(number)
        temporary.mkdir()
        name = list(commands)[(seed + number) % 3]
        if name != "analyze":
            assert forked([*commands["analyze"], place], server.environment, temporary)["code"] == 0
        argv, whole = [*commands[name], place], [*commands[name], place]
        if name == "fetch":
            argv, whole = [*argv, str(temporary / "fetched")], [*whole, str(temporary / "whole")]
        elif name == "analyze":
            whole = [*commands[name], f"{place}-whole"]
        n_operations = forked(whole, server.environment, temporary)["n_operations"]
        fault, at = draw.choice(sorted(CODES)), draw.randint(1, n_operations)
        ended = forked(argv, server.environment, temporary, fault=fault, at=at)
        why = (seed, name, fault, at, ended)
        assert ended["code"] in CODES[fault] or ended["n_operations"] < at, why
        assert "Traceback" not in ended["output"], why
        again = forked(argv, server.environment, temporary)
        assert again["code"] == 0, (*why, again)
        check_published(server, f"{out}-{number}")


@pytest.mark.parametrize("where", [pytest.param("range", marks=pytest.mark.slow), "/commits/"])
def test_an_interruption_does_not_wait_for_the_store(stored, server, out, forked, tmp_path, where):
    reached = threading.Event()

    def choose(request: Request) -> Fault | None:
        if where not in request.path and where not in request.headers:
            return None
        reached.set()
        return Fault(delay_s=20)

    interrupted_at: list[float] = []

    def interrupt(pid: int) -> None:
        assert reached.wait(60)
        time.sleep(0.2)
        os.kill(pid, signal.SIGINT)
        interrupted_at.append(time.monotonic())

    argv = ["analyze", stored, *OPTIONS, "--no-report", "-q", "-o", f"s3://data/{out}"]
    with disturb(server) as proxy:
        proxy.choose = choose
        done = forked(argv, proxy.environment, tmp_path, meanwhile=interrupt)
    assert (done["code"], time.monotonic() - interrupted_at[0] < 5) == (130, True), done
    assert "interrupted" in done["output"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_a_killed_run_leaves_on_the_local_disk_is_removed_by_the_next(
    stored, server, out, forked, tmp_path
):
    argv = ["analyze", stored, *OPTIONS, "--no-report", "-q", "-o", f"s3://data/{out}"]
    forked(argv, server.environment, tmp_path, fault="kill", at=12)
    left = list(tmp_path.iterdir())
    assert [path.name.startswith("ferflow-scratch-") for path in left] == [True]
    os.utime(left[0], (1, 1))  # a new one may be that of a run that begins
    assert forked(argv, server.environment, tmp_path)["code"] == 0
    assert list(tmp_path.iterdir()) == []


def test_two_runs_of_the_same_inputs_at_once_publish_one_result_each(stored, server, out, forked, tmp_path):
    """The second run starts when the first is about to commit, and commits everything before it goes on."""
    argv = ["analyze", stored, *OPTIONS, "--no-report", "-q", "-o", f"s3://data/{out}"]
    reached, may_go_on = threading.Event(), threading.Event()

    def choose(request: Request) -> Fault | None:
        if request.method == "PUT" and "/commits/" in request.path:
            reached.set()
            may_go_on.wait(120)
        return None

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with disturb(server) as proxy, tempfile.TemporaryDirectory() as temporary:
        proxy.choose = choose
        command = [sys.executable, "-m", "ferflow", *argv]
        first = subprocess.Popen(
            command,
            env={**environment, **proxy.environment, "TMPDIR": temporary},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert reached.wait(120)
        second = forked(argv, server.environment, tmp_path)
        may_go_on.set()
        said = first.communicate(timeout=300)[1]
    assert (first.returncode, second["code"]) == (0, 0), (said, second)
    assert said.count("another run has published it meanwhile") == 0  # -q
    check_published(server, out)


@pytest.mark.usefixtures("stand_in")
def test_a_folder_that_names_a_store_makes_no_command_connect_to_it(
    stored, server, out, connect, ferflow, tmp_path
):
    """An output folder may come from somebody else, and so do the addresses in it."""
    assert ferflow("analyze", f"{stored}/a.mp4", "-o", tmp_path / "out", *OPTIONS).code == 0
    object_store._permitted.clear()
    with disturb(server) as proxy:
        connect(proxy.environment)
        for command in (
            ["report", tmp_path / "out", "--embed-clips"],
            ["people", tmp_path / "out", "--thumbnails"],
            ["clips", tmp_path / "out", "-o", tmp_path / "clips", "--expression", "happy"],
            ["doctor", tmp_path / "out"],
        ):
            done = ferflow(*command)
            assert done.code != 1, done.text
            assert "Traceback" not in done.text
        assert proxy.requests == []


def test_a_second_merge_at_the_same_time_does_not_replace_the_record_of_the_first(server, out):
    published = PublishedFolder(named(f"s3://data/{out}"))
    assert published.replace("run.json", b"first", None)
    assert not published.replace("run.json", b"second", None)
    stat = object_store.stat_object(named(f"s3://data/{out}/run.json"))
    assert published.replace("run.json", b"third", stat.etag)
    assert not published.replace("run.json", b"fourth", stat.etag)
    assert read_object(named(f"s3://data/{out}/run.json")) == b"third"
    server.remove(f"{out}/run.json")
    assert not published.replace("run.json", b"fifth", stat.etag)


def test_what_is_not_there_is_said_so(server, out):
    for ask in (object_store.stat_object, read_object):
        with pytest.raises(FileNotFoundError) as missing:
            ask(named(f"s3://data/{out}/missing.mp4"))
        assert missing.value.strerror == "there is no such object"
