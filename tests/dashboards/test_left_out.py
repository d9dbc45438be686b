"""What a session's page says it left out, and how it says that faces were compared."""

from __future__ import annotations

import re

import pytest

from ferflow.dashboards import load_names, write_session_report
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from tests.dashboards.read_page import Page, clock, text
from tests.made_records import Made, made_tables, write_session


def section(html: str, name: str) -> str:
    return text(re.search(rf'data-section="{name}">(.*?)</p>', html, re.S)[1])


def test_the_page_says_in_one_sentence_what_is_left_out_and_why(made_session):
    session = made_session("faces that are none")
    tracks = session.video.faces.groupby("track_id").seconds.sum()
    found = section(session.page.html, "left-out")
    assert found.startswith("Left out of these numbers: 1 person seen only briefly or unclearly (")
    assert f"1 still picture of a face, such as a poster or a slide ({clock(tracks[3])})" in found
    assert f"1 copy of a face that is shown a second time ({clock(tracks[4])})" in found
    nobody = session.video.faces.track_id == -1
    assert f"{nobody.sum()} faces that belong to no person" in found
    assert found.split(". ")[1:] == [
        "Only these parts of the picture were analysed: bottom-right and top-left."
    ]


def test_posters_and_copies_count_in_no_number_of_people(made_session):
    session = made_session("faces that are none")
    assert session.video.people == [1, 2]
    assert [row.split()[0] for row in session.page.parts["cards"] if row.strip() == "2"] == ["2"]
    assert "Person 3" not in session.page.html
    assert "1 person seen only briefly or unclearly is not listed" in text(session.page.html)


@pytest.mark.parametrize("stitch", ["colour", "face", "off"])
def test_the_footer_says_that_faces_were_compared_only_if_they_were(tmp_path, stitch):
    video = write_session(tmp_path, Made(seconds=20), options=AnalyzeOptions(stitch=stitch))
    html = write_session_report(tmp_path, video).read_text(encoding="utf-8")
    footer = " ".join(Page(html).parts["footer"])
    assert ("face recognition network" in footer) == (stitch == "face")
    assert ("nothing of them was stored" in footer) == (stitch == "face")
    assert ("clothing and hair" in text(html)) == (stitch == "colour")


def test_the_second_face_of_a_named_person_is_called_that_and_not_a_face_of_nobody(tmp_path):
    made = Made(seconds=20, people=2, video_id="talk")
    video = write_session(tmp_path, made)
    OutputFolder(tmp_path).people_list.write_text(
        "video_id,track_id,name\ntalk,1,Zed\ntalk,2,Zed\n", encoding="utf-8"
    )
    faces = made_tables(made)[1].to_pandas()
    seconds = (faces.groupby("frame_index").size() == 2).sum() / made.fps
    html = write_session_report(tmp_path, video, load_names(tmp_path).of(video)).read_text(encoding="utf-8")
    assert section(html, "left-out") == (
        f"Left out of these numbers: second face of Zed, for {seconds:.1f} s: two tracks of this name are in view at "
        "the same time."
    )


def test_a_page_that_leaves_nothing_out_does_not_speak_of_it(tmp_path):
    video = write_session(tmp_path, Made(seconds=20))
    html = write_session_report(tmp_path, video).read_text(encoding="utf-8")
    assert 'data-section="left-out"' not in html


def test_engagement_reacting_and_expressiveness_are_explained_where_they_first_appear(tmp_path):
    video = write_session(tmp_path, Made(seconds=20, people=2))
    html = write_session_report(tmp_path, video).read_text(encoding="utf-8")
    words = section(html, "words")
    for term in ("Engagement is", "Reacting is", "Expressiveness is"):
        assert words.count(term) == 1
    assert html.index('data-section="words"') < html.index('data-section="timeline"')
