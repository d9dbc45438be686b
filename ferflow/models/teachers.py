"""What earlier runs answer to the faces a new one learns from: distillation (Hinton et al., 2015).

    answers = ask([Path("first"), Path("second")], faces.images, options.classes)   # by head, (N, 7), rows sum to 1

Labels from a web search are wrong on a third of the faces. Networks that have seen all of them, averaged, know better
than each single label which other answers are likely, and teach that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferflow.errors import OptionsError
from ferflow.models import cnn, state
from ferflow.models.evaluate import softmax
from ferflow.models.heads import ByHead
from ferflow.models.labelled import Classes, UInt8Array
from ferflow.models.targets import logits


def ask(folders: Sequence[Path], images: UInt8Array, classes: Classes) -> ByHead:
    """Average the answers of finished runs to faces and to their mirror images.

    Args:
        folders: of the runs; the best weights of each are asked.
        images: uint8 (N, S, S).
        classes: what they must tell apart.

    Returns:
        Probabilities, float32 (N, K), by head: that of labels, and that of votes where all have one.

    Raises:
        OptionsError: a folder holds no run, or one of other classes.
        ModelError: its weights do not fit its recipe.
    """
    told = [_answers(folder, images, classes) for folder in folders]
    shared = set.intersection(*(set(answers) for answers in told))
    return {head: np.mean([answers[head] for answers in told], axis=0, dtype=np.float32) for head in shared}


def _answers(folder: Path, images: UInt8Array, classes: Classes) -> ByHead:
    model = _network(folder, classes)
    seen = [logits(model, view) for view in (images, images[:, :, ::-1])]
    return {
        head if head != cnn.SERVED_HEAD else cnn.LABEL_HEAD: np.mean(
            [softmax(answers[head]) for answers in seen], axis=0, dtype=np.float32
        )
        for head in seen[0]
    }


def _network(folder: Path, classes: Classes) -> cnn.KerasModel:
    """Rebuild a run's network with its best weights."""
    path = folder / state.STATE_FILE
    if not path.is_file():
        raise OptionsError(
            f"{folder.name}: no run to learn from; --teacher wants a folder of `ferflow train`"
        )
    facts, groups = state.read(path)
    stored = facts["options"]
    if Classes.without(stored.get("merge", {})) != classes:
        raise OptionsError(f"{folder.name}: tells other classes apart; a teacher must have the same")
    model, _ = cnn.with_weights(stored["recipe"], groups["best"], classes=len(classes))
    return model
