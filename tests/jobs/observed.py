"""A run whose events a test looks at, one by one, while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ferflow.jobs.job import Job
from ferflow.jobs.run import follow, run_events
from ferflow.jobs.run_events import RunEvent, RunReport
from ferflow.options import AnalyzeOptions


def observed_run(
    observer: Callable[[RunEvent], None],
    inputs: Sequence[Path],
    out: Path,
    options: AnalyzeOptions | None = None,
    *,
    workers: int = 1,
    **settings: object,
) -> RunReport:
    """As `run`, but each event goes to the observer; what it raises ends the run."""
    job = Job(
        inputs=tuple(map(str, inputs)),
        out=out,
        options=options or AnalyzeOptions(),
        workers=workers,
        **settings,
    )
    return follow(run_events(job), observer)
