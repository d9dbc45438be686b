"""Labelled faces for training and measuring, from whatever they come in.

    faces = load(Path("fer2013.npz"))
    training, selection = split(faces, seed=1)      # leaking rows are out of `training`

Three layouts are read:

- `.npz` with `images` uint8 (N, S, S) and `emotion` or `labels` (N,); optionally `usage` (N,) text,
  `ferplus` (N, 10) annotator votes, `leaks` (N,) bool;
- the Kaggle CSV `emotion,pixels[,Usage]`;
- a folder with one subfolder per class, named as in the labels, holding images.

What cannot be used is never guessed. A row or image that is broken by itself (not a number, not 48x48
pixels, grey level or label out of range, unreadable image) is skipped and counted in `Faces.skipped`. A data
set that is broken as a whole (no such file, no images, a missing column, arrays of different
lengths, an empty class folder, a folder that is no class, nothing left) is an `OptionsError`.
"""

from __future__ import annotations

import csv
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferflow.errors import OptionsError

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""FER2013's order, the meaning of the numbers in its `emotion` column."""

FERPLUS_COLUMNS = (4, 5, 6, 1, 3, 2, 0)
"""Where LABELS stand among the FER+ votes: neutral, happiness, surprise, sadness, anger, disgust, fear, and
then contempt, unknown, not a face (Barsoum et al., 2016), which have no place in LABELS."""

SIZE = 48
TRAINING, SELECTION = "Training", "PublicTest"
HELD_OUT_SHARE = 0.1

UInt8Array = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """Grayscale faces with their labels; arrays of one length.

    Raises:
        OptionsError: shapes or types do not fit together.
    """

    images: UInt8Array
    """uint8 (N, 48, 48)."""
    labels: IntArray
    """int64 (N,), indices into LABELS."""
    usage: npt.NDArray[np.str_] | None = None
    """Split of each row, where the source names one."""
    votes: UInt8Array | None = None
    """uint8 (N, 10), FER+ votes in FER+'s own order, where the source has them."""
    leaks: BoolArray | None = None
    """Rows the source itself marks as standing in another split too."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Why rows of the source were left out, and how many."""

    def __post_init__(self) -> None:
        """Refuse arrays that cannot belong together."""
        n = len(self.images)
        if self.images.dtype != np.uint8 or self.images.shape[1:] != (SIZE, SIZE):
            raise OptionsError(
                f"images must be uint8 (N, {SIZE}, {SIZE}), got {self.images.dtype} {self.images.shape}"
            )
        shapes = {"labels": (n,), "usage": (n,), "votes": (n, 10), "leaks": (n,)}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise OptionsError(f"{name} must have shape {shape} beside {n} images, got {array.shape}")

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.images)

    def where(self, keep: BoolArray) -> Faces:
        """Return the rows where `keep` (N,) is true."""
        return Faces(
            images=self.images[keep],
            labels=self.labels[keep],
            usage=None if self.usage is None else self.usage[keep],
            votes=None if self.votes is None else self.votes[keep],
            leaks=None if self.leaks is None else self.leaks[keep],
            skipped=self.skipped,
        )


def load(path: Path, usage: str | None = None) -> Faces:
    """Read a data set, or the rows of one split of it.

    Args:
        path: `.npz`, `.csv` or a folder per class.
        usage: keep only this split, such as "PublicTest".

    Raises:
        OptionsError: it is not there, not in one of the layouts, or nothing is left.
    """
    faces = _read(path)
    if usage is not None:
        if faces.usage is None:
            raise OptionsError(f"{path.name}: names no splits, so rows of {usage!r} cannot be picked")
        faces = faces.where(faces.usage == usage)
    if not len(faces):
        raise OptionsError(f"{path.name}: no usable face{f' of {usage!r}' if usage else ''}; skipped {_told(faces.skipped)}")
    return faces


def split(faces: Faces, seed: int) -> tuple[Faces, Faces]:
    """Part faces into those to train on and those to select by, free of leaks.

    With a `usage` column: its Training and PublicTest rows. Without, a tenth of every class is held out,
    drawn by `seed`. Either way a training row goes if the source marks it as leaking, or
    if its very pixels stand in any other split.

    Raises:
        OptionsError: one of the two would be empty.
    """
    if faces.usage is None:
        chosen = _held_out(faces.labels, seed)
        training, other = ~chosen, chosen
    else:
        training, chosen = faces.usage == TRAINING, faces.usage == SELECTION
        other = ~training
    training &= ~leaking(faces, training, other)
    if not training.any() or not chosen.any():
        raise OptionsError(
            f"need rows to train on and to select by, got {int(training.sum())} and {int(chosen.sum())}"
        )
    return faces.where(training), faces.where(chosen)


def leaking(faces: Faces, training: BoolArray, other: BoolArray) -> BoolArray:
    """Mark the training rows that also stand elsewhere, by the source's word or by their pixels: bool (N,)."""
    elsewhere = {image.tobytes() for image in faces.images[other]}
    same = np.fromiter((image.tobytes() in elsewhere for image in faces.images), bool, len(faces))
    marked = same if faces.leaks is None else same | faces.leaks
    return marked & training


def vote_counts(votes: UInt8Array) -> npt.NDArray[np.float32]:
    """Votes for LABELS: float32 (N, 7) from FER+ votes (N, 10).

    A lone vote counts as a slip, as FER+ does; contempt, unknown and not-a-face are dropped.
    """
    kept = np.where(votes > 1, votes, 0)
    return kept[:, FERPLUS_COLUMNS].astype(np.float32)


