"""What this machine and this installation can do, and what to do where something is missing.

>>> for finding in examine_machine():
...     print(finding.level, finding.what, finding.remedy)

Output folders are examined by `ferflow.doctor.output_check`.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from ferflow.errors import FerflowError
from ferflow.options import AnalyzeOptions
from ferflow.system.cpus import available_cpus
from ferflow.system.memory import WORKER_BYTES, available_memory, cpu_features, default_workers
from ferflow.system.runtime import has_cuda, has_nvidia_driver
from ferflow.text import pluralize
from ferflow.version import __version__

Level = Literal["fine", "note", "problem"]

SELF_TEST_SECONDS = 2.0
SELF_TEST_SIZE = (480, 270)
"""Of the clip that the self-test draws and analyses; big enough for faces, small enough for ten seconds."""

_DECODERS = ("h264", "hevc", "vp8", "vp9", "mpeg4", "mpeg2video", "mjpeg", "prores", "gif")
_LISTED_PACKAGES = (
    "av",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pyarrow",
    "pandas",
    "plotly",
    "filelock",
)
_CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd", "asimddp", "i8mm")
"""With these the networks run faster."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    level: Level
    """`fine`; `note`: works, but could be better; `problem`: results are missing or cannot be made."""
    what: str
    remedy: str = ""
    """What to do about it; empty where there is nothing to do."""


def examine_machine() -> Iterator[Finding]:
    """Check everything that an analysis needs, quick checks first; a check that itself fails is a finding."""
    for check in (_versions, _requirements, _opencv, _processor, _memory, _gpu, _codecs, _models, _self_test):
        yield from run_check(check)


