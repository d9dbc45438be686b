"""Train several large teachers on one GPU within minutes, and leave what they answer about the training faces.

    KERAS_BACKEND=jax python -m ferflow.jobs.benchmarks.gpu_teachers fer2013.npz --out teachers/ [--minutes 9]
    ferflow train fer2013.npz -o student --teacher teachers/teachers.npz

Each teacher has another architecture, and other targets or augmentation, so that they err differently and their mean is
better than each of them. They are trained one after the other, each for an equal part of the time; augmentation runs on
the GPU as part of the network. The fixed tenth of the Training rows (`dataset.split`) is never trained on: the table
measures on it, and the answers to it are those of networks that have not seen it.

Safe to interrupt: the same command continues from the last checkpoint, which is written every `SAVE_SECONDS`; time that
was already used counts. A few steps on a CPU: `--minutes 1 --rows 1000 --only broad`.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferflow.models.backbones import Backbone, Network, Plain, ResNet
from ferflow.models.data.arrays import open_arrays
from ferflow.models.data.dataset import Split, load, split
from ferflow.models.data.labelled_faces import LABELS, Faces
from ferflow.models.flops import network_cost
from ferflow.models.heads import BOTH_HEADS, LABEL_HEAD, VOTE_HEAD, ByHead, softmax
from ferflow.models.metrics import Scores, evaluate
from ferflow.models.training.checkpoint import save_arrays
from ferflow.models.training.distillation import ANSWERS_FILE, average_answers, save_stored_answers
from ferflow.models.training.targets import compute_logits, make_targets
from ferflow.store.atomic_files import atomic_write
from ferflow.system.runtime import import_keras

log = logging.getLogger(__name__)

BATCH = 256
PEAK_RATE, WARMUP = 0.15, 0.03
"""Of SGD with Nesterov momentum; the warm-up is a share of the time of a teacher."""
AVERAGE_DECAY = 0.998
SAVE_SECONDS = 15
TABLE_FILE = "table.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """One member of the ensemble: an architecture, and what makes it err differently."""

    name: str
    backbone: Backbone
    vote_weight: float = 0.5
    """Of the loss of the vote head; the label head has the rest."""
    balanced: bool = False
    """Weight rows by the inverse frequency of their class."""
    zoom: float = 0.12
    """Faces are shown up to this share larger or smaller."""
    covered: float = 0.25
    """Chance that a rectangle of a face is covered."""
    max_epochs: int = 90
    seed: int


TEACHERS = (
    Teacher(name="broad", backbone=ResNet((64, 208, 416), (2, 2, 2), stem=5, stem_strides=2), seed=1),
    Teacher(name="fine", backbone=ResNet((40, 80, 160, 288), (2, 2, 2, 2)), vote_weight=0.3, seed=2),
    Teacher(
        name="plain",
        backbone=Plain(
            blocks=((48, 48), (128, 128), (256, 256), (320, 320)), dense=(256,), norm=True, block_dropout=0.1,
            pooled=True, scale="standardised",
        ),
        balanced=True,
        seed=3,
    ),
    Teacher(
        name="deep", backbone=ResNet((56, 112, 224), (3, 6, 4), stem=5, stem_strides=2), vote_weight=0.7, seed=4
    ),
    Teacher(
        name="zoomed", backbone=ResNet((48, 128, 256, 384), (2, 3, 4, 3), stem=5, stem_strides=2), zoom=0.3,
        covered=0.5, seed=5,
    ),
)  # fmt: skip
"""About 0.7 to 1 GFLOP each."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A teacher after its training."""

    teacher: Teacher
    mflop: float
    epochs: int
    seconds: float
    answers: ByHead
    """Probabilities float32 (N, K) by head for all Training rows without leaks, the held-out tenth first."""


