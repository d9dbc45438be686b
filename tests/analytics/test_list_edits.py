"""Edits of `people.csv` and `corrections.csv`: what is written is what reports read, and nothing else changes."""

from __future__ import annotations

import codecs
import csv
import io
import subprocess
import sys

import numpy as np
import pytest

from ferflow.analytics.corrections import read_corrections
from ferflow.analytics.editable_csv import EditableCsv
from ferflow.analytics.list_edits import (
    CorrectionCells,
    Lists,
    add_correction,
    change_correction,
    format_seconds,
    name_persons,
    name_track,
    remove_correction,
    undo,
)
from ferflow.analytics.people_list import PeopleList
from ferflow.analytics.person_faces import Persons
from ferflow.dashboards import load_names
from ferflow.errors import OptionsError, RecordsError
from ferflow.store.video_files import VideoFiles
from tests.made_records import Made, made_tables, write_session

BREAK = CorrectionCells("talk", "exclude", "2", "0:05", note="a break, with a comma")


@pytest.fixture
def talk(tmp_path):
    """Person 1 has tracks 1 and 2, person 3 has track 3."""
    made = Made(seconds=20, people=3, video_id="talk")
    frames, faces = made_tables(made)
    tracks = faces.column("track_id").to_numpy()
    place = faces.schema.get_field_index("person_id")
    stitched = np.where(tracks == 2, 1, tracks).astype(np.int32)
    write_session(
        tmp_path, made, tables=(frames, faces.set_column(place, faces.schema.field(place), [stitched]))
    )
    return tmp_path


def persons(out) -> Persons:
    return Persons.of(VideoFiles(out, "talk"), load_names(out).of("talk"))


def named(out) -> dict[int, dict[float, str]]:
    """Names by track and time, as reports have them."""
    found = persons(out)
    return {
        track: {at: found.name_of(one) for at, one in pieces.items()}
        for track, pieces in found.person_of.items()
    }


def name(out, ids, text):
    return name_persons(Lists.read(out), persons(out), ids, text)


def corrections(out):
    return read_corrections(out, PeopleList()).of("talk").rows


def test_a_correction_is_added_moved_and_removed(talk):
    add_correction(Lists.read(talk), BREAK)
    assert (talk / "corrections.csv").read_text() == (
        'video_id,action,start,end,person,value,note\ntalk,exclude,2,0:05,,,"a break, with a comma"\n'
    )
    (row,) = corrections(talk)
    assert (row.stretch, row.note) == ((2.0, 5.0), "a break, with a comma")
    change_correction(Lists.read(talk), row.line, CorrectionCells("talk", "exclude", "3", "6"))
    assert [row.stretch for row in corrections(talk)] == [(3.0, 6.0)]
    remove_correction(Lists.read(talk), row.line)
    assert corrections(talk) == ()


