"""Train a recipe on labelled faces; stop it when you like, start it again and get the same curve.

    card = train(Path("fer2013.npz"), Path("run"), TrainOptions(epochs=40))

The output folder holds `state.npz` (network, optimiser, average and history in one file, replaced
whole after every epoch) and `history.json`; at the end the card, `.weights.h5` and `.onnx`. All that is
drawn at random is drawn from (seed, epoch, row or step), so nothing else need be kept to resume exactly.

Where the data carries FER+ votes, two linear heads learn from the same features: one the hard label, one
the votes. Afterwards they become one head that blends their logits (`cnn.serve`).
"""

from __future__ import annotations

import io
import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ferflow.errors import OptionsError
from ferflow.models import cnn
from ferflow.models.augment import Augmentation, Draw, augment
from ferflow.models.dataset import LABELS, Faces, IntArray, load, majority, split, vote_counts

FloatArray = npt.NDArray[np.float32]
Epoch = dict[str, float]
OnEpoch = Callable[[Epoch], None]

log = logging.getLogger(__name__)

STATE_FILE, HISTORY_FILE = "state.npz", "history.json"
PREFETCH_BATCHES = 4
EVALUATION_BATCH = 512
LEAST_VOTES = 5
"""Of ten. With fewer left for our seven classes, the annotators saw something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How to train. A run is resumed only by the very same options, `patience` aside."""

    name: str = "default"
    """Name of the card and of the files written."""
    recipe: str = "resnet-small"
    epochs: int = 40
    seed: int = 1
    batch_size: int = 128
    learning_rate: float = 0.1
    """Peak; reached after the warm-up, then a cosine to zero over all epochs."""
    warmup_epochs: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-3
    """Decoupled: each step shrinks the kernels by this times the learning rate."""
    label_smoothing: float = 0.05
    """For hard labels; votes are soft by themselves."""
    mixup: float = 0.2
    """Both parameters of the Beta the mixing share is drawn from; 0 mixes nothing."""
    dropout: float = 0.1
    average_decay: float = 0.998
    """Of the moving average of weights that is judged and kept: about 1 / (1 - decay) steps."""
    patience: int = 0
    """Stop after so many epochs without a better selection score; 0 never stops early."""
    compute: str = "float32"
    """Keras dtype policy; "mixed_bfloat16" pays on GPUs and recent CPUs only."""
    image_sizes: tuple[tuple[float, int], ...] = ((1.0, 48),)
    """(until this share of the epochs, side in pixels). Early epochs on small images cost far less."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, before any data is read."""
        if self.epochs < 1 or self.batch_size < 2:
            raise OptionsError(
                f"need epochs >= 1 and batch_size >= 2, got {self.epochs} and {self.batch_size}"
            )
        if self.recipe not in cnn.RECIPES:
            raise OptionsError(
                f"no recipe is called {self.recipe!r}; choose one of: {', '.join(sorted(cnn.RECIPES))}"
            )
        if not self.image_sizes or self.image_sizes[-1][0] < 1.0:
            raise OptionsError(f"image_sizes must reach the share 1.0 of the epochs, got {self.image_sizes}")

    def size_at(self, epoch: int) -> int:
        """Side of the training images in an epoch (from 0), pixels."""
        return next(size for until, size in self.image_sizes if epoch < until * self.epochs or until >= 1.0)

    def rate_at(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step (from 0): linear warm-up, then a cosine to zero."""
        warm = self.warmup_epochs * steps_per_epoch
        total = self.epochs * steps_per_epoch
        if step < warm:
            return self.learning_rate * (step + 1) / (warm + 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, total - warm)))


@dataclass(slots=True)
class Progress:
    """Everything that changes while training and must survive a kill."""

    epoch: int
    """Epochs done."""
    step: int
    average: list[FloatArray]
    """Moving average of all the network's weights."""
    best: list[FloatArray]
    """The average after the epoch with the best selection score."""
    best_score: float
    history: list[Epoch]


@dataclass(frozen=True, slots=True)
class Targets:
    """What each row should be answered with."""

    labels: FloatArray
    """float32 (N, 7), rows sum to 1."""
    votes: FloatArray | None
    """float32 (N, 7), rows sum to 1, or to 0 where too few votes are left; None without votes."""


def train(data: Path, out: Path, options: TrainOptions, on_epoch: OnEpoch | None = None) -> Any:
    """Train, or go on training, and write card and weights into `out`.

    Args:
        data: what `dataset.load` reads.
        out: folder of this run; with a checkpoint in it, training goes on from there.
        options: recipe and schedule.
        on_epoch: told each epoch's figures, for a progress display.

    Returns:
        The card of the finished model.

    Raises:
        OptionsError: the data cannot be used, or `out` holds a run with other options.
    """
    training, selection = split(load(data), options.seed)
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(options, training, selection, out)
    progress = run.resume()
    while progress.epoch < options.epochs and not _stale(progress, options):
        run.epoch(progress)
        if on_epoch is not None:
            on_epoch(progress.history[-1])
    from ferflow.models.finish import finish

    return finish(run.network, progress.best, progress.history, options, selection, training, data, out)


class _Run:
    """The two compiled networks of a run: one learns, the other shows the average."""

    def __init__(self, options: TrainOptions, training: Faces, selection: Faces, out: Path) -> None:
        import keras

        keras.utils.set_random_seed(options.seed)
        self.options, self.training, self.selection, self.out = options, training, selection, out
        self.targets = targets(training, options.label_smoothing)
        self.network = network_of(options, two_heads=self.targets.votes is not None)
        self.model = cnn.build(options.recipe, self.network)
        self.judge = cnn.build(options.recipe, self.network)
        _compile(self.model, options)
        self.steps = max(1, len(training) // options.batch_size)

    def resume(self) -> Progress:
        """Return the progress in the folder, its weights set; or a fresh one."""
        state = self.out / STATE_FILE
        if state.exists():
            return restore(state, self.model, self.options)
        # Copied: what a backend hands out may be the very memory it goes on training in.
        weights = [np.array(weights) for weights in self.model.get_weights()]
        return Progress(0, 0, weights, [kept.copy() for kept in weights], -math.inf, [])

    def epoch(self, progress: Progress) -> None:
        """Train one epoch, judge it, and put the state on disk."""
        began = time.monotonic()
        self.model.reset_metrics()
        loss = math.nan
        for step, (images, heads, shares) in enumerate(self._batches(progress.epoch)):
            self.model.optimizer.learning_rate.assign(self.options.rate_at(progress.step, self.steps))
            loss = self.model.train_on_batch(images, heads, sample_weight=shares, return_dict=True)["loss"]
            progress.step += 1
            self._average(progress)
            if step % 50 == 49:
                rate = (step + 1) * self.options.batch_size / (time.monotonic() - began)
                log.info("epoch %d step %d/%d loss %.4f, %.0f images/s", progress.epoch + 1, step + 1, self.steps, loss, rate)
        seconds = time.monotonic() - began
        progress.epoch += 1
        self._judge(progress, float(loss), seconds)
        save_state(self.out, self.model, progress, self.options)

    def _average(self, progress: Progress) -> None:
        # Early on a long memory would mostly remember the random start.
        decay = np.float32(min(self.options.average_decay, (1 + progress.step) / (10 + progress.step)))
        for kept, now in zip(progress.average, self.model.get_weights(), strict=True):
            if kept.dtype == np.float32:
                kept += (1 - decay) * (now - kept)

    def _judge(self, progress: Progress, loss: float, seconds: float) -> None:
        self.judge.set_weights(progress.average)
        figures = judge(logits(self.judge, self.selection.images), self.selection)
        score = float(np.mean(list(figures.values())))
        images = self.steps * self.options.batch_size
        progress.history.append(
            {"epoch": progress.epoch, "loss": loss, **figures, "selection": score, "seconds": seconds}
        )
        log.info("epoch %d: loss %.4f, %s, %.0f images/s", progress.epoch, loss, _told(figures), images / seconds)
        if score > progress.best_score:
            progress.best_score = score
            progress.best = [weights.copy() for weights in progress.average]

    def _batches(self, epoch: int) -> Iterator[Batch]:
        order = np.random.default_rng((self.options.seed, epoch)).permutation(len(self.training))

        def make(step: int) -> Batch:
            rows = order[step * self.options.batch_size : (step + 1) * self.options.batch_size]
            return batch(self.training.images, self.targets, rows, Draw(self.options.seed, epoch), self.options)

        return _ahead(make, self.steps)


Batch = tuple[FloatArray, dict[str, FloatArray] | FloatArray, dict[str, FloatArray] | None]


def network_of(options: TrainOptions, *, two_heads: bool) -> cnn.Network:
    """Describe the network that is trained under these options."""
    return cnn.Network(
        classes=len(LABELS), input_size=None, two_heads=two_heads, dropout=options.dropout, compute=options.compute
    )


def targets(faces: Faces, smoothing: float) -> Targets:
    """Turn labels and votes into what the heads should answer."""
    hard = np.eye(len(LABELS), dtype=np.float32)[faces.labels]
    smooth = hard * (1 - smoothing) + smoothing / len(LABELS)
    if faces.votes is None:
        return Targets(smooth.astype(np.float32), None)
    counts = vote_counts(faces.votes)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.where(total >= LEAST_VOTES, counts / np.maximum(total, 1), 0)
    return Targets(smooth.astype(np.float32), shares.astype(np.float32))


def batch(images: npt.NDArray[np.uint8], wanted: Targets, rows: IntArray, draw: Draw, options: TrainOptions) -> Batch:
    """Make the augmented and mixed batch of these rows.

    Returns:
        images float32 (n, S, S, 1); targets and sample weights by head, float32 (n, 7) and (n,).
    """
    size = options.size_at(draw.epoch)
    x = augment(images[rows], rows, draw, options.augmentation, size=size).astype(np.float32)
    labels = wanted.labels[rows]
    votes = None if wanted.votes is None else wanted.votes[rows]
    if options.mixup > 0:
        mixing = np.random.default_rng((draw.seed, draw.epoch, int(rows[0]), 1))
        share = np.float32(mixing.beta(options.mixup, options.mixup))
        x, labels = _mix(x, share), _mix(labels, share)
        votes = None if votes is None else _mix(votes, share)
    if votes is None:
        return x[..., None], labels, None
    # A row without votes mixed with one that has them counts by the share of the latter.
    weight = votes.sum(axis=1)
    votes = votes / np.maximum(weight, 1e-6)[:, None]
    heads = {cnn.LABEL_HEAD: labels, cnn.VOTE_HEAD: votes}
    return x[..., None], heads, {cnn.LABEL_HEAD: np.ones_like(weight), cnn.VOTE_HEAD: weight}


def logits(model: cnn.KerasModel, images: npt.NDArray[np.uint8]) -> dict[str, FloatArray]:
    """Answer images (N, S, S) in batches: float32 (N, 7) by head."""
    parts: dict[str, list[FloatArray]] = {}
    for start in range(0, len(images), EVALUATION_BATCH):
        answer = model.predict_on_batch(images[start : start + EVALUATION_BATCH, ..., None].astype(np.float32))
        for name, part in (answer if isinstance(answer, dict) else {cnn.SERVED_HEAD: answer}).items():
            parts.setdefault(name, []).append(np.asarray(part, np.float32))
    return {name: np.concatenate(part) for name, part in parts.items()}


def judge(answers: Mapping[str, FloatArray], faces: Faces) -> Epoch:
    """Accuracy by labels and, where there are votes, by FER+ majority; each head on its own ground."""
    by_label = answers.get(cnn.LABEL_HEAD, answers.get(cnn.SERVED_HEAD))
    assert by_label is not None
    figures = {"accuracy": float((by_label.argmax(axis=1) == faces.labels).mean())}
    if faces.votes is not None:
        truth = majority(faces.votes)
        by_vote = answers.get(cnn.VOTE_HEAD, by_label).argmax(axis=1)
        figures["ferplus_accuracy"] = float((by_vote == truth)[truth >= 0].mean())
    return figures


def save_state(out: Path, model: cnn.KerasModel, progress: Progress, options: TrainOptions) -> None:
    """Put the whole state on disk in one rename, so that a kill leaves the old state or the new one."""
    groups: dict[str, Sequence[Any]] = {
        "model": [np.asarray(v) for v in model.variables],
        "optimizer": [np.asarray(v) for v in model.optimizer.variables],
        "average": progress.average,
        "best": progress.best,
    }
    arrays = {f"{name}/{i}": array for name, group in groups.items() for i, array in enumerate(group)}
    facts = {
        "epoch": progress.epoch,
        "step": progress.step,
        "best_score": progress.best_score,
        "history": progress.history,
        "options": _identity(options),
    }
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.array(json.dumps(facts)), **arrays)
    _replace(out / STATE_FILE, buffer.getvalue())
    _replace(out / HISTORY_FILE, json.dumps(progress.history, indent=1).encode())


def restore(path: Path, model: cnn.KerasModel, options: TrainOptions) -> Progress:
    """Set a compiled network to a saved state and return the progress with it.

    Raises:
        OptionsError: the state belongs to other options or another network.
    """
    with np.load(path, allow_pickle=False) as archive:
        facts = json.loads(str(archive["facts"]))
        groups: dict[str, list[Any]] = {"model": [], "optimizer": [], "average": [], "best": []}
        for key in archive.files:
            if "/" in key:
                groups[key.partition("/")[0]].append(archive[key])
    if facts["options"] != json.loads(json.dumps(_identity(options))):
        raise OptionsError(
            f"{path.parent.name}: holds a run with other options; use another folder, or the same options to go on"
        )
    for name, variables in (("model", model.variables), ("optimizer", model.optimizer.variables)):
        if len(variables) != len(groups[name]):
            raise OptionsError(f"{path.parent.name}: its state does not fit this network; use another folder")
        for variable, value in zip(variables, groups[name], strict=True):
            variable.assign(value)
    return Progress(
        facts["epoch"], facts["step"], groups["average"], groups["best"], facts["best_score"], facts["history"]
    )


def _compile(model: cnn.KerasModel, options: TrainOptions) -> None:
    import keras

    optimizer = keras.optimizers.SGD(
        options.learning_rate, momentum=options.momentum, nesterov=True, weight_decay=options.weight_decay
    )
    # Biases and batch norms fit few numbers to much data; shrinking them only holds them off their place.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    names = list(model.output_names) if isinstance(model.output, dict) else []
    model.compile(
        optimizer=optimizer,
        loss={name: keras.losses.CategoricalCrossentropy(from_logits=True) for name in names} or loss,
        loss_weights={name: 1 / len(names) for name in names} or None,
        jit_compile=False,
    )
    optimizer.build(model.trainable_variables)


def _mix(values: FloatArray, share: np.float32) -> FloatArray:
    """Blend every row with the one at the other end of the batch: rows are in random order already."""
    return (share * values + (1 - share) * values[::-1]).astype(np.float32)


def _ahead(make: Callable[[int], Batch], steps: int) -> Iterator[Batch]:
    """Make batches in one thread, a few ahead of their use; an error in it is raised where the batch is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="augment") as pool:
        waiting: deque[Future[Batch]] = deque(pool.submit(make, step) for step in range(min(PREFETCH_BATCHES, steps)))
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
    scores = [epoch["selection"] for epoch in progress.history]
    return len(scores) - 1 - int(np.argmax(scores)) >= options.patience


def _identity(options: TrainOptions) -> dict[str, Any]:
    """What must be equal for two runs to be the same run."""
    return {name: value for name, value in asdict(options).items() if name != "patience"}


def _replace(path: Path, content: bytes) -> None:
    part = path.with_suffix(path.suffix + ".tmp")
    part.write_bytes(content)
    part.replace(path)


def _told(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
