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

from ferflow.errors import FerflowError, VideoError
from ferflow.media.image_list import IMAGE_SUFFIXES
from ferflow.media.inputs import VIDEO_SUFFIXES, discover
from ferflow.media.video import Selection, open_video
from tests.conftest import portrait, some_of, some_slow
from tests.media.tiled_heic import write_tiled_heic

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
    "cmyk.jpg": {"mode": "CMYK", "quality": 95},
    "cmyk.tif": {"mode": "CMYK"},
    "gray.jpg": {"mode": "L", "quality": 90},
    "gray.png": {"mode": "L"},
    "palette.png": {"mode": "P"},
    "alpha.png": {"mode": "RGBA"},
    "alpha.webp": {"mode": "RGBA", "quality": 90},
    "modern.avif": {"quality": 80},
    "modern and turned.avif": {"quality": 80, "camera": True},
    "a photograph without an ending": {"format": "JPEG", "quality": 90},
    "really a jpeg.png": {"format": "JPEG", "quality": 90},
    "really a png.jpg": {"format": "PNG", "icc_profile": SRGB},
}
QUICK_TO_WRITE = {".png": {"compress_level": 1}, ".webp": {"method": 0}, ".avif": {"speed": 10}}


@pytest.mark.parametrize("name", some_of(list(WAYS), 2))
def test_a_photograph_is_read_as_pillow_reads_it(photo, tmp_path, name):
    options = dict(WAYS[name])
    if options.pop("camera", False):
        options["exif"] = exif(6, photo)
    options |= QUICK_TO_WRITE.get(Path(name).suffix, {})
    photo.convert(options.pop("mode", "RGB")).save(path := tmp_path / name, **options)
    assert path.stat().st_size > 50_000
    (found,) = luma(path)
    wanted = luma_by_pillow(path)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < 3


@pytest.mark.parametrize(
    ("suffix", "orientation"),
    some_slow(
        *((".jpg", orientation) for orientation in range(1, 9)), (".png", 6), (".webp", 7),
        slow=[(suffix, k) for suffix, one in ((".png", 6), (".webp", 7)) for k in range(1, 9) if k != one],
    ),
)  # fmt: skip
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


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
@pytest.mark.parametrize("is_gray", [False, True], ids=["colour", "gray"])
def test_sixteen_bits_are_read_as_their_upper_eight(photo, tmp_path, name, is_gray):
    deep = np.asarray(photo.convert("L") if is_gray else photo).astype(np.uint16) * 257
    cv2.imwrite(str(path := tmp_path / name), deep if is_gray else deep[..., ::-1])
    (found,) = luma(path)
    assert np.abs(found.astype(int) - np.asarray(photo.convert("L"))).mean() < 2


def test_an_interlaced_png_is_one_moment_and_no_field_of_it(tmp_path):
    """The flag "interlaced" of a PNG is the order of its pixels. Rows of two brightnesses would become one."""
    rows = np.tile(np.array([[60], [200]], np.uint8), (100, 200))
    Image.fromarray(rows).save(plain := tmp_path / "plain.png")
    if shutil.which("convert") is None:
        pytest.skip("convert is not installed")
    path = tmp_path / "interlaced.png"
    subprocess.run(["convert", plain, "-interlace", "PNG", path], check=False)
    if not path.exists():
        pytest.skip("this `convert` is not ImageMagick's")
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    (found,) = luma(path)
    assert np.abs(found.astype(int) - rows).max() <= 2


def animated_webp(path: Path, photo: Image.Image) -> None:
    photo.save(path, "WEBP", save_all=True, append_images=[photo.rotate(5)], duration=200)


def jpeg_in_tiff(path: Path, photo: Image.Image) -> None:
    photo.save(path, "TIFF", compression="jpeg")


def huge(path: Path, photo: Image.Image) -> None:
    photo.resize((9000, 8000), Image.Resampling.NEAREST).save(path, "JPEG", quality=10)


