"""How much of their accuracy models keep on faces that are disturbed as video disturbs them.

    python -m ferflow.jobs.benchmarks.disturbed fer2013.npz [--usage PublicTest] [--model NAME|PATH]...

Every face is disturbed the same way for all models: by one thing at a time, then by what is common in video. How far is
in `ferflow.models.data.augment`, and what training does as well; this is no proof for disturbances of another kind.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from msgspec import structs

from ferflow.models.classifier import Classifier, OnnxClassifier
from ferflow.models.data.augment import NO_AUGMENTATION, Augmentation, Draw, augment
from ferflow.models.data.dataset import load
from ferflow.models.data.labelled_faces import SIZE, Faces, as_classes, majority
from ferflow.models.metrics import predict
from ferflow.models.registry import DEFAULT_MODEL, resolve
from ferflow.types import UInt8Array

_MOVED = structs.replace(NO_AUGMENTATION, rotation_degrees=10, scale=0.12, shift=0.07)
DISTURBANCES = MappingProxyType(
    {
        "as they are": NO_AUGMENTATION,
        "moved": _MOVED,
        "lit": structs.replace(NO_AUGMENTATION, light_chance=1),
        "blurred": structs.replace(NO_AUGMENTATION, blur_chance=1),
        "20 to 40 px": structs.replace(NO_AUGMENTATION, shrink_chance=1),
        "JPEG 15 to 60": structs.replace(NO_AUGMENTATION, jpeg_chance=1),
        "covered": structs.replace(NO_AUGMENTATION, erase_chance=1),
        "as in video": structs.replace(
            _MOVED, light_chance=0.5, blur_chance=0.3, shrink_chance=0.3, jpeg_chance=0.5
        ),
    }
)


def disturbed(images: UInt8Array, how: Augmentation) -> UInt8Array:
    """Disturb all images (N, 48, 48), each by its place in them."""
    return augment(images, np.arange(len(images)), Draw(seed=7, epoch=0), how, size=SIZE)


def accuracies(classifiers: Sequence[Classifier], faces: Faces) -> Iterator[tuple[str, list[float]]]:
    """Give, per disturbance, each model's accuracy by labels, and by FER+ majority where there are votes."""
    truths = [faces.labels] if faces.votes is None else [faces.labels, majority(faces.votes)]
    for name, how in DISTURBANCES.items():
        images = disturbed(faces.images, how)
        figures = []
        for classifier in classifiers:
            card = classifier.card
            answers = predict(classifier, images).argmax(axis=1)
            for labels in truths:
                truth = as_classes(labels, card.labels, card.merged)
                figures.append(float((answers == truth)[truth >= 0].mean()))
        yield name, figures


def main() -> None:
    """Print a line per disturbance."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--usage", default="PublicTest")
    parser.add_argument("--model", action="append")
    arguments = parser.parse_args()
    models = arguments.model or [DEFAULT_MODEL]
    print(f"accuracy of {', '.join(models)}: each by labels, then by FER+ majority where there are votes")
    classifiers = [OnnxClassifier(resolve(model), threads=2) for model in models]
    for name, figures in accuracies(classifiers, load(arguments.data, arguments.usage)):
        print(f"{name:16}" + "".join(f"{figure:9.1%}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
