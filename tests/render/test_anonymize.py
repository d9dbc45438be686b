"""`ferflow annotate --anonymize`: no face is found in the result by a detector that is not ours to tune.

Faces of the source are those that OpenCV's FaceDetectorYN finds with the default options of an analysis.
"""

from __future__ import annotations

import csv
import subprocess
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from ferflow.faces.detections import Detections, iou
from ferflow.faces.yunet import YuNetOpenCV, weights_path
from ferflow.jobs.run import run
from ferflow.media.planes import Planes
from ferflow.media.video import Frame, Selection, open_video
from ferflow.media.yuv_picture import YuvPicture
from ferflow.options import AnalyzeOptions
from ferflow.render.anonymize import CoveringPainter
from ferflow.render.cover import Cover, draw_cover
from ferflow.render.places_to_cover import PlaceCollector
from ferflow.render.visible_faces import VisibleFaces
from ferflow.store.output_folder import OutputFolder
from tests.conftest import face_frames, some_slow, write_video
from tests.render.sources import FFMPEG, needs_ffmpeg, packet_hashes, probe, shown_times, streams
from tests.render.test_people_pictures import two_people

METHODS = ("blur", "pixelate", "solid", "mask")


def detect(path, score, options=None):
    """Per frame, what OpenCV finds."""
    detector = YuNetOpenCV(options or AnalyzeOptions(), weights_path())
    with open_video(path) as video:
        return [detector.detect([frame], score)[0] for frame in video.frames(Selection())]


def check_covered(source, made, options=None, excepted=None):
    """Nothing of .3 over a face of the source, nothing of .6 anywhere; faces at `excepted`, per frame, aside."""
    faces, left = detect(source, 0.6, options), detect(made, 0.3, options)
    assert len(faces) == len(left)
    for number, (before, after) in enumerate(zip(faces, left, strict=True)):
        if excepted is not None and len(excepted[number]):
            near = iou(after.xyxy, excepted[number]).max(axis=1, initial=0) < 0.3
            after = after[near]
            before = before[iou(before.xyxy, excepted[number]).max(axis=1, initial=0) < 0.3]
        assert not len(after) or after.score.max() < 0.6, number
        if len(after) and len(before):
            assert iou(after.xyxy, before.xyxy).max() == 0, number