def build_teacher(teacher: Teacher, compute: str) -> Any:
    """Build the network: float32 (N, 48, 48, 1) to logits by head; in training, it disturbs its input itself."""
    keras = import_keras("training")
    network = Network(two_heads=True, dropout=0.2, compute=compute)
    image = keras.Input((48, 48, 1), name="image", dtype="float32")
    features = teacher.backbone(_disturb_layer(teacher)(image), network)
    heads = {
        head: keras.layers.Dense(len(LABELS), name=head, dtype="float32")(features) for head in BOTH_HEADS
    }
    return keras.Model(image, heads, name=teacher.name)


def _disturb_layer(teacher: Teacher) -> Any:
    """Move, light, blur and cover images, each differently, on the device of the network."""
    import keras
    from keras import ops

    class Disturb(keras.layers.Layer):  # type: ignore[misc] # Keras has no types
        def __init__(self) -> None:
            super().__init__(name="disturb", dtype="float32")
            self.random = keras.random.SeedGenerator(teacher.seed)

        def call(self, images: Any, training: bool = False) -> Any:
            return self._disturb(images) if training else images

        def _draw(self, n: Any, low: float, high: float) -> Any:
            return keras.random.uniform((n, 1, 1, 1), low, high, seed=self.random)

        def _disturb(self, images: Any) -> Any:
            n = ops.shape(images)[0]
            images = ops.image.affine_transform(
                images, self._transforms(n), fill_mode="reflect", data_format="channels_last"
            )
            lit = (images - 128) * self._draw(n, 0.7, 1.3) + 128 + self._draw(n, -30, 30)
            images = ops.clip(ops.where(self._draw(n, 0, 1) < 0.4, lit, images), 0, 255)
            smooth = ops.average_pool(images, 3, 1, padding="same", data_format="channels_last")
            images = ops.where(self._draw(n, 0, 1) < 0.15, smooth, images)
            return ops.where(self._covered(n), self._draw(n, 0, 255), images)

        def _transforms(self, n: Any) -> Any:
            """Rows a0 a1 a2 b0 b1 b2 c0 c1: where each pixel of the result comes from, about the centre."""
            angle, zoom = self._draw(n, -0.2, 0.2), 1 + self._draw(n, -teacher.zoom, teacher.zoom)
            flip = ops.where(self._draw(n, 0, 1) < 0.5, -1.0, 1.0)
            a0, a1 = ops.cos(angle) * zoom * flip, -ops.sin(angle) * zoom
            b0, b1 = ops.sin(angle) * zoom * flip, ops.cos(angle) * zoom
            centre, zero = 23.5, ops.zeros((n, 1, 1, 1))
            a2 = centre - (a0 + a1) * centre + self._draw(n, -3, 3)
            b2 = centre - (b0 + b1) * centre + self._draw(n, -3, 3)
            rows = [a0, a1, a2, b0, b1, b2, zero, zero]
            return ops.concatenate([ops.reshape(row, (n, 1)) for row in rows], axis=1)

        def _covered(self, n: Any) -> Any:
            """Pixels of a random rectangle in a share of the images."""
            y = ops.reshape(ops.arange(48, dtype="float32"), (1, 48, 1, 1))
            x = ops.reshape(y, (1, 1, 48, 1))
            inside = ops.abs(y - self._draw(n, 0, 48)) < self._draw(n, 3, 11)
            inside = ops.logical_and(inside, ops.abs(x - self._draw(n, 0, 48)) < self._draw(n, 3, 11))
            return ops.logical_and(inside, self._draw(n, 0, 1) < teacher.covered)

    return Disturb()


