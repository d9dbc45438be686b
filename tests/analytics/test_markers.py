"""Files of markers, stretches and marker-locked curves; truth worked out by hand or with pandas."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ferflow.analytics.csv_input import parse_csv
from ferflow.analytics.event_locked import lags, locked_curves, segments, segments_of
from ferflow.analytics.markers import (
    COLUMNS,
    LONGEST_LABEL,
    MARKERS,
    Marker,
    load_markers,
    markers_of,
    parse_rest,
    read_markers,
)
from ferflow.analytics.timeline import timeline_schema
from ferflow.errors import OptionsError
from ferflow.store.metadata import MarkersMetadata
from ferflow.store.records import write_table
from ferflow.store.video_files import VideoFiles
from tests.analytics.stored import store_markers
from tests.made_records import LABELS, Made, write_session

HOSTILE = '<img src=x onerror="alert(1)">\n"q" \u202egnp.exe שלום'


def parse_markers(text: str, name: str) -> list[Marker]:
    return markers_of(parse_csv(text, name, required=COLUMNS), name)


def marker_table(*rows: tuple) -> pa.Table:
    """(time_s, end_s, label, kind) as a table."""
    return pa.Table.from_pylist(
        [dict(zip(MARKERS.names, ("v", *row), strict=True)) for row in rows], schema=MARKERS
    )


def audience_of(engagement: list[float | None], bin_seconds: float = 1.0) -> pa.Table:
    """A timeline of one person; every measure is what is given, and so is the audience's."""
    schema = timeline_schema(LABELS)
    rows = []
    for k, value in enumerate(engagement):
        shared = {name: value for name in schema.names if name not in ("video_id", "person_id")}
        shared |= {"video_id": "v", "bin_start_s": k * bin_seconds, "bin_end_s": (k + 1) * bin_seconds}
        seen = 0 if value is None else 1
        shared |= {"n_frames": 10, "n_faces": seen, "n_people": seen, "n_readable": seen}
        shared |= {"seconds": bin_seconds, "face_s": seen * bin_seconds, "readable_s": seen * bin_seconds}
        rows.append(shared | {"person_id": None})
        if seen:
            rows.append(shared | {"person_id": 1})
    return pa.Table.from_pylist(rows, schema=schema)


def test_seconds_and_timecodes_ends_and_kinds_are_read():
    text = "time_s,label,end_s,kind\n12.5,boss,,event\n1:30.5,level,0:02:00,level\n"
    assert parse_markers(text, "m.csv") == [
        Marker(12.5, None, "boss", "event"),
        Marker(90.5, 120.0, "level", "level"),
    ]


def test_columns_may_come_in_any_order_with_others_between_and_blank_lines():
    text = "player,Label,TIME_S\nA,jump,3\n,,\n\nB,fall,1\n"
    assert [(m.time_s, m.label) for m in parse_markers(text, "m.csv")] == [(3.0, "jump"), (1.0, "fall")]


def test_semicolons_with_decimal_commas_are_what_half_of_the_world_exports():
    assert parse_markers("time_s;label;end_s\n1,5;a;2,25\n", "m.csv") == [Marker(1.5, 2.25, "a")]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes("\ufefftime_s,label\r\n1,ä\r\n".encode())
    assert read_markers(path).column("label").to_pylist() == ["ä"]


