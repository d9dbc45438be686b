"""`ferflow annotate`: what is drawn, over which videos, and what is never lost; read by other programs than ours."""

from __future__ import annotations

import shutil
from fractions import Fraction

import numpy as np
import pytest

from ferflow.jobs.lists import read_names, read_persons
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.palette import EXPRESSIONS
from ferflow.render.canvas import plain_text
from ferflow.render.shown_faces import ShownFaces
from ferflow.store.output_folder import OutputFolder
from tests.conftest import face_frames, write_video
from tests.dashboards.browse import HOSTILE, NEEDS_CHROMIUM
from tests.render.sources import needs_ffmpeg, packet_hashes, pictures, plays, shown_times, streams

pytestmark = needs_ffmpeg

SIZE = (320, 240)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """A video of one face, and its tables."""
    place = tmp_path_factory.mktemp("annotate")
    video, out = write_video(place / "talk.mp4", face_frames(24)), place / "out"
    run([video], out, AnalyzeOptions(min_face=24), workers=0, pages=False)
    return video, out


def faces_of(out, key="frame_index"):
    (files,) = OutputFolder(out).finished_videos()
    return ShownFaces.read(read_persons(files, read_names(files)), key)


def test_the_box_is_where_the_face_is_and_nothing_else_changes(analysed, tmp_path, ferflow):
    video, out = analysed
    assert ferflow("annotate", video, "--from", out, "-o", tmp_path).code == 0
    before = pictures(video, SIZE).astype(int)
    after = pictures(tmp_path / "talk.annotated.mp4", SIZE).astype(int)
    assert len(before) == len(after) == 24
    changed = np.abs(after - before).max(axis=3) > 60
    for number in (0, 12, 23):
        (face,) = faces_of(out).at(number, number / 25)
        x1, y1, x2, y2 = (round(value) for value in face.xyxy)
        assert changed[number, y1 : y1 + 2, x1 + 4 : x2 - 4].mean() > 0.5
        assert changed[number, y1 + 8 : y2 - 8, x1 + 8 : x2 - 8].mean() < 0.02
        # The face is cut from the picture at the left of its box, where nothing is drawn.
        assert changed[number, 60:180, : max(x1 - 4, 0)].sum() == 0
    # The strip of engagement, and the time code above it.
    assert changed[:, -10:].mean() > 0.5
    assert changed[:, -28:-14, :50].mean() > 0.3


def test_the_frame_has_the_colour_of_the_strongest_expression(analysed, tmp_path, ferflow):
    video, out = analysed
    ferflow("annotate", video, "--from", out, "-o", tmp_path, "--crf", 5)
    (face,) = faces_of(out).at(12, 0.48)
    label = max(face.scores, key=face.scores.get)
    x1, y1, x2, _ = (round(value) for value in face.xyxy)
    edge = pictures(tmp_path / "talk.annotated.mp4", SIZE)[12, y1 : y1 + 2, x1 + 10 : x2 - 10]
    assert np.abs(np.median(edge, axis=(0, 1)) - list(bytes.fromhex(EXPRESSIONS[label][1:]))).max() < 25


def test_scores_are_those_of_the_timeline(analysed):
    """One bin of pages holds the whole video: its label is the one that most frames have here."""
    _, out = analysed
    (files,) = OutputFolder(out).finished_videos()
    from ferflow.analytics.timeline import leading_label, person_timeline

    (row,) = [
        one for one in person_timeline(read_persons(files, read_names(files))).to_pylist() if one["person_id"]
    ]
    shown = {name: row[name] for name in row if name.startswith("shown_")}
    faces = [face for number in range(24) for face in faces_of(out).at(number, number / 25)]
    labels = [max(face.scores, key=face.scores.get) for face in faces]
    assert leading_label(shown, neutral=True) == max(set(labels), key=labels.count)