MINE = (
    "\ufeffNote;video_id;ACTION;start;end;person;value;rater\r\n"
    "# from the meeting;;;;;;;\r\n"
    '"two\r\nlines";talk;exclude;1,5;2,5;;;MK\r\n'
    "\r\n"
    "x;gone;drop;;;Ada;;MK;\r\n"
    "last;talk;relabel;7;8;;happy;MK"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_everything_that_an_edit_is_not_about_stays_byte_for_byte(talk, encoding):
    text = MINE if encoding == "utf-8" else MINE.removeprefix("\ufeff")
    text = text.replace("# from the meeting;;;;;;;", ";# from the meeting;;;;;;")
    (talk / "corrections.csv").write_bytes(text.encode(encoding))
    first = corrections(talk)[0]
    add_correction(Lists.read(talk), BREAK)
    after = (talk / "corrections.csv").read_bytes().decode(encoding)
    assert after == f"{text}\r\na break, with a comma;talk;exclude;2;0:05;;;\r\n"
    change_correction(
        Lists.read(talk), first.line, CorrectionCells("talk", "exclude", "1,5", "3", note="two lines")
    )
    remove_correction(Lists.read(talk), corrections(talk)[1].line)
    after = (talk / "corrections.csv").read_bytes().decode(encoding)
    assert after == text.replace('"two\r\nlines"', "two lines").replace("2,5;;;MK", "3;;;MK").replace(
        "last;talk;relabel;7;8;;happy;MK", "a break, with a comma;talk;exclude;2;0:05;;;\r\n"
    )


def test_columns_that_are_missing_are_added_to_the_header_alone(talk):
    (talk / "corrections.csv").write_text("action,video_id,start\nexclude,talk,12\n")
    add_correction(Lists.read(talk), BREAK)
    assert (talk / "corrections.csv").read_text() == (
        "action,video_id,start,end,person,value,note\nexclude,talk,12\n"
        'exclude,talk,2,0:05,,,"a break, with a comma"\n'
    )


@pytest.mark.parametrize("cells", [
    CorrectionCells("talk", "relabel", "3", "4", value="happy"),
    CorrectionCells("talk", "relabel", "13", "14", value="glad"),
    CorrectionCells("talk", "exclude", "x", "4"),
    CorrectionCells("talk", "hide", "1", "4"),
])  # fmt: skip
def test_what_a_report_would_refuse_is_not_written(talk, cells):
    add_correction(Lists.read(talk), BREAK)
    before = (talk / "corrections.csv").read_bytes()
    with pytest.raises(OptionsError):
        add_correction(Lists.read(talk), cells)
    with pytest.raises(OptionsError, match="no row"):
        remove_correction(Lists.read(talk), 1)
    assert (talk / "corrections.csv").read_bytes() == before


def test_undo_writes_back_what_was_there_and_can_be_undone(talk):
    edit = add_correction(Lists.read(talk), BREAK)
    written = (talk / "corrections.csv").read_bytes()
    undone = undo(talk, edit)
    assert not (talk / "corrections.csv").exists()
    assert undo(talk, undone).version == edit.version
    assert (talk / "corrections.csv").read_bytes() == written
    (talk / "corrections.csv").write_bytes(written + b"# mine\n")
    with pytest.raises(OptionsError, match="changed since"):
        undo(talk, edit)


def test_an_edit_of_an_earlier_state_is_refused(talk):
    version = Lists.read(talk).version
    assert Lists.read(talk).check_version(version).version == version
    add_correction(Lists.read(talk), BREAK)
    with pytest.raises(OptionsError, match="changed in the meantime"):
        Lists.read(talk).check_version(version)


def test_a_person_is_named_and_renamed_with_all_tracks(talk):
    edit = name(talk, [1], "Ada")
    assert named(talk) == {1: {0.0: "Ada"}, 2: {0.0: "Ada"}, 3: {0.0: "Person 3"}}
    name(talk, [1], "Eda")
    assert named(talk)[2] == {0.0: "Eda"}
    assert (talk / "people.csv").read_text().count("\n") == 2
    assert [change.before for change in edit.changes] == [None]


def test_persons_are_merged(talk):
    name(talk, [3], "Bo")
    name(talk, [1, 3], "Ada")
    assert {text for pieces in named(talk).values() for text in pieces.values()} == {"Ada"}


def test_a_name_of_somebody_else_is_refused_as_are_no_names(talk):
    name(talk, [1], "Ada")
    for ids, text in (([3], "Ada"), ([3], " "), ([3], "x" * 201), ([9], "Zed"), ([], "Zed")):
        with pytest.raises(OptionsError):
            name(talk, ids, text)


@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.parametrize("track", [1, 2])
def test_a_track_is_split_off_and_the_rest_of_its_person_stays(talk, track, is_named):
    if is_named:
        # A row for one track is about all of its person.
        (talk / "people.csv").write_text("video_id,track_id,name\ntalk,1,Ada\n")
    rest = "Ada" if is_named else "Person 1"
    name_track(Lists.read(talk), persons(talk), track, "Bo")
    assert named(talk) == {track: {0.0: "Bo"}, 3 - track: {0.0: rest}, 3: {0.0: "Person 3"}}


def test_a_track_is_split_at_a_time_and_given_to_another_person(talk):
    name(talk, [3], "Cem")
    name_track(Lists.read(talk), persons(talk), 1, "Cem", from_s=12.345)
    assert named(talk)[1] == {0.0: "Person 1", 12.345: "Cem"}
    assert named(talk)[2] == {0.0: "Person 1"}
    name_track(Lists.read(talk), persons(talk), 1, "Dan", from_s=12.345)
    assert named(talk)[1] == {0.0: "Person 1", 12.345: "Dan"}
    with pytest.raises(OptionsError, match="no track 9"):
        name_track(Lists.read(talk), persons(talk), 9, "Zed")


def test_a_person_of_several_pieces_is_named_by_piece(talk):
    name_track(Lists.read(talk), persons(talk), 1, "Bo", from_s=12)
    name(talk, [1], "Ada")
    assert named(talk) == {1: {0.0: "Ada", 12.0: "Bo"}, 2: {0.0: "Ada"}, 3: {0.0: "Person 3"}}


def test_corrections_follow_their_person_to_a_new_name(talk):
    add_correction(Lists.read(talk), CorrectionCells("talk", "exclude", "1", "2", "Person 1"))
    edit = name(talk, [1], "Ada")
    assert [row.who.name for row in corrections(talk)] == ["Ada"]
    assert len(persons(talk).corrections.honoured) == 1
    assert {change.name for change in edit.changes} == {"people.csv", "corrections.csv"}
    name(talk, [1, 3], "Eda")
    assert [row.who.name for row in corrections(talk)] == ["Eda"]
    undo(talk, name(talk, [1], "Fay"))
    assert [row.who.name for row in corrections(talk)] == ["Eda"]
    assert len(persons(talk).corrections.honoured) == 1


def test_a_person_keeps_corrections_by_number_when_a_track_is_split_off(talk):
    add_correction(Lists.read(talk), CorrectionCells("talk", "exclude", "1", "2", "Person 1"))
    name_track(Lists.read(talk), persons(talk), 2, "Bo")
    assert len(persons(talk).corrections.honoured) == 1
    assert sorted(persons(talk).counted.of_persons) == [persons(talk).person_of[1][0.0]]


def test_texts_of_the_browser_become_no_formulas_and_no_further_rows(talk):
    name(talk, [1], "=cmd|' /C calc'!A0\ntalk,,3,Eve")
    add_correction(Lists.read(talk), CorrectionCells("talk", "exclude", "1", "2", note='+1\n"x"'))
    for file in ("people.csv", "corrections.csv"):
        rows = list(csv.reader(io.StringIO((talk / file).read_text())))
        assert len(rows) == 2
        assert not any(cell.startswith(("=", "+")) for cell in rows[1])
    assert named(talk)[3] == {0.0: "Person 3"}


@pytest.mark.parametrize("kind", ["folder", "link to a folder"])
def test_what_is_no_file_is_refused(talk, kind):
    (talk / "elsewhere").mkdir()
    if kind == "folder":
        (talk / "corrections.csv").mkdir()
    else:
        (talk / "corrections.csv").symlink_to(talk / "elsewhere")
    with pytest.raises((OptionsError, RecordsError)):
        add_correction(Lists.read(talk), BREAK)


def test_a_link_in_place_of_a_list_is_replaced_and_its_target_stays(talk, tmp_path_factory):
    target = tmp_path_factory.mktemp("elsewhere") / "mine.csv"
    target.write_text("video_id,action,start,end\n")
    (talk / "corrections.csv").symlink_to(target)
    add_correction(Lists.read(talk), BREAK)
    assert target.read_text() == "video_id,action,start,end\n"
    assert not (talk / "corrections.csv").is_symlink()


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.5, "1.5"), (12, "12"), (1.234, "1.2340"), (0.0004, "0"), (-1, "0")]
)
def test_times_are_written_unambiguously(seconds, text):
    assert format_seconds(seconds) == text