def test_markers_are_kept_in_order_of_time(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("time_s,label\n3,c\n1,a\n2,b\n")
    assert read_markers(path, "v").to_pydict() == {
        "video_id": ["v"] * 3, "time_s": [1.0, 2.0, 3.0], "end_s": [None] * 3, "label": ["a", "b", "c"],
        "kind": [""] * 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("", "must name the columns time_s, label"),
        ("time,label\n1,a\n", "it has: time, label"),
        ("time_s,label,label\n1,a,b\n", "once each"),
        ("time_s,label\nsoon,a\n", "line 2: time_s: 'soon' is not a time"),
        ("time_s,label\nnan,a\n", "is not a time"),
        ("time_s,label\ninf,a\n", "no place in a video"),
        ("time_s,label\n1,a\n--1,b\n", "line 3: time_s: '--1' is not a time"),
        ("time_s,label\n300f,a\n", "is not a time"),
        ("time_s,label\n1760000000000,a\n", "no place in a video"),
        ("time_s,label\n,a\n", "'' is not a time"),
        ("time_s,label\n1,\n", "without a label"),
        ("time_s,label\n1\n", "without a label"),
        ("time_s,label\n1,clap, loud\n", "line 2 has 3 cells under 2 columns"),
        ("time_s,label,end_s,kind\n5,a,5,rest\n", "end_s (5) must lie after time_s (5)"),
        ("time_s,label,end_s\n5,a,4\n", "must lie after"),
        (f"time_s,label\n1,{'x' * (LONGEST_LABEL + 1)}\n", "Shorten it"),
        ('time_s,label\n1,"a\n', "line 2 is not CSV"),
        ("time_s,label\n" + "1,a\n" * 20_001, "more than 20000 markers"),
    ],
)
def test_what_is_no_marker_is_refused_with_file_line_and_remedy(text, reported):
    with pytest.raises(OptionsError) as refused:
        parse_markers(text, "game.csv")
    message = str(refused.value)
    assert reported in message
    assert message.startswith("game.csv")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        (b"time_s,label\n1,\xff\n", "not UTF-8"),
        (b"\x00\x01\x02", "must name"),
        (b"x" * (8 * 2**20 + 1), "larger"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, reported):
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(OptionsError, match=reported):
        read_markers(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(OptionsError, match=r"gone\.csv: cannot be read"):
        read_markers(tmp_path / "gone.csv")
    with pytest.raises(OptionsError, match="cannot be read"):
        read_markers(tmp_path)


def test_a_hostile_label_comes_through_unchanged_and_a_hostile_name_stays_on_one_line(tmp_path):
    path = tmp_path / "m.csv"
    quoted = HOSTILE.replace('"', '""')
    path.write_text(f'time_s,label\n1,"{quoted}"\n', encoding="utf-8")
    assert read_markers(path).column("label").to_pylist() == [HOSTILE]
    with pytest.raises(OptionsError) as refused:
        read_markers(tmp_path / "a\nb\u202e.csv")
    assert "\n" not in str(refused.value)
    assert "\u202e" not in str(refused.value)


def test_kept_markers_are_found_again_without_the_file(tmp_path):
    paths, path = VideoFiles(tmp_path, "v"), tmp_path / "m.csv"
    assert len(load_markers(paths)) == 0
    path.write_text("time_s,label\n1,a\n")
    assert store_markers(paths, path)
    assert not store_markers(paths, path)
    path.write_text("time_s,label\n2,a\n")
    assert store_markers(paths, path)
    path.write_text("time_s\n")
    with pytest.raises(OptionsError):
        store_markers(paths, path)
    path.unlink()
    assert load_markers(paths).column("time_s").to_pylist() == [2.0]
    assert pd.read_parquet(paths.markers).label.tolist() == ["a"]


@pytest.mark.parametrize(
    ("text", "marker"),
    [
        ("0:00-0:10", Marker(0.0, 10.0, "rest", "rest")),
        ("1.5-1:02:03.5", Marker(1.5, 3723.5, "rest", "rest")),
        ("Ada=2-8", Marker(2.0, 8.0, "Ada", "rest")),
        (" Ada Lovelace = 2-8", Marker(2.0, 8.0, "Ada Lovelace", "rest")),
        ("a=b=2-8", Marker(2.0, 8.0, "a=b", "rest")),
        ("=2-8", Marker(2.0, 8.0, "rest", "rest")),
    ],
)
def test_a_stretch_at_rest_has_two_times_and_may_name_a_person(text, marker):
    assert parse_rest(text) == marker


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("0:10", "give start and end"),
        ("none", "give start and end"),
        ("", "give start and end"),
        ("Ada", "give start and end"),
        ("8-2", "must lie after"),
        ("2-2", "must lie after"),
        ("-8", "is not a time"),
        ("Ada=soon-8", "'soon' is not a time"),
        (f"{'x' * 301}=2-8", "Shorten it"),
        ("a\nb=2", "give start and end"),
    ],
)
def test_what_is_no_stretch_at_rest_is_refused_on_one_line(text, reported):
    with pytest.raises(OptionsError) as refused:
        parse_rest(text)
    assert reported in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_rest_without_an_end_is_refused_and_other_kinds_need_none():
    rows = parse_markers("time_s,label,end_s,kind\n1,Ada,9,rest\n2,a,,rested\n", "m.csv")
    assert rows == [Marker(1.0, 9.0, "Ada", "rest"), Marker(2.0, None, "a", "rested")]
    with pytest.raises(OptionsError, match=r"m\.csv, line 2: a marker of kind rest needs end_s"):
        parse_markers("time_s,label,end_s,kind\n1,Ada,,rest\n", "m.csv")


