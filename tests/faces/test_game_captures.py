"""Game captures: a recorded player in a corner of drawn gameplay; posters and a cutscene show other people."""

from __future__ import annotations

import pandas as pd
import pytest

from ferflow.faces.detections import overlap_of_smaller
from ferflow.jobs.benchmarks.game_clips import make_sessions
from ferflow.jobs.benchmarks.identity_truth import read_truth
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from tests.conftest import real_data

pytestmark = pytest.mark.slow  # to draw and encode the gameplay alone takes twenty seconds


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """One session of 24 s, and where its player is."""
    folder = tmp_path_factory.mktemp("game")
    (video,) = make_sessions(real_data() / "videos", folder, count=1, seconds=24)
    return video, read_truth(folder / "gt" / f"{video.stem}.txt")


def analyse(video, out, **options) -> pd.DataFrame:
    run([video], out, AnalyzeOptions(**options))
    (table,) = (out / "faces").glob("*.parquet")
    return pd.read_parquet(table)


def is_player(faces: pd.DataFrame, truth) -> pd.Series:
    """Whether each face lies on the box of the player in its frame."""
    boxes = faces[["x1", "y1", "x2", "y2"]].to_numpy(float)
    overlaps = [
        overlap_of_smaller(box[None], truth[frame][0].xyxy)[0, 0]
        for box, frame in zip(boxes, faces.frame_index, strict=True)
    ]
    return pd.Series(overlaps, index=faces.index) > 0.5


@pytest.mark.parametrize("region", ["auto", "player=1472,828,416,234"])
def test_with_a_region_the_player_alone_is_seen_and_is_one_track(recorded, tmp_path, region):
    video, truth = recorded
    faces = analyse(video, tmp_path / "out", region=(region,))
    assert len(faces) == len(truth)
    assert set(faces.person_id) == {1}
    assert is_player(faces, truth).all()


def test_without_a_region_posters_are_left_out_and_the_page_says_so(recorded, tmp_path):
    video, truth = recorded
    faces = analyse(video, tmp_path / "out")
    player = is_player(faces, truth)
    assert faces.person_id[player].nunique() == 1
    assert player.sum() == len(truth)
    # The other person is that of the cutscene, from 8 to 10 s and from 18 to 20 s.
    others = faces[~player & faces.person_id.notna()]
    assert others.person_id.nunique() == 1
    assert others.time_s.between(8, 10).sum() + others.time_s.between(18, 20).sum() == len(others)
    posters = faces[~player & faces.person_id.isna()]
    assert (posters.not_face == "still").mean() > 0.9
    (page,) = (tmp_path / "out" / "reports").glob("*.html")
    assert "still picture" in page.read_text(encoding="utf-8")
