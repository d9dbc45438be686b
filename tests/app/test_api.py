"""The API: pictures, videos, tables, errors; what it answers is what Python gives."""

from __future__ import annotations

import base64
import io
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

import ferflow
from ferflow.app import picture_calls
from ferflow.app.application import make_app
from ferflow.app.picture_calls import read_content
from ferflow.app.settings import AppSettings
from ferflow.app.video_jobs import find_unfinished, plain_name
from ferflow.app.webcam import WebcamReader
from ferflow.jobs.live.stream_analyzer import StreamAnalyzer
from ferflow.options import AnalyzeOptions
from ferflow.single_picture import PictureReader
from ferflow.store.output_folder import OutputFolder
from tests.app.conftest import jpeg, png_of, wait_for_job
from tests.command import Command
from tests.conftest import portrait


def test_a_form_and_base64_give_what_python_gives(api, portrait_jpeg, tmp_path):
    (path := tmp_path / "a.jpg").write_bytes(portrait_jpeg)
    wanted = {
        "faces": [face.to_json() for face in ferflow.predict(path)],
        "model": "default",
        "width": 640,
        "height": 480,
    }
    text = base64.b64encode(portrait_jpeg).decode()
    for answer in (
        api.post("/api/predict", files={"image": ("a.jpg", portrait_jpeg)}),
        api.post("/api/predict", json={"image": text}),
        api.post("/api/predict", json={"image": f"data:image/jpeg;base64,{text}"}),
    ):
        assert answer.status_code == 200
        assert answer.json() == json.loads(json.dumps(wanted))


def test_a_picture_without_a_face_has_none(api):
    answer = api.post("/api/predict", files={"image": jpeg(np.full((90, 90, 3), 99, np.uint8))})
    assert answer.json()["faces"] == []


@pytest.mark.parametrize(
    ("content", "statuses"),
    [
        (b"no picture at all" * 9, {415}),
        (b"\xff\xd8\xff\xe0 cut off", {400, 415}),
        (jpeg(portrait())[:5000], {400}),
        (png_of(30_000, 30_000), {400, 415}),
        (png_of(65_000, 65_000), {400, 415}),
        (b"%PDF-1.4", {415}),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", {415}),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/x.ts\n", {415}),
    ],
    ids=["text", "header", "cut off", "bomb", "larger bomb", "pdf", "svg", "playlist"],
)
def test_what_is_no_picture_is_refused_and_the_next_one_is_answered(api, portrait_jpeg, content, statuses):
    answer = api.post("/api/predict", files={"image": ("a.jpg", content)})
    assert answer.status_code in statuses
    assert answer.json().keys() == {"error"}
    assert answer.json()["error"].startswith("the file")
    assert api.post("/api/predict", files={"image": portrait_jpeg}).status_code == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"files": {"picture": b"x"}}, 400),
        ({"files": {"image": b""}}, 400),
        ({"data": {"image": "text"}}, 415),
        ({"json": {}}, 400),
        ({"json": []}, 400),
        ({"json": {"image": 5}}, 400),
        ({"json": {"image": "no base64!"}}, 400),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"abc"}, 415),
        ({"content": b"abc", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"content": b"--x\r\nbad", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400),
    ],
)
def test_a_request_of_another_form_is_refused_with_a_reason(api, request_, status):
    answer = api.post("/api/predict", **request_)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_too_large_a_body_is_refused_stated_or_not(api):
    stated = api.post("/api/predict", content=b"x", headers={"content-length": str(1 << 40)})
    assert stated.status_code == 413

    def endless():
        for _ in range(100):
            yield b"x" * (1 << 20)

    kind = {"content-type": "application/json"}
    assert api.post("/api/predict", content=endless(), headers=kind).status_code == 413


def test_maps_of_a_face_add_up_and_are_pictures(api, portrait_jpeg):
    (face,) = api.post("/api/predict", files={"image": portrait_jpeg}).json()["faces"]
    for answer in (
        api.post(
            "/api/activation", files={"image": portrait_jpeg}, data={"xyxy": ",".join(map(str, face["xyxy"]))}
        ),
        api.post(
            "/api/activation", json={"image": base64.b64encode(portrait_jpeg).decode(), "xyxy": face["xyxy"]}
        ),
    ):
        maps = answer.json()["maps"]
        assert {each["label"] for each in maps} == set(face["probs"])
        assert sum(each["probability"] for each in maps) == pytest.approx(1, abs=1e-4)
        assert maps[0]["label"] == face["label"]
        kind, _, data = maps[0]["image"].partition(",")
        assert kind == "data:image/png;base64"
        assert cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1).shape[0] > 40


@pytest.mark.parametrize("box", ["", "1,2,3", "a,b,c,d", "nan,0,9,9", "1e9,0,2e9,9", "5,5,5,5", "9,9,1,1"])
def test_a_box_that_is_none_is_refused(api, portrait_jpeg, box):
    answer = api.post("/api/activation", files={"image": portrait_jpeg}, data={"xyxy": box})
    assert answer.status_code == 400


