"""What several tests need: videos with a known truth, a classifier without weights, the real clips."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest
import typer.main
import typer.testing

from ferflow.faces.detector import make_detector
from ferflow.models.classifier import Answer
from ferflow.options import AnalyzeOptions
from ferflow.system.scheduling import keep_scheduling

if TYPE_CHECKING:
    from tests.command import Command

# The command is started hundreds of times: without cached bytecode each start takes half a second more.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Files of tests need not outlive a power cut, and thousands of waits for the disk would double the time of the tests.
# Commands that they start as processes of their own do wait.
os.fsync = lambda descriptor: None

# Typer builds all commands of ferflow, with their options, each time that one is run in the tests' own process.
typer.main.get_command = typer.testing._get_command = cache(typer.main.get_command)

_LONG_FILES = (
    "tests/torture/", "tests/jobs/test_kill.py", "tests/faults/test_faults.py",
    "tests/dashboards/test_dashboards_browser.py", "tests/media/test_photographs.py", "tests/render/test_rewrite.py",
    "tests/hostile/test_network.py", "tests/test_packaging.py",
)  # fmt: skip
"""With several processes they start first: at the end, one would work on such a file, and the others wait."""
_FILES_WITH_CLIPS = (
    "tests/test_agreement.py", "tests/test_clips.py", "tests/dashboards/test_chart_numbers.py",
    "tests/dashboards/test_session_numbers.py", "tests/render/test_annotate.py",
)  # fmt: skip
"""They use `analysed_clips`."""
_FILES_WITH_KERAS = (
    "tests/models/training/", "tests/models/test_network.py", "tests/models/test_net2wider.py",
    "tests/models/test_classifier.py", "tests/jobs/test_gpu_teachers.py", "tests/jobs/test_candidates.py",
)  # fmt: skip
"""One process imports TensorFlow, which takes five seconds, for all of them."""

needs_keras = pytest.mark.skipif(find_spec("keras") is None, reason="needs ferflow[train]")
"""Not `importorskip`: at the top of a file it would import TensorFlow in every process that collects the tests."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):  # one process, in the order that was asked for
        return
    first = (*_LONG_FILES, *_FILES_WITH_CLIPS, *_FILES_WITH_KERAS)
    items.sort(key=lambda item: not item.nodeid.startswith(first))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Tests of a file run in one process, so that its fixtures are made once; some files share one, too."""
    from xdist.scheduler import LoadFileScheduling

    class ByFixtures(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            if file.startswith(_FILES_WITH_KERAS):
                return "Keras"
            return "real clips" if file in _FILES_WITH_CLIPS else file

    return ByFixtures(config, log) if config.getoption("dist") == "load" else None


def some_slow(*quick: object, slow: Sequence[object]) -> list[object]:
    """Parameters of a test, tuples of several; those in `slow` are run by `make test-all` alone."""
    return [*quick, *map(slow_case, slow)]


def some_of(cases: Sequence[object], step: int) -> list[object]:
    """Every `step`-th case of a long list, tuples of several parameters; `make test-all` alone runs the others."""
    return [case if place % step == 0 else slow_case(case) for place, case in enumerate(cases)]


def slow_case(case: object) -> object:
    """A parameter of a test, or a tuple of several, that `make test-all` alone runs."""
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)


LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 1000),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rotation: int = 0,
    gop: int = 10,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode RGB (or gray) images with timestamps of our choosing; nearly lossless, no audio."""
    height, width = images[0].shape[:2]
    pts = list(range(0, 40 * len(images), 40)) if pts is None else pts
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.gop_size = gop
        if codec == "libx264":
            stream.options = {"crf": "10", "preset": "ultrafast"}
        if rotation:
            stream.set_display_rotation(rotation)
        for image, stamp in zip(images, pts, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="gray" if image.ndim == 2 else "rgb24")
            frame.pts, frame.time_base = stamp, time_base
            with keep_scheduling():
                packets = stream.encode(frame)
            container.mux(packets)
        container.mux(stream.encode(None))
    return path


def write_audio(path: Path, seconds: float = 0.5) -> Path:
    """A file with sound and no picture."""
    rate = 16_000
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        samples = (np.sin(np.arange(int(seconds * rate)) / 20) * 0.1).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def numbered_image(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A gray picture whose brightness tells its number: 20 + 4 * number."""
    return np.full((size[1], size[0], 3), 20 + 4 * number, np.uint8)


@cache
def portrait() -> np.ndarray:
    """The public-domain portrait from scikit-image, uint8 (512, 512, 3) RGB, one face."""
    from skimage.data import astronaut

    return astronaut()


def face_frames(count: int, *, size: tuple[int, int] = (320, 240), step: int = 2) -> list[np.ndarray]:
    """A face that moves to the right by `step` pixels a frame over a plain ground."""
    width, height = size
    side = min(height * 3 // 4, 200)
    face = cv2.resize(portrait()[0:260, 90:350], (side, side), interpolation=cv2.INTER_AREA)
    images = []
    for number in range(count):
        image = np.full((height, width, 3), 120, np.uint8)
        x = 10 + (number * step) % max(width - side - 20, 1)
        image[(height - side) // 2 : (height - side) // 2 + side, x : x + side] = face
        images.append(image)
    return images


class MeanClassifier:
    """Stands in for the network: probabilities that depend on the crop alone, as anybody can recompute."""

    backend = "mean"
    card = SimpleNamespace(
        name="mean",
        sha256="0" * 64,
        labels=LABELS,
        input_size=48,
        channels=1,
        temperature=1.0,
        neutral_prior=0.2,
    )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Softmax over the mean brightness of seven bands."""
        bands = images[:, :42, :, 0].reshape(len(images), 7, 6 * 48).mean(axis=2) / 20.0
        powers = np.exp(bands - bands.max(axis=1, keepdims=True, initial=0))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)

    def answer(self, images: np.ndarray) -> Answer:
        """As `__call__`; nothing is said of covered mouths."""
        return Answer(self(images))


