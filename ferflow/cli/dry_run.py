"""`--dry-run`: what a run would do, how long it would take and how much it would write."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from ferflow.cli.common import Output, log_to_stderr, print_message, reporting_failures
from ferflow.cli.printing import echo
from ferflow.errors import EXIT_PARTIAL, VideoError
from ferflow.jobs.job import Job
from ferflow.store.object_store import is_object, source_text
from ferflow.text import pluralize, sanitize

if TYPE_CHECKING:
    from ferflow.jobs.estimate import Estimate
    from ferflow.store.run_manifest import VideoTask

log = logging.getLogger(__name__)


def print_plan(job: Job, output: Output) -> None:
    """Print the plan and an estimate; the estimate as an event on stderr where a program reads these.

    Raises:
        typer.Exit: inputs cannot be analysed; with the code with which a run would end for that reason.
    """
    tasks = _print_for_programs(job, output) if output.as_json else _print_for_people(job, output)
    n_impossible = sum(task.problem is not None for task in tasks)
    if n_impossible:
        raise typer.Exit(VideoError.exit_code if n_impossible == len(tasks) else EXIT_PARTIAL)


def _print_for_people(job: Job, output: Output) -> Sequence[VideoTask]:
    from ferflow.jobs.estimate import estimate_run

    tasks = _print_tasks(job, print_message)
    if not output.quiet and (estimate := estimate_run(tasks, job)) is not None:
        echo(*_describe(estimate))
    return tasks


def _print_for_programs(job: Job, output: Output) -> Sequence[VideoTask]:
    from ferflow.jobs.estimate import estimate_run
    from ferflow.jobs.progress import JsonLines
    from ferflow.jobs.run_events import Planned

    lines = JsonLines(sys.stderr)
    log_to_stderr(output, lines)
    with reporting_failures(lines.show_failure, clean_up=lambda: None):
        tasks = _print_tasks(job, log.warning)
        lines.show(Planned(tuple(tasks)))
        if (estimate := estimate_run(tasks, job)) is not None:
            lines.show_estimate(estimate)
    return tasks


def _print_tasks(job: Job, warn: Callable[[str], None]) -> Sequence[VideoTask]:
    """A line for each input, and one for all of them."""
    from ferflow.jobs.copies import find_copies
    from ferflow.jobs.plan import plan_job
    from ferflow.jobs.progress import format_failure
    from ferflow.jobs.store_run import plan_store_job

    tasks = plan_store_job(job) if is_object(job.out) else plan_job(job)
    for task in tasks:
        if task.files is None or task.problem is not None:
            echo(f"cannot   {format_failure(source_text(task.source), task.problem or '')}")
        else:
            verb = "skip" if task.is_finished else "analyse"
            echo(f"{verb:8} {sanitize(source_text(task.source))}  ->  {task.files.video_id}")
    for warning in find_copies(tasks, job):
        warn(warning)
    pending = sum(task.is_pending for task in tasks)
    echo(f"{pending} of {pluralize(len(tasks), 'input')} would be analysed.")
    return tasks


def _describe(estimate: Estimate) -> Iterator[str]:
    """Lines about what is pending; what is unknown is named as such."""
    if estimate.n_unreadable:
        yield f"{pluralize(estimate.n_unreadable, 'video')} cannot be opened and would fail."
    if estimate.video_hours is None:
        yield "No estimate: no header says how long a video is."
        return
    length = _format_hours(estimate.video_hours)
    if estimate.hours is None or estimate.table_bytes is None:
        yield f"{length} of video. No estimate: none of it could be analysed to try."
        return
    yield f"Estimate: {length} of video, {_format_hours(estimate.hours)} for {pluralize(estimate.n_workers, 'worker')}."
    yield f"Disk: {_describe_disk(estimate)}."
    if estimate.basis == "trial":
        tried = pluralize(estimate.n_measured, "video")
        yield f"Measured on the first seconds of {tried}. Timelines and pages are not included."
    else:
        yield f"Measured on {pluralize(estimate.n_measured, 'video')} analysed before with these options."
    if estimate.n_headers < estimate.n_videos:
        yield f"Lengths: the headers of {estimate.n_headers} of {estimate.n_videos} videos; others by their size."


def _describe_disk(estimate: Estimate) -> str:
    from ferflow.dashboards.shared.number_format import size

    found = [f"{size(estimate.table_bytes)} of tables"]
    if estimate.table_bytes_per_hour is not None:
        found[0] += f" ({size(estimate.table_bytes_per_hour)} per hour of video)"
    if estimate.page_bytes is not None:
        found.append(f"{size(estimate.page_bytes)} of pages")
    return ", ".join(found)


def _format_hours(hours: float) -> str:
    """In hours, minutes or seconds."""
    if hours >= 1.5:
        return f"{hours:.1f} hours"
    if hours * 60 >= 1.5:
        return f"{hours * 60:.0f} minutes"
    return pluralize(round(hours * 3600), "second")
