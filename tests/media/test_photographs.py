"""Photographs of real size, written by Pillow, OpenCV, FFmpeg and ImageMagick; truth is what Pillow reads."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from ferflow.media.video import Selection, open_video
from tests.conftest import portrait

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def photograph() -> Image.Image:
    """1536x1536 pixels with the grain of a camera, so that no encoder makes a small file of it."""
    large = cv2.resize(portrait(), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(1).normal(0, 5, large.shape)
    return Image.fromarray(np.clip(large + grain, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return photograph()


def exif(orientation: int, thumbnail: Image.Image | None = None) -> bytes:
    """EXIF data as a camera writes them, with a JPEG preview behind."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "a camera", orientation
    preview = io.BytesIO()
    if thumbnail is not None:
        thumbnail.resize((320, 320)).save(preview, "JPEG", quality=90)
    return tags.tobytes() + preview.getvalue()


def luma(path: Path) -> list[np.ndarray]:
    """What ferflow reads: the luma of every frame in 0-255."""
    with open_video(path) as video:
        return [frame.planes.to_full_range(frame.planes.y) for frame in video.frames(Selection())]


def luma_by_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB").convert("L"))


WAYS = {
    "plain.jpg": {"quality": 90},
    "progressive.jpg": {"quality": 95, "progressive": True},
    "small.jpg": {"quality": 5},
    "camera.jpg": {"quality": 92, "camera": True},
    "profile.jpg": {"quality": 90, "icc_profile": SRGB},
    "200 kB of metadata.jpg": {"quality": 90, "icc_profile": os.urandom(200_000)},
    "profile.png": {"icc_profile": SRGB},
    "profile and exif.png": {"icc_profile": SRGB, "camera": True},
    "plain.png": {},
    "lossy.webp": {"quality": 90, "icc_profile": SRGB},
    "camera.webp": {"quality": 90, "camera": True},
    "lossless.webp": {"lossless": True},
    "plain.bmp": {},
    "plain.tif": {},
    "packed.tif": {"compression": "tiff_lzw", "icc_profile": SRGB},
    "a photograph without an ending": {"format": "JPEG", "quality": 90},
    "really a jpeg.png": {"format": "JPEG", "quality": 90},
    "really a png.jpg": {"format": "PNG", "icc_profile": SRGB},
}


@pytest.mark.parametrize("name", WAYS)
def test_a_photograph_is_read_as_pillow_reads_it(photo, tmp_path, name):
    options = dict(WAYS[name])
    if options.pop("camera", False):
        options["exif"] = exif(6, photo)
    photo.save(path := tmp_path / name, **options)
    assert path.stat().st_size > 50_000
    (found,) = luma(path)
    wanted = luma_by_pillow(path)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < 3


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_read_upright(photo, tmp_path, suffix, orientation):
    half = photo.crop((0, 0, 1400, 900)).resize((700, 450))  # not square, so that a turn shows in its size
    half.save(path := tmp_path / f"turned{suffix}", exif=exif(orientation), icc_profile=SRGB)
    (found,) = luma(path)
    wanted = luma_by_pillow(path)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < 3


def test_a_folder_of_photographs_gives_a_frame_for_each_and_each_its_own_orientation(photo, tmp_path):
    small = photo.resize((900, 700))
    orientations = [1, 2, 3, 4, 1, 4]
    for number, orientation in enumerate(orientations):
        name = tmp_path / f"IMG_{number:04d}.jpg"
        small.save(name, quality=90, exif=exif(orientation, photo))
    found = luma(tmp_path)
    assert len(found) == len(orientations)
    for number, picture in enumerate(found):
        wanted = luma_by_pillow(tmp_path / f"IMG_{number:04d}.jpg")
        assert np.abs(picture.astype(int) - wanted).mean() < 3


def test_of_a_photograph_with_others_behind_it_the_first_is_read(photo, tmp_path):
    """Phones put a depth map or a second exposure behind the picture (MPO)."""
    path = tmp_path / "phone.jpg"
    photo.save(path, "MPO", save_all=True, append_images=[photo.resize((600, 600)), photo.rotate(90)])
    (found,) = luma(path)
    assert np.abs(found.astype(int) - luma_by_pillow(path)).mean() < 3


@pytest.mark.parametrize("program", ["opencv", "ffmpeg", "convert", "convert-progressive"])
def test_photographs_of_other_writers_are_read(photo, tmp_path, program):
    photo.save(master := tmp_path / "master.png")
    path = tmp_path / "written.jpg"
    if program == "opencv":
        cv2.imwrite(str(path), cv2.cvtColor(np.asarray(photo), cv2.COLOR_RGB2BGR))
    elif shutil.which(program.split("-")[0]) is None:
        pytest.skip(f"{program} is not installed")
    elif program == "ffmpeg":
        subprocess.run(["ffmpeg", "-loglevel", "error", "-i", master, "-q:v", "3", path], check=True)
    else:
        interlace = ["-interlace", "JPEG"] if "progressive" in program else []
        subprocess.run(["convert", master, *interlace, "-quality", "90", path], check=False)
        if not path.exists():
            pytest.skip("this `convert` is not ImageMagick's")
    (found,) = luma(path)
    assert np.abs(found.astype(int) - luma_by_pillow(path)).mean() < 3


# --- In a process of their own: what crashes natively is a failed test and not a lost run -----------------


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ferflow", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def png_in(container: str, path: Path, photo: Image.Image) -> None:
    """PNG frames that carry a colour profile, put into a container as they are."""
    frame = io.BytesIO()
    photo.resize((640, 640)).save(frame, "PNG", icc_profile=SRGB)
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream("png", rate=5)
        stream.width = stream.height = 640
        stream.pix_fmt = "rgb24"
        for number in range(3):
            packet = av.Packet(frame.getvalue())
            packet.stream, packet.time_base = stream, Fraction(1, 5)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            out.mux(packet)


def png_in_matroska(path: Path, photo: Image.Image) -> None:
    """The same, remuxed by FFmpeg's own program: PyAV refuses to."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    png_in("mov", master := path.parent / "master.mov", photo)
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", master, "-c", "copy", path], check=True)


def animation(path: Path, photo: Image.Image) -> None:
    frames = [photo.resize((640, 640)).rotate(angle) for angle in (0, 1, 2)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=200, icc_profile=SRGB)


def folder_of_pngs(path: Path, photo: Image.Image) -> None:
    path.mkdir()
    for number in range(3):
        photo.resize((640, 640)).save(path / f"{number}.png", icc_profile=SRGB)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("folder", folder_of_pngs),
        ("animated.png", animation),
        ("screen.mkv", png_in_matroska),
        ("screen.mov", lambda path, photo: png_in("mov", path, photo)),
    ],
)
def test_pngs_with_a_colour_profile_are_analysed_and_do_not_end_the_process(photo, tmp_path, name, write):
    write(tmp_path / name, photo)
    done = run("analyze", tmp_path / name, "-o", tmp_path / "out", "--no-report")
    assert done.returncode == 0, done.stderr
    table = next((tmp_path / "out" / "faces").glob("*.parquet"))
    import pandas as pd

    assert len(pd.read_parquet(table)) == 3  # one face in each of three frames


def test_explain_takes_a_photograph(photo, tmp_path):
    turned = photo.transpose(Image.Transpose.ROTATE_90)  # as a camera held sideways stores it
    turned.save(path := tmp_path / "photo.jpg", quality=92, exif=exif(6, photo))
    done = run("explain", path, "-o", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").stat().st_size > 10_000
