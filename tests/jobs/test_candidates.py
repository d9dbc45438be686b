"""The table that compares trained networks, by the ONNX file of the shipped one."""

import numpy as np
import onnxruntime

from ferflow.jobs.benchmarks import candidates
from ferflow.models.registry import resolve
from tests.conftest import needs_keras

pytestmark = needs_keras

COLUMN_OF = {0: 4, 1: 5, 2: 6, 3: 1, 4: 3, 5: 2, 6: 0}
"""Column of FER+'s votes (neutral, happiness, surprise, sadness, anger, disgust, fear, ...) by label."""


def test_two_equal_networks_have_the_accuracies_of_their_onnx_file_and_so_has_their_mean(tmp_path, capsys):
    rng = np.random.default_rng(3)
    images = rng.integers(0, 255, (24, 48, 48), np.uint8)
    session = onnxruntime.InferenceSession(str(resolve("default").path("onnx_float")))
    heads = session.run(["label_head", "vote_head"], {"images": images[..., None]})
    labels, majority = (logits.argmax(axis=1) for logits in heads)
    labels[:6] = (labels[:6] + 1) % 7  # 18 of 24 are right
    majority[:12] = (majority[:12] + 1) % 7
    votes = np.zeros((24, 10), np.uint8)
    votes[np.arange(24), [COLUMN_OF[label] for label in majority]] = 10
    data = tmp_path / "faces.npz"
    np.savez(data, images=images, emotion=labels, ferplus=votes, usage=np.full(24, "PublicTest"))
    candidates.main([str(data), "default", "default"])
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[2:]] == [
        "default", "default", "mean of the answers", "mean of the weights of 2",
    ]  # fmt: skip
    assert {(row[1], row[4]) for row in rows[2:]} == {("75.0%", "50.0%")}
