"""Child processes that read pictures, and threads that wait for them: the server itself decodes nothing."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from ferflow.options import AnalyzeOptions
from ferflow.single_picture import PictureReader
from ferflow.system.cpus import available_cpus
from ferflow.system.resident_child import ResidentChild

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

SECONDS_PER_PICTURE = 20.0
MOST_CHILD_BYTES = 6 << 30
"""Address space of a child; a picture of 67 megapixels takes less than one gigabyte."""
_MOST_CHILDREN = 4
_MOST_THREADS = 32
"""Of them, up to four wait for pictures, one per webcam, one for the jobs, others for tables on the disk."""


class PicturePool:
    """Children that share the pictures of all users; each is started when it is needed, and stays."""

    def __init__(self, options: AnalyzeOptions, folder: Path) -> None:
        """Start no child yet.

        Args:
            options: of detector and classifier.
            folder: for files while they are read.
        """
        self.options, self.folder = options, folder
        self._n_children = min(available_cpus(), _MOST_CHILDREN)
        self._idle: queue.LifoQueue[ResidentChild[PictureReader]] = queue.LifoQueue()
        self._children = [make_child(partial(PictureReader.load, options)) for _ in range(self._n_children)]
        for child in self._children:
            self._idle.put(child)
        # On Linux a child ends with the thread that has started it, and these threads end with the application.
        self._readers = ThreadPoolExecutor(self._n_children, thread_name_prefix="ferflow-pictures")
        self._others = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="ferflow-app")

    def warm_up(self) -> None:
        """Start the children in the background, so that the first picture need not wait for the networks."""
        for _ in self._children:
            self._readers.submit(self._start_one)

    async def ask(
        self, function: Callable[Concatenate[PictureReader, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function of `picture_calls` in a child.

        Raises:
            ChildDiedError: the child crashed, or took too long.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, partial(self._ask, function, *args, **kwargs))

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that waits, for a disk or a child of its own, in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._others, partial(function, *args, **kwargs))

    def close(self) -> None:
        """End the children, after what they do now."""
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._others.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.close()

    def _start_one(self) -> None:
        child = self._idle.get()
        try:
            child.start()
        finally:
            self._idle.put(child)

    def _ask(
        self, function: Callable[Concatenate[PictureReader, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        # Last in, first out: while one user sends pictures, one child has its memory in the caches.
        child = self._idle.get()
        try:
            return child.call(function, *args, **kwargs)
        finally:
            self._idle.put(child)


def make_child(make: Callable[[], S]) -> ResidentChild[S]:
    """A child with the limits of the application."""
    return ResidentChild(make, seconds_per_call=SECONDS_PER_PICTURE, most_bytes=MOST_CHILD_BYTES)
