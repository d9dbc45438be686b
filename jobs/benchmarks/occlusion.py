"""Measure how well a model recognises covered mouths, on things drawn in front of faces it has not seen.

    python -m ferflow.jobs.benchmarks.occlusion fer2013.npz [--usage PublicTest] [--model NAME|PATH] [--clear 0.02]

Every face is used twice: as it is, and with something drawn in front (`ferflow.models.data.covers`). The drawings are
of the kinds on which the head was fitted, at other faces and places; they say how the head generalises to faces, and
not to real things. Some faces of FER2013 have a hand at the mouth: they count as clear here. `--clear` takes the
threshold that flags this share of the clear faces in place of the model's own, to compare heads.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ferflow.errors import ModelError
from ferflow.models.classifier import OnnxClassifier
from ferflow.models.data.augment import Draw, augment
from ferflow.models.data.dataset import load
from ferflow.models.data.labelled_faces import SIZE
from ferflow.models.heads import OCCLUSION_HEAD
from ferflow.models.registry import DEFAULT_MODEL, resolve
from ferflow.models.training.occlusion import DISTURBED, KINDS, DrawnFaces, FaceMarks, draw_covers, find_marks
from ferflow.types import BoolArray, Float32Array, UInt8Array

SEED = 7
"""Another one than those of the fits."""


def measure_flagged(
    classifier: OnnxClassifier, faces: FaceMarks, clear: float | None = None
) -> Iterator[tuple[str, list[float], int]]:
    """Yield per group of faces the share flagged as covered, unchanged and disturbed, and the number of faces.

    Args:
        classifier: its network answers.
        faces: none of them covered.
        clear: share of `faces` that the threshold flags; None: the threshold of the model.

    Raises:
        ModelError: the model has no head for covered mouths.
    """
    rows, draw = np.arange(len(faces)), Draw(SEED, 0)
    drawn = draw_covers(faces, rows, draw, share=1.0)
    clear_logits, drawn_logits = (
        [_ask(classifier, view) for view in _views(images)] for images in (faces.images, drawn.images)
    )
    threshold = 0.0 if clear is None else float(np.quantile(clear_logits[0], 1 - clear))
    of_clear, of_drawn = ([one > threshold for one in views] for views in (clear_logits, drawn_logits))
    yield "nothing drawn", [float(flagged.mean()) for flagged in of_clear], len(faces)
    for name, group in _groups(drawn).items():
        if group.any():
            yield name, [float(flagged[group].mean()) for flagged in of_drawn], int(group.sum())


def _groups(drawn: DrawnFaces) -> dict[str, BoolArray]:
    groups = {f"{kind} over the mouth": drawn.covered & (drawn.kind == i) for i, kind in enumerate(KINDS)}
    beside = {f"{kind} beside the mouth": drawn.clear & (drawn.kind == i) for i, kind in enumerate(KINDS)}
    return {**groups, "all over the mouth": drawn.covered, **beside, "all beside the mouth": drawn.clear}


def _views(images: UInt8Array) -> list[UInt8Array]:
    """The images (N, S, S) as they are, and disturbed as crops from video."""
    return [images, augment(images, np.arange(len(images)), Draw(SEED, 1), DISTURBED, size=SIZE)]


def _ask(classifier: OnnxClassifier, images: UInt8Array) -> Float32Array:
    """Logits (N,) of covered mouths."""
    outputs = classifier.outputs(images[..., None])
    if OCCLUSION_HEAD not in outputs:
        raise ModelError(
            f"{classifier.card.name}: has no head for covered mouths. Add one with `ferflow models export --occlusion`."
        )
    return outputs[OCCLUSION_HEAD].reshape(len(images))


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--usage", default="PublicTest")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--clear", type=float, metavar="SHARE")
    arguments = parser.parse_args()
    faces = find_marks(load(arguments.data, arguments.usage))
    classifier = OnnxClassifier(resolve(arguments.model), threads=1)
    print("| faces | flagged | flagged, disturbed | n |\n| --- | --- | --- | --- |")
    for name, (plain, disturbed), n in measure_flagged(classifier, faces, arguments.clear):
        print(f"| {name} | {plain:.1%} | {disturbed:.1%} | {n} |", flush=True)


if __name__ == "__main__":
    main()
