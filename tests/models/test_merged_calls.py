"""One classifier for several callers: what waits is classified together, and each caller gets its own answers."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from ferflow.models.classifier import Answer
from ferflow.models.merged_calls import MergedCalls


def crops(*numbers):
    """Each crop holds its number."""
    return np.array(numbers, np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)


class Slow:
    """Answers with the number of each crop, once it may."""

    card = SimpleNamespace(labels=("a", "b"))

    def __init__(self):
        self.batches, self.may_answer, self.is_at_work = [], threading.Event(), threading.Event()

    def answer(self, images):
        self.batches.append(len(images))
        self.is_at_work.set()
        assert self.may_answer.wait(20)
        if (images == 13).any():
            raise ValueError("unlucky")
        number = images[:, 0, 0, 0].astype(np.float32)
        return Answer(np.stack([number, 1 - number], axis=1), number % 2 == 1)


def call_while_busy(merged, slow, *calls):
    """Answers to calls of which the first is at work when the others come, or their errors."""

    def answer(images):
        try:
            return merged.answer(images)
        except ValueError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        started = [pool.submit(answer, calls[0])]
        assert slow.is_at_work.wait(20)
        for number, images in enumerate(calls[1:], 1):
            started.append(pool.submit(answer, images))
            while len(merged._waiting) < number:
                time.sleep(0.001)
        slow.may_answer.set()
        return [future.result() for future in started]


def test_calls_that_wait_are_made_as_one_and_each_gets_its_own_answers():
    slow = Slow()
    merged = MergedCalls(slow)
    answers = call_while_busy(merged, slow, crops(0, 1), crops(2), crops(3, 4, 5), crops())
    assert slow.batches == [2, 4]
    assert [answer.probs[:, 0].tolist() for answer in answers] == [[0, 1], [2], [3, 4, 5], []]
    assert [answer.occluded.tolist() for answer in answers] == [
        [False, True],
        [False],
        [True, False, True],
        [],
    ]


def test_a_batch_has_a_bound_unless_one_caller_gives_more():
    slow = Slow()
    merged = MergedCalls(slow, most_crops=4)
    answers = call_while_busy(
        merged, slow, crops(0), crops(1, 2, 3), crops(4), crops(5), crops(6, 7, 8, 9, 10)
    )
    assert slow.batches == [1, 4, 1, 5]
    assert [answer.probs[:, 0].tolist() for answer in answers] == [
        [0], [1, 2, 3], [4], [5], [6, 7, 8, 9, 10],
    ]  # fmt: skip


def test_an_error_is_that_of_each_call_of_its_batch_and_of_no_other():
    slow = Slow()
    merged = MergedCalls(slow)
    first, second, third = call_while_busy(merged, slow, crops(0), crops(13), crops(2))
    assert first.probs[:, 0].tolist() == [0]
    assert str(second) == str(third) == "unlucky"
    assert merged.answer(crops(5)).probs[:, 0].tolist() == [5]  # and it goes on


def test_many_callers_get_what_they_would_get_alone(tools):
    rng = np.random.default_rng(0)
    card = tools.classifier.card
    shape = (card.input_size, card.input_size, card.channels)
    given = [rng.integers(0, 256, (int(n), *shape), dtype=np.uint8) for n in rng.integers(1, 40, 30)]
    merged = MergedCalls(tools.classifier, most_crops=100)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(merged.answer, given))
    for images, answer in zip(given, answers, strict=True):
        alone = tools.classifier.answer(images)
        assert answer.probs == pytest.approx(alone.probs, abs=1e-6)
        assert np.array_equal(answer.occluded, alone.occluded)
    assert merged.n_calls <= len(given)
