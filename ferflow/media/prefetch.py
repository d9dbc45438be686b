"""Work that runs ahead of its consumer: decoding in a thread, anything else on a pool; both bounded.

>>> with closing(prefetch(video.frames(), depth=4)) as frames:
...     with closing(ahead(pool, detect, frames, depth=3)) as found:
...         for frame, faces in found: ...
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_WAIT_SECONDS = 0.1


class _End:
    """Marks the end of the source, with the error that ended it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(source: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Iterate over `source` in a thread, at most `depth` items ahead.

    At most `depth` + 2 items exist: those waiting, one in the thread, one in the consumer. An error
    in the source is raised here; closing this generator, or an error in its consumer, ends the thread, and
    the source is closed in the thread that ran it.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(source, waiting, stop), name="ferflow-decode", daemon=True)
    try:
        thread.start()  # inside the block, because a signal can arrive while it starts
        while not isinstance(item := waiting.get(), _End):
            yield item
            del item  # the consumer's copy is its own; this one would keep a frame alive
        if item.error is not None:
            raise item.error
    finally:
        # The thread must never be abandoned: it holds the open file. Setting the event is enough, because
        # it never waits on the queue for longer than _WAIT_SECONDS.
        stop.set()
        if thread.ident is not None:
            thread.join()


def map_ahead(
    pool: Executor, function: Callable[[T], R], items: Iterable[T], depth: int
) -> Generator[tuple[T, R]]:
    """Apply a function on a pool, at most `depth` items ahead; items and results, in the order of the items.

    Nothing is taken from `items` before the first result is asked for, and at most `depth` + 1 of them exist. An error
    of the function is raised here, at its item's place; one of `items` after the results of the items before it. On an
    error or an early stop, calls that started are waited for and no other starts.
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    failed: Exception | None = None
    iterator = iter(items)
    try:
        while True:
            try:
                while failed is None and len(waiting) < depth:
                    item = next(iterator)
                    waiting.append((item, pool.submit(function, item)))
                    del item
            except Exception as error:  # the end of the items too; an interruption does not wait for its turn
                failed = error
            if not waiting:
                break
            pair = waiting.popleft()
            yield pair[0], pair[1].result()
            del pair  # the consumer's copy is its own
    finally:
        for _, future in waiting:
            future.cancel()
        wait([future for _, future in waiting])
    if failed is not None and not isinstance(failed, StopIteration):
        raise failed


def _run(source: Iterable[T], waiting: queue.Queue[T | _End], stop: threading.Event) -> None:
    end = _End()
    try:
        iterator = iter(source)
        try:
            for item in iterator:
                if not _put(waiting, item, stop):
                    break
                del item
        finally:
            if (close := getattr(iterator, "close", None)) is not None:
                close()
    except BaseException as error:  # handed to the consumer, who raises it
        end = _End(error)
    _put(waiting, end, stop)


def _put(waiting: queue.Queue[T | _End], item: T | _End, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            waiting.put(item, timeout=_WAIT_SECONDS)
        except queue.Full:
            continue
        return True
    return False
