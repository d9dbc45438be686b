"""The edit mode's changes, read back from disk."""

from __future__ import annotations

import time

import pytest

from tests.app.conftest import wait_for_job


@pytest.fixture(scope="module")
def video_id(api, clip) -> str:
    answer = api.post("/api/jobs", files={"video": ("edited.mp4", clip.read_bytes() + b"edited")})
    return str(wait_for_job(api, answer.json()["id"])["video_id"])


def edit(api, video_id: str, **change):
    version = api.get(f"/api/videos/{video_id}/edit").json()["version"]
    return api.post(f"/api/videos/{video_id}/edits", json={"version": version, **change})


def test_each_change_is_on_disk_at_once_and_undone_as_a_whole(api, video_id):
    out = api.app.app.state.jobs.out
    (person,) = api.get(f"/api/videos/{video_id}/edit").json()["persons"]
    named = edit(api, video_id, edit="name", persons=[person["id"]], name="Ada")
    assert named.status_code == 200, named.text
    assert named.json()["persons"][0]["name"] == "Ada"
    assert "Ada" in (out / "people.csv").read_text()
    for change in (
        {"action": "exclude", "start": "0.2", "end": "0.4", "note": "a break"},
        {"action": "relabel", "start": "0.6", "end": "0.9", "person": "Ada", "value": "surprise"},
    ):
        assert edit(api, video_id, edit="correct", **change).status_code == 200
    assert "a break" in (out / "corrections.csv").read_text()
    (first, _) = api.get(f"/api/videos/{video_id}/edit").json()["corrections"]
    assert edit(api, video_id, edit="remove", line=first["line"]).status_code == 200
    assert "a break" not in (out / "corrections.csv").read_text()
    (markers,) = (out / "uploads").glob("*/edited.mp4")
    markers = markers.with_name("edited.markers.csv")
    marked = edit(api, video_id, edit="mark", time_s=0.5, label="boss")
    assert marked.json()["markers"][0]["label"] == "boss"
    line = marked.json()["markers"][0]["line"]
    assert edit(api, video_id, edit="move", line=line, time_s=0.7, label="boss").status_code == 200
    assert "0.7,boss" in markers.read_text()
    for left in range(5, -1, -1):
        state = api.post(f"/api/videos/{video_id}/undo").json()
        assert state["n_undo"] == left
    assert (state["corrections"], state["markers"]) == ([], [])
    assert not (out / "people.csv").exists()
    assert api.post(f"/api/videos/{video_id}/undo").status_code == 400


def test_a_change_of_an_outdated_page_and_a_wrong_one_write_nothing(api, video_id):
    path = f"/api/videos/{video_id}/edits"
    assert (
        api.post(path, json={"version": "old", "edit": "name", "persons": [1], "name": "x"}).status_code
        == 409
    )
    assert edit(api, video_id, edit="correct", action="sing").status_code == 400
    assert edit(api, video_id, edit="nonsense").status_code == 400
    assert not (api.app.app.state.jobs.out / "corrections.csv").exists()


def test_pages_follow_a_change_and_thumbnails_are_made_in_memory(api, video_id):
    edit(api, video_id, edit="name", persons=[1], name="Grace")
    deadline = time.monotonic() + 60
    while api.get(f"/api/videos/{video_id}/edit").json()["pages"] == "updating":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "Grace" in api.get(f"/folder/reports/{video_id}.html").text
    assert api.get(f"/api/videos/{video_id}/thumbnails/1").headers["content-type"] == "image/jpeg"
    assert not (api.app.app.state.jobs.out / "thumbnails").exists()
