"""`ferflow clips`: which moments, which files, and a page that plays them."""

from __future__ import annotations

import csv
import re
import shutil
from fractions import Fraction

import numpy as np
import opentimelineio
import pandas as pd
import pytest

from ferflow.analytics.cohort import CohortVideo
from ferflow.analytics.moments import Wanted, find_moments
from ferflow.errors import OptionsError
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from tests.conftest import face_frames, write_video
from tests.dashboards.browse import HOSTILE, NEEDS_CHROMIUM, until
from tests.render.sources import needs_ffmpeg, pictures, shown_times

pytestmark = needs_ffmpeg

LABEL = "<b>joke</b> --> 1"
SIZE = (160, 120)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """Two short sessions with markers, one of them with a hostile name."""
    place = tmp_path_factory.mktemp("clips")
    names = ("talk.mp4", HOSTILE.replace("/", "-"))
    videos = [write_video(place / name, face_frames(75, size=SIZE)) for name in names]
    for video in videos:
        video.with_name(f"{video.stem}.markers.csv").write_text(
            f"time_s,label,end_s\n1.0,{LABEL},\n2.0,{LABEL},2.4\n"
        )
    run(videos, place / "out", AnalyzeOptions(min_face=24, fps=10), workers=0, pages=False)
    return videos, place / "out"


def around_markers(ferflow, out, to, *more):
    return ferflow("clips", out, "-o", to, "--marker", LABEL, "--before", 0.4, "--after", 0.2, *more)


def rows_of(folder):
    with (folder / "clips.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_clips_around_markers_have_the_pictures_of_the_source(analysed, tmp_path, ferflow):
    videos, out = analysed
    done = around_markers(ferflow, out, tmp_path)
    assert done.code == 0, done
    rows = [row for row in rows_of(tmp_path) if row["video"] == "talk.mp4"]
    assert [(row["start_s"], row["end_s"]) for row in rows] == [("0.600", "1.200"), ("1.600", "2.600")]
    made = tmp_path / rows[0]["file"]
    assert shown_times(made) == [Fraction(number, 25) for number in range(16)]
    before, after = pictures(videos[0], SIZE).astype(int), pictures(made, SIZE).astype(int)
    assert np.abs(before[15:31] - after).mean() < 4
    assert np.abs(before[14:30] - after).mean() > np.abs(before[15:31] - after).mean()


def test_a_marker_outside_of_the_video_has_no_clip_and_costs_no_other(analysed, tmp_path, ferflow):
    _, source = analysed
    out = shutil.copytree(source, tmp_path / "out")
    events = tmp_path / "events.csv"
    events.write_text("time_s,label\n-9,late\n1,late\n99,late\n")
    assert ferflow("report", out, "--markers", events).code == 0
    done = ferflow("clips", out, "-o", tmp_path / "best", "--marker", "late", "--before", 0.4, "--after", 0.2)
    assert done.code == 10, done
    assert [(row["start_s"], row["end_s"]) for row in rows_of(tmp_path / "best")] == 2 * [("0.600", "1.200")]
    assert "talk.mp4: no clip at -9 s" in done.text
    assert "talk.mp4: no clip at 99 s" in done.text


def test_chapters_and_cut_lists_are_read_by_other_programs(analysed, tmp_path, ferflow):
    videos, out = analysed
    around_markers(ferflow, out, tmp_path)
    for name, options in (("clips.otio", {}), ("clips.edl", {"rate": 25})):
        timeline = opentimelineio.adapters.read_from_file(str(tmp_path / name), **options)
        (track,) = timeline.tracks
        starts = [clip.source_range.start_time.to_seconds() for clip in track]
        assert starts[:2] == pytest.approx([0.6, 1.6], abs=0.04), name
        assert [clip.source_range.duration.to_seconds() for clip in track][:2] == pytest.approx(
            [0.6, 1.0], abs=0.04
        )
        assert any(videos[0].name in clip.media_reference.target_url for clip in track), name
    chapters = next(tmp_path.glob("talk-*.chapters.vtt")).read_text(encoding="utf-8")
    cues = re.findall(r"(\d\d:\d\d:\d\d\.\d{3}) --> (\d\d:\d\d:\d\d\.\d{3})\n(.*)", chapters)
    assert cues == [
        ("00:00:00.600", "00:00:01.200", "&lt;b&gt;joke&lt;/b&gt; --&gt; 1"),
        ("00:00:01.600", "00:00:02.600", "&lt;b&gt;joke&lt;/b&gt; --&gt; 1"),
    ]


@NEEDS_CHROMIUM
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_plays_its_clips_by_keyboard_and_loads_nothing_else(
    analysed, tmp_path, ferflow, browser, width
):
    _, out = analysed
    around_markers(ferflow, out, tmp_path)
    context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
    page, wrong, asked = context.new_page(), [], []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "index.html").as_uri())
    for key in ("j", "j", "Enter"):
        page.keyboard.press(key)
    until(page, "document.querySelectorAll('video')[1].currentTime > 0.2")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title() == "Clips · ferflow"
    assert page.locator("video").count() == 4
    assert page.locator("b b, li script").count() == 0
    context.close()
    assert wrong == []
    assert all(url.startswith(tmp_path.as_uri()) for url in asked), asked


