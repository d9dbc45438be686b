"""What the headline cards of a session say, of people who do what the test makes them do."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ferflow.dashboards import write_session_report
from tests.dashboards.made_sessions import acted, with_columns
from tests.dashboards.read_page import Page, card, text
from tests.made_records import Made, write_session


def page(out, made: Made, tables=None) -> str:
    return write_session_report(out, write_session(out, made, tables=tables)).read_text(encoding="utf-8")


def always_seen(made: Made, **columns: float):
    """A single person, in every frame."""
    frames, faces = acted(made)
    return frames, with_columns(
        faces, **{name: np.full(len(faces), value) for name, value in columns.items()}
    )


def leave_out(tables, person: int, start: float, end: float):
    """A person is not in view for a while."""
    frames, faces = tables
    time_s = faces.column("time_s").to_numpy()
    gone = (faces.column("track_id").to_numpy() == person) & (time_s >= start - 1e-9) & (time_s < end - 1e-9)
    return frames, faces.filter(~gone)


def share(words: str) -> int:
    return int(re.match(r"(\d+) %", words)[1])


# --- Face visible ---------------------------------------------------------------------------------------


def test_face_visible_is_the_share_of_time_with_a_readable_face_and_says_what_the_rest_is(tmp_path):
    made = Made(seconds=100, turned=((10, 20),), small=((30, 50),), blurred=((60, 65),), away=((80, 90),))
    value, note = card(page(tmp_path, made), "Face visible")
    assert share(value) == pytest.approx(55, abs=3)
    assert note.startswith("of 01:40.0 a face can be read; ")
    parts = dict(re.findall(r"(turned away|too small|too blurred|no face) (\d+) %", note))
    assert {name: float(part) for name, part in parts.items()} == pytest.approx(
        {"turned away": 10, "too small": 20, "too blurred": 5, "no face": 10}, abs=3
    )


def test_time_without_frames_is_not_time_without_a_face(tmp_path):
    made = Made(seconds=40, holes=((10, 30),))
    value, note = card(page(tmp_path, made), "Face visible")
    assert share(value) >= 95
    assert "of 00:20.0 a face can be read" in note


# --- People ---------------------------------------------------------------------------------------------


def test_a_single_person_has_the_time_in_view(tmp_path):
    made = Made(seconds=20)
    tables = leave_out(acted(made), 1, 5, 20)
    value, note = card(page(tmp_path, made, tables), "People")
    assert value == "1"
    assert re.fullmatch(r"in view for 00:0[45]\.\d", note)


def test_people_are_as_many_as_are_seen_and_at_most_so_many_at_once(tmp_path):
    made = Made(seconds=20, people=2)
    tables = leave_out(leave_out(acted(made), 1, 10, 20), 2, 0, 10)
    assert card(page(tmp_path, made, tables), "People") == ("2", "at most 1 at once, at 00:00.0")


def test_people_seen_briefly_or_unclearly_are_told_apart(tmp_path):
    html = page(tmp_path, Made(seconds=60, people=1, brief=2, unsure=1))
    value, note = card(html, "People")
    assert value == "1"
    assert note.endswith("; 3 more seen only briefly or unclearly, not counted")
    assert "3 people seen only briefly or unclearly are not listed and not counted" in text(html)
    assert "Person 2" not in " ".join(words for part in Page(html).parts.values() for words in part)


# --- Showing an expression, and which -------------------------------------------------------------------


def test_showing_an_expression_is_the_share_of_readable_time(tmp_path):
    made = Made(seconds=20)
    html = page(tmp_path, made, acted(made, (1, 4, 9, "happy")))
    value, note = card(html, "Showing an expression")
    assert share(value) == pytest.approx(25, abs=2)
    assert note == "of the time in which the face can be read"
    assert card(html, "Which expression") == (
        "happy",
        f"{value} of readable time; at rest {100 - share(value)} %",
    )


def test_time_in_which_no_face_can_be_read_does_not_count(tmp_path):
    made = Made(seconds=20, turned=((10, 20),))
    tables = acted(made, (1, 0, 5, "happy"))
    yaw = np.where(tables[1].column("time_s").to_numpy() >= 10 - 1e-9, 60.0, 0.0)
    html = page(tmp_path, made, (tables[0], with_columns(tables[1], yaw=yaw)))
    assert share(card(html, "Showing an expression")[0]) == pytest.approx(50, abs=3)


def test_most_at_once_are_those_who_react_of_those_whose_faces_can_be_read(tmp_path):
    made = Made(seconds=20, people=3)
    tables = acted(made, (1, 4, 6, "happy"), (2, 5, 6, "happy"), (1, 12, 13, "sad"))
    note = card(page(tmp_path, made, tables), "Showing an expression")[1]
    assert re.search(r"; most at once: 2 of [23]$", note)


def test_which_expression_is_the_one_shown_longest_and_the_next_two(tmp_path):
    made = Made(seconds=100)
    acts = ((1, 0, 10, "sad"), (1, 20, 25, "happy"), (1, 40, 44, "fear"), (1, 60, 63, "angry"))
    value, note = card(page(tmp_path, made, acted(made, *acts)), "Which expression")
    assert value == "sad"
    assert re.fullmatch(
        r"(9|10|11) % of readable time, then happy [456] % and fear [345] %; at rest 7[789] %", note
    )


def test_faces_at_rest_show_no_expression(tmp_path):
    made = Made(seconds=20)
    html = page(tmp_path, made, acted(made))
    assert card(html, "Showing an expression")[0] == "0 %"
    assert card(html, "Which expression") == ("none", "the faces are at rest")
    assert '"label">Strongest moment' not in html


def test_faces_that_can_never_be_read_have_no_expression(tmp_path):
    html = page(tmp_path, Made(seconds=20, small=((0, 20),)))
    assert card(html, "Showing an expression") == ("–", "no face can be read")
    assert '"label">Which expression' not in html
    assert card(html, "Facing the camera")[0] != "–"


# --- Facing the camera ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yaw", "wanted"), [(0, "100 %"), (15, "100 %"), (25, "50 %"), (-25, "50 %"), (60, "0 %")]
)
def test_facing_the_camera_follows_the_turn_of_the_head(tmp_path, yaw, wanted):
    made = Made(seconds=20)
    value, note = card(page(tmp_path, made, always_seen(made, yaw=yaw)), "Facing the camera")
    assert (value, note) == (wanted, "of the time in view, by the turn of the head")


def test_facing_away_takes_nothing_from_the_other_cards(tmp_path):
    made = Made(seconds=20)
    frames, faces = acted(made, (1, 4, 9, "happy"))
    html = page(tmp_path, made, (frames, with_columns(faces, yaw=np.full(len(faces), 40.0))))
    assert card(html, "Facing the camera")[0] == "0 %"
    assert share(card(html, "Showing an expression")[0]) == pytest.approx(25, abs=2)


# --- Strongest moment -----------------------------------------------------------------------------------


def moment(html: str) -> tuple[float, str, str]:
    """Seconds that the button leads to, its text, and the note."""
    found = re.search(
        r'"label">Strongest moment</div><div class="value"><button class="time" type="button" data-seconds="([^"]*)"'
        r'[^>]*>([^<]*)</button></div><div class="note">(.*?)</div>', html
    )  # fmt: skip
    return float(found[1]), found[2], text(found[3])


def test_the_strongest_moment_is_a_button_to_where_most_people_react(tmp_path):
    made = Made(seconds=20, people=3, seed=2)
    tables = acted(made, (1, 4, 6, "sad"), (1, 12, 14, "happy"), (2, 12, 14, "happy"), (3, 12, 14, "happy"))
    seconds, words, note = moment(page(tmp_path, made, tables))
    assert 12 <= seconds <= 14
    assert words == f"00:{seconds:04.1f}"
    faces = tables[1].to_pandas()
    here = sorted(set(faces.track_id[(faces.time_s - seconds).abs() < 0.5]))
    n = len(here)
    assert note == f"{f'{n} ' if n > 1 else ''}happy, of {n} face{'s' if n > 1 else ''} that can be read"


def test_of_several_people_the_strongest_moment_counts_who_shows_what(tmp_path):
    made = Made(seconds=20, people=3, seed=2)
    acts = ((1, 8, 12, "surprise"), (2, 8, 12, "happy"), (3, 8, 12, "happy"))
    frames, faces = acted(made, *acts)
    seconds, _, note = moment(page(tmp_path, made, (frames, faces)))
    table = faces.to_pandas()
    here = set(table.track_id[(table.time_s - seconds).abs() < 0.5])
    happy = len(here & {2, 3})
    words = {2: "2 happy, 1 surprise", 1: "1 surprise, 1 happy", 0: "surprise"}[happy]
    assert note.startswith(words)


def test_the_strongest_moment_lies_within_the_video(tmp_path):
    made = Made(seconds=6.3)
    seconds, words, _ = moment(page(tmp_path, made, acted(made, (1, 5.6, 6.3, "happy"))))
    assert 5 <= seconds <= 6.3
    assert words <= "00:06.3"


def test_of_a_single_person_the_strongest_moment_says_what_appears(tmp_path):
    made = Made(seconds=20)
    seconds, _, note = moment(page(tmp_path, made, acted(made, (1, 15, 17, "surprise"))))
    assert 15 <= seconds <= 17
    assert note == "surprise"
