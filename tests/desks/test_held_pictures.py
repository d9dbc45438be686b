"""Recorders that write no frame while nothing moves: time counts, frames do not. The truth is how files were made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferflow.jobs.run import run
from ferflow.media.inputs import video_id_of
from ferflow.media.video import Selection, open_video
from tests.conftest import numbered_image, some_slow, write_video
from tests.dashboards.read_page import card
from tests.desks.recorders import face_then_slide, held_face

FPS = 5


@dataclass(frozen=True)
class Analysed:
    """What run.json, the timeline and the page say of a video."""

    entry: dict
    bins: pd.DataFrame
    """Of all people together."""
    page: str


@pytest.fixture(scope="module")
def analysed(tmp_path_factory) -> dict[str, Analysed]:
    folder = tmp_path_factory.mktemp("held")
    paths = {
        "held": held_face(folder / "held.mkv", fps=FPS),
        "slide": face_then_slide(folder / "slide.mp4", fps=FPS),
    }
    run([*paths.values()], folder / "out")
    return {name: _read(folder / "out", path) for name, path in paths.items()}


def _read(out: Path, path: Path) -> Analysed:
    videos = json.loads((out / "run.json").read_text(encoding="utf-8"))["videos"]
    (entry,) = (video for video in videos if video["source"] == str(path))
    table = pd.read_parquet(out / "timeline" / f"{video_id_of(path)}.parquet")
    page = (out / entry["report"]).read_text(encoding="utf-8")
    return Analysed(entry, table[table.person_id.isna()], page)


@pytest.mark.parametrize("name", some_slow("held", slow=["slide"]))
def test_a_recording_of_a_minute_is_a_minute_long_and_has_no_gap(analysed, name):
    entry, bins = analysed[name].entry, analysed[name].bins
    assert (entry["status"], entry["warnings"], entry["gaps"]) == ("done", [], [])
    assert entry["duration_s"] == pytest.approx(60, abs=0.002)
    np.testing.assert_allclose(bins.seconds, np.ones(60), atol=0.002)


def test_a_face_is_in_view_while_its_picture_is_held(analysed):
    held = analysed["held"]
    assert held.entry["n_frames"] == 20 * FPS + 2
    np.testing.assert_allclose(held.bins.face_s, np.ones(60), atol=0.002)
    assert card(held.page, "Face visible") == ("100 %", "of 01:00.0 a face can be read")
    assert card(held.page, "People") == ("1", "in view for 01:00.0")


def test_a_slide_of_few_frames_counts_for_the_time_that_it_is_shown(analysed):
    """20 of 60 seconds show a face, though 100 of 110 frames do."""
    slide = analysed["slide"]
    assert (slide.entry["n_frames"], slide.entry["n_faces"]) == (20 * FPS + 10, 20 * FPS)
    np.testing.assert_allclose(slide.bins.face_s, [1] * 20 + [0] * 40, atol=0.002)
    assert card(slide.page, "Face visible") == ("33 %", "of 01:00.0 a face can be read; no face 67 %")
    assert card(slide.page, "People") == ("1", "in view for 00:20.0")


@pytest.mark.parametrize(
    ("steps_ms", "end_s"),
    [
        ([100] * 10, 1.1),
        ([100] * 10 + [30_000], 31.1),
        ([100] * 10 + [4000] * 3, 17.0),
        ([4000], 8.0),
    ],
    ids=["constant", "held once", "a slow end", "two frames"],
)
def test_the_last_frame_is_shown_for_the_median_of_the_last_three_steps(tmp_path, steps_ms, end_s):
    stamps = np.cumsum([0, *steps_ms]).tolist()
    path = write_video(
        tmp_path / "a.mkv", [numbered_image(number) for number in range(len(stamps))], pts=stamps
    )
    with open_video(path) as video:
        assert len(list(video.frames(Selection()))) == len(stamps)
        assert video.end_s == pytest.approx(end_s, abs=0.001)
