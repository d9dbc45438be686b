"""Frames analysed one at a time, as they come; truth: what `analyze` finds in the same file."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ferflow.errors import OptionsError
from ferflow.jobs.live.stream_analyzer import LiveFrame, StreamAnalyzer
from ferflow.media.video import Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze
from ferflow.store.records import FaceRows
from ferflow.store.schemas import UNTRACKED


def faces_of(path: Path, options: AnalyzeOptions, tools: Tools) -> pa.Table:
    return pa.Table.from_batches(
        [rows.batch for rows in analyze(path, options, tools=tools) if isinstance(rows, FaceRows)]
    )


def live_frames(path: Path, options: AnalyzeOptions, tools: Tools) -> list[LiveFrame]:
    analyzer = StreamAnalyzer(tools, options)
    with open_video(path) as video:
        return [analyzer.analyze(frame, frame.time_s) for frame in video.frames(Selection())]


def test_faces_of_a_stream_are_those_of_the_analysis_of_the_file(face_video, tools):
    options = AnalyzeOptions(detect="full")
    table, frames = faces_of(face_video, options, tools), live_frames(face_video, options, tools)
    assert [frame.frame_index for frame in frames] == list(range(30))
    faces = [face for frame in frames for face in frame.faces]
    boxes = np.column_stack([table.column(name).to_numpy() for name in ("x1", "y1", "x2", "y2")])
    assert np.allclose([face.xyxy for face in faces], boxes)
    assert [face.label for face in faces] == table.column("label").to_pylist()
    assert np.allclose([face.probs["happy"] for face in faces], table.column("prob_happy").to_numpy())
    assert np.allclose([face.yaw for face in faces], table.column("yaw").to_numpy())
    # The only difference: `analyze` waits for the next frame before it gives an id to a face it is not certain of.
    tracks = [UNTRACKED if face.track_id is None else face.track_id for face in faces]
    assert tracks[1:] == table.column("track_id").to_pylist()[1:]


@pytest.mark.clips
def test_people_of_a_real_clip_keep_the_tracks_that_its_analysis_gives_them(clips):
    options, tools = AnalyzeOptions(), Tools.load(AnalyzeOptions())
    path = clips / "intel_preview_face-demographics-walking-and-pause.gif"
    table, frames = faces_of(path, options, tools), live_frames(path, options, tools)
    expected = dict[int, set[int]]()
    for index, track in zip(
        table.column("frame_index").to_pylist(), table.column("track_id").to_pylist(), strict=True
    ):
        expected.setdefault(index, set()).add(track)
    found = {
        frame.frame_index: {UNTRACKED if face.track_id is None else face.track_id for face in frame.faces}
        for frame in frames
        if frame.faces
    }
    assert found.keys() == expected.keys()
    assert all(found[index] - expected[index] <= {UNTRACKED} for index in found)


def test_json_of_a_frame_has_the_keys_that_programs_rely_on(face_video, tools):
    content = live_frames(face_video, AnalyzeOptions(), tools)[-1].to_json()
    assert list(content) == ["frame_index", "time_s", "latency_ms", "dropped", "faces"]
    (face,) = content["faces"]
    assert list(face) == ["track_id", "xyxy", "score", "label", "probs", "yaw", "pitch", "roll"]
    assert face["track_id"] == 1
    assert sum(face["probs"].values()) == pytest.approx(1, abs=1e-3)


def test_a_frame_without_a_face_is_answered_too(tools, face_video):
    analyzer = StreamAnalyzer(tools)
    with open_video(face_video) as video:
        frame = next(iter(video.frames(Selection())))
    gray = np.full_like(frame.planes.y, 120)
    empty = replace(frame, planes=replace(frame.planes, y=gray, u=None, v=None), time=Fraction(5))
    assert analyzer.analyze(empty, 0.0).faces == ()
    assert analyzer.analyze(empty, 0.1).to_json()["faces"] == []


def test_time_never_goes_back(face_video, tools):
    analyzer = StreamAnalyzer(tools)
    with open_video(face_video) as video:
        frames = list(video.frames(Selection()))[:3]
    times = [
        analyzer.analyze(frame, time_s).time_s for frame, time_s in zip(frames, (1.0, 0.4, 1.2), strict=True)
    ]
    assert times == [1.0, 1.0, 1.2]


@pytest.mark.parametrize(
    ("options", "word"),
    [(AnalyzeOptions(region=("auto",)), "region auto"), (AnalyzeOptions(detect="every:4"), "every:4")],
)
def test_options_that_need_later_frames_are_refused(options, word, tools):
    with pytest.raises(OptionsError, match=word):
        StreamAnalyzer(tools, options)
