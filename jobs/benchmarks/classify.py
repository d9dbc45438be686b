"""Measure how many faces per second each form of a model classifies on the CPU, and how accurate each form is.

    python -m ferflow.jobs.benchmarks.classify [--model NAME|PATH] [--threads 2] [--data fer2013.npz] [--usage U]

All forms run the same weights alternately in this process, so that a busy machine slows them equally; the best turn of
each counts. On a busy machine, compare faces per second of CPU time, with --threads 1: it does not include waiting.
Images are noise unless a data set is given, which also gives accuracy and macro recall.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ferflow.models.cards import ModelCard
from ferflow.models.classifier import OnnxClassifier
from ferflow.models.data.dataset import load
from ferflow.models.data.labelled_faces import renumber
from ferflow.models.metrics import evaluate, predict
from ferflow.models.registry import DEFAULT_MODEL, resolve
from ferflow.types import Float32Array, UInt8Array

Form = Callable[[UInt8Array], Float32Array]


class Rates(NamedTuple):
    """Faces per second."""

    wall: float
    cpu: float
    """Per second of CPU time, over all threads."""


def load_forms(card: ModelCard, threads: int) -> dict[str, Form]:
    """Load every form of the model, TensorFlow in float32 last."""
    found: dict[str, Form] = {}
    if card.is_int8:
        found["onnx int8"] = OnnxClassifier(card, threads=threads)
    found["onnx float32"] = OnnxClassifier(card, threads=threads, weights=card.float_file)
    if "keras" in card.files:
        import tensorflow as tf

        from ferflow.models.classifier import KerasClassifier

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        found["tensorflow float32"] = KerasClassifier(card)
    return found


def measure_rates(
    found: dict[str, Form], images: UInt8Array, batch: int, turns: int
) -> dict[str, list[Rates]]:
    """Measure faces per second of each form in each turn."""
    measured: dict[str, list[Rates]] = {name: [] for name in found}
    # Not measured: the first call also allocates memory, and TensorFlow traces its graph.
    for form in found.values():
        predict(form, images[:batch], batch)
    for _ in range(turns):
        for name, form in found.items():
            began, cpu_began = time.perf_counter(), time.process_time()
            predict(form, images, batch)
            wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
            measured[name].append(Rates(len(images) / wall, len(images) / cpu))
    return measured


def main() -> None:
    """Print one line per form."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--faces", type=int, default=2048, help="faces per turn")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--usage", default="PublicTest")
    arguments = parser.parse_args()
    # Before `load_forms`, since TensorFlow reads it when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    card = resolve(arguments.model)
    faces = None if arguments.data is None else load(arguments.data, arguments.usage)
    noise = np.random.default_rng(0).integers(0, 256, (arguments.faces, 48, 48), dtype=np.uint8)
    images = noise if faces is None else faces.images[: arguments.faces]
    found = load_forms(card, arguments.threads)
    measured = measure_rates(found, images, arguments.batch, arguments.turns)
    base = list(found)[-1]
    sizes = {"onnx int8": "onnx", "onnx float32": card.float_file, "tensorflow float32": "keras"}
    print(
        f"{card.name} ({card.recipe}), batches of {arguments.batch}, {arguments.threads} threads, {len(images)} faces; "
        f"x: median ratio to {base}"
    )
    for name, rate in measured.items():
        # Ratios within each turn: what else ran on the machine in that turn slowed both alike.
        ratios = np.median(np.array(rate) / np.array(measured[base]), axis=0)
        size = card.path(sizes[name]).stat().st_size / 1e6
        wall, cpu = np.max(rate, axis=0)
        line = f"{name:20} {wall:6.0f} faces/s {ratios[0]:5.2f} x"
        line += f"   {cpu:6.0f} /CPU s {ratios[1]:5.2f} x   {size:5.2f} MB"
        if faces is not None:
            truth = renumber(faces.labels, card.labels, card.merged)
            kept = truth >= 0
            scores = evaluate(predict(found[name], faces.images[kept]), truth[kept], card.labels)
            line += f"   accuracy {scores.accuracy:.4f}   macro recall {scores.macro_recall:.4f}"
        print(line)


if __name__ == "__main__":
    main()
