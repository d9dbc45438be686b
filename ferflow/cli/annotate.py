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
    End,
    Folder,
    Outcome,
    Replace,
    Start,
    check_crf,
    clean_up,
    follow_steps,
)
from ferflow.cli.tables_first import NoTables, find_or_make_tables
from ferflow.errors import FerflowError

if TYPE_CHECKING:
    from ferflow.options import CodecName
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
    start: Start = None,
    end: End = None,
    codec: Codec = "h264",
    crf: Crf = None,
    overwrite: Replace = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write a copy of each video with faces, names, expressions and engagement drawn in.

    FOLDER/NAME.annotated.mp4 has the size, the frames and the timestamps of the source, and its sound unchanged where
    MP4 can hold it. Exit code: 0 all done, 10 some inputs failed or have gaps, 3 every input failed; otherwise as of
    ferflow analyze.
    """
    from ferflow.cli.interrupt import RUN_AGAIN, interruptible
    from ferflow.render.rewrite import Stretch
    from ferflow.render.targets import find_inputs, plan_targets

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    check_crf(codec, crf)
    options = DEFAULTS.updated(start=start, end=end)
    targets = plan_targets(find_inputs(inputs, tables), out, "annotated", overwrite=overwrite)
    outcome = Outcome(quiet)
    remove_parts = clean_up([target.path for target in targets])
    sources = [target.source for target in targets if target.problem is None]
    with (
        interruptible(show=print_message, clean_up=remove_parts, message=RUN_AGAIN),
        find_or_make_tables(sources, tables, options, quiet=quiet) as found,
    ):
        for target in targets:
            if target.problem is not None:
                outcome.fail(target.problem)
                continue
            files = found.get(target.source, NoTables(f"{target.source}: it was not analysed."))
            if isinstance(files, NoTables):
                outcome.fail(None if files.is_reported else files.reason)
                continue
            _annotate_one(target, files, Stretch(start=start, end=end), (codec, crf), outcome)
    if outcome.written and not quiet:
        print_message("annotated videos show faces: protect them like the videos that they were made from.")
    outcome.exit()


def _annotate_one(
    target: Target,
    files: VideoFiles,
    stretch: Stretch,
    encoding: tuple[CodecName, int | None],
    outcome: Outcome,
) -> None:
    from ferflow.jobs.lists import read_names, read_persons
    from ferflow.render.annotate_video import AnnotateRequest, annotate_video
    from ferflow.render.rewrite import Rewrite
    from ferflow.store.failure_kinds import describe_failure
    from ferflow.system.child_process import follow_in_child

    codec, crf = encoding
    try:
        request = AnnotateRequest(
            source=target.source,
            persons=read_persons(files, read_names(files)),
            stretch=stretch,
            wanted=Rewrite(target=target.path, codec=codec, crf=crf, is_part=not stretch.is_whole),
        )
        made = follow_steps(target.source, follow_in_child(annotate_video, request), quiet=outcome.quiet)
    except (FerflowError, OSError, MemoryError) as error:
        outcome.fail(describe_failure(target.source, error))
    else:
        outcome.finish(target.source, target.path, made)
