"""Train a recipe on labelled faces; stop it when you like, start it again and get the same curve.

    card = train(Path("fer2013.npz"), Path("run"), TrainOptions(epochs=40))

The output folder holds `state.npz` (network, optimiser, average and history; replaced whole after every
epoch), `history.json` and, where there are teachers, what they said (`teachers.npz`); at the end `card.json`,
`.weights.h5` and `.onnx`. All that is drawn at random is drawn from (seed, epoch, row), so nothing else need be kept
to resume exactly.

Where the data carries FER+ votes, two linear heads learn from the same features: one the hard label, one
the votes. Both stay in the files; the card says how their probabilities are averaged (`heads.Blend`).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ferflow.errors import OptionsError
from ferflow.models import keras_network
from ferflow.models.backbones import RANDOM, Backbone
from ferflow.models.cards import ModelCard
from ferflow.models.data.augment import Draw
from ferflow.models.data.dataset import Split, load, split
from ferflow.models.heads import ByHead
from ferflow.models.history import Epoch
from ferflow.models.networks import NETWORKS
from ferflow.models.training import checkpoint
from ferflow.models.training.checkpoint import Progress
from ferflow.models.training.distillation import ask, keep, recall
from ferflow.models.training.finalize import Trained, finish
from ferflow.models.training.options import TrainOptions
from ferflow.models.training.targets import Batch, batch, judge, logits, oversampled, targets, taught
from ferflow.models.training.warm_start import begin_with, earlier
from ferflow.system.runtime import import_keras
from ferflow.types import Int64Array

__all__ = ["Epoch", "OnEpoch", "OnStep", "TrainOptions", "train"]

OnEpoch = Callable[[Epoch], None]
OnStep = Callable[[float], None]

log = logging.getLogger(__name__)

PREFETCH_BATCHES = 4
STEPS_PER_LOG = 50


def train(
    data: Path,
    out: Path,
    options: TrainOptions,
    *,
    start: str | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
) -> ModelCard:
    """Train, or go on training, and write card and weights into `out`.

    Args:
        data: what `dataset.load` reads.
        out: folder of this run; with a checkpoint in it, training goes on from there.
        options: recipe and schedule.
        start: what `earlier` reads: a run or model whose weights this run begins with, for another cycle of the
            schedule: of the same recipe, or one that is narrower; without effect once `out` holds a checkpoint.
        on_epoch: told each epoch's figures, for a progress display.
        on_step: told after each step how many epochs are done, a share of one included.

    Returns:
        The card of the finished model.

    Raises:
        OptionsError: the data cannot be used, `out` holds a run with other options, or a start or teacher does not
            fit this run.
        ModelError: a start or teacher cannot be found or read.
    """
    parts = split(load(data), options.seed)
    if len(parts.training) < options.batch_size:
        raise OptionsError(
            f"{data.name}: {len(parts.training)} training rows do not fill a batch of {options.batch_size}"
        )
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(options, parts, out, on_step)
    progress = run.resume(start)
    while progress.epoch < options.epochs and not _stale(progress, options):
        run.epoch(progress)
        if on_epoch is not None:
            on_epoch(progress.history[-1])
    trained = Trained(
        weights=progress.best,
        network=run.network,
        options=options,
        data=data.name,
        parts=parts,
        epochs=progress.epoch,
    )
    return finish(trained, out, _note(options, start))


def _note(options: TrainOptions, start: str | None) -> str:
    """What a reader of the card should know of where the weights, and the targets, came from."""
    if start is not None or options.teachers:
        begun = [] if start is None else [f"Begun with the weights of {Path(start).name}."]
        names = ", ".join(Path(teacher).name for teacher in options.teachers)
        taught_by = [f"{options.teacher_share:.0%} of the targets are answers of {names}."] if names else []
        return " ".join(begun + taught_by)
    if not isinstance(NETWORKS[options.recipe], Backbone):
        return ""
    name = Path(options.backbone).name
    return f"Backbone begun with {'random weights' if options.backbone == RANDOM else f'weights {name!r}'}."


class _Run:
    """The two networks of a run: one learns, the other shows the average."""

    def __init__(self, options: TrainOptions, parts: Split, out: Path, on_step: OnStep | None) -> None:
        import_keras().utils.set_random_seed(options.seed)
        self.options, self.parts, self.out, self.on_step = options, parts, out, on_step
        self.targets = targets(
            parts.training,
            options.label_smoothing,
            classes=options.classes,
            votes=options.votes,
            weighted=options.balance == "weights",
        )
        if options.teachers:
            self.targets = taught(self.targets, self._answers(), options.teacher_share)
        self.network = network_of(options, two_heads=self.targets.votes is not None)
        fetched = replace(self.network, backbone=_fetched(options, out))
        self.model = keras_network.build(options.recipe, fetched)
        self.judge = keras_network.build(options.recipe, self.network)
        _compile(self.model, options)
        self.steps = len(self._order(0)) // options.batch_size
        self.size = options.size_at(0)

    def _answers(self) -> ByHead:
        """What the teachers say to the training faces: as it was kept for a run that goes on, else asked."""
        images = self.parts.training.images
        answers = recall(self.out, len(images)) if (self.out / checkpoint.STATE_FILE).exists() else None
        if answers is None:
            teachers = [earlier(teacher) for teacher in self.options.teachers]
            two_heads = self.targets.votes is not None
            answers = ask(teachers, images, self.options.classes, two_heads=two_heads)
            keep(answers, self.out)
        return answers

    def resume(self, start: str | None) -> Progress:
        """Return the progress in the folder, the network set to it; or a fresh one."""
        path = self.out / checkpoint.STATE_FILE
        if path.exists():
            return checkpoint.restore(path, self.model, self.options)
        if start is not None:
            begin_with(earlier(start), self.model, seed=self.options.seed)
        return checkpoint.new_progress(self.model)

    def epoch(self, progress: Progress) -> None:
        """Train one epoch, judge it, and put the state on disk."""
        began = time.monotonic()
        self._resize(progress.epoch)
        losses = []
        for step, (images, wanted, weights) in enumerate(self._batches(progress.epoch)):
            self.model.optimizer.learning_rate.assign(self.options.rate_at(progress.step, self.steps))
            told = self.model.train_on_batch(images, wanted, sample_weight=weights, return_dict=True)
            losses.append(float(told["loss"]))
            progress.step += 1
            self._average(progress)
            if self.on_step is not None:
                self.on_step(progress.epoch + (step + 1) / self.steps)
            if (step + 1) % STEPS_PER_LOG == 0:
                rate = (step + 1) * self.options.batch_size / (time.monotonic() - began)
                done = f"epoch {progress.epoch + 1} step {step + 1}/{self.steps}"
                log.info("%s: loss %.4f, %.0f images/s", done, float(np.mean(losses)), rate)
        progress.epoch += 1
        self._judge(progress, float(np.mean(losses)), time.monotonic() - began)
        checkpoint.save(self.out, self.model, progress, self.options)

    def _resize(self, epoch: int) -> None:
        # A step compiled for two sizes rounds differently from one compiled for the second alone, which
        # is what a resumed run has.
        if self.options.size_at(epoch) != self.size:
            self.size = self.options.size_at(epoch)
            self.model.make_train_function(force=True)

    def _average(self, progress: Progress) -> None:
        # Early on a long memory would mostly remember the random start.
        decay = np.float32(min(self.options.average_decay, (1 + progress.step) / (10 + progress.step)))
        for kept, now in zip(progress.average, self.model.get_weights(), strict=True):
            kept += (1 - decay) * (now - kept)

    def _judge(self, progress: Progress, loss: float, seconds: float) -> None:
        self.judge.set_weights(progress.average)
        selection, classes = self.parts.selection, self.options.classes
        figures = judge(logits(self.judge, selection.images), selection, classes)
        # Without a head for votes their majority is told, but not selected by.
        selected = figures.values() if self.network.two_heads else [figures["accuracy"]]
        score = float(np.mean(list(selected)))
        progress.history.append(
            Epoch(epoch=progress.epoch, loss=loss, selection=score, seconds=seconds, **figures)
        )
        told = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        log.info("epoch %d: loss %.4f, %s, %.0f s", progress.epoch, loss, told, seconds)
        if score > progress.best_score:
            progress.best_score = score
            progress.best = [weights.copy() for weights in progress.average]

    def _batches(self, epoch: int) -> Iterator[Batch]:
        training, size = self.parts.training, self.options.batch_size
        draw = Draw(self.options.seed, epoch)
        order = self._order(epoch)

        def make(step: int) -> Batch:
            rows = order[step * size : (step + 1) * size]
            return batch(training.images, self.targets, rows, draw, self.options)

        return _ahead(make, self.steps)

    def _order(self, epoch: int) -> Int64Array:
        """Rows of an epoch in random order, see `targets.oversampled`."""
        rng = np.random.default_rng((self.options.seed, epoch))
        if self.options.balance != "oversample":
            return rng.permutation(len(self.parts.training))
        return rng.permutation(oversampled(self.options.classes.numbered(self.parts.training.labels), rng))


def network_of(options: TrainOptions, *, two_heads: bool) -> keras_network.Network:
    """Describe the network that is trained under these options; it takes the sizes of their images."""
    sizes = {size for _, size in options.image_sizes}
    return keras_network.Network(
        classes=len(options.classes),
        input_size=sizes.pop() if len(sizes) == 1 else None,
        two_heads=two_heads,
        dropout=options.dropout,
        compute=options.compute,
    )


def _fetched(options: TrainOptions, out: Path) -> str:
    """What a backbone starts from: nothing is fetched for a run whose state will replace it."""
    return RANDOM if (out / checkpoint.STATE_FILE).exists() else options.backbone


def _optimizer(options: TrainOptions) -> Any:
    import keras

    rate, decay = options.learning_rate, options.weight_decay or None
    if options.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=options.momentum, nesterov=True, weight_decay=decay)
    make = {"adam": keras.optimizers.Adam, "nadam": keras.optimizers.Nadam}[options.optimizer]
    return make(rate, weight_decay=decay)


def _compile(model: keras_network.KerasModel, options: TrainOptions) -> None:
    import keras

    optimizer = _optimizer(options)
    # Biases and batch norms fit few numbers to much data; shrinking them only holds them off their place.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    heads = list(model.output) if isinstance(model.output, dict) else []

    def loss() -> object:
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    model.compile(
        optimizer=optimizer,
        loss={head: loss() for head in heads} or loss(),
        loss_weights={head: 1 / len(heads) for head in heads} or None,
        jit_compile=False,  # no gain on a CPU
    )
    # Built now: a state can only be restored into variables that exist.
    optimizer.build(model.trainable_variables)


def _ahead(make: Callable[[int], Batch], steps: int) -> Iterator[Batch]:
    """Make batches in one thread, a few ahead of their use; its errors are raised at the use."""
    with ThreadPoolExecutor(1, thread_name_prefix="augment") as pool:
        first = range(min(PREFETCH_BATCHES, steps))
        waiting: deque[Future[Batch]] = deque(pool.submit(make, step) for step in first)
        try:
            for step in range(steps):
                ready = waiting.popleft().result()
                if step + PREFETCH_BATCHES < steps:
                    waiting.append(pool.submit(make, step + PREFETCH_BATCHES))
                yield ready
        finally:
            for future in waiting:
                future.cancel()


def _stale(progress: Progress, options: TrainOptions) -> bool:
    if not options.patience or not progress.history:
        return False
    scores = [epoch.selection for epoch in progress.history]
    return len(scores) - 1 - int(np.argmax(scores)) >= options.patience
