"""The state of each moment of a video: seconds by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ferflow.analytics.coverage import STATES, coverage_timeline
from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.limits import Limits


def seconds_of(shown: str, *, first: int = 0, **settings: object) -> dict[str, list[float]]:
    """Seconds of each bin of one second by state, without states that do not occur.

    Args:
        shown: a letter for each frame, ten of which are a second: `.` no face, `f` a frontal face, `t` a turned one.
        first: frames that are missing before the first one.
        settings: of `coverage_timeline`.
    """
    index = first + np.arange(len(shown))
    faces_at = [(row, letter) for row, letter in enumerate(shown) if letter != "."]
    rows = np.array([row for row, _ in faces_at], np.int64)
    frames = pa.table(
        {
            "frame_index": index,
            "time_s": index / 10,
            "n_faces": np.array([letter != "." for letter in shown]) * 1,
        }
    )
    faces = pa.table({
        "frame_index": index[rows],
        "time_s": index[rows] / 10,
        "person_id": np.ones(len(rows), np.int64),
        "yaw": [60.0 if letter == "t" else 0.0 for _, letter in faces_at],
        "face_px": np.full(len(rows), 80.0),
        "sharpness": np.full(len(rows), 300.0),
        "unreadable": pa.nulls(len(rows), pa.string()),
    })  # fmt: skip
    times = FrameTimes.from_frames(frames, end_s=(first + len(shown)) / 10)
    chosen = {"counted": {1}, "bin_seconds": 1.0, "ranged": False} | settings
    table = coverage_timeline(times, frames, faces, **chosen)
    found = {state: np.round(table.column(state).to_numpy(), 6).tolist() for state in STATES}
    return {state: seconds for state, seconds in found.items() if any(seconds)}


def test_the_time_of_a_video_is_divided_completely_by_what_can_be_seen():
    found = seconds_of("f" * 10 + "." * 15 + "f" * 15 + "t" * 15)
    assert found == {
        "readable": [1, 0, 0.5, 1, 0, 0], "no_face": [0, 1, 0.5, 0, 0, 0], "turned": [0, 0, 0, 0, 1, 0.5],
    }  # fmt: skip


def test_what_lies_before_and_after_the_part_that_counts_is_outside():
    found = seconds_of("f" * 40, limits=Limits(0.5, 2.5))
    assert found == {"readable": [0.5, 1, 0.5, 0], "outside": [0.5, 0, 0.5, 1]}
    assert seconds_of("f" * 20, limits=Limits(1.0, 60.0)) == {"readable": [0, 1], "outside": [1, 0]}
    assert seconds_of("f" * 20, limits=Limits(5.0, 60.0)) == {"outside": [1, 1]}


def test_a_frame_whose_faces_are_all_left_out_is_excluded_and_one_without_a_counted_face_is_not():
    def before_one_second(faces: pa.Table) -> np.ndarray:
        return faces.column("time_s").to_numpy() < 1

    found = seconds_of("f" * 20, counted=set(), find_left_out=before_one_second)
    assert found == {"excluded": [1, 0], "uncounted": [0, 1]}


@pytest.mark.parametrize(("ranged", "state"), [(False, "missing"), (True, "outside")])
def test_time_before_the_first_frame_is_missing_or_was_not_asked_for(ranged, state):
    assert seconds_of("f" * 15, first=15, ranged=ranged) == {"readable": [0, 0.5, 1], state: [1, 0.5, 0]}
