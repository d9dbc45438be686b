"""Analyse recordings as they arrive: look at the inputs, analyse what is complete, wait, and look again.

>>> for event in watch_events(job, Watch(every_s=30), wait=sleep_until_stopped):
...     print(event)

Each round is an ordinary run (`jobs.run`) of the files that are complete and have not been in a round as they are now.
The output folder is locked during rounds only.
"""

from __future__ import annotations

import glob
import logging
import os
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from ferflow.errors import FolderInUseError, OptionsError, VideoError
from ferflow.jobs.job import Job
from ferflow.jobs.run import run_events
from ferflow.jobs.run_events import Finished, RunReport, Waiting, WatchEvent
from ferflow.media.fingerprint import list_files, signature
from ferflow.media.inputs import discover
from ferflow.store.object_store import is_object, redact_address
from ferflow.store.run_manifest import TaskReport
from ferflow.system.open_files import find_open_for_writing
from ferflow.text import is_address, sanitize

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How inputs are watched."""

    every_s: float = 30.0
    """Seconds between two looks; a file is complete when it has not changed for one such time."""
    until_idle_s: float | None = None
    """End when nothing has changed for this time; None: only `wait` ends it."""


def watch_events(
    job: Job,
    watch: Watch,
    *,
    wait: Callable[[float], bool],
    look: Callable[[Callable[[], _Look]], _Look | None] = lambda function: function(),
    working: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Generator[WatchEvent, None, None]:
    """Carry out a job, and again for what arrives; yields the events of all rounds, and `Finished` once, at the end.

    Closing the generator during a round ends that run as `run_events` does.

    Args:
        job: the request; its inputs are looked at again before each round.
        watch: how they are watched.
        wait: waits for so many seconds; returns whether to end.
        look: calls its argument, which looks at the inputs and changes nothing; returns None to end.
        working: entered for each round; `SignalWait` uses it to tell work from waiting.

    Raises:
        OptionsError: an input is not there.
        OptionsError, ModelError, RecordsError: as of `run_events`, in any round.
    """
    _check_inputs(job)
    looks, reports = _Looks(job, watch.every_s), dict[str, TaskReport]()
    changed_at, was_waiting = time.monotonic(), None
    while True:
        seen = look(looks.look)
        if seen is None:
            break
        if seen.ready:
            with working():
                is_done = yield from _run_round(job, seen.ready, reports)
            if is_done:
                looks.note_round(seen.ready)
                was_waiting = None
        if seen.has_changed:
            changed_at = time.monotonic()
        if job.fail_fast and any(report.status == "failed" for report in reports.values()):
            break
        if seen.n_incomplete != was_waiting:
            was_waiting = seen.n_incomplete
            yield Waiting(seen.n_incomplete, watch.every_s)
        idle_s = time.monotonic() - changed_at
        if watch.until_idle_s is not None and idle_s >= watch.until_idle_s and not seen.is_busy:
            break
        if wait(watch.every_s):
            break
    yield Finished(RunReport(job.out, tuple(reports.values())))


def _run_round(
    job: Job, ready: dict[Path, str], reports: dict[str, TaskReport]
) -> Generator[WatchEvent, None, bool]:
    """Analyse these files and note how each ended; returns False if the folder is in use."""
    try:
        with closing(run_events(job.updated(inputs=tuple(map(str, ready))))) as events:
            for event in events:
                if isinstance(event, Finished):
                    # One entry per input, and the last one counts: it was analysed again since it has changed.
                    reports |= {report.source: report for report in event.report.videos}
                else:
                    yield event
    except FolderInUseError as error:
        log.warning("%s It is tried again.", error)
        return False
    return True


def _check_inputs(job: Job) -> None:
    """Refuse inputs that do not exist (waiting for them would not end), manifests and shards (fixed lists), stores."""
    if is_object(job.out):
        raise OptionsError("--watch does not go with an output folder in a store.")
    if job.manifest is not None or job.shard is not None:
        raise OptionsError("--watch goes with files and folders, not with --manifest or --shard.")
    for text in job.inputs:
        if is_address(text) or not (os.path.lexists(text) or glob.has_magic(text)):
            raise OptionsError(
                f"{redact_address(text)}: no such file or folder. --watch needs it to be there."
            )


@dataclass(frozen=True, slots=True)
class _Look:
    """What is there now."""

    ready: dict[Path, str]
    """Complete inputs that no round has analysed in their present state, and their signatures."""
    n_incomplete: int
    """Inputs that changed since the last look, or are open for writing."""
    has_changed: bool
    """Anything since the last look."""

    @property
    def is_busy(self) -> bool:
        """Whether there was something to do, or will be."""
        return bool(self.ready) or self.has_changed


@dataclass(slots=True)
class _Looks:
    """Looks at the inputs of a job, and remembers what it saw."""

    job: Job
    every_s: float
    _seen: dict[Path, str] | None = None
    """Signatures at the last look; None: there was none."""
    _done: dict[Path, str] = field(default_factory=dict)
    """Signatures when they were in a round."""
    _problems: set[str] = field(default_factory=set)

    def look(self) -> _Look:
        """Look now."""
        now = self._read_signatures()
        is_first = self._seen is None
        before = self._seen or {}
        new = {path: sign for path, sign in now.items() if self._done.get(path) != sign}
        still = {
            path: sign
            for path, sign in new.items()
            if (self._is_old(path) if is_first else before.get(path) == sign)
        }
        written = find_open_for_writing([file for path in still for file in _files(path)])
        ready = {path: sign for path, sign in still.items() if written.isdisjoint(_files(path))}
        self._seen = now
        return _Look(ready, len(new) - len(ready), has_changed=now != before)

    def note_round(self, ready: dict[Path, str]) -> None:
        """Note that these were analysed; they are ready again when they change."""
        self._done |= ready

    def _read_signatures(self) -> dict[Path, str]:
        found: dict[Path, str] = {}
        for item in discover(self.job.inputs, out=self.job.out, warn=self._seen is None):
            if item.problem is not None:
                if item.problem not in self._problems:
                    log.warning("%s", sanitize(item.problem))
                self._problems.add(item.problem)
                continue
            try:
                found[item.path] = signature(item.path)
            except OSError as error:  # removed since; or a round says that it cannot be read
                log.debug("%s: %s", item.path, error)
        return found

    def _is_old(self, path: Path) -> bool:
        """At the first look: whether a file is as it was one look earlier, by its modification time."""
        try:
            changed_at = max(file.stat().st_mtime for file in _files(path))
        except (OSError, ValueError):
            return False
        return time.time() - changed_at >= self.every_s


def _files(path: Path) -> list[Path]:
    try:
        return list_files(path)
    except (OSError, VideoError):
        return []
