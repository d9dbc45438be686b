from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from ferflow.faces.detector import KeyFrameDetector
from ferflow.faces.frame_sample import FrameSampler, sample_frames
from ferflow.faces.regions import split_frame
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import analyze
from ferflow.regions import Region, parse_regions
from ferflow.store.records import FaceRows
from tests.conftest import portrait, write_video


def frame(width: int = 320, height: int = 240, chroma: tuple[int, int] = (2, 2)) -> Frame:
    """Luma tells the column, chroma too, in luma's pixels."""
    y = np.tile((np.arange(width) % 251).astype(np.uint8), (height, 1))
    u = np.ascontiguousarray(y[:: chroma[1], :: chroma[0]])
    return Frame(0, 0, Fraction(0), Planes(y, u, u.copy(), full_range=True))


@pytest.mark.parametrize("chroma", [(1, 1), (2, 1), (2, 2), (4, 1)])
@pytest.mark.parametrize("spec", ["100,50,120,90", "103,51,117,91", "0,0,320,240", "300,220,500,500"])
def test_chroma_is_cut_where_luma_is(chroma, spec):
    (part,) = split_frame(frame(chroma=chroma), [Region.parse(spec)])
    planes = part.frame.planes
    x, y, width, height = Region.parse(spec).pixels(320, 240)
    assert 0 <= x - part.x < 4
    assert 0 <= y - part.y < 4
    assert (part.x + planes.width, part.y + planes.height) == (x + width, y + height)
    assert planes.y[0, 0] == part.x % 251
    assert planes.u[0, 0] == part.x % 251
    assert abs(planes.u.shape[1] * chroma[0] - planes.width) < chroma[0]
    assert abs(planes.u.shape[0] * chroma[1] - planes.height) < chroma[1]


def test_without_regions_the_frame_is_whole():
    whole = frame()
    (part,) = split_frame(whole, [])
    assert part.frame is whole


def test_a_cut_outside_of_a_region_is_none_of_it():
    rng = np.random.default_rng(0)
    left = rng.integers(0, 255, (240, 160), dtype=np.uint8)
    games = [rng.integers(0, 120 * i, (240, 160), dtype=np.uint8) for i in (1, 2)]
    frames = [
        Frame(i, i, Fraction(i, 25), Planes(np.hstack([left, games[i // 5]]), None, None, full_range=True))
        for i in range(10)
    ]
    cuts = [
        sample.cuts
        for sample in sample_frames(frames, FrameSampler(regions=parse_regions(("left", "right"))))
    ]
    assert cuts == [(False, False)] * 5 + [(False, True)] + [(False, False)] * 4
    assert [
        sample.is_cut for sample in sample_frames(frames, FrameSampler(regions=parse_regions(("left",))))
    ] == [False] * 10


@pytest.fixture
def two_faces(tmp_path):
    """A large face at the left, a smaller one at the right."""
    images = []
    for number in range(30):
        image = np.full((240, 480, 3), 120, np.uint8)
        for x, side in ((20 + number // 6, 200), (300, 150)):
            face = cv2.resize(portrait()[0:260, 90:350], (side, side))
            image[20 : 20 + side, x : x + side] = face
        images.append(image)
    return write_video(tmp_path / "two.mp4", images)


def faces_of(path, tools, *regions: str, **chosen: object):
    rows = list(analyze(path, AnalyzeOptions(region=regions, **chosen), tools=tools))
    faces = [each.batch.to_pylist() for each in rows if isinstance(each, FaceRows)]
    return [face for batch in faces for face in batch], rows[-1].batch.to_pylist()


def test_only_faces_in_the_region_are_found_in_pixels_of_the_whole_picture(two_faces, tools):
    everyone, _ = faces_of(two_faces, tools)
    left, tracks = faces_of(two_faces, tools, "Ann=left")
    assert len(everyone) == 60
    assert len(left) == 30
    assert {face["region"] for face in left} == {"Ann"}
    assert {face["region"] for face in everyone} == {None}
    assert [track["person_id"] for track in tracks] == [1]
    right, _ = faces_of(two_faces, tools, "right")
    whole = {face["frame_index"]: face for face in everyone if face["x1"] > 240}
    for face in right:
        for name in ("x1", "y1", "x2", "y2"):
            assert face[name] == pytest.approx(whole[face["frame_index"]][name], abs=4)


def test_each_named_region_is_one_participant(two_faces, tools):
    faces, tracks = faces_of(two_faces, tools, "Ann=left", "Bob=right")
    assert {(face["region"], face["track_id"]) for face in faces} == {("Ann", 1), ("Bob", 2)}
    assert [(track["track_id"], track["person_id"]) for track in tracks] == [(1, 1), (2, 2)]


def test_the_smallest_face_follows_from_the_size_of_the_region(tools):
    detect = KeyFrameDetector(tools.detector, AnalyzeOptions(), parse_regions(("bottom-right",)))
    small = np.full((1080, 1920, 3), 110, np.uint8)
    face = cv2.resize(portrait()[0:260, 90:350], (110, 110), interpolation=cv2.INTER_AREA)
    small[900:1010, 1700:1810] = face
    luma = small[..., 1]
    chroma = np.full((540, 960), 128, np.uint8)
    picture = Frame(0, 0, Fraction(0), Planes(luma, chroma, chroma, full_range=True))
    (sample,) = sample_frames([picture], FrameSampler())
    assert len(KeyFrameDetector(tools.detector, AnalyzeOptions())(sample)) == 0
    found = detect(sample)
    assert len(found) == 1
    x1, y1, x2, y2 = found.xyxy[0]
    assert 1700 < x1 < x2 < 1810
    assert 900 < y1 < y2 < 1010
