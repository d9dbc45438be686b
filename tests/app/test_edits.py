"""The edit mode's changes, read back from disk."""

from __future__ import annotations

import contextlib
import io
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import httpx
import numpy as np
import pandas as pd
import pytest

from ferflow.store.output_folder import OutputFolder
from tests.app.conftest import (
    Edited,
    end_server,
    lock,
    make_edited,
    start_server,
    undo_all,
    wait_for_job,
    write_numbered,
)
from tests.desks.lab_tables import FOREIGN


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
    assert api.get(f"/api/videos/{video_id}/thumbnails/person/1").headers["content-type"] == "image/jpeg"
    assert not (api.app.app.state.jobs.out / "thumbnails").exists()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_numbered(tmp_path_factory.mktemp("trio") / "trio.mp4")


@pytest.fixture(scope="module")
def finished(api, source):
    return make_edited(api.app.app.state.jobs.out, source)


@pytest.fixture
def trio(api, finished):
    out, edited = finished.out, finished
    before = {path: path.read_bytes() for path in (out / "faces").iterdir()}
    yield edited
    undo_all(api, edited.video_id)
    lists = ("people.csv", "corrections.csv", "coding/MK.csv", "coding/AB.csv")
    assert [edited.read(name) for name in lists] == [[], [], [], []]
    assert edited.read_markers() == []
    assert {path: path.read_bytes() for path in (out / "faces").iterdir()} == before


