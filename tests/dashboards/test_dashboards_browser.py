"""Pages in a real browser. Skipped, saying so, where there is no Chromium."""

from __future__ import annotations

import json
import re
import shutil
from fractions import Fraction

import pytest

from ferflow.analytics.peaks import peaks
from ferflow.dashboards import write_index, write_session_report
from ferflow.render.clips import write_clips
from ferflow.store.records import read_table
from ferflow.store.video_files import VideoFiles
from tests.conftest import numbered_image, some_slow, write_video
from tests.dashboards.browse import (
    CUT_OFF,
    HOSTILE,
    NEEDS_CHROMIUM,
    Opened,
    close_tab,
    open_tab,
    pages_of_pdf,
)
from tests.made_records import Made, write_session

pytestmark = NEEDS_CHROMIUM

HOSTILE_MARKERS = (
    (2.0, None, HOSTILE, HOSTILE), (4.0, 9.0, "<b onclick=x>'\"&amp;</script>", "<i>"), (6.0, None, HOSTILE, ""),
    (11.0, None, "\u202e\u2066evil", ""),
)  # fmt: skip


MADE = {
    made.video_id: made
    for made in (
        Made(seconds=60, video_id="one", holes=((30, 33),)),
        Made(seconds=120, people=8, video_id="eight", away=((40, 50),)),
        Made(seconds=20, people=0, video_id="nobody"),
        Made(seconds=30, people=2, pose=False, video_id="haar"),
        Made(seconds=3600, fps=2, people=8, video_id="hour"),
        Made(seconds=2.4, fps=50, video_id="short"),
        Made(seconds=60, fps=5, people=16, video_id="sixteen", markers=((5.0, None, "clap", ""),)),
        Made(
            seconds=20,
            video_id="hostile",
            source={"name": HOSTILE},
            warnings=(HOSTILE,),
            markers=HOSTILE_MARKERS,
        ),
    )
}
CODECS = {"h264": "libx264", "vp8": "libvpx", "late": "libx264", "avi": "mpeg4", "edge": "libx264"}


def page_of(folder, video_id: str):
    """The page of a session, which is made when it is first asked for."""
    page = VideoFiles(folder, video_id).report
    if page.exists():
        return page
    if video_id in CODECS:
        filmed(folder, video_id, CODECS[video_id])
    else:
        write_session_report(folder, write_session(folder, MADE[video_id]))
    if video_id == "h264":
        paths = VideoFiles(folder, video_id)
        write_clips(paths, peaks(read_table(paths.timeline)))
        write_session_report(folder, video_id)
    return page


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """An index of pages; tests ask `page_of` for others, and for these alike."""
    folder = tmp_path_factory.mktemp("out")
    for video_id in ("one", "eight", "hostile"):
        page_of(folder, video_id)
    failed = {"video_id": None, "source": HOSTILE, "status": "failed", "error": HOSTILE}
    (folder / "run.json").write_text(json.dumps({"options": {}, "started": "", "videos": [failed]}))
    write_index(folder)
    return folder


