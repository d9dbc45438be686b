"""Edits of the application while `ferflow forget` runs: what is removed on request does not come back by an edit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from ferflow.app.edit_requests import (
    AddCoding,
    AddCorrection,
    AddMarker,
    EditRequest,
    NamePersons,
    RemoveCoding,
)
from ferflow.app.video_edits import EditedVideo, OutdatedError
from ferflow.errors import OptionsError, RecordsError
from ferflow.store import output_folder
from ferflow.store.output_folder import OutputFolder
from tests.app.conftest import Edited, make_edited

EDITS: tuple[EditRequest, ...] = (
    NamePersons(version="", persons=[1], name="Ada"),
    AddCorrection(version="", action="exclude", start="1", end="2", person="person 2"),
    AddCoding(version="", coder="MK", start="1", end="2", label="happy", person="person 2"),
    AddMarker(version="", time_s=1.0, label="boss"),
)
by_kind = pytest.mark.parametrize("request_", EDITS, ids=lambda one: type(one).__name__)


@pytest.fixture
def edited(tmp_path) -> Edited:
    """Three people, of whom no list says anything yet."""
    (tmp_path / "trio.mp4").write_bytes(b"a video")
    return make_edited(tmp_path / "out", tmp_path / "trio.mp4")


def lists_of(edited: Edited) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in edited.out.rglob("*.csv")}
    return found | ({"markers": edited.markers.read_bytes()} if edited.markers.exists() else {})


@by_kind
def test_an_edit_of_a_session_that_was_forgotten_in_between_writes_nothing(edited, ferflow, request_):
    video = EditedVideo.read(edited.out, edited.video_id)
    assert ferflow("forget", edited.out, "--video", edited.video_id, "--yes").code == 0
    with pytest.raises(RecordsError, match="no finished video"):
        video.apply(request_)
    assert lists_of(edited) == {}


@by_kind
def test_an_edit_of_a_session_from_which_somebody_was_removed_in_between_writes_nothing(
    edited, ferflow, request_
):
    """Person 1 is another person now, or no person has that number."""
    undo = EditedVideo.read(edited.out, edited.video_id).apply(EDITS[0])
    if request_ != EDITS[0]:
        undo = EditedVideo.read(edited.out, edited.video_id).apply(request_)
    video = EditedVideo.read(edited.out, edited.video_id)
    assert ferflow("forget", edited.out, "--participant", "Ada", "--yes").code == 0
    before = lists_of(edited)
    with pytest.raises(OutdatedError):
        video.apply(request_)
    with pytest.raises(OptionsError, match="removed from this session"):
        undo()
    assert lists_of(edited) == before


def test_what_was_removed_by_hand_before_a_session_was_forgotten_is_not_brought_back_by_undo(edited, ferflow):
    EditedVideo.read(edited.out, edited.video_id).apply(EDITS[2])
    (row,) = EditedVideo.read(edited.out, edited.video_id).codings[0].rows(edited.video_id)
    removed = RemoveCoding(version="", coder="MK", line=row.line)
    undo = EditedVideo.read(edited.out, edited.video_id).apply(removed)
    assert ferflow("forget", edited.out, "--video", edited.video_id, "--yes").code == 0
    with pytest.raises(RecordsError):
        undo()
    assert edited.video_id not in (edited.out / "coding" / "MK.csv").read_text()


@contextmanager
def locked_elsewhere(out: Path) -> Iterator[None]:
    """The lists are being changed, not by this thread."""
    is_locked, is_done = Event(), Event()

    def hold() -> None:
        with OutputFolder(out).lock_lists():
            is_locked.set()
            is_done.wait(20)

    (thread := Thread(target=hold)).start()
    is_locked.wait(20)
    yield
    is_done.set()
    thread.join()


@by_kind
def test_edits_wait_for_whoever_is_changing_the_lists(edited, monkeypatch, request_):
    video = EditedVideo.read(edited.out, edited.video_id)
    monkeypatch.setattr(output_folder, "_LISTS_TIMEOUT_SECONDS", 0.1)
    with (
        locked_elsewhere(edited.out),
        pytest.raises(RecordsError, match="another program is changing the lists"),
    ):
        video.apply(request_)
    assert lists_of(edited) == {}
    undo = video.apply(request_)
    assert lists_of(edited) != {}
    with (
        locked_elsewhere(edited.out),
        pytest.raises(RecordsError, match="another program is changing the lists"),
    ):
        undo()
