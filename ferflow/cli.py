"""The command line: parse, call, print. Heavy imports are inside, so that `--help` answers at once."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from ferflow import __version__
from ferflow.errors import EXIT_INTERRUPTED, FerflowError, ModelError, OptionsError
from ferflow.options import AnalyzeOptions, BackendName, DetectorName, DeviceName, TimePoint
from ferflow.text import shown

if TYPE_CHECKING:
    from ferflow.jobs.run import RunReport
    from ferflow.tasks import VideoTask

app = typer.Typer(
    name="ferflow",
    help="Video files in, honest facial-expression data and readable reports out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

NOTICE = """\
ferflow works on this machine only: nothing leaves it, and no face image is kept.
An expression is a movement of the face, not proof of a feeling (Barrett et al., 2019). Inform the people you
record and have their consent (GDPR; EU AI Act Art. 50(3)). In the EU, inferring emotions at work or in
education is forbidden, medical and safety reasons aside (AI Act Art. 5(1)(f))."""

_DEFAULTS = AnalyzeOptions()

EngineName = Literal["local", "ray"]


def _time(text: str) -> TimePoint:
    try:
        return TimePoint.parse(text)
    except OptionsError as error:  # typer would put "Value error" before it
        raise typer.BadParameter(str(error)) from error


def _named(text: str) -> str:
    """An unset shell variable must not mean the current folder."""
    if not text:
        raise typer.BadParameter("empty name")
    return text


def _folder(text: str) -> Path:
    return Path(_named(text))


Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        parser=_named,
        help="Video files, folders (recursive), globs, folders of numbered images.",
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", parser=_folder, metavar="FOLDER", help="Output folder.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, with traces of unexpected errors.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]


@app.callback(invoke_without_command=True)
def ferflow(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Video files in, honest facial-expression data and readable reports out."""
    if version:
        typer.echo(f"ferflow {__version__}")
        raise typer.Exit


