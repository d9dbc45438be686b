"""`ferflow evaluate`: which rows are measured, what the JSON and the page say, models of fewer classes."""

import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from ferflow.dashboards.model_pages.evaluation import render_evaluation
from ferflow.errors import OptionsError
from ferflow.jobs.benchmarks.disturbed import DISTURBANCES, disturb, measure_accuracies
from ferflow.models.cards import ModelCard, WeightFile
from ferflow.models.data.dataset import load
from ferflow.models.data.labelled_faces import LABELS, Faces, renumber
from ferflow.models.evaluation import assess

SIX = tuple(label for label in LABELS if label != "disgust")
PROMISED = "n accuracy top2_accuracy macro_precision macro_recall macro_f1 per_class confusion ece".split()
PROMISED += ["faces_per_second", "model"]


class Reads:
    """Answers with the class that the first pixel names, and is as sure of it as the second says in percent."""

    def __init__(self, labels=LABELS, merged=None):
        file = {"onnx": WeightFile("m.onnx", "0" * 64)}
        self.card = ModelCard(
            name="reads", recipe="resnet-tiny", labels=labels, files=file, merged=merged or {}, leaks=3
        )

    def __call__(self, images):
        k = len(self.card.labels)
        sure = images[:, 0, 1, 0] / 100.0
        probs = np.repeat(((1 - sure) / (k - 1))[:, None], k, axis=1)
        probs[np.arange(len(images)), images[:, 0, 0, 0] % k] = sure
        return probs.astype(np.float32)


