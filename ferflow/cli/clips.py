"""`ferflow clips`: short clips of the sessions of an output folder, a page that plays them, cut lists for editors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.anonymize import Covering, report_residues
from ferflow.cli.clip_files import PAGE, CutClip, check_place, write_clip_files
from ferflow.cli.common import Output, Quiet, Verbose, log_to_stderr, parse_not_empty, print_message
from ferflow.cli.made_videos import (
    Codec,
    Crf,
    Encoding,
    Excepted,
    Folder,
    Only,
    Outcome,
    Replace,
    check_crf,
    clean_up,
    follow_each,
)
from ferflow.cli.printing import echo
from ferflow.cli.report import Folder as OutArgument
from ferflow.cli.report import check_is_output, warn_of_shards
from ferflow.errors import OptionsError, VideoError
from ferflow.options import CoverName
from ferflow.text import pluralize, sanitize

if TYPE_CHECKING:
    from ferflow.analytics.moments import Moment, Wanted
    from ferflow.analytics.person_faces import Persons
    from ferflow.dashboards.overview.overview_data import Folder as Content
    from ferflow.render.cut_clips import Covers


def clips(
    out: OutArgument,
    to: Folder,
    top: Annotated[
        int, typer.Option(help="Number of clips: the strongest moments, of each session.", min=1, metavar="N")
    ] = 5,
    cohort: Annotated[
        bool, typer.Option("--cohort", help="The strongest moments of all sessions together.")
    ] = False,
    marker: Annotated[
        str | None,
        typer.Option(
            parser=parse_not_empty,
            metavar="LABEL",
            help="Around all markers of this label, in place of peaks.",
        ),
    ] = None,
    expression: Annotated[
        str | None,
        typer.Option(
            parser=parse_not_empty,
            metavar="LABEL",
            help="Where somebody shows this expression longest and most certainly, in place of peaks.",
        ),
    ] = None,
    before: Annotated[
        float,
        typer.Option(help="How much a clip shows before the moment.", min=0.0, max=600.0, metavar="SECONDS"),
    ] = 3.0,
    after: Annotated[
        float, typer.Option(help="How much it shows after it.", min=0.1, max=600.0, metavar="SECONDS")
    ] = 4.0,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Draw in what was found, as ferflow annotate does.")
    ] = False,
    anonymize: Annotated[
        CoverName | None, typer.Option(help="Cover faces, as ferflow annotate --anonymize does.")
    ] = None,
    excepted: Excepted = None,
    only: Only = None,
    codec: Codec = "h264",
    crf: Crf = None,
    overwrite: Replace = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Cut clips of the strongest moments, with a page that plays them and cut lists for video editors.

    Writes into FOLDER: the clips, index.html, clips.csv, chapters of each session (VIDEO_ID.chapters.vtt), clips.edl
    and clips.otio (these two need ferflow[exchange]). Clips have the size, frames and sound of the source. Exit code:
    2, and nothing is written, if there is no such moment; 10 if clips of a session cannot be made or may still show a
    face after --anonymize; otherwise as of ferflow analyze.
    """
    from ferflow.analytics.moments import Wanted, find_moments
    from ferflow.cli.interrupt import RUN_AGAIN, interruptible
    from ferflow.dashboards import last_options
    from ferflow.dashboards.overview.overview_data import load_folder
    from ferflow.render.targets import check_folder

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    check_crf(codec, crf)
    check_is_output(out)
    warn_of_shards(out)
    check_folder(to)
    if marker is not None and expression is not None:
        raise OptionsError("--marker and --expression: give one of them.")
    wanted = Wanted(top=top, over_all=cohort, marker=marker, expression=expression)
    covering = Covering.parse(anonymize, excepted, only, None, out)
    content = load_folder(out, last_options(out))
    for warning in content.warnings:
        print_message(warning)
    videos = [entry.video for entry in content.finished if entry.video is not None]
    outcome = Outcome(quiet=True)
    _report_broken(out, content, outcome)
    if not videos:
        outcome.fail(f"{out}: no session of which clips can be made.")
        outcome.exit()
    moments = find_moments(videos, wanted)
    options = _Options(before, after, annotate, covering, Encoding(codec, crf, is_part=True))
    plans = list(_plan(out, to, content, moments, options, outcome))
    paths = [cut.path for plan in plans for cut in plan.cuts]
    check_place(to, paths, overwrite=overwrite)
    with interruptible(show=print_message, clean_up=clean_up(paths), message=RUN_AGAIN):
        done = [cut for plan in plans for cut in _cut(plan, options, outcome, quiet=quiet)]
        write_clip_files(to, done, chosen=describe_choice(wanted), is_anonymous=covering is not None)
    if not quiet:
        echo(f"{pluralize(len(done), 'clip')}: {to / PAGE}")
        if covering is None and done:
            print_message("clips show faces: protect them like the videos that they were cut from.")
    outcome.exit()


