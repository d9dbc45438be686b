"""`ferflow explain`: how the network sees a face."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferflow.cli.common import (
    DEFAULTS,
    Model,
    Output,
    Quiet,
    Rotate,
    Stream,
    Verbose,
    log_to_stderr,
    parse_path,
)
from ferflow.cli.printing import echo
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.text import pluralize, sanitize


def explain(
    source: Annotated[
        Path,
        typer.Argument(parser=parse_path, metavar="IMAGE|VIDEO", help="A picture or a video with faces."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="HTML page to write. It shows the faces.", metavar="OUT.html")
    ],
    model: Model = DEFAULTS.model,
    at: Annotated[
        list[str] | None,
        typer.Option(
            help="Frame to explain: 12.5 (seconds), 300f (frame index from 0) or 1:30.5 (timecode); may be "
            "repeated.  [default: the first frame with a face, and the most expressive one of the first five "
            "minutes]",
            metavar="TIME",
        ),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Use the entire image as one face; do not detect faces.")
    ] = False,
    stream: Stream = None,
    rotate: Rotate = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write a page that shows how the network sees a face.

    It shows feature maps, evidence by location, and how the scores are computed.
    """
    from ferflow.errors import ChildDiedError, VideoError
    from ferflow.system.child_process import call_in_child

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    options = DEFAULTS.updated(model=model, backend="onnx", stream=stream, rotate=rotate)
    points = [TimePoint.parse(point) for point in at or ()]
    try:
        faces = call_in_child(_write_page, source, out, options, points, whole=whole)
    except ChildDiedError as error:
        raise VideoError(f"{sanitize(source.name)}: {error}") from error
    if not quiet:
        echo(f"{pluralize(sum(faces), 'face')} in {pluralize(len(faces), 'frame')}")
        echo(f"Page: {out}")


def _write_page(
    source: Path, out: Path, options: AnalyzeOptions, points: list[TimePoint], *, whole: bool
) -> list[int]:
    """Write the page; the number of faces in each of its frames."""
    from ferflow.dashboards.model_pages.explanation import write_explanation
    from ferflow.models.class_activation import NetworkInspector
    from ferflow.pipeline import Tools
    from ferflow.render.explain import find_moments

    tools = Tools.load(options)
    found = find_moments(source, tools, options, points, whole=whole)
    inspect = NetworkInspector(tools.classifier.card)
    parts = [(part, inspect(part.crops.images)) for part in found]
    write_explanation(out, source.name, tools.classifier.card, parts)
    return [len(part.crops) for part in found]
