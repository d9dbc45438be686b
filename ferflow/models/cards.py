"""Model cards: what a set of weights is, what its outputs mean, and which files hold it.

A card is a small JSON file beside the weights. Label order, input size, blend of heads, temperature and class prior
belong to the weights, so they travel in the card and nothing else states them:

    card = ModelCard.load(Path("run/card.json"))
    probs = card.probabilities(outputs)
    card.labels[probs[0].argmax()]

Several cards may share one set of files and blend the heads otherwise; each is a model of its own, with its own digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from ferflow.errors import ModelError
from ferflow.models.heads import SERVED_HEAD, Blend, ByHead, softmax
from ferflow.store.atomic_files import whole_file
from ferflow.types import Float32Array

FORMAT = 3
"""Raised when an older ferflow could misread a newer card."""
BLENDED_LOGITS = 2
"""The format in which two heads' logits were averaged; one head is as ever."""
READABLE = (1, BLENDED_LOGITS, FORMAT)
"""1 knew networks of one head only."""


FILES = ("onnx", "onnx_float", "keras")
"""What a card may list: the network that the CPU serves, the same in float32 where that one is int8, and the Keras
weights both were made from."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of weights, named relative to its card."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a classifier needs to know of a set of weights, and what a reader should.

    Raises:
        ModelError: a value makes no sense.
    """

    name: str
    purpose: str = ""
    """What to take this one for, where several are made of the same weights."""
    recipe: str
    """Which network of `cnn.RECIPES` the Keras weights fit; files hold no code."""
    labels: tuple[str, ...]
    """In the order of the outputs."""
    input_size: int = 48
    """Side of the square crops it takes, pixels."""
    channels: int = 1
    blend: Blend | None = None
    """How the answers of the network's two heads become one; None: it has one, whose logits are served as they are."""
    temperature: float = 1.0
    """Logits are divided by this before the softmax (Guo et al., 2017)."""
    prior: tuple[float, ...] = ()
    """Class shares the probabilities assume, in the order of the labels; empty: unknown."""
    prior_note: str = ""
    """Where the prior comes from."""
    merged: Mapping[str, str] = field(default_factory=dict)
    """Classes of FER2013 that count as another one here: {"disgust": "angry"} for a network of six."""
    files: Mapping[str, WeightFile]
    """By what reads them, see `FILES`."""
    data: str = ""
    """What it was trained on."""
    rows: int = 0
    """Training images."""
    leaks: int = 0
    """Training rows left out because they stand in another split."""
    seed: int = 0
    selection: str = ""
    """What the epoch, the blend of heads and the temperature were chosen on."""
    scores: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    folder: Path | None = None
    """Where the card was read from; not part of it."""

    def __post_init__(self) -> None:
        """Refuse what could not be used, with the reason."""
        wrong = _problem_of(self)
        if wrong:
            raise ModelError(
                f"model card {self.name!r}: {wrong}. Restore the card that came with the weights."
            )

    @property
    def is_int8(self) -> bool:
        """Whether "onnx" is quantised; its float twin is then "onnx_float"."""
        return "onnx_float" in self.files

    @property
    def float_file(self) -> str:
        """Which entry of `files` is the float32 network: its answers equal the Keras weights' to 1e-3."""
        return "onnx_float" if self.is_int8 else "onnx"

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the network's outputs, each float32 (N, K)."""
        return tuple(self.shares)

    @property
    def shares(self) -> dict[str, float]:
        """How much of the scores comes from each head; sum 1."""
        return {SERVED_HEAD: 1.0} if self.blend is None else self.blend.shares

    def logits(self, outputs: Mapping[str, Float32Array]) -> ByHead:
        """Logits float32 (N, K) by head as the softmax takes them: outputs, and what the blend shifts them by."""
        return {SERVED_HEAD: outputs[SERVED_HEAD]} if self.blend is None else self.blend.shifted(outputs)

    def probabilities(self, outputs: Mapping[str, Float32Array]) -> Float32Array:
        """Turn outputs by head into probabilities, float32 (N, K), whose rows sum to 1."""
        if self.blend is None:
            return softmax(outputs[SERVED_HEAD], self.temperature)
        return self.blend(outputs, self.temperature)

    @property
    def sha256(self) -> str:
        """Digest of all that decides the probabilities: weights, labels, blend, temperature. Hexadecimal."""
        deciding: dict[str, Any] = {
            "recipe": self.recipe,
            "labels": self.labels,
            "input": [self.input_size, self.channels],
            "temperature": self.temperature,
            "files": {backend: file.sha256 for backend, file in sorted(self.files.items())},
        }
        if self.blend is not None:  # left out, so that models of one head keep the digest they always had
            deciding["blend"] = asdict(self.blend)
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

    def path(self, backend: str) -> Path:
        """Return where the weights for an entry of `FILES` lie.

        Raises:
            ModelError: the model has none of that kind.
        """
        if backend not in self.files:
            raise ModelError(
                f"{self.name}: has no weights for the {backend} backend, only for {', '.join(self.files)}."
            )
        return (self.folder or Path()) / self.files[backend].file

    def verify(self) -> None:
        """Check every file against its sha256.

        Raises:
            ModelError: a file is missing, or is not the one the card was made for.
        """
        for backend, file in self.files.items():
            path = self.path(backend)
            if not path.is_file():
                raise ModelError(f"{self.name}: {path} is missing. Restore it, or use another model.")
            found = sha256_of(path)
            if found != file.sha256:
                raise ModelError(
                    f"{self.name}: {path} is damaged or was exchanged: sha256 {found[:12]}… differs from the "
                    f"card's {file.sha256[:12]}…. Restore the file that belongs to this card."
                )

    def save(self, path: Path) -> None:
        """Write the card as JSON, whole or not at all."""
        table = {name: value for name, value in asdict(self).items() if name != "folder"}
        with whole_file(path) as part:
            part.write_text(
                json.dumps({"format": FORMAT, **table}, indent=1, ensure_ascii=False) + "\n", "utf-8"
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a card; its files are not looked at (see `verify`).

        Raises:
            ModelError: not there, not a card, or of a ferflow too new or too old.
        """
        try:
            table = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(
                f"{path}: cannot be read as a model card ({_brief(error)}). Restore it."
            ) from error
        if (
            isinstance(table, dict)
            and table.get("format") == BLENDED_LOGITS
            and table.get("blend") is not None
        ):
            raise ModelError(
                f"{path}: an older ferflow made it, which averaged its heads otherwise. Repeat the `ferflow train` "
                "of its run, which then makes the card alone, and after it the `ferflow export` if there was one."
            )
        try:
            return replace(cls(**_arguments(table)), folder=path.parent)
        except (TypeError, KeyError, ValueError) as error:
            raise ModelError(f"{path}: not a model card ({_brief(error)}). Restore it.") from error


def _brief(error: Exception) -> str:
    """One line of a message that may repeat what stands in the file."""
    line = str(error).partition("\n")[0]
    return line if len(line) <= 200 else f"{line[:200]}..."


def sha256_of(path: Path) -> str:
    """Digest of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _arguments(table: Any) -> dict[str, Any]:
    """Turn a card's JSON into constructor arguments; TypeError, KeyError or ValueError where it is none."""
    if not isinstance(table, dict):
        raise ValueError("not a JSON object")
    if table.get("format") not in READABLE:
        raise ValueError(f"format {table.get('format')!r}, this ferflow reads up to {FORMAT}")
    known = {item.name for item in fields(ModelCard)} - {"folder"}
    unknown = table.keys() - known - {"format"}
    if unknown:
        raise ValueError(f"unknown entries {sorted(unknown)}")
    arguments = {name: table[name] for name in known & table.keys()}
    arguments["labels"] = tuple(table["labels"])
    arguments["prior"] = tuple(table.get("prior", ()))
    if table.get("blend") is not None:
        blend = Blend(**table["blend"])
        arguments["blend"] = replace(
            blend, label_shift=tuple(blend.label_shift), vote_shift=tuple(blend.vote_shift)
        )
    arguments["files"] = {backend: WeightFile(**file) for backend, file in dict(table["files"]).items()}
    return arguments


# --- What makes the values of a card unusable: a card may come from elsewhere ---------------------------------


def _problem_of(card: ModelCard) -> str | None:
    """Return what is wrong with a card's values, or None."""
    texts = (card.name, card.purpose, card.recipe, card.data, card.prior_note, card.selection, card.note)
    counts = (card.input_size, card.channels, card.rows, card.leaks, card.seed)
    checks = {
        "names, labels and notes must be text": all(isinstance(text, str) for text in (*texts, *card.labels)),
        "sizes and counts must be whole numbers": all(type(count) is int for count in counts),
        "labels must be two or more, all different": len(set(card.labels)) == len(card.labels) > 1,
        "input_size must be 16 to 512 and channels 1 or 3": _within(card.input_size, 16, 512)
        and card.channels in (1, 3),
        "blend must be empty, or hold a share in 0..1 and two shifts per label": _is_blend(
            card.blend, len(card.labels)
        ),
        "temperature must be a number above 0, at most 100": _within(card.temperature, 1e-3, 100),
        "prior must be empty or hold a share per label, sum 1": _is_prior(card.prior, len(card.labels)),
        "scores must be an object": isinstance(card.scores, Mapping),
        f"files must name weights for some of {', '.join(FILES)}": bool(card.files)
        and card.files.keys() <= set(FILES),
        "onnx_float is the twin of an onnx file": not card.is_int8 or "onnx" in card.files,
        "merged must name classes that are no labels, and the labels they count as": _is_merged(card),
        "each file must be a plain file name with its sha256": all(map(_is_file, card.files.values())),
    }
    return next((complaint for complaint, holds in checks.items() if not holds), None)


def _within(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_prior(prior: tuple[float, ...], classes: int) -> bool:
    if not prior:
        return True
    return (
        len(prior) == classes and all(_within(share, 0, 1) for share in prior) and abs(sum(prior) - 1) < 1e-3
    )


def _is_blend(blend: Blend | None, classes: int) -> bool:
    if blend is None:
        return True
    shifts = (blend.label_shift, blend.vote_shift)
    return _within(blend.share, 0, 1) and all(
        len(shift) == classes and all(_within(part, -100, 100) for part in shift) for shift in shifts
    )


def _is_merged(card: ModelCard) -> bool:
    return isinstance(card.merged, Mapping) and all(
        isinstance(name, str) and name not in card.labels and label in card.labels
        for name, label in card.merged.items()
    )


def _is_file(file: WeightFile) -> bool:
    # A plain name: a card from elsewhere must not reach out of its own folder.
    return (
        isinstance(file.file, str)
        and file.file not in ("", ".", "..")
        and not set("/\\\0") & set(file.file)
        and isinstance(file.sha256, str)
        and len(file.sha256) == 64
    )
