"""Identities in real clips, and the arithmetic that judges them."""

import numpy as np
import pytest

from ferflow.faces.detector import make_detector
from ferflow.faces.tracker import Tracker
from ferflow.jobs.benchmarks.identity import Boxes, main, read_truth, score, track_faces
from ferflow.options import AnalyzeOptions

TRUTH_ROWS = """\
1,7,10,10,40,40,1,-1,-1,-1
1,8,100,10,40,40,0,-1,-1,-1
2,7,12,10,40,40,1,-1,-1,-1
2,8,100,10,40,40,0,-1,-1,-1
"""


def boxes(*rows):
    """Boxes of (id, x, y, width, height)."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    xyxy = np.concatenate([table[:, 1:3], table[:, 1:3] + table[:, 3:]], axis=1)
    return Boxes(xyxy, table[:, 0].astype(np.int32))


@pytest.fixture
def truth(tmp_path):
    path = tmp_path / "clip.txt"
    path.write_text(TRUTH_ROWS)
    return read_truth(path)


def test_frames_of_the_truth_count_from_1(truth):
    assert sorted(truth) == [0, 1]
    assert truth[0][0].xyxy.tolist() == [[10, 10, 50, 50]]


def test_perfect_identities_score_1(truth):
    result = score([boxes((3, 10, 10, 40, 40)), boxes((3, 12, 10, 40, 40))], truth)
    assert (result.idf1, result.n_switches, result.mota) == (1, 0, 1)


def test_a_face_on_an_ignored_box_does_not_count(truth):
    result = score(
        [
            boxes((3, 10, 10, 40, 40), (4, 101, 10, 40, 40)),
            boxes((3, 12, 10, 40, 40), (4, 100, 10, 40, 40)),
        ],
        truth,
    )
    assert (result.idf1, result.n_false) == (1, 0)


def test_a_change_of_id_is_a_switch(truth):
    result = score([boxes((3, 10, 10, 40, 40)), boxes((4, 12, 10, 40, 40))], truth)
    assert result.n_switches == 1
    assert result.idf1 == 0.5


def test_false_and_missed_faces_count(truth):
    result = score([boxes((3, 200, 10, 40, 40)), boxes()], truth)
    assert (result.n_false, result.n_missed, result.recall) == (1, 2, 0)
    assert result.mota == -0.5


@pytest.mark.clips
@pytest.mark.parametrize(
    "name",
    [
        "intel_preview_face-demographics-walking-and-pause",
        "intel_preview_head-pose-face-detection-female-and-male",
    ],
)
@pytest.mark.parametrize("participants", [None, 3])
def test_people_keep_their_ids_in_real_clips(clips, name, participants):
    detector = make_detector(AnalyzeOptions())
    found = list(track_faces(clips / f"{name}.gif", detector, Tracker(participants=participants)))
    result = score(found, read_truth(clips / "gt" / f"{name}.txt"))
    assert result.idf1 >= 0.95
    assert result.n_switches == 0


@pytest.mark.clips
def test_the_command_prints_a_line_per_clip(clips, capsys):
    clip = clips / "intel_preview_face-demographics-walking-and-pause.gif"
    main([str(clip), "--truth", str(clips / "gt")])
    assert len(capsys.readouterr().out.splitlines()) == 2
