"""`ferflow export`: a trained model as the files that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferflow.cli.common import Out, Quiet, Verbose, Voice, log_to_stderr
from ferflow.errors import ModelError, OptionsError


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A name, a card, or the folder of a training run.")
    ],
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled faces: int8 is calibrated on the Training rows, measured on PublicTest.",
            metavar="DATA",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write a model as ONNX: float32, and with --data int8 too.

    Both are made from the Keras weights and held against them; the card lists every file with its sha256. Needs
    `pip install 'ferflow[train]'`.
    """
    import importlib.util

    from ferflow.models.registry import CARD_FILE, resolve

    log_to_stderr(Voice(verbose=verbose, quiet=quiet))
    card = resolve(model)
    if importlib.util.find_spec("keras") is None:
        raise ModelError("exporting needs TensorFlow. Run: pip install 'ferflow[train]'")
    if card.folder is not None and out.resolve() == card.folder.resolve():
        raise OptionsError(f"{out} holds the model itself. Give another folder with --out.")
    if (out / CARD_FILE).exists() and not overwrite:
        raise OptionsError(f"{out} holds a model already. Give another folder, or --overwrite.")
    from ferflow.models.dataset import load
    from ferflow.models.release import release

    written = release(card, out, None if data is None else load(data))
    if not quiet:
        for kind, file in written.files.items():
            size = (out / file.file).stat().st_size / 1e6
            typer.echo(f"{kind:10}  {size:6.2f} MB  {out / file.file}  sha256 {file.sha256[:12]}…")
        for kind, scores in written.scores.items():
            if "accuracy" in scores:
                typer.echo(
                    f"{kind}: accuracy {scores['accuracy']:.4f}, macro recall {scores['macro_recall']:.4f}"
                )
        typer.echo(f"Card: {out / CARD_FILE}")
