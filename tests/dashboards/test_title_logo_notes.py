"""Title, logo and notes of a report: on every page, remembered, safe, and inside the page."""

from __future__ import annotations

import base64
import io
import json
import re

import pytest
from PIL import Image

from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.shared.notes import MOST_IMAGE_BYTES, MOST_NOTES_BYTES, load_notes
from ferflow.errors import OptionsError
from ferflow.jobs.job import Job
from ferflow.jobs.run import run_events
from ferflow.store.video_files import VideoFiles
from tests.conftest import some_slow
from tests.dashboards.test_refresh import changed, report, state

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><rect width="90" height="30"/></svg>'


def picture(kind: str, size: tuple[int, int] = (90, 30)) -> bytes:
    """A picture that Pillow wrote."""
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind)
    return file.getvalue()


def pages(out) -> dict[str, str]:
    return {name: content.decode() for name, (content, _) in state(out).items()}


# --- Title and logo ---------------------------------------------------------------------------------------


def test_a_title_is_on_every_page_and_remembered_until_forgotten(two):
    report(two, "--title", "<b>Pilot</b> 7 & co")
    escaped = "&lt;b&gt;Pilot&lt;/b&gt; 7 &amp; co"
    assert all(escaped in html and "<b>Pilot" not in html for html in pages(two).values())
    assert f"<title>{escaped} · ferflow</title>" in pages(two)["index.html"]
    assert f"<title>a.mp4 · {escaped}</title>" in pages(two)["a.html"]
    before = state(two)
    assert report(two).stdout.startswith("Pages written: 0")
    refresh(two, forgiving=True)  # as at the end of a run
    assert state(two) == before
    report(two, "--forget")
    assert not any(escaped in html for html in pages(two).values())


@pytest.mark.parametrize("title", ["", " \n ", "x" * 201])
def test_a_title_that_is_empty_or_too_long_is_refused_and_nothing_is_done(two, title):
    before = state(two)
    done = report(two, "--title", title)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert state(two) == before


@pytest.mark.parametrize(
    ("name", "content", "media"),
    [
        ("logo.png", picture("PNG"), "png"),
        ("logo.svg", b"\xef\xbb\xbf<?xml version='1.0'?>\n" + SVG, "svg+xml"),
        pytest.param("logo.svg", SVG, "svg+xml", marks=pytest.mark.slow),
        pytest.param("logo.jpg", picture("JPEG"), "jpeg", marks=pytest.mark.slow),
        pytest.param("without suffix", picture("PNG"), "png", marks=pytest.mark.slow),
    ],
)
def test_a_logo_is_inside_every_page_with_its_bytes_and_its_file_may_go(two, tmp_path, name, content, media):
    file = tmp_path / name
    file.write_bytes(content)
    assert report(two, "--logo", file).returncode == 0
    file.unlink()
    for html in pages(two).values():
        (found,) = re.findall(r'<img class="logo" src="data:image/([^;]+);base64,([^"]+)"', html)
        assert found[0].replace("&#43;", "+") == media
        assert base64.b64decode(found[1].replace("&#43;", "+")) == content
    assert report(two).stdout.startswith("Pages written: 0")
    report(two, "--logo", two / "nothing.png")
    assert all('class="logo"' in html for html in pages(two).values())
    report(two, "--forget")
    assert not any('class="logo"' in html for html in pages(two).values())


@pytest.mark.parametrize(
    "content",
    [
        b"", b"no picture", b"<html><body/></html>", b"<svg/>", SVG[:-3], picture("PNG")[:60], picture("GIF"),
        b"\xff\xd8\xff" + b"\0" * 90, picture("BMP"), b"<?xml version='1.0' encoding='nonsense'?>" + SVG,
        b"%PDF-1.4", b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + SVG.replace(b"<rect", b"&b;<rect"),
        SVG + b" " * (512 * 1024),
    ],
)  # fmt: skip
def test_what_is_no_usable_logo_is_refused_in_one_line_and_nothing_is_done(two, tmp_path, content):
    file = tmp_path / "logo\n.png"
    file.write_bytes(content)
    before = state(two)
    done = report(two, "--logo", file, "--title", "Pilot")
    assert done.returncode == 2
    assert re.fullmatch(r"ferflow: logo \S*logo\ufffd\.png: .*\n", done.stderr)
    assert state(two) == before
    assert "Pilot" not in json.dumps(json.loads((two / ".pages/options.json").read_text()))


@pytest.mark.parametrize("place", ["missing.png", "."])
def test_a_logo_that_is_no_file_is_refused(two, tmp_path, place):
    with pytest.raises(OptionsError, match=r"No such file|not a regular file"):
        PageOptions().updated(logo=tmp_path / place)


