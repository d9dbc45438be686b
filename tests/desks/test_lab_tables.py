"""What becomes of the tables of a lab: read with the values that were written, or refused in one line that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferflow.analytics.markers import Marker, markers_in, read_markers
from ferflow.analytics.session_list import read_sessions
from ferflow.errors import OptionsError
from ferflow.exchange.marker_files import find_program
from tests.desks.lab_tables import DIALECTS, FOREIGN, MARKERS, NOT_A_TABLE, SESSIONS, UNREADABLE, Dialect

VIDEOS = {"one-1": "/recordings/2024-05-01 14-30-00.mkv", "two-2": "/recordings/2024-05-01 15-02-11.mkv"}


def write(folder: Path, content: bytes) -> Path:
    path = folder / "talk.markers.csv"
    path.write_bytes(content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(OptionsError) as error:
        read_markers(path)
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize("program", DIALECTS)
def test_markers_of_every_program_are_the_ones_that_were_written(tmp_path, program):
    path = write(tmp_path, DIALECTS[program].write(MARKERS))
    assert markers_in(read_markers(path)) == [Marker(1.5, None, "clap"), Marker(2.25, 4.0, "über", "scene")]


@pytest.mark.parametrize("program", DIALECTS)
def test_a_list_of_sessions_of_every_program_is_the_one_that_was_written(tmp_path, program):
    path = write(tmp_path, DIALECTS[program].write(SESSIONS))
    sessions = read_sessions(path, VIDEOS)
    found = [sessions.of(video_id) for video_id in VIDEOS]
    assert [(row.participant, row.values["group"], row.offset_s) for row in found] == [
        ("Jörg", "x", 2.5),
        ("Ada", "y", -0.25),
    ]


@pytest.mark.parametrize("program", UNREADABLE)
def test_a_table_in_the_code_page_of_a_computer_is_refused_with_the_line_and_what_to_save_instead(
    tmp_path, program
):
    message = refused(write(tmp_path, UNREADABLE[program].write(MARKERS)))
    assert "is not UTF-8 text. Save it as 'CSV UTF-8' in the spreadsheet." in message


@pytest.mark.parametrize("program", FOREIGN)
def test_an_export_of_another_program_is_named(tmp_path, program):
    assert find_program(write(tmp_path, FOREIGN[program].encode())) == program.partition(",")[0]


@pytest.mark.parametrize("program", DIALECTS)
def test_a_table_of_markers_is_of_no_program(tmp_path, program):
    assert find_program(write(tmp_path, DIALECTS[program].write(MARKERS))) == ""


@pytest.mark.parametrize("name", NOT_A_TABLE)
def test_what_has_no_header_is_refused_with_what_a_table_of_markers_needs(tmp_path, name):
    message = refused(write(tmp_path, NOT_A_TABLE[name]))
    assert "The first line must name the columns time_s, label" in message or "CSV UTF-8" in message


def test_a_dialect_writes_what_it_says():
    dialect = Dialect(delimiter=";", decimal=",", missing="NA", n_blank_columns=1, has_row_names=True)
    assert dialect.write([["a", "b"], ["1.5", ""], ["x.y", "-2.0"]]) == b";a;b;\n1;1,5;NA;\n2;x.y;-2,0;\n"
