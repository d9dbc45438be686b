"""`ferflow predict`: the expressions of the faces in photographs."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.common import (
    DEFAULTS,
    Model,
    Output,
    Quiet,
    Rotate,
    Verbose,
    log_to_stderr,
    parse_path,
    print_message,
)
from ferflow.cli.printing import echo
from ferflow.errors import EXIT_PARTIAL, FerflowError, OptionsError, VideoError
from ferflow.options import AnalyzeOptions, DetectorName
from ferflow.text import pluralize

if TYPE_CHECKING:
    from ferflow.faces.face_result import FaceResult
    from ferflow.single_picture import PictureReader
    from ferflow.system.resident_child import ResidentChild

_STDIN = Path("-")
_MOST_STDIN_BYTES = 256 << 20
_SECONDS_PER_PICTURE = 120.0


def predict(
    pictures: Annotated[
        list[Path],
        typer.Argument(
            parser=parse_path,
            metavar="IMAGE...",
            help="Pictures, folders of pictures, or - for one on stdin.",
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON per picture on stdout, for programs.")
    ] = False,
    annotate: Annotated[
        Path | None,
        typer.Option(
            parser=parse_path,
            metavar="FOLDER",
            help="Write a copy of each picture with its faces and probabilities drawn in. They show the faces.",
        ),
    ] = None,
    model: Model = DEFAULTS.model,
    detector: Annotated[
        DetectorName,
        typer.Option(help="yunet (network) or haar (the cascade of the early papers; no head pose)."),
    ] = DEFAULTS.detector,
    min_face: Annotated[
        int | None,
        typer.Option(
            help="Height in pixels of the smallest face to detect.  [default: 1/15 of the short side, at least 24]",
            metavar="PX",
        ),
    ] = None,
    score: Annotated[
        float, typer.Option(help="Score from which a detection is a face, 0.1 to 1.", metavar="S")
    ] = DEFAULTS.score,
    rotate: Rotate = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Classify the expressions of the faces in photographs.

    Pictures are independent of one another and are never tracked. Prints a line per face with all probabilities, the
    largest first; with --json, {"image", "faces", "model"} per picture, or {"image", "error"}. Exit codes: 3 if no
    picture could be read, 10 if some could not.
    """
    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    _check(pictures, annotate)
    options = DEFAULTS.updated(
        model=model, detector=detector, min_face=min_face, score=score, rotate=rotate, backend="onnx"
    )
    show = _print_json if as_json else _print_table
    n_failed = n_read = 0
    with tempfile.TemporaryDirectory(prefix="ferflow-") as folder:
        for answer in _answers(list(_list_pictures(pictures, Path(folder), annotate)), options, annotate):
            n_read, n_failed = n_read + (answer.error is None), n_failed + (answer.error is not None)
            if answer.error is not None:
                print_message(answer.error)
            is_shown = as_json or (answer.error is None and not quiet)
            # With --annotate, the copies are what was asked for, too.
            if is_shown and not show(answer) and annotate is None:
                break
    if annotate is not None and n_read and not quiet and not as_json:
        echo(f"{pluralize(n_read, 'annotated picture')}: {annotate}")
    if n_failed:
        sys.exit(EXIT_PARTIAL if n_read else VideoError.exit_code)


