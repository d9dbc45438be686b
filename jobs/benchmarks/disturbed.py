"""Measure the accuracy of models on faces with the disturbances of video.

    python -m ferflow.jobs.benchmarks.disturbed fer2013.npz [--usage PublicTest] [--model NAME|PATH]...

Every face is disturbed in the same way for all models: in one way at a time, then in all ways that are common in video.
The disturbances are those of `ferflow.models.data.augment`, which training uses too; the results say nothing about
others.
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
from ferflow.models.data.labelled_faces import SIZE, Faces, renumber
from ferflow.models.metrics import predict
from ferflow.models.registry import DEFAULT_MODEL, resolve
from ferflow.types import UInt8Array

_MOVED = structs.replace(NO_AUGMENTATION, rotation_degrees=10, scale=0.12, shift=0.07)
DISTURBANCES = MappingProxyType(
    {
        "unchanged": NO_AUGMENTATION,
        "moved": _MOVED,
        "lit": structs.replace(NO_AUGMENTATION, light_chance=1),
        "blurred": structs.replace(NO_AUGMENTATION, blur_chance=1),
        "20 to 40 px": structs.replace(NO_AUGMENTATION, shrink_chance=1),
        "JPEG 15 to 60": structs.replace(NO_AUGMENTATION, jpeg_chance=1),
        "covered": structs.replace(NO_AUGMENTATION, erase_chance=1),
        "motion blur": structs.replace(NO_AUGMENTATION, motion_chance=1),
        "light from one side": structs.replace(NO_AUGMENTATION, shade_chance=1),
        "glasses, hair, hands": structs.replace(NO_AUGMENTATION, cover_chance=1),
        "as in video": structs.replace(
            _MOVED, light_chance=0.5, blur_chance=0.3, shrink_chance=0.3, jpeg_chance=0.5
        ),
    }
)


def disturb(images: UInt8Array, how: Augmentation) -> UInt8Array:
    """Disturb all images (N, 48, 48), each according to its index."""
    return augment(images, np.arange(len(images)), Draw(seed=7, epoch=0), how, size=SIZE)


def measure_accuracies(classifiers: Sequence[Classifier], faces: Faces) -> Iterator[tuple[str, list[float]]]:
    """Yield the accuracy of each model per disturbance, by labels and, if there are votes, by FER+ majority."""
    for name, how in DISTURBANCES.items():
        images = disturb(faces.images, how)
        figures = []
        for classifier in classifiers:
            card = classifier.card
            answers = predict(classifier, images).argmax(axis=1)
            for labels in faces.truths().values():
                truth = renumber(labels, card.labels, card.merged)
                figures.append(float((answers == truth)[truth >= 0].mean()))
        yield name, figures


def main() -> None:
    """Print one line per disturbance."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--usage", default="PublicTest")
    parser.add_argument("--model", action="append")
    arguments = parser.parse_args()
    models = arguments.model or [DEFAULT_MODEL]
    print(f"accuracy of {', '.join(models)}: each by labels, then by FER+ majority if there are votes")
    classifiers = [OnnxClassifier(resolve(model), threads=2) for model in models]
    for name, figures in measure_accuracies(classifiers, load(arguments.data, arguments.usage)):
        print(f"{name:20}" + "".join(f"{figure:9.1%}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
