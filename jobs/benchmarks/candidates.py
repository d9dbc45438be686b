"""Compare trained networks head by head: each alone, the mean of their answers, and the mean of their weights.

    python -m ferflow.jobs.benchmarks.candidates fer2013.npz default RUN... [--usage PublicTest]

The head of labels is scored by FER2013's labels, and that of votes by the majority of FER+'s annotators, in float32, on
faces as they are and disturbed as in video (`benchmarks.disturbed`). So a network is judged before its heads are
blended. The mean of weights (Wortsman et al., 2022) is that of the networks whose layers are those of the first one.
Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ferflow.errors import OptionsError
from ferflow.jobs.benchmarks.disturbed import DISTURBANCES, disturb
from ferflow.models import keras_network
from ferflow.models.data.dataset import load
from ferflow.models.data.labelled_faces import LABELS, SEVEN, Faces
from ferflow.models.heads import LABEL_HEAD, VOTE_HEAD, ByHead, softmax
from ferflow.models.history import HISTORY_FILE, read_history
from ferflow.models.metrics import evaluate
from ferflow.models.training.distillation import average_answers
from ferflow.models.training.targets import compute_logits
from ferflow.models.training.warm_start import TrainedNetwork, load_trained
from ferflow.types import UInt8Array

TRUTH_OF = {LABEL_HEAD: "labels", VOTE_HEAD: "ferplus_majority"}
HEADER = [
    "network", "label head by labels", "macro recall", "disturbed", "vote head by majority", "macro recall",
    "disturbed", "minutes",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answers:
    """Of a network to N faces."""

    name: str
    unchanged: ByHead
    """Probabilities (N, K)."""
    disturbed: ByHead


def ask(network: TrainedNetwork, views: Sequence[UInt8Array]) -> Answers:
    """Ask a network about two views of the same faces, (N, S, S) each.

    Raises:
        OptionsError: it has one head, or other classes.
    """
    if network.blend is None or network.classes != SEVEN:
        raise OptionsError(f"{network.name}: only networks with two heads and seven classes are compared.")
    model, _ = keras_network.build_with_weights(network.recipe, network.weights, classes=len(SEVEN))
    unchanged, disturbed = (
        {head: softmax(logits) for head, logits in compute_logits(model, view).items()} for view in views
    )
    return Answers(network.name, unchanged, disturbed)


def compare(networks: Sequence[TrainedNetwork], views: Sequence[UInt8Array]) -> Iterator[Answers]:
    """The answers of each network, the mean of their answers, and the answers of the mean of their weights."""
    each = []
    for network in networks:
        each.append(ask(network, views))
        yield each[-1]
    if len(each) > 1:
        unchanged = average_answers([one.unchanged for one in each])
        yield Answers("mean of the answers", unchanged, average_answers([one.disturbed for one in each]))
    alike = [network for network in networks if _shapes(network) == _shapes(networks[0])]
    if len(alike) > 1:
        yield ask(_average(alike), views)


def _average(networks: Sequence[TrainedNetwork]) -> TrainedNetwork:
    weights = [np.mean(layer, axis=0) for layer in zip(*(one.weights for one in networks), strict=True)]
    return replace(networks[0], name=f"mean of the weights of {len(networks)}", weights=weights)


def _shapes(network: TrainedNetwork) -> list[tuple[int, ...]]:
    return [weights.shape for weights in network.weights]


def make_row(answers: Answers, faces: Faces) -> list[str]:
    """Cells of the table, without the time of training."""
    cells = [answers.name]
    for head, kind in TRUTH_OF.items():
        truth = faces.truths()[kind]
        clear, disturbed = (
            evaluate(view[head], truth, LABELS) for view in (answers.unchanged, answers.disturbed)
        )
        cells += [f"{share:.1%}" for share in (clear.accuracy, clear.macro_recall, disturbed.accuracy)]
    return cells


def _minutes(name: str) -> str:
    """Of the training of a run; empty for a model."""
    if not (Path(name) / HISTORY_FILE).is_file():
        return ""
    return f"{sum(epoch.seconds for epoch in read_history(Path(name))) / 60:.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("network", nargs="+", help="name of a model, or folder of a run")
    parser.add_argument("--usage", default="PublicTest")
    chosen = parser.parse_args(arguments)
    faces = load(chosen.data, chosen.usage)
    if faces.votes is None:
        raise SystemExit(f"{chosen.data.name}: has no votes of annotators.")
    views = (faces.images, disturb(faces.images, DISTURBANCES["as in video"]))
    networks = [load_trained(name) for name in chosen.network]
    minutes = map(_minutes, chosen.network)
    for cells in (HEADER, ["---"] * len(HEADER)):
        print(f"| {' | '.join(cells)} |")
    for answers in compare(networks, views):
        print(f"| {' | '.join([*make_row(answers, faces), next(minutes, '')])} |", flush=True)


if __name__ == "__main__":
    main()
