"""Child processes for work on files of others: a decoder in C that crashes there ends the child, not the command.

>>> call_in_child(read_creation_time, Path("talk.mp4"))
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from ferflow.errors import ChildDiedError

P = ParamSpec("P")
T = TypeVar("T")

_IDLE_SECONDS = 2.0

_start_lock, _call_lock = threading.Lock(), threading.Lock()
_caller: list[tuple[BaseProcess, Connection]] = []
"""The child for calls, once there was one."""


def start_child(target: Callable[..., None], *args: object, name: str) -> tuple[BaseProcess, Connection]:
    """Start `target(connection, *args)` in a new process, which does not import the main module of this one.

    So a script needs no `if __name__ == "__main__":`. Nothing of the main module may be among the arguments.

    Returns:
        The process, and our end of its pipe, which ends when the process does.
    """
    context = get_context("spawn")  # a fork would copy locks of threads that do not exist in the child
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(target, theirs, *args), name=name, daemon=True)
    with _start_lock, _without_interrupts(), _without_main_module():
        process.start()
    # The child has its own copy of this end. While ours is open, the pipe does not end when the child dies.
    theirs.close()
    return process, ours


def _run(target: Callable[..., None], connection: Connection, *args: object) -> None:
    _die_with_parent()
    target(connection, *args)


def call_in_child(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a child process; directly where this process is one already.

    The child stays for further calls, and ends after two seconds without one, or with this process. What it logs is
    logged here when it answers.

    Args:
        function: of a module, which the child imports.
        *args: its arguments; they, the result and errors are pickled.
        **kwargs: likewise.

    Raises:
        ChildDiedError: the child died.
    """
    # A worker may not have children; a crash in it costs its own video anyway.
    if multiprocessing.current_process().daemon:
        return function(*args, **kwargs)
    with _call_lock:
        reply = _call(Call(function, args, kwargs))
    return unpack(reply)  # type: ignore[no-any-return]


