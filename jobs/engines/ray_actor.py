"""What a Ray actor does, in a process on any machine of the cluster, and the messages that it streams to the run."""

from __future__ import annotations

import platform
import time
from collections.abc import Generator
from dataclasses import dataclass

from ferflow.errors import FerflowError, ModelError, RecordsError
from ferflow.jobs.engines.remote_classifier import RemoteClassifier
from ferflow.jobs.engines.worker_process import limit_threads
from ferflow.jobs.job import Job
from ferflow.jobs.run_events import Ended, Progressed
from ferflow.jobs.segments.work import process_in_steps
from ferflow.jobs.store_worker import process_in_store
from ferflow.jobs.video_job import Analyzed
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.store.object_store import is_object, parse_address, source_text
from ferflow.store.output_folder import LOCK
from ferflow.store.published import PublishedFolder
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
    classifier: RemoteClassifier | None = None
    """On a GPU, for several actors; None: each loads its own, for the CPU."""
    version: str = __version__
    """Of ferflow, where the run was started."""


@dataclass(frozen=True, slots=True)
class GpuLost:
    """The classifier of the run that this actor uses does not answer any more, so its video failed."""


Message = Loaded | NotLoaded | Progressed | Analyzed | Ended | GpuLost


class VideoActor:
    """One process: models are loaded once, then video after video. Each method is a stream of messages."""

    def __init__(self, settings: ActorSettings) -> None:
        self._settings = settings
        self._tools: Tools | None = None
        self._steps: Generator[Progressed | Analyzed | Ended, None, None] | None = None

    @property
    def _has_lost_gpu(self) -> bool:
        classifier = self._settings.classifier
        return classifier is not None and classifier.is_lost

    def load(self) -> Generator[Loaded | NotLoaded, None, None]:
        """Load the models; one message."""
        job = self._settings.job
        try:
            _check_machine(self._settings)
            self._tools = self._load_tools(job.options)
        except FerflowError as error:
            yield NotLoaded(error, platform.node())
            return
        limit_threads(job.options.threads or 1)
        yield Loaded(_this_node())

    def _load_tools(self, options: AnalyzeOptions) -> Tools:
        # GPUs are for their own actors: Ray does not hide them from others on the same machine.
        return Tools.load(options.updated(device="cpu"), self._settings.classifier)

    def analyze(self, task: VideoTask) -> Generator[Progressed | Analyzed | Ended | GpuLost, None, None]:
        """Analyse a video; the last message is `Analyzed`, and `publish` goes on, or `Ended`, or `GpuLost`."""
        assert self._tools is not None
        job = self._settings.job
        process = process_in_store if is_object(job.out) else process_in_steps
        self._steps = process(task, job, self._tools)
        last = time.monotonic()
        for event in self._steps:
            if not isinstance(event, Progressed):
                yield GpuLost() if isinstance(event, Ended) and self._has_lost_gpu else event
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


def check_version(version: str) -> None:
    """Refuse to work for a run by another ferflow.

    Raises:
        ModelError: this one has another version.
    """
    if version != __version__:
        raise ModelError(
            f"ferflow {__version__} is installed, and the run is by {version}. Install the same everywhere."
        )


def _check_machine(settings: ActorSettings) -> None:
    """Refuse a machine whose results would differ, or would be written elsewhere.

    Raises:
        ModelError: another ferflow is installed there.
        RecordsError: the output folder is another one there, or the store cannot be used from there.
    """
    check_version(settings.version)
    out = settings.job.out
    if is_object(out):
        # The run has marked the folder, so that a machine that sees no mark sees another store.
        if not PublishedFolder(parse_address(out)).is_used():
            raise RecordsError(
                f"{source_text(out)}: not the output folder of the run, as this machine sees it."
            )
        return
    # The run has locked the folder, so that the file is there wherever the folder is the same.
    if not (out / LOCK).is_file():
        raise RecordsError(
            f"{out}: not the output folder of the run. It must be on a disk that all machines share, "
            "under the same path."
        )
