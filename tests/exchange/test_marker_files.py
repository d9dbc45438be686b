"""Files that programs of a laboratory write: each recognised by its content, with the times that it says."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path

import pympi
import pytest

from ferflow.analytics.markers import Marker
from ferflow.errors import OptionsError
from ferflow.exchange.elan import tiers_of_markers
from ferflow.exchange.file_clock import SAME_CLOCK, FileClock, parse_clock_map
from ferflow.exchange.marker_files import find_marker_file, read_marker_file, read_transcript_file
from tests.desks.lab_tables import DIALECTS, FOREIGN, MARKERS, Dialect
from tests.exchange import xdf_writer
from tests.torture.films import film


def read(folder: Path, content: bytes | str, name: str = "events.bin") -> list[Marker]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_marker_file(path)


def refused(folder: Path, content: bytes | str) -> str:
    with pytest.raises(OptionsError) as error:
        read(folder, content)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(folder))
    return message


SMILE = Marker(1.5, 2.5, "smile", "face")
EXPECTED = {
    "BORIS": [Marker(1.5, 2.5, "smile", "Ada"), Marker(4.0, None, "blink", "Ada")],
    "BORIS, version 8": [Marker(1.5, 2.5, "smile", "Ada"), Marker(4.0, None, "blink", "Ada")],
    "BORIS, events": [Marker(1.5, None, "smile", "Ada")],
    "ELAN": [SMILE],
    "ELAN, tiers as rows": [SMILE],
    "ELAN, with the media": [SMILE],
    "ELAN, several files": [SMILE],
    "PsychoPy": [Marker(1.5, 2.5, "image", "trials")],
    "PsychoPy, semicolons": [Marker(1.5, 2.5, "image", "trials")],
    "PsychoPy, before the first loop": [Marker(0.03, None, "welcome")],
    "BIDS": [Marker(1.5, 2.5, "smile"), Marker(4.0, None, "blink")],
    "BIDS, without types": [Marker(1.5, None, "2")],
}


@pytest.mark.parametrize("program", FOREIGN)
def test_an_export_of_another_program_is_read_with_its_times_labels_and_kinds(tmp_path, program):
    assert read(tmp_path, FOREIGN[program]) == EXPECTED[program]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "program", [name for name in FOREIGN if "semicolons" not in name and "several" not in name]
)
def test_byte_order_marks_and_utf_16_change_nothing(tmp_path, program, encoding):
    assert read(tmp_path, FOREIGN[program].encode(encoding)) == EXPECTED[program]


@pytest.mark.parametrize("program", DIALECTS)
def test_a_table_of_ours_is_read_as_before(tmp_path, program):
    expected = [Marker(1.5, None, "clap"), Marker(2.25, 4.0, "über", "scene")]
    assert read(tmp_path, DIALECTS[program].write(MARKERS)) == expected


EXCEL = Dialect(line_end="\r\n", encoding="utf-8-sig", delimiter=";", decimal=",")


def rows_of(text: str) -> list[list[str]]:
    delimiter = max(",\t", key=text.partition("\n")[0].count)
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


@pytest.mark.parametrize("program", ["BORIS", "BORIS, version 8", "PsychoPy", "BIDS"])
def test_a_table_that_excel_saved_with_semicolons_and_decimal_commas_says_the_same(tmp_path, program):
    assert read(tmp_path, EXCEL.write(rows_of(FOREIGN[program]))) == EXPECTED[program]


def test_a_number_that_may_be_two_is_refused(tmp_path):
    text = 'image.started,psychopyVersion\n"1,234",2024\n'
    assert "may be 1.234 or 1234" in refused(tmp_path, text)


def test_psychopy_with_hundreds_of_columns_and_rows(tmp_path):
    """As a builder experiment of 60 components writes it: what did not run is empty or None."""
    components = [f"stim_{k}" for k in range(60)]
    header = ["trials.thisRepN", "trials.thisN", *(f"{one}.{what}" for one in components for what in (
        "started", "stopped", "x", "y", "rt", "keys"))]  # fmt: skip
    rows, expected = [], []
    for trial in range(300):
        cells = ["0", str(trial)]
        for k, one in enumerate(components):
            ran = k == trial % 60
            start = trial * 2 + k / 100
            end = f"{start + 0.5}" if k % 2 else "None"
            cells += [f"{start}", end, "1", "2", "", ""] if ran else ["None", "", "", "", "", ""]
            if ran:
                expected.append(Marker(start, start + 0.5 if k % 2 else None, one, "trials"))
        rows.append(cells)
    text = io.StringIO()
    csv.writer(text).writerows([[*header, "psychopyVersion", ""], *([*row, "2024.2.4", ""] for row in rows)])
    assert len(header) > 360
    assert read(tmp_path, text.getvalue()) == expected


def test_an_event_without_a_name_and_a_time_beyond_all_numbers(tmp_path):
    assert read(tmp_path, ".started,psychopyVersion\n0.4,2024\n") == [Marker(0.4, None, "event")]
    text = f"Tier\tBegin Time - msec\tEnd Time - msec\tAnnotation\nface\t1500\t{'9' * 400}\tsmile\n"
    assert "is no time in milliseconds" in refused(tmp_path, text)


def test_boris_pairs_starts_with_stops_by_subject_and_modifier(tmp_path):
    text = (
        "Observation id\tSubject\tBehavior\tModifiers\tBehavior type\tTime\n"
        "o\tAda\tsmile\tleft\tSTART\t1\n"
        "o\tBen\tsmile\t\tSTART\t2\n"
        "o\tAda\tsmile\tleft\tSTOP\t3.5\n"
        "o\tNo focal subject\tclap\t\tPOINT\t4\n"
        "o\tBen\tsmile\t\tSTOP\t5\n"
        "o\tBen\tfrown\t\tSTART\t6\n"
    )
    assert read(tmp_path, text) == [
        Marker(1, 3.5, "smile (left)", "Ada"), Marker(2, 5, "smile", "Ben"), Marker(4, None, "clap"),
        Marker(6, None, "frown", "Ben"),
    ]  # fmt: skip
    assert "2 observations" in refused(tmp_path, text + "p\tBen\tfrown\t\tSTART\t6\n")


def write_eaf(path: Path, tiers: dict[str, list[tuple[int, int, str]]]) -> Path:
    file = pympi.Elan.Eaf(author="a lab")
    file.remove_tier("default")
    for name, rows in tiers.items():
        file.add_tier(name)
        for start, end, text in rows:
            file.add_annotation(name, start, end, text)
    file.to_file(str(path))
    return path


TIERS = {
    "Gaze Ada": [
        (0, 1, "blink"), (1, 999, "left <&> \u201cright\u201d"), (999, 1000, "blink"), (12_345, 3_600_123, "away"),
    ],
    "Gaze Ben": [(500, 1500, "ünïcode 😀"), (1500, 2500, "=1+1")],
    "notes": [(7, 77_777, "a\u00a0note; with, signs in it")],
}  # fmt: skip


def test_elan_to_markers_to_elan_without_loss(tmp_path):
    found = read_marker_file(write_eaf(tmp_path / "a.eaf", TIERS))
    tiers = tiers_of_markers(found)
    assert tiers == TIERS
    again = read_marker_file(write_eaf(tmp_path / "b.eaf", tiers))
    assert again == found
    assert tiers_of_markers(again) == tiers


def test_elan_to_a_session_and_back_by_the_commands(own_folder, tmp_path, ferflow):
    """A coder's file is given to a report, and comes out of an export as it was."""
    tiers = {"Coder 1": [(1000, 2500, "smile"), (2500, 2501, "blink")], "Coder 2": [(1200, 2600, "smile")]}
    eaf = write_eaf(tmp_path / "coded.eaf", tiers)
    done = ferflow("report", own_folder, "--markers", eaf)
    assert done.code == 0, done.text
    assert ferflow("export", own_folder, "-f", "elan", "-o", tmp_path / "x").code == 0
    file = pympi.Elan.Eaf(str(tmp_path / "x" / "elan" / "two-00000002.eaf"))
    assert {name: sorted(file.get_annotation_data_for_tier(name)) for name in tiers} == tiers


