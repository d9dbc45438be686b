"""The application as its users have it: in Chromium, with a server of its own; every request stays on loopback."""

from __future__ import annotations

import subprocess

import cv2
import httpx
import numpy as np
import pytest

from ferflow.dashboards import refresh
from tests.app.conftest import (
    Visitor,
    end_server,
    jpeg,
    launch,
    make_edited,
    png_of,
    start_server,
    wait_for_job,
    write_numbered,
)
from tests.conftest import portrait, real_data
from tests.dashboards.browse import HOSTILE, until


def test_a_picture_shows_each_face_with_all_probabilities_and_maps(visit):
    visitor = visit().open()
    two = np.hstack([portrait()[..., ::-1]] * 2)
    visitor.drop(HOSTILE[:60] + ".jpg", jpeg(two))
    page = visitor.page
    page.wait_for_selector(".face >> nth=1")
    assert page.title() == "Pictures and videos · ferflow"
    assert page.locator(".face").count() == 2
    shown = page.locator(".face >> nth=0").locator(".probs li").all_inner_texts()
    assert len(shown) == 7
    assert shown[0].startswith("happy")
    page.locator(".face summary").first.click()
    page.wait_for_selector(".maps img >> nth=6")
    # Something is drawn over the face.
    assert page.evaluate(
        "(() => { const c = document.querySelector('.stage canvas');"
        " const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
        " return data.some((v, i) => i % 4 === 3 && v > 0); })()"
    )
    page.get_by_role("button", name="Remove").click()
    assert page.locator(".result").count() == 0


def test_a_format_that_browsers_do_not_read_is_shown_all_the_same(visit):
    visitor = visit().open()
    visitor.drop("scan.tiff", cv2.imencode(".tiff", portrait()[..., ::-1])[1].tobytes(), "image/tiff")
    visitor.page.wait_for_selector(".face .probs")
    assert visitor.page.evaluate("document.querySelector('.stage img').naturalWidth") == 512


def test_a_video_goes_through_the_queue_to_its_report(visit, clip):
    visitor = visit().open()
    visitor.drop("my talk.mp4", clip.read_bytes(), "video/mp4")
    page = visitor.page
    page.wait_for_url("**/jobs")
    page.wait_for_selector("a.button", timeout=60_000)
    assert page.locator(".status").first.inner_text() == "done"
    page.locator("a.button").first.click()
    page.wait_for_selector("#timeline[data-drawn=yes]", timeout=20_000)
    # The page has no origin, and its player, charts and links work.
    assert page.evaluate("self.origin") == "null"
    until(page, "document.getElementById('video').readyState >= 2")
    page.get_by_role("link", name="all videos").click()
    page.wait_for_url("**/folder/index.html")
    assert page.locator("text=my talk.mp4").count()


def test_the_webcam_shows_faces_and_its_latency_and_stops(visit):
    visitor = visit().open("webcam")
    page = visitor.page
    page.click("#toggle")
    page.wait_for_selector("#faces .face", timeout=20_000)
    until(page, "document.getElementById('numbers').textContent.includes('frames per second')")
    assert "happy" in page.locator("#faces h3").inner_text()
    page.click("#toggle")
    until(page, "document.getElementById('stage').hidden")
    tracks = "document.getElementById('camera').srcObject.getTracks()"
    assert page.evaluate(f"{tracks}.every(track => track.readyState === 'ended')")
    assert page.locator("#faces .face").count() == 0


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """A theatre audience and a singer, as a camera would film them."""
    clip = real_data() / "videos" / "facerec_short_hamilton_clip.mp4"
    path = tmp_path_factory.mktemp("crowd") / "crowd.mjpeg"
    command = ["ffmpeg", "-v", "error", "-ss", "7.2", "-t", "1.6", "-i", str(clip), "-c:v", "mjpeg", "-q:v", "3",
               "-pix_fmt", "yuvj420p", str(path)]  # fmt: skip
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="module")
def chromium_in_a_crowd(crowd, request):
    yield from launch(request, crowd)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 390])
def test_the_webcam_shows_a_crowd_of_a_real_clip(chromium_in_a_crowd, server, width):
    visitor = Visitor(chromium_in_a_crowd, server, viewport={"width": width, "height": 900}).open("webcam")
    page = visitor.page
    page.click("#toggle")
    # Six people of the audience face the camera.
    page.wait_for_selector("#faces .face >> nth=3", timeout=30_000)
    until(page, "document.getElementById('numbers').textContent.includes('frames per second')")
    assert page.evaluate("document.getElementById('camera').videoWidth") == 640
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click("#toggle")
    until(page, "document.getElementById('stage').hidden")
    visitor.context.close()
    assert visitor.outside == visitor.wrong == []


