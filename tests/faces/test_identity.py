"""Identities in real clips, and the arithmetic that judges them."""

import numpy as np
import pytest

from ferflow.faces.detector import make_detector
from ferflow.jobs.benchmarks.identity import Merges, count_merges, find_people, main, score
from ferflow.jobs.benchmarks.identity_clips import make_clips
from ferflow.jobs.benchmarks.identity_truth import Boxes, read_truth, write_truth
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
    result = score({0: boxes((3, 10, 10, 40, 40)), 1: boxes((3, 12, 10, 40, 40))}, truth)
    assert (result.idf1, result.n_switches, result.mota) == (1, 0, 1)


def test_a_face_on_an_ignored_box_does_not_count(truth):
    result = score(
        {
            0: boxes((3, 10, 10, 40, 40), (4, 101, 10, 40, 40)),
            1: boxes((3, 12, 10, 40, 40), (4, 100, 10, 40, 40)),
        },
        truth,
    )
    assert (result.idf1, result.n_false) == (1, 0)


def test_a_change_of_id_is_a_switch(truth):
    result = score({0: boxes((3, 10, 10, 40, 40)), 1: boxes((4, 12, 10, 40, 40))}, truth)
    assert result.n_switches == 1
    assert result.idf1 == 0.5


def test_false_and_missed_faces_count(truth):
    result = score({0: boxes((3, 200, 10, 40, 40)), 1: boxes()}, truth)
    assert (result.n_false, result.n_missed, result.recall) == (1, 2, 0)
    assert result.mota == -0.5


def test_frames_that_were_not_analysed_do_not_count(truth):
    assert score({1: boxes((3, 12, 10, 40, 40))}, truth).recall == 1


def test_truth_is_read_as_it_was_written(tmp_path, truth):
    write_truth(tmp_path / "copy.txt", [truth[0], truth[1]])
    again = read_truth(tmp_path / "copy.txt")
    for index in truth:
        for one, other in zip(truth[index], again[index], strict=True):
            assert one.ids.tolist() == other.ids.tolist()
            assert one.xyxy.tolist() == other.xyxy.tolist()


def two_people(frames):
    """Truth of person 1 at the left and person 2 at the right."""
    both = boxes((1, 0, 0, 40, 40), (2, 100, 0, 40, 40))
    return dict.fromkeys(range(frames), (both, boxes()))


def test_one_person_over_two_people_is_a_false_merge():
    left, right = boxes((7, 0, 0, 40, 40)), boxes((7, 100, 0, 40, 40))
    merges = count_merges({0: left, 1: left, 2: right, 3: right}, two_people(4))
    assert merges == Merges(n_people=2, n_persons=1, n_false_merges=1, n_splits=0)


def test_two_persons_over_one_are_a_split():
    found = {0: boxes((7, 0, 0, 40, 40)), 1: boxes((8, 0, 0, 40, 40), (9, 100, 0, 40, 40))}
    merges = count_merges(found, two_people(2))
    assert merges == Merges(n_people=2, n_persons=3, n_false_merges=0, n_splits=1)


def test_a_few_frames_are_neither_merge_nor_split():
    left = boxes((7, 0, 0, 40, 40), (8, 100, 0, 40, 40))
    swapped = boxes((8, 0, 0, 40, 40), (7, 100, 0, 40, 40))
    merges = count_merges({i: swapped if i == 5 else left for i in range(30)}, two_people(30))
    assert merges == Merges(n_people=2, n_persons=2, n_false_merges=0, n_splits=0)


@pytest.mark.clips
@pytest.mark.parametrize(
    "name",
    [
        "intel_preview_face-demographics-walking-and-pause",
        "intel_preview_head-pose-face-detection-female-and-male",
    ],
)
@pytest.mark.parametrize("every", [1, 5, 12])
def test_people_keep_their_ids_in_real_clips(clips, name, every):
    options = AnalyzeOptions(every=every)
    found = find_people(clips / f"{name}.gif", options, make_detector(options))
    truth = read_truth(clips / "gt" / f"{name}.txt")
    assert score(found.persons, truth).idf1 == 1
    assert count_merges(found.persons, truth).n_false_merges == 0


@pytest.mark.clips
def test_people_are_found_again_after_the_cuts_of_a_real_clip(clips):
    options = AnalyzeOptions()
    clip = clips / "facerec_short_hamilton_clip.mp4"
    found = find_people(clip, options, make_detector(options))
    truth = read_truth(clips / "gt" / f"{clip.stem}.txt")
    merges = count_merges(found.persons, truth)
    assert merges.n_false_merges == 0
    assert 8 <= merges.n_persons <= 10
    assert score(found.tracks, truth).idf1 > 0.8
    assert score(found.persons, truth).idf1 > 0.8


@pytest.mark.clips
@pytest.mark.slow
def test_people_of_made_clips_are_found(clips, tmp_path):
    options = AnalyzeOptions()
    detector = make_detector(options)
    for clip in make_clips(clips, tmp_path):
        truth = read_truth(tmp_path / "gt" / f"{clip.stem}.txt")
        for every in (1, 5, 12):
            found = find_people(clip, options.updated(every=every), detector)
            merges = count_merges(found.persons, truth)
            assert merges.n_false_merges == 0, (clip.name, every)
            # Where a call sorts its tiles again, clothes are in part those of the tile below. Of a dissolve, a few
            # frames a second show mixed clothes.
            assert merges.n_splits == 0 or clip.stem in ("gallery", "dissolve"), (clip.name, every)


@pytest.mark.clips
def test_the_command_prints_a_line_per_clip(clips, capsys):
    clip = clips / "intel_preview_face-demographics-walking-and-pause.gif"
    main([str(clip), "--truth", str(clips / "gt")])
    assert len(capsys.readouterr().out.splitlines()) == 2