def test_elan_files_with_referring_and_unaligned_annotations(tmp_path):
    text = """<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="a.mp4" TIME_ORIGIN="500"/></HEADER><TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2000"/></TIME_ORDER>
    <TIER TIER_ID="words"><ANNOTATION>
    <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
    <ANNOTATION_VALUE>one</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
    <TIER TIER_ID="gloss" PARENT_REF="words"><ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a2" ANNOTATION_REF="a1">
    <ANNOTATION_VALUE></ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"""
    assert read(tmp_path, text) == [Marker(1.5, 2.0, "one", "words"), Marker(1.5, 2.0, "gloss", "gloss")]
    assert "refers to none" in refused(tmp_path, text.replace('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a2"'))


_ENTITIES = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 10))
BOMB = (
    f'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY l0 "lol">{_ENTITIES}]>'
    "<ANNOTATION_DOCUMENT>&l9;</ANNOTATION_DOCUMENT>"
)


def test_a_document_type_is_refused_before_an_entity_is_expanded(tmp_path):
    assert "a document type (DOCTYPE)" in refused(tmp_path, BOMB)
    outside = '<!DOCTYPE a SYSTEM "file:///etc/passwd"><ANNOTATION_DOCUMENT/>'
    assert "a document type (DOCTYPE)" in refused(tmp_path, outside)
    assert "more than 100 elements" in refused(tmp_path, "<?xml version='1.0'?>" + "<a>" * 200_000)
    assert "no sound XML" in refused(tmp_path, "<?xml version='1.0'?><ANNOTATION_DOCUMENT>")
    assert "no file of ELAN" in refused(tmp_path, "<?xml version='1.0'?><svg/>")