def test_wrong_oversized_and_bomb_files_are_refused_in_words(visit, portrait_jpeg):
    visitor = visit().open()
    page = visitor.page
    visitor.drop("notes.jpg", b"no picture")
    page.wait_for_selector("#message:not([hidden])")
    assert page.locator("#message").inner_text().startswith("notes.jpg: not a video or picture")
    assert page.locator(".result").count() == 0
    # What the server answers with 415 is an error in the console; nothing else is.
    assert [text for text in visitor.wrong if "415" not in text] == []
    visitor.wrong.clear()
    visitor.drop("bomb.png", png_of(30_000, 30_000), "image/png")
    until(page, "document.getElementById('message').textContent.startsWith('bomb.png: ')")
    assert page.locator(".result").count() == 0
    assert len(visitor.wrong) == 1
    visitor.wrong.clear()
    page.evaluate(
        "(() => { const t = new DataTransfer(), e = new Event('drop');"
        " t.items.add(new File([new Uint8Array(65 * 2 ** 20)], 'huge.jpg', {type: 'image/jpeg'}));"
        " e.dataTransfer = t; dispatchEvent(e); })()"
    )
    until(page, "document.getElementById('message').textContent.includes('huge.jpg: too large')")
    visitor.drop("one.jpg", portrait_jpeg)
    page.wait_for_selector(".face .probs")


def test_two_users_at_once_get_their_own_answers(visit, portrait_jpeg):
    one, other = visit().open(), visit().open()
    one.drop("one.jpg", portrait_jpeg)
    other.drop("nobody.jpg", jpeg(np.full((200, 200, 3), 90, np.uint8)))
    one.page.wait_for_selector(".face .probs")
    other.page.wait_for_selector(".stage")
    assert one.page.locator(".result h2").inner_text() == "one.jpg"
    assert other.page.locator(".result").inner_text().count("No face found") == 1


def test_everything_is_reached_by_the_keyboard_alone(visit, portrait_jpeg):
    visitor = visit().open()
    page = visitor.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "choose"
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": portrait_jpeg})
    page.wait_for_selector(".face summary")
    page.keyboard.press("Tab")  # Remove
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    page.wait_for_selector(".maps img")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.locator(".result").count() == 0


@pytest.mark.parametrize("path", ["", "jobs", "webcam", "api/docs"])
def test_no_page_is_wider_than_a_phone(visit, path, portrait_jpeg):
    visitor = visit(viewport={"width": 390, "height": 844}).open(path)
    if not path:
        visitor.drop(f"{'long' * 40}.jpg", portrait_jpeg)
        visitor.page.wait_for_selector(".face .probs")
    if path == "api/docs":
        visitor.page.wait_for_selector(".opblock")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_scripts_of_a_report_can_ask_nothing_of_the_application(visit, server):
    """An output folder may come from somebody else."""
    (server.out / "reports").mkdir(parents=True, exist_ok=True)
    (server.out / "reports" / "evil-0123abcd.html").write_text(
        "<title>waiting</title><script>fetch('/api/jobs').then(r => r.text()).then(t => document.title = 'read ' + t)"
        ".catch(() => document.title = 'refused')</script>"
    )
    visitor = visit().open("folder/reports/evil-0123abcd.html")
    until(visitor.page, "document.title !== 'waiting'")
    assert visitor.page.title() == "refused"
    visitor.wrong.clear()  # the browser says what it has refused
    (server.out / "reports" / "evil-0123abcd.html").unlink()


@pytest.mark.slow
def test_with_a_token_the_links_of_reports_and_the_edit_page_work(chromium, tmp_path):
    out = tmp_path / "out"
    edited = make_edited(out, write_numbered(tmp_path / "trio.mp4"))
    refresh(out)
    process, address = start_server(out, "--token", "a-token-of-some-length")
    context = chromium.new_context()
    page = context.new_page()
    try:
        page.goto(address)
        page.get_by_role("link", name="Reports").click()
        page.get_by_role("link", name="trio.mp4").first.click()
        page.wait_for_selector("#timeline[data-drawn=yes]", timeout=20_000)
        until(page, "document.getElementById('video').readyState >= 2")
        page.get_by_role("link", name="Edit", exact=True).click()
        page.wait_for_url(f"**/edit/{edited.video_id}")
        until(page, "!document.getElementById('edit').hidden")
    finally:
        context.close()
        end_server(process)


@pytest.mark.slow
def test_a_job_that_ctrl_c_interrupts_is_queued_again_by_the_next_start(tmp_path, clip):
    out = tmp_path / "out"
    process, address = start_server(out)
    assert address.startswith("http://127.0.0.1:")
    with httpx.Client(base_url=address, timeout=30) as client:
        answer = client.post("/api/jobs", files={"video": ("talk.mp4", clip.read_bytes())})
        assert answer.status_code == 202
    code, said = end_server(process)
    assert code == 0
    assert f"Results are kept in {out}" in said
    process, address = start_server(out)
    with httpx.Client(base_url=address, timeout=60) as client:
        (job,) = client.get("/api/jobs").json()
        wait_for_job(client, job["id"])
        assert len(client.get("/api/videos").json()) == 1
    assert end_server(process)[0] == 0
    assert not list(out.rglob("*.tmp"))
