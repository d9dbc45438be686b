"""Tables for commands that draw what an analysis found: of an output folder, or of an analysis for this purpose."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ferflow.cli.common import DEFAULTS
from ferflow.errors import FerflowError
from ferflow.text import pluralize

if TYPE_CHECKING:
    from ferflow.options import AnalyzeOptions
    from ferflow.store.output_folder import OutputFolder
    from ferflow.store.video_files import VideoFiles


@dataclass(frozen=True, slots=True)
class NoTables:
    """Why a video has none."""

    reason: str
    is_reported: bool = False
    """Whether it was printed."""


Tables = Mapping[Path, "VideoFiles | NoTables"]


@contextmanager
def find_or_make_tables(
    sources: Sequence[Path], folder: Path | None, options: AnalyzeOptions = DEFAULTS, *, quiet: bool
) -> Iterator[Tables]:
    """The tables of each video; those that are made here are gone when the block ends.

    Args:
        sources: the videos.
        folder: an output folder; None: all tables are made.
        options: of the analysis of videos that the folder does not have.
        quiet: show no progress.

    Raises:
        RecordsError: the folder is no output folder, or its record of forgotten videos cannot be read.
    """
    found = find_tables_of(sources, folder) if folder is not None else {}
    missing = [source for source in sources if source not in found]
    if not missing:
        yield found
        return
    with tempfile.TemporaryDirectory(prefix="ferflow-") as scratch:
        yield {**found, **_analyze(missing, Path(scratch) / "out", options, quiet=quiet)}


def find_tables_of(sources: Sequence[Path], folder: Path) -> Tables:
    """The tables of those videos that an output folder has; none for those that were forgotten there.

    Raises:
        RecordsError: it is no output folder, or its record of forgotten videos cannot be read.
    """
    return dict(_find(sources, folder))


def _find(sources: Sequence[Path], folder: Path) -> Iterator[tuple[Path, VideoFiles | NoTables]]:
    from ferflow.cli.report import check_is_output
    from ferflow.jobs.forget.record import ForgottenVideos, describe_forgotten
    from ferflow.render.source_tables import find_tables
    from ferflow.store.failure_kinds import describe_failure
    from ferflow.store.output_folder import OutputFolder

    check_is_output(folder)
    output = OutputFolder(folder)
    forgotten = ForgottenVideos.load(output)
    for source in sources:
        try:
            files = find_tables(source, output)
        except (FerflowError, OSError) as error:
            yield source, NoTables(describe_failure(source, error))
        else:
            if files is not None:
                yield source, files
            elif forgotten is not None and forgotten.has(source):
                yield source, NoTables(describe_forgotten(source, output, "Cover everybody with --anonymize"))


def _analyze(sources: Sequence[Path], out: Path, options: AnalyzeOptions, *, quiet: bool) -> Tables:
    from ferflow.cli.common import print_message
    from ferflow.jobs.job import Job
    from ferflow.jobs.progress import Bars
    from ferflow.jobs.run import follow, run_events
    from ferflow.store.output_folder import OutputFolder
    from ferflow.store.run_manifest import FINISHED

    if not quiet:
        print_message(f"analysing {pluralize(len(sources), 'video')} first; these tables are not kept.")
    job = Job(inputs=tuple(map(str, sources)), out=out, options=options, pages=False)
    with Bars(quiet=quiet) as bars:
        report = follow(run_events(job, warn_of_copies=False), bars.show)
    folder: OutputFolder = OutputFolder(out)
    return {
        Path(one.source): (
            NoTables(one.error or one.status, is_reported=not quiet)
            if one.video_id is None or one.status not in FINISHED
            else folder.video(one.video_id)
        )
        for one in report.videos
    }
