"""How `ferflow app` starts, what it refuses before it gives an address, and what is left when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ferflow.app.scratch import make_scratch
from ferflow.doctor.output_check import examine_folder
from ferflow.errors import RecordsError
from ferflow.store.output_folder import OutputFolder
from tests.app.conftest import start_server
from tests.made_records import Made, write_session


def refuse(*arguments: object) -> tuple[int, str]:
    """Exit code and stderr of an application that must not start."""
    command = [sys.executable, "-m", "ferflow", "app", *map(str, arguments), "--port", "0", "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_of_two_applications_the_second_one_is_refused_and_a_killed_one_locks_nothing(tmp_path):
    out = tmp_path / "out"
    first, address = start_server(out)
    assert address.startswith("http://")
    code, said = refuse(out)
    assert code == 5
    assert said == f"ferflow: {out}: another ferflow app shows this folder. End it, or give another OUT.\n"
    first.kill()
    first.communicate()
    second, address = start_server(out)
    assert address.startswith("http://")
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=20)
    assert second.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_it_serves_ends_it_as_one_afterwards(tmp_path, number):
    process, _ = start_server(tmp_path / "out")  # the address is printed before the application is made
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert all(line.startswith("ferflow: Ctrl+C ends it") for line in said.splitlines())
    # Nothing was analysed into the new folder.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--model", "nothere"], 4, "'nothere' is not a model"),
        (["file/out"], 5, "cannot be made (Not a directory)"),
        (["file"], 2, "not a folder"),
    ],
)
def test_what_cannot_be_used_is_refused_before_an_address_is_given(
    tmp_path, monkeypatch, arguments, code, said
):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    done = refuse(*arguments)
    assert done[0] == code
    assert said in done[1]
    assert done[1].count("\n") == 1


def test_the_lock_of_an_application_is_no_leftover_and_doctor_says_who_holds_it(tmp_path):
    out = tmp_path / "out"
    write_session(out, Made(seconds=2.0))
    folder = OutputFolder(out)

    def notes() -> list[str]:
        return [finding.what for finding in examine_folder(out) if "ferflow app" in finding.what]

    with folder.lock_app():
        assert notes() == [f"a ferflow app shows {out}"]
        with folder.lock():  # its own analyses lock the folder
            assert folder.remove_leftovers() == []
        with pytest.raises(RecordsError, match="another ferflow app"), folder.lock_app():
            pass
    assert (out / ".app.lock").is_file()
    assert folder.find_leftovers() == notes() == []


def test_a_link_in_the_place_of_its_lock_is_not_followed(tmp_path):
    (out := tmp_path / "out").mkdir()
    (precious := tmp_path / "precious").write_text("mine")
    (out / ".app.lock").symlink_to(precious)
    with pytest.raises(RecordsError, match="not a file of ferflow"), OutputFolder(out).lock_app():
        pass
    assert precious.read_text() == "mine"


def test_temporary_folders_of_killed_applications_are_removed_by_the_next_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, of_others = tmp_path / "ferflow-app-killed", tmp_path / "ferflow-app-others"
    for folder in (killed, of_others):
        folder.mkdir()
        (folder / "face.jpg").touch()
    (killed / ".lock").touch()
    with make_scratch() as first, make_scratch() as second:
        assert first.is_dir()
        assert sorted(tmp_path.iterdir()) == sorted([first, second, of_others])
    assert list(tmp_path.iterdir()) == [of_others]
