"""Work that runs ahead of its consumer: decoding in a thread, other work on a pool; both are bounded.

>>> with closing(prefetch(video.frames(), depth=4)) as frames:
...     with closing(map_ahead(pool, detect, frames, depth=3)) as found:
...         for frame, faces in found: ...
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, wait
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch(source: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Iterate over `source` in a thread, at most `depth` items ahead.

    At most `depth` + 2 items exist: those that wait, one in the thread, one in the consumer. An error
    in the source is raised here. Closing this generator, or an error in its consumer, ends the thread; the
    source is closed in the thread that ran it.
    """
    waiting = _Handover[T](depth)
    # A daemon: a decoder that hangs must not keep the process from ending.
    thread = threading.Thread(target=_run, args=(source, waiting), name="ferflow-decode", daemon=True)
    try:
        thread.start()  # in the block: a signal may raise while the thread starts, and it must be stopped then
        yield from waiting.items()
    finally:
        # The thread must end before this generator does: it has the file open.
        waiting.stop()
        if thread.ident is not None:
            thread.join()


class _Handover(Generic[T]):
    """Items on their way from one thread to another, at most `depth`.

    A thread that waits is woken once half of the places are full, or free: waking it takes longer than what it does
    with one item.
    """

    def __init__(self, depth: int) -> None:
        self._depth, self._half = depth, (depth + 1) // 2
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._is_stopped = self._has_ended = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Add an item, once there is a place; false where the other thread wants no more."""
        with self._changed:
            while len(self._items) >= self._depth and not self._is_stopped:
                self._changed.wait()
            self._items.append(item)
            if len(self._items) == self._half:
                self._changed.notify()
            return not self._is_stopped

    def end(self, error: BaseException | None = None) -> None:
        """Nothing comes after the items so far; an error is raised in the other thread after them."""
        with self._changed:
            self._has_ended, self._error = True, error
            self._changed.notify()

    def items(self) -> Generator[T]:
        """The items, as they come."""
        while True:
            with self._changed:
                while not self._items and not self._has_ended:
                    self._changed.wait()
                if not self._items:
                    break
                item = self._items.popleft()
                if len(self._items) == self._depth - self._half:
                    self._changed.notify()
            yield item
            del item  # this name would keep a frame in memory while the next one is awaited
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """No more items are wanted."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()


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


def _run(source: Iterable[T], waiting: _Handover[T]) -> None:
    error: BaseException | None = None
    try:
        iterator = iter(source)
        try:
            for item in iterator:
                if not waiting.put(item):
                    break
                del item
        finally:
            # Only generators have `close`. Closed here, because a generator must be closed by the thread that runs it.
            if (close := getattr(iterator, "close", None)) is not None:
                close()
    except BaseException as raised:  # raised again in the consumer
        error = raised
    waiting.end(error)
