"""One classifier for several callers: the crops that come while it is at work are classified together afterwards.

A GPU classifies many crops in little more time than a few. Nothing waits for a batch to fill.

>>> merged = MergedCalls(classifier)
>>> merged.answer(crops.images)     # in each of several threads
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from ferflow.models.classifier import Answer, Classifier
from ferflow.types import UInt8Array

MOST_CROPS = 1024
"""In one call of the network, unless a single caller gives more: bounds the memory of a GPU."""


@dataclass(slots=True, eq=False)
class _Call:
    images: UInt8Array
    answer: Answer | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.answer is not None or self.error is not None


class MergedCalls:
    """Calls of a classifier from several threads, of which those that wait are made as one."""

    def __init__(self, classifier: Classifier, most_crops: int = MOST_CROPS) -> None:
        """Take over a classifier.

        Args:
            classifier: it is called by one thread at a time.
            most_crops: in one of its calls, unless a single caller gives more.
        """
        self.card, self._classifier, self._most_crops = classifier.card, classifier, most_crops
        self._waiting: deque[_Call] = deque()
        self._at_work = threading.Lock()
        self.n_calls = 0
        """Of the classifier."""

    def answer(self, images: UInt8Array) -> Answer:
        """See `Classifier`; an error of a batch is raised by each of the calls that it was made of."""
        call = _Call(images)
        self._waiting.append(call)
        with self._at_work:  # the first caller makes the calls of those that wait behind it, too
            while not call.is_done:
                self._make(self._take_batch())
        if call.error is not None:
            raise call.error
        assert call.answer is not None
        return call.answer

    def _take_batch(self) -> list[_Call]:
        """The first call that waits, and those behind it that fit into the same batch."""
        batch = [self._waiting.popleft()]
        n_crops = len(batch[0].images)
        while self._waiting and n_crops + len(self._waiting[0].images) <= self._most_crops:
            batch.append(self._waiting.popleft())
            n_crops += len(batch[-1].images)
        return batch

    def _make(self, batch: list[_Call]) -> None:
        self.n_calls += 1
        try:
            together = self._classifier.answer(np.concatenate([call.images for call in batch]))
            first = 0
            for call in batch:
                rows = np.arange(first, first := first + len(call.images))
                call.answer = together.take(rows)
        except Exception as error:
            for call in batch:
                call.error = error