def test_names_and_corrections_are_honoured(analysed, tmp_path):
    _, out = analysed
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    (video_id,) = OutputFolder(copy).finished_ids()
    (copy / "people.csv").write_text(f"video_id,track_id,name\n{video_id},1,Jürgen\n")
    (copy / "corrections.csv").write_text(
        f"video_id,action,start,end,person,value,note\n{video_id},relabel,0.4,0.6,,sad,\n{video_id},exclude,0.8,9,,,\n"
    )
    faces = faces_of(copy)
    assert faces.at(0, 0.0)[0].name == "Jürgen"
    assert plain_text("Jürgen Łukasz Ærø", "?") != "?"
    assert plain_text("李小龙", "Person 1") == "Person 1"
    assert faces.at(12, 0.48)[0].scores["sad"] == 1
    assert faces.at(22, 0.88) == []


def test_between_analysed_frames_boxes_follow_their_track(tmp_path):
    video, out = write_video(tmp_path / "talk.mp4", face_frames(24, step=4)), tmp_path / "out"
    run([video], out, AnalyzeOptions(min_face=24, every=6), workers=0, pages=False)
    faces = faces_of(out)
    (before,), (between,), (after,) = (faces.at(number, number / 25) for number in (6, 9, 12))
    assert between.xyxy == pytest.approx(np.mean([before.xyxy, after.xyxy], axis=0), abs=0.1)
    assert faces.at(23, 0.92) == []  # after the last analysed frame nothing is known