@dataclass(frozen=True, slots=True)
class _Named:
    """A picture, and the problem with it, if there is one."""

    name: str
    path: Path
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was found in a picture, or why nothing was."""

    name: str
    model: str
    faces: tuple[FaceResult, ...] = ()
    error: str | None = None


def _check(given: list[Path], annotate: Path | None) -> None:
    if given.count(_STDIN) > 1:
        raise OptionsError("- can be given once: stdin holds one picture.")
    if annotate is not None and any(
        path != _STDIN and path.resolve() == annotate.resolve() for path in given
    ):
        raise OptionsError(
            f"--annotate {annotate}: the pictures lie there, and their copies would be taken for pictures by the next "
            "run. Give another folder."
        )


def _list_pictures(given: list[Path], temporary: Path, annotated: Path | None) -> Iterator[_Named]:
    from ferflow.media.image_list import IMAGE_SUFFIXES, list_photographs

    for path in given:
        if path == _STDIN:
            yield _read_stdin(temporary / "stdin")
        elif path.is_dir():
            found = [
                each
                for each in list_photographs(path)
                if annotated is None or annotated.resolve() not in each.resolve().parents
            ]
            yield from (_Named(str(each), each) for each in found)
            if not found:
                suffixes = " ".join(sorted(IMAGE_SUFFIXES))
                yield _Named(
                    str(path), path, f"{path}: no pictures in this folder or below. Known: {suffixes}."
                )
        else:
            yield _Named(str(path), path)


def _read_stdin(path: Path) -> _Named:
    content = sys.stdin.buffer.read(_MOST_STDIN_BYTES + 1)
    if len(content) > _MOST_STDIN_BYTES:
        return _Named("-", path, f"-: stdin has more than {_MOST_STDIN_BYTES >> 20} MiB.")
    path.write_bytes(content)
    return _Named("-", path)


def _answers(pictures: list[_Named], options: AnalyzeOptions, annotate: Path | None) -> Iterator[_Answer]:
    """Read each picture in a child process: a decoder that crashes costs that picture alone."""
    from ferflow.models.registry import resolve
    from ferflow.single_picture import PictureReader
    from ferflow.system.resident_child import ResidentChild

    name = resolve(options.model).name
    child = ResidentChild(partial(PictureReader.load, options), seconds_per_call=_SECONDS_PER_PICTURE)
    try:
        for picture in pictures:
            try:
                yield _Answer(picture.name, name, _read(picture, child, annotate))
            except VideoError as error:
                yield _Answer(picture.name, name, error=_describe(picture, error))
    finally:
        child.close()


def _read(
    picture: _Named, child: ResidentChild[PictureReader], annotate: Path | None
) -> tuple[FaceResult, ...]:
    from ferflow.render.annotated_picture import annotate_picture
    from ferflow.single_picture import PictureReader

    if picture.problem is not None:
        raise VideoError(picture.problem)
    if annotate is None:
        return child.call(PictureReader.read, picture.path)
    from ferflow.media.inputs import video_id_of
    from ferflow.store.atomic_files import atomic_write

    annotated = child.call(annotate_picture, picture.path)
    with atomic_write(annotate / f"{video_id_of(picture.path)}.jpg") as part:
        part.write_bytes(annotated.jpeg)
    return annotated.faces


def _describe(picture: _Named, error: FerflowError) -> str:
    """One line; errors of a crash name no file."""
    message = str(error)
    return message if message.startswith((picture.name, picture.path.name)) else f"{picture.name}: {message}"


def _print_json(answer: _Answer) -> bool:
    """Returns whether somebody reads it, as `echo` does."""
    line: dict[str, object] = {"image": answer.name}
    if answer.error is not None:
        line["error"] = answer.error
    else:
        line |= {"faces": [face.to_json() for face in answer.faces], "model": answer.model}
    return echo(json.dumps(line))


def _print_table(answer: _Answer) -> bool:
    """Returns whether somebody reads it, as `echo` does."""
    n_faces = pluralize(len(answer.faces), "face") if answer.faces else "no face"
    faces = [
        f"  {number:>3}  {_format_probs(face)}{_format_place(face)}"
        for number, face in enumerate(answer.faces, start=1)
    ]
    return echo(f"{answer.name}: {n_faces}", *faces)


def _format_probs(face: FaceResult) -> str:
    from ferflow.render.annotated_picture import format_share

    ranked = sorted(face.probs.items(), key=lambda item: -item[1])
    return "  ".join(f"{label} {format_share(share)}" for label, share in ranked)


def _format_place(face: FaceResult) -> str:
    x1, y1, x2, y2 = (round(value) for value in face.xyxy)
    reason = "" if face.unreadable is None else f"; not readable: {face.unreadable}"
    return f"   at {x1},{y1} {x2 - x1}x{y2 - y1}{reason}"
