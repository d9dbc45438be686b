"""Numbers with decimal commas, as spreadsheets write them in German and French; what may be two numbers is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ferflow.analytics.markers import markers_in, read_markers
from ferflow.analytics.people_list import read_people
from ferflow.analytics.session_list import read_sessions
from ferflow.analytics.signal_input import read_signal_file
from ferflow.errors import OptionsError
from ferflow.jobs.benchmarks.ratings import read_ratings

SEPARATORS = [";", "\t"]


def write(path: Path, rows: list[list[str]], separator: str) -> Path:
    path.write_bytes("\r\n".join(separator.join(row) for row in rows).encode("utf-8-sig"))
    return path


@pytest.mark.parametrize("separator", SEPARATORS)
def test_every_table_of_users_is_read_with_decimal_commas(tmp_path, separator):
    markers = write(
        tmp_path / "m.csv",
        [["time_s", "label", "end_s"], ["12,5", "smile", "13,25"], ["1:30,5", "a, b", ""]],
        separator,
    )
    assert [(one.time_s, one.end_s) for one in markers_in(read_markers(markers))] == [
        (12.5, 13.25),
        (90.5, None),
    ]
    sessions = write(
        tmp_path / "s.csv",
        [["video", "offset_s", "start", "end"], ["a", "-2,5", "1,25", "1:02,125"]],
        separator,
    )
    row = read_sessions(sessions, {"a": "/films/a.mp4"}).of("a")
    assert (row.offset_s, row.start_s, row.end_s) == (-2.5, 1.25, 62.125)
    signals = write(
        tmp_path / "x.signals.csv", [["time_s", "puls"], ["0,5", "71,25"], ["1,5", "72"]], separator
    )
    found = read_signal_file(signals)
    assert found.times.tolist() == [0.5, 1.5]
    assert found.samples["puls"].values.tolist() == [71.25, 72.0]
    ratings = write(
        tmp_path / "r.csv",
        [["clip", "track", "start_s", "end_s", "expressive", "label", "centre_x", "centre_y"],
         ["hall", "3", "0,5", "2,75", "2", "smile", "0,125", "0,5"]],
        separator,
    )  # fmt: skip
    (rating,) = read_ratings(ratings)["hall"]
    assert (rating.start_s, rating.end_s, rating.centre) == (0.5, 2.75, (0.125, 0.5))


@pytest.mark.parametrize("separator", [",", *SEPARATORS])
def test_what_pandas_writes_with_decimal_commas_is_what_it_wrote(tmp_path, separator):
    truth = pd.DataFrame({"time_s": [0.125, 1.5, 1002.25], "puls": [71.5, 1234.5, 0.001]})
    path = tmp_path / "x.signals.csv"
    truth.to_csv(path, index=False, sep=separator, decimal="." if separator == "," else ",")
    found = read_signal_file(path)
    assert found.times.tolist() == truth.time_s.tolist()
    assert found.samples["puls"].values.tolist() == truth.puls.tolist()


GROUPED = ["1.234,5", "1,234.5", "1.234.567", "1 234,5", "1\u202f234,5", "1\xa0234", "1'234.5"]


@pytest.mark.parametrize("text", GROUPED)
@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_thousands_separator_is_refused_with_file_line_and_column(tmp_path, text, separator):
    rows = [["time_s", "label"], ["5", "a"], [text, "b"]]
    with pytest.raises(OptionsError) as refused:
        read_markers(write(tmp_path / "m.csv", rows, separator))
    assert "m.csv: line 3: time_s: " in str(refused.value)
    assert "has a thousands separator. Write the number without it (1234.5)." in str(refused.value)
    with pytest.raises(OptionsError, match=r"x\.signals\.csv, line 3: hp: .* has a thousands separator"):
        read_signal_file(
            write(tmp_path / "x.signals.csv", [["time_s", "hp"], ["1", "5"], ["2", text]], separator)
        )


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        ('time_s,label\n"1,234",a\n', "line 2: time_s: '1,234' may be 1.234 or 1234. Write one of the two."),
        (
            "time_s;label\n12,5;a\n1.234;b\n",
            "line 3: time_s: '1.234' may be 1,234 or 1234, since other numbers have",
        ),
        ("time_s;end_s;label\n1.234;1300,5;b\n", "line 2: time_s: '1.234' may be 1,234 or 1234"),
    ],
)
def test_a_number_that_may_be_two_is_refused_in_one_line(tmp_path, content, reported):
    path = tmp_path / "m.csv"
    path.write_text(content)
    with pytest.raises(OptionsError) as refused:
        read_markers(path)
    assert reported in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "times"),
    [
        ("time_s;label\n1.234;a\n2.5;b\n", [1.234, 2.5]),  # points alone
        ("time_s;label\n1,234;a\n2,5;b\n", [1.234, 2.5]),  # commas alone
        ('time_s,label\n"1,5","1,234"\n', [1.5]),  # a label is no number
        ('time_s,label\n"0,125",a\n', [0.125]),  # thousands do not start with 0
        ("time_s;label\n1:30.125;a\n2,5;b\n", [2.5, 90.125]),  # a timecode
    ],
)
def test_what_can_be_read_in_one_way_only_is_read(tmp_path, content, times):
    path = tmp_path / "m.csv"
    path.write_text(content)
    assert [one.time_s for one in markers_in(read_markers(path))] == times


def test_other_lists_refuse_alike(tmp_path):
    sessions = tmp_path / "sessions.csv"
    sessions.write_text('video,start\na,"1,234"\n')
    with pytest.raises(OptionsError, match=r"line 2: start: '1,234' may be"):
        read_sessions(sessions, {"a": "/films/a.mp4"})
    (tmp_path / "people.csv").write_text('video_id,track_id,name,from_s\na,1,Ada,"1,234"\n')
    with pytest.raises(OptionsError, match=r"line 2: from_s: '1,234' may be"):
        read_people(tmp_path)
    signals = tmp_path / "x.signals.csv"
    signals.write_text("time_s;note;hp\n0,5;1.234;7\n1.234;x;8\n")
    with pytest.raises(OptionsError, match=r"line 3: time_s: '1\.234' may be 1,234 or 1234"):
        read_signal_file(signals)