def run_check(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check, and one more if the check itself fails."""
    try:
        yield from check()
    except FerflowError as error:
        yield Finding("problem", str(error), "Do as it says, and run ferflow doctor again.")
    except Exception as error:
        name = check.__name__.strip("_").replace("_", " ")
        yield Finding(
            "problem",
            f"{name}: {type(error).__name__}: {error}",
            "Install ferflow again in a fresh environment.",
        )


def _versions() -> Iterator[Finding]:
    python = platform.python_version()
    yield Finding("fine", f"ferflow {__version__}, Python {python}, {platform.platform()}")
    found = [f"{name} {importlib.metadata.version(name)}" for name in _LISTED_PACKAGES if _is_installed(name)]
    yield Finding("fine", ", ".join(found))
    if sys.getfilesystemencoding().lower() not in ("utf-8", "utf8"):
        yield Finding("note", "file names are not UTF-8 here", "Set PYTHONUTF8=1.")


def _requirements() -> Iterator[Finding]:
    """Whether the installed packages are those that ferflow requires."""
    try:
        wanted = [Requirement(text) for text in importlib.metadata.requires("ferflow") or []]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("note", "ferflow runs from a checkout and is not installed", "pip install -e .")
        return
    for requirement in wanted:
        # Requirements of extras are optional; their markers are false without an extra.
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        remedy = f"pip install '{requirement.name}{requirement.specifier}'"
        if not _is_installed(requirement.name):
            yield Finding("problem", f"{requirement.name} is not installed", remedy)
        elif (version := importlib.metadata.version(requirement.name)) not in requirement.specifier:
            yield Finding("problem", f"{requirement.name} {version} is not {requirement.specifier}", remedy)


def _opencv() -> Iterator[Finding]:
    # These packages install the same files.
    both = [name for name in ("opencv-python", "opencv-contrib-python") if _is_installed(name)]
    if both:
        yield Finding(
            "note",
            f"{both[0]} and opencv-python-headless overwrite each other: the one installed last is used",
            f"pip uninstall {both[0]}, then pip install --force-reinstall 'opencv-python-headless<5'",
        )
    # Imported here, like other libraries in these checks, so that a broken one is a finding.
    import cv2

    if not hasattr(cv2, "CascadeClassifier"):
        yield Finding(
            "problem",
            f"OpenCV {cv2.__version__} has no cascades",
            "pip install 'opencv-python-headless>=4.12,<5'",
        )


def _processor() -> Iterator[Finding]:
    features = [name for name in _CPU_FEATURES if name in cpu_features()]
    what = f"{available_cpus()} CPUs to use, {platform.machine()}" + (
        f" with {', '.join(features)}" if features else ""
    )
    if platform.machine() in ("x86_64", "AMD64") and cpu_features() and "avx2" not in features:
        yield Finding(
            "note", f"{what}; no AVX2, so networks run several times slower", "Use another machine."
        )
    else:
        yield Finding("fine", what)


def _memory() -> Iterator[Finding]:
    memory, cpus = available_memory(), available_cpus()
    what = f"{memory / 2**30:.1f} GiB of memory free"
    if memory < WORKER_BYTES:
        yield Finding("problem", f"{what}, a video takes {WORKER_BYTES >> 20} MiB", "Close other programs.")
        return
    processes = pluralize(default_workers(1_000, cpus, memory, AnalyzeOptions()), "process", "processes")
    yield Finding("fine", f"{what}; many videos are analysed by {processes} (--workers)")


def _gpu() -> Iterator[Finding]:
    if not has_nvidia_driver():
        yield Finding("fine", "no GPU; everything runs on the CPU")
        return
    driver = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace").splitlines()[0]
    what = f"GPU: {driver.removeprefix('NVRM version: ').strip()}"
    if has_cuda():
        yield Finding("fine", f"{what}; ONNX Runtime classifies on it")
    elif _is_installed("tensorflow"):
        yield Finding(
            "fine", f"{what}; TensorFlow {importlib.metadata.version('tensorflow')} classifies on it"
        )
    else:
        yield Finding(
            "note",
            f"{what}; not used without onnxruntime-gpu or TensorFlow",
            "pip install onnxruntime-gpu, or 'ferflow[train]'",
        )


def _codecs() -> Iterator[Finding]:
    import av
    from av.codec.codec import Codec, UnknownCodecError

    def is_there(name: str) -> bool:
        try:
            return Codec(name, "r") is not None
        except UnknownCodecError:
            return False

    ffmpeg = ".".join(map(str, av.library_versions["libavcodec"]))
    missing = [name for name in _DECODERS if not is_there(name)]
    # FFmpeg has a decoder of its own called `av1`, but that needs a GPU.
    if not (is_there("libdav1d") or is_there("libaom-av1")):
        missing.append("av1")
    if missing:
        yield Finding(
            "problem", f"this build of FFmpeg cannot decode {', '.join(missing)}",
            "pip install --force-reinstall av, whose wheels bring all of them.",
        )  # fmt: skip
    else:
        yield Finding("fine", f"FFmpeg (libavcodec {ffmpeg}) decodes {', '.join(_DECODERS)}, av1")


def _models() -> Iterator[Finding]:
    """Files of models and detectors, by their sha256."""
    from ferflow.faces.yunet import SHA256, weights_path
    from ferflow.models.registry import list_models, resolve

    for name in list_models():
        card = resolve(name)
        yield Finding("fine", f"model {name}: {card.name}, sha256 {card.sha256[:12]}")
    weights_path()
    yield Finding("fine", f"detector yunet: sha256 {SHA256[:12]}")


def _self_test() -> Iterator[Finding]:
    """Draw a short clip and analyse it up to its page, like a user's video."""
    if not _is_installed("scikit-image"):
        yield Finding("note", "self-test not made: its clip cannot be drawn", "pip install 'ferflow[demo]'")
        return
    from ferflow.demo_clip import draw_sample
    from ferflow.jobs.run import run

    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ferflow-doctor-") as folder:
        clip = Path(folder) / "clip.mp4"
        drawn = draw_sample(clip, seconds=SELF_TEST_SECONDS, size=SELF_TEST_SIZE)
        (video,) = run([clip], Path(folder) / "out").videos
    took = time.monotonic() - started
    if video.status != "done" or video.n_frames != drawn or not video.n_faces:
        yield Finding(
            "problem",
            f"self-test: {video.status}, {video.n_frames} of {drawn} frames, {video.n_faces} faces "
            f"{video.error or ''}".strip(),
            "Install ferflow again in a fresh environment; if that does not help, report this line.",
        )
        return
    what = f"self-test: {drawn} frames, {video.n_faces} faces, tables and page in {took:.1f} s"
    yield Finding("fine", what)


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
