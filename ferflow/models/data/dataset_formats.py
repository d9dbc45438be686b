"""Read the three layouts of data sets into `Faces`; `dataset` describes what is skipped and what is refused."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np

from ferflow.errors import OptionsError
from ferflow.models.data.arrays import open_arrays
from ferflow.models.data.labelled_faces import ALIASES, LABELS, SIZE, Faces
from ferflow.types import UInt8Array

_MOST_LINE = 1 << 20
"""Characters; a row of FER2013 has 9,300. A file without line breaks must not be read as a whole."""


def read(path: Path) -> Faces:
    """Read a data set of any layout; see `dataset.load`."""
    if path.is_dir():
        return _read_folders(path)
    if not path.exists():
        raise OptionsError(f"{path}: no such data set; give a .npz, a .csv or a folder per class")
    if not path.is_file():
        raise OptionsError(
            f"{path.name}: not a regular file; a data set is a .npz, a .csv or a folder per class"
        )
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".csv":
        return _read_csv(path)
    raise OptionsError(f"{path.name}: a data set is a .npz, a .csv or a folder per class")


def _read_npz(path: Path) -> Faces:
    try:
        with open_arrays(path) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and NumPy each have their own errors
        raise OptionsError(f"{path.name}: not a readable npz of plain arrays ({error})") from error
    labels = arrays.get("emotion", arrays.get("labels"))
    if "images" not in arrays or labels is None or labels.dtype.kind not in "iu":
        raise OptionsError(f"{path.name}: needs `images` and whole-number `emotion` or `labels`")
    faces = Faces(
        images=_as_crops(arrays["images"], path.name),
        labels=labels.astype(np.int64),
        usage=arrays["usage"].astype(np.str_) if "usage" in arrays else None,
        votes=arrays["ferplus"].astype(np.uint8) if "ferplus" in arrays else None,
        leaks=arrays["leaks"].astype(np.bool_) if "leaks" in arrays else None,
    )
    known = (faces.labels >= 0) & (faces.labels < len(LABELS))
    return _with_skipped(faces.where(known), Counter({"unknown label": int((~known).sum())}))


def _as_crops(images: np.ndarray[Any, Any], name: str) -> UInt8Array:
    """Convert uint8 (N, S, S), gray (N, S, S, 1) or RGB (N, S, S, 3) of any side to gray (N, 48, 48)."""
    channels = images.shape[3] if images.ndim == 4 else 1
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or channels not in (1, 3):
        raise OptionsError(
            f"{name}: images must be uint8 (N, S, S), gray, or (N, S, S, 3), RGB; got {images.dtype} {images.shape}"
        )
    if images.shape[1] != images.shape[2] or not images.shape[1]:
        raise OptionsError(f"{name}: images must be square, got {images.shape[1:3]}; crop the faces first")
    if channels == 1:
        images = images.reshape(images.shape[:3])
    if images.shape[1:] == (SIZE, SIZE):
        return images
    return np.array([_crop(image) for image in images], np.uint8).reshape(-1, SIZE, SIZE)


def _crop(image: UInt8Array) -> UInt8Array:
    """Convert a gray or RGB image of any size to gray 48x48."""
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    # AREA averages all pixels when it shrinks an image; to enlarge one, it would only repeat them.
    shrinks = min(gray.shape) >= SIZE
    small = cv2.resize(gray, (SIZE, SIZE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(small, np.uint8)


def _read_csv(path: Path) -> Faces:
    images, labels, usage = [], [], []
    skipped: Counter[str] = Counter()
    for row in _csv_rows(path):
        try:
            image, label = _pixels(row["pixels"]), _label(row["emotion"])
        except ValueError as error:
            skipped[str(error)] += 1
            continue
        images.append(image)
        labels.append(label)
        usage.append(row.get("usage"))
    faces = Faces(
        images=np.array(images, np.uint8).reshape(-1, SIZE, SIZE),
        labels=np.array(labels, np.int64),
        usage=None if None in usage else np.array(usage, np.str_),
    )
    return _with_skipped(faces, skipped)


def _csv_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield rows by column name in lower case; columns missing from a short row are empty texts."""
    try:
        # Row by row, unlike `analytics.csv_input`: the Kaggle file has 300 MB. A broken character makes only its row
        # unusable.
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            rows = csv.reader(_lines(file))
            names = [name.strip().lower() for name in next(rows, [])]
            if not {"emotion", "pixels"} <= set(names):
                raise OptionsError(f"{path.name}: needs columns emotion,pixels[,Usage], has {names}")
            for row in rows:
                if row:
                    yield dict(zip_longest(names, (text.strip() for text in row[: len(names)]), fillvalue=""))
    except csv.Error as error:
        raise OptionsError(f"{path.name}: not a readable CSV ({error})") from error


def _lines(file: TextIO) -> Iterator[str]:
    """Lines of at most `_MOST_LINE` characters; a longer field is an error of the CSV reader."""
    return iter(lambda: file.readline(_MOST_LINE), "")


def _pixels(text: str) -> UInt8Array:
    """Read the grey levels of one row; the message of a ValueError is the reason for skipping it."""
    try:
        values = np.array(text.split(), np.int64)
    except (ValueError, OverflowError):
        raise ValueError("pixels are not integers") from None
    if values.size != SIZE * SIZE:
        raise ValueError("wrong pixel count")
    if values.min() < 0 or values.max() > 255:
        raise ValueError("grey level outside 0..255")
    return values.astype(np.uint8)


def _label(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < len(LABELS)):
        raise ValueError("unknown label")
    return int(text)


def _read_folders(path: Path) -> Faces:
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    classes = [ALIASES.get(folder.name.lower(), folder.name.lower()) for folder in folders]
    unknown = [folder.name for folder, label in zip(folders, classes, strict=True) if label not in LABELS]
    if unknown or not folders:
        raise OptionsError(
            f"{path.name}: needs a folder per class ({', '.join(LABELS)}), found {unknown or 'none'}"
        )
    images, labels = [], []
    skipped: Counter[str] = Counter()
    for folder, label in zip(folders, classes, strict=True):
        files = sorted(entry for entry in folder.iterdir() if entry.is_file())
        if not files:
            raise OptionsError(f"{path.name}/{folder.name}: the class folder is empty")
        for file in files:
            # OpenCV raises for an empty buffer, but returns None for one that is not an image.
            image = cv2.imdecode(np.frombuffer(file.read_bytes() or b"\0", np.uint8), cv2.IMREAD_GRAYSCALE)
            if image is None:
                skipped["unreadable image"] += 1
                continue
            images.append(_crop(np.asarray(image, np.uint8)))
            labels.append(LABELS.index(label))
    faces = Faces(
        images=np.array(images, np.uint8).reshape(-1, SIZE, SIZE), labels=np.array(labels, np.int64)
    )
    return _with_skipped(faces, skipped)


def _with_skipped(faces: Faces, skipped: Counter[str]) -> Faces:
    return replace(faces, skipped={reason: count for reason, count in sorted(skipped.items()) if count})
