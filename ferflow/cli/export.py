"""`ferflow export`: a trained model as the files that are shipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.common import Out, Output, Quiet, Verbose, log_to_stderr, share
from ferflow.errors import OptionsError
from ferflow.system.runtime import import_keras

if TYPE_CHECKING:
    from ferflow.models.cards import ModelCard


def export(
    model: Annotated[
        str, typer.Argument(metavar="RUN|MODEL", help="The folder of a training run, a card, or a name.")
    ],
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled faces: int8 is calibrated on the Training rows, measured on PublicTest.",
            metavar="DATA",
        ),
    ] = None,
    label_share: Annotated[
        float | None,
        share(
            "Instead of presets, one model with this weight of the labels' head; the votes' head has the rest.",
            "W",
        ),
    ] = None,
    tau: Annotated[
        float | None,
        share("Instead of presets, one model with this power of the learnt class prior divided out.", "T"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write a model as ONNX: float32, and with --data int8 too.

    Both are made from the Keras weights and held against them; a card lists every file with its sha256. A run that
    learnt labels and votes becomes one set of files and a card per preset (default, fer2013, ferplus), with --data as
    it was trained on. Needs `pip install 'ferflow[train]'`.
    """
    from ferflow.models.registry import resolve

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    card = resolve(model)
    import_keras("exporting")
    if card.folder is not None and out.resolve() == card.folder.resolve():
        raise OptionsError(f"{out} holds the model itself. Give another folder with --out.")
    from ferflow.models.data.dataset import load
    from ferflow.models.training.presets import own_preset
    from ferflow.models.training.release import card_file, cards_in, release

    there = cards_in(out)
    if there and not overwrite:
        raise OptionsError(f"{out} holds a model already. Give another folder, or --overwrite.")
    own = label_share is not None or tau is not None
    presets = own_preset(card, share=label_share, tau=tau) if own else None
    written = release(card, out, None if data is None else load(data), presets)
    for old in set(there) - {out / card_file(made, written) for made in written}:
        old.unlink()  # it is replaced, and `--model OUT` would still lead to it
    if not quiet:
        typer.echo("\n".join(_told(out, written)))


def _told(out: Path, written: Sequence[ModelCard]) -> Iterator[str]:
    """The files, and what each card reaches."""
    from ferflow.models.training.release import card_file

    for kind, file in written[0].files.items():
        size = (out / file.file).stat().st_size / 1e6
        yield f"{kind:10}  {size:6.2f} MB  {out / file.file}  sha256 {file.sha256[:12]}…"
    for card in written:
        yield f"Card: {out / card_file(card, written)}{f', for {card.purpose}' if card.purpose else ''}"
        for kind, scores in card.scores.items():
            if "accuracy" in scores:
                yield (
                    f"  {kind}: accuracy {scores['accuracy']:.4f}, macro recall {scores['macro_recall']:.4f}, "
                    f"ECE {scores['ece']:.3f}"
                )
