"""Photographs in every combination of size, quality, order and metadata, by four writers; truth is what Pillow reads.

The quick part takes one size, quality and length of metadata after the other, of a few pairs of writer and format;
the slow part takes all combinations.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ferflow.cli import app
from ferflow.media.image_list import list_images
from ferflow.media.video import Selection, open_video
from tests.conftest import some_slow
from tests.media.test_photographs import exif, luma, luma_by_pillow, photograph

SIZES = ((96, 128), (640, 480), (2400, 1800))
QUALITIES = (10, 60, 95)
METADATA_BYTES = (0, 5_000, 60_000, 200_000)
"""A segment of a JPEG holds 65,533 bytes: the last ones need four."""
BOTH = (False, True)


@dataclass(frozen=True)
class Case:
    """One file: its name, its picture's size, and the function that writes it."""

    name: str
    size: tuple[int, int]
    write: Callable[[Image.Image, Path], None]


@cache
def photo(size: tuple[int, int]) -> Image.Image:
    return photograph().resize(size)


def metadata(n_bytes: int) -> bytes:
    """As long as the colour profile of a printer; no program looks into it."""
    return np.random.default_rng(n_bytes).bytes(n_bytes)


def save_by_pillow(suffix: str, n_metadata: int, **options: object) -> Callable[[Image.Image, Path], None]:
    def write(image: Image.Image, path: Path) -> None:
        if n_metadata:
            options["icc_profile"], options["exif"] = metadata(n_metadata), exif(1)
        image.save(path, {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[suffix], **options)

    return write


def save_by_opencv(*flags: int) -> Callable[[Image.Image, Path], None]:
    def write(image: Image.Image, path: Path) -> None:
        assert cv2.imwrite(str(path), cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR), list(flags))

    return write


def save_by_program(*command: str, n_metadata: int = 0) -> Callable[[Image.Image, Path], None]:
    """Run a program on a TIFF with metadata, which it hands on or drops; `{in}` and `{out}` are replaced."""

    def write(image: Image.Image, path: Path) -> None:
        master = path.with_name("master.tif")
        image.save(master, **({"icc_profile": metadata(n_metadata)} if n_metadata else {}))
        names = {"{in}": str(master), "{out}": str(path)}
        subprocess.run([names.get(part, part) for part in command], check=True, capture_output=True)
        master.unlink()

    return write


def cases_of_pillow(suffix: str) -> Iterator[Case]:
    ways: dict[str, list[dict[str, object]]] = {
        "jpg": [{"quality": q, "progressive": p} for q, p in product(QUALITIES, BOTH)],
        "png": [{"compress_level": level} for level in (1, 9)],
        "webp": [*({"quality": q} for q in QUALITIES), {"lossless": True}],
    }
    for number, (size, options, n) in enumerate(product(SIZES, ways[suffix], METADATA_BYTES)):
        yield Case(f"{number:03d}.{suffix}", size, save_by_pillow(suffix, n, **options))


def cases_of_opencv(suffix: str) -> Iterator[Case]:
    ways: dict[str, list[tuple[int, ...]]] = {
        "jpg": [
            (cv2.IMWRITE_JPEG_QUALITY, q, cv2.IMWRITE_JPEG_PROGRESSIVE, int(p))
            for q, p in product(QUALITIES, BOTH)
        ],
        "png": [(cv2.IMWRITE_PNG_COMPRESSION, level) for level in (1, 9)],
        "webp": [(cv2.IMWRITE_WEBP_QUALITY, q) for q in QUALITIES],
    }
    for number, (size, flags) in enumerate(product(SIZES, ways[suffix])):
        yield Case(f"{number:03d}.{suffix}", size, save_by_opencv(*flags))


def cases_of_ffmpeg(suffix: str) -> Iterator[Case]:
    ways = {
        "jpg": [("-q:v", str(q)) for q in (2, 8, 31)],
        "png": [("-pred", pred) for pred in ("none", "mixed")],
        "webp": [("-c:v", "libwebp", "-quality", str(q)) for q in QUALITIES],
    }
    for number, (size, flags) in enumerate(product(SIZES, ways[suffix])):
        command = ("ffmpeg", "-y", "-loglevel", "error", "-i", "{in}", *flags, "{out}")
        yield Case(f"{number:03d}.{suffix}", size, save_by_program(*command))


def cases_of_convert(suffix: str) -> Iterator[Case]:
    interlace = {"jpg": ("none", "JPEG"), "png": ("none", "PNG"), "webp": ("none",)}[suffix]
    qualities = QUALITIES if suffix != "png" else (95,)
    for number, (size, q, order, n) in enumerate(product(SIZES, qualities, interlace, METADATA_BYTES[::2])):
        command = ("convert", "{in}", "-interlace", order, "-quality", str(q), "{out}")
        yield Case(f"{number:03d}.{suffix}", size, save_by_program(*command, n_metadata=n))


WRITERS = {
    "pillow": cases_of_pillow,
    "opencv": cases_of_opencv,
    "ffmpeg": cases_of_ffmpeg,
    "convert": cases_of_convert,
}


def quick(cases: list[Case]) -> list[Case]:
    """Some that lie far apart: every size, and all the other values in turn."""
    return [case for number, case in enumerate(cases) if number % max(2, len(cases) // 4) == 0]


def write_all(folder: Path, writer: str, suffix: str, *, some: bool) -> list[Case]:
    if writer in ("ffmpeg", "convert") and shutil.which(writer) is None:
        pytest.skip(f"{writer} is not installed")
    cases = list(WRITERS[writer](suffix))
    chosen = quick(cases) if some else cases
    for case in chosen:
        try:
            case.write(photo(case.size), folder / case.name)
        except subprocess.CalledProcessError:
            pytest.skip(f"this {writer} cannot write {suffix}")
    return chosen


@pytest.mark.parametrize(
    ("writer", "suffix", "some"),
    some_slow(
        ("opencv", "jpg", True), ("pillow", "png", True),
        slow=[
            ("ffmpeg", "jpg", True), ("convert", "webp", True),
            *((writer, suffix, False) for writer in WRITERS for suffix in ("jpg", "png", "webp")),
        ],
    ),
)  # fmt: skip
def test_photographs_of_every_kind_are_read_and_explained(tmp_path, writer, suffix, some):
    cases = write_all(tmp_path, writer, suffix, some=some)
    pictures = list_images(tmp_path)
    assert len(pictures) == len(cases)
    for path in pictures:
        (found,) = luma(path)
        wanted = luma_by_pillow(path)
        assert found.shape == wanted.shape
        assert np.abs(found.astype(int) - wanted).mean() < 3, path.name
        explained = CliRunner().invoke(app, ["explain", str(path), "-o", str(tmp_path / "page.html")])
        assert explained.exit_code == 0, (path.name, explained.output)
        assert explained.output.startswith("1 face in 1 frame"), (path.name, explained.output)
    # As a folder, in which every picture is a frame, whatever its size.
    with open_video(tmp_path) as video:
        assert len(list(video.frames(Selection()))) == len(cases)
        assert not video.report.gaps
