"""Work that runs ahead of its consumer: decoding in a thread, other work on a pool; both are bounded.

>>> with closing(prefetch(video.frames(), depth=4)) as frames:
...     with closing(map_ahead(pool, detect, frames, depth=3)) as found:
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
"""How often a thread that waits for a place in the queue looks whether it has been stopped."""


class _End:
    """Marks the end of the source, with the error that ended it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(source: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Iterate over `source` in a thread, at most `depth` items ahead.

    At most `depth` + 2 items exist: those in the queue, one in the thread, one in the consumer. An error
    in the source is raised here. Closing this generator, or an error in its consumer, ends the thread; the
    source is closed in the thread that ran it.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(depth)
    stop = threading.Event()
    # A daemon: a decoder that hangs must not keep the process from ending.
    thread = threading.Thread(target=_run, args=(source, waiting, stop), name="ferflow-decode", daemon=True)
    try:
        thread.start()  # in the block: a signal may raise while the thread starts, and it must be stopped then
        while not isinstance(item := waiting.get(), _End):
            yield item
            del item  # this name would keep a frame in memory while the next one is awaited
        if item.error is not None:
            raise item.error
    finally:
        # The thread must end before this generator does: it has the file open. Setting the event is enough, because
        # the thread waits for the queue for _WAIT_SECONDS at most.
        stop.set()
        if thread.ident is not None:
            thread.join()


def map_ahead(
    pool: Executor, function: Callable[[T], R], items: Iterable[T], depth: int
) -> Generator[tuple[T, R]]:
    """Apply a function on a pool, at most `depth` items ahead; items and results, in the order of the items.

    No item is read before the first result is requested, and at most `depth` + 1 items exist. An error of the function
    is raised in place of its result; an error of `items` after the results of the items before it. On an error or an
    early stop, calls that are running are waited for, and no other call starts.
    """
    return _wait_in_order(lambda item: pool.submit(function, item), items, depth)


def map_some_ahead(
    pool: Executor, function: Callable[[T], R], items: Iterable[T], depth: int, where: Callable[[T], bool]
) -> Generator[tuple[T, R | None]]:
    """As `map_ahead`; items for which `where` is false are passed on with None, without a call on the pool."""
    nothing: Future[R | None] = Future()
    nothing.set_result(None)

    def start(item: T) -> Future[R | None]:
        return pool.submit(function, item) if where(item) else nothing

    return _wait_in_order(start, items, depth)


def _wait_in_order(start: Callable[[T], Future[R]], items: Iterable[T], depth: int) -> Generator[tuple[T, R]]:
    waiting: deque[tuple[T, Future[R]]] = deque()
    failed: Exception | None = None
    iterator = iter(items)
    try:
        while True:
            try:
                while failed is None and len(waiting) < depth:
                    item = next(iterator)
                    waiting.append((item, start(item)))
                    del item
            # Also StopIteration. An interruption is not an `Exception` and is raised at once.
            except Exception as error:
                failed = error
            if not waiting:
                break
            pair = waiting.popleft()
            yield pair[0], pair[1].result()
            del pair  # as in `prefetch`
    finally:
        # Calls use what the caller is about to close (the pool, a model), so none may run on.
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
            # Only generators have `close`. Closed here, because a generator must be closed by the thread that runs it.
            if (close := getattr(iterator, "close", None)) is not None:
                close()
    except BaseException as error:  # raised again in the consumer
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
