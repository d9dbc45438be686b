"""What a source is, by what the user calls it; cameras are files of a made-up machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferflow.errors import OptionsError, VideoError
from ferflow.jobs.live import devices, sources
from ferflow.jobs.live.sources import find_source


@pytest.fixture(autouse=True)
def _on_linux(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")


def test_a_number_is_a_camera_and_a_device_file_too(tmp_path):
    assert find_source(0).address == "/dev/video0"
    assert find_source("12").label == "camera 12"
    assert find_source("/dev/video3").kind == "camera"
    assert {find_source("/dev/null").kind, find_source("/dev/null").demuxer} == {"camera", "v4l2"}


def test_a_camera_is_tried_in_high_definition_first_and_then_as_it_is():
    tries = find_source("0").tries
    assert tries[0] == {"input_format": "mjpeg", "video_size": "1280x720", "framerate": "30"}
    assert tries[-1] == {}


def test_a_chosen_size_and_rate_are_in_every_try():
    tries = find_source("0", size="640x480", rate=15).tries
    assert all(options["video_size"] == "640x480" and options["framerate"] == "15" for options in tries)
    assert len(tries) == 2  # without the repetitions


@pytest.mark.parametrize("size", ["640", "640x", "0x5", "640x480x3", "-1x5", "a"])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(OptionsError, match="WxH"):
        find_source("0", size=size)


def test_what_has_its_own_size_cannot_be_given_one(tmp_path):
    with pytest.raises(OptionsError, match="cameras and screens"):
        find_source("rtsp://10.0.0.5/door", size="640x480")


@pytest.mark.parametrize(
    ("address", "label"),
    [
        ("rtsp://admin:secret@10.0.0.5:8554/door?key=1", "rtsp://10.0.0.5:8554/door"),
        ("https://user@host/a.m3u8?token=secret", "https://host/a.m3u8"),
        ("rtmp://host/live/a", "rtmp://host/live/a"),
    ],
)
def test_a_password_and_a_key_are_in_no_label(address, label):
    source = find_source(address)
    assert (source.kind, source.label, source.address) == ("stream", label, address)


@pytest.mark.parametrize(
    "text", ["ftp://host/a", "file:///etc/passwd", "udp://1.2.3.4:5", "concat:/a", "s3://b/c"]
)
def test_addresses_of_other_kinds_are_refused(text):
    with pytest.raises((OptionsError, VideoError)):
        find_source(text)


def test_no_stream_may_read_files_of_this_machine():
    for protocols in sources.STREAM_PROTOCOLS.values():
        assert not {"file", "pipe", "fd", "concat", "subfile", "data"} & set(protocols.split(","))
    assert "http" not in sources.STREAM_PROTOCOLS["https"].split(",")


def test_a_dash_is_stdin_and_anything_else_a_file(tmp_path):
    assert find_source("-").kind == "pipe"
    (tmp_path / "Talk (1).mp4").touch()
    source = find_source(tmp_path / "Talk (1).mp4")
    assert (source.kind, source.label, source.name) == ("file", "Talk (1).mp4", "talk-1")
    with pytest.raises(VideoError, match="no such file"):
        find_source(tmp_path / "absent.mp4")


def test_a_screen_needs_a_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(VideoError, match="DISPLAY"):
        find_source("screen")
    monkeypatch.setenv("DISPLAY", "localhost:10.0")
    assert find_source("screen:1").address == "localhost:10.1"
    monkeypatch.setenv("DISPLAY", ":99")
    assert find_source("screen").address == ":99.0"


@pytest.mark.parametrize(
    ("platform", "demuxer", "address"),
    [("darwin", "avfoundation", "0:none"), ("linux", "v4l2", "/dev/video0")],
)
def test_a_camera_has_the_demuxer_of_its_system(platform, demuxer, address, monkeypatch):
    monkeypatch.setattr("sys.platform", platform)
    source = find_source("0")
    assert (source.demuxer, source.address) == (demuxer, address)


def test_a_name_is_a_camera_where_cameras_have_names(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    assert find_source("video=Integrated Camera").demuxer == "dshow"


def test_cameras_are_listed_by_number_without_their_other_nodes(tmp_path, monkeypatch):
    def node(name: str, title: str, index: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(f"{title}\n")
        (tmp_path / name / "index").write_text(f"{index}\n")

    node("video2", "Capture \x1b[31mcard", "0")
    node("video0", "Webcam", "0")
    node("video1", "Webcam", "1")  # metadata of the webcam
    monkeypatch.setattr(devices, "_V4L2", tmp_path)
    found = [(camera.number, camera.name, camera.address) for camera in devices.list_cameras()]
    assert found == [(0, "Webcam", "/dev/video0"), (2, "Capture \ufffd[31mcard", "/dev/video2")]


def test_a_machine_without_cameras_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_V4L2", tmp_path / "absent")
    assert devices.list_cameras() == []


def test_the_name_of_a_recording_is_a_plain_file_name(tmp_path):
    assert find_source("rtsp://u:p@10.0.0.5:8554/door/a?b=c").name == "10-0-0-5-8554-door-a"
    (tmp_path / "...mp4").touch()
    assert find_source(Path(tmp_path / "...mp4")).name == "file"