@dataclass(frozen=True, slots=True)
class _Options:
    before_s: float
    after_s: float
    is_annotated: bool
    covering: Covering | None
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class _Plan:
    """The clips of one session."""

    source: Path
    persons: Persons
    covers: Covers | None
    cuts: tuple[CutClip, ...]


def _report_broken(out: Path, content: Content, outcome: Outcome) -> None:
    from ferflow.store.output_folder import OutputFolder

    folder = OutputFolder(out)
    for entry in content.broken:
        if entry.video_id and folder.video(entry.video_id).is_finished:
            outcome.fail(f"{entry.video_id}: left out. {entry.reason}")


def _plan(
    out: Path, to: Path, content: Content, moments: Sequence[Moment], options: _Options, outcome: Outcome
) -> Iterator[_Plan]:
    from ferflow.analytics.person_faces import Persons
    from ferflow.store.metadata import read_metadata
    from ferflow.store.output_folder import OutputFolder

    folder, people = OutputFolder(out), {}
    for video_id in dict.fromkeys(moment.video_id for moment in moments):
        people[video_id] = Persons.of(folder.video(video_id), content.names.of(video_id))
    if options.covering is not None:
        options.covering.check_names(people.values())
    for video_id, persons in people.items():
        with outcome.note_errors(Path(video_id)):
            metadata = read_metadata(persons.paths.faces)
            source = Path(metadata.source.path)
            if not source.exists():
                raise VideoError(f"{source.name}: not where it was analysed, so no clips of it can be made.")
            covers = options.covering.cover(persons) if options.covering is not None else None
            cuts = dict[Path, CutClip]()
            for one in (moment for moment in moments if moment.video_id == video_id):
                cut = CutClip.around(one, metadata, to, options.before_s, options.after_s)
                if cut.is_outside:
                    outcome.fail(
                        f"{sanitize(source.name)}: no clip at {one.start_s:g} s, outside of the video as far as it was "
                        f"analysed (0 to {metadata.duration_s:g} s). Check the marker, and --markers-offset."
                    )
                else:
                    cuts[cut.path] = cut
            if cuts:
                yield _Plan(source, persons, covers, tuple(cuts.values()))


def _cut(plan: _Plan, options: _Options, outcome: Outcome, *, quiet: bool) -> list[CutClip]:
    """Write the clips of a session; those that were written."""
    from ferflow.render.anonymize import Anonymized
    from ferflow.render.cut_clips import ClipsRequest, cut_clips
    from ferflow.render.rewrite import Between
    from ferflow.system.child_process import follow_in_child

    request = ClipsRequest(
        source=plan.source,
        persons=plan.persons,
        cuts=tuple((Between(cut.start_s, cut.end_s), options.encoding.write(cut.path)) for cut in plan.cuts),
        is_annotated=options.is_annotated,
        covers=plan.covers,
    )
    done: list[CutClip] = []
    with outcome.note_errors(plan.source):
        for made in follow_each(plan.source, follow_in_child(cut_clips, request), quiet=quiet):
            cut = plan.cuts[len(done)]
            outcome.finish(plan.source, cut.path, made)
            if isinstance(made, Anonymized):
                report_residues(cut.path, made, outcome)
            left = isinstance(made, Anonymized) and bool(made.residues)
            done.append(replace(cut, warning="A face may still show." if left else ""))
    return done


def describe_choice(wanted: Wanted) -> str:
    """How clips were chosen."""
    if wanted.marker is not None:
        return f"around the marker {wanted.marker}"
    what = "peaks" if wanted.expression is None else f"moments of the expression {wanted.expression}"
    return f"the strongest {what} {'of all sessions together' if wanted.over_all else 'of each session'}"
