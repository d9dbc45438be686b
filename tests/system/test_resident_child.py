"""A child that keeps an object: calls, errors, crashes and calls that take too long."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from ferflow.errors import ChildDiedError, VideoError
from ferflow.system.resident_child import ResidentChild


class Counter:
    def __init__(self, value: int) -> None:
        self.value, self.process = value, os.getpid()


def add(counter: Counter, number: int) -> tuple[int, int]:
    counter.value += number
    return counter.value, os.getpid()


def fail(counter: Counter) -> None:
    raise VideoError("a.jpg: no")


def crash(counter: Counter) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(counter: Counter) -> None:
    time.sleep(60)


def ask_for_memory(counter: Counter, size: int) -> int:
    return len(bytearray(size))


@pytest.fixture
def child():
    child = ResidentChild(partial(Counter, 5), seconds_per_call=1.0, most_bytes=1 << 30)
    yield child
    child.close()


def test_the_object_stays_from_call_to_call_in_another_process(child):
    first, process = child.call(add, 1)
    assert (first, process) == (6, process)
    assert child.call(add, 2) == (8, process)
    assert process != os.getpid()


def test_an_error_reaches_the_caller_and_costs_no_child(child):
    _, process = child.call(add, 1)
    with pytest.raises(VideoError, match=r"a\.jpg: no"):
        child.call(fail)
    assert child.call(add, 1) == (7, process)


def test_after_a_crash_the_next_call_has_a_new_child(child):
    _, process = child.call(add, 1)
    with pytest.raises(ChildDiedError, match="SIGSEGV"):
        child.call(crash)
    value, other = child.call(add, 1)
    assert value == 6
    assert other != process


def test_a_call_that_takes_too_long_ends_with_its_child(child):
    child.start()
    started = time.monotonic()
    with pytest.raises(ChildDiedError, match="took longer than 1 s"):
        child.call(hang)
    assert time.monotonic() - started < 5


def test_memory_is_limited(child):
    assert child.call(ask_for_memory, 1 << 20) == 1 << 20
    with pytest.raises(MemoryError):
        child.call(ask_for_memory, 1 << 31)


def test_what_cannot_be_made_is_an_error_of_each_call():
    child = ResidentChild(partial(Path.read_bytes, Path("/no/such/file")), seconds_per_call=1.0)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            child.call(len)


def test_a_closed_child_is_gone(child):
    _, process = child.call(add, 1)
    child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