def test_times_written_among_decimal_commas_are_read_as_they_were_meant(talk):
    (talk / "corrections.csv").write_bytes(
        codecs.BOM_UTF8 + b"video_id;action;start;end\r\ntalk;exclude;1,5;2,25\r\n"
    )
    cells = CorrectionCells("talk", "exclude", format_seconds(4.125), format_seconds(5.0626))
    add_correction(Lists.read(talk), cells)
    assert [row.stretch for row in corrections(talk)] == [(1.5, 2.25), (4.125, 5.063)]


def test_a_file_is_put_together_from_its_records_again():
    for text in ("a,b\n1,2\n", "sep=|\r\na|b\r\n1|2", 'a,b\n"x\ny",2\n\n\n', "a\tb\n1\t2\n"):
        assert EditableCsv.parse(text.encode()).encode() == text.encode()
    with pytest.raises(OptionsError):
        EditableCsv.parse(b'a,b\n"x')
    with pytest.raises(OptionsError):
        EditableCsv.parse(b"a,b\n\xff\xff")


ADD_ROWS = """
import sys
from pathlib import Path
from ferflow.analytics.list_edits import CorrectionCells, Lists, add_correction
from ferflow.errors import OptionsError
out, first = Path(sys.argv[1]), int(sys.argv[2])
for k in range(first, first + 15):
    while True:
        try:
            add_correction(Lists.read(out), CorrectionCells("talk", "exclude", str(k / 10), str(k / 10 + 0.05)))
            break
        except OptionsError as error:
            assert "changed in the meantime" in str(error), error
"""


def test_no_edit_of_two_programs_at_once_is_lost(talk):
    """As of the application and a script; each reads the lists again and repeats what was refused."""
    programs = [
        subprocess.Popen([sys.executable, "-c", ADD_ROWS, str(talk), str(first)]) for first in (0, 100)
    ]
    assert [program.wait(60) for program in programs] == [0, 0]
    found = sorted(row.start_s for row in corrections(talk))
    assert found == pytest.approx([k / 10 for k in (*range(15), *range(100, 115))])


def test_an_edit_of_lists_that_changed_since_they_were_read_is_refused(talk):
    before = Lists.read(talk)
    add_correction(Lists.read(talk), BREAK)
    written = (talk / "corrections.csv").read_bytes()
    with pytest.raises(OptionsError, match="changed in the meantime"):
        add_correction(before, CorrectionCells("talk", "exclude", "8", "9"))
    assert (talk / "corrections.csv").read_bytes() == written


def test_what_lies_in_the_place_of_the_lock_is_left_alone(talk):
    (talk / ".lists.lock").symlink_to(talk / "precious")
    with pytest.raises(RecordsError, match="not a file of ferflow"):
        add_correction(Lists.read(talk), BREAK)
    assert not (talk / "precious").exists()
