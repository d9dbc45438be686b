"""Tables of a lab: markers and lists of sessions as spreadsheets and statistics programs write them, and the exports of
other programs, which ferflow recognises.

The columns of exports are those that each program documents; values are made up.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

Cells = Sequence[Sequence[str]]

MARKERS: Cells = [
    ["time_s", "label", "end_s", "kind"],
    ["1.5", "clap", "", ""],
    ["2.25", "über", "4.0", "scene"],
]
"""Two markers, of which the second one has an end."""
SESSIONS: Cells = [
    ["video", "participant", "group", "offset_s"],
    ["2024-05-01 14-30-00.mkv", "Jörg", "x", "2.5"],
    ["2024-05-01 15-02-11.mkv", "Ada", "y", "-0.25"],
]
"""Recordings with the names that OBS gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a program writes a table."""

    delimiter: str = ","
    decimal: str = "."
    line_end: str = "\n"
    encoding: str = "utf-8"
    before: str = ""
    """Text in front of the header."""
    missing: str = ""
    """What stands for an empty cell."""
    n_blank_columns: int = 0
    n_blank_rows: int = 0
    quotes_texts: bool = False
    has_row_names: bool = False

    def write(self, cells: Cells) -> bytes:
        """The bytes of a table whose first row is the header."""
        header, *rows = cells
        table = [list(header), *([self._cell(cell) for cell in row] for row in rows)]
        if self.has_row_names:
            table = [[str(number or ""), *row] for number, row in enumerate(table)]
        table = [[*row, *[""] * self.n_blank_columns] for row in table]
        table += [[""] * len(table[0])] * self.n_blank_rows
        text = io.StringIO()
        csv.writer(
            text,
            delimiter=self.delimiter,
            lineterminator=self.line_end,
            quoting=csv.QUOTE_ALL if self.quotes_texts else csv.QUOTE_MINIMAL,
        ).writerows(table)
        return (self.before + text.getvalue()).encode(self.encoding)

    def _cell(self, cell: str) -> str:
        is_number = cell.replace(".", "").lstrip("-").isdigit()
        return cell.replace(".", self.decimal) if is_number else cell or self.missing


# Excel's kinds of file, by their names in "Save as"; where the comma is the decimal sign, semicolons separate cells.

DIALECTS: dict[str, Dialect] = {
    "Excel, CSV UTF-8": Dialect(line_end="\r\n", encoding="utf-8-sig"),
    "Excel, CSV UTF-8, decimal comma": Dialect(
        line_end="\r\n", encoding="utf-8-sig", delimiter=";", decimal=","
    ),
    "Excel, CSV UTF-8, cleared cells": Dialect(
        line_end="\r\n", encoding="utf-8-sig", delimiter=";", decimal=",", n_blank_columns=2, n_blank_rows=3
    ),
    "Excel, Unicode Text": Dialect(line_end="\r\n", encoding="utf-16", delimiter="\t"),
    "Excel, Unicode Text, decimal comma": Dialect(
        line_end="\r\n", encoding="utf-16", delimiter="\t", decimal=","
    ),
    "Excel, with a line for Excel": Dialect(line_end="\r\n", delimiter=";", decimal=",", before="sep=;\r\n"),
    "Excel, errors of formulas": Dialect(line_end="\r\n", encoding="utf-8-sig", missing="#N/A"),
    "UTF-8 with the line ends of old Macs": Dialect(line_end="\r"),
    "LibreOffice": Dialect(),
    "LibreOffice, all texts in quotes": Dialect(quotes_texts=True),
    "R, write.csv": Dialect(quotes_texts=True, missing="NA", has_row_names=True),
    "R, write.csv2": Dialect(delimiter=";", decimal=",", quotes_texts=True, missing="NA", has_row_names=True),
    "pandas": Dialect(has_row_names=True),
    "pandas, for BIDS": Dialect(delimiter="\t", missing="n/a"),
}

UNREADABLE: dict[str, Dialect] = {
    "Excel, CSV": Dialect(line_end="\r\n", encoding="cp1252"),
    "Excel, CSV, decimal comma": Dialect(line_end="\r\n", encoding="cp1252", delimiter=";", decimal=","),
    "Excel, CSV (Macintosh)": Dialect(line_end="\r", encoding="mac_roman"),
    "Excel, Text (Tab delimited)": Dialect(line_end="\r\n", encoding="cp1252", delimiter="\t"),
}
"""In the code page of the computer, which the file does not say, so that an umlaut could be any letter."""


def _lines(delimiter: str, *rows: Sequence[str]) -> str:
    return "".join(delimiter.join(row) + "\n" for row in rows)


_BORIS_7 = [
    "Observation id", "Observation date", "Description", "Media file", "Total length", "FPS", "Subject", "Behavior",
    "Behavioral category", "Modifiers", "Behavior type", "Start (s)", "Stop (s)", "Duration (s)", "Comment start",
    "Comment stop",
]  # fmt: skip
_BORIS_8 = [
    "Observation id", "Observation date", "Description", "Observation type", "Source", "Time offset (s)",
    "Media duration (s)", "FPS (frame/s)", "Subject", "Behavior", "Behavioral category", "Modifiers", "Behavior type",
    "Start (s)", "Stop (s)", "Duration (s)", "Media file name", "Image index start", "Image index stop",
    "Image file path start", "Image file path stop", "Comment start", "Comment stop",
]  # fmt: skip
_BORIS_EVENTS = [
    "Time", "Media file path", "Total length", "FPS", "Subject", "Behavior", "Behavioral category", "Comment", "Status",
]  # fmt: skip
_ELAN = [
    "Begin Time - hh:mm:ss.ms", "Begin Time - ss.msec", "End Time - hh:mm:ss.ms", "End Time - ss.msec",
    "Duration - hh:mm:ss.ms", "Duration - ss.msec", "face",
]  # fmt: skip
_ELAN_ROW = ["00:00:01.500", "1.5", "00:00:02.500", "2.5", "00:00:01.000", "1.0", "smile"]
_PSYCHOPY = [
    "trials.thisRepN", "trials.thisTrialN", "trials.thisN", "trials.thisIndex", "word", "key_resp.keys", "key_resp.rt",
    "image.started", "image.stopped", "participant", "date", "expName", "psychopyVersion", "frameRate",
]  # fmt: skip
_PSYCHOPY_ROW = ["0", "0", "0", "0", "red", "left", "0.4", "1.5", "2.5", "Ada", "", "faces", "2024.1.5", "60"]

FOREIGN: dict[str, str] = {
    "BORIS": _lines(
        ",",
        _BORIS_7,
        ["obs1", "2024-01-01 10:00:00", "", "a.mp4", "60.0", "25.0", "Ada", "smile", "face", "", "STATE", "1.5", "2.5",
         "1.0", "", ""],
        ["obs1", "2024-01-01 10:00:00", "", "a.mp4", "60.0", "25.0", "Ada", "blink", "face", "", "POINT", "4.0", "4.0",
         "NA", "", ""],
    ),
    "BORIS, version 8": _lines(
        "\t",
        _BORIS_8,
        ["obs1", "2024-01-01 10:00:00", "", "Media file(s)", "player #1:a.mp4", "0.0", "60.0", "25.0", "Ada", "smile",
         "face", "", "STATE", "1.5", "2.5", "1.0", "a.mp4", "37", "62", "NA", "NA", "", ""],
        ["obs1", "2024-01-01 10:00:00", "", "Media file(s)", "player #1:a.mp4", "0.0", "60.0", "25.0", "Ada", "blink",
         "face", "", "POINT", "4.0", "4.0", "NA", "a.mp4", "100", "100", "NA", "NA", "", ""],
    ),
    "BORIS, events": "Observation id\tobs1\n\nMedia file(s)\n\n"
    + _lines("\t", _BORIS_EVENTS, ["1.5", "a.mp4", "60.0", "25.0", "Ada", "smile", "face", "", "START"]),
    "ELAN": _lines("\t", _ELAN, _ELAN_ROW),
    "ELAN, tiers as rows": _lines(
        "\t",
        ["Tier", "Participant", "Begin Time - msec", "End Time - msec", "Duration - msec", "Annotation"],
        ["face", "", "1500", "2500", "1000", "smile"],
    ),
    "ELAN, with the media": '"#file:///C:/data/a.eaf"\n"#media:file:///C:/data/a.mp4"\n\n'
    + _lines("\t", _ELAN, _ELAN_ROW),
    "ELAN, several files": '"#file:///C:/data/a.eaf"\n'
    + _lines("\t", ["face", "", "1.5", "2.5", "1.0", "smile"]),
    "PsychoPy": _lines(",", _PSYCHOPY, _PSYCHOPY_ROW),
    "PsychoPy, semicolons": _lines(";", [*_PSYCHOPY, ""], [*_PSYCHOPY_ROW, ""]),
    "PsychoPy, before the first loop": _lines(
        ",",
        ["thisN", "thisTrialN", "thisRepN", "welcome.started", "participant", "psychopyVersion", ""],
        ["", "", "", "0.03", "Ada", "2024.1.5", ""],
    ),
    "BIDS": "onset\tduration\ttrial_type\tresponse_time\n1.5\t1.0\tsmile\tn/a\n4.0\t0\tblink\tn/a\n",
    "BIDS, without types": "onset\tduration\tsample\tvalue\n1.5\tn/a\t37\t2\n",
}  # fmt: skip
"""Exports of programs that code behaviour and present stimuli, by program."""

NOT_A_TABLE: dict[str, bytes] = {
    "Excel workbook": b"PK\x03\x04\x14\x00\x06\x00\x08\x00" + bytes(range(256)),
    "ELAN, without column labels": b"face\t\t1.5\t2.5\t1.0\tsmile\n",
    "PsychoPy, log": b"12.0100 \tEXP \timage: autoDraw = True\n14.0200 \tEXP \timage: autoDraw = False\n",
    "OBS, chapters as text": b"00:00:05 Boss\n00:01:05 Menu\n",
    "Audacity, labels": b"1.500000\t2.500000\tsmile\n",
    "subtitles": b"1\n00:00:01,500 --> 00:00:02,500\nsmile\n",
}
"""Files of the same programs without a header: refused, with the columns that a table of markers needs."""
