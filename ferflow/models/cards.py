"""Model cards: what a set of weights is, what its outputs mean, and which files hold it.

A card is a small JSON file next to the weights. Label order, input size, blend of heads, temperature and class prior
belong to the weights, so they are stored in the card and nowhere else:

    card = ModelCard.load(Path("run/card.json"))
    probs = card.probabilities(outputs)
    card.labels[probs[0].argmax()]

Several cards may share one set of files and blend the heads differently; each is a model with its own digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta, Struct, structs

from ferflow.errors import ModelError
from ferflow.models.heads import OCCLUSION_HEAD, SERVED_HEAD, Blend, ByHead, softmax
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write
from ferflow.types import Float32Array

_MOST_BYTES = 1 << 20
FORMAT = 3
"""Raised when an older ferflow could misread a newer card."""
BLENDED_LOGITS = 2
"""The format in which the logits of two heads were averaged. Cards of one head mean the same in every format."""
READABLE = (1, BLENDED_LOGITS, FORMAT)
"""Format 1 knew networks with one head only."""

WeightsKind = Literal["onnx", "onnx_float", "keras"]
"""What a card may list: the network served on a CPU, the same network in float32 if that one is int8, and the Keras
weights from which both were made."""

Share = Annotated[float, Meta(ge=0, le=1)]


class WeightFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of weights."""

    # A plain file name: a card from elsewhere must not reach outside its own folder.
    file: Annotated[str, Meta(pattern=r"\A(?!\.{1,2}\Z)[^/\\\x00]+\Z")]
    """Its name, in the folder of the card."""
    sha256: Annotated[str, Meta(min_length=64, max_length=64)]


class TwinFigures(Struct, frozen=True, kw_only=True):
    """How the float32 network of a model does on the rows on which its int8 network is measured; shares in [0, 1]."""

    accuracy: float
    macro_recall: float
    ece: float


class Figures(Struct, frozen=True, kw_only=True):
    """How a model does on one kind of labels; shares in [0, 1], see `metrics.Scores`."""

    n: int
    """Rows measured."""
    accuracy: float
    top2_accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    ece: float
    recall: Mapping[str, float]
    """By label."""

    def __str__(self) -> str:
        """In one line, for a terminal."""
        return f"accuracy {self.accuracy:.4f}, macro recall {self.macro_recall:.4f}, ECE {self.ece:.3f}, {self.n} rows"


class CardScores(Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"of_float": "float"}):
    """What a card says about its model's answers to the selection split."""

    labels: Figures | None = None
    """By the labels of the data set."""
    ferplus_majority: Figures | None = None
    """By the majority of FER+ annotators, if the data has their votes."""
    of_float: Mapping[str, TwinFigures] = {}
    """The float32 network by kind of labels, if the model is int8."""

    def by_kind(self) -> dict[str, Figures]:
        """Figures by kind of labels: those that were measured."""
        kinds = {"labels": self.labels, "ferplus_majority": self.ferplus_majority}
        return {kind: figures for kind, figures in kinds.items() if figures is not None}