def test_stretches_at_rest_are_stored_with_the_markers_of_a_file_and_outlive_each_other(tmp_path):
    paths, path = VideoFiles(tmp_path, "v"), tmp_path / "m.csv"

    def stored() -> list[tuple]:
        table = pd.read_parquet(paths.markers)
        assert (table.video_id == "v").all()
        return list(zip(table.time_s, table.label, table.kind, strict=True))

    assert store_markers(paths, None, ["3-9", "Ada=1-2"])
    assert stored() == [(1.0, "Ada", "rest"), (3.0, "rest", "rest")]
    assert not store_markers(paths, None)
    assert not store_markers(paths, None, ["3-9", "Ada=1-2"])
    path.write_text("time_s,label,end_s,kind\n2,clap,,\n5,Bo,7,rest\n")
    assert store_markers(paths, path)
    assert [row[0] for row in stored()] == [1.0, 2.0, 3.0, 5.0]
    assert store_markers(paths, path, ["4-9"])
    assert stored() == [(2.0, "clap", ""), (4.0, "rest", "rest"), (5.0, "Bo", "rest")]
    path.unlink()
    assert store_markers(paths, None, [])
    # What the file says stays, a stretch at rest too.
    assert stored() == [(2.0, "clap", ""), (5.0, "Bo", "rest")]


@pytest.mark.parametrize("kind", ["rest", "REST", " Rest ", "rEsT\t"])
def test_the_case_of_a_kind_and_spaces_around_it_do_not_matter(kind):
    (one,) = parse_markers(f'time_s,label,end_s,kind\n0,Ada,10,"{kind}"\n', "m.csv")
    assert one.kind == "rest"
    with pytest.raises(OptionsError, match="needs end_s"):
        parse_markers(f'time_s,label,kind\n0,Ada,"{kind}"\n', "m.csv")


