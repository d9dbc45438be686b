"""What a Ray actor does, in a process on any machine of the cluster, and the messages that it streams to the run."""

from __future__ import annotations

import platform
import time
from collections.abc import Generator
from dataclasses import dataclass

from ferflow.errors import FerflowError, ModelError, RecordsError
from ferflow.jobs.engines.worker_process import limit_threads
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended, Progressed
from ferflow.jobs.segments.work import process_in_steps
from ferflow.jobs.video_job import Analyzed
from ferflow.pipeline import Tools
from ferflow.store.output_folder import LOCK
from ferflow.store.run_manifest import VideoTask
from ferflow.version import __version__


@dataclass(frozen=True, slots=True)
class Loaded:
    """The models are loaded."""

    node_id: str


@dataclass(frozen=True, slots=True)
class NotLoaded:
    """The models cannot be loaded, or the machine cannot take part, so the run ends."""

    error: FerflowError
    host: str


@dataclass(frozen=True, slots=True)
class ActorSettings:
    """What an actor needs to know of the run."""

    job: Job
    """With absolute paths, and the threads of one actor."""
    seconds_between_progress: float
    version: str = __version__
    """Of ferflow, where the run was started."""


Message = Loaded | NotLoaded | Progressed | Analyzed | Ended


class VideoActor:
    """One process: models are loaded once, then video after video. Each method is a stream of messages."""

    def __init__(self, settings: ActorSettings) -> None:
        self._settings = settings
        self._tools: Tools | None = None
        self._steps: Generator[Progressed | Analyzed | Ended, None, None] | None = None

    def load(self) -> Generator[Loaded | NotLoaded, None, None]:
        """Load the models; one message."""
        job = self._settings.job
        try:
            _check_machine(self._settings)
            self._tools = Tools.load(job.options)
        except FerflowError as error:
            yield NotLoaded(error, platform.node())
            return
        limit_threads(job.options.threads or 1)
        yield Loaded(_this_node())

    def analyze(self, task: VideoTask) -> Generator[Progressed | Analyzed | Ended, None, None]:
        """Analyse a video; the last message is `Analyzed`, and `publish` goes on, or `Ended`."""
        assert self._tools is not None
        self._steps = process_in_steps(task, self._settings.job, self._tools)
        last = time.monotonic()
        for event in self._steps:
            if not isinstance(event, Progressed):
                yield event
                return
            if time.monotonic() - last >= self._settings.seconds_between_progress:
                last = time.monotonic()
                yield event

    def publish(self) -> Generator[Progressed | Analyzed | Ended, None, None]:
        """Give the results their names, and bring what is derived from them up to date; ends with `Ended`."""
        assert self._steps is not None
        yield from self._steps


def _this_node() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def _check_machine(settings: ActorSettings) -> None:
    """Refuse a machine whose results would differ, or would be written elsewhere.

    Raises:
        ModelError: another ferflow is installed there.
        RecordsError: the output folder is another one there.
    """
    if settings.version != __version__:
        raise ModelError(
            f"ferflow {__version__} is installed, and the run is by {settings.version}. Install the same everywhere."
        )
    # The run has locked the folder, so that the file is there wherever the folder is the same.
    if not (settings.job.out / LOCK).is_file():
        raise RecordsError(
            f"{settings.job.out}: not the output folder of the run. It must be on a disk that all machines share, "
            "under the same path."
        )
