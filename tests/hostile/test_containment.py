"""No link in an output folder makes ferflow write, rename or delete outside of it: a whole tree before and after."""

from __future__ import annotations

import ast
import os
import re
import shutil
from pathlib import Path

import pytest

from ferflow.errors import RecordsError
from ferflow.store.atomic_files import (
    atomic_write,
    make_folder,
    publish,
    remove,
    remove_folder,
    rename,
    temporary_path,
)
from ferflow.store.contained import check_contained
from ferflow.store.output_folder import OutputFolder
from tests.conftest import some_of
from tests.dashboards.browse import CHROMIUM
from tests.hostile.outputs import copy_output, snapshot

COMMANDS = {
    "analyze": lambda out: (
        "analyze", out.parent / "talk.mp4", "-o", out, "--overwrite", "--embed-clips", "--workers", 1, "--min-face", 24,
    ),
    "clips": lambda out: ("report", out, "--embed-clips"),
    "csv": lambda out: ("report", out, "--csv"),
    "export": lambda out: ("export", out, "-f", "csv", "--overwrite"),
    "compact": lambda out: ("compact", out),
    "mail": lambda out: ("report", out, "--single-file", "--video-mb", 1),
    "rest": lambda out: ("report", out, "--rest", "0:00-0:01"),
    "thumbnails": lambda out: ("people", out, "--thumbnails"),
    "forget": lambda out: ("people", out, "--forget"),
    "repair": lambda out: ("doctor", out, "--repair"),
    "erase": lambda out: ("forget", out, "--video", "talk.mp4", "--yes"),
}  # fmt: skip
"""Every command that changes an output folder."""
if CHROMIUM:
    COMMANDS["pdf"] = lambda out: ("report", out, "--pdf")
QUICK = [
    pytest.param(
        name,
        marks=[] if name in ("analyze", "clips", "forget", "mail", "repair", "erase") else pytest.mark.slow,
    )
    for name in COMMANDS
]

FOLDERS = (
    ".pages", "assets", "csv", "dataset", "export", "faces", "figures", "frames", "mail", "markers", "reports",
    "reports/ID.clips", "signals", "thumbnails", "thumbnails/ID", "timeline",
)  # fmt: skip


def stale(out: Path, command: str) -> None:
    """Make what is derived out of date, so that a command has work to do."""
    if command == "repair":
        (out / "run.json").write_text("{")
    for page in (out / ".pages").iterdir():
        page.write_text("{}")


def place_of(out: Path, name: str) -> Path:
    (video,) = OutputFolder(out).finished_ids()
    return out / name.replace("ID", video)


