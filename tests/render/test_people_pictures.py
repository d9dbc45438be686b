from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferflow.analytics.people_list import PersonNames
from ferflow.analytics.person_faces import Persons
from ferflow.errors import VideoError
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.render.match_people import SeenPerson, match_people, propose
from ferflow.render.portraits import best_faces, read_portraits
from ferflow.render.thumbnails import SIDE, remove_thumbnails, write_thumbnails
from ferflow.store.output_folder import OutputFolder
from tests.conftest import portrait, write_video


def two_people(n: int, *, grow: bool = False) -> list[np.ndarray]:
    """A person in red at the left, one in blue at the right, RGB; faces grow if asked to."""
    images = []
    for number in range(n):
        image = np.full((240, 480, 3), 120, np.uint8)
        side = 120 + (2 * number if grow else 0)
        face = cv2.resize(portrait()[0:260, 90:350], (side, side))
        for x, colour in ((20, (200, 40, 40)), (260, (40, 40, 200))):
            image[20 : 20 + side, x : x + side] = face
            image[20 + round(0.78 * side) :, x : x + side] = colour
        images.append(image)
    return images


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> OutputFolder:
    """Two analysed videos."""
    place = tmp_path_factory.mktemp("people")
    videos = [
        write_video(place / "one.mp4", two_people(40)),
        write_video(place / "two.mp4", two_people(40, grow=True)),
    ]
    out = place / "out"
    run(videos, out, AnalyzeOptions(min_face=24), pages=False)
    return OutputFolder(out)


def test_the_best_faces_of_each_person_are_apart_in_time(folder):
    grows = next(files for files in folder.finished_videos() if files.video_id.startswith("two"))
    faces = best_faces(Persons.of(grows), count=2)
    assert sorted(faces) == [1, 2]
    for each in faces.values():
        assert len(each) == 2
        assert each[0].quality >= each[1].quality
        assert abs(each[0].time_s - each[1].time_s) >= 1.0
    # The faces grow, so late ones are better.
    assert faces[1][0].time_s > 0.8


def test_a_portrait_is_the_frame_of_the_row(folder):
    files = folder.finished_videos()[1]
    for shown in read_portraits(files, best_faces(Persons.of(files), count=2)):
        assert shown.frame.time_s == pytest.approx(shown.place.time_s, abs=1e-4)


def test_a_thumbnail_shows_the_person_and_the_clothes(folder):
    files = folder.finished_videos()[0]
    paths = write_thumbnails(Persons.of(files))
    assert [path.name for path in paths] == ["1.jpg", "2.jpg"]
    assert not list(files.thumbnails.glob(".*"))
    red, blue = (cv2.imread(str(path)) for path in paths)
    assert red.shape == blue.shape == (SIDE, SIDE, 3)
    assert red[-5:].mean(axis=(0, 1)).argmax() == 2  # BGR
    assert blue[-5:].mean(axis=(0, 1)).argmax() == 0


def test_a_person_of_a_split_track_has_a_thumbnail_and_joined_ones_share_one(folder):
    files = folder.finished_videos()[0]
    split = Persons.of(files, PersonNames({1: {0.0: "Max", 0.5: "Zoe"}}))
    assert len(split.ids) == 3
    assert [path.stem for path in write_thumbnails(split)] == [str(person) for person in split.ids]
    joined = Persons.of(files, PersonNames({1: {0.0: "Max"}, 2: {0.0: "Max"}}))
    assert [path.stem for path in write_thumbnails(joined)] == [str(person) for person in joined.ids] == ["1"]


def test_thumbnails_are_removed_on_request_and_with_the_results(folder, tmp_path):
    for files in folder.finished_videos():
        write_thumbnails(Persons.of(files))
    assert remove_thumbnails(folder) == 4
    assert not list(folder.thumbnails.rglob("*"))
    assert remove_thumbnails(folder) == 0


def test_a_source_that_was_moved_is_named(folder, monkeypatch):
    files = folder.finished_videos()[0]
    from pathlib import Path

    monkeypatch.setattr(Path, "exists", lambda path: path.suffix != ".mp4")
    with pytest.raises(VideoError, match=r"one\.mp4: not where it was analysed"):
        write_thumbnails(Persons.of(files))


class ByColour:
    """Describes a face by the colour below it, as seen in the cut."""

    def embed(self, faces: np.ndarray) -> np.ndarray:
        rows = np.zeros((len(faces), 128), np.float32)
        rows[:, :3] = faces[:, -6:].reshape(len(faces), -1, 3).mean(axis=1) - 100
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_same_people_of_two_videos_are_proposed(folder):
    found = match_people(folder.finished_videos(), ByColour())
    assert found.problems == ()
    one, two = folder.finished_ids()
    groups = {proposal.persons for proposal in found.proposals}
    assert groups == {
        (SeenPerson(one, 1), SeenPerson(two, 1)),
        (SeenPerson(one, 2), SeenPerson(two, 2)),
    }
    assert all(proposal.similarity > 0.8 for proposal in found.proposals)


def test_persons_of_one_video_and_unlike_ones_are_not_proposed():
    axes = np.eye(128, dtype=np.float32)
    near = (axes[0] + 0.3 * axes[1]) / np.linalg.norm(axes[0] + 0.3 * axes[1])
    known = {
        SeenPerson("a", 1): axes[0],
        SeenPerson("a", 2): near,
        SeenPerson("b", 1): axes[5],
        SeenPerson("c", 7): near,
    }
    (only,) = propose(known)
    assert only.persons == (SeenPerson("a", 2), SeenPerson("c", 7))
    assert only.similarity == pytest.approx(1, abs=1e-6)
    assert propose({}) == []


def test_nothing_is_stored_by_matching(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    match_people(folder.finished_videos(), ByColour())
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")} == before
