"""Write the table of recipes in docs/recipes.md from the cards of runs.

    python -m ferflow.jobs.benchmarks.recipes_table [RUNS...] [--out docs/recipes.md] [--time fer2013.npz]

RUNS are folders that contain folders written by `ferflow train --recipe NAME -o RUNS/NAME`, or such a folder itself. A
run without a card gets a row with its best epoch so far, marked as unfinished. A recipe without a run keeps its row in
the file, because training all recipes takes very long; `--time` estimates the minutes of rows that have none, from a
few steps.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from msgspec import structs

from ferflow.analytics.measure_docs import END, replace_table
from ferflow.models.backbones import RANDOM
from ferflow.models.cards import ModelCard
from ferflow.models.data.augment import AUGMENTATIONS
from ferflow.models.data.dataset import SELECTION, TRAINING, load, split
from ferflow.models.data.labelled_faces import Faces
from ferflow.models.flops import network_cost
from ferflow.models.history import HISTORY_FILE, Epoch, read_history
from ferflow.models.keras_network import Network, build
from ferflow.models.registry import CARD_FILE, resolve
from ferflow.models.training.checkpoint import STATE_FILE, read
from ferflow.models.training.options import TrainOptions
from ferflow.models.training.recipes import RECIPES, options_of
from ferflow.models.training.targets import oversample
from ferflow.models.training.train import train

BEGIN = "<!-- table: python -m ferflow.jobs.benchmarks.recipes_table -->"
HEADER = [
    "recipe", "published on FER2013", "accuracy", "macro recall", "macro precision", "macro F1", "ECE",
    "FER+ majority: accuracy", "macro recall", "parameters", "MFLOP", "minutes", "epochs", "made by",
]  # fmt: skip


MINUTES = HEADER.index("minutes")

_UNTRAINED = ["not trained here"] + [""] * (len(HEADER) - 3)


@dataclass(frozen=True, slots=True)
class Run:
    """A finished or unfinished run."""

    card: ModelCard | None
    history: list[Epoch]
    options: TrainOptions


def find_runs(folders: list[Path]) -> dict[str, Run]:
    """Find runs, by the name of their recipe; the recipe of the shipped network is `default`."""
    shipped = RECIPES["default"].options.recipe
    found = {}
    for folder in folders:
        for path in sorted([*folder.glob(HISTORY_FILE), *folder.glob(f"*/{HISTORY_FILE}")]):
            options = read(path.parent / STATE_FILE).options
            card = resolve(path.parent) if (path.parent / CARD_FILE).exists() else None
            name = "default" if options.name == shipped else options.name
            found[name] = Run(card, read_history(path.parent), options)
    return found


def make_table(runs: dict[str, Run], before: str = "") -> str:
    """Make the table as Markdown: the recipes of papers and `default`, in the order of `RECIPES`.

    Args:
        runs: by recipe, see `find_runs`.
        before: the table in the file, for the rows of recipes without a run.
    """
    kept = {line.split("`")[1]: line for line in before.splitlines() if line.startswith("| `")}
    lines = [_line(HEADER), _line(["---"] * len(HEADER))]
    for name, recipe in RECIPES.items():
        if not recipe.published and name != "default":
            continue
        if name not in runs and name in kept:
            lines.append(kept[name])
            continue
        figures = _figures(name, runs[name]) if name in runs else _UNTRAINED
        lines.append(_line([f"`{name}`", recipe.published or "ours", *figures]))
    return "\n".join(lines)


TIMED_STEPS = 12


def add_minutes(table: str, data: Path) -> str:
    """Fill in the minutes of training where a row of the table has none, as estimated on this machine.

    Args:
        table: as `make_table` makes it.
        data: FER2013, a data set that `dataset.load` can read.

    Raises:
        OptionsError: the data cannot be used.
    """
    faces = load(data)
    lines = table.splitlines()
    for place, line in enumerate(lines):
        cells = line.strip("| ").split(" | ")
        if not line.startswith("| `") or len(cells) != len(HEADER) or cells[MINUTES].strip():
            continue
        compute = "mixed_bfloat16" if "--compute mixed_bfloat16" in line else None
        options = options_of(cells[0].strip("`"), backbone=RANDOM, compute=compute)
        n_epochs = int(cells[MINUTES + 1].split()[0])
        cells[MINUTES] = f"about {n_epochs * time_epoch(faces, options) / 60:.0f}"
        lines[place] = _line(cells)
    return "\n".join(lines)


def time_epoch(faces: Faces, options: TrainOptions) -> float:
    """Seconds that an epoch would take, from the second epoch of a run with a few batches: the first one compiles."""
    training = split(faces, options.seed).training
    n_rows = len(training)
    if options.balance == "oversample":
        n_rows = len(oversample(options.classes.renumber(training.labels), np.random.default_rng(0)))
    few = training.where(np.arange(len(training)) < TIMED_STEPS * options.batch_size)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "few.npz"
        usage = np.where(np.arange(len(few)) % 4, TRAINING, SELECTION)
        np.savez(path, images=few.images, emotion=few.labels, usage=usage)
        card = train(path, Path(folder) / "run", structs.replace(options, epochs=2, balance="none"))
        last = read_history(Path(folder) / "run")[-1]
    return last.seconds * n_rows / (card.rows // options.batch_size * options.batch_size)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _figures(name: str, run: Run) -> list[str]:
    minutes = sum(epoch.seconds for epoch in run.history) / 60
    epochs = [*_cost(run.options), f"{minutes:.0f}", f"{len(run.history)} of {run.options.epochs}"]
    if run.card is None:
        # By the labels, which published figures are about, and not by `selection`, which also counts the votes.
        best = max(run.history, key=lambda epoch: epoch.accuracy)
        unfinished = [f"{best.accuracy:.1%} (unfinished)", *[""] * 4, f"{best.ferplus_accuracy or 0:.1%}", ""]
        return [*unfinished, *epochs, _command(name, run.options)]
    labels, votes = run.card.scores.labels, run.card.scores.ferplus_majority
    assert labels is not None  # training measures by labels
    shares = (labels.accuracy, labels.macro_recall, labels.macro_precision, labels.macro_f1)
    cells = [f"{share:.1%}" for share in shares] + [f"{labels.ece:.3f}"]
    cells += ["", ""] if votes is None else [f"{votes.accuracy:.1%}", f"{votes.macro_recall:.1%}"]
    return [*cells, *epochs, " ".join(filter(None, [_command(name, run.options), run.card.note]))]


def _cost(options: TrainOptions) -> list[str]:
    """Parameters and MFLOP of the network, with two heads if it learns from votes."""
    network = Network(classes=len(options.classes), two_heads=options.votes)
    cost = network_cost(build(options.recipe, network))
    return [f"{cost.parameters / 1e6:.1f} M", f"{cost.mflop:.0f}"]


def _command(name: str, options: TrainOptions) -> str:
    """The command, with the options that differ from those of the recipe."""
    usual = RECIPES[name].options
    flags = {
        "epochs": "--epochs", "seed": "--seed", "batch_size": "--batch-size", "compute": "--compute",
        "learning_rate": "--learning-rate", "mixup": "--mixup", "balance": "--balance", "keep": "--keep",
        "backbone": "--backbone-weights",
    }  # fmt: skip
    other = [
        f" {flag} {getattr(options, key)}"
        for key, flag in flags.items()
        if getattr(options, key) != getattr(usual, key)
    ]
    other += [
        f" --augment {augment}"
        for augment, augmentation in AUGMENTATIONS.items()
        if augmentation == options.augmentation != usual.augmentation
    ]
    if usual.votes and not options.votes:
        other.append(" --labels-only")
    return f"`--recipe {name}{''.join(other)}`"


def main() -> None:
    """Write the table between its marks in a file, or print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--time", type=Path, metavar="DATA")
    arguments = parser.parse_args()
    text = "" if arguments.out is None else arguments.out.read_text("utf-8")
    table = make_table(find_runs(arguments.runs), text.partition(BEGIN)[2].partition(END)[0])
    if arguments.time is not None:
        table = add_minutes(table, arguments.time)
    if arguments.out is None:
        print(table)
    else:
        arguments.out.write_text(replace_table(text, table, BEGIN), "utf-8")


if __name__ == "__main__":
    main()