def majority(votes: UInt8Array) -> IntArray:
    """FER+ majority label of each row: int64 (N,), -1 where the row is to be left out.

    Left out: ties for the most votes, and rows won by contempt, unknown or not-a-face.
    """
    most = votes.max(axis=1, keepdims=True)
    tied = (votes == most).sum(axis=1) > 1
    place = np.full(10, -1, np.int64)
    place[list(FERPLUS_COLUMNS)] = np.arange(len(LABELS))
    return np.where(tied, -1, place[votes.argmax(axis=1)])


def _read(path: Path) -> Faces:
    if path.is_dir():
        return _read_folders(path)
    if not path.is_file():
        raise OptionsError(f"{path}: no such data set; give a .npz, a .csv or a folder per class")
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".csv":
        return _read_csv(path)
    raise OptionsError(f"{path.name}: a data set is a .npz, a .csv or a folder per class")


def _read_npz(path: Path) -> Faces:
    try:
        # Without pickles: an npz from elsewhere must not be able to run anything.
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise OptionsError(f"{path.name}: not a readable npz of plain arrays ({error})") from error
    labels = arrays.get("emotion", arrays.get("labels"))
    if "images" not in arrays or labels is None:
        raise OptionsError(f"{path.name}: needs `images` and `emotion` or `labels`, has {sorted(arrays)}")
    images = arrays["images"]
    faces = Faces(
        images=images[..., 0] if images.ndim == 4 and images.shape[-1] == 1 else images,
        labels=labels.astype(np.int64),
        usage=arrays["usage"].astype(np.str_) if "usage" in arrays else None,
        votes=arrays["ferplus"].astype(np.uint8) if "ferplus" in arrays else None,
        leaks=arrays["leaks"].astype(np.bool_) if "leaks" in arrays else None,
    )
    known = (faces.labels >= 0) & (faces.labels < len(LABELS))
    return _with_skipped(faces.where(known), Counter({"unknown label": int((~known).sum())}))


def _read_csv(path: Path) -> Faces:
    csv.field_size_limit(sys.maxsize)
    images, labels, usage = [], [], []
    skipped: Counter[str] = Counter()
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.DictReader(file)
        columns = {name.strip().lower(): name for name in rows.fieldnames or []}
        if not {"emotion", "pixels"} <= columns.keys():
            raise OptionsError(f"{path.name}: needs columns emotion,pixels[,Usage], has {rows.fieldnames}")
        for row in rows:
            try:
                images.append(_pixels(row[columns["pixels"]]))
            except ValueError as error:
                skipped[str(error)] += 1
                continue
            label = _label(row[columns["emotion"]])
            if label is None:
                images.pop()
                skipped["unknown label"] += 1
                continue
            labels.append(label)
            usage.append((row[columns["usage"]] or "").strip() if "usage" in columns else "")
    faces = Faces(
        images=np.array(images, np.uint8).reshape(-1, SIZE, SIZE),
        labels=np.array(labels, np.int64),
        usage=np.array(usage, np.str_) if "usage" in columns else None,
    )
    return _with_skipped(faces, skipped)


def _pixels(text: str | None) -> UInt8Array:
    """Read one row's grey levels; ValueError says in two words what is wrong."""
    try:
        values = np.array((text or "").split(), np.int64)
    except ValueError:
        raise ValueError("pixels not numbers") from None
    if values.size != SIZE * SIZE:
        raise ValueError("wrong pixel count")
    if values.min() < 0 or values.max() > 255:
        raise ValueError("grey level outside 0..255")
    return values.astype(np.uint8)


def _label(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and int(text) < len(LABELS) else None


def _read_folders(path: Path) -> Faces:
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    unknown = [folder.name for folder in folders if folder.name.lower() not in LABELS]
    if unknown or not folders:
        raise OptionsError(f"{path.name}: needs a folder per class ({', '.join(LABELS)}), found {unknown or 'none'}")
    images, labels = [], []
    skipped: Counter[str] = Counter()
    for folder in folders:
        files = sorted(entry for entry in folder.iterdir() if entry.is_file())
        if not files:
            raise OptionsError(f"{path.name}/{folder.name}: the class folder is empty")
        for file in files:
            image = cv2.imdecode(np.frombuffer(file.read_bytes() or b"\0", np.uint8), cv2.IMREAD_GRAYSCALE)
            if image is None:
                skipped["unreadable image"] += 1
                continue
            images.append(cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
            labels.append(LABELS.index(folder.name.lower()))
    faces = Faces(
        images=np.array(images, np.uint8).reshape(-1, SIZE, SIZE), labels=np.array(labels, np.int64)
    )
    return _with_skipped(faces, skipped)


def _with_skipped(faces: Faces, skipped: Counter[str]) -> Faces:
    return Faces(
        images=faces.images,
        labels=faces.labels,
        usage=faces.usage,
        votes=faces.votes,
        leaks=faces.leaks,
        skipped={reason: count for reason, count in sorted(skipped.items()) if count},
    )


def _told(skipped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} ({reason})" for reason, count in skipped.items()) or "none"


def _held_out(labels: IntArray, seed: int) -> BoolArray:
    """Draw a tenth of every class, at least one row of it: bool (N,)."""
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        chosen[rows[: max(1, round(len(rows) * HELD_OUT_SHARE))]] = True
    return chosen