def stamp(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"


def two_hours_of_speech() -> tuple[str, list[tuple[float, float]]]:
    """SubRip as speech recognition writes it, a cue every three seconds."""
    blocks, times = [], []
    for k in range(2400):
        start, end = k * 3.0, k * 3.0 + 2.4
        text = f"<i>line {k}</i>\r\nsecond {{\\an8}}line"
        blocks.append(f"{k + 1}\r\n{stamp(start)} --> {stamp(end)}\r\n{text}\r\n\r\n")
        times.append((round(start, 3), round(end, 3)))
    return "".join(blocks), times


def test_a_transcript_of_two_hours_is_speech(tmp_path):
    text, times = two_hours_of_speech()
    found = read(tmp_path, text)
    assert [(round(one.time_s, 3), round(one.end_s, 3)) for one in found] == times
    assert found[7] == Marker(21.0, 23.4, "line 7 second line", "speech")


def test_web_vtt_of_ours_and_of_others(tmp_path):
    text = (
        "WEBVTT - made elsewhere\n\nNOTE\nA note --> not a cue\n\nSTYLE\n::cue { color: red }\n\nintro\n"
        "00:01.000 --> 00:02.500 align:start\n<v.loud Ada Lovelace>Hello &amp; <b>welcome</b></v>\n\n"
        "00:00:03.000 --> 00:00:04.000\n\n"
        "01:00:05.000 --> 01:00:06.000\n- one\n- two\n"
    )
    assert read(tmp_path, text) == [
        Marker(1.0, 2.5, "Ada Lovelace: Hello & welcome", "speech"),
        Marker(3605.0, 3606.0, "- one - two", "speech"),
    ]
    path = tmp_path / "m.csv"
    path.write_text("time_s,label\n1,a\n")
    with pytest.raises(OptionsError, match="no transcript"):
        read_transcript_file(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n",
        b"time_s,label\n1,a\n",
        b"00:00:05 Boss\n00:01:05 Menu\n",
        b"WEBVTT\n\n",
        b"1\n00:00:01,000 --> 00:00:02,000\n\n",
        "1\n00:00:01,000 --> 00:00:02,000\nJörg\n".encode("latin-1"),
        b"\x1aE\xdf\xa3" + bytes(range(256)),
        None,
    ],
)
def test_what_is_no_transcript_is_refused_as_such(tmp_path, content):
    path = tmp_path / "talk.srt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionsError) as error:
        read_transcript_file(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "transcript" in message
    assert "\n" not in message
    assert not any(word in message for word in ("marker", "event", "CSV", "spreadsheet", "time_s"))


def test_a_transcript_with_more_cues_than_a_page_can_show_is_refused(tmp_path):
    path = tmp_path / "talk.vtt"
    cue = "00:01.000 --> 00:02.000\nyes\n\n"
    path.write_text("WEBVTT\n\n" + 20_001 * cue)
    with pytest.raises(OptionsError, match="more than 20000 cues in this transcript"):
        read_transcript_file(path)


def test_chapters_of_obs_in_recordings_texts_and_logs(tmp_path):
    assert read(tmp_path, "00:00:05 Boss\n00:01:05 - Menu\n") == [
        Marker(5, None, "Boss", "chapter"), Marker(65, None, "Menu", "chapter"),
    ]  # fmt: skip
    log = (
        "23:59:50.100: OBS 30.1.2\n23:59:58.000: ==== Recording Start ===============================================\n"
        "23:59:59.500: User switched to scene 'Game <1>'\n"
        "00:00:02.250: [ffmpeg muxer: 'Replay Buffer'] Wrote replay buffer to '/home/me/Replay 2024.mkv'\n"
        "00:00:09.000: ==== Recording Stop ================================================\n"
    )
    assert read(tmp_path, log) == [
        Marker(1.5, None, "Game <1>", "scene"), Marker(4.25, None, "replay saved", "Replay 2024.mkv"),
    ]  # fmt: skip
    assert "2 recordings" in refused(tmp_path, log + log)


@pytest.mark.parametrize("muxer", ["mp4", "matroska"])
def test_chapters_of_a_recording_that_ffmpeg_wrote(tmp_path, muxer):
    film(n=12, muxer=muxer)(tmp_path / "plain")
    (tmp_path / "meta.txt").write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=Menu\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=200\nEND=400\ntitle=Böss\n"
    )
    out = tmp_path / "recording.bin"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", tmp_path / "plain", "-i", tmp_path / "meta.txt", "-map_metadata", "1",
         "-codec", "copy", "-f", muxer, out],
        check=True,
    )  # fmt: skip
    command = ["ffprobe", "-v", "error", "-show_chapters", "-of", "json", out]
    shown = subprocess.run(command, check=True, capture_output=True)
    expected = [
        Marker(float(one["start_time"]), float(one["end_time"]), one["tags"]["title"], "chapter")
        for one in json.loads(shown.stdout)["chapters"]
    ]
    assert [one.label for one in expected] == ["Menu", "Böss"]
    assert read_marker_file(out) == expected
    with pytest.raises(OptionsError, match="no events"):
        read_marker_file(tmp_path / "plain")