def test_a_picture_comes_back_as_jpeg_for_browsers_that_do_not_read_it(api):
    tiff = cv2.imencode(".tiff", portrait())[1].tobytes()
    answer = api.post("/api/picture", files={"image": tiff})
    assert answer.headers["content-type"] == "image/jpeg"
    assert cv2.imdecode(np.frombuffer(answer.content, np.uint8), 1).shape == portrait().shape


@pytest.fixture(scope="module")
def done(api, clip) -> dict[str, object]:
    """A job that has ended well."""
    with clip.open("rb") as file:
        answer = api.post("/api/jobs", files={"video": ("../../my <b>talk</b>.mp4", file)})
    assert answer.status_code == 202
    return wait_for_job(api, answer.json()["id"])


def test_a_video_is_analysed_and_has_a_report(api, done):
    assert done["error"] is None
    assert done["name"] == "b_.mp4"
    page = api.get(done["report"])
    assert page.status_code == 200
    assert f'src="../source/{done["video_id"]}"' in page.text
    assert "sandbox allow-scripts" in page.headers["content-security-policy"]
    assert api.get(f"/folder/source/{done['video_id']}", headers={"range": "bytes=0-9"}).status_code == 206
    assert api.get("/folder/index.html").status_code == 200
    assert api.get("/folder/assets/plotly.min.js").status_code == 200
    assert api.get("/api/videos").json() == [done["video_id"]]


def test_tables_come_as_parquet_and_as_json(api, done):
    where = f"/api/jobs/{done['id']}/tables/faces"
    table = pq.read_table(io.BytesIO(api.get(where, params={"format": "parquet"}).content))
    assert table.num_rows == 30
    rows = api.get(where, params={"offset": 7, "limit": 5}).json()
    assert rows["n_rows"] == 30
    assert len(rows["rows"]) == 5
    index = rows["columns"].index("frame_index")
    assert [row[index] for row in rows["rows"]] == table["frame_index"].to_pylist()[7:12]
    assert api.get(f"/api/videos/{done['video_id']}/tables/timeline").json()["n_rows"] > 0
    assert api.get(where, params={"offset": 99}).json()["rows"] == []
    assert api.get(f"/api/jobs/{done['id']}/tables/markers").status_code == 404


def test_what_is_no_video_fails_with_a_reason_and_is_removed(api):
    answer = api.post("/api/jobs", files={"video": ("a.mp4", b"no video" * 50)})
    job = wait_for_job(api, answer.json()["id"], state="failed")
    assert "not a video" in job["error"]
    queue = api.app.app.state.jobs
    assert not (queue.out / "uploads" / job["id"]).exists()


def test_a_job_that_waits_or_runs_can_be_cancelled_and_leaves_nothing(api, clip):
    content = clip.read_bytes()
    ids = [
        api.post("/api/jobs", files={"video": (f"{n}.mp4", content + b"%d" % n)}).json()["id"]
        for n in range(2)
    ]
    for job_id in reversed(ids):
        assert api.delete(f"/api/jobs/{job_id}").json()["state"] == "cancelled"
    queue = api.app.app.state.jobs
    deadline = time.monotonic() + 10
    while any((queue.out / "uploads" / job_id).exists() for job_id in ids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert all(wait_for_job(api, job_id, state="cancelled") for job_id in ids)
    # The next one is analysed as if nothing had been.
    again = api.post("/api/jobs", files={"video": ("again.mp4", content + b"again")}).json()["id"]
    wait_for_job(api, again)
    assert find_unfinished(queue.out) == []


def test_markers_next_to_an_upload_are_no_upload(tmp_path):
    upload = tmp_path / "uploads" / "0123456789abcdef" / "talk.mp4"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"a video")
    upload.with_name("talk.markers.csv").write_text("time_s,label\n3,boss\n")
    assert find_unfinished(tmp_path) == [upload]


def test_a_video_that_could_not_be_written_about_is_kept_for_the_next_start(tmp_path, clip):
    out = tmp_path / "out"
    with TestClient(make_app(AppSettings(out=out, port=80)), base_url="http://127.0.0.1:80") as client:
        with OutputFolder(out).lock():
            upload = client.post("/api/jobs", files={"video": ("talk.mp4", clip.read_bytes())})
            job = wait_for_job(client, upload.json()["id"], state="failed")
        assert "another ferflow" in job["error"]
    assert [path.name for path in find_unfinished(out)] == ["talk.mp4"]
    with TestClient(make_app(AppSettings(out=out, port=80)), base_url="http://127.0.0.1:80") as client:
        wait_for_job(client, job["id"])
        assert find_unfinished(out) == []