def test_anonymised_and_annotated_clips(analysed, tmp_path, ferflow):
    videos, out = analysed
    done = around_markers(ferflow, out, tmp_path, "--annotate", "--anonymize", "solid")
    assert done.code == 0, done
    assert "clips show faces" not in done.text
    made = tmp_path / rows_of(tmp_path)[0]["file"]
    from tests.render.test_anonymize import detect

    assert max(map(len, detect(videos[0], 0.7))) == 1
    assert all(not len(found) for found in detect(made, 0.3))
    # The time code is drawn in.
    assert (pictures(made, SIZE)[3, -22:-8, :40].min(axis=2) > 200).any()
    # Cut lists do not lead to the faces.
    assert videos[0].as_uri() not in (tmp_path / "clips.otio").read_text()
    assert made.as_uri() in (tmp_path / "clips.otio").read_text()


def test_nothing_is_overwritten_in_silence_and_old_clips_do_not_stay(analysed, tmp_path, ferflow):
    _, out = analysed
    around_markers(ferflow, out, tmp_path)
    old = {path.name for path in tmp_path.glob("*.mp4")}
    (tmp_path / "mine.mp4").write_bytes(b"mine")
    refused = ferflow("clips", out, "-o", tmp_path, "--expression", "happy", "--top", 1)
    assert refused.code == 2
    assert "exists. Give --overwrite" in refused.text
    assert {path.name for path in tmp_path.glob("*.mp4")} == old | {"mine.mp4"}
    done = ferflow("clips", out, "-o", tmp_path, "--expression", "happy", "--top", 1, "--overwrite")
    assert done.code == 0, done
    left = {path.name for path in tmp_path.glob("*.mp4")} - {"mine.mp4"}
    assert left == {row["file"] for row in rows_of(tmp_path)} != set()
    assert (tmp_path / "mine.mp4").read_bytes() == b"mine"


def test_a_table_of_somebody_else_does_not_make_it_remove_files(analysed, tmp_path, ferflow):
    _, out = analysed
    (outside := tmp_path / "outside.mp4").write_bytes(b"mine")
    (folder := tmp_path / "clips").mkdir()
    (folder / "clips.csv").write_text(f"file\n../outside.mp4\n{outside}\n.hidden.mp4\nrecording.mp4\n")
    (folder / ".hidden.mp4").write_bytes(b"mine")
    (folder / "recording.mp4").write_bytes(b"mine")
    assert around_markers(ferflow, out, folder, "--overwrite").code == 0
    assert outside.read_bytes() == (folder / ".hidden.mp4").read_bytes() == b"mine"
    assert (folder / "recording.mp4").read_bytes() == b"mine"


