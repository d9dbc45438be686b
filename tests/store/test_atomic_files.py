"""Files that are whole or not there, also after a power cut: what reaches the disk, and in which order."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from ferflow.errors import RecordsError
from ferflow.store.atomic_files import (
    atomic_write,
    is_disk_full,
    is_temporary,
    make_folder,
    publish,
    remove,
    temporary_path,
)
from ferflow.store.records import FrameRows, RecordsWriter
from ferflow.store.schemas import FRAMES
from ferflow.store.video_files import VideoFiles
from tests.conftest import LABELS
from tests.made_records import Made, footer, made_tables

MADE = Made(seconds=1, video_id="a-0123abcd")
METADATA = footer(MADE, *made_tables(MADE))


@pytest.fixture
def disk(monkeypatch):
    """What is asked of the disk, in order: ("flush" | "rename" | "remove", path)."""
    asked: list[tuple[str, str]] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def see_flush(descriptor: int) -> None:
        asked.append(("flush", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def see_rename(source, target, **options) -> None:
        asked.append(("rename", str(target)))
        replace(source, target, **options)

    def see_remove(path, **options) -> None:
        if os.path.lexists(path):
            asked.append(("remove", str(path)))
        unlink(path, **options)

    monkeypatch.setattr(os, "fsync", see_flush)
    monkeypatch.setattr(os, "replace", see_rename)
    monkeypatch.setattr(os, "unlink", see_remove)
    return asked


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see what is flushed")
def test_content_is_flushed_before_the_name_and_the_folder_after_it(tmp_path, disk):
    with atomic_write(tmp_path / "run.json") as part:
        part.write_text("{}")
    assert disk == [("flush", str(part)), ("rename", str(tmp_path / "run.json")), ("flush", str(tmp_path))]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see what is flushed")
def test_old_results_are_gone_for_good_before_new_ones_get_their_names(tmp_path, disk):
    paths = VideoFiles(tmp_path, "a-0123abcd")
    row = pa.RecordBatch.from_pydict(
        {name: [None] for name in FRAMES.names} | {"video_id": ["a-0123abcd"]}, schema=FRAMES
    )
    for _ in range(2):
        disk.clear()
        with RecordsWriter(paths, LABELS) as writer:
            writer.write(FrameRows(row))
            writer.finish(METADATA)
    frames, faces = str(paths.frames), str(paths.faces)
    order = [
        ("flush", str(temporary_path(paths.frames))), ("flush", str(temporary_path(paths.faces))),
        ("remove", faces), ("flush", str(paths.faces.parent)),
        ("rename", frames), ("flush", str(paths.frames.parent)),
        ("rename", faces), ("flush", str(paths.faces.parent)),
    ]  # fmt: skip
    places = iter(disk)
    assert all(step in places for step in order), disk


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see what is flushed")
def test_new_folders_and_removals_are_durable_too(tmp_path, disk):
    make_folder(tmp_path / "a" / "b", out=None)
    assert {("flush", str(tmp_path)), ("flush", str(tmp_path / "a"))} == set(disk)
    disk.clear()
    (tmp_path / "a" / "file").touch()
    remove(tmp_path / "a" / "file", out=tmp_path)
    assert disk == [("remove", str(tmp_path / "a" / "file")), ("flush", str(tmp_path / "a"))]
    disk.clear()
    remove(tmp_path / "a" / "file", out=tmp_path)
    assert disk == []


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("old")

    def cut_short() -> None:
        with atomic_write(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_several_processes_may_write_one_file(tmp_path):
    with atomic_write(tmp_path / "x.js") as ours:
        code = (
            "import sys, pathlib; from ferflow.store.atomic_files import atomic_write\n"
            "with atomic_write(pathlib.Path(sys.argv[1])) as part: part.write_text('theirs')"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.js")], check=True)
        ours.write_text("ours")
    assert (tmp_path / "x.js").read_text() == "ours"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_process_left_of_a_file_goes_with_the_next_writing(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f".x.js.{gone.pid}.tmp").write_text("half")
    unasked = subprocess.Popen([sys.executable, "-c", ""])  # a zombie, until we wait for it
    while psutil.Process(unasked.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    (tmp_path / f".x.js.{unasked.pid}.tmp").write_text("half, too")
    (tmp_path / f".x.js.{os.getppid()}.tmp").write_text("of somebody who is alive")
    with atomic_write(tmp_path / "x.js") as part:
        part.write_text("whole")
    unasked.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".x.js.{os.getppid()}.tmp", "x.js"]


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(tmp_path):
    out, precious = tmp_path / "out", tmp_path / "precious"
    precious.write_text("do not touch")
    paths = VideoFiles(out, "a-0123abcd")
    for table in (paths.frames, paths.faces):
        table.parent.mkdir(parents=True)
        temporary_path(table).symlink_to(precious)
    with RecordsWriter(paths, LABELS) as writer:
        writer.finish(METADATA)
    assert precious.read_text() == "do not touch"
    assert not paths.faces.is_symlink()


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "a\\b", "a\0b", "/etc/passwd"])
def test_no_id_of_a_video_leads_out_of_the_folder(tmp_path, name):
    with pytest.raises(RecordsError, match="leads out"):
        VideoFiles(tmp_path, name)


def test_temporary_files_are_recognised_and_others_are_not(tmp_path):
    assert is_temporary(temporary_path(tmp_path / "a.parquet"))
    assert is_temporary(tmp_path / ".run.json.123.tmp")
    assert is_temporary(tmp_path / ".ferflow.duckdb.123.tmp.wal")
    for name in ("a.tmp", ".notes.tmp", "a.parquet", ".ferflow.lock"):
        assert not is_temporary(tmp_path / name)


def test_a_full_disk_is_known_by_what_caused_an_error(tmp_path):
    error = RecordsError("cannot be written")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert is_disk_full(error)
    assert not is_disk_full(RecordsError("something else"))
    assert not is_disk_full(PermissionError(errno.EACCES, "no"))


def test_publishing_without_a_part_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "never-written", out=None)


@pytest.mark.skipif(not Path("/dev/stdout").is_symlink(), reason="no /dev/stdout here")
def test_what_is_written_to_stdout_reaches_the_shell_and_leaves_the_device_alone(tmp_path):
    shell = tmp_path / "shell.txt"
    with shell.open("w") as stdout:
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import pathlib; from ferflow.store.atomic_files import atomic_write\n"
                "with atomic_write(pathlib.Path('/dev/stdout')) as part: part.write_text('figures')",
            ],
            stdout=stdout,
            check=True,
        )
    assert shell.read_text() == "figures"
    assert Path("/dev/stdout").is_symlink()


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    with atomic_write(pipe) as part:
        part.write_text("figures")
    assert read.communicate()[0] == b"figures"
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
