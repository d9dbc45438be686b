"""`ferflow evaluate`: measure a model on labelled faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ferflow.cli.common import DEFAULTS, Model, Output, Quiet, Verbose, log_to_stderr
from ferflow.cli.printing import echo
from ferflow.errors import ModelError

if TYPE_CHECKING:
    from ferflow.models.cards import ModelCard
    from ferflow.models.classifier import Classifier
    from ferflow.models.evaluation import Assessment
    from ferflow.models.metrics import Scores

# `cards.WeightsKind`, which cannot be imported here: the help must not wait for NumPy.
WeightsName = Literal["onnx", "onnx_float", "keras"]


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Kaggle CSV, npz of images and labels, or a folder of images with one subfolder per class; images "
            "of any size.",
        ),
    ],
    model: Model = DEFAULTS.model,
    usage: Annotated[
        list[str] | None,
        typer.Option(
            help="Only rows of this split, for example PublicTest; may be repeated.  [default: all but Training; "
            "all rows if the data names no splits]",
            metavar="SPLIT",
        ),
    ] = None,
    weights: Annotated[
        WeightsName,
        typer.Option(
            help="Weights to evaluate: as ferflow analyze uses them on a CPU (onnx), float ONNX, or Keras."
        ),
    ] = "onnx",
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Also write all scores as JSON.", metavar="OUT.json")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Also write a page. It shows faces of the data set.", metavar="OUT.html"),
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Measure the accuracy of a model on labelled faces.

    Rows or images that cannot be read are skipped and counted. A data set without a usable row, or with a wrong layout
    (a missing column, a folder that is not a class), is refused.
    """
    from ferflow.models.data.dataset import load
    from ferflow.models.evaluation import assess
    from ferflow.models.registry import resolve
    from ferflow.store.atomic_files import atomic_write

    log_to_stderr(Output(verbose=verbose, quiet=quiet))
    card = resolve(model)
    faces = load(data)
    classifier = _classifier(card, weights)
    form = f"{weights} (int8)" if weights == "onnx" and card.is_int8 else weights
    found = assess(classifier, faces, data=data.name, weights=form, splits=usage or ())
    if json_path is not None:
        with atomic_write(json_path) as part:
            part.write_text(json.dumps(found.table(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    if report is not None:
        from ferflow.dashboards.model_pages.evaluation import write_evaluation

        write_evaluation(report, found)
    if not quiet:
        echo(*_describe(found).split("\n"))
        for path in filter(None, (json_path, report)):
            echo(f"Written: {path}")


def _classifier(card: ModelCard, weights: WeightsName) -> Classifier:
    import importlib.util

    from ferflow.models.classifier import KerasClassifier, OnnxClassifier

    if weights != "keras":
        return OnnxClassifier(card, weights=card.float_file if weights == "onnx_float" else weights)
    # Looked up, not imported: that takes many seconds, and `KerasClassifier` does it.
    if importlib.util.find_spec("tensorflow") is None:
        raise ModelError("keras weights need TensorFlow. Run: pip install 'ferflow[train]'")
    return KerasClassifier(card)


def _describe(found: Assessment) -> str:
    scores = found.scores
    rows = " + ".join(found.splits) if found.splits else "all rows"
    lines = [f"{scores.model}, {found.weights}, on {found.data} ({rows}): {scores.n} faces", ""]
    lines.append(f"{'':24} accuracy  top-2  macro recall  macro F1    ECE  faces")
    lines.append(_line("labels", scores))
    if found.without_leaks is not None and found.leaks:
        lines.append(_line("without leaks", found.without_leaks))
    if found.ferplus_majority is not None:
        lines.append(_line("FER+ majority", found.ferplus_majority))
    lines += ["", f"{'':24} precision  recall     F1  faces"]
    lines += [
        f"{name:24} {part.precision:9.3f} {part.recall:7.3f} {part.f1:6.3f} {part.support:6d}"
        for name, part in scores.per_class.items()
    ]
    lines += ["", f"{scores.faces_per_second:.0f} faces/s"]
    if found.leaks is not None:
        lines.append(
            f"{found.leaks} of these rows are also in the Training split; "
            f"according to the card, {found.card.leaks} such rows were left out of training"
        )
    if found.left_out:
        lines.append(f"{found.left_out} rows left out: their classes are not classes of this model")
    lines += [f"{count} rows skipped: {reason}" for reason, count in found.skipped.items()]
    return "\n".join(lines)


def _line(name: str, scores: Scores) -> str:
    return (
        f"{name:24} {scores.accuracy:8.4f} {scores.top2_accuracy:6.3f} {scores.macro_recall:13.4f}"
        f" {scores.macro_f1:9.4f} {scores.ece:6.3f} {scores.n:6d}"
    )
