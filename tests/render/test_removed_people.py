"""Who was removed from a session on request is in no video that is made of it; a forgotten video is not drawn."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow.compute as pc
import pytest
from msgspec.structs import replace

from ferflow.faces.detections import iou
from ferflow.jobs.lists import read_names, read_persons
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.render.shown_faces import ShownFaces
from ferflow.render.visible_faces import ExceptedFaces
from ferflow.store.metadata import Erasure, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import read_table, write_table
from tests.conftest import face_frames, portrait, write_video
from tests.made_records import Made, made_tables, write_session
from tests.render.sources import needs_ffmpeg
from tests.render.test_anonymize import check_covered, detect

OPTIONS = AnalyzeOptions(min_face=24)
NAMES = ("Ada", "Bob", "Carl")
MARKERS = "time_s,label\n0.3,joke\n"
N_FRAMES = 13


def three_people() -> list[np.ndarray]:
    image = np.full((240, 720, 3), 120, np.uint8)
    face = cv2.resize(portrait()[0:260, 90:350], (120, 120))
    for x, colour in ((20, (200, 40, 40)), (260, (40, 40, 200)), (500, (40, 200, 40))):
        image[20:140, x : x + 120] = face
        image[114:, x : x + 120] = colour
    return [image] * N_FRAMES


@pytest.fixture(scope="module")
def analysed(tmp_path_factory) -> tuple[Path, Path]:
    """Ada, Bob and Carl from left to right in one video."""
    place = tmp_path_factory.mktemp("removed")
    video, out = write_video(place / "three.mp4", three_people()), place / "out"
    (place / "three.markers.csv").write_text(MARKERS)
    run([video], out, OPTIONS, workers=0, pages=False)
    faces = faces_of(out)
    left = {face.person_id: face.xyxy[0] for face in faces.at(0, 0.0)}
    (video_id,) = OutputFolder(out).finished_ids()
    rows = [f"{video_id},{one},{name}\n" for one, name in zip(sorted(left, key=left.get), NAMES, strict=True)]
    (out / "people.csv").write_text("".join(["video_id,person_id,name\n", *rows]))
    return video, out


@pytest.fixture
def erased(analysed, tmp_path, ferflow) -> tuple[Path, Path]:
    """The same without Bob."""
    video, source = analysed
    out = shutil.copytree(source, tmp_path / "out")
    done = ferflow("forget", out, "--participant", "Bob", "--yes")
    assert done.code == 0, done
    assert {face.name for face in faces_of(out).at(0, 0.0)} == {"Ada", "Carl"}
    return video, out


def faces_of(out: Path) -> ShownFaces:
    (files,) = OutputFolder(out).finished_videos()
    return ShownFaces.read(read_persons(files, read_names(files)), "frame_index")


def boxes_of(out: Path, *names: str) -> list[np.ndarray]:
    """Per frame, the faces of people as they were analysed."""
    faces = faces_of(out)
    return [
        np.array([face.xyxy for face in faces.at(number, number / 25) if face.name in names], np.float32)
        for number in range(N_FRAMES)
    ]


def check_visible(made: Path, boxes: list[np.ndarray]) -> None:
    for found, wanted in zip(detect(made, 0.7, OPTIONS), boxes, strict=True):
        assert (iou(wanted, found.xyxy).max(axis=1) > 0.5).all()


@needs_ffmpeg
def test_no_video_is_made_that_shows_somebody_who_was_removed(erased, tmp_path, ferflow):
    video, out = erased
    for command in (
        ("annotate", video, "--from", out, "-o", tmp_path / "made"),
        ("clips", out, "--marker", "joke", "-o", tmp_path / "made"),
        ("clips", out, "--marker", "joke", "--annotate", "-o", tmp_path / "made"),
    ):
        done = ferflow(*command)
        assert done.code == 3, done
        assert done.text.count("three.mp4: somebody was removed from this session on request") == 1
        assert "--anonymize" in done.text
        assert not [*tmp_path.rglob("*.mp4")]
        shutil.rmtree(tmp_path / "made", ignore_errors=True)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("option", "visible"),
    [pytest.param("--except", ("Ada",), marks=pytest.mark.slow), ("--only", ("Carl",))],
)
def test_somebody_who_was_removed_is_covered_whoever_is_named(
    analysed, erased, tmp_path, ferflow, option, visible
):
    """With `--only Ada`, too: who belongs to no person is not known to be another one."""
    video, out = erased
    wanted = boxes_of(analysed[1], *visible)
    options = ("--anonymize", "solid", option, "Ada")
    done = ferflow("annotate", video, "--from", out, *options, "-o", tmp_path)
    assert done.code == 0, done
    check_covered(video, tmp_path / "three.anonymized.mp4", OPTIONS, wanted)
    check_visible(tmp_path / "three.anonymized.mp4", wanted)
    done = ferflow(
        "clips", out, "--marker", "joke", "--before", 0.1, "--after", 0.1, *options, "-o", tmp_path / "c"
    )
    assert done.code == 0, done
    (clip,) = (tmp_path / "c").glob("*.mp4")
    for found in detect(clip, 0.3, OPTIONS):
        assert iou(found.xyxy, wanted[0]).max(axis=1).min() > 0.3


def test_where_a_person_is_lost_a_face_that_was_removed_is_not_taken_for_that_person(tmp_path):
    """Who passes in front of Ada is at the place where she is assumed to be, and no longer in the tables."""
    made = Made(seconds=4, people=1, video_id="talk-0123abcd")
    frames, faces = made_tables(made)
    is_lost = pc.and_(pc.greater_equal(faces["time_s"], 2.0), pc.less(faces["time_s"], 2.5))
    write_session(tmp_path, made, tables=(frames, faces.filter(pc.invert(is_lost))))
    files = OutputFolder(tmp_path).video(made.video_id)

    def fill() -> set[int]:
        return set(ExceptedFaces.read(read_persons(files, read_names(files)), {1}, "frame_index").filled)

    assert fill() >= {20, 21, 22, 23, 24}
    metadata = replace(read_metadata(files.faces), erasure=Erasure(n_faces=5))
    write_table(files.faces, read_table(files.faces), metadata)
    assert fill() == set()


@needs_ffmpeg
def test_a_video_that_was_forgotten_is_not_drawn_and_can_be_covered(analysed, tmp_path, ferflow):
    video, source = analysed
    out = shutil.copytree(source, tmp_path / "out")
    (folder := tmp_path / "videos").mkdir()
    shutil.copy(video, folder / "renamed.mp4")
    write_video(folder / "other.mp4", face_frames(4))
    (video_id,) = OutputFolder(out).finished_ids()
    assert ferflow("forget", out, "--video", video_id, "--yes").code == 0
    done = ferflow("annotate", folder, "--from", out, "-o", tmp_path / "made")
    assert done.code == 10, done
    assert done.text.count("renamed.mp4: left out. It was forgotten in this folder on request") == 1
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["other.annotated.mp4"]
    done = ferflow("annotate", folder / "renamed.mp4", "--from", out, "-o", tmp_path / "made")
    assert done.code == 3, done
    done = ferflow(
        "annotate", folder / "renamed.mp4", "--from", out, "-o", tmp_path / "made", "--anonymize", "solid"
    )
    assert done.code == 0, done
    assert (tmp_path / "made" / "renamed.anonymized.mp4").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_in_a_real_clip_who_was_removed_is_covered_and_the_other_person_is_not(
    analysed_clips, tmp_path, ferflow
):
    folder, source, _ = analysed_clips
    video = next(folder.glob("*female-and-male.gif"))
    out = shutil.copytree(source, tmp_path / "out")
    (video_id,) = (one for one in OutputFolder(out).finished_ids() if "female-and-male" in one)
    (out / "people.csv").write_text(f"video_id,person_id,name\n{video_id},1,Ada\n{video_id},2,Bob\n")
    assert ferflow("forget", out, "--participant", "Bob", "--yes").code == 0
    assert ferflow("annotate", video, "--from", out, "-o", tmp_path).code == 3
    for option, n_visible in (("--except", 1), ("--only", 0)):
        to = tmp_path / option
        done = ferflow("annotate", video, "--from", out, "--anonymize", "blur", option, "Ada", "-o", to)
        assert done.code == 0, done
        assert all(len(found) == n_visible for found in detect(next(to.glob("*.mp4")), 0.6))
