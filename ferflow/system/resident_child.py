"""A child process that keeps an object in memory, such as loaded networks, and answers many calls with it.

>>> child = ResidentChild(partial(PictureReader.load, options), seconds_per_call=30)
>>> child.call(PictureReader.read, path)
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from ferflow.errors import ChildDiedError
from ferflow.system.child_process import (
    Call,
    Reply,
    answer_call,
    answer_calls,
    describe_end,
    start_child,
    unpack,
)

S = TypeVar("S")
T = TypeVar("T")
P = ParamSpec("P")

_SECONDS_TO_START = 120.0
_SECONDS_TO_END = 2.0


class ResidentChild(Generic[S]):
    """A child process and its object; started at the first call, and again after a crash."""

    def __init__(
        self, make: Callable[[], S], *, seconds_per_call: float, most_bytes: int | None = None
    ) -> None:
        """Say what the child makes; nothing is started yet.

        Args:
            make: makes the object, in the child; pickled.
            seconds_per_call: a call that takes longer ends the child.
            most_bytes: address space that the child may use, where the system has such a limit (Linux).
        """
        self._make = make
        self._seconds, self._most_bytes = seconds_per_call, most_bytes
        self._lock = threading.Lock()
        self._running: tuple[BaseProcess, Connection] | None = None

    def start(self) -> None:
        """Start the child if it does not run, and wait until it has made its object.

        On Linux the child ends with the thread that starts it, so that thread must live as long as the child.

        Raises:
            ChildDiedError: it died.
        """
        with self._lock:
            self._connect()

    def call(self, function: Callable[Concatenate[S, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the child, with the child's object before its arguments; one call at a time.

        Args:
            function: of a module, which the child imports.
            *args: its other arguments; they, the result and errors are pickled.
            **kwargs: likewise.

        Raises:
            ChildDiedError: the child crashed, or took too long; the next call starts another one.
        """
        with self._lock:
            connection = self._connect()
            reply = self._exchange(connection, Call(function, args, kwargs), self._seconds)
        return unpack(reply)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the child."""
        with self._lock:
            if self._running is not None:
                process, connection = self._running
                self._running = None
                connection.close()
                process.join(_SECONDS_TO_END)
                process.kill()

    def _connect(self) -> Connection:
        if self._running is not None and self._running[0].is_alive():
            return self._running[1]
        self._running = start_child(_serve, self._most_bytes, name="ferflow-resident")
        connection = self._running[1]
        try:
            unpack(self._exchange(connection, Call(self._make, (), {}), _SECONDS_TO_START))
        except BaseException:
            self._end()
            raise
        return connection

    def _exchange(self, connection: Connection, call: Call, seconds: float) -> Reply:
        try:
            connection.send(call)
            if connection.poll(seconds):
                reply: Reply = connection.recv()
                return reply
        except (EOFError, OSError):
            raise ChildDiedError(f"the process that read it {describe_end(self._end())}") from None
        except BaseException:  # interrupted: its answer would be taken for that of the next call
            self._end()
            raise
        self._end()
        raise ChildDiedError(f"it took longer than {seconds:g} s to read, and was given up.")

    def _end(self) -> int | None:
        """Kill the child if it lives; its exit code."""
        if self._running is None:
            return None
        process, connection = self._running
        self._running = None
        connection.close()
        if not _has_ended(process):
            process.kill()
        process.join()
        return process.exitcode


def _has_ended(process: BaseProcess) -> bool:
    """Whether a process ends by itself within a moment: its pipe may end before it does."""
    process.join(0.5)
    return process.exitcode is not None


def _serve(connection: Connection, most_bytes: int | None) -> None:
    if most_bytes is not None:
        _limit_memory(most_bytes)
    state: list[Any] = []

    def answer(call: Call) -> Reply:
        if state:
            return answer_call(call, state[0])
        reply = answer_call(call)
        if not reply.errors:
            state.append(reply.result)
            return Reply()  # the object stays here
        return reply

    answer_calls(connection, answer, idle_seconds=None)


def _limit_memory(most_bytes: int) -> None:
    if sys.platform != "linux":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
