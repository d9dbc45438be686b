"""`ferflow annotate`: a copy of each video with what was found drawn in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.analyze import Inputs
from ferflow.cli.common import (
    DEFAULTS,
    Output,
    Quiet,
    Verbose,
    log_to_stderr,
    parse_path,
    print_message,
)
from ferflow.cli.made_videos import (
    Codec,
    Crf,
    Encoding,
    End,
    Excepted,
    Folder,
    Only,
    Outcome,
    Replace,
    Start,
    check_crf,
    clean_up,
    follow_steps,
)
from ferflow.cli.tables_first import NoTables, find_or_make_tables
from ferflow.errors import OptionsError
from ferflow.options import CoverName
from ferflow.store.object_store import is_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferflow.render.rewrite import Stretch
    from ferflow.render.targets import Target
    from ferflow.store.video_files import VideoFiles


def annotate(
    inputs: Inputs,
    out: Folder,
    tables: Annotated[
        Path | None,
        typer.Option(
            "--from",
            parser=parse_path,
            metavar="OUT",
            help="Output folder of ferflow analyze, with names and corrections. Videos that it does not have are "
            "analysed first, as all are without it; those tables are not kept.",
        ),
    ] = None,
    anonymize: Annotated[
        CoverName | None,
        typer.Option(
            help="Cover faces instead of drawing: FOLDER/NAME.anonymized.mp4, checked by the detector. Metadata of the "
            "source is not copied."
        ),
    ] = None,
    excepted: Excepted = None,
    only: Only = None,
    min_face: Annotated[
        int | None,
        typer.Option(
            min=10,
            max=100_000,
            metavar="PX",
            help="With --anonymize: height of the smallest face to cover, in source pixels.  [default: 1/30 of the "
            "short side of the picture, at least 16]",
        ),
    ] = None,
    start: Start = None,
    end: End = None,
    codec: Codec = "h264",
    crf: Crf = None,
    overwrite: Replace = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write a copy of each video with faces, names, expressions and engagement drawn in, or with faces covered.

    FOLDER/NAME.annotated.mp4 has the size, the frames and the timestamps of the source, and its sound unchanged where
    MP4 can hold it. Exit code: 0 all done, 10 some inputs failed, have gaps, or may still show a face after
    --anonymize, 3 every input failed; otherwise as of ferflow analyze.
    """
    from ferflow.cli.anonymize import Covering, anonymize_all
    from ferflow.cli.interrupt import RUN_AGAIN, interruptible
    from ferflow.render.rewrite import Stretch
    from ferflow.render.targets import find_inputs, plan_targets

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    check_crf(codec, crf)
    covering = Covering.parse(anonymize, excepted, only, min_face, tables)
    stretch = Stretch(start=start, end=end)
    kind = "annotated" if covering is None else "anonymized"
    if any(map(is_object, inputs)):
        raise OptionsError("annotate reads files only: copy the videos from the store first.")
    targets = plan_targets(find_inputs(inputs, tables), out, kind, overwrite=overwrite)
    outcome = Outcome(quiet)
    encoding = Encoding(codec, crf, not stretch.is_whole)
    with interruptible(
        show=print_message, clean_up=clean_up([target.path for target in targets]), message=RUN_AGAIN
    ):
        if covering is not None:
            anonymize_all(outcome.drop_problems(targets), covering, stretch, encoding, outcome)
        else:
            _annotate_all(outcome.drop_problems(targets), tables, stretch, encoding, outcome)
    if outcome.written and not quiet and covering is None:
        print_message("annotated videos show faces: protect them like the videos that they were made from.")
    outcome.exit()


def _annotate_all(
    targets: Sequence[Target], tables: Path | None, stretch: Stretch, encoding: Encoding, outcome: Outcome
) -> None:
    options = DEFAULTS.updated(start=stretch.start, end=stretch.end)
    sources = [target.source for target in targets]
    with find_or_make_tables(sources, tables, options, quiet=outcome.quiet) as found:
        for target in targets:
            files = found.get(target.source, NoTables(f"{target.source}: it was not analysed."))
            if isinstance(files, NoTables):
                outcome.fail(None if files.is_reported else files.reason)
            else:
                _annotate_one(target, files, stretch, encoding, outcome)


def _annotate_one(
    target: Target, files: VideoFiles, stretch: Stretch, encoding: Encoding, outcome: Outcome
) -> None:
    from ferflow.jobs.lists import read_names, read_persons
    from ferflow.render.annotate_video import AnnotateRequest, annotate_video
    from ferflow.system.child_process import follow_in_child

    with outcome.note_errors(target.source):
        request = AnnotateRequest(
            source=target.source,
            persons=read_persons(files, read_names(files)),
            stretch=stretch,
            wanted=encoding.write(target.path),
        )
        made = follow_steps(target.source, follow_in_child(annotate_video, request), quiet=outcome.quiet)
        outcome.finish(target.source, target.path, made)