@pytest.fixture(scope="session")
def tools():
    """The real detector and a classifier without weights."""
    from ferflow.pipeline import Tools

    return Tools(make_detector(AnalyzeOptions()), MeanClassifier())


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tools: object) -> None:
    """The classifier without weights in every run, for tests that are about files."""
    monkeypatch.setattr("ferflow.pipeline.make_classifier", lambda options: tools.classifier)
    for module in ("plan", "shard_run", "store_run"):
        monkeypatch.setattr(
            f"ferflow.jobs.{module}.model_sha256", lambda options: tools.classifier.card.sha256
        )


@pytest.fixture(scope="session")
def face_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One moving face, 30 frames, 1.2 s."""
    return write_video(tmp_path_factory.mktemp("video") / "face.mp4", face_frames(30))


@pytest.fixture
def clips() -> Path:
    """The folder of real clips."""
    return real_data() / "videos"


def real_data() -> Path:
    """The folder named by FERFLOW_TEST_DATA; skips the test, saying so, where there is none."""
    folder = os.environ.get("FERFLOW_TEST_DATA")
    if not folder:
        pytest.skip("FERFLOW_TEST_DATA names no folder of real clips")
    return Path(folder)


@pytest.fixture(scope="session")
def analysed_clips(tmp_path_factory: pytest.TempPathFactory):
    """The folder of real clips, their output folder, which tests must not change apart from pages, and the report."""
    from ferflow.jobs.run import run

    folder = real_data() / "videos"
    out = tmp_path_factory.mktemp("clips")
    return folder, out, run([folder], out)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Work inside a fresh folder; returns a maker of paths in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path.joinpath


@pytest.fixture
def ferflow(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """The command, in this process: `ferflow("report", out).code`."""
    from tests.command import Command

    return Command(monkeypatch, capfd)


@pytest.fixture(scope="session")
def playwright() -> Iterator[object]:
    """The one Playwright of a process: a second one cannot be started while the first runs."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as started:
        yield started


@pytest.fixture(autouse=True)
def _no_test_gets_ahead_of_the_others() -> Iterator[None]:
    """A library that makes this thread a real-time one would let all other processes wait."""
    yield
    if sys.platform == "linux":
        assert os.sched_getscheduler(0) not in (os.SCHED_FIFO, os.SCHED_RR)


@pytest.fixture(autouse=True)
def _the_log_is_as_before() -> Iterator[None]:
    """A command that a test runs in this process sends the log to its own stderr; the next test listens to it, too."""
    logger = logging.getLogger("ferflow")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture(autouse=True)
def _runs_stay_in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with one worker analyses in the test's own process, where parts of it can be replaced, and which takes half
    a second less; tests marked `isolated`, and all that start the command, have a worker process as users have.
    """
    if "isolated" in request.keywords:
        return
    from ferflow.jobs import processing

    choose = processing.choose_n_workers

    def choose_this_process(n_pending: int, job: object) -> int:
        return number if (number := choose(n_pending, job)) != 1 else 0

    monkeypatch.setattr(processing, "choose_n_workers", choose_this_process)


@pytest.fixture(autouse=True)
def _calls_stay_in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands call in a child is called directly, as in a worker, which may not have children: to start a child
    takes a second. Tests marked `isolated`, and all that start the command, have the child that users have.
    """
    if "isolated" in request.keywords:
        return
    from ferflow.system import child_process

    worker = SimpleNamespace(current_process=lambda: SimpleNamespace(daemon=True))
    monkeypatch.setattr(child_process, "multiprocessing", worker)
    monkeypatch.setattr("ferflow.jobs.estimate.ResidentChild", _NoChild)


class _NoChild:
    """Calls what a child would be asked, in this process."""

    def __init__(self, make: Callable[[], object], *, seconds_per_call: float) -> None:
        self._make, self._made = make, None

    def call(self, function: Callable[..., object], *args: object, **kwargs: object) -> object:
        self._made = self._made or self._make()
        return function(self._made, *args, **kwargs)

    def close(self) -> None:
        """Nothing to end."""