def test_a_picture_of_a_gigapixel_is_refused_before_it_is_decoded(tmp_path):
    content = bytearray(picture("PNG"))
    content[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height in the header
    (tmp_path / "logo.png").write_bytes(content)
    with pytest.raises(OptionsError, match="damaged or too large"):
        PageOptions().updated(logo=tmp_path / "logo.png")


def test_options_with_a_logo_from_elsewhere_are_not_used(two):
    path = two / ".pages/options.json"
    saved = json.loads(path.read_text())
    saved["options"]["logo"] = "https://example.org/logo.png"
    path.write_text(json.dumps(saved))
    refresh(two)
    assert not any("example.org" in html for html in pages(two).values())


def test_a_job_names_title_and_logo_which_hold_for_later_reports(tmp_path, face_video):
    (tmp_path / "logo.svg").write_bytes(SVG)
    out = tmp_path / "out"
    job = Job(inputs=(str(face_video),), out=out, title="Pilot", logo=tmp_path / "logo.svg")
    list(run_events(job))
    assert all(
        "Pilot" in html and 'class="logo"' in html for html in pages(out).values() if len(pages(out)) == 2
    )
    assert report(out).stdout.startswith("Pages written: 0")


@pytest.mark.parametrize("what", [{"title": " "}, {"logo": "missing.svg"}])
def test_a_job_with_a_title_or_logo_that_cannot_be_used_starts_nothing(tmp_path, face_video, what):
    out = tmp_path / "out"
    job = Job(inputs=(str(face_video),), out=out).updated(**what)
    with pytest.raises(OptionsError):
        list(run_events(job))
    assert not out.exists()


# --- Notes ------------------------------------------------------------------------------------------------


def notes_of(html: str) -> str:
    found = re.search(r'<section class="notes".*?</section>', html, re.S)
    return found[0] if found else ""


def test_notes_update_their_own_page_only_and_leave_with_their_file(two):
    before = state(two)
    (two / "notes.md").write_text("# Read *this*\n\nFor you.\n")
    (two / "notes").mkdir()
    (two / "notes/b.md").write_text("The second\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert report(two).stderr == ""
    assert changed(before, state(two)) == {"index.html", "b.html"}
    assert "<h2>Read <em>this</em></h2>" in notes_of(pages(two)["index.html"])
    assert "<td>2</td>" in notes_of(pages(two)["b.html"])
    assert pages(two)["index.html"].count("<h1") == 1
    assert report(two).stdout.startswith("Pages written: 0")
    (two / "notes.md").unlink()
    (two / "notes/b.md").unlink()
    report(two)
    assert {name: html for name, (html, _) in state(two).items()} == {
        name: html for name, (html, _) in before.items()
    }


HOSTILE = """\
<script>alert(1)</script> <img src=x onerror=alert(1)>

[a](javascript:alert(1)) [b](JAVA&#x53;CRIPT:alert(1)) [c](data:text/html;base64,AA) [d](file:///etc/passwd)
[e](//example.org/x) [f](vbscript:x) [g](/etc/passwd) <javascript:alert(1)> [h](<\x01javascript:alert(1)>)
[i](<java\tscript:alert(1)>) [j](http://[) [k](x:y "onclick=z")

![l](https://example.org/p.png) ![m](/etc/passwd) ![n](../../secret.png) ![o](data:image/png;base64,AA)
![p](missing.png)
![q"><script>alert(2)</script>](notes.md)

```x" onclick="y
<b>
```
"""


def test_hostile_notes_are_text(two, tmp_path):
    (two / "notes.md").write_text(HOSTILE)
    (two.parent / "secret.png").write_bytes(picture("PNG"))
    done = report(two)
    html = notes_of(pages(two)["index.html"])
    tags = re.findall(r"<(\w+)([^>]*)>", html)
    assert {name for name, _ in tags} <= {"section", "div", "p", "pre", "code", "b", "ul", "li", "bdi", "a"}
    hrefs = [re.search(r'href="([^"]*)"', attributes)[1] for name, attributes in tags if name == "a"]
    assert all(href.startswith(("./", "http://%5B")) for href in hrefs)
    assert not [
        attributes for _, attributes in tags if re.search(r"(?<!\S)on\w+=", attributes.split('class="')[0])
    ]
    assert "example.org" not in "".join(attributes for _, attributes in tags)
    assert "picture https://example.org/p.png: not loaded" in done.stderr
    for name in ("/etc/passwd", "../../secret.png", "missing.png", "notes.md"):
        assert re.search(rf"^ferflow: notes\.md: picture {re.escape(name)}: ", done.stderr, re.M), name
    assert done.returncode == 0
    assert report(two).stderr == done.stderr  # also while the page is up to date


def test_links_lead_to_the_web_and_to_files_next_to_the_notes(two):
    text = "[w](https://example.org/a?b=c&d) [m](mailto:a@b.org) [f](plan%20B.pdf#2) [p](#peaks-title)"
    (two / "notes.md").write_text(text)
    (two / "notes").mkdir()
    (two / "notes/a.md").write_text(text)
    report(two)
    for page, prefix in (("index.html", "."), ("a.html", "../notes")):
        assert re.findall(r'href="([^"]*)"', notes_of(pages(two)[page])) == [
            "https://example.org/a?b=c&amp;d", "mailto:a@b.org", f"{prefix}/plan%20B.pdf#2", "#peaks-title",
        ]  # fmt: skip


def test_pictures_of_notes_are_inside_the_page_and_make_it_stale(two):
    (two / "notes").mkdir()
    (two / "notes/a.md").write_text("![the room](pictures/room%201.png)")
    (two / "notes/pictures").mkdir()
    path = two / "notes/pictures/room 1.png"
    for content in (picture("PNG"), picture("PNG", (40, 40))):
        path.write_bytes(content)
        assert report(two).stderr == ""
        src, alt = re.search(
            r'<img src="data:image/png;base64,([^"]+)" alt="([^"]*)"', notes_of(pages(two)["a.html"])
        ).groups()
        assert base64.b64decode(src) == content
        assert alt == "the room"


def test_a_picture_outside_the_output_folder_is_refused_also_through_a_link(two, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    secret.write_bytes(picture("PNG"))
    (two / "picture.png").symlink_to(secret)
    (two / "notes.md").write_text("![secret](picture.png)")
    assert "not in the output folder" in report(two).stderr
    assert "<img" not in notes_of(pages(two)["index.html"])


def test_pictures_are_limited_each_and_together(tmp_path):
    page = tmp_path / "index.html"
    heavy = SVG + b" " * (MOST_IMAGE_BYTES - len(SVG))
    (tmp_path / "heavy.svg").write_bytes(heavy)
    (tmp_path / "heavier.svg").write_bytes(heavy + b" ")
    (tmp_path / "notes.md").write_text("![x](heavier.svg)" + " ![x](heavy.svg)" * 5)
    notes = load_notes(tmp_path / "notes.md", page=page, out=tmp_path)
    assert notes.html.count("<img") == 3
    assert [problem.partition(": ")[2] for problem in notes.problems] == [
        "picture heavier.svg: larger than 4 MiB. Save it with fewer pixels.",
        *["picture heavy.svg: all pictures together take more than 20 MiB of the page."] * 2,
    ]


@pytest.mark.parametrize("content", [b"\xff\xfeno text", b"x" * (MOST_NOTES_BYTES + 1), None])
def test_notes_that_cannot_be_read_are_named_on_the_page_and_cost_nothing_else(two, content):
    path = two / "notes.md"
    path.mkdir() if content is None else path.write_bytes(content)
    done = report(two)
    assert done.returncode == 0
    assert re.fullmatch(r"ferflow: notes\.md: .*\n", done.stderr)
    assert "Problems in the notes" in pages(two)["index.html"]
    assert "Problems in the notes" not in pages(two)["a.html"]


def test_notes_of_no_video_are_reported(two):
    (two / "notes").mkdir()
    (two / "notes/c.md").write_text("hello")
    assert re.fullmatch(r"ferflow: notes/c\.md: no finished video has this name.*\n", report(two).stderr)


def test_notes_stay_when_a_video_is_analysed_again(tmp_path, face_video):
    out = tmp_path / "out"
    events = list(run_events(Job(inputs=(str(face_video),), out=out)))
    files = VideoFiles(out, events[-1].report.videos[0].video_id)
    files.notes.parent.mkdir()
    files.notes.write_text("Mine\n")
    list(run_events(Job(inputs=(str(face_video),), out=out, overwrite=True)))
    assert "<p>Mine</p>" in files.report.read_text(encoding="utf-8")


@pytest.mark.parametrize("n", some_slow(40_000, slow=[100_000]))
def test_notes_nested_without_end_are_read_in_no_time(tmp_path, n):
    for text in ("> " * (n // 2), "[" * n, "*a " * (n // 2), "- " * (n // 2), "`" * n + " `"):
        (tmp_path / "notes.md").write_text(text)
        load_notes(tmp_path / "notes.md", page=tmp_path / "index.html", out=tmp_path)