def test_without_tables_videos_are_analysed_first_and_nothing_stays(tmp_path, ferflow, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    video = write_video(tmp_path / "talk.mp4", face_frames(12))
    done = ferflow("annotate", video, "-o", tmp_path / "made")
    assert done.code == 0, done
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["talk.annotated.mp4"]
    assert list(scratch.iterdir()) == []


def test_one_bad_video_costs_its_own_result_only(analysed, tmp_path, ferflow):
    video, out = analysed
    (bad := tmp_path / "bad.mp4").write_bytes(b"no video" * 1000)
    done = ferflow("annotate", bad, video, "--from", out, "-o", tmp_path / "made")
    assert done.code == 10
    assert done.text.count("bad.mp4") == 1
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["talk.annotated.mp4"]
    assert ferflow("annotate", bad, "-o", tmp_path / "made").code == 3


def test_nothing_is_overwritten_in_silence(analysed, tmp_path, ferflow):
    video, out = analysed
    target = tmp_path / "talk.annotated.mp4"
    target.write_bytes(b"mine")
    done = ferflow("annotate", video, "--from", out, "-o", tmp_path)
    assert done.code == 3
    assert "exists. Use --overwrite" in done.text
    assert target.read_bytes() == b"mine"
    assert ferflow("annotate", video, "--from", out, "-o", tmp_path, "--overwrite").code == 0
    assert len(shown_times(target)) == 24


def test_two_videos_of_one_name_do_not_replace_each_other(analysed, tmp_path, ferflow):
    video, out = analysed
    other = write_video(tmp_path / "talk.mkv", face_frames(5))
    done = ferflow("annotate", video, other, "--from", out, "-o", tmp_path / "made")
    assert done.code == 10
    assert "has the same name as" in done.text
    assert len(shown_times(tmp_path / "made" / "talk.annotated.mp4")) == 24


def test_an_input_is_never_replaced(analysed, tmp_path, ferflow):
    video, out = analysed
    shutil.copy(video, own := tmp_path / "talk.mp4")
    shutil.copy(video, other := tmp_path / "talk.annotated.mp4")
    before = other.read_bytes()
    done = ferflow("annotate", own, other, "--from", out, "-o", tmp_path, "--overwrite")
    assert done.code == 10
    assert "which is an input" in done.text
    assert other.read_bytes() == before


def test_results_do_not_go_into_the_folders_of_an_analysis(analysed, ferflow):
    video, out = analysed
    done = ferflow("annotate", video, "--from", out, "-o", out / "faces")
    assert done.code == 3
    assert "ferflow's own" in done.text


@pytest.mark.parametrize("command", ["annotate", "clips"])
@pytest.mark.parametrize("place", ["notes.txt", "notes.txt/made"])
def test_a_file_is_no_folder_for_results(analysed, tmp_path, ferflow, command, place):
    video, out = analysed
    (tmp_path / "notes.txt").write_text("mine")
    given = (video, "--from", out) if command == "annotate" else (out,)
    done = ferflow(command, *given, "-o", tmp_path / place)
    assert done.code == 2
    assert done.text.count("\n") == 1
    assert "notes.txt: not a folder. Give another one with -o." in done.text
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_name_that_is_too_long_for_a_result_is_refused_before_any_work(
    analysed, tmp_path, ferflow, monkeypatch
):
    video, out = analysed
    monkeypatch.chdir(tmp_path)
    shutil.copy(video, long := tmp_path / f"{240 * 'x'}.mp4")
    done = ferflow("annotate", long.name, "--from", out, "-o", "made")
    assert done.code == 2
    assert done.text.count("\n") == 1
    assert (
        "the name is too long for its result. Give it one of at most 222 bytes; a link will do." in done.text
    )
    shutil.copy(video, tmp_path / f"{218 * 'y'}.mp4")
    done = ferflow("annotate", long.name, f"{218 * 'y'}.mp4", "--from", out, "-o", "made")
    assert done.code == 10, done
    assert [path.name for path in (tmp_path / "made").iterdir()] == [f"{218 * 'y'}.annotated.mp4"]


def test_a_hostile_file_name_is_only_a_name(analysed, tmp_path, ferflow):
    video, out = analysed
    shutil.copy(video, own := tmp_path / HOSTILE.replace("/", "-"))
    done = ferflow("annotate", own, "--from", out, "-o", tmp_path / "made")
    assert done.code == 0, done
    assert "\u202e" not in done.text
    (made,) = (tmp_path / "made").iterdir()
    assert len(shown_times(made)) == 24


def test_a_part_has_its_own_frames(analysed, tmp_path, ferflow):
    video, out = analysed
    assert (
        ferflow("annotate", video, "--from", out, "-o", tmp_path, "--start", "0.2", "--end", "12f").code == 0
    )
    assert shown_times(tmp_path / "talk.annotated.mp4") == [Fraction(number, 25) for number in range(7)]


@NEEDS_CHROMIUM
def test_it_plays_in_a_browser(analysed, tmp_path, ferflow, browser):
    video, out = analysed
    ferflow("annotate", video, "--from", out, "-o", tmp_path)
    assert plays(browser, tmp_path / "talk.annotated.mp4", tmp_path) == pytest.approx(0.96, abs=0.05)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_real_clip_keeps_its_frames_times_and_sound_and_plays(
    analysed_clips, tmp_path, ferflow, browser
):
    folder, out, _ = analysed_clips
    assert ferflow("annotate", folder, "--from", out, "-o", tmp_path).code == 0
    made = sorted(tmp_path.glob("*.annotated.mp4"))
    assert len(made) == 9
    for path in made:
        (source,) = (
            one for one in folder.iterdir() if one.name.startswith(path.name.removesuffix("annotated.mp4"))
        )
        assert shown_times(path) == shown_times(source), source
        if any(stream["codec_type"] == "audio" for stream in streams(source)):
            assert packet_hashes(path, "a:0") == packet_hashes(source, "a:0"), source
        assert plays(browser, path, tmp_path) > 1


@pytest.mark.slow
def test_a_real_clip_of_several_people_has_a_name_above_each(analysed_clips):
    _, out, _ = analysed_clips
    (files,) = (one for one in OutputFolder(out).finished_videos() if "hamilton" in one.video_id)
    faces = ShownFaces.read(read_persons(files, read_names(files)), "pts")
    named = {
        face.name
        for key, time_s in zip(faces.keys, faces.time_s, strict=True)
        for face in faces.at(key, time_s)
    }
    assert len(named) > 5
