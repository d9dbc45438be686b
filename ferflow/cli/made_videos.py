"""What the commands that make videos from videos share: options, a bar per video, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.common import parse_not_empty, parse_path, print_message
from ferflow.cli.printing import echo
from ferflow.errors import EXIT_PARTIAL, FerflowError, OptionsError, VideoError
from ferflow.options import CodecName, TimePoint
from ferflow.text import sanitize

if TYPE_CHECKING:
    from ferflow.render.annotate_video import Made, Step
    from ferflow.render.rewrite import Rewrite
    from ferflow.render.targets import Target

Codec = Annotated[
    CodecName,
    typer.Option(
        help="How videos are encoded; all are MP4. Browsers play h264, and most of them vp9 and av1."
    ),
]
Crf = Annotated[
    int | None,
    typer.Option(
        help="Quality: 0 (lossless) to 51, with vp9 and av1 to 63; lower is better and larger.  [default: 23, h265 28, "
        "vp9 31, av1 35]",
        min=0,
        max=63,
        metavar="N",
    ),
]
Folder = Annotated[
    Path, typer.Option("--out", "-o", parser=parse_path, metavar="FOLDER", help="Folder for the videos.")
]

Excepted = Annotated[
    list[str] | None,
    typer.Option(
        "--except",
        parser=parse_not_empty,
        metavar="NAME",
        help="With --anonymize, and a name of OUT: this person stays visible; may be repeated.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        parser=parse_not_empty,
        metavar="NAME",
        help="With --anonymize, and a name of OUT: only this person and unknown faces are covered; may be repeated.",
    ),
]
Replace = Annotated[
    bool, typer.Option("--overwrite", help="Replace videos of the same names in FOLDER; never an input.")
]


def parse_time(text: str) -> TimePoint:
    """A place in a video."""
    try:
        return TimePoint.parse(text)
    except OptionsError as error:  # typer would put "Value error" in front of it
        raise typer.BadParameter(str(error)) from error


Start = Annotated[
    TimePoint | None,
    typer.Option(
        parser=parse_time,
        metavar="TIME",
        help="First frame: 12.5 (seconds), 300f (frame index from 0) or 1:30.5 (timecode).  [default: first frame]",
    ),
]
End = Annotated[
    TimePoint | None,
    typer.Option(
        parser=parse_time,
        metavar="TIME",
        help="Stop before this point; written as --start.  [default: end of video]",
    ),
]


def check_crf(codec: CodecName, crf: int | None) -> None:
    """Refuse a quality that the encoder does not know.

    Raises:
        OptionsError: it is too large.
    """
    if crf is not None and crf > 51 and codec in ("h264", "h265"):
        raise OptionsError(f"crf must be at most 51 with {codec}, got {crf}")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the videos of a command are encoded."""

    codec: CodecName
    crf: int | None
    is_part: bool
    """See `Rewrite`."""

    def write(self, path: Path, out: Path | None = None) -> Rewrite:
        """Into a file, in an output folder if there is one."""
        from ferflow.render.rewrite import Rewrite

        return Rewrite(target=path, out=out, codec=self.codec, crf=self.crf, is_part=self.is_part)


@dataclass(slots=True)
class Outcome:
    """How the inputs of a command end; it counts, and prints what went wrong."""

    quiet: bool
    n_done: int = 0
    n_failed: int = 0
    n_incomplete: int = 0
    written: list[Path] = field(default_factory=list)

    def fail(self, message: str | None) -> None:
        """Count an input without a result; None: why was printed before."""
        self.n_failed += 1
        if message is not None:
            print_message(message)

    def drop_problems(self, targets: Sequence[Target]) -> list[Target]:
        """Report targets that cannot be written, and return the others."""
        for target in targets:
            if target.problem is not None:
                self.fail(target.problem)
        return [target for target in targets if target.problem is None]

    @contextmanager
    def note_errors(self, source: Path) -> Iterator[None]:
        """Count and report what is wrong with one input, which must not cost the others."""
        from ferflow.store.failure_kinds import describe_failure

        try:
            yield
        except (FerflowError, OSError, MemoryError) as error:
            self.fail(describe_failure(source, error))

    def finish(self, source: Path, path: Path, made: Made) -> None:
        """Count one with a result."""
        self.n_done += 1
        self.n_incomplete += made.has_gaps
        self.written.append(path)
        if not self.quiet:
            for warning in made.warnings:
                print_message(f"{source.name}: {warning}")
            echo(path)

    def exit(self) -> None:
        """End the process with the exit code of `ferflow analyze`."""
        if self.n_failed and not self.n_done:
            sys.exit(VideoError.exit_code)
        sys.exit(EXIT_PARTIAL if self.n_failed or self.n_incomplete else 0)


def follow_steps(source: Path, steps: Iterator[Step | Made], *, quiet: bool) -> Made:
    """As `follow_each`, where one file is made."""
    (made,) = follow_each(source, steps, quiet=quiet)
    return made


def follow_each(source: Path, steps: Iterator[Step | Made], *, quiet: bool) -> Iterator[Made]:
    """Show steps as a bar, as far as stderr is a terminal; yields what was made."""
    from contextlib import closing

    from tqdm import tqdm

    from ferflow.render.annotate_video import Made

    with (
        closing(steps),  # type: ignore[type-var]
        tqdm(
            desc=sanitize(source.name)[:40], unit="s", disable=True if quiet else None, leave=False,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total_fmt} s {postfix} [{elapsed}<{remaining}]",
        ) as bar,
    ):  # fmt: skip
        for step in steps:
            if isinstance(step, Made):
                yield step
                continue
            bar.set_postfix_str(step.doing, refresh=False)
            bar.total = round(max(step.of_s or 0.0, step.done_s), 1)
            bar.n = round(step.done_s, 1)
            bar.refresh()


def clean_up(paths: Sequence[Path]) -> Callable[[], None]:
    """A function that removes the half-written files of killed children; for `interruptible`."""

    def remove() -> None:
        from ferflow.store.atomic_files import remove_abandoned

        for path in paths:
            remove_abandoned(path)

    return remove