def tiles(path: Path, photo: Image.Image) -> None:
    if shutil.which("avifenc") is None:
        pytest.skip("avifenc is not installed")
    parts = [path.with_name(f"tile {n}.png") for n in range(4)]
    for n, part in enumerate(parts):
        x, y = n % 2 * 256, n // 2 * 256
        photo.resize((512, 512)).crop((x, y, x + 256, y + 256)).save(part)
    subprocess.run(["avifenc", "--grid", "2x2", *parts, path], check=True, capture_output=True)


def tiled_heic(path: Path, photo: Image.Image) -> None:
    write_tiled_heic(path, photo.convert("RGB").resize((512, 512)))


def test_the_tiled_photograph_of_these_tests_is_one_by_another_reader(photo, tmp_path):
    """ImageMagick with libheif."""
    if shutil.which("identify") is None:
        pytest.skip("ImageMagick is not installed")
    tiled_heic(tmp_path / "phone.heic", photo)
    command = ["convert", tmp_path / "phone.heic", "-colorspace", "sRGB", tmp_path / "read.png"]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("this ImageMagick reads no HEIC")
    read = np.asarray(Image.open(tmp_path / "read.png").convert("L"), np.int16)
    assert read.shape == (512, 512)
    assert np.abs(read - np.asarray(photo.resize((512, 512)).convert("L"), np.int16)).mean() < 4


@pytest.mark.parametrize(
    ("suffix", "write", "reason"),
    [
        (
            "webp",
            animated_webp,
            "an animated WebP, which has no decoder here. Convert it to MP4 or GIF first.",
        ),
        ("tif", jpeg_in_tiff, "a TIFF with JPEG inside, which has no decoder here. Save it as JPEG"),
        ("heic", tiled_heic, "a photograph that is stored in tiles, as phones write HEIC. Save it as JPEG"),
    ],
)
def test_a_folder_of_such_images_says_why_none_can_be_read(photo, tmp_path, suffix, write, reason):
    folder = tmp_path / "shots"
    folder.mkdir()
    for number in (1, 2):
        write(folder / f"{number}.{suffix}", photo)
    with pytest.raises(VideoError) as refused:
        luma(folder)
    message = f"shots: none of the 2 images can be read. The first: 1.{suffix}: {reason}"
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("suffix", ["avif", "heic"])
def test_a_folder_of_numbered_avif_or_heic_images_is_a_video(photo, tmp_path, suffix):
    for number in range(3):
        path = tmp_path / f"{number}.{suffix}"
        if suffix == "avif":
            photo.resize((256, 256)).rotate(number * 90).save(path)
        else:
            photo.resize((256, 256)).rotate(number * 90).save(tmp_path / "master.png")
            done = subprocess.run(["convert", tmp_path / "master.png", path], capture_output=True)
            (tmp_path / "master.png").unlink()
            if done.returncode != 0 or not path.exists():
                pytest.skip("this ImageMagick writes no HEIC")
    with open_video(tmp_path) as video:
        found = [frame.planes.to_full_range(frame.planes.y) for frame in video.frames(Selection())]
    assert len(found) == 3
    for number, picture in enumerate(found):
        truth = np.asarray(photo.resize((256, 256)).rotate(number * 90).convert("L"), np.int16)
        assert np.abs(picture.astype(np.int16) - truth).mean() < 6


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("moving.webp", animated_webp, "an animated WebP"),
        ("scan.tif", jpeg_in_tiff, "a TIFF with JPEG inside"),
        ("72 megapixels.jpg", huge, "more than 67 megapixels"),
        ("phone.avif", tiles, "stored in tiles"),
        ("phone.heic", tiled_heic, "stored in tiles, as phones write HEIC. Save it as JPEG or PNG first"),
    ],
)
def test_a_photograph_that_cannot_be_read_says_why_and_is_no_black_picture(
    photo, tmp_path, name, write, reason
):
    write(tmp_path / name, photo)
    with pytest.raises(FerflowError, match=reason):
        luma(tmp_path / name)


def test_photographs_without_numbers_are_no_video_and_the_message_says_what_to_do(photo, tmp_path):
    for name in ("alice.jpg", "bob.jpg", "carol.avif"):
        photo.resize((200, 200)).save(tmp_path / name)
    (found,) = discover([tmp_path], out=tmp_path / "out")
    assert found.problem is not None
    assert "3 images" in found.problem
    assert "ferflow predict" in found.problem


