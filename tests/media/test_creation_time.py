"""When a recording was made, as containers of FFmpeg say it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import av
import pytest

from ferflow.media.creation_time import read_creation_time
from tests.conftest import face_frames, write_video


def stamped(path: Path, **tags: str) -> Path:
    """A video with tags in its container."""
    plain = write_video(path.with_name(f"plain-{path.name}"), face_frames(3))
    options = {"movflags": "use_metadata_tags"} if len(tags) > 1 else {}
    with av.open(plain) as source, av.open(path, "w", options=options) as target:
        target.metadata.update(tags)
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_the_creation_time_of_a_container_has_a_time_zone(tmp_path, suffix):
    path = stamped(tmp_path / f"v.{suffix}", creation_time="2024-05-12T12:00:01.000000Z")
    assert read_creation_time(path) == datetime(2024, 5, 12, 12, 0, 1, tzinfo=UTC)


def test_the_time_that_survives_an_export_of_a_phone_comes_first(tmp_path):
    times = {
        "com.apple.quicktime.creationdate": "2024-05-12T14:00:01+0200",
        "creation_time": "2025-01-01T00:00:00Z",
    }
    path = stamped(tmp_path / "v.mov", **times)
    assert read_creation_time(path) == datetime(2024, 5, 12, 12, 0, 1, tzinfo=UTC)


def test_a_clock_that_was_never_set_and_what_is_no_video_give_no_time(tmp_path):
    assert read_creation_time(stamped(tmp_path / "v.mp4", creation_time="1970-01-01T00:00:00Z")) is None
    assert read_creation_time(write_video(tmp_path / "none.mp4", face_frames(3))) is None
    (tmp_path / "text.mp4").write_text("no video")
    assert read_creation_time(tmp_path / "text.mp4") is None
    assert read_creation_time(tmp_path / "gone.mp4") is None
    assert read_creation_time(tmp_path) is None
