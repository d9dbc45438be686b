"""Pages for a mail: one file each, which opens alone and offline, and leads nowhere."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.exports.export_status import describe_outdated
from ferflow.dashboards.exports.mail_pages import MailOptions, write_mail_pages
from ferflow.dashboards.session_report.sections.erasure import build_erasure
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.dashboards.session_report.video_player import PageVideo
from ferflow.errors import OptionsError, VideoError
from ferflow.render.small_copy import copy_in_child, copy_small
from ferflow.store.metadata import Erasure, read_metadata
from ferflow.store.output_folder import OutputFolder
from tests.conftest import numbered_image, some_slow, write_video
from tests.dashboards.browse import HOSTILE, NEEDS_CHROMIUM, Opened, until
from tests.made_records import Made, write_session

MARKERS = ((2.0, None, HOSTILE, HOSTILE), (6.0, None, HOSTILE, ""), (4.0, 9.0, "</script><b>", "<i>"))
NOTES = "A [file](other.csv), [this](#peaks-title), a [site](https://example.org) and ![a face](face.png).\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Sessions that share a stimulus, one with a hostile name and notes, and one whose video is there."""
    out = tmp_path_factory.mktemp("mail") / "out"
    video = write_video(out.parent / "film.mp4", [numbered_image(k // 5) for k in range(200)])
    facts = {"path": str(video), "name": HOSTILE, "size": video.stat().st_size, "format": "mov,mp4", "codec": "h264",
             "width": 320, "height": 240, "time_base": Fraction(1, 1000)}  # fmt: skip
    write_session(out, Made(seconds=8, people=2, video_id="film", source=facts, markers=MARKERS))
    for name, people in (("eight", 8), ("nobody", 0), ("two", 2)):
        write_session(out, Made(seconds=20, people=people, video_id=name, seed=people))
    (out / "sessions.csv").write_text("video,participant,stimulus\neight,Ada,trailer\ntwo,Bob,trailer\n")
    (out / "notes").mkdir()
    for path in (out / "notes.md", out / "notes" / "film.md"):
        path.write_text(NOTES)
        cv2.imwrite(str(path.parent / "face.png"), np.full((8, 8, 3), 128, np.uint8))
    refresh(out)
    return out


@pytest.fixture
def out(folder, tmp_path) -> Path:
    return shutil.copytree(folder, tmp_path / "out")


def write(out: Path, **mail: object) -> list[Path]:
    return list(write_mail_pages(out, PageOptions(), MailOptions(**mail), copy_in_child).written)


def open_alone(browser, path: Path, place: Path, **context) -> Opened:
    """As from a mail: the file alone, under another name, without a network."""
    alone = shutil.copy(path, place / "report from a mail.html")
    return Opened(browser, Path(alone), offline=True, **context)


@NEEDS_CHROMIUM
@pytest.mark.parametrize(
    ("name", "width"),
    some_slow(("film", 390), slow=[("eight", 390), ("index", 390), ("index", 1280), ("nobody", 390)]),
)
def test_a_page_opens_alone_and_offline(browser, out, tmp_path, name, width):
    write(out)
    alone, size = out / "mail" / f"{name}.html", {"width": width, "height": 900}
    with open_alone(browser, alone, tmp_path, viewport=size) as opened:
        page = opened.page
        for chart in page.locator(".chart, .responses").all():
            chart.scroll_into_view_if_needed()  # where charts are drawn
            until(page, f"document.querySelector('#{chart.get_attribute('id')} .main-svg') !== null")
        assert opened.wrong == []
        asked = [url for url in opened.asked if not url.startswith("data:")]
        assert asked == [(tmp_path / "report from a mail.html").as_uri()]
        assert page.title() != "owned"
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        links = page.eval_on_selector_all("a[href]", "all => all.map((one) => one.getAttribute('href'))")
        assert set(links) <= {"#peaks-title", "https://example.org"}
        sources = page.eval_on_selector_all(
            "[src]", "all => all.map((one) => one.getAttribute('src').slice(0, 5))"
        )
        assert set(sources) <= {"data:"}


@NEEDS_CHROMIUM
def test_the_chart_in_a_mail_is_that_of_the_page(browser, out, tmp_path):
    write(out)
    read = "JSON.stringify(document.getElementById('timeline').data.map((trace) => [trace.name, trace.y, trace.z]))"
    with open_alone(browser, out / "mail" / "eight.html", tmp_path) as mailed:
        found = mailed.page.evaluate(read)
    with Opened(browser, out / "reports" / "eight.html") as page:
        assert page.page.evaluate(read) == found


@NEEDS_CHROMIUM
def test_a_small_copy_of_the_video_plays_within_the_page(browser, out, tmp_path):
    write(out, video_mb=0.2)
    path = out / "mail" / "film.html"
    with open_alone(browser, path, tmp_path) as opened:
        video = "document.getElementById('video')"
        opened.until(f"{video}.readyState >= 2")
        assert opened.page.evaluate(f"{video}.duration") == pytest.approx(8.0, abs=0.3)
        opened.go_to(5.0)
        opened.until(f"Math.abs({video}.currentTime - 5) < 0.2 && !{video}.seeking")
        buttons = opened.page.locator(".player-video .video-controls button").all_inner_texts()
        assert buttons == ["Play", "Full screen"]  # a copy has no sound that could be muted
        assert opened.wrong == []
    assert "with a small copy of the video, which shows faces" in path.read_text()
    # The others have no video where they were analysed, and say so.
    assert "not where it was analysed" in (out / "mail" / "two.html").read_text()


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_a_copy_keeps_to_its_size_and_its_length(folder, tmp_path):
    metadata = read_metadata(OutputFolder(folder).video("film").faces)
    place = tmp_path / "mail" / "film.mp4"
    place.parent.mkdir()
    for most in (40_000, 150_000):
        content = copy_small(metadata, most, place)
        assert len(content) <= most
        copied = tmp_path / "copied.mp4"
        copied.write_bytes(content)
        asked = [
            "ffprobe",
            "-v",
            "error",
            "-show_entries",
            "stream=codec_type,height:format=duration",
            "-of",
            "json",
        ]
        found = json.loads(subprocess.run([*asked, copied], capture_output=True, check=True).stdout)
        assert [stream["codec_type"] for stream in found["streams"]] == ["video"]  # no sound
        assert float(found["format"]["duration"]) == pytest.approx(8.0, abs=0.2)
    assert not [*place.parent.iterdir()]
    with pytest.raises(VideoError, match=r"0.001 MB are too few for 8 s of video. Allow at least 0.1 MB"):
        copy_small(metadata, 1_000, place)
    with pytest.raises(VideoError, match="not where it was analysed"):
        copy_small(read_metadata(OutputFolder(folder).video("two").faces), 10**6, place)


def test_what_could_show_a_face_is_left_out_on_request(out):
    write(out)
    assert all("data:image/png" in (out / "mail" / name).read_text() for name in ("index.html", "film.html"))
    write(out, anonymize=True)
    for name in ("index.html", "film.html"):
        text = (out / "mail" / name).read_text()
        assert "data:image" not in text
        assert "[a face]" in text
        assert "What could show a face was left out, as requested." in text


def test_the_same_inputs_give_the_same_bytes_and_are_not_written_again(out):
    first = {path: path.read_bytes() for path in write(out)}
    times = {path: path.stat().st_mtime_ns for path in first}
    assert {path: path.stat().st_mtime_ns for path in write(out)} == times
    shutil.rmtree(out / "mail")
    assert {path: path.read_bytes() for path in write(out)} == first


def test_a_page_of_an_earlier_state_is_named_until_it_is_written_again(out):
    write(out)
    folder = OutputFolder(out)
    assert describe_outdated(folder) == []
    (out / "notes" / "film.md").write_text("other")
    refresh(out)
    (warning,) = describe_outdated(folder)
    assert "mail/film.html" in warning
    assert warning.endswith("--single-file")
    write(out)
    assert describe_outdated(folder) == []


@pytest.mark.slow
def test_a_page_that_lacks_its_video_is_made_again_with_the_options_of_before(out):
    page = out / "mail" / "film.html"
    write(out, anonymize=True)
    covered = page.read_bytes()
    failed = write_mail_pages(out, PageOptions(), MailOptions(video_mb=0.001), copy_in_child).failed
    assert "film" in failed
    assert page.read_bytes() != covered  # it has the pictures of its notes
    assert not describe_outdated(OutputFolder(out))
    again = write_mail_pages(out, PageOptions(), MailOptions(video_mb=0.001), copy_in_child).failed
    assert again == failed
    write(out, anonymize=True)
    assert page.read_bytes() == covered


def test_a_page_whose_record_could_not_be_written_is_made_again(out, monkeypatch):
    page = out / "mail" / "film.html"
    write(out, anonymize=True)
    covered = page.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("ferflow.dashboards.exports.mail_pages.record_mail", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            write(out)
    assert page.read_bytes() != covered
    write(out, anonymize=True)
    assert page.read_bytes() == covered


def _interrupt(_folder: OutputFolder, page: Path, _made_with: object) -> None:
    if page.name == "film.html":
        raise KeyboardInterrupt


def test_a_size_that_is_none_is_refused():
    for wrong in (0, 1000, float("nan")):
        with pytest.raises(OptionsError):
            MailOptions(video_mb=wrong)


def test_the_faces_of_a_video_are_covered_on_request(tmp_path):
    """Of real faces: the detector finds them in the plain copy, and none in the covered one."""
    from ferflow.jobs.run import run
    from ferflow.options import AnalyzeOptions
    from tests.conftest import face_frames

    out = tmp_path / "out"
    video = write_video(tmp_path / "ada.mp4", face_frames(30))
    run([video], out, AnalyzeOptions())
    (video_id,) = OutputFolder(out).finished_ids()
    n_faces = []
    for anonymize in (False, True):
        write(out, video_mb=0.2, anonymize=anonymize)
        page = (out / "mail" / f"{video_id}.html").read_text()
        copied = tmp_path / f"copied {anonymize}.mp4"
        copied.write_bytes(base64.b64decode(re.search(r"data:video/mp4;base64,([^\"]+)", page)[1]))
        report = run([copied], tmp_path / f"again {anonymize}", AnalyzeOptions(), pages=False)
        n_faces.append(report.videos[0].n_faces)
    assert n_faces[0] > 5
    assert n_faces[1] == 0
    assert "in which faces are covered, as requested" in page
    assert not [path for path in (out / "mail").iterdir() if path.suffix != ".html"]


def test_no_copy_shows_somebody_who_was_removed(folder, tmp_path):
    metadata = read_metadata(OutputFolder(folder).video("film").faces)
    erased = msgspec.structs.replace(metadata, erasure=Erasure(n_faces=3))
    (tmp_path / "mail").mkdir()
    with pytest.raises(VideoError, match="somebody was removed from this session on request"):
        copy_small(erased, 150_000, tmp_path / "mail" / "film.mp4")


def test_a_notice_says_that_the_video_itself_shows_who_was_removed_and_not_that_a_covered_copy_does(folder):
    session = load_session(folder, "film")
    erased = msgspec.structs.replace(session.metadata, erasure=Erasure(n_faces=3))
    texts = [
        build_erasure(dataclasses.replace(session, metadata=erased, video=video)).text
        for video in (
            session.video,
            PageVideo("data:video/mp4;base64,AAAA", ""),
            PageVideo(None, "Not there."),
        )
    ]
    assert ["still shows that person" in text for text in texts] == [True, False, False]


@pytest.mark.slow
def test_an_hour_of_eight_people_fits_into_a_mail(tmp_path):
    markers = tuple((60.0 * k, None, "m", "") for k in range(60))
    made = Made(seconds=3600, fps=10, people=8, video_id="hour", markers=markers)
    write_session(tmp_path, made)
    refresh(tmp_path)
    write(tmp_path)
    assert (tmp_path / "mail" / "hour.html").stat().st_size < 5_000_000
