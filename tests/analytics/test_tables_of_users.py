"""Tables as people and other programs write them: markers and session lists in the dialects of CSV."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest

from ferflow.analytics.csv_input import parse_csv
from ferflow.analytics.markers import Marker, load_markers, markers_in, read_markers
from ferflow.analytics.session_list import read_sessions
from ferflow.analytics.signal_input import read_signal_file
from ferflow.errors import OptionsError
from ferflow.store.video_files import VideoFiles
from tests.analytics.stored import store_markers

CLAP = [Marker(1.5, None, "clap"), Marker(2.25, 4.0, "über", "scene")]


def read(tmp_path, content: str | bytes) -> list[Marker]:
    path = tmp_path / "talk.markers.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return markers_in(read_markers(path))


def refused(tmp_path, content: str | bytes) -> str:
    with pytest.raises(OptionsError) as error:
        read(tmp_path, content)
    message = str(error.value)
    assert message.startswith(str(tmp_path / "talk.markers.csv"))
    assert "\n" not in message
    return message


POINTS = "time_s,label,end_s,kind\n1.5,clap,,\n2.25,über,4,scene\n"
COMMAS = "time_s;label;end_s;kind\r\n1,5;clap;;\r\n2,25;über;4,0;scene\r\n"


@pytest.mark.parametrize(
    "content",
    [
        POINTS,
        POINTS.replace(",", "\t"),
        COMMAS,
        "sep=;\r\n" + COMMAS,
        '"sep=;"\n' + COMMAS,
        "SEP=|\n" + POINTS.replace(",", "|"),
        ("\ufeff" + COMMAS).encode(),
        ("\ufeffsep=;\n" + COMMAS).encode(),
        COMMAS.encode("utf-16"),
        ("\ufeff" + POINTS).encode("utf-16-be"),
        ("\ufeff" + POINTS.replace(",", "\t")).encode("utf-16-le"),
        POINTS.replace("clap,,", "clap,NA,NA"),
        POINTS.replace("clap,,", "clap,n/a,"),
        POINTS.replace("clap,,", "clap,#N/A,"),
        POINTS.replace("clap,,", 'clap,"",NaN'),
        POINTS.replace("1.5", '"1,5"'),
        POINTS.replace("clap,,", "clap"),
    ],
)
def test_one_table_in_many_dialects(tmp_path, content):
    assert read(tmp_path, content) == CLAP


def test_what_pandas_and_the_csv_module_write_is_read(tmp_path):
    table = pd.DataFrame(
        {"time_s": [1.5, 2.25], "label": ["clap", "über"], "end_s": [None, 4.0], "kind": ["", "scene"]}
    )
    for options in ({}, {"sep": ";", "decimal": ","}, {"sep": "\t", "na_rep": "NA"}, {"encoding": "utf-16"}):
        path = tmp_path / "talk.markers.csv"
        table.to_csv(path, index=False, **options)
        assert markers_in(read_markers(path)) == CLAP, options
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([["time_s", "label"], [1.5, 'a, "b"; c']])
    assert read(tmp_path, buffer.getvalue()) == [Marker(1.5, None, 'a, "b"; c')]


def test_a_label_may_be_na(tmp_path):
    assert read(tmp_path, "time_s,label\n1,NA\n") == [Marker(1.0, None, "NA")]


def test_lines_are_counted_as_an_editor_does(tmp_path):
    assert "line 4: time_s: 'soon'" in refused(tmp_path, "sep=;\ntime_s;label\n1;a\nsoon;b\n")
    path = tmp_path / "play.signals.csv"
    for rows in ("1;2\nsoon;3\n", '1;"2\n2"\nsoon;3\n'):
        path.write_text("sep=;\ntime_s;hp\n" + rows)
        n = 4 + rows.count('"') // 2
        with pytest.raises(OptionsError, match=f"line {n}: time_s: 'soon'"):
            read_signal_file(path)


def test_signals_with_a_line_for_spreadsheets_are_read(tmp_path):
    path = tmp_path / "play.signals.csv"
    path.write_bytes("sep=;\r\ntime_s;hp\r\n0,5;1,25\r\n1;2\r\n".encode("utf-16"))
    found = read_signal_file(path)
    assert found.times.tolist() == [0.5, 1.0]
    assert found.samples["hp"].values.tolist() == [1.25, 2.0]


# --- Refused ---------------------------------------------------------------------------------------------------


def test_a_comma_in_an_unquoted_label_is_refused(tmp_path):
    message = refused(tmp_path, "time_s,label\n1,clap, loud\n")
    assert (
        'line 2 has 3 cells under 2 columns. Put a text with a comma into quotes: "Lovelace, Ada".' in message
    )


@pytest.mark.parametrize(
    "content",
    [
        "time_s,label\n1,5,clap\n",
        "time_s,label,end_s,kind\n1,5,clap,2,25,x\n",
        "time_s,label,kind\n1,5,clap,\n",
        "time_s,label,end_s,kind\n0,5,clap,,\n",
        "label,time_s\nclap,-1,5\n",
    ],
)
def test_decimal_commas_between_commas_are_refused_and_never_misread(tmp_path, content):
    message = refused(tmp_path, content)
    assert "line 2 has" in message
    assert "Numbers with decimal commas need semicolons between the columns, or quotes." in message


def test_whole_numbers_side_by_side_are_no_decimal_comma(tmp_path):
    assert read(tmp_path, "time_s,end_s,label\n1,5,clap\n") == [Marker(1.0, 5.0, "clap")]
    assert read(tmp_path, "time_s,label,kind\n10,7,trigger\n") == [Marker(10.0, None, "7", "trigger")]


@pytest.mark.parametrize(
    ("times", "is_refused"),
    [
        ((1500, 30_000, 59_000), True),
        ((0, 1500, 59_000), True),
        ((5000,), True),
        ((0, 30, 59), False),
        ((61, 62), False),
        ((5000, 900_000), False),
        ((-5, 0, 30), False),
    ],
)
def test_milliseconds_are_recognised_where_nothing_else_fits(tmp_path, times, is_refused):
    """A video of 60 s."""
    files = VideoFiles(tmp_path, "talk-1")
    path = tmp_path / "talk.markers.csv"
    path.write_text("time_s,label\n" + "".join(f"{time},a\n" for time in times))
    if not is_refused:
        assert store_markers(files, path, duration_s=60.0)
        return
    with pytest.raises(OptionsError, match=r"talk\.markers\.csv: .*These look like milliseconds") as error:
        store_markers(files, path, duration_s=60.0)
    assert "\n" not in str(error.value)
    assert len(load_markers(files)) == 0


# --- Lists of sessions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "video,participant,group,offset_s\na.mp4,Ada,x,2.5\n",
        "sep=;\r\nVideo;Group;Participant;Offset_s\r\na.mp4;x;Ada;2,5\r\n",
        "\ufeffvideo\tparticipant\tgroup\toffset_s\na.mp4\tAda\tx\t0:02.5\n".encode("utf-16-le"),
        'video,participant,group,offset_s\na.mp4,Ada,x,"2,5"\n',
    ],
)
def test_a_session_list_comes_in_any_dialect(tmp_path, content):
    path = tmp_path / "sessions.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    row = read_sessions(path, {"a-1": "/films/a.mp4"}).of("a-1")
    assert (row.participant, row.values["group"], row.offset_s) == ("Ada", "x", 2.5)


def test_a_session_list_with_decimal_commas_between_commas_is_refused(tmp_path):
    path = tmp_path / "sessions.csv"
    path.write_text("video,participant,offset_s\na.mp4,Ada,2,5\n")
    with pytest.raises(
        OptionsError, match=r"line 2 has 4 cells under 3 columns\. Numbers with decimal commas"
    ):
        read_sessions(path, {"a-1": "/films/a.mp4"})


def test_a_list_without_its_columns_says_which_it_needs():
    with pytest.raises(OptionsError, match="no column 'video'"):
        parse_csv("onset,duration\n1,2\n", "sessions.csv", required=("video",))