def change(api, edited: Edited, **fields):
    """Make a change that must succeed; the state after it."""
    answer = edit(api, edited.video_id, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names_of(state) -> list[str]:
    return [person["name"] for person in state["persons"]]


def written_page(api, edited: Edited) -> str:
    deadline = time.monotonic() + 60
    while (status := api.get(f"/api/videos/{edited.video_id}/edit/status").json())["pages"] == "updating":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert status["problem"] is None
    return api.get(f"/folder/reports/{edited.video_id}.html").text


def test_merged_people_are_one_name_in_people_csv_and_one_person_afterwards(api, trio):
    first, second, third = (
        person["id"] for person in api.get(f"/api/videos/{trio.video_id}/edit").json()["persons"]
    )
    state = change(api, trio, edit="name", persons=[first, third], name="Ada")
    assert {(row["person_id"], row["name"]) for row in trio.read("people.csv")} == {
        (str(first), "Ada"),
        (str(third), "Ada"),
    }
    assert len(state["persons"]) == 2
    assert sorted(names_of(state)) == ["Ada", f"Person {second}"]
    assert "Ada" in written_page(api, trio)


def test_a_split_track_is_another_person_from_a_time_on_in_people_csv(api, trio):
    track = trio.faces()["track_id"].min()
    state = change(api, trio, edit="split", track_id=int(track), name="Grace", from_s=3.25)
    (row,) = [row for row in trio.read("people.csv") if row["name"] == "Grace"]
    assert (int(row["track_id"]), float(row["from_s"])) == (track, 3.25)
    (pieces,) = [one["pieces"] for one in state["tracks"] if one["id"] == track]
    assert [start for start, _ in pieces] == [0.0, 3.25]
    state = change(api, trio, edit="split", track_id=int(track), name="Ada")
    assert {row["name"] for row in trio.read("people.csv") if row["from_s"] == ""} >= {"Ada"}
    assert {"Ada", "Grace"} <= set(names_of(state))


def test_dropped_people_and_tracks_are_rows_of_corrections_csv_and_gone_from_the_page(api, trio):
    people = names_of(api.get(f"/api/videos/{trio.video_id}/edit").json())
    state = change(api, trio, edit="correct", action="drop", person=people[0])
    (row,) = trio.read("corrections.csv")
    assert (row["action"], row["person"], row["start"], row["end"]) == ("drop", people[0], "", "")
    assert people[0] not in names_of(state)
    track = next(one["id"] for one in state["tracks"] if one["pieces"][0][1] >= 0)
    state = change(api, trio, edit="correct", action="drop", person=f"track {track}")
    assert [row["person"] for row in trio.read("corrections.csv")] == [people[0], f"track {track}"]
    assert len(state["persons"]) == 1


def test_a_changed_correction_is_the_same_row_with_other_cells(api, trio):
    change(api, trio, edit="correct", action="exclude", start="1", end="2", note="first")
    state = change(api, trio, edit="correct", action="exclude", start="5", end="6", note="second")
    line = state["corrections"][0]["line"]
    person = state["persons"][1]["name"]
    change(api, trio, edit="change", line=line, action="relabel", start="0:01.5", end="2.5", person=person,
           value="happy", note="moved")  # fmt: skip
    first, second = trio.read("corrections.csv")
    assert [first[name] for name in ("action", "start", "end", "person", "value", "note")] == [
        "relabel", "0:01.5", "2.5", person, "happy", "moved",
    ]  # fmt: skip
    assert second["note"] == "second"
    contradiction = edit(
        api, trio.video_id, edit="correct", action="exclude", start="2", end="3", person=person
    )
    assert contradiction.status_code == 400
    assert "contradicts" in contradiction.json()["error"]
    assert len(trio.read("corrections.csv")) == 2


def test_a_marker_is_set_moved_and_removed_in_the_file_next_to_the_video(api, trio):
    state = change(api, trio, edit="mark", time_s=1.5, label="boss", end_s=2.0, kind="stimulus")
    state = change(api, trio, edit="mark", time_s=6.1234, label="=cmd()")
    assert [row["label"] for row in trio.read_markers()] == ["boss", "'=cmd()"]
    line = state["markers"][0]["line"]
    state = change(api, trio, edit="move", line=line, time_s=2.5, label="boss", end_s=3.0, kind="stimulus")
    rows = [(float(row["time_s"]), row["end_s"], row["kind"]) for row in trio.read_markers()]
    assert rows[0] == (2.5, "3", "stimulus")
    state = change(api, trio, edit="unmark", line=state["markers"][0]["line"])
    (left,) = trio.read_markers()
    assert float(left["time_s"]) == 6.123
    assert edit(api, trio.video_id, edit="unmark", line=999).status_code == 400
    assert "cmd()" in written_page(api, trio)


def test_coded_stretches_are_in_the_file_of_their_coder_and_on_the_page(api, trio):
    person = names_of(api.get(f"/api/videos/{trio.video_id}/edit").json())[0]
    change(api, trio, edit="code", coder="MK", start="0", end="2.5", label="happy", person=person)
    change(api, trio, edit="code", coder="MK", start="2.5", end="4", label="bored", person=person)
    state = change(api, trio, edit="code", coder="AB", start="0:01", end="3", label="neutral")
    assert [[row[name] for name in ("start", "end", "label", "person")] for row in trio.read("coding/MK.csv")] == [
        ["0", "2.5", "happy", person], ["2.5", "4", "bored", person],
    ]  # fmt: skip
    assert [row["label"] for row in trio.read("coding/AB.csv")] == ["neutral"]
    assert state["coders"] == ["AB", "MK"]
    assert "Human coding" in written_page(api, trio)
    line = next(row["line"] for row in state["codings"] if row["label"] == "bored")
    change(api, trio, edit="recode", coder="MK", line=line, start="3", end="4", label="sad", person=person)
    assert trio.read("coding/MK.csv")[1]["label"] == "sad"
    change(api, trio, edit="uncode", coder="MK", line=line)
    assert len(trio.read("coding/MK.csv")) == 1


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"coder": "../../evil"}, "coder's name"),
        ({"coder": ""}, "coder's name"),
        ({"coder": "x" * 41}, "coder's name"),
        ({"start": "soon"}, "not a time"),
        ({"start": "3", "end": "2"}, "must lie after"),
        ({"label": ""}, "needs start, end and label"),
        ({"start": "0.5", "label": "sad"}, "contradicts"),
    ],
)
def test_a_wrong_coding_is_refused_with_its_reason_and_writes_nothing(api, trio, fields, problem):
    cells = {"coder": "MK", "start": "0", "end": "2", "label": "happy"}
    change(api, trio, edit="code", **cells)
    answer = edit(api, trio.video_id, edit="code", **cells | fields)
    assert answer.status_code == 400
    assert problem in answer.json()["error"]
    assert len(trio.read("coding/MK.csv")) == 1
    assert not list(trio.out.parent.rglob("evil*"))


