"""`ferflow models export`: write a trained model as ONNX files with a card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferflow.cli.common import Out, Output, Quiet, Verbose, log_to_stderr, share_option
from ferflow.cli.printing import echo
from ferflow.errors import OptionsError
from ferflow.system.runtime import import_keras

if TYPE_CHECKING:
    from ferflow.models.cards import ModelCard


def export_model(
    model: Annotated[
        str,
        typer.Argument(metavar="RUN|MODEL", help="Folder of a training run, a card, or the name of a model."),
    ],
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled faces in a format of ferflow train: int8 is calibrated on Training rows and evaluated on "
            "PublicTest rows; without splits, on a held-out tenth of each class.",
            metavar="DATA",
        ),
    ] = None,
    label_share: Annotated[
        float | None,
        share_option(
            "Export one model instead of the presets, with this weight for the label head (vote head: the "
            "rest); needs --data.  [default with --tau: the best]",
            "W",
        ),
    ] = None,
    tau: Annotated[
        float | None,
        share_option(
            "Export one model instead of the presets, dividing out this power of the learned class prior; "
            "needs --data.  [default with --label-share: the best]",
            "T",
        ),
    ] = None,
    occlusion: Annotated[
        bool,
        typer.Option(
            "--occlusion",
            help="Add a head that marks faces whose mouth is covered, fitted on drawn masks and hands; needs --data.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the model in the output folder.")
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Export a model as ONNX: float32, and with --data also int8.

    Both files are made from the Keras weights and compared with them; a card lists every file with its sha256. A run
    that was trained on labels and votes gives one set of files and one card per preset (default, fer2013, ferplus)
    when --data is the data set it was trained on. Needs `pip install 'ferflow[train]'`.
    """
    from ferflow.models.registry import resolve

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    card = resolve(model)
    import_keras("exporting")
    if card.folder is not None and out.resolve() == card.folder.resolve():
        raise OptionsError(f"{out} is the folder of this model itself. Give another folder with --out.")
    from ferflow.models.data.dataset import load
    from ferflow.models.training.presets import own_preset
    from ferflow.models.training.release import card_file, cards_in, release

    there = cards_in(out)
    if there and not overwrite:
        raise OptionsError(f"{out} already contains a model. Give another folder, or --overwrite.")
    own = label_share is not None or tau is not None
    presets = own_preset(card, share=label_share, tau=tau) if own else None
    faces = None if data is None else load(data)
    written = release(card, out, faces, presets, occlusion=occlusion)
    for old in set(there) - {out / card_file(made, written) for made in written}:
        old.unlink()  # it is replaced, and `--model OUT` would still lead to it
    if not quiet:
        echo(*_describe(out, written))


def _describe(out: Path, written: Sequence[ModelCard]) -> Iterator[str]:
    """The files, and what each card reaches."""
    from ferflow.models.training.release import card_file

    for kind, file in written[0].files.items():
        size = (out / file.file).stat().st_size / 1e6
        yield f"{kind:10}  {size:6.2f} MB  {out / file.file}  sha256 {file.sha256[:12]}…"
    for card in written:
        yield f"Card: {out / card_file(card, written)}{f', for {card.purpose}' if card.purpose else ''}"
        yield from (f"  {labels}: {scores}" for labels, scores in card.scores.by_kind().items())