def link_folder(folder: Path, target: Path) -> None:
    """Move a folder to another place and put a link to it in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir():
        shutil.move(folder, target)
    else:
        target.mkdir()
    (target / "precious.mp4").write_text("mine")
    (target / "precious.jpg").write_text("mine")
    (target / ".precious.x.1.tmp").write_text("mine")
    folder.symlink_to(target)


@pytest.mark.parametrize(
    ("where", "name", "commands"),
    [
        *(
            pytest.param(where, name, ("csv", "forget"), marks=[] if where == "outside" else pytest.mark.slow)
            for where in ("outside", "inside", "nowhere")
            for name in FOLDERS
        ),
        *(
            pytest.param("outside", name, tuple(COMMANDS), marks=[] if name == "faces" else pytest.mark.slow)
            for name in FOLDERS
        ),
    ],
    ids=lambda one: "every" if one == tuple(COMMANDS) else "two" if isinstance(one, tuple) else one,
)
def test_a_link_in_the_place_of_a_folder_is_refused_by_every_command(
    tmp_path, whole_output, ferflow, where, name, commands
):
    out = copy_output(whole_output, tmp_path / "it")
    folder = place_of(out, name)
    target = tmp_path / "elsewhere" / "deep" if where == "outside" else out / "mine"
    link_folder(folder, target)
    if where == "nowhere":
        shutil.rmtree(target)
    before = snapshot(tmp_path)
    for command in commands:
        ended = ferflow(*COMMANDS[command](out))
        assert ended.code == 5, (command, ended)
        assert re.fullmatch(r"ferflow: .*leads out of.*\n", ended.text.splitlines(keepends=True)[-1]), ended
    assert {path: seen for path, seen in snapshot(tmp_path).items() if path != "it/out"} == {
        path: seen for path, seen in before.items() if path != "it/out"
    }


CHANGED = {
    ("analyze", "faces"), ("analyze", "reports/ID.clips"), ("clips", "reports/ID.clips"), ("csv", ".pages"),
    ("csv", "csv"), ("csv", "reports"), ("export", "export"), ("rest", "markers"), ("rest", "timeline"),
    ("thumbnails", "thumbnails/ID"), ("forget", "thumbnails"), ("repair", "frames"),
    ("erase", "faces"), ("erase", "reports/ID.clips"), ("erase", "csv"), ("pdf", "reports"),
    ("mail", "mail"),
}  # fmt: skip
"""Folders that a command changes."""


@pytest.mark.parametrize(
    ("command", "name"),
    [
        pytest.param(command, name, marks=[] if (command, name) in CHANGED else pytest.mark.slow)
        for command in COMMANDS
        for name in FOLDERS
    ],
)
def test_a_link_that_appears_during_a_command_changes_nothing_elsewhere(
    tmp_path, whole_output, ferflow, command, name, monkeypatch
):
    """As if it were put there after the folder was locked."""
    monkeypatch.setattr(OutputFolder, "_check_contained", lambda self: None)
    out = copy_output(whole_output, tmp_path / "it")
    stale(out, command)
    link_folder(place_of(out, name), tmp_path / "elsewhere" / "deep")
    before = snapshot(tmp_path / "elsewhere")
    ended = ferflow(*COMMANDS[command](out))
    assert "unexpected" not in ended.text
    assert "Traceback" not in ended.text
    assert ended.code in (0, 2, 3, 5, 10), ended
    assert snapshot(tmp_path / "elsewhere") == before


@pytest.mark.parametrize("command", QUICK)
def test_links_in_the_places_of_files_are_replaced_and_what_they_lead_to_stays(
    tmp_path, whole_output, ferflow, command
):
    out, elsewhere = copy_output(whole_output, tmp_path / "it"), tmp_path / "elsewhere"
    stale(out, command)
    files = [path for path in out.rglob("*") if path.is_file() and path.name != ".ferflow.lock"]
    for path in files:
        target = elsewhere / path.relative_to(out)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
        path.symlink_to(target)
    # Names under which something is written before it is complete.
    (elsewhere / "sentinel").write_text("mine")
    for path in files:
        temporary_path(path).symlink_to(elsewhere / "sentinel")
        temporary_path(path.with_name(f"{path.name}.{os.getpid()}")).symlink_to(elsewhere / "sentinel")
    before = snapshot(elsewhere)
    ended = ferflow(*COMMANDS[command](out))
    assert snapshot(elsewhere) == before, ended
    assert "unexpected" not in ended.text


@pytest.mark.parametrize("command", QUICK)
def test_an_output_folder_may_itself_be_a_link(tmp_path, whole_output, ferflow, command):
    out = copy_output(whole_output, tmp_path / "it")
    shutil.move(out, tmp_path / "disk")
    out.symlink_to(tmp_path / "disk")
    stale(out, command)
    ended = ferflow(*COMMANDS[command](out))
    assert ended.code == 0, ended
    assert out.is_symlink()


@pytest.mark.parametrize("kind", some_of(["link", "hard link", "pipe", "folder"], 2))
def test_a_lock_that_is_no_plain_file_is_refused_and_left_alone(tmp_path, whole_output, ferflow, kind):
    out, precious = copy_output(whole_output, tmp_path / "it"), tmp_path / "precious"
    precious.write_text("mine")
    lock = out / ".ferflow.lock"
    lock.unlink()
    {"link": lambda: lock.symlink_to(precious), "hard link": lambda: lock.hardlink_to(precious),
     "pipe": lambda: os.mkfifo(lock), "folder": lock.mkdir}[kind]()  # fmt: skip
    before = precious.stat().st_mtime_ns
    for command in COMMANDS.values():
        assert ferflow(*command(out)).code == 5
    ferflow("doctor", out)
    assert (precious.read_text(), precious.stat().st_mtime_ns) == ("mine", before)


def test_each_change_of_a_file_looks_where_it_leads(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    out.mkdir()
    (elsewhere / "file").write_text("mine")
    (out / "link").symlink_to(elsewhere)
    for change in (
        lambda: remove(out / "link" / "file", out=out),
        lambda: rename(out / "link" / "file", out / "link" / "other", out=out),
        lambda: publish(out / "link" / "file", elsewhere / "file", out=out),
        lambda: make_folder(out / "link" / "new" / "new", out=out),
        lambda: remove_folder(out / "link" / "deep", out=out),
        lambda: atomic_write(out / "link" / "file", out=out).__enter__(),
        lambda: check_contained(out / "a" / ".." / ".." / "elsewhere" / "file", out),
    ):
        before = snapshot(elsewhere)
        with pytest.raises(RecordsError, match="leads out of"):
            change()
        assert snapshot(elsewhere) == before


ROOT = Path(__file__).parents[2]
CHANGES = {"unlink", "rmdir", "rmtree", "rename", "replace", "mkdir", "makedirs", "touch", "write_bytes", "symlink_to",
           "hardlink_to", "move", "copy", "copyfile", "copytree", "removedirs"}  # fmt: skip
ELSEWHERE = {
    "atomic_files.py": "the seam",
    "measure_docs.py": "writes our own documentation",
    "object_store.py": "objects in a store have no links",
    "scratch.py": "a new folder for temporary files, of this process alone",
    "store_run.py": "works in such a folder",
    "store_merge.py": "works in such a folder",
    "store_publish.py": "works in such a folder",
    "store_worker.py": "works in such a folder",
}
"""Modules that may change files themselves."""


def test_nothing_else_changes_files_in_an_output_folder():
    """In the rooms that know an output folder, files are changed by `store.atomic_files` alone."""
    found = []
    rooms = [ROOT / "ferflow" / room for room in ("store", "analytics", "exchange", "render", "doctor")]
    modules = [
        path for room in (*rooms, ROOT / "dashboards", ROOT / "jobs") for path in sorted(room.rglob("*.py"))
    ]
    for path in modules:
        if path.name in ELSEWHERE or "benchmarks" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in CHANGES
            ):
                continue
            owner = ast.unparse(node.func.value)
            is_text = node.func.attr == "replace" and (
                len(node.args) != 1 or node.keywords or owner == "structs"
            )
            is_array = node.func.attr == "copy" and not node.args
            if owner != "part" and not is_text and not is_array:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)[:80]}")
    assert found == []
