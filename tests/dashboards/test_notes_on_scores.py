"""What a page says of the model and of calibrations, on which its numbers are based."""

from __future__ import annotations

import html
import re

import pytest

from ferflow.dashboards import refresh
from ferflow.store.metadata import ModelIdentity
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles
from tests.dashboards.made_sessions import acted
from tests.made_cohort import write_run
from tests.made_records import Made, write_session

AS_THEY_ARE = "its scores are taken as they are"
POOR = "Model fer2013 is meant for comparisons"


def text_of_page(out, made: Made, *people: str, tables=None, **model: object) -> str:
    """The visible text of the page of a made video, analysed with this model, whose people have these names."""
    identity = {"name": "default", "sha256": "ab" * 32, "neutral_prior": 0.2} | model
    video_id = write_session(out, made, tables=tables, model=ModelIdentity(**identity))
    write_run(out, [video_id])
    rows = [f"{video_id},{track},{name}" for track, name in enumerate(people, 1)]
    OutputFolder(out).people_list.write_text("\n".join(["video_id,track_id,name", *rows]) + "\n")
    assert refresh(out).failed == {}
    page = VideoFiles(out, video_id).report.read_text(encoding="utf-8")
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_a_usual_model_needs_no_note(tmp_path):
    text = text_of_page(tmp_path, Made(seconds=20))
    assert AS_THEY_ARE not in text
    assert POOR not in text
    assert "Calibrated" not in text
    assert "Neutral faces that the model expects 0.200, replaced by 0.5" in text


def test_scores_with_an_unknown_prior_are_named_as_such(tmp_path):
    text = text_of_page(tmp_path, Made(seconds=20), name="mine", neutral_prior=None)
    assert f"It is unknown how often model mine expects a neutral face, so {AS_THEY_ARE}." in text
    assert "Neutral faces that the model expects unknown" in text


def test_a_model_that_is_poor_in_video_comes_with_a_warning(tmp_path):
    text = text_of_page(tmp_path, Made(seconds=20), name="fer2013")
    assert POOR in text
    assert AS_THEY_ARE not in text


def test_a_smile_that_is_marked_as_rest_is_still_pointed_out_and_the_shift_was_limited(tmp_path):
    made = Made(seconds=24, people=1, markers=((0.0, 12.0, "all", "rest"),))
    text = text_of_page(tmp_path, made, "Ada", tables=acted(made, (1, 0, 24, "happy")))
    assert "Calibrated by a stretch at rest: Ada." in text
    assert (
        "Ada: the stretch marked as rest looks expressive to the model, so the calibration was limited."
        in text
    )
    assert "not even after the calibration: expressive throughout, or a face that the model misreads." in text
    assert "tells the two apart" not in text


def test_a_shift_within_its_bounds_is_not_said_to_be_limited(tmp_path):
    made = Made(seconds=24, people=1, markers=((0.0, 12.0, "all", "rest"),))
    text = text_of_page(tmp_path, made, "Ada", tables=acted(made, (1, 12, 24, "happy")))
    assert "Calibrated by a stretch at rest: Ada." in text
    assert "limited" not in text
    assert "never seen at rest" not in text


def test_a_page_without_people_warns_of_no_scores(tmp_path):
    text = text_of_page(tmp_path, Made(seconds=20, people=0), name="fer2013")
    assert POOR not in text


@pytest.mark.parametrize(
    ("label", "wanted"),
    [
        ("Ada", "Calibrated by a stretch at rest: Ada."),
        ("rest", "Calibrated by a stretch at rest: Ada and Bo."),
    ],
)
def test_a_page_names_who_is_calibrated(tmp_path, label, wanted):
    made = Made(seconds=30, people=2, markers=((2.0, 12.0, label, "rest"),))
    assert wanted in text_of_page(tmp_path, made, "Ada", "Bo")


def test_a_stretch_that_is_too_short_calibrates_nobody_and_the_page_says_so(tmp_path):
    made = Made(seconds=30, markers=((2.0, 3.0, "rest", "rest"),))
    text = text_of_page(tmp_path, made)
    assert (
        "No person is readable for long enough in the stretches marked as rest, so no person is calibrated."
        in text
    )
