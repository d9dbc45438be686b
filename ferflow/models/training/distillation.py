"""Distillation (Hinton et al., 2015): a network learns from the answers of earlier networks to its training faces.

    answers = ask_teachers([load_trained("first"), load_trained("second")], images, classes, two_heads=True)

Labels from a web search are wrong for a third of the faces. The average of networks that have seen all faces shows
better than each single label which other answers are likely. Answers may also be stored in a file, by the pixels of the
faces, so that teachers that were trained elsewhere need not be here:

    save_stored_answers(Path("teachers.npz"), images, answers)
    answers = read_stored_answers(Path("teachers.npz"), images)
"""

from __future__ import annotations

import hashlib
import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ferflow.errors import OptionsError
from ferflow.models import keras_network
from ferflow.models.data.arrays import open_arrays
from ferflow.models.data.labelled_faces import Classes
from ferflow.models.heads import LABEL_HEAD, SERVED_HEAD, ByHead, softmax
from ferflow.models.training.checkpoint import save_arrays
from ferflow.models.training.targets import compute_logits
from ferflow.models.training.warm_start import TrainedNetwork
from ferflow.types import Float32Array, UInt8Array

ANSWERS_FILE = "teachers.npz"
_PIXELS = "pixels"
"""Name of the array of digests in a file of stored answers."""

log = logging.getLogger(__name__)


def save_answers(answers: ByHead, out: Path) -> None:
    """Write answers into the folder of a run, so that a resumed run does not need its teachers."""
    save_arrays(out / ANSWERS_FILE, answers)


def load_answers(out: Path, n: int) -> ByHead | None:
    """Read the answers to `n` faces from the folder of a run; None if there are none, or they cannot be read."""
    try:
        with open_arrays(out / ANSWERS_FILE) as archive:
            answers = {head: archive[head] for head in archive.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s: cannot be read (%s); asking the teachers again", out / ANSWERS_FILE, error)
        return None
    # Another number of faces: the answers are about another data set.
    return answers if all(len(shares) == n for shares in answers.values()) else None


def save_stored_answers(path: Path, images: UInt8Array, answers: ByHead) -> None:
    """Write probabilities (N, K) by head for images (N, S, S): 36 bytes a face with two heads of seven classes."""
    halved = {head: shares.astype(np.float16) for head, shares in answers.items()}
    save_arrays(path, {_PIXELS: _digests(images), **halved})


def read_stored_answers(path: Path, images: UInt8Array) -> ByHead:
    """Read what `save_stored_answers` wrote, for these images (N, S, S) in their order.

    Raises:
        OptionsError: the file cannot be read, or has no answer for one of the images.
    """
    try:
        with open_arrays(path) as archive:
            stored = {name: archive[name] for name in archive.files}
        place = {digest: i for i, digest in enumerate(stored.pop(_PIXELS).tolist())}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise OptionsError(f"{path.name}: not a file of teachers' answers ({error})") from error
    rows = [place.get(digest, -1) for digest in _digests(images).tolist()]
    if -1 in rows:
        raise OptionsError(
            f"{path.name}: has no answers for {rows.count(-1)} of {len(rows)} training faces; "
            "its teachers must have seen the same data set"
        )
    return {head: _normalise(shares[rows]) for head, shares in stored.items()}


def average_answers(answered: Sequence[ByHead]) -> ByHead:
    """Mean of several answers by head, over those that have the head."""
    heads = sorted(set().union(*answered))
    return {
        head: np.mean([answers[head] for answers in answered if head in answers], axis=0, dtype=np.float32)
        for head in heads
    }


def _digests(images: UInt8Array) -> npt.NDArray[np.uint64]:
    """A number for the pixels of each image, uint64 (N,): two of 30,000 are equal by chance once in 10^10 cases."""
    numbers = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images]
    return np.frombuffer(b"".join(numbers), np.uint64)


def _normalise(shares: npt.NDArray[np.float16]) -> Float32Array:
    wide = shares.astype(np.float32)
    normalised: Float32Array = wide / wide.sum(axis=1, keepdims=True)
    return normalised


def ask_teachers(
    teachers: Sequence[TrainedNetwork], images: UInt8Array, classes: Classes, *, two_heads: bool
) -> ByHead:
    """Average the answers of earlier networks to faces and to their mirror images.

    Args:
        teachers: at least one.
        images: uint8 (N, S, S).
        classes: which the teachers must have too.
        two_heads: whether the network that learns has two heads; if not, the two heads of a teacher are blended as
            its card states, at temperature 1.

    Returns:
        Probabilities, float32 (N, K), rows sum to 1, by head: the average over the teachers that have this head.

    Raises:
        OptionsError: a teacher has other classes.
        ModelError: the weights of a teacher do not fit its network.
    """
    return average_answers([_ask_teacher(teacher, images, classes, two_heads) for teacher in teachers])


def _ask_teacher(teacher: TrainedNetwork, images: UInt8Array, classes: Classes, two_heads: bool) -> ByHead:
    if teacher.classes != classes:
        raise OptionsError(f"{teacher.name}: has other classes; a teacher must have the same classes")
    model, _ = keras_network.build_with_weights(teacher.recipe, teacher.weights, classes=len(classes))
    log.info("asking %s about %d faces", teacher.name, len(images))
    views = [
        _probabilities_by_head(teacher, compute_logits(model, view), two_heads)
        for view in (images, images[:, :, ::-1])
    ]
    return {head: np.mean([view[head] for view in views], axis=0, dtype=np.float32) for head in views[0]}


def _probabilities_by_head(teacher: TrainedNetwork, outputs: ByHead, two_heads: bool) -> ByHead:
    """Probabilities of a teacher by the head that learns them."""
    if teacher.blend is None:
        return {LABEL_HEAD: softmax(outputs[SERVED_HEAD])}
    if not two_heads:
        return {LABEL_HEAD: teacher.blend(outputs)}
    return {head: softmax(part) for head, part in outputs.items()}