@pytest.mark.parametrize("method", some_slow("blur", slow=METHODS[1:]))
def test_no_face_is_left(tmp_path, ferflow, method):
    video = write_video(tmp_path / "talk.mp4", face_frames(16, step=6))
    done = ferflow("annotate", video, "--anonymize", method, "-o", tmp_path / "made")
    assert done.code == 0, done
    assert "no face is found" in done.text
    made = tmp_path / "made" / "talk.anonymized.mp4"
    assert max(map(len, detect(video, 0.7))) == 1
    check_covered(video, made)
    assert [path.name for path in made.parent.iterdir()] == [made.name]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two people side by side, analysed; one is called Ada."""
    place = tmp_path_factory.mktemp("two")
    video, out = write_video(place / "two.mp4", two_people(24)), place / "out"
    run([video], out, AnalyzeOptions(min_face=24), workers=0, pages=False)
    (files,) = OutputFolder(out).finished_videos()
    (out / "people.csv").write_text(f"video_id,person_id,name\n{files.video_id},1,Ada\n")
    return video, out


def boxes_of(out, person):
    from ferflow.jobs.lists import read_names, read_persons
    from ferflow.render.shown_faces import ShownFaces

    (files,) = OutputFolder(out).finished_videos()
    faces = ShownFaces.read(read_persons(files, read_names(files)), "frame_index")
    frames = (
        [face for face in faces.at(number, number / 25) if face.person_id == person] for number in range(24)
    )
    return [np.array([face.xyxy for face in found], np.float32).reshape(-1, 4) for found in frames]


@pytest.mark.parametrize(("option", "visible"), [("--except", 1), ("--only", 2)])
def test_a_person_who_is_excepted_stays_visible_and_nobody_else(tmp_path, ferflow, two, option, visible):
    video, out = two
    done = ferflow("annotate", video, "--from", out, "--anonymize", "blur", option, "Ada", "-o", tmp_path)
    assert done.code == 0, done
    made, excepted = tmp_path / "two.anonymized.mp4", boxes_of(out, visible)
    options = AnalyzeOptions(min_face=24)
    check_covered(video, made, options, excepted)
    before, after = detect(video, 0.7, options), detect(made, 0.7, options)
    for number, boxes in enumerate(excepted):
        assert iou(before[number].xyxy, boxes).max() > 0.5
        assert iou(after[number].xyxy, boxes).max() > 0.5, number


def test_names_that_nobody_has_are_refused_before_any_work(tmp_path, ferflow, two):
    video, out = two
    done = ferflow("annotate", video, "--from", out, "--anonymize", "blur", "--except", "Bob", "-o", tmp_path)
    assert done.code == 2
    assert "nobody is called 'Bob'. There is: Ada, Person 2" in done.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [("--except", "Ada"), ("--anonymize", "blur", "--only", "Ada"), ("--min-face", "20"),
     ("--anonymize", "blur", "--from", "out", "--only", "A", "--except", "B")],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(tmp_path, ferflow, options):
    assert ferflow("annotate", tmp_path / "talk.mp4", "-o", tmp_path, *options).code == 2


@needs_ffmpeg
def test_nothing_that_the_file_says_is_copied(tmp_path, ferflow):
    plain = write_video(tmp_path / "plain.mp4", face_frames(8))
    (picture := tmp_path / "cover.png").write_bytes(cv2.imencode(".png", face_frames(1)[0])[1].tobytes())
    (text := tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:00,300\nAda says\n")
    source = tmp_path / "talk.mp4"
    command = [
        FFMPEG, "-v", "error", "-i", plain, "-i", picture, "-i", text, "-f", "lavfi", "-i", "sine=duration=0.3",
        "-map", "0", "-map", "1", "-map", "2", "-map", "3", "-c:v", "copy", "-c:s", "mov_text", "-disposition:v:1",
        "attached_pic", "-metadata", "title=Ada Lovelace", "-metadata", "location=+51.5-000.1/", "-metadata",
        "creation_time=2024-01-02T03:04:05Z", "-metadata:s:a:0", "title=Ada", "-metadata:s:a:0", "language=eng", source,
    ]  # fmt: skip
    subprocess.run(list(map(str, command)), check=True)
    assert ferflow("annotate", source, "--anonymize", "solid", "-o", tmp_path / "made").code == 0
    made = tmp_path / "made" / "talk.anonymized.mp4"
    content = made.read_bytes()
    for secret in (b"Ada", b"Lovelace", b"+51.5", b"2024", b"\x89PNG"):
        assert secret not in content
    assert [stream["codec_type"] for stream in streams(made)] == ["video", "audio"]
    tags = probe(made, "-show_format")["format"]["tags"]
    assert set(tags) <= {"major_brand", "minor_version", "compatible_brands", "encoder"}
    assert packet_hashes(made, "a:0") == packet_hashes(source, "a:0")
    assert shown_times(made) == shown_times(source)


def test_what_may_still_show_is_reported(tmp_path, ferflow, monkeypatch):
    """As if covers covered nothing."""
    from ferflow.render import anonymize

    monkeypatch.setattr(anonymize, "draw_cover", lambda *_: None)
    monkeypatch.setattr(
        "ferflow.system.child_process.follow_in_child", lambda function, *args: function(*args)
    )
    video = write_video(tmp_path / "talk.mp4", face_frames(4))
    done = ferflow("annotate", video, "--anonymize", "blur", "-o", tmp_path / "made")
    assert done.code == 10
    assert "in 4 frames a face may still show, at 00:00.0" in done.text
    with (tmp_path / "made" / "talk.anonymized.mp4.check.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["0", "1", "2", "3"]
    assert all(float(row["score"]) > 0.6 for row in rows)


def frame(index, size=(320, 240)):
    planes = Planes(np.zeros(size[::-1], np.uint8), None, None, full_range=True)
    return Frame(index, index, Fraction(index, 25), planes)


def face_at(x, score=0.9):
    return Detections(
        np.array([[x, 50, x + 40, 100]], np.float32),
        np.array([score], np.float32),
        np.zeros((1, 5, 2), np.float32),
    )


def collect(faces, cuts=()):
    collector = PlaceCollector()
    for number, x in enumerate(faces):
        found = Detections.empty() if x is None else face_at(x)
        collector.add(frame(number), found, is_cut=number in cuts)
    places = collector.finish()
    return [sorted({round(cover.xyxy[0]) for cover in places.at(number)}) for number in range(len(faces))]


def test_between_two_detections_the_face_is_covered_on_a_straight_line():
    covered = collect([100, 104, None, None, None, 120])
    assert all(x in found for x, found in zip([100, 104, 108, 112, 116, 120], covered, strict=True))


def test_before_the_first_and_after_the_last_detection_the_face_is_covered_for_half_a_second():
    covered = collect([None] * 20 + [100, 100] + [None] * 20)
    first, last = 20 - 12, 21 + 12
    assert [bool(found) for found in covered] == [first <= number <= last for number in range(42)]


def test_a_face_that_is_found_once_is_covered_around_it_as_well():
    covered = collect([None] * 5 + [100] + [None] * 5)
    assert all(found == [100] for found in covered)


def test_covers_end_at_a_cut():
    covered = collect([None, None, None, 100, 100, None, None, None], cuts={2, 6})
    assert [bool(found) for found in covered] == [False, False, True, True, True, True, False, False]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(320, 240), (159, 119)])
def test_under_a_cover_hardly_any_values_are_left(method, size):
    noise = np.random.default_rng(1).integers(16, 235, size[::-1], np.uint8)
    picture = YuvPicture.of(Planes(noise, noise, noise, full_range=False), size)
    before = picture.y.copy()
    cover = Cover((60.0, 40.0, 100.0, 90.0))
    draw_cover(picture, cover, method)
    inside = picture.y[42:88, 62:98]
    assert inside.std() < 0.3 * noise.std()
    if method != "blur":
        assert len(np.unique(inside)) <= 16
    # Far away nothing changes, and covers outside of the picture do no harm.
    assert (picture.y[:, 130:] == before[:, 130:]).all()
    draw_cover(picture, replace(cover, xyxy=(-500.0, -500.0, -400.0, -400.0)), method)


class NothingFound:
    def find(self, frame, least_score):
        return Detections.empty()


class OneIsVisible:
    def at(self, frame):
        return VisibleFaces(
            np.array([[100, 50, 140, 100]], np.float32), np.array([[134, 50, 174, 100]], np.float32)
        )


@pytest.mark.parametrize("method", METHODS)
def test_where_heads_touch_a_cover_leaves_the_visible_face_but_for_what_lies_on_the_other(method):
    noise = np.random.default_rng(1).integers(16, 235, (240, 320), np.uint8)
    picture = YuvPicture.of(Planes(noise, noise[::2, ::2], noise[::2, ::2], full_range=False), (320, 240))
    before = picture.y.copy()
    collector = PlaceCollector()
    collector.add(frame(0), face_at(134), is_cut=False)
    CoveringPainter(collector.finish(), NothingFound(), method, OneIsVisible()).paint(frame(0), picture)
    assert (picture.y[50:100, 100:134] == before[50:100, 100:134]).all()
    # The margin above the visible face is covered, and the face that is not to be seen.
    assert (picture.y[45:50, 134:140] != before[45:50, 134:140]).any()
    assert picture.y[60:90, 140:170].std() < 0.3 * noise.std()
    assert (picture.y[70:80, 134:140] != before[70:80, 134:140]).mean() > 0.9


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("method", METHODS)
def test_no_face_is_left_in_any_real_clip(clips, tmp_path, ferflow, method):
    done = ferflow("annotate", clips, "--anonymize", method, "-o", tmp_path)
    assert done.code == 0, done
    for made in tmp_path.glob("*.anonymized.mp4"):
        (source,) = (
            one for one in clips.iterdir() if one.name.startswith(made.name.removesuffix("anonymized.mp4"))
        )
        assert shown_times(made) == shown_times(source)
        check_covered(source, made)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_hands_before_a_person_who_is_excepted_do_not_cover_the_face(analysed_clips, tmp_path, ferflow):
    """The detector takes his hands and his microphone for faces."""
    folder, out, _ = analysed_clips
    source = next(folder.glob("*hamilton*"))
    done = ferflow(
        "annotate", source, "--from", out, "--anonymize", "blur", "--except", "Person 3", "-o", tmp_path
    )
    assert done.code == 0, done
    after = detect(next(tmp_path.glob("*.mp4")), 0.3)
    from ferflow.jobs.lists import read_names, read_persons
    from ferflow.render.shown_faces import ShownFaces

    (files,) = (one for one in OutputFolder(out).finished_videos() if "hamilton" in one.video_id)
    faces = ShownFaces.read(read_persons(files, read_names(files)), "frame_index")
    seen = 0
    for number, time_s in enumerate(faces.time_s):
        for face in faces.at(number, time_s):
            if face.name == "Person 3":
                seen += 1
                assert iou(after[number].xyxy, np.array([face.xyxy], np.float32)).max() > 0.4, number
    assert seen > 100


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_in_a_real_clip_one_person_stays_visible(analysed_clips, tmp_path, ferflow):
    folder, out, _ = analysed_clips
    source = next(folder.glob("*female-and-male.gif"))
    done = ferflow(
        "annotate", source, "--from", out, "--anonymize", "pixelate", "--except", "Person 1", "-o", tmp_path
    )
    assert done.code == 0, done
    before, after = detect(source, 0.7), detect(next(tmp_path.glob("*.mp4")), 0.6)
    assert [len(found) for found in before].count(2) > 40
    assert all(len(found) == 1 for found in after)
