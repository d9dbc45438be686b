"""What earlier networks answer to the faces a new one learns from: distillation (Hinton et al., 2015).

    answers = ask([earlier("first"), earlier("second")], faces.images, options.classes, two_heads=True)

Labels from a web search are wrong on a third of the faces. Networks that have seen all of them, averaged, know better
than each single label which other answers are likely, and teach that.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferflow.errors import OptionsError
from ferflow.models import keras_network
from ferflow.models.data.labelled_faces import Classes
from ferflow.models.heads import LABEL_HEAD, SERVED_HEAD, ByHead, softmax
from ferflow.models.training.checkpoint import save_arrays
from ferflow.models.training.targets import logits
from ferflow.models.training.warm_start import Earlier
from ferflow.types import UInt8Array

ANSWERS_FILE = "teachers.npz"

log = logging.getLogger(__name__)


def keep(answers: ByHead, out: Path) -> None:
    """Put answers into a run's folder: a resumed run need not ask again, nor have its teachers at hand."""
    save_arrays(out / ANSWERS_FILE, answers)


def recall(out: Path, n: int) -> ByHead | None:
    """Answers to `n` faces that are kept in a run's folder; None if there are none, or none that can be read."""
    try:
        with np.load(out / ANSWERS_FILE, allow_pickle=False) as archive:
            answers = {head: archive[head] for head in archive.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s: cannot be read (%s); the teachers are asked again", out / ANSWERS_FILE, error)
        return None
    return answers if all(len(shares) == n for shares in answers.values()) else None


def ask(teachers: Sequence[Earlier], images: UInt8Array, classes: Classes, *, two_heads: bool) -> ByHead:
    """Average the answers of earlier networks to faces and to their mirror images.

    Args:
        teachers: who is asked.
        images: uint8 (N, S, S).
        classes: what they must tell apart.
        two_heads: whether the one that learns has two; else a teacher's two are blended as its card says, at
            temperature 1.

    Returns:
        Probabilities, float32 (N, K), rows sum to 1, by head: of each head, what those answer that have it.

    Raises:
        OptionsError: a teacher tells other classes apart.
        ModelError: its weights do not fit its recipe.
    """
    told = [_answers(teacher, images, classes, two_heads) for teacher in teachers]
    heads = set().union(*told)
    return {
        head: np.mean([answers[head] for answers in told if head in answers], axis=0, dtype=np.float32)
        for head in heads
    }


def _answers(teacher: Earlier, images: UInt8Array, classes: Classes, two_heads: bool) -> ByHead:
    if teacher.classes != classes:
        raise OptionsError(f"{teacher.name}: tells other classes apart; a teacher must have the same")
    model, _ = keras_network.with_weights(teacher.recipe, teacher.weights, classes=len(classes))
    log.info("asking %s about %d faces", teacher.name, len(images))
    views = [_told(teacher, logits(model, view), two_heads) for view in (images, images[:, :, ::-1])]
    return {head: np.mean([view[head] for view in views], axis=0, dtype=np.float32) for head in views[0]}


def _told(teacher: Earlier, outputs: ByHead, two_heads: bool) -> ByHead:
    """A teacher's probabilities by the head that learns them."""
    if teacher.blend is None:
        return {LABEL_HEAD: softmax(outputs[SERVED_HEAD])}
    if not two_heads:
        return {LABEL_HEAD: teacher.blend(outputs)}
    return {head: softmax(part) for head, part in outputs.items()}