def filmed(out, video_id: str, codec: str) -> None:
    """A session whose video is there: 20 s of a grey picture, faces in its table; and markers.

    "late" begins after 0.7 s, faces of "edge" lie at its upper edge, and "avi" says that it is H.264.
    """
    start_ms, top = 700 if video_id == "late" else 0, 2.0 if video_id == "edge" else 100.0
    suffix = {"libvpx": ".webm", "mpeg4": ".avi"}.get(codec, ".mp4")
    films = out.parent / f"{out.name} films #1?"
    films.mkdir(exist_ok=True)
    video = films / f"{video_id} 100%{suffix}"
    pts = [start_ms + 100 * k for k in range(200)]
    write_video(
        video,
        [numbered_image(k // 4) for k in range(200)],
        codec=codec,
        pts=None if codec == "mpeg4" else pts,
    )
    facts = {"path": str(video), "name": video.name, "size": video.stat().st_size, "width": 320, "height": 240,
             "format": "matroska,webm" if codec == "libvpx" else "mov,mp4", "time_base": Fraction(1, 1000),
             "codec": "vp8" if codec == "libvpx" else "h264"}  # fmt: skip
    marks = ((3.0, None, "clap", ""), (9.0, None, "clap", ""), (5.0, 12.0, "level 1", "level"))
    made = Made(
        seconds=20, people=2, video_id=video_id, source=facts, markers=marks, first_pts=start_ms, top=top
    )
    write_session_report(out, write_session(out, made))


@pytest.mark.parametrize(
    "video", some_slow("eight", "nobody", "hostile", slow=("one", "haar", "hour", "h264", "avi"))
)
@pytest.mark.parametrize("width", [pytest.param(1440, marks=pytest.mark.slow), 390])
def test_pages_open_without_errors_and_fit_the_screen(browser, out, video, width):
    size = {"width": width, "height": 844}
    with Opened(browser, page_of(out, video), viewport=size) as opened:
        assert opened.wrong == []
        assert all(url.startswith(("file:", "data:", "blob:")) for url in opened.asked)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        if video != "nobody":
            # Attention, expressiveness and engagement, or one of them without pose; and every expression.
            assert opened.page.locator("#timeline .scatterlayer path.js-line").count() >= 2
            assert opened.page.locator("#timeline .fills path.js-fill").count() >= 8
            assert opened.page.locator("#timeline .heatmaplayer image").count() >= 1


def test_dark_pages_are_dark_and_paper_is_white(browser, out):
    with Opened(browser, page_of(out, "one"), color_scheme="dark") as opened:
        background = "getComputedStyle(document.body).backgroundColor"
        assert opened.page.evaluate(background) == "rgb(18, 21, 28)"
        opened.page.emulate_media(media="print", color_scheme="dark")
        assert opened.page.evaluate(background) == "rgb(255, 255, 255)"
        assert opened.wrong == []


@pytest.mark.parametrize("row", some_slow(4, slow=(0, 1, 2, 3)))
def test_the_cursor_reads_every_row_wherever_it_points(browser, out, row):
    with Opened(browser, page_of(out, "eight")) as opened:
        opened.point_at(0.55, row)
        label = opened.label()
        for name in (
            "engagement",
            "facing the camera",
            "expressiveness",
            "happy",
            "neutral",
            "shown : ",
            "net positivity",
            "reacting",
            "with a face that can be read",
        ):
            assert name in label
        assert "01:0" in label
        # It covers a small part of the chart, and what is below it can be seen.
        box = opened.page.locator("#timeline .hoverlayer .legend").bounding_box()
        chart = opened.page.locator("#timeline").bounding_box()
        assert box["width"] <= 0.3 * chart["width"]
        assert box["height"] <= 200
        assert opened.wrong == []


def test_the_cursor_shows_a_wide_bin_up_to_its_edges_and_nothing_in_a_gap(browser, out):
    with Opened(browser, page_of(out, "one")) as opened:
        # About 110 px a bin; nothing is known from 30 to 33 s.
        opened.page.evaluate("ferflow.show(26000, 38000)")
        for seconds in (28.5, 28.1, 28.9, 30.2, 31.5, 32.8):
            known = seconds < 30
            opened.point_at((seconds - 26) / 12, row=1)
            opened.page.wait_for_timeout(300)
            reported = opened.label()
            for row in ("engagement", "shown : ", "net positivity"):
                assert (row in reported) == known
            assert reported.startswith(f"00:{int(seconds)}.5")
            assert ("coverage : no frame could be read 100%" in reported) != known
        assert opened.wrong == []


def test_a_video_that_ends_within_a_bin_ends_there_on_the_page(browser, out):
    with Opened(browser, page_of(out, "short")) as opened:
        assert opened.span()[1].endswith("00:00:02.400")
        for _ in range(2):  # plotly writes the label again when the pointer returns
            opened.point_at(0.95, row=1)
            opened.page.wait_for_timeout(300)
            assert opened.label().startswith("00:02.2")
        slider = opened.page.locator("#time-slider")
        slider.focus()
        opened.page.keyboard.press("End")
        opened.go_to(float(slider.get_attribute("max")))
        assert opened.page.locator("#clock").inner_text() == "00:02.4"
        assert opened.moment() == pytest.approx(2.4, abs=0.02)
        assert opened.wrong == []


def test_a_peak_in_the_table_leads_to_its_time_in_the_timeline(browser, out):
    with Opened(browser, page_of(out, "eight")) as opened:
        button = opened.page.locator("button.time").first
        seconds = float(button.get_attribute("data-seconds"))
        button.focus()
        opened.page.keyboard.press("Enter")
        opened.until("document.getElementById('timeline').layout.xaxis.range[1].length > 10")
        seconds_of = "(date) => Date.parse(date.replace(' ', 'T') + 'Z') / 1000"
        start, end = (opened.page.evaluate(seconds_of, date) for date in opened.span())
        assert start <= seconds <= end
        assert end - start <= 40.001
        assert "engagement" in opened.label()
        assert opened.wrong == []


def test_zoom_in_and_reset(browser, out):
    with Opened(browser, page_of(out, "one")) as opened:
        whole = opened.span()
        opened.page.get_by_role("button", name="Zoom in").click()
        opened.until(f"document.getElementById('timeline').layout.xaxis.range[0] !== '{whole[0]}'")
        assert opened.span()[0].startswith("1970-01-01 00:00:15")
        opened.page.get_by_role("button", name="Reset").click()
        opened.until("document.getElementById('timeline').layout.xaxis.range[0].includes('00:00:00')")
        assert opened.wrong == []


def test_a_hostile_name_is_shown_as_text(browser, out):
    with Opened(browser, page_of(out, "hostile")) as opened:
        assert "<img src=x onerror=" in opened.page.locator("h1").inner_text()
        assert opened.page.title() != "owned"
        assert opened.page.locator("img").count() == 0
        assert opened.wrong == []
    with Opened(browser, out / "index.html") as opened:
        assert opened.page.get_by_text("<img src=x onerror=").count() >= 2
        assert opened.page.locator("img").count() == 0
        assert opened.wrong == []


def test_hostile_markers_are_shown_as_text_everywhere(browser, out):
    with Opened(browser, page_of(out, "hostile")) as opened:
        opened.page.locator("#around").scroll_into_view_if_needed()
        opened.page.wait_for_selector("#around[data-drawn=yes]")
        opened.go_to(2.2)
        label = "<img src=x onerror="
        assert label in opened.page.locator("#current-values-list").inner_text()
        assert label in " ".join(opened.page.locator(".marker-label").all_text_contents())
        assert label in opened.page.locator("#around .annotation").first.text_content()
        opened.point_at(0.11, 1)
        assert label in opened.label()
        opened.page.locator("details.marker-list summary").click()
        assert label in opened.page.locator("details.marker-list").inner_text()
        assert (
            "<b onclick=x>'\"&amp;</script>"
            in opened.page.locator("[aria-labelledby=segments-title] tbody").inner_text()
        )
        whole = opened.page.locator("body").inner_text()
        assert not set(whole) & {"\u202e", "\u2066"}
        assert opened.page.title() != "owned"
        assert opened.page.locator("img, [onclick], main b[onclick]").count() == 0
        assert opened.wrong == []


def test_the_index_leads_to_the_pages_and_back(browser, out):
    with Opened(browser, out / "index.html") as opened:
        opened.page.get_by_role("link", name="one.mp4").first.click()
        opened.page.wait_for_selector("#timeline[data-drawn=yes]")
        opened.page.get_by_role("link", name="all videos").click()
        opened.page.wait_for_selector("text=Analysed videos")
        assert opened.wrong == []


@pytest.mark.slow
def test_printing_keeps_the_chart_on_the_sheet_and_the_screen_as_it_was(browser, out):
    with Opened(browser, page_of(out, "eight")) as opened:
        before = opened.page.locator("#timeline").bounding_box()
        pdf = opened.page.pdf(prefer_css_page_size=True)
        assert pdf.startswith(b"%PDF")
        opened.page.wait_for_timeout(300)
        after = opened.page.locator("#timeline").bounding_box()
        assert (after["width"], after["height"]) == pytest.approx((before["width"], before["height"]), abs=2)
        assert opened.wrong == []


@pytest.mark.slow
def test_on_paper_lanes_of_many_people_keep_their_height_and_titles_their_place(browser, out):
    with Opened(browser, page_of(out, "sixteen")) as opened:

        def places() -> tuple[float, float, float]:
            """Height of a lane, of the chart, and the distance from a row's title to its top."""
            return tuple(opened.page.evaluate("""() => {
              const chart = document.getElementById("timeline"), layout = chart._fullLayout;
              const lanes = chart.data.find((trace) => trace.type === "heatmap");
              const axis = layout[lanes.yaxis.replace("y", "yaxis")];
              const titles = [...chart.querySelectorAll(".annotation-text")];
              const title = titles.find((text) => text.textContent.startsWith("People"));
              const top = chart.getBoundingClientRect().top + axis._offset;
              return [axis._length / lanes.z.length, layout.height, top - title.getBoundingClientRect().bottom];
            }"""))  # fmt: skip

        screen = places()
        opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        opened.page.wait_for_timeout(300)
        lane, height, gap = places()
        assert lane >= 15
        assert height <= 940
        assert gap == pytest.approx(screen[2], abs=2)
        line = "document.querySelector('#timeline .shapelayer path').getBoundingClientRect().height"
        assert opened.page.evaluate(line) < height
        opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
        opened.page.wait_for_timeout(300)
        assert places() == pytest.approx(screen, abs=1)
        assert opened.wrong == []


@pytest.mark.parametrize("video", some_slow("one", slow=("eight", "sixteen", "h264")))
def test_on_paper_the_first_sheet_is_used_and_nothing_is_torn_from_its_heading(browser, out, video):
    with Opened(browser, page_of(out, video)) as opened:
        order = "[...document.querySelectorAll('[data-section]')].map((section) => section.dataset.section)"
        before = opened.page.evaluate(order)
        rows = opened.page.locator("[data-section=people] tbody tr b").all_inner_texts()
        sheets = pages_of_pdf(opened.page.pdf(prefer_css_page_size=True))
        opened.page.wait_for_timeout(300)
        assert opened.page.evaluate(order) == before
        assert opened.wrong == []
    assert "TimelineEachstep" in sheets[0] or "PeaksMoments" in sheets[0]
    (chart,) = [text for text in sheets if "TimelineEachstep" in text]
    # The title of the last row, and the last tick.
    assert "Coveragereadable" in chart
    assert "100%" in chart
    (people,) = [text for text in sheets if "PeopleSharesandmeans" in text]
    assert "PersonInview" in people
    # A table of more rows may go on on the next sheet.
    together = rows if len(rows) <= 12 else rows[:1]
    assert all("".join(name.split()) in people.split("PersonInview")[1] for name in together)
    # This long list may go on on the next sheet, too.
    (first,) = [k for k, text in enumerate(sheets) if "Dataquality" in text]
    assert any("Durationintheheader" in text for text in sheets[first : first + 2])


@pytest.mark.parametrize("video", some_slow("hostile", slow=("eight", "one", "hour", "h264")))
def test_on_a_phone_tables_are_read_without_scrolling_to_the_side(browser, out, video):
    with Opened(browser, page_of(out, video), viewport={"width": 390, "height": 844}) as opened:
        assert opened.page.evaluate(CUT_OFF) == []
        # Each value stands below the heading of its column.
        cells = opened.page.locator("[data-section=people] tbody tr").first.locator("td")
        labels = cells.evaluate_all("(cells) => cells.map((cell) => cell.dataset.label)")
        headings = opened.page.locator("[data-section=people] thead th").evaluate_all(
            "(cells) => cells.map((cell) => cell.textContent.replaceAll('\u00ad', ''))"
        )
        assert labels == headings


def test_a_page_without_the_shared_script_says_what_is_missing(browser, out, tmp_path):
    alone = tmp_path / "reports" / "one.html"
    alone.parent.mkdir()
    shutil.copy(page_of(out, "one"), alone)
    page = open_tab(browser)
    page.goto(alone.as_uri())
    assert "plotly.min.js" in page.locator("#timeline").inner_text()
    close_tab(page)


@pytest.mark.parametrize("video", some_slow("h264", slow=["vp8"]))
def test_a_click_on_the_timeline_moves_video_and_cursor(browser, out, video):
    with Opened(browser, page_of(out, video)) as opened:
        opened.ready()
        area = opened.page.locator("#timeline .nsewdrag").nth(1)
        area.scroll_into_view_if_needed()
        box = area.bounding_box()
        opened.page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + box["height"] - 4)
        opened.until("document.getElementById('video').currentTime > 1")
        assert opened.film_time() == pytest.approx(12, abs=0.1)
        assert opened.moment() == pytest.approx(12, abs=0.2)
        assert opened.page.locator("#clock").inner_text() in ("00:11.9", "00:12.0", "00:12.1")
        assert opened.wrong == []


def test_a_click_on_a_peak_moves_the_video(browser, out):
    with Opened(browser, page_of(out, "h264")) as opened:
        opened.ready()
        button = opened.page.locator("[aria-labelledby=peaks-title] button.time").first
        button.click()
        opened.until("document.getElementById('video').currentTime > 1")
        assert opened.film_time() == pytest.approx(float(button.get_attribute("data-seconds")), abs=0.05)
        assert opened.wrong == []


def test_the_cursor_follows_the_video_as_it_plays_and_when_it_is_moved(browser, out):
    with Opened(browser, page_of(out, "h264")) as opened:
        opened.ready()
        opened.page.evaluate(
            "() => { const v = document.getElementById('video'); v.muted = true; return v.play(); }"
        )
        opened.until("document.getElementById('video').currentTime > 1.2")
        opened.page.evaluate("document.getElementById('video').pause()")
        opened.page.wait_for_timeout(300)
        assert opened.moment() == pytest.approx(opened.film_time(), abs=0.2)
        assert opened.moment() > 1
        opened.page.evaluate("document.getElementById('video').currentTime = 15")
        opened.until("document.getElementById('clock').textContent === '00:15.0'")
        assert opened.moment() == pytest.approx(15, abs=0.2)
        assert opened.wrong == []


def test_a_video_whose_first_picture_comes_late_is_not_shifted_against_its_data(browser, out):
    with Opened(browser, page_of(out, "late")) as opened:
        opened.ready()
        opened.go_to(5)
        assert opened.film_time() == pytest.approx(5, abs=0.01)
        # The file has its first picture at 0.7 s, and `time_s` counts from there.
        assert opened.page.evaluate("document.getElementById('video').currentTime") == pytest.approx(
            5.7, abs=0.01
        )
        # What the page goes by where the browser shows no picture for long, in a background tab say.
        assert opened.page.locator("#video").get_attribute("data-first") == "0.7"
        assert opened.wrong == []


def test_boxes_lie_over_the_video_where_the_table_has_them(browser, out):
    faces = read_table(VideoFiles(out, "h264").faces).to_pandas()
    with Opened(browser, page_of(out, "h264")) as opened:
        opened.ready()
        assert opened.page.locator("#boxes rect").count() == 0
        opened.page.locator("#show-boxes").check()
        opened.go_to(8.0)
        # Read all at once: the page draws them anew with each picture.
        places = (
            "[...document.querySelectorAll('#boxes rect')].map(box => box.getBoundingClientRect().toJSON())"
        )
        opened.until(f"{places}.filter(box => box.width > 0).length === 2")
        frame = opened.page.locator(".video-frame").bounding_box()
        found = opened.page.evaluate(places)
        for row in faces[faces.time_s == 8.0].itertuples():
            left, top = (
                frame["x"] + row.x1 / 320 * frame["width"],
                frame["y"] + row.y1 / 240 * frame["height"],
            )
            assert min(abs(box["x"] - left) + abs(box["y"] - top) for box in found) < 6
        assert "Person 1" in opened.page.locator(".box-label").first.inner_text()
        assert opened.wrong == []


LABELS_AND_BOXES = """() => {
  const round = ({ left, top, right, bottom }) => ({ left, top, right, bottom });
  const all = (selector) => [...document.querySelectorAll(selector)].map((one) => round(one.getBoundingClientRect()));
  return { labels: all(".box-label"), boxes: all("#boxes rect"), frame: all(".video-frame")[0] };
}"""


@pytest.mark.parametrize("video", some_slow("edge", slow=["h264"]))
@pytest.mark.parametrize("width", [pytest.param(1440, marks=pytest.mark.slow), 390])
def test_labels_of_boxes_lie_in_the_picture_and_over_no_face(browser, out, video, width):
    with Opened(browser, page_of(out, video), viewport={"width": width, "height": 900}) as opened:
        opened.ready()
        opened.page.locator("#show-boxes").check()
        opened.go_to(8.0)
        opened.until("document.querySelectorAll('.box-label').length === 2")
        found = opened.page.evaluate(LABELS_AND_BOXES)
        frame = found["frame"]
        for label in found["labels"]:
            assert label["left"] >= frame["left"] - 1
            assert label["right"] <= frame["right"] + 1
            assert label["top"] >= frame["top"] - 1
            assert label["bottom"] <= frame["bottom"] + 1
            for box in found["boxes"]:
                across = min(label["right"], box["right"]) - max(label["left"], box["left"])
                down = min(label["bottom"], box["bottom"]) - max(label["top"], box["top"])
                assert min(across, down) <= 2.5  # half of the outline
        assert opened.wrong == []


def test_a_label_names_the_person_and_what_the_face_shows(browser, out):
    faces = read_table(VideoFiles(out, "h264").faces).to_pandas()
    with Opened(browser, page_of(out, "h264")) as opened:
        opened.ready()
        opened.page.locator("#show-boxes").check()
        labels = set()
        for seconds in range(1, 20):
            opened.go_to(float(seconds))
            opened.page.wait_for_timeout(60)
            labels |= set(opened.page.locator(".box-label").all_inner_texts())
    known = {name.removeprefix("prob_") for name in faces.columns if name.startswith("prob_")}
    names, shown = zip(*(label.split(" · ") for label in labels if " · " in label), strict=True)
    assert set(names) == {"Person 1", "Person 2"}
    assert set(shown) <= known
    assert "neutral" in shown


@pytest.mark.parametrize("width", [pytest.param(1440, marks=pytest.mark.slow), 390])
def test_the_controls_of_the_video_lie_below_the_picture_and_work(browser, out, width):
    with Opened(browser, page_of(out, "h264"), viewport={"width": width, "height": 900}) as opened:
        opened.ready()
        page, player = opened.page, opened.page.locator("[data-section=player]")
        frame, bar = (player.locator(name).bounding_box() for name in (".video-frame", ".video-controls"))
        assert bar["y"] >= frame["y"] + frame["height"]
        assert bar["x"] + bar["width"] <= width
        assert page.evaluate("document.getElementById('video').controls") is False
        player.get_by_role("button", name="Mute", exact=True).click()
        assert page.evaluate("document.getElementById('video').muted") is True
        player.get_by_role("button", name="Unmute", exact=True).wait_for()
        player.get_by_role("button", name="Play", exact=True).click()
        opened.until("document.getElementById('video').currentTime > 0.3")
        player.get_by_role("button", name="Pause", exact=True).click()
        opened.until("document.getElementById('video').paused")
        page.locator("#video").click()
        opened.until("!document.getElementById('video').paused")
        assert opened.wrong == []


def test_a_full_screen_has_the_picture_its_boxes_and_the_controls(browser, out):
    with Opened(browser, page_of(out, "h264")) as opened:
        opened.ready()
        page, player = opened.page, opened.page.locator("[data-section=player]")
        player.get_by_role("button", name="Full screen").click()
        opened.until("document.fullscreenElement !== null")
        opened.page.wait_for_timeout(300)
        names = (".video-frame", ".video-controls", "#boxes")
        places = [player.locator(name).bounding_box() for name in names]
        frame, bar, boxes = places
        height = page.evaluate("innerHeight")
        assert frame["height"] > 0.7 * height
        assert frame["y"] >= 0
        assert bar["y"] >= frame["y"] + frame["height"]
        assert bar["y"] + bar["height"] <= height
        assert boxes["width"] == pytest.approx(frame["width"], abs=1)
        player.get_by_role("button", name="Close full screen").click()
        opened.until("document.fullscreenElement === null")
        assert opened.wrong == []


def test_a_video_that_the_browser_cannot_play_leaves_a_message_and_the_data(browser, out):
    with Opened(browser, page_of(out, "avi")) as opened:
        opened.page.wait_for_selector("#video-error:visible")
        assert "This browser cannot show the video" in opened.page.locator("#video-error").inner_text()
        assert not opened.page.locator("#video").is_visible()
        assert not opened.page.locator("[data-video=video]").is_visible()
        opened.go_to(5)
        assert opened.page.locator("#clock").inner_text() == "00:05.0"
        assert opened.wrong == []


def test_clips_of_peaks_play(browser, out):
    with Opened(browser, page_of(out, "h264")) as opened:
        clip = opened.page.locator(".clips video").first
        clip.scroll_into_view_if_needed()
        opened.until("document.querySelector('.clips video').readyState > 0")
        # From three seconds before the first of its peaks to four after the last, within the video of 20 s.
        caption = opened.page.locator(".clips figcaption").first.inner_text()
        times = [float(seconds) for seconds in re.findall(r"00:(\d\d\.\d)", caption)]
        wanted = min(20, times[-1] + 4) - max(0, times[0] - 3)
        assert clip.evaluate("(video) => video.duration") == pytest.approx(wanted, abs=0.3)
        assert "Clips around the peaks" in opened.page.locator("footer").inner_text()
        assert opened.wrong == []


@pytest.mark.parametrize("width", [pytest.param(1440, marks=pytest.mark.slow), 390])
def test_the_controls_of_a_clip_lie_below_its_picture_and_lead_to_a_place_in_it(browser, out, width):
    with Opened(browser, page_of(out, "h264"), viewport={"width": width, "height": 900}) as opened:
        clip = opened.page.locator(".clip").first
        clip.scroll_into_view_if_needed()
        opened.until("document.getElementById('clip-1').readyState > 0")
        picture, bar = (clip.locator(name).bounding_box() for name in ("video", ".video-controls"))
        assert bar["y"] >= picture["y"] + picture["height"]
        assert bar["x"] + bar["width"] <= picture["x"] + picture["width"] + 1
        assert opened.page.evaluate("document.getElementById('clip-1').controls") is False
        clip.get_by_role("slider").evaluate(
            "(slider) => { slider.value = 0.5; slider.dispatchEvent(new Event('input')); }"
        )
        half = "(() => { const clip = document.getElementById('clip-1'); return clip.currentTime / clip.duration; })()"
        opened.until(f"Math.abs({half} - 0.5) < 0.01")
        clip.get_by_role("button", name="Play", exact=True).click()
        opened.until(f"{half} > 0.52")
        assert opened.page.evaluate("document.getElementById('video').paused")
        assert opened.wrong == []


def test_the_time_slider_has_its_values_as_text(browser, out):
    with Opened(browser, page_of(out, "eight")) as opened:
        slider = opened.page.locator("#time-slider")
        slider.focus()
        for _ in range(3):
            opened.page.keyboard.press("ArrowRight")
        said = slider.get_attribute("aria-valuetext")
        assert said.startswith("00:03.0: engagement ")
        assert "Person 1 (" in said
        assert "coverage with a face" in said


def test_the_range_slider_narrows_every_row(browser, out):
    with Opened(browser, page_of(out, "eight")) as opened:
        handle = opened.page.locator("#timeline .rangeslider-grabber-max").first
        handle.scroll_into_view_if_needed()
        box = opened.page.locator("#timeline .rangeslider-bg").bounding_box()
        grip = handle.locator("rect").last.bounding_box() or handle.bounding_box()
        y = box["y"] + box["height"] / 2
        opened.page.mouse.move(grip["x"] + grip["width"] / 2, y)
        opened.page.mouse.down()
        opened.page.mouse.move(box["x"] + box["width"] * 0.5, y, steps=8)
        opened.page.mouse.up()
        opened.page.wait_for_timeout(200)
        seconds_of = "(date) => Date.parse(date.replace(' ', 'T') + 'Z') / 1000"
        start, end = (opened.page.evaluate(seconds_of, date) for date in opened.span())
        assert (start, end) == (pytest.approx(0, abs=1), pytest.approx(60, abs=6))
        assert opened.wrong == []
