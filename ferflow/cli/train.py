"""`ferflow train`: an expression model from labelled faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ferflow.cli.common import Quiet, Verbose, Voice, log_to_stderr
from ferflow.errors import ModelError


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
    compute: Annotated[
        str | None,
        typer.Option(
            help="Keras dtype policy; mixed_bfloat16 pays on GPUs and CPUs with AVX512-BF16.  [default: float32]",
            metavar="POLICY",
        ),
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

    log_to_stderr(Voice(verbose=verbose, quiet=quiet))
    chosen: dict[str, Any] = {
        "recipe": recipe, "epochs": epochs, "seed": seed, "batch_size": batch_size,
        "learning_rate": learning_rate, "mixup": mixup, "patience": patience, "compute": compute,
    }  # fmt: skip
    if start_from is not None:
        chosen["image_sizes"] = FULL_SIZE  # small images were for learning the coarse part
    options = TrainOptions(**{name: value for name, value in chosen.items() if value is not None})
    with Epochs(options.epochs, quiet=quiet) as epochs_bar:
        card = run_training(data, out, options, start=start_from, on_epoch=epochs_bar.ended)
    if not quiet:
        accuracy = card.scores.get("labels", {}).get("accuracy")
        typer.echo(f"Model: {out / 'card.json'}" + (f"  accuracy {accuracy:.4f}" if accuracy else ""))
