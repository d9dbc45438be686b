"""`ferflow train`: train an expression model on labelled faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ferflow.cli.common import Output, Quiet, Verbose, log_to_stderr, share_option
from ferflow.cli.printing import echo
from ferflow.system.runtime import import_keras

if TYPE_CHECKING:
    from ferflow.models.cards import ModelCard
    from ferflow.models.history import Epoch
    from ferflow.models.training.options import TrainOptions


def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="FER2013 as the Kaggle CSV or an npz, or a folder of images with one subfolder per class.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Folder of this run. A run in it is resumed if its options are the same, and refused otherwise.",
        ),
    ],
    recipe: Annotated[
        str, typer.Option(help="Network and training settings; `ferflow models` lists them.", metavar="NAME")
    ] = "default",
    epochs: Annotated[
        int | None, typer.Option(help="Number of epochs.  [default: the recipe's]", metavar="N")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.  [default: 1]", metavar="N")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images per training step.  [default: the recipe's]", metavar="N")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Highest learning rate, reached after the warm-up.  [default: the recipe's]", metavar="R"
        ),
    ] = None,
    mixup: Annotated[
        float | None,
        typer.Option(
            help="Mixup: both parameters of the Beta distribution; 0: no mixup.  [default: the recipe's]",
            metavar="A",
        ),
    ] = None,
    sharpness_radius: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Sharpness-aware minimisation (SAM): distance from the weights at which gradients are taken, such as "
            "0.05; a step takes twice the time. 0: not used.  [default: the recipe's]",
            metavar="R",
        ),
    ] = None,
    augment: Annotated[
        Literal["video", "light", "filmed", "none"] | None,
        typer.Option(
            help="Augmentation: as strong as crops from video vary, about half as strong, light with motion blur, "
            "shade and things in front of the face, or none.  [default: the recipe's]"
        ),
    ] = None,
    balance: Annotated[
        Literal["none", "weights", "oversample"] | None,
        typer.Option(
            help="Class balancing: weight rows of rare classes, or show them more often.  [default: the recipe's]"
        ),
    ] = None,
    backbone_weights: Annotated[
        str | None,
        typer.Option(
            help="Initial weights of transfer recipes: imagenet (downloaded by Keras), an h5 file, or none "
            "(random).  [default: the recipe's]",
            metavar="PATH|imagenet|none",
        ),
    ] = None,
    compute: Annotated[
        str | None,
        typer.Option(
            help="Keras dtype policy; mixed_bfloat16 is faster on GPUs and CPUs with AVX512-BF16.  [default: "
            "float32]",
            metavar="float32|mixed_bfloat16|mixed_float16",
        ),
    ] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            help="Start from the weights of an earlier run or a model with the same network, or a narrower one; "
            "ignored when a run is resumed.",
            metavar="FOLDER|NAME",
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="Distillation: an earlier run or model, or an npz with stored answers of teachers, whose outputs "
            "are mixed into the targets; may be repeated.",
            metavar="FOLDER|NAME|FILE",
        ),
    ] = None,
    teacher_share: Annotated[
        float | None,
        share_option("Weight of the teachers' outputs in the targets.  [default: 0.5]", "W"),
    ] = None,
    hold_out: Annotated[
        bool,
        typer.Option(
            "--hold-out",
            help="Select on a fixed tenth of the Training rows, which leaves PublicTest for the final figures.",
        ),
    ] = False,
    keep: Annotated[
        Literal["best", "last"] | None,
        typer.Option(
            help="Keep the weights of the epoch with the best score on the selection rows, or of the last epoch, which "
            "selects nothing.  [default: best]"
        ),
    ] = None,
    labels_only: Annotated[
        bool,
        typer.Option(
            "--labels-only",
            help="Train one head on the labels, even if the data has votes of annotators (FER+).",
        ),
    ] = False,
    label_share: Annotated[
        float | None,
        share_option(
            "Weight of the label head in the finished model; the vote head has the rest.  [default: the best "
            "on the selection rows]",
            "W",
        ),
    ] = None,
    tau: Annotated[
        float | None,
        share_option(
            "Power of the learned class prior that is divided out.  [default: the best on the selection rows]",
            "T",
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after N epochs without a better score; 0: never stop early.  [default: the recipe's]",
            metavar="N",
        ),
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Train an expression model.

    Safe to interrupt: the same command resumes from the last checkpoint, which is written after every epoch. Needs
    `pip install 'ferflow[train]'`. Writes a model card, Keras weights and an ONNX network; use the folder as --model of
    analyze. From the first epoch on, curves.html shows the learning curves.

    The best epoch is selected on the PublicTest rows, or with --hold-out on a fixed tenth of the Training rows. If the
    data has no splits, a tenth of each class is held out for it.
    """
    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    # First, so that a missing package is reported before data is read, and Keras cannot be imported in another way.
    import_keras("training")
    from ferflow.models.data.augment import AUGMENTATIONS
    from ferflow.models.training.options import FULL_SIZE
    from ferflow.models.training.recipes import options_of

    chosen: dict[str, object] = {
        "epochs": epochs, "seed": seed, "batch_size": batch_size, "learning_rate": learning_rate,
        "mixup": mixup, "patience": patience, "compute": compute, "balance": balance,
        "sharpness_radius": sharpness_radius, "backbone": backbone_weights,
        "label_share": label_share, "prior_tau": tau,
        "augmentation": None if augment is None else AUGMENTATIONS[augment],
        "votes": False if labels_only else None, "hold_out": hold_out or None, "keep": keep,
        "teachers": tuple(teacher) if teacher else None, "teacher_share": teacher_share,
        # Small images are useful only for the first cycle, which learns coarse features.
        "image_sizes": None if start_from is None else FULL_SIZE,
    }  # fmt: skip
    card = _run(data, out, options_of(recipe, **chosen), start_from, quiet=quiet)
    if not quiet:
        _print_scores(card, out)


def _run(data: Path, out: Path, options: TrainOptions, start: str | None, *, quiet: bool) -> ModelCard:
    """Train with a progress bar on stderr and the page of learning curves in the folder of the run."""
    from ferflow.dashboards.model_pages.training_curves import write_curves
    from ferflow.jobs.progress import Epochs
    from ferflow.models.training.train import train as run_training

    with Epochs(options.epochs, quiet=quiet) as epochs_bar:

        def end_epoch(figures: Epoch) -> None:
            epochs_bar.ended(figures)
            write_curves(out, options.name)

        card = run_training(data, out, options, start=start, on_epoch=end_epoch, on_step=epochs_bar.reached)
    write_curves(out, options.name)  # a resumed run may have had no epoch left
    return card


def _print_scores(card: ModelCard, out: Path) -> None:
    for kind, scores in card.scores.by_kind().items():
        echo(f"{kind}: {scores}")
    echo(f"Model: {out / 'card.json'}  curves: {out / 'curves.html'}")
