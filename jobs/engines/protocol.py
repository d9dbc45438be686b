"""What an engine is: a module that analyses videos, in this process, in others or on other machines."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from ferflow.jobs.job import Job
from ferflow.jobs.run_events import VideoEvent
from ferflow.store.run_manifest import VideoTask


class Engine(Protocol):
    """A module with one function; `job.ENGINES` lists them."""

    def process_videos(
        self, tasks: Sequence[VideoTask], job: Job, n_workers: int
    ) -> Generator[VideoEvent, None, None]:
        """Carry out pending tasks, in any order; each writes its own files and shares nothing.

        Closing the generator stops what is in progress and leaves no half-written file and no process.

        Args:
            tasks: videos to analyse.
            job: what is done with each.
            n_workers: processes besides this one; 0: analyse in this process, or, of several machines, as many as they
                have CPUs for.

        Yields:
            Per task `Started`, then `Progressed` as often as is known, then `Ended`.

        Raises:
            ModelError, OptionsError: nothing can be analysed at all.
        """