def test_a_coding_file_of_the_user_keeps_its_comments_columns_and_dialect(api, trio):
    path = trio.out / "coding" / "Anna Maria.csv"
    path.parent.mkdir(exist_ok=True)
    given = f"video_id;start;end;label;remark\n# checked\n{trio.video_id};0,5;1;happy;clear\n"
    path.write_text(given)
    try:
        change(api, trio, edit="code", coder="Anna Maria", start="2", end="3", label="sad")
        text = path.read_text()
        assert text.startswith("video_id;start;end;label;remark;person\n# checked\n")
        table = pd.read_csv(io.StringIO(text), sep=";", comment="#", dtype=str)
        assert table["start"].tolist() == ["0,5", "2"]
        assert api.post(f"/api/videos/{trio.video_id}/undo").status_code == 200
        assert path.read_text() == given
    finally:
        path.unlink()


def test_pictures_of_people_tracks_and_times_are_made_on_the_fly_and_not_stored(api, trio):
    state = api.get(f"/api/videos/{trio.video_id}/edit").json()
    where = f"/api/videos/{trio.video_id}"
    for kind, one in (("person", state["persons"][0]), ("track", state["tracks"][-1])):
        answer = api.get(f"{where}/thumbnails/{kind}/{one['id']}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert cv2.imdecode(np.frombuffer(answer.content, np.uint8), 1).shape == (160, 160, 3)
    assert api.get(f"{where}/thumbnails/track/999999").headers["content-type"] == "image/svg+xml"
    # Picture number 4.2 s / 0.1 s = 42 is 20 + 4 * 21 bright.
    picture = cv2.imdecode(
        np.frombuffer(api.get(f"{where}/frame", params={"time_s": 4.2}).content, np.uint8), 0
    )
    assert picture.shape == (540, 960)
    assert np.median(picture) == pytest.approx(20 + 4 * 21, abs=3)
    assert api.get(f"{where}/frame", params={"time_s": -1}).status_code == 400
    assert api.get("/api/videos/nobody/frame").status_code == 404
    assert not list(trio.out.rglob("*.jpg"))


def test_pages_wait_while_somebody_else_writes_in_the_folder_and_changes_do_not(api, trio):
    written_page(api, trio)
    with lock(OutputFolder(trio.out)):
        change(api, trio, edit="name", persons=[1], name="Grace Hopper")
        assert "Grace Hopper" in {row["name"] for row in trio.read("people.csv")}
        time.sleep(1.2)
        status = api.get(f"/api/videos/{trio.video_id}/edit/status").json()
        assert (status["pages"], status["problem"]) == ("updating", None)
    assert "Grace Hopper" in written_page(api, trio)


def test_markers_of_a_live_recording_are_edited_in_the_output_folder(api):
    out = api.app.app.state.jobs.out
    live = make_edited(out, out / "live-0123abcd", "live")
    state = api.get(f"/api/videos/{live.video_id}/edit").json()
    assert "no picture is stored" in state["player_problem"]
    assert state["why_no_markers"] == ""
    change(api, live, edit="mark", time_s=2.5, label="door")
    assert [row["label"] for row in live.read_markers()] == ["door"]
    assert live.markers == out / "live-0123abcd.markers.csv"
    assert "door" in written_page(api, live)
    undo_all(api, live.video_id)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "elan.markers.eaf",
            "<?xml version='1.0'?><ANNOTATION_DOCUMENT/>",
            "a file of ELAN: change it there",
        ),
        ("boris.markers.csv", FOREIGN["BORIS"], "a file of BORIS: change it there"),
        ("tabs.markers.tsv", "time_s\tlabel\n1.5\tclap\n", "rename it to tabs.markers.csv first"),
    ],
)
def test_a_file_of_markers_that_is_not_ours_is_never_hidden_by_one_of_ours(
    api, tmp_path, name, content, said
):
    source = tmp_path / name.replace(".markers", "").replace(name[-3:], "mp4")
    source.write_bytes(b"a video")
    (tmp_path / name).write_text(content)
    edited = make_edited(api.app.app.state.jobs.out, source, source.stem)
    assert said in api.get(f"/api/videos/{edited.video_id}/edit").json()["why_no_markers"]
    assert edit(api, edited.video_id, edit="mark", time_s=2.5, label="door").status_code == 400
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, source.name])