def follow_in_child(function: Callable[P, Iterator[T]], *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
    """Iterate in a child process of its own; directly where this process is one already.

    Closing the iterator kills the child.

    Args:
        function: of a module, which the child imports.
        *args: its arguments; they, the items and errors are pickled.
        **kwargs: likewise.

    Raises:
        ChildDiedError: the child died.
    """
    if multiprocessing.current_process().daemon:
        yield from function(*args, **kwargs)
        return
    process, connection = start_child(_answer_steps, name="ferflow-steps")
    try:
        _send(connection, process, Call(function, args, kwargs))
        while not isinstance(item := _receive(connection, process), Reply):
            yield item
        unpack(item)
    finally:
        connection.close()
        process.kill()
        process.join()


def _send(connection: Connection, process: BaseProcess, call: Call) -> None:
    try:
        connection.send(call)
    except OSError:
        raise _died(process) from None


def _receive(connection: Connection, process: BaseProcess) -> Any:
    try:
        return connection.recv()
    except (EOFError, OSError):
        raise _died(process) from None


def _died(process: BaseProcess) -> ChildDiedError:
    process.join()
    return ChildDiedError(f"the process that read it {describe_end(process.exitcode)}")


def _answer_steps(connection: Connection) -> None:
    def send_each(call: Call) -> Reply:
        return answer_call(replace(call, function=_send_items, args=(connection, call.function, *call.args)))

    answer_calls(connection, send_each, idle_seconds=None)


def _send_items(
    connection: Connection, function: Callable[..., Iterator[object]], *args: Any, **kwargs: Any
) -> None:
    for item in function(*args, **kwargs):
        connection.send(item)


def unpack(reply: Reply) -> Any:
    """Log here what a child has logged, and return its result or raise its error."""
    for record in reply.records:
        handle_record(record)
    if reply.errors:
        # Pickling loses causes, which tell a full disk from bad input.
        for error, cause in pairwise(reply.errors):
            error.__cause__ = cause
        raise reply.errors[0]
    return reply.result


def handle_record(record: logging.LogRecord) -> None:
    """Treat a log record of a child as one of this process."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


def _log_level() -> int:
    return logging.getLogger("ferflow").getEffectiveLevel()


@dataclass(frozen=True, slots=True)
class Call:
    """A call on its way to a child."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    log_level: int = field(default_factory=_log_level)


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a call."""

    result: Any = None
    errors: tuple[BaseException, ...] = ()
    """The error that was raised, and its causes."""
    records: tuple[logging.LogRecord, ...] = ()
    """What was logged."""


def _call(call: Call) -> Reply:
    while True:
        # Linux also ends a child when the thread that started it ends; that is no crash on this call's file.
        if _caller and not _caller[0][0].is_alive():
            _caller.clear()
        if not _caller:
            _caller.append(start_child(_answer_calls, name="ferflow-calls"))
        process, connection = _caller[0]
        try:
            connection.send(call)
            return connection.recv()  # type: ignore[no-any-return]
        except (EOFError, OSError):
            _caller.clear()
            process.join()
            if process.exitcode == 0:  # it ended, idle, when the call was on its way
                continue
            raise ChildDiedError(f"the process that read it {describe_end(process.exitcode)}") from None
        except BaseException:  # interrupted: its answer would be taken for that of the next call
            _caller.clear()
            process.kill()
            raise


def describe_end(exit_code: int | None) -> str:
    """How a process ended that should not have, and what to do: the end of a sentence."""
    match exit_code:
        case -9:
            return "was killed by signal 9. The usual reason is too little memory: use fewer --workers."
        case int() if exit_code < 0:
            return (
                f"crashed ({_signal_name(-exit_code)}): a decoder or an inference library failed on this file. "
                "Convert it with ffmpeg, and report the file to the maker of that library."
            )
        case _:
            return f"ended with exit code {exit_code}. The usual reason is too little memory: use fewer --workers."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _answer_calls(connection: Connection) -> None:
    answer_calls(connection, answer_call, idle_seconds=_IDLE_SECONDS)


def answer_calls(
    connection: Connection, answer: Callable[[Call], Reply], *, idle_seconds: float | None
) -> None:
    """Answer the calls of the parent until it is gone, or for so long none has come (None: for ever)."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger = logging.getLogger("ferflow")
    logger.addHandler(logging.handlers.QueueHandler(records))
    logger.propagate = False
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while connection.poll(idle_seconds):
            call: Call = connection.recv()
            logger.setLevel(call.log_level)
            reply = answer(call)
            logged = tuple(records.get() for _ in range(records.qsize()))
            connection.send(replace(reply, records=logged))


def answer_call(call: Call, *first: object) -> Reply:
    """Carry out a call, with further arguments before its own."""
    try:
        return Reply(call.function(*first, *call.args, **call.kwargs))
    except Exception as error:
        chain: list[BaseException] = [error]
        while (cause := chain[-1].__cause__) is not None and cause not in chain:
            chain.append(cause)
        return Reply(errors=tuple(chain))


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block SIGINT: Ctrl+C in a terminal reaches every process, and a child must leave it to its parent.

    What is blocked here stays blocked in the child, and reaches us once it is unblocked.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Up to Python 3.11, the start of this process of multiprocessing unblocks SIGINT; so it must not happen below.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Let `multiprocessing` believe that the main module has no file: it would import that again in the child, which
    takes a third of a second for the command and runs a script without a guard twice.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _die_with_parent() -> None:
    """A child must not write into a folder that its parent, killed, no longer locks.

    The kernel ends it at once where it can; elsewhere a thread waits for the parent's end.
    """
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    parent = parent_process()
    if parent is not None:
        threading.Thread(
            target=_exit_after, args=(parent.sentinel,), daemon=True, name="ferflow-parent"
        ).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)  # `sys.exit` would end this thread only