def reported(answers, sure, seed=0):
    """Images that tell a `Reads` what to answer."""
    images = np.random.default_rng(seed).integers(0, 256, (len(answers), 48, 48), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = answers, sure
    return images


def faces(**changes):
    """Five rows: two to train on, three to test, the last of which leaks."""
    images = reported([0, 3, 3, 4, 3], [90, 80, 90, 60, 80])
    images[4] = images[1]
    made = {
        "images": images,
        "labels": np.array([0, 3, 3, 3, 3]),
        "usage": np.array(["Training", "Training", "PrivateTest", "PublicTest", "PublicTest"]),
    }
    return Faces(**made | changes)


def measured(data, classifier=None, **how):
    return assess(classifier or Reads(), data, data="made.npz", weights="onnx", **how)


def test_rows_of_training_are_left_out_unless_they_are_asked_for():
    found = measured(faces())
    assert found.scores.n == 3
    assert found.splits == ("PrivateTest", "PublicTest")
    assert found.scores.accuracy == pytest.approx(2 / 3)
    assert measured(faces(), splits=["Training"]).scores.n == 2
    assert measured(faces(), splits=["Training"]).leaks is None


def test_one_split_alone_and_without_its_leaking_row():
    found = measured(faces(), splits=["PublicTest"])
    assert (found.scores.n, found.scores.accuracy) == (2, 0.5)
    assert found.leaks == 1
    assert (found.without_leaks.n, found.without_leaks.accuracy) == (1, 0)


def test_without_splits_all_rows_count_and_leaks_are_unknown():
    found = measured(faces(usage=None))
    assert found.scores.n == 5
    assert (found.leaks, found.without_leaks) == (None, None)


def test_a_split_that_is_not_there_is_refused_with_those_there_are():
    with pytest.raises(OptionsError, match=r"PrivateTets.*PrivateTest, PublicTest, Training"):
        measured(faces(), splits=["PrivateTets"])
    with pytest.raises(OptionsError, match="names no splits"):
        measured(faces(usage=None), splits=["PublicTest"])


def test_votes_give_a_second_score_of_the_same_answers():
    votes = np.zeros((5, 10), np.uint8)
    votes[:4, 3] = 9  # sadness
    votes[4, 9] = 9  # not a face
    found = measured(faces(votes=votes))
    assert (found.ferplus_majority.n, found.ferplus_majority.accuracy) == (2, 0.5)


def test_a_model_of_six_classes_counts_disgust_as_anger():
    data = Faces(images=reported([0, 0, 1], [90, 90, 90]), labels=np.array([0, 1, 2]))
    found = measured(data, Reads(SIX, {"disgust": "angry"}))
    assert (found.scores.n, found.scores.accuracy, found.left_out) == (3, 1, 0)
    assert found.scores.per_class["angry"].support == 2


def test_rows_of_a_class_the_model_lacks_are_left_out_and_counted():
    data = Faces(images=reported([0, 0, 1], [90, 90, 90]), labels=np.array([0, 1, 2]))
    found = measured(data, Reads(SIX))
    assert (found.scores.n, found.left_out) == (2, 1)
    only = Faces(images=reported([0], [90]), labels=np.array([1]))
    with pytest.raises(OptionsError, match="none of its rows"):
        measured(only, Reads(SIX))


def test_classes_are_renumbered_by_name():
    assert renumber(np.arange(-1, 7), SIX, {"disgust": "angry"}).tolist() == [-1, 0, 0, 1, 2, 3, 4, 5]
    assert renumber(np.arange(7), ("happy", "angry"), {}).tolist() == [1, -1, -1, 0, -1, -1, -1]


def test_the_table_keeps_the_promised_keys_and_is_json():
    table = json.loads(json.dumps(measured(faces()).table()))
    assert set(PROMISED) <= set(table)
    assert set(PROMISED) == set(table["without_leaks"])
    assert table["per_class"]["happy"]["support"] == 3


def test_the_page_shows_the_most_confident_mistake_first_and_escapes_what_it_is_given():
    images = reported([4, 5, 3], [70, 95, 99])
    data = Faces(images=images, labels=np.array([3, 3, 3]), skipped={"<script>alert(1)</script>": 2})
    page = render_evaluation(measured(data))
    mistakes = re.findall(r"<b>(\w+)</b> (\d+)\u202f%<br>labelled (\w+)", page)
    assert mistakes == [("surprise", "95", "happy"), ("sad", "70", "happy")]
    assert page.count("data:image/png;base64,") == 2
    assert "<script>alert" not in page
    assert "No face image is stored" not in page


def test_images_of_any_size_and_colour_become_gray_crops(tmp_path):
    half = np.zeros((100, 100, 3), np.uint8)
    half[:, :50] = (200, 0, 0)
    np.savez(tmp_path / "big.npz", images=np.stack([half, half]), labels=np.array([3, 4]))
    crops = load(tmp_path / "big.npz").images
    assert crops.shape == (2, 48, 48)
    assert crops[0, :, :23] == pytest.approx(60, abs=1)  # 0.299 of red
    assert crops[0, :, 25:].max() == 0
    (tmp_path / "faces" / "Happiness").mkdir(parents=True)
    for side in (20, 48, 200):
        cv2.imwrite(
            str(tmp_path / "faces" / "Happiness" / f"{side}.png"), np.full((side, side + 4, 3), 90, np.uint8)
        )
    read = load(tmp_path / "faces")
    assert read.images.tolist() == np.full((3, 48, 48), 90).tolist()
    assert read.labels.tolist() == [3, 3, 3]


def test_the_command_measures_the_shipped_model_and_counts_what_it_skips(tmp_path):
    rng = np.random.default_rng(0)
    rows = [" ".join(map(str, rng.integers(0, 256, 2304))) for _ in range(4)]
    lines = [f"{k},{row},PrivateTest" for k, row in enumerate(rows)] + [
        f"9,{rows[0]},PrivateTest",
        "1,1 2,PrivateTest",
    ]
    (tmp_path / "fer.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]))
    command = [
        sys.executable,
        "-m",
        "ferflow",
        "evaluate",
        "fer.csv",
        "--usage",
        "PrivateTest",
        "--json",
        "o/e.json",
    ]
    done = subprocess.run([*command, "--report", "o/e.html"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    table = json.loads((tmp_path / "o" / "e.json").read_text())
    assert table["n"] == 4
    assert table["skipped"] == {"unknown label": 1, "wrong pixel count": 1}
    assert "1 rows skipped: unknown label" in done.stdout
    assert (tmp_path / "o" / "e.html").read_text().startswith("<!doctype html>")
    wrong = subprocess.run([*command[:4], "none.csv"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1


def test_the_page_of_a_perfect_model_has_no_mistakes():
    page = render_evaluation(measured(Faces(images=reported([3, 4], [90, 80]), labels=np.array([3, 4]))))
    assert "There are no mistakes." in page


def test_disturbed_faces_are_the_same_ones_for_every_model_and_as_they_are_where_nothing_is_done():
    answers = [0, 3, 3, 4, 6, 6, 5, 1]
    votes = np.zeros((8, 10), np.uint8)
    votes[:, 0] = 10  # all say neutral
    data = Faces(images=reported(answers, [90] * 8), labels=np.array(answers), votes=votes)
    found = dict(measure_accuracies([Reads(), Reads()], data))
    assert found["unchanged"] == [1, 2 / 8, 1, 2 / 8]
    assert all(figures[:2] == figures[2:] for figures in found.values())
    images = {name: disturb(data.images, how) for name, how in DISTURBANCES.items()}
    assert np.array_equal(images["unchanged"], data.images)
    for name in set(DISTURBANCES) - {"unchanged", "as in video"}:
        assert (images[name] != data.images).any(axis=(1, 2)).all()
