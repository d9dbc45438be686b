"""What is printed and logged: no name, text or message from outside steers a terminal or forges a line."""

from __future__ import annotations

import ast
import json
import logging
import re
import sys
import unicodedata
from pathlib import Path

import pytest

import ferflow as package
from ferflow.cli.printing import LineFormatter
from ferflow.text import sanitize
from tests.command import Command
from tests.conftest import face_frames, write_video
from tests.made_records import Made, write_session

FORGED = "\r\n2026-01-01 00:00:00 ERROR ferflow: forged"
HOSTILE = f"a\x1b[2J\x1b]0;owned\x07{FORGED}\u202egpj\u200b\u200d\ufeff\u2028b\x9b31m\x00"
NAME = HOSTILE.replace("\x00", "").replace("/", "")
SHORT = "\x1b[31m\nferflow: forged\u202e\u200b"


def steering(text: str) -> set[str]:
    """Characters that a terminal does not simply show, but for the end of a line."""
    unsafe = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return {char for char in text if unicodedata.category(char) in unsafe} - {"\n"}


def printed_by(ferflow: Command, *commands: list[object]) -> str:
    """All that commands print."""
    results = [ferflow(*command) for command in commands]
    assert 1 not in [result.code for result in results]
    return "".join(result.text for result in results)


def assert_is_plain(text: str) -> None:
    assert steering(text) == set(), sorted(map(ascii, steering(text)))
    assert not [
        line for line in text.split("\n") if line.lstrip().startswith(("ferflow: forged", "2026-01-01"))
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A video, a file that is none and an output folder, all with names to steer a terminal."""
    path = tmp_path_factory.mktemp("hostile")
    write_video(path / "v.mp4", face_frames(3, size=(128, 96)))
    (path / "v.mp4").rename(path / f"{NAME}.mp4")
    (path / f"{SHORT}.mp4").write_text("Dear diary")
    (path / f"{NAME}.markers.csv").write_text(f'time_s,label\n0.05,"{SHORT}"\nx,y\n')
    return path


def test_analysis_report_people_and_doctor_print_plain_lines(ferflow, folder, tmp_path):
    out, log = folder / f"out{SHORT}", tmp_path / "log"
    first = ["analyze", folder, "-o", out, "-v", "--log-file", log, "--workers", "0"]
    printed = printed_by(
        ferflow, first, ["report", out, "-v", "--title", f"T{SHORT}"], ["people", out], ["doctor", out],
        ["analyze", folder, "-o", out, "--dry-run"], ["report", out, "--csv"], ["doctor", out, "--repair"],
        ["people", f"none{SHORT}"], ["analyze", f"none{SHORT}", "-o", tmp_path / "o"],
        ["analyze", folder, "-o", out, f"--{SHORT}"], ["models", SHORT], ["run", folder / SHORT],
        ["explain", folder / f"{SHORT}.mp4", "-o", tmp_path / "page.html"],
        ["predict", folder / f"{SHORT}.mp4", folder / f"{SHORT}.jpg"],
        ["live", folder / f"{SHORT}.mp4", "--seconds", "1"], ["live", f"rtsp://{SHORT}/"],
    )  # fmt: skip
    assert "\ufffd" in printed
    assert_is_plain(printed)
    assert_is_plain(log.read_text("utf-8"))
    assert {line[:2] for line in log.read_text("utf-8").splitlines()} <= {"20", "  "}


def test_names_in_tables_and_lists_are_printed_as_plain_lines(ferflow, tmp_path):
    write_session(tmp_path, Made(seconds=2, source={"name": NAME, "path": f"/{NAME}"}))
    (tmp_path / "people.csv").write_text(
        f'video_id,track_id,name\nmade-0123abcd,1,"{SHORT}"\n"{SHORT}",9,"x{SHORT}"\n'
    )
    (tmp_path / "sessions.csv").write_text(f'video,participant,"{SHORT}"\nnone,"{SHORT}",z\n')
    corrections = tmp_path / "corrections.csv"
    commands = ["people", tmp_path], ["report", tmp_path], ["doctor", tmp_path]
    corrections.write_text(
        f'video_id,action,person,start,end,value,note\nmade-0123abcd,drop,"{SHORT}",,,,"{SHORT}"\n"{SHORT}",drop,a,,,,\n'
        f'made-0123abcd,exclude,"{SHORT}",0,1,,"{SHORT}"\n'
    )
    printed = printed_by(ferflow, *commands)
    for wrong in (
        f'"{SHORT}",,,,',
        f'relabel,,0,1,"{SHORT}",',
        f'exclude,,"{SHORT}",1,,',
        f'drop,"{SHORT}",,,"{SHORT}",',
    ):
        corrections.write_text(f"video_id,action,person,start,end,value,note\nmade-0123abcd,{wrong}\n")
        printed += printed_by(ferflow, *commands)
    assert "made-0123abcd" in printed
    assert_is_plain(printed)


def test_a_card_is_printed_as_plain_lines(ferflow, tmp_path):
    from ferflow.models.registry import SHIPPED

    card = json.loads((SHIPPED / "default.json").read_text())
    for name in ("name", "purpose", "note", "data"):
        card[name] = SHORT
    for file in card["files"].values():
        (tmp_path / file["file"]).symlink_to(SHIPPED / file["file"])
    (tmp_path / "card.json").write_text(json.dumps(card))
    assert_is_plain(printed_by(ferflow, ["models", tmp_path]))
    card["labels"] = [SHORT] * 2
    (tmp_path / "card.json").write_text(json.dumps(card))
    assert_is_plain(printed_by(ferflow, ["models", tmp_path]))


def test_a_record_of_the_log_is_one_line_and_its_traceback_is_indented():
    formatter = LineFormatter("%(levelname)s %(message)s")
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = logging.LogRecord("ferflow", logging.ERROR, "", 0, "%s failed", (HOSTILE,), sys.exc_info())
    first, *others = formatter.format(record).split("\n")
    assert first == f"ERROR {sanitize(HOSTILE)} failed"
    assert all(line.startswith("  ") for line in others)
    assert_is_plain("\n".join(others).replace("  2026", "x"))
    assert record.getMessage() == f"{HOSTILE} failed"  # other handlers see it as it was


def test_every_character_that_steers_a_terminal_is_replaced_and_no_other():
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    printed = sanitize(every)
    assert len(printed) == len(every)
    assert steering(printed) == set()
    assert all(char == shown for char, shown in zip(every, printed, strict=True) if char.isprintable())


def test_commands_print_through_one_function():
    root = Path(package.__file__).parent / "cli"
    for path in root.glob("*.py"):
        calls = [
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
        ]
        assert path.name == "printing.py" or not {"typer.echo", "click.echo", "print", "typer.secho"} & set(
            calls
        ), path
        assert not [call for call in calls if re.search(r"std(out|err)\.write", call)], path