@app.command()
def analyze(
    inputs: Inputs,
    out: Out,
    every: Annotated[
        int | None, typer.Option(help=f"Analyse each N-th frame.  [default: {_DEFAULTS.every}]", metavar="N")
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Analyse at most F frames per second of video time.  [default: every frame]", metavar="F"
        ),
    ] = None,
    start: Annotated[
        TimePoint | None,
        typer.Option(
            parser=_time,
            metavar="TIME",
            help="Begin here: 12.5 (seconds), 300f (frame) or 1:30.5 (timecode).",
        ),
    ] = None,
    end: Annotated[
        TimePoint | None,
        typer.Option(parser=_time, metavar="TIME", help="Stop before this point; written as --start."),
    ] = None,
    min_face: Annotated[
        int | None,
        typer.Option(
            help="Smallest face looked for, in pixels, 10 or more.  [default: 1/15 of the short side, at least 24]",
            metavar="PX",
        ),
    ] = None,
    detector: Annotated[
        DetectorName | None,
        typer.Option(help=f"Face detector; haar knows no head pose.  [default: {_DEFAULTS.detector}]"),
    ] = None,
    score: Annotated[
        float | None,
        typer.Option(
            help=f"Leave out detections scored below this, 0.1 to 1.  [default: {_DEFAULTS.score}]",
            metavar="S",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Expression model: a name, or the path of a model card.  [default: {_DEFAULTS.model}]",
            metavar="NAME|PATH",
        ),
    ] = None,
    participants: Annotated[
        int | None,
        typer.Option(
            help="Known number of people in each video; with 1, the largest face is that person.", metavar="N"
        ),
    ] = None,
    bin_seconds: Annotated[
        float | None,
        typer.Option(
            "--bin",
            help=f"Length of a timeline bin.  [default: {_DEFAULTS.bin_seconds:g}]",
            metavar="SECONDS",
        ),
    ] = None,
    sequence_fps: Annotated[
        float | None,
        typer.Option(
            help=f"Frames per second of numbered images.  [default: {_DEFAULTS.sequence_fps:g}]", metavar="F"
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help=f"Faces classified together; results stay the same.  [default: {_DEFAULTS.batch_size}]",
            metavar="N",
        ),
    ] = None,
    device: Annotated[
        DeviceName | None, typer.Option(help=f"Where faces are classified.  [default: {_DEFAULTS.device}]")
    ] = None,
    backend: Annotated[
        BackendName | None,
        typer.Option(
            help=f"What classifies them: onnx, or keras (TensorFlow).  [default: {_DEFAULTS.backend}]"
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.  [default: as many as there are CPUs]", metavar="N")
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="What carries out the work; ray needs ferflow[ray].")
    ] = "local",
    job: Annotated[
        Path | None,
        typer.Option(
            help="TOML of options, named as in ferflow.AnalyzeOptions; the command line wins.",
            metavar="FILE.toml",
        ),
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no HTML pages.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are there already.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Turn videos into tables and a page to look at.

    Per video: a table of frames, of faces and of a timeline, and an HTML report.

    Finished videos are passed over, so the same command continues where it was cut short. Exit code: 0 all
    done, 10 some inputs failed or have gaps, 2 wrong options, 3 nothing could be analysed, 4 model, 5 output
    folder, 130 interrupted.
    """
    base = AnalyzeOptions.from_toml(job) if job is not None else _DEFAULTS
    options = base.updated(
        every=every, fps=fps, start=start, end=end, min_face=min_face, detector=detector, score=score,
        model=model, participants=participants, bin_seconds=bin_seconds, sequence_fps=sequence_fps,
        batch_size=batch_size, threads=threads, device=device, backend=backend,
    )  # fmt: skip
    _log_to_stderr(verbose=verbose, quiet=quiet)
    if dry_run:
        from ferflow.tasks import plan

        _print_plan(plan(inputs, out, options, overwrite=overwrite))
        return
    _run(inputs, out, options, overwrite=overwrite, pages=not no_report, engine=engine, quiet=quiet)


@app.command()
def demo(
    out: Out = Path("ferflow-demo"),
    seconds: Annotated[float, typer.Option(help="Length of the sample clip.", min=2.0)] = 20.0,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Analyse a sample clip, drawn here and now."""
    from ferflow.sample import draw_sample

    _log_to_stderr(verbose=verbose, quiet=quiet)
    clip = out / f"sample-{seconds:g}s.mp4"
    clip.parent.mkdir(parents=True, exist_ok=True)
    if not clip.exists():
        if not quiet:
            typer.echo("Drawing a sample clip ...", err=True)
        draw_sample(clip, seconds=seconds)
    _run([str(clip)], out / "results", _DEFAULTS, quiet=quiet)


@app.command()
def train(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="FER2013 as the Kaggle CSV or an npz, or a folder per class."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of this run; a run in it goes on.")],
    recipe: Annotated[
        str | None, typer.Option(help="Architecture.  [default: resnet-lean]", metavar="NAME")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Length of the schedule.", metavar="N")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything drawn at random.", metavar="N")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in a step.", metavar="N")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.", metavar="R")] = None,
    mixup: Annotated[
        float | None, typer.Option(help="Strength of mixing pairs of images; 0: none.", metavar="A")
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="Begin with the best weights of an earlier run.", metavar="FOLDER")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Stop after N epochs without a better score; 0: never.", metavar="N")
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Train an expression model.

    Kill it when you like: the same command goes on from the last epoch. Needs `pip install 'ferflow[train]'`.
    Writes a model card, Keras weights and an ONNX network; analyze takes the folder as --model.
    """
    import importlib.util

    if importlib.util.find_spec("keras") is None:
        raise ModelError("training needs TensorFlow. Run: pip install 'ferflow[train]'")
    from ferflow.models.options import FULL_SIZE, TrainOptions
    from ferflow.models.train import train as run_training
    from ferflow.progress import Epochs

    _log_to_stderr(verbose=verbose, quiet=quiet)
    chosen: dict[str, Any] = {
        "recipe": recipe, "epochs": epochs, "seed": seed, "batch_size": batch_size,
        "learning_rate": learning_rate, "mixup": mixup, "patience": patience,
    }  # fmt: skip
    if start_from is not None:
        chosen["image_sizes"] = FULL_SIZE  # small images were for learning the coarse part
    options = TrainOptions(**{name: value for name, value in chosen.items() if value is not None})
    with Epochs(options.epochs, quiet=quiet) as epochs_bar:
        card = run_training(data, out, options, start=start_from, on_epoch=epochs_bar.ended)
    if not quiet:
        accuracy = card.scores.get("labels", {}).get("accuracy")
        typer.echo(f"Model: {out / 'card.json'}" + (f"  accuracy {accuracy:.4f}" if accuracy else ""))


class _Interrupted(BaseException):
    """Ctrl+C or SIGTERM. (Of a KeyboardInterrupt typer would make "Aborted!" and exit code 1.)"""


def main() -> NoReturn:
    """Run the command line; one line per error, and an exit code to act on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        app(standalone_mode=True)
    except _Interrupted:
        typer.echo("ferflow: interrupted. What is done is kept; the same command does the rest.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except FerflowError as error:
        typer.echo(f"ferflow: {shown(error)}", err=True)
        sys.exit(error.exit_code)
    sys.exit(0)


def _run(
    inputs: list[str],
    out: Path,
    options: AnalyzeOptions,
    *,
    overwrite: bool = False,
    pages: bool = True,
    engine: EngineName = "local",
    quiet: bool = False,
) -> NoReturn:
    from ferflow.jobs.run import run
    from ferflow.progress import Bars

    if not quiet and not (out / "run.json").exists():
        typer.echo(NOTICE, err=True)
    with Bars(quiet=quiet) as bars:
        report = run(inputs, out, options, overwrite=overwrite, pages=pages, engine=engine, listener=bars)
    if not quiet:
        _print_summary(report, pages=pages)
    sys.exit(report.exit_code)


def _print_plan(tasks: list[VideoTask]) -> None:
    for task in tasks:
        if task.paths is None:
            typer.echo(f"cannot   {shown(task.problem)}")
        else:
            verb = "skip" if task.is_finished else "analyse"
            typer.echo(f"{verb:8} {shown(task.source)}  ->  {task.paths.video_id}")
    pending = sum(task.paths is not None and not task.is_finished for task in tasks)
    typer.echo(f"{pending} to analyse, {len(tasks) - pending} not.")


def _print_summary(report: RunReport, *, pages: bool) -> None:
    from ferflow.progress import summary

    typer.echo(summary(report.videos))
    typer.echo(f"Data: {report.out}/frames  {report.out}/faces  {report.out}/timeline  {report.out}/run.json")
    if pages:
        typer.echo(f"Report: {report.out / 'index.html'}")


def _log_to_stderr(*, verbose: bool, quiet: bool) -> None:
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(level=logging.WARNING, format="ferflow: %(message)s", stream=sys.stderr)
    logging.getLogger("ferflow").setLevel(level)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Half-written files are removed on the way out, finished ones stay."""
    raise _Interrupted