def train_teacher(
    teacher: Teacher, faces: Faces, out: Path, seconds: float, compute: str
) -> tuple[Any, float, int]:
    """Train for this time, or continue; return the network with averaged weights, the time used and the epochs."""
    keras = import_keras("training")
    keras.utils.set_random_seed(teacher.seed)
    model = build_teacher(teacher, compute)
    optimizer = keras.optimizers.SGD(
        PEAK_RATE, momentum=0.9, nesterov=True, weight_decay=4e-3, use_ema=True, ema_momentum=AVERAGE_DECAY
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    weights = {LABEL_HEAD: 1 - teacher.vote_weight, VOTE_HEAD: teacher.vote_weight}
    losses = {head: keras.losses.CategoricalCrossentropy(from_logits=True) for head in BOTH_HEADS}
    model.compile(optimizer=optimizer, loss=losses, loss_weights=weights)
    optimizer.build(model.trainable_variables)
    clock = _Clock(model, teacher, out / f"{teacher.name}.state.npz", seconds)
    if not clock.is_over:
        targets = make_targets(faces, 0.05, weighted=teacher.balanced)
        assert targets.votes is not None  # checked when the data was read
        counts = targets.votes.sum(axis=1)
        model.fit(
            faces.images[..., None].astype(np.float32),
            {LABEL_HEAD: targets.labels, VOTE_HEAD: targets.votes},
            sample_weight={
                LABEL_HEAD: np.ones_like(counts) if targets.weights is None else targets.weights,
                VOTE_HEAD: counts,
            },
            batch_size=min(BATCH, len(faces)),
            initial_epoch=clock.epoch,
            epochs=teacher.max_epochs,
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, logs: clock.begin_epoch(),
                    on_epoch_end=lambda epoch, logs: clock.end_epoch(logs["loss"]),
                )
            ],
            verbose=0,
        )
        clock.save()  # with the averaged weights, which Keras has just put in place
    return model, clock.used, clock.epoch