class ModelCard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a classifier, and a reader, need to know about a set of weights.

    Raises:
        ModelError: values contradict each other.
    """

    name: str
    purpose: str = ""
    """What to use this model for, if several are made from the same weights."""
    recipe: str
    """Name of the network in `networks.NETWORKS` that the Keras weights fit; files contain no code."""
    labels: Annotated[tuple[str, ...], Meta(min_length=2)]
    """In the order of the outputs."""
    input_size: Annotated[int, Meta(ge=16, le=512)] = 48
    """Side of the square crops that the network takes, pixels."""
    channels: Literal[1, 3] = 1
    blend: Blend | None = None
    """How the probabilities of two heads are combined; None: the network has one head."""
    occlusion_layer: str = ""
    """Layer that the head for covered mouths reads; empty: the network has no such head."""
    temperature: Annotated[float, Meta(ge=1e-3, le=100)] = 1.0
    """Logits are divided by this before the softmax (Guo et al., 2017)."""
    prior: tuple[Share, ...] = ()
    """Class shares that the probabilities assume, in the order of the labels; empty: unknown."""
    prior_note: str = ""
    """Where the prior comes from."""
    merged: Mapping[str, str] = {}
    """Classes of FER2013 that count as another class here: {"disgust": "angry"} for a network of six classes."""
    files: Annotated[Mapping[WeightsKind, WeightFile], Meta(min_length=1)]
    data: str = ""
    """Name of the training data set."""
    rows: int = 0
    """Training images."""
    leaks: int = 0
    """Training rows that were left out because they are also part of another split."""
    seed: int = 0
    selection: str = ""
    """What the epoch, the blend of heads and the temperature were chosen on."""
    scores: CardScores = CardScores()
    note: str = ""
    folder: Path | None = None
    """Where the card was read from; not part of the file."""

    def __post_init__(self) -> None:
        """Refuse values that contradict each other; types and ranges are checked when a card is decoded."""
        n, shifts = len(self.labels), () if self.blend is None else self.blend.shifts.values()
        rules = {
            "labels must all be different": len(set(self.labels)) == n,
            "blend must hold two shifts per label": all(len(shift) == n for shift in shifts),
            "prior must be empty or hold a share per label, sum 1": not self.prior
            or (len(self.prior) == n and abs(sum(self.prior) - 1) < 1e-3),
            "onnx_float is the twin of an onnx file": not self.is_int8 or "onnx" in self.files,
            "merged must name classes that are not labels, and the labels they count as": not (
                self.merged.keys() & set(self.labels) or set(self.merged.values()) - set(self.labels)
            ),
        }
        for rule, is_met in rules.items():
            if not is_met:
                raise ModelError(
                    f"model card {self.name!r}: {rule}. Restore the card that came with the weights."
                )

    @property
    def is_int8(self) -> bool:
        """Whether "onnx" is quantised; its float32 twin is then "onnx_float"."""
        return "onnx_float" in self.files

    @property
    def float_file(self) -> WeightsKind:
        """Which entry of `files` is the float32 network: its answers equal the Keras weights' to 1e-3."""
        return "onnx_float" if self.is_int8 else "onnx"

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the outputs that are logits of the labels, each float32 (N, K)."""
        return tuple(self.shares)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs: `heads`, and `occluded` if it has this head."""
        return (*self.heads, OCCLUSION_HEAD) if self.occlusion_layer else self.heads

    @property
    def shares(self) -> dict[str, float]:
        """Weight of each head in the probabilities; sum 1."""
        return {SERVED_HEAD: 1.0} if self.blend is None else self.blend.shares

    @property
    def prior_by_label(self) -> dict[str, float]:
        """Class shares that the probabilities assume; empty: unknown."""
        return dict(zip(self.labels, self.prior, strict=False))

    @property
    def neutral_prior(self) -> float | None:
        """Share of neutral that the probabilities assume, in (0, 1); None: unknown, or no such class."""
        share = self.prior_by_label.get("neutral")
        return share if share is not None and 0 < share < 1 else None

    def logits(self, outputs: Mapping[str, Float32Array]) -> ByHead:
        """Logits float32 (N, K) by head as the softmax takes them: outputs plus the shifts of the blend."""
        return {SERVED_HEAD: outputs[SERVED_HEAD]} if self.blend is None else self.blend.shift(outputs)

    def probabilities(self, outputs: Mapping[str, Float32Array]) -> Float32Array:
        """Turn outputs by head into probabilities, float32 (N, K), whose rows sum to 1."""
        if self.blend is None:
            return softmax(outputs[SERVED_HEAD], self.temperature)
        return self.blend(outputs, self.temperature)

    @property
    def sha256(self) -> str:
        """Digest of everything that determines the probabilities: weights, labels, blend, temperature. Hexadecimal."""
        # Name, purpose, scores and notes may change without making results of the same model incompatible.
        deciding: dict[str, object] = {
            "recipe": self.recipe,
            "labels": self.labels,
            "input": [self.input_size, self.channels],
            "temperature": self.temperature,
            "files": {backend: file.sha256 for backend, file in sorted(self.files.items())},
        }
        # Left out for one head, so that the digest of such a model is the same in every format.
        if self.blend is not None:
            deciding["blend"] = structs.asdict(self.blend)
        if self.occlusion_layer:
            deciding["occlusion_layer"] = self.occlusion_layer
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

    def path(self, backend: WeightsKind) -> Path:
        """Return the path of one of the files.

        Raises:
            ModelError: the card lists no such file.
        """
        if backend not in self.files:
            raise ModelError(
                f"{self.name}: has no weights for the {backend} backend, only for {', '.join(self.files)}."
            )
        return (self.folder or Path()) / self.files[backend].file

    def verify(self) -> None:
        """Check every file against its sha256.

        Raises:
            ModelError: a file is missing, or differs from the file that the card was made for.
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
        """Write the card as JSON, atomically."""
        table = {"format": FORMAT, **structs.asdict(self)}
        del table["folder"]
        with atomic_write(path) as part:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a card without looking at its files (see `verify`).

        Raises:
            ModelError: the file is missing, is not a card, or has a format that is too new or too old.
        """
        try:
            table = msgspec.json.decode(read_plain_file(path, _MOST_BYTES), type=dict[str, object])
        except (OSError, RecursionError, msgspec.DecodeError) as error:
            raise ModelError(
                f"{path}: cannot be read as a model card ({_first_line(error)}). Restore it."
            ) from error
        # Before the conversion: a newer card is refused for its format, and not for a field that is not known here.
        version = table.pop("format", None)
        if version == BLENDED_LOGITS and table.get("blend") is not None:
            raise ModelError(
                f"{path}: an older ferflow made it and averaged its heads differently. Repeat the `ferflow train` "
                "of its run, which then only writes the card again, and then the `ferflow models export`, if any."
            )
        if version not in READABLE:
            raise ModelError(
                f"{path}: not a model card (format {version!r}, this ferflow reads up to {FORMAT}). Restore it."
            )
        try:
            return structs.replace(msgspec.convert(table, cls), folder=path.parent)
        except msgspec.ValidationError as error:
            raise ModelError(f"{path}: not a model card ({_first_line(error)}). Restore it.") from error


def _first_line(error: Exception) -> str:
    """One line of a message that may quote the content of the file."""
    line = str(error).partition("\n")[0]
    return line if len(line) <= 200 else f"{line[:200]}..."


def sha256_of(path: Path) -> str:
    """Digest of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
