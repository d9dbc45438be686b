from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from ferflow.media.prefetch import map_ahead, prefetch


def decode_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ferflow-decode"]


def test_items_arrive_once_and_in_order():
    assert list(prefetch(range(100), depth=3)) == list(range(100))


def test_an_error_in_the_source_is_raised_in_the_consumer_after_the_items_before_it():
    def source():
        yield 1
        yield 2
        raise LookupError("disk gone")

    seen = []
    with pytest.raises(LookupError, match="disk gone"):
        seen.extend(prefetch(source(), depth=4))
    # `extend` keeps what arrived before the error.
    assert seen == [1, 2]
    assert decode_threads() == []


def test_an_error_in_the_consumer_ends_the_thread_and_closes_the_source():
    closed = threading.Event()

    def source():
        try:
            yield from range(10_000)
        finally:
            closed.set()

    def consume():
        with closing(prefetch(source(), depth=2)) as items:
            for item in items:
                if item == 5:
                    raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()
    assert closed.wait(2)
    assert decode_threads() == []


def test_an_early_stop_ends_a_thread_that_waits_on_a_full_queue():
    items = prefetch(range(10_000), depth=1)
    assert next(items) == 0
    time.sleep(0.2)  # the queue is full by now
    items.close()
    assert decode_threads() == []


def test_at_most_depth_plus_two_items_exist():
    made = 0

    def source():
        nonlocal made
        for number in range(100):
            made += 1
            yield number

    with closing(prefetch(source(), depth=3)) as items:
        for taken in range(1, 20):
            next(items)
            time.sleep(0.01)
            assert made - taken <= 3 + 1  # and the one in the consumer's hand


class Stubborn:
    """A source that fails at a chosen step."""

    def __init__(self, *, at: str) -> None:
        self.at = at

    def __iter__(self):
        if self.at == "start":
            raise LookupError("start")
        return self

    def __next__(self):
        raise StopIteration

    def close(self):
        if self.at == "close":
            raise LookupError("close")


@pytest.mark.parametrize("at", ["start", "close"])
def test_an_error_at_either_end_of_the_source_is_raised_too(at):
    with pytest.raises(LookupError, match=at):
        list(prefetch(Stubborn(at=at), depth=2))
    assert decode_threads() == []


@pytest.fixture
def pool():
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_work_ahead_keeps_the_order_whoever_is_done_first(pool):
    def slow_if_even(number):
        time.sleep(0.01 * (number % 2 == 0))
        return number * number

    assert list(map_ahead(pool, slow_if_even, range(20), 6)) == [(i, i * i) for i in range(20)]


def test_work_ahead_is_bounded_and_starts_only_when_asked(pool):
    made = 0

    def items():
        nonlocal made
        for number in range(100):
            made += 1
            yield number

    with closing(map_ahead(pool, str, items(), 3)) as results:
        assert made == 0
        for taken in range(1, 20):
            next(results)
            assert made - taken <= 3


def test_an_error_of_the_work_is_raised_at_its_place_and_nothing_more_is_begun(pool):
    begun = []

    def fails_at_five(number):
        begun.append(number)
        if number == 5:
            raise LookupError("five")
        return number

    seen = []
    with pytest.raises(LookupError, match="five"):
        seen.extend(map_ahead(pool, fails_at_five, range(100), 3))
    assert [item for item, _ in seen] == [0, 1, 2, 3, 4]
    assert max(begun) <= 5 + 3


def test_an_error_of_the_items_comes_after_what_was_there_before(pool):
    def items():
        yield from (1, 2)
        raise LookupError("disk gone")

    seen = []
    with pytest.raises(LookupError, match="disk gone"):
        seen.extend(map_ahead(pool, str, items(), 8))
    assert seen == [(1, "1"), (2, "2")]


def test_an_early_stop_waits_for_what_was_begun(pool):
    running = 0

    def work(number):
        nonlocal running
        running += 1
        time.sleep(0.05)
        running -= 1

    results = map_ahead(pool, work, range(100), 4)
    next(results)
    results.close()
    assert running == 0
