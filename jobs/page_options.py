"""What a job says about all pages: title, logo and lists, checked before a run and stored for later ones."""

from __future__ import annotations

from ferflow.jobs.job import Job
from ferflow.store.output_folder import OutputFolder


def check_page_options(job: Job) -> None:
    """Refuse a title or logo that cannot be used, before any work is done.

    Raises:
        OptionsError: one cannot.
    """
    if job.title is not None or job.logo is not None:
        from ferflow.dashboards import PageOptions

        PageOptions().updated(title=job.title, logo=job.logo)


def save_page_options(job: Job, folder: OutputFolder) -> None:
    """Store what is given for all pages before the first one is written, which may happen on another machine."""
    given = (job.title, job.logo, job.session_list, job.corrections)
    if any(value is not None for value in given):
        from ferflow.dashboards import save_options

        save_options(
            folder.path,
            title=job.title,
            logo=job.logo,
            sessions=job.session_list,
            corrections=job.corrections,
        )
