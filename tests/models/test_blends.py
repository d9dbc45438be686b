"""How two heads become probabilities: by hand, with Python's own arithmetic; and which cards are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ferflow.models.heads import LABEL_HEAD, VOTE_HEAD, Blend, softmax

LABELS = np.array([[2.0, 0.5, -1.0], [0.0, 0.0, 0.0]], np.float32)
VOTES = np.array([[-0.5, 1.5, 0.0], [3.0, 0.0, -3.0]], np.float32)


def probabilities(logits: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in logits]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_heads_are_shifted_softened_and_averaged_by_their_shares(share, temperature):
    blend = Blend(share=share, label_shift=(0.1, -0.2, 0.3), vote_shift=(-1.0, 0.0, 0.5))
    found = blend({LABEL_HEAD: LABELS, VOTE_HEAD: VOTES}, temperature)
    for row in range(2):
        labels = probabilities(
            [a + b for a, b in zip(LABELS[row].tolist(), (0.1, -0.2, 0.3), strict=True)], temperature
        )
        votes = probabilities(
            [a + b for a, b in zip(VOTES[row].tolist(), (-1.0, 0.0, 0.5), strict=True)], temperature
        )
        wanted = [share * a + (1 - share) * b for a, b in zip(labels, votes, strict=True)]
        assert found[row].tolist() == pytest.approx(wanted, abs=1e-6)
    assert found.dtype == np.float32


def test_shares_of_both_heads_add_up_to_one():
    assert Blend(share=0.3, label_shift=(), vote_shift=()).shares == {
        LABEL_HEAD: 0.3,
        VOTE_HEAD: pytest.approx(0.7),
    }


def test_large_logits_do_not_overflow():
    found = softmax(np.array([[1000.0, 999.0], [-1000.0, -1001.0]], np.float32))
    assert found == pytest.approx(np.array([probabilities([1, 0], 1)] * 2), abs=1e-6)


@pytest.mark.parametrize(("share", "text"), [
    (0.0, "the vote head alone"), (1.0, "the label head alone"),
    (0.25, "0.25 of the label head, 0.75 of the vote head"),
])  # fmt: skip
def test_a_blend_says_which_part_each_head_has(share, text):
    assert str(Blend(share=share, label_shift=(), vote_shift=())) == text