def test_chapters_in_capitals_last_until_the_next_one(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("time_s,label,kind\n0,one,SEGMENT\n10,two, Segment\n")
    found = segments_of(read_markers(path), 30.0)
    assert [(part.start_s, part.end_s) for part in found] == [(0, 10), (10, 30)]


def test_other_kinds_stay_as_they_are_written():
    (one,) = parse_markers("time_s,label,kind\n0,a, Boss Fight \n", "m.csv")
    assert one.kind == "Boss Fight"


def test_kinds_stored_by_an_earlier_version_are_read_alike(tmp_path):
    files = VideoFiles(tmp_path, "talk-1")
    write_table(files.markers, marker_table((0.0, 10.0, "Ada", "REST")), MarkersMetadata(video_id="talk-1"))
    assert load_markers(files).column("kind").to_pylist() == ["rest"]


def test_times_before_the_video_are_allowed_and_count_as_far_as_they_lie_in_it():
    """A baseline from -10 to -5 s, a segment from -5 to 5 s, an instant at -1 s; the video has 10 s."""
    found = parse_markers("time_s,label,end_s\n-10,baseline,-0:05\n-5,opening,5\n-1,go,\n", "m.csv")
    assert found == [
        Marker(-10.0, -5.0, "baseline"), Marker(-5.0, 5.0, "opening"), Marker(-1.0, None, "go"),
    ]  # fmt: skip
    markers = marker_table(*((one.time_s, one.end_s, one.label, one.kind) for one in found))
    timeline = audience_of([1.0] * 5 + [0.0] * 5)
    rows = segments(timeline, markers).to_pylist()
    assert [(row["label"], row["start_s"], row["end_s"], row["engagement"]) for row in rows] == [
        ("opening", 0.0, 5.0, 1.0)
    ]
    assert len(locked_curves(timeline, markers)) == 0


def test_without_any_marker_no_table_is_written(tmp_path):
    paths = VideoFiles(tmp_path, "v")
    for rest in (None, []):
        assert not store_markers(paths, None, rest)
    assert not paths.markers.exists()


def test_a_stretch_weighs_bins_by_what_lies_in_it():
    table = segments(
        audience_of([0.0, 1.0, 0.5, None]), marker_table((0.5, 2.5, "a", ""), (3.0, 9.0, "b", ""))
    )
    first, second = table.to_pylist()
    assert first["engagement"] == pytest.approx((0.5 * 0.0 + 1.0 * 1.0 + 0.5 * 0.5) / 2)
    assert (first["n_people"], second["n_people"]) == (1, 0)
    assert second["engagement"] is None
    assert second["end_s"] == 4.0  # not past the end of the video


def test_a_stretch_weighs_people_by_their_readable_time_and_attention_by_time_in_view():
    table = audience_of([0.0, 1.0]).to_pandas()
    one, other = table[table.person_id == 1], table[table.person_id == 1].assign(person_id=2)
    one = one.assign(face_s=[1.0, 0.6], readable_s=[0.2, 0.6])
    other = other.assign(face_s=[1.0, 1.0], readable_s=[0.0, 1.0], attention=[0.4, 0.4])
    other.iloc[0, other.columns.get_loc("engagement")] = np.nan
    rows = pd.concat([table[table.person_id.isna()], one, other]).sort_values("bin_start_s", kind="stable")
    timeline = pa.Table.from_pandas(rows, schema=timeline_schema(LABELS), preserve_index=False)
    (got,) = segments(timeline, marker_table((0.5, 2.0, "a", ""))).to_pylist()
    assert got["engagement"] == pytest.approx((0.5 * 0.2 * 0.0 + 0.6 * 1.0 + 1.0 * 1.0) / (0.1 + 0.6 + 1.0))
    assert got["attention"] == pytest.approx((0.6 * 1.0 + 0.5 * 0.4 + 1.0 * 0.4) / (0.5 + 0.6 + 0.5 + 1.0))
    assert got["n_people"] == 2


def test_chapters_last_until_the_next_one():
    chapters = marker_table(
        (1.0, None, "one", "segment"), (2.0, None, "x", ""), (3.0, None, "two", "segment")
    )
    table = segments(audience_of([0.1] * 5), chapters)
    assert [(row["label"], row["start_s"], row["end_s"]) for row in table.to_pylist()] == [
        ("one", 1.0, 3.0), ("two", 3.0, 5.0),
    ]  # fmt: skip


def test_a_locked_curve_is_mean_and_spread_of_the_bins_around():
    values = [k / 100 for k in range(40)]
    curves = locked_curves(
        audience_of(values), marker_table((10.4, None, "a", ""), (20.0, None, "a", ""))
    ).to_pandas()
    rows = curves[curves.measure == "engagement"].set_index("lag_s")
    assert list(rows.index) == list(range(-5, 11))
    assert rows.loc[3, "mean"] == pytest.approx((0.13 + 0.23) / 2, abs=1e-6)
    assert rows.loc[3, "sd"] == pytest.approx(np.std([0.13, 0.23], ddof=1), abs=1e-6)
    assert (rows.n == 2).all()
    assert set(curves.measure) >= {"engagement", "valence", *(f"prob_{label}" for label in LABELS)}


def test_near_the_ends_and_in_gaps_fewer_markers_count_and_one_has_no_spread():
    values = [0.5] * 12
    values[7] = None
    curves = locked_curves(
        audience_of(values), marker_table((2.0, None, "a", ""), (6.0, None, "a", ""))
    ).to_pandas()
    rows = curves[curves.measure == "engagement"].set_index("lag_s")
    assert rows.n.to_dict() == {
        -5: 1, -4: 1, -3: 1, -2: 2, -1: 2, 0: 2, 1: 1, 2: 2, 3: 2, 4: 2, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1, 10: 0,
    }  # fmt: skip
    assert math.isnan(rows.loc[1, "sd"])
    assert math.isnan(rows.loc[10, "mean"])


def test_labels_with_most_markers_come_first_and_those_after_the_end_do_not_count():
    table = marker_table(
        (1.0, None, "a", ""), (1.0, None, "b", ""), (2.0, None, "b", ""), (99.0, None, "c", "")
    )
    curves = locked_curves(audience_of([0.1] * 5), table)
    assert list(dict.fromkeys(zip(*curves.select(["label", "n_markers"]).to_pydict().values(), strict=True))) == [
        ("b", 2), ("a", 1),
    ]  # fmt: skip
    assert set(locked_curves(audience_of([0.1] * 5), table, most=1).column("label").to_pylist()) == {"b"}


def test_lags_are_whole_bins_and_hold_the_marker():
    for length in (0.02, 0.1, 0.5, 1.0, 2.0, 4.0, 30.0):
        at = lags(length)
        assert 0.0 in at
        assert at.min() >= -5 - 1e-9
        assert at.max() <= 10 + 1e-9
        assert len(at) <= 151
        np.testing.assert_allclose(at / length, np.round(at / length), atol=1e-9)


def test_no_markers_and_no_bins_are_nothing_to_fear(tmp_path):
    empty = timeline_schema(LABELS).empty_table()
    one = marker_table((1.0, 2.0, "a", ""))
    assert len(segments(empty, one)) == len(locked_curves(empty, one)) == 0
    assert len(locked_curves(audience_of([0.1]), MARKERS.empty_table())) == 0


def test_a_session_keeps_its_markers_when_it_is_analysed_again(tmp_path):
    made = Made(seconds=12, markers=((1.0, None, "a", ""),))
    write_session(tmp_path, made)
    write_session(tmp_path, Made(seconds=12))
    assert len(load_markers(VideoFiles(tmp_path, made.video_id))) == 1