def test_an_output_folder_is_no_place_for_clips(analysed, ferflow):
    _, out = analysed
    for folder in (out, out / "reports"):
        assert around_markers(ferflow, out, folder).code == 2


def test_a_session_whose_video_is_gone_costs_its_own_clips_only(analysed, tmp_path, ferflow):
    videos, out = analysed
    videos[0].rename(away := videos[0].with_suffix(".away"))
    try:
        done = around_markers(ferflow, out, tmp_path)
    finally:
        away.rename(videos[0])
    assert done.code == 10
    assert "talk.mp4: not where it was analysed" in done.text
    assert len(rows_of(tmp_path)) == 2


@pytest.fixture(scope="module")
def videos_of_cohort(analysed_clips):
    """The real sessions as the overview has them."""
    from ferflow.dashboards import last_options
    from ferflow.dashboards.overview.overview_data import load_folder

    _, out, _ = analysed_clips
    return [entry.video for entry in load_folder(out, last_options(out)).finished]


@pytest.mark.slow
def test_of_real_sessions_the_strongest_moments_are_those_of_the_tables(videos_of_cohort):
    per_session = find_moments(videos_of_cohort, Wanted(expression="happy", top=1))
    over_all = find_moments(videos_of_cohort, Wanted(expression="happy", top=2, over_all=True))
    strengths = sorted((one.strength for one in per_session), reverse=True)
    assert sorted((one.strength for one in over_all), reverse=True)[0] == strengths[0]
    for moment in per_session:
        (video,) = (one for one in videos_of_cohort if one.video_id == moment.video_id)
        table = video.timeline.to_pandas()
        people = table[table.person_id.notna()]
        at = people[(people.bin_start_s <= moment.start_s) & (people.bin_end_s > moment.start_s)]
        assert at.shown_happy.max() == pytest.approx(people.shown_happy.max())


def test_unknown_markers_and_expressions_are_named(analysed):
    from ferflow.dashboards import last_options
    from ferflow.dashboards.overview.overview_data import load_folder

    _, out = analysed
    videos: list[CohortVideo] = [entry.video for entry in load_folder(out, last_options(out)).finished]
    with pytest.raises(OptionsError, match=r"no marker 'x' in 2 sessions\. There is: <b>joke</b> --> 1"):
        find_moments(videos, Wanted(marker="x"))
    with pytest.raises(OptionsError, match=r"no expression 'joy'\. There is: angry"):
        find_moments(videos, Wanted(expression="joy"))
    assert len(OutputFolder(out).finished_ids()) == 2


@pytest.mark.parametrize("chosen", ["expression", "peaks", "marker"])
def test_without_such_a_moment_it_says_what_there_is_and_writes_nothing(analysed, tmp_path, ferflow, chosen):
    _, out = analysed
    tables = pd.concat(pd.read_parquet(path) for path in (out / "timeline").iterdir())
    people = tables[tables.person_id.notna()].filter(regex="^shown_").rename(columns=lambda name: name[6:])
    often = (people >= 0.25).sum()
    never, most = sorted(often[often == 0].index)[0], often.idxmax()
    options, said = {
        "expression": (
            ["--expression", never],
            f"no moment of {never} in 2 sessions: no person shows it for 25 %",
        ),
        "peaks": ([], "no peak in 2 sessions"),
        "marker": (["--marker", "joy"], "no marker 'joy' in 2 sessions. There is: <b>joke</b>"),
    }[chosen]
    done = ferflow("clips", out, "-o", tmp_path / "best", *options)
    assert done.code == 2, done
    assert said in done.text
    assert done.text.count("\n") == 1
    if chosen == "expression":
        listed = done.text.split("Shown that long: ")[1].rstrip(".\n").split(", ")
        assert set(listed) == set(often[often > 0].index)
        assert often[listed[0]] == often[most]
    assert not (tmp_path / "best").exists()