def test_xdf_is_placed_by_the_lsl_clock_of_the_video(tmp_path):
    """The markers' machine is 100 s behind: 401.5 s there is 501.5 s of the recorder, 1.5 s after the first frame."""
    found = read(tmp_path, xdf_writer.recording())
    assert [(round(one.time_s, 6), one.label, one.kind) for one in found] == [
        (1.5, "clap", "psychopy"), (4.25, "über", "psychopy"),
    ]  # fmt: skip
    alone = read(tmp_path, xdf_writer.recording(with_video=False))
    assert [round(one.time_s, 6) for one in alone] == [0.0, 2.75]


def test_damaged_xdf_is_refused(tmp_path):
    content = xdf_writer.recording()
    assert "longer than the file" in refused(tmp_path, content[:-3])
    huge = xdf_writer.file_header() + xdf_writer.stream_header(1, "a", "Markers", "string", 9999)
    assert "more samples than bytes" in refused(tmp_path, huge + xdf_writer.text_samples(1, [(1.0, "x")]))
    bomb = xdf_writer.file_header() + xdf_writer.chunk(2, b"\x01\0\0\0" + BOMB.encode())
    assert "a document type" in refused(tmp_path, bomb)
    unknown = xdf_writer.file_header() + xdf_writer.text_samples(7, [(1, "x")])
    assert "which it does not describe" in refused(tmp_path, unknown)


def test_xdf_without_the_library_says_what_to_install(tmp_path, monkeypatch):
    from ferflow.exchange import xdf

    monkeypatch.setattr("importlib.util.find_spec", lambda *names: None)
    (tmp_path / "a.xdf").write_bytes(xdf_writer.recording())
    with pytest.raises(OptionsError, match=r"needs pyxdf\. Install it: pip install 'ferflow\[exchange\]'"):
        xdf.read_xdf(tmp_path / "a.xdf")


def test_an_offset_and_two_points_place_events_in_the_video():
    assert parse_clock_map("-1:30,5").place(Marker(100.0, 101.0, "a")) == Marker(9.5, 10.5, "a")
    clock = parse_clock_map("10=12.5, 10:10=613.1")
    assert clock.to_video(10) == 12.5
    assert clock.to_video(610) == 613.1
    assert clock.to_video(310) == pytest.approx(312.8)
    assert parse_clock_map("0") == FileClock(0.0) == SAME_CLOCK
    for text in ("", "x", "1=2", "1=2,3=4,5=6", "1=2,1=3", "0=0,10=20", "=,="):
        with pytest.raises(OptionsError, match="offset of markers"):
            parse_clock_map(text)


def test_the_file_next_to_a_video_has_its_stem(tmp_path):
    video = tmp_path / "my.talk.mp4"
    assert find_marker_file(video) is None
    (tmp_path / "my.talk.markers.eaf").write_text("")
    assert find_marker_file(video).name == "my.talk.markers.eaf"
    (tmp_path / "my.talk.markers.csv").write_text("time_s,label\n")
    assert find_marker_file(video).name == "my.talk.markers.csv"
    assert find_marker_file(tmp_path / ("x" * 300)) is None


def test_what_cannot_be_opened_is_one_line(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(OptionsError, match="cannot be read"):
            read_marker_file(path)