def test_a_folder_of_numbered_images_says_how_many_others_it_holds(photo, tmp_path):
    for name in ("frame 1.jpg", "frame 2.jpg", "poster.jpg", "cover.png"):
        photo.resize((200, 200)).save(tmp_path / name)
    with open_video(tmp_path) as video:
        assert len(list(video.frames(Selection()))) == 2
        assert video.report.warnings == ["images without a number in their names are left out: 2"]


@pytest.mark.parametrize("program", ["opencv", "ffmpeg", "convert", "convert-progressive"])
def test_photographs_of_other_writers_are_read(photo, tmp_path, program):
    photo.save(master := tmp_path / "master.png", compress_level=1)
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


OPEN_EACH = """
import sys
from pathlib import Path
from ferflow.media.video import Selection, open_video
for name in sys.argv[1:]:
    with open_video(Path(name)) as video:
        print(Path(name).name, len(list(video.frames(Selection()))), flush=True)
"""

WRITTEN_BY_FFMPEG = {
    ".asf": "wmv2", ".wmv": "wmv2", ".dv": "dvvideo", ".flv": "flv", ".ivf": "libvpx", ".mxf": "mpeg2video",
    ".ogv": "libtheora", ".3gp": "libx264", ".3g2": "libx264", ".mjpg": "mjpeg", ".mjpeg": "mjpeg",
    ".webm": "libvpx", ".y4m": "wrapped_avframe", ".vob": "mpeg2video", ".mpg": "mpeg2video",
    ".mpeg": "mpeg2video", ".gif": "gif", ".apng": "apng", ".nut": "ffv1", ".avi": "mpeg4", ".ts": "libx264",
    ".mts": "libx264", ".m2ts": "libx264", ".mp4": "libx264", ".m4v": "libx264", ".mov": "prores",
    ".mkv": "libx265",
}  # fmt: skip
"""Suffix to encoder; between them each container of the list, and most decoders."""


def write_by_ffmpeg(folder: Path, photo: Image.Image) -> list[Path]:
    """Three frames in each format, by one process."""
    photo.resize((720, 576)).save(master := folder / "master.bmp")
    kinds = {
        ".mjpg": ("-f", "mjpeg"),
        ".y4m": ("-f", "yuv4mpegpipe", "-pix_fmt", "yuv420p"),
        ".dv": ("-pix_fmt", "yuv420p"),
    }
    command = ["ffmpeg", "-y", "-loglevel", "error", "-loop", "1", "-i", master]
    films = [folder / f"film{suffix}" for suffix in sorted(VIDEO_SUFFIXES)]
    for film in films:
        options = ["-c:v", WRITTEN_BY_FFMPEG[film.suffix], "-r", "25", "-frames:v", "3", "-strict", "-1"]
        command += [*options, *kinds.get(film.suffix, ()), film]
    subprocess.run(command, check=True)
    return films


def test_every_format_is_opened_in_a_process_that_survives_it(photo, tmp_path):
    """All in one process, which says of each that it is done: the first one missing is the one that crashed."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    assert WRITTEN_BY_FFMPEG.keys() == VIDEO_SUFFIXES
    (pictures := tmp_path / "pictures").mkdir()
    films = write_by_ffmpeg(tmp_path, photo)
    for suffix in sorted(IMAGE_SUFFIXES - {".heic", ".heif"}):  # which Pillow does not write
        options = {} if suffix == ".bmp" else {"icc_profile": SRGB, "exif": exif(6)}
        photo.resize((640, 480)).save(pictures / f"1{suffix}", **options)
    images = sorted(pictures.iterdir())
    command = [sys.executable, "-c", OPEN_EACH, *films, *images]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    wanted = [f"{path.name} {3 if path in films else 1}" for path in [*films, *images]]
    assert done.stdout.splitlines() == wanted, done.stderr
    assert done.returncode == 0


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
        ("screen.mkv", png_in_matroska),
        pytest.param("animated.png", animation, marks=pytest.mark.slow),
        pytest.param("screen.mov", lambda path, photo: png_in("mov", path, photo), marks=pytest.mark.slow),
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