def test_without_its_video_a_session_says_so_and_is_edited_by_time(api, tmp_path):
    gone = make_edited(api.app.app.state.jobs.out, tmp_path / "gone.mp4", "gone")
    state = api.get(f"/api/videos/{gone.video_id}/edit").json()
    assert not state["has_source"]
    assert "not where it was analysed" in state["player_problem"]
    assert "not where it was analysed" in state["why_no_markers"]
    assert edit(api, gone.video_id, edit="mark", time_s=1, label="a").status_code == 400
    assert api.get(f"/api/videos/{gone.video_id}/frame").status_code == 404
    change(api, gone, edit="correct", action="exclude", start="1", end="2")
    change(api, gone, edit="code", coder="MK", start="1", end="2", label="sad")
    assert len(gone.read("corrections.csv")) == len(gone.read("coding/MK.csv")) == 1
    undo_all(api, gone.video_id)


def send_codings(address: str, video_id: str, sent: list[str]) -> None:
    """Code one stretch after another until the application does not answer any more."""
    with contextlib.suppress(httpx.HTTPError), httpx.Client(base_url=address, timeout=10) as client:
        version = client.get(f"/api/videos/{video_id}/edit").json()["version"]
        for number in range(1000):
            sent.append(f"label{number}")
            cells = {"coder": "MK", "start": str(number), "end": str(number + 1), "label": sent[-1]}
            answer = client.post(
                f"/api/videos/{video_id}/edits", json={"edit": "code", "version": version, **cells}
            )
            version = answer.json()["version"]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.4, 0.7, 1.1])
def test_an_application_that_is_killed_leaves_whole_lists_with_all_that_it_has_confirmed(
    seconds, source, tmp_path
):
    edited = make_edited(tmp_path / "out", source)
    process, address = start_server(edited.out)
    sent: list[str] = []
    with ThreadPoolExecutor() as threads:
        sending = threads.submit(send_codings, address, edited.video_id, sent)
        while not sent:
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()
        process.communicate()
        sending.result(timeout=20)
    written = [row["label"] for row in edited.read("coding/MK.csv")]
    # The last one that was sent may have been written, or not; of those before, each was confirmed.
    assert written in (sent, sent[:-1])
    assert len(written) > 1
    process, address = start_server(edited.out)
    with httpx.Client(base_url=address, timeout=30) as client:
        state = client.get(f"/api/videos/{edited.video_id}/edit").json()
        assert [row["label"] for row in state["codings"]] == written
        change(client, edited, edit="code", coder="MK", start="2000", end="2001", label="after")
    assert end_server(process)[0] == 0
    assert len(edited.read("coding/MK.csv")) == len(written) + 1
    assert not [path for path in (edited.out / "coding").iterdir() if path.suffix != ".csv"]
