"""Train a recipe on labelled faces. Safe to interrupt: a resumed run gives the same curve.

    card = train(Path("fer2013.npz"), Path("run"), TrainOptions(epochs=40))

The output folder contains `state.npz` (network, optimiser, average and history; replaced atomically after every epoch),
`history.json` and, if there are teachers, their answers (`teachers.npz`); at the end also `card.json`, `.weights.h5`
and `.onnx`. All random numbers are derived from (seed, epoch, row), so nothing else is needed to resume exactly.

If the data has FER+ votes, two linear heads learn from the same features: one the hard label, the other the votes. The
files keep both heads; the card states how their probabilities are averaged (`heads.Blend`).
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
from ferflow.models.backbones import RANDOM, PretrainedBackbone
from ferflow.models.cards import ModelCard
from ferflow.models.data.augment import Draw
from ferflow.models.data.dataset import Split, load, split
from ferflow.models.heads import ByHead
from ferflow.models.history import Epoch, write_history
from ferflow.models.networks import NETWORKS
from ferflow.models.training import checkpoint
from ferflow.models.training.checkpoint import Progress
from ferflow.models.training.distillation import (
    ask_teachers,
    average_answers,
    load_answers,
    read_stored_answers,
    save_answers,
)
from ferflow.models.training.finalize import TrainingResult, finalize
from ferflow.models.training.options import TrainOptions
from ferflow.models.training.sharpness import sharpness_aware
from ferflow.models.training.targets import (
    Batch,
    compute_logits,
    judge,
    make_batch,
    make_targets,
    mix_in_answers,
    oversample,
)
from ferflow.models.training.warm_start import initialise, load_trained
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
    """Train, or continue to train, and write card and weights into `out`.

    Args:
        data: a data set that `dataset.load` can read.
        out: folder of this run; training resumes from a checkpoint in it.
        options: recipe and schedule.
        start: a run or model (see `load_trained`) with the initial weights, for another cycle of the schedule: of the
            same network, or a narrower one; ignored if `out` contains a checkpoint.
        on_epoch: called with the figures of each epoch, for a progress display.
        on_step: called after each step with the number of epochs done, including the fraction of the current one.

    Returns:
        The card of the finished model.

    Raises:
        OptionsError: the data cannot be used, `out` contains a run with other options, or a start or teacher does
            not fit this run.
        ModelError: a start or teacher cannot be found or read.
    """
    parts = split(load(data), options.seed, hold_out=options.hold_out)
    if len(parts.training) < options.batch_size:
        raise OptionsError(
            f"{data.name}: {len(parts.training)} training rows do not fill a batch of {options.batch_size}"
        )
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(options, parts, out, on_step)
    progress = run.resume(start)
    while progress.epoch < options.epochs and not _should_stop(progress, options):
        run.epoch(progress)
        if on_epoch is not None:
            on_epoch(progress.history[-1])
    trained = TrainingResult(
        weights=progress.best,
        network=run.network,
        options=options,
        data=data.name,
        parts=parts,
        epochs=progress.epoch,
    )
    return finalize(trained, out, _note(options, start))


def _note(options: TrainOptions, start: str | None) -> str:
    """State in the card where initial weights and soft targets came from."""
    if start is not None or options.teachers:
        started = [] if start is None else [f"Started from the weights of {Path(start).name}."]
        names = ", ".join(Path(teacher).name for teacher in options.teachers)
        taught_by = [f"{options.teacher_share:.0%} of the targets are answers of {names}."] if names else []
        return " ".join(started + taught_by)
    if not isinstance(NETWORKS[options.recipe], PretrainedBackbone):
        return ""
    name = Path(options.backbone).name
    return f"Backbone started from {'random weights' if options.backbone == RANDOM else f'weights {name!r}'}."


class _Run:
    """The two networks of a run: one learns, the other has the averaged weights."""

    def __init__(self, options: TrainOptions, parts: Split, out: Path, on_step: OnStep | None) -> None:
        import_keras().utils.set_random_seed(options.seed)
        self.options, self.parts, self.out, self.on_step = options, parts, out, on_step
        self.targets = make_targets(
            parts.training,
            options.label_smoothing,
            classes=options.classes,
            votes=options.votes,
            weighted=options.balance == "weights",
        )
        if options.teachers:
            self.targets = mix_in_answers(self.targets, self._answers(), options.teacher_share)
        self.network = network_of(options, two_heads=self.targets.votes is not None)
        fetched = replace(self.network, backbone=_initial_backbone(options, out))
        self.model = keras_network.build(options.recipe, fetched)
        if options.sharpness_radius:
            self.model = sharpness_aware(self.model, options.sharpness_radius)
        self.judge = keras_network.build(options.recipe, self.network)
        _compile(self.model, options)
        self.steps = len(self._order(0)) // options.batch_size
        self.size = options.size_at(0)

    def _answers(self) -> ByHead:
        """Answers of the teachers to the training faces: stored ones for a resumed run, otherwise computed."""
        images = self.parts.training.images
        # Stored answers without a checkpoint may be those of other teachers, from a run that was killed early.
        answers = load_answers(self.out, len(images)) if (self.out / checkpoint.STATE_FILE).exists() else None
        if answers is None:
            answers = average_answers([self._answers_of(teacher) for teacher in self.options.teachers])
            save_answers(answers, self.out)
        return answers

    def _answers_of(self, teacher: str) -> ByHead:
        images = self.parts.training.images
        if teacher.endswith(".npz"):
            return read_stored_answers(Path(teacher), images)
        two_heads = self.targets.votes is not None
        return ask_teachers([load_trained(teacher)], images, self.options.classes, two_heads=two_heads)

    def resume(self, start: str | None) -> Progress:
        """Restore the checkpoint in the folder, or begin a new run; return its progress."""
        path = self.out / checkpoint.STATE_FILE
        if path.exists():
            progress = checkpoint.restore(path, self.model, self.options)
            write_history(self.out, progress.history)  # the run may have ended between the two files
            return progress
        if start is not None:
            initialise(load_trained(start), self.model, seed=self.options.seed)
        return checkpoint.new_progress(self.model)

    def epoch(self, progress: Progress) -> None:
        """Train one epoch, evaluate it, and write the checkpoint."""
        began = time.monotonic()
        self._resize(progress.epoch)
        losses = []
        for step, (images, wanted, weights) in enumerate(self._batches(progress.epoch)):
            self.model.optimizer.learning_rate.assign(self.options.rate_at(progress.step, self.steps))
            figures = self.model.train_on_batch(images, wanted, sample_weight=weights, return_dict=True)
            losses.append(float(figures["loss"]))
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
        # A step compiled for two image sizes rounds differently from one compiled for the second size only, which a
        # resumed run has.
        if self.options.size_at(epoch) != self.size:
            self.size = self.options.size_at(epoch)
            self.model.make_train_function(force=True)

    def _average(self, progress: Progress) -> None:
        # At first, an average over many steps would consist mostly of the random initial weights. The rule is that of
        # TensorFlow's ExponentialMovingAverage.
        decay = np.float32(min(self.options.average_decay, (1 + progress.step) / (10 + progress.step)))
        for kept, now in zip(progress.average, self.model.get_weights(), strict=True):
            kept += (1 - decay) * (now - kept)

    def _judge(self, progress: Progress, loss: float, seconds: float) -> None:
        self.judge.set_weights(progress.average)
        selection, classes = self.parts.selection, self.options.classes
        figures = judge(compute_logits(self.judge, selection.images), selection, classes)
        # Without a vote head, accuracy by majority is reported, but not used for selection.
        selected = figures.values() if self.network.two_heads else [figures["accuracy"]]
        score = float(np.mean(list(selected)))
        progress.history.append(
            Epoch(epoch=progress.epoch, loss=loss, selection=score, seconds=seconds, **figures)
        )
        accuracies = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        log.info("epoch %d: loss %.4f, %s, %.0f s", progress.epoch, loss, accuracies, seconds)
        if score > progress.best_score or self.options.keep == "last":
            progress.best_score = score
            progress.best = [weights.copy() for weights in progress.average]

    def _batches(self, epoch: int) -> Iterator[Batch]:
        training, size = self.parts.training, self.options.batch_size
        draw = Draw(self.options.seed, epoch)
        order = self._order(epoch)

        def make(step: int) -> Batch:
            rows = order[step * size : (step + 1) * size]
            return make_batch(training.images, self.targets, rows, draw, self.options)

        return _prefetch(make, self.steps)

    def _order(self, epoch: int) -> Int64Array:
        """Rows of an epoch in random order, see `targets.oversample`."""
        rng = np.random.default_rng((self.options.seed, epoch))
        if self.options.balance != "oversample":
            return rng.permutation(len(self.parts.training))
        return rng.permutation(oversample(self.options.classes.renumber(self.parts.training.labels), rng))


def network_of(options: TrainOptions, *, two_heads: bool) -> keras_network.Network:
    """Describe the network that is trained with these options; it takes all their image sizes."""
    sizes = {size for _, size in options.image_sizes}
    return keras_network.Network(
        classes=len(options.classes),
        input_size=sizes.pop() if len(sizes) == 1 else None,
        two_heads=two_heads,
        dropout=options.dropout,
        compute=options.compute,
    )


def _initial_backbone(options: TrainOptions, out: Path) -> str:
    """Initial weights of a backbone: none, and no download, for a run that restores a checkpoint."""
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
    # Biases and batch norms have few parameters and cannot overfit; decay would only bias them.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    heads = list(model.output) if isinstance(model.output, dict) else []

    def loss() -> object:
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    # The mean of the heads' losses and not their sum, so that a learning rate means the same for one head and two.
    model.compile(
        optimizer=optimizer,
        loss={head: loss() for head in heads} or loss(),
        loss_weights={head: 1 / len(heads) for head in heads} or None,
        jit_compile=False,  # not faster on a CPU
    )
    # Built now, because a checkpoint can only be restored into existing variables.
    optimizer.build(model.trainable_variables)


def _prefetch(make: Callable[[int], Batch], steps: int) -> Iterator[Batch]:
    """Make batches in one thread, a few in advance; errors are raised where the batch is used."""
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
            # The pool would otherwise compute all batches in the queue before an error can be raised.
            for future in waiting:
                future.cancel()


def _should_stop(progress: Progress, options: TrainOptions) -> bool:
    if not options.patience or not progress.history:
        return False
    scores = [epoch.selection for epoch in progress.history]
    return len(scores) - 1 - int(np.argmax(scores)) >= options.patience