class _Clock:
    """Time and epochs of a teacher, its checkpoint, and the learning rate that follows from them. Has state."""

    def __init__(self, model: Any, teacher: Teacher, path: Path, seconds: float) -> None:
        self.model, self.teacher, self.path, self.seconds = model, teacher, path, seconds
        self.epoch, self.used = 0, 0.0
        if path.exists():
            self._restore()
        self._mark = self._saved = time.monotonic()

    @property
    def progress(self) -> float:
        """Share of the training that is done, by time or by epochs, whichever ends first."""
        return max(self.used / self.seconds, self.epoch / self.teacher.max_epochs)

    @property
    def is_over(self) -> bool:
        """Whether the next epoch would end after the time is over."""
        mean = self.used / self.epoch if self.epoch else 0.0
        return self.progress >= 1 or self.used + mean / 2 > self.seconds

    def begin_epoch(self) -> None:
        """Set the learning rate: linear warm-up, then a cosine to zero."""
        done = self.progress
        warm = min(1.0, (done + 0.01) / WARMUP)
        self.model.optimizer.learning_rate.assign(
            PEAK_RATE * warm * 0.5 * (1 + math.cos(math.pi * min(done, 1)))
        )

    def end_epoch(self, loss: float) -> None:
        """Count the epoch, and write a checkpoint if the last one is old."""
        self.epoch += 1
        now = time.monotonic()
        self.used, self._mark = self.used + now - self._mark, now
        log.info("%s: epoch %d, %.0f s, loss %.4f", self.teacher.name, self.epoch, self.used, loss)
        self.model.stop_training = self.is_over
        if now - self._saved > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the state with one rename."""
        arrays = {f"{i:04}": np.asarray(variable) for i, variable in enumerate(self._variables())}
        save_arrays(self.path, {"facts": np.array([self.epoch, self.used]), **arrays})
        self._saved = time.monotonic()

    def _restore(self) -> None:
        with open_arrays(self.path) as archive:
            epoch, self.used = archive["facts"]
            self.epoch = int(epoch)
            for i, variable in enumerate(self._variables()):
                variable.assign(archive[f"{i:04}"])

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]


def answer(model: Any, faces: Faces) -> ByHead:
    """Probabilities (N, K) by head: the mean over each face and its mirror image."""
    views = [compute_logits(model, images) for images in (faces.images, faces.images[:, :, ::-1])]
    return {
        head: np.mean([softmax(view[head]) for view in views], axis=0, dtype=np.float32)
        for head in BOTH_HEADS
    }


def train_all(
    parts: Split, out: Path, teachers: Sequence[Teacher], *, minutes: float, compute: str
) -> Iterator[Trained]:
    """Train the teachers one after the other; those that are finished in `out` are only read."""
    both = _join(parts.selection, parts.training)
    for teacher in teachers:
        model, used, epochs = train_teacher(
            teacher, parts.training, out, 60 * minutes / len(teachers), compute
        )
        yield Trained(teacher, network_cost(model).mflop, epochs, used, answer(model, both))


def _join(one: Faces, other: Faces) -> Faces:
    assert one.votes is not None  # checked when the data was read
    assert other.votes is not None
    return Faces(
        images=np.concatenate([one.images, other.images]),
        labels=np.concatenate([one.labels, other.labels]),
        votes=np.concatenate([one.votes, other.votes]),
    )


def make_table(trained: Sequence[Trained], selection: Faces) -> str:
    """Markdown: each teacher and their mean, measured on the held-out tenth."""
    header = "teacher | MFLOP | epochs | seconds | labels: accuracy | macro recall | majority: accuracy | macro recall"
    lines = [f"| {header} |", "|" + " --- |" * 8]
    lines += [_line(_facts(each), each.answers, selection) for each in trained]
    total = [f"{sum(each.mflop for each in trained):.0f}", "", f"{sum(each.seconds for each in trained):.0f}"]
    return "\n".join([*lines, _line(["mean of all", *total], _mean(trained), selection)]) + "\n"


def _facts(trained: Trained) -> list[str]:
    return [trained.teacher.name, f"{trained.mflop:.0f}", str(trained.epochs), f"{trained.seconds:.0f}"]


def _mean(trained: Sequence[Trained]) -> ByHead:
    return average_answers([each.answers for each in trained])


def _line(cells: list[str], answers: ByHead, selection: Faces) -> str:
    for head, truth in zip(BOTH_HEADS, selection.truths().values(), strict=True):
        scores = _score(answers[head][: len(selection)], truth)
        cells = [*cells, f"{scores.accuracy:.2%}", f"{scores.macro_recall:.2%}"]
    return f"| {' | '.join(cells)} |"


def _score(probs: Any, truth: Any) -> Scores:
    return evaluate(probs, truth, LABELS)


def _first_rows(faces: Faces, rows: int | None) -> Faces:
    return faces if rows is None else faces.where(np.arange(len(faces)) < rows)


def main() -> None:
    """Train, and write answers and table after each teacher."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=9.0, help="of training, for all teachers together")
    parser.add_argument("--compute", default="mixed_bfloat16")
    parser.add_argument("--only", action="append", help="name of a teacher; may be repeated")
    parser.add_argument("--rows", type=int, help="use only the first rows, for a trial")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    whole = split(load(arguments.data), seed=1, hold_out=True)
    parts = Split(
        _first_rows(whole.training, arguments.rows), _first_rows(whole.selection, arguments.rows), whole.leaks
    )
    if parts.training.votes is None:
        parser.error(f"{arguments.data}: has no FER+ votes, from which the teachers learn")
    teachers = [each for each in TEACHERS if not arguments.only or each.name in arguments.only]
    arguments.out.mkdir(parents=True, exist_ok=True)
    images = np.concatenate([parts.selection.images, parts.training.images])
    trained: list[Trained] = []
    for each in train_all(
        parts, arguments.out, teachers, minutes=arguments.minutes, compute=arguments.compute
    ):
        trained.append(each)
        # After each teacher, so that a lease that ends early still leaves the answers of the others.
        save_stored_answers(arguments.out / ANSWERS_FILE, images, _mean(trained))
        table = make_table(trained, parts.selection)
        with atomic_write(arguments.out / TABLE_FILE) as part:
            part.write_text(table)
        print(table, flush=True)


if __name__ == "__main__":
    main()