@pytest.mark.slow
def test_a_video_that_was_forgotten_goes_with_its_upload_and_fails_with_the_reason_when_it_comes_again(
    tmp_path, clip, monkeypatch, capfd
):
    out = tmp_path / "out"
    with TestClient(make_app(AppSettings(out=out, port=80)), base_url="http://127.0.0.1:80") as client:
        job_id = client.post("/api/jobs", files={"video": ("talk.mp4", clip.read_bytes())}).json()["id"]
        wait_for_job(client, job_id)
    done = Command(monkeypatch, capfd)("forget", out, "--video", "talk.mp4", "--yes")
    assert done.code == 0, done
    assert f"uploads/{job_id}/talk.mp4: the video that was uploaded to ferflow app" in done.text
    assert "the video itself" not in done.text
    assert not (out / "uploads" / job_id).exists()
    with TestClient(make_app(AppSettings(out=out, port=80)), base_url="http://127.0.0.1:80") as client:
        assert client.get(f"/api/jobs/{job_id}").status_code == 404
        job_id = client.post("/api/jobs", files={"video": ("other.mp4", clip.read_bytes())}).json()["id"]
        job = wait_for_job(client, job_id, state="failed")
    assert "forgotten" in job["error"]
    assert (job["report"], job["warnings"]) == (None, [])
    assert not (out / "uploads" / job_id).exists()


def test_jobs_that_are_unknown_or_no_ids_are_refused(api):
    assert api.get("/api/jobs/0123456789abcdef").status_code == 404
    assert api.delete("/api/jobs/0123456789abcdef").status_code == 404
    assert api.get("/api/jobs/..%2f..").status_code in (400, 404)
    assert api.get("/api/jobs/0123456789abcdef/tables/passwords").status_code == 400


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("talk.mp4", "talk.mp4"), ("../../etc/passwd", "passwd"), ("C:\\a\\b.mp4", "b.mp4"), ("", "video"),
        ("...", "video"), (".hidden", "hidden"), ("a\nb\x1b[31m.mp4", "a_b_[31m.mp4"), ("שלום.mp4", "שלום.mp4"),
        ("x" * 500 + ".mp4", "x" * 120 + ".mp4"), ("a.mp4/", "video"), ("CON\0.mp4", "CON_.mp4"),
    ],
)  # fmt: skip
def test_names_of_uploads_become_plain_names(given, plain):
    name = plain_name(given)
    assert Path(name).name == name
    assert len(name.encode()) <= 255
    assert name.isprintable()
    if "[" not in plain:
        assert name == plain


def test_the_description_of_the_api_names_every_route_and_no_other_host(api):
    found = api.get("/api/openapi.json").json()
    assert set(found["paths"]) == {
        "/api/predict", "/api/activation", "/api/jobs", "/api/jobs/{job_id}", "/api/jobs/{job_id}/events",
        "/api/jobs/{job_id}/tables/{table}", "/api/videos", "/api/videos/{video_id}/tables/{table}",
        "/api/videos/{video_id}/edit", "/api/videos/{video_id}/edits", "/api/videos/{video_id}/undo",
    }  # fmt: skip
    page = api.get("/api/docs").text
    assert "http://" not in page
    assert "https://" not in page
    assert api.get("/static/swagger/swagger-ui-bundle.js").status_code == 200


def test_a_webcam_frame_has_tracked_faces_and_a_bad_one_an_error(api, portrait_jpeg):
    with api.websocket_connect("ws://127.0.0.1/api/webcam") as socket:
        assert socket.receive_json() == {"ready": True}
        for _ in range(3):
            socket.send_bytes(portrait_jpeg)
            found = socket.receive_json()
        assert (found["width"], found["height"]) == (640, 480)
        (face,) = found["faces"]
        assert face["label"] == "happy"
        assert face["track_id"] >= 0
        assert found["latency_ms"] > 0
        socket.send_bytes(b"no picture")
        assert "not a video or picture" in socket.receive_json()["error"]
        socket.send_bytes(portrait_jpeg)
        assert len(socket.receive_json()["faces"]) == 1


def test_nothing_of_a_picture_is_left(api, portrait_jpeg):
    api.post("/api/predict", files={"image": portrait_jpeg})
    folder = api.app.app.state.pool.folder
    assert not list(folder.glob("picture-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="files in memory are Linux's")
def test_pictures_and_webcam_frames_are_decoded_from_memory_and_in_no_folder(monkeypatch, portrait_jpeg):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file on disk")

    monkeypatch.setattr(picture_calls.tempfile, "NamedTemporaryFile", refuse)
    options = AnalyzeOptions()
    nowhere = Path("/nowhere")
    reader = PictureReader.load(options)
    wanted = read_content(reader, portrait_jpeg, nowhere)
    assert (len(wanted.faces), wanted.width) == (1, 640)
    webcam = WebcamReader(options, StreamAnalyzer(reader.tools, options))
    answer = webcam.answer(portrait_jpeg, 0.0, nowhere)
    assert [round(x) for x in answer["faces"][0]["xyxy"]] == [round(x) for x in wanted.faces[0].xyxy]
    assert "the file" in webcam.answer(b"no picture", 0.1, nowhere)["error"]
