"""Files of signals, what is stored of them, and their bins; truth worked out by hand or with pandas."""

from __future__ import annotations

import csv
import io
import json
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ferflow.analytics.signal_input import (
    LONGEST_NAME,
    find_signals_file,
    read_signal_file,
)
from ferflow.analytics.signals import (
    SIGNALS,
    Signal,
    StoredSignals,
    bin_signals,
    load_signals,
    place_signals,
    store_signals,
)
from ferflow.errors import OptionsError
from ferflow.store.metadata import RecordingStart
from ferflow.store.video_files import VideoFiles
from tests.conftest import some_slow
from tests.made_records import Made, write_session

HOSTILE = '<img src=x onerror="alert(1)">\u202egnp.exe שלום =1+1'
NOON = datetime(2024, 5, 12, 12, 0, 0, tzinfo=UTC)


def given(moment: datetime) -> RecordingStart:
    return RecordingStart(time=moment, origin="option")


def write(folder: Path, text: str, name: str = "play.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def read(
    folder: Path, text: str, name: str = "play.csv", start: datetime | None = None
) -> dict[str, list[tuple]]:
    """Samples as (seconds, value) by name, None where the value is not known."""
    file = read_signal_file(write(folder, text, name))
    return {one.name: samples_of(one) for one in place_signals(file, start and given(start))}


def samples_of(signal: Signal) -> list[tuple[float, float | None]]:
    values = [None if np.isnan(value) else float(value) for value in signal.value]
    return list(zip(signal.time_s.tolist(), values, strict=True))


def curve(*samples: tuple[float, float | None], name: str = "s") -> Signal:
    times, values = zip(*samples, strict=True)
    return Signal(name, np.array(times, float), np.array([np.nan if v is None else v for v in values], float))


# --- Reading --------------------------------------------------------------------------------------------


def test_one_table_can_be_written_in_four_ways(tmp_path):
    truth = {"health": [(0.0, 100.0), (1.5, 80.0)], "heart rate [bpm]": [(0.0, 71.0), (1.5, 72.5)]}
    wide = "time_s,health,heart rate [bpm]\n0,100,71\n1.5,80,72.5\n"
    long = (
        "time_s,name,value\n0,health,100\n0,heart rate [bpm],71\n1.5,health,80\n1.5,heart rate [bpm],72.5\n"
    )
    rows = [
        {"time_s": 0, "health": 100, "heart rate [bpm]": 71},
        {"time_s": 1.5, "health": 80, "heart rate [bpm]": 72.5},
    ]
    singles = [{"time_s": row["time_s"], "name": name, "value": row[name]} for row in rows for name in truth]
    assert read(tmp_path, wide) == truth
    assert read(tmp_path, long) == truth
    assert read(tmp_path, "\n".join(map(json.dumps, rows)), "play.jsonl") == truth
    assert read(tmp_path, "\n".join(map(json.dumps, singles)) + "\n\n", "play.ndjson") == truth


def test_semicolons_decimal_commas_a_byte_order_mark_and_carriage_returns_are_read(tmp_path):
    text = "\ufeffTime_S;Puls [1/min]\r\n0,5;71,25\r\n1,5;72\r\n"
    assert read(tmp_path, text) == {"Puls [1/min]": [(0.5, 71.25), (1.5, 72.0)]}


def test_a_comma_within_a_cell_of_a_comma_separated_file_is_not_guessed_to_be_decimal(tmp_path):
    text = 'time_s,score\n0,"1,234"\n1,1300\n'
    with pytest.raises(
        OptionsError, match=r"line 2: score: '1,234' may be 1\.234 or 1234\. Write one of the two\."
    ):
        read(tmp_path, text)


def test_an_empty_cell_is_no_sample_and_what_is_no_number_is_unknown(tmp_path):
    text = "time_s,a,b\n0,1,1\n1,,NaN\n2,,n/a\n3,-inf,\n4,+2,1e999\n5,.5,True\n"
    assert read(tmp_path, text) == {
        "a": [(0.0, 1.0), (3.0, None), (4.0, 2.0), (5.0, 0.5)],
        "b": [(0.0, 1.0), (1.0, None), (2.0, None), (4.0, None), (5.0, None)],
    }
    values = ["1", "null", "NaN", '"x"', '"7"', "true", "[1]", "9" * 400]
    lines = "".join(f'{{"time_s":{k},"a":{value}}}\n' for k, value in enumerate(values))
    assert read(tmp_path, lines, "p.jsonl") == {
        "a": [(0.0, 1.0), (2.0, None), (3.0, None), (4.0, 7.0), (5.0, None), (6.0, None), (7.0, None)]
    }


def test_keys_may_come_and_go_from_line_to_line(tmp_path):
    lines = '{"time_s":0,"a":1}\n{"b":5,"time_s":1}\n{"time_s":2}\n{"time_s":3,"a":2,"c":"text"}\n'
    assert read(tmp_path, lines, "p.jsonl") == {"a": [(0.0, 1.0), (3.0, 2.0)], "b": [(1.0, 5.0)]}


def test_rows_come_in_any_order_and_the_last_of_equal_times_counts(tmp_path):
    assert read(tmp_path, "a,time_s\n3,2\n1,0\n9,1\n2,1\n") == {"a": [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]}


def test_samples_before_the_video_and_timecodes_are_times_of_it(tmp_path):
    assert read(tmp_path, "time_s,a\n-3.5,1\n0:01:30.5,2\n") == {"a": [(-3.5, 1.0), (90.5, 2.0)]}


def test_columns_without_any_number_are_left_out_and_named(tmp_path):
    path = write(tmp_path, "time_s,level,health,empty,video_id,\n0,cave,5,,v,1\n1,hall,6,,v,1\n")
    file = read_signal_file(path)
    assert (list(file.samples), file.left_out) == (["health"], ("level", "empty"))


def test_blank_rows_short_rows_and_quoted_line_breaks_are_read_like_any_csv(tmp_path):
    text = 'time_s,a,b,note\n\n0,1,2,"two\nlines"\n,,,\n  \n1,3\n2,4,5,,,\n'
    assert read(tmp_path, text) == {"a": [(0.0, 1.0), (1.0, 3.0), (2.0, 4.0)], "b": [(0.0, 2.0), (2.0, 5.0)]}


def test_a_file_of_nothing_but_a_header_has_no_signals(tmp_path):
    assert (
        read(tmp_path, "time_s,health\n")
        == read(tmp_path, "time_s,health")
        == read(tmp_path, "", "p.jsonl")
        == {}
    )


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("", "no column of times"),
        ("seconds,a\n1,2\n", "it has: seconds, a"),
        ("time_s,a,A\n1,2,3\n", "two columns are called 'a'"),
        ("time_s,a\n0,1\nsoon,2\n", "line 3: time_s: 'soon' is not a time"),
        ("time_s,a\n0,1\n\n\nsoon,2\n", "line 5: time_s: 'soon' is not a time"),
        ('time_s,a\n0,"1\n1"\nsoon,2\n', "line 4: time_s: 'soon' is not a time"),
        ("time_s,a\nnan,1\n", "line 2: time_s: 'nan' is not a time"),
        ("time_s,a\ninf,1\n", "line 2: time_s: inf s is no place in a video"),
        ("time_s,a\n1e308,1\n", "line 2: time_s: 1e308 s is no place in a video"),
        ("time_s,a\n0,1\n1e400,1\n", "line 3: time_s: 1e400 s is no place in a video"),
        ("time_s,a\n-1e400,1\n", "line 2: time_s: -1e400 s is no place in a video"),
        ("time_s,a\n0,1e308\n1,inf\n", "all its numbers are infinite or beyond 1e+100"),
        ("time_s,a\n1715508000,1\n", "call the column timestamp"),
        ("time_s,a\n0,1\n,2\n", "line 3: a value without a time"),
        ("time_s,a\n,2\n", "line 2: a value without a time"),
        ("time_s,a\n0,x\n", "no column of numbers"),
        ("time_s\n0\n", "no column of numbers"),
        ("time_s,a\n0,1,2\n", "line 2 has 3 cells under 2 columns"),
        ('time_s,a\n0,"1\n1,2\n', "is not CSV"),
        ('time_s,"a\n0,1\n', "is not CSV"),
        ("time_s,name,value\n0,,2\n", "line 2: a value without a name"),
        (f"time_s,{'x' * (LONGEST_NAME + 1)}\n0,1\n", "Shorten it"),
        ("time_s," + ",".join(f"s{k}" for k in range(65)) + "\n0" + ",1" * 65, "65 signals, more than 64"),
        ("time_s,name,value\n" + "".join(f"0,s{k},1\n" for k in range(65)), "more than 64"),
        ("timestamp,a\n12.5,1\n", "line 2: '12.5' is no time of day"),
        ("timestamp,a\n1715508000,1\n1715508000000,1\n", "line 3: '1715508000000' is no time of day"),
        ("timestamp,a\n1715508000,1\nsoon,1\n", "line 3: 'soon' is no time of day"),
        ("timestamp,a\n10:00:01,1\n", "line 2: '10:00:01' is no date with a time of day"),
        ("timestamp,a\n2024-05-12,1\n", "is no date with a time of day"),
        (
            "timestamp,a\n2024-05-12T10:00:00,1\n2024-05-12T10:00:01Z,1\n",
            "line 3: '2024-05-12T10:00:01Z' has a time zone",
        ),
        ("timestamp,a\n2024-05-12T10:00:00Z,1\n12.05.2024 10:00,1\n", "line 3: '12.05.2024 10:00' is no date"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_signals_is_refused_with_file_line_and_remedy(tmp_path, text, reported):
    path = write(tmp_path, text, "game.csv")
    with pytest.raises(OptionsError) as refused:
        read_signal_file(path)
    message = str(refused.value)
    assert reported in message
    assert message.startswith(str(path))
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ('{"time_s":0,"a":1}\n{"time_s":1,"a":\n', "line 2 is no JSON object"),
        ("[1,2]\n", "line 1 is no JSON object"),
        ("[" * 100_000, "no JSON object"),
        ('{"a":1}\n', "no column of times"),
        ('{"time_s":[0],"a":1}\n', r"line 1: time_s: '\[0\]' is not a time"),
        ('{"time_s":true,"a":1}\n', "is not a time"),
        ('{"time_s":0,"A":1,"a ":1}\n', "two columns are called 'a'"),
        (
            "\n".join(json.dumps({"time_s": 0, f"s{k}": 1}) for k in range(1100)),
            "more than 1000 different keys",
        ),
    ],
)
def test_what_is_no_jsonl_is_refused_with_file_line_and_remedy(tmp_path, text, reported):
    with pytest.raises(OptionsError, match=reported) as refused:
        read_signal_file(write(tmp_path, text, "game.jsonl"))
    assert "\n" not in str(refused.value)


def test_files_that_are_no_text_or_not_there_or_too_large_are_refused(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_bytes(b"time_s,a\n0,\xff\n")
    with pytest.raises(OptionsError, match="line 2 is not UTF-8"):
        read_signal_file(tmp_path / "a.csv")
    with pytest.raises(OptionsError, match=r"gone\.csv: cannot be read"):
        read_signal_file(tmp_path / "gone.csv")
    monkeypatch.setattr("ferflow.analytics.signal_input.MOST_BYTES", 2**20)
    with pytest.raises(OptionsError, match="larger than 1 MiB"):
        read_signal_file(write(tmp_path, "time_s,a\n" + "0,1\n" * 2**18))
    monkeypatch.setattr("ferflow.analytics.signal_input.MOST_ROWS", 1000)
    with pytest.raises(OptionsError, match="more than 1,000 lines"):
        read_signal_file(write(tmp_path, "time_s,a\n" + "0,1\n" * 1001))


def test_a_hostile_name_comes_through_and_never_breaks_a_line(tmp_path):
    quoted = HOSTILE.replace('"', '""')
    assert list(read(tmp_path, f'time_s,"{quoted}"\n0,1\n')) == [HOSTILE]
    with pytest.raises(OptionsError) as refused:
        read(tmp_path, f'"{quoted}\n\x1b[31m",a\n0,1\n')
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_the_file_next_to_a_video_is_found_but_not_two_of_them(tmp_path):
    video = tmp_path / "play.mp4"
    assert find_signals_file(video) is None
    first = write(tmp_path, "", "play.signals.jsonl")
    assert find_signals_file(video) == first
    write(tmp_path, "", "play.signals.csv")
    with pytest.raises(OptionsError, match="Keep one of them"):
        find_signals_file(video)


# --- Times of day ---------------------------------------------------------------------------------------


@pytest.fixture
def in_berlin(monkeypatch):
    """A computer whose local time is two hours ahead of UTC in May."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


TWELVE_UTC = ["1715515200.25", "1715515200250", "1715515200250000", "1715515200250000000", "2024-05-12T12:00:00.25Z",
              "2024-05-12 14:00:00,25+02:00"]  # fmt: skip


@pytest.mark.parametrize("stamp", TWELVE_UTC)
def test_seconds_to_nanoseconds_since_1970_and_iso_8601_are_one_moment(tmp_path, stamp):
    text = f'timestamp;a\n"{stamp}";1\n'
    ((seconds, _),) = read(tmp_path, text, start=NOON - timedelta(seconds=10))["a"]
    assert seconds == pytest.approx(10.25, abs=1e-6)
    lines = json.dumps({"timestamp": float(stamp) if stamp.replace(".", "").isdigit() else stamp, "a": 1})
    ((seconds, _),) = read(tmp_path, lines, "p.jsonl", start=NOON)["a"]
    assert seconds == pytest.approx(0.25, abs=1e-6)


def test_times_without_a_zone_are_of_the_zone_of_the_start(tmp_path):
    text = "timestamp,a\n2024-05-12T12:00:01.5,1\n2024-05-12T12:00:02.5,2\n"
    assert read(tmp_path, text, start=datetime(2024, 5, 12, 12))["a"] == [(1.5, 1.0), (2.5, 2.0)]


def test_where_only_one_has_a_zone_the_other_is_local_time_of_this_computer(tmp_path, in_berlin):
    text = "timestamp,a\n2024-05-12T14:00:01,1\n2024-05-12T14:00:02,1\n"
    assert read(tmp_path, text, start=NOON)["a"][0] == (1.0, 1.0)
    text = "timestamp,a\n2024-05-12T12:00:01Z,1\n"
    assert read(tmp_path, text, start=datetime(2024, 5, 12, 14))["a"] == [(1.0, 1.0)]
    tokyo = timezone(timedelta(hours=9))
    assert read(tmp_path, text, start=datetime(2024, 5, 12, 21, tzinfo=tokyo))["a"] == [(1.0, 1.0)]


def test_seconds_of_the_video_win_over_times_of_day(tmp_path):
    file = read_signal_file(write(tmp_path, "timestamp,time_s,a\n2024-05-12T12:00:01Z,7,1\n"))
    assert not file.needs_start
    assert list(file.samples) == ["a"]


# --- Bins -----------------------------------------------------------------------------------------------


def test_a_sample_holds_until_the_next_and_bins_are_weighted_by_time():
    held = curve((0.0, 10.0), (0.25, 20.0), (1.5, 40.0), (2.0, 0.0), (3.0, 8.0))
    # 0-1: 10 for .25 s, 20 for .75 s; 1-2: 20 for .5 s, 40 for .5 s; 2-3: 0. It was logged when it changed, so 8 stays.
    found = bin_signals([held], np.arange(6.0))["s"]
    assert found.tolist() == [17.5, 30.0, 0.0, 8.0, 8.0]


def test_before_the_first_sample_a_signal_is_not_known_and_one_before_the_video_reaches_into_it():
    late, early = curve((1.5, 3.0), (9.0, 5.0), name="late"), curve((-4.0, 7.0), (2.0, 9.0), name="early")
    found = bin_signals([late, early], np.array([0.0, 1.0, 2.0, 3.0]))
    assert np.isnan(found["late"][0])
    assert found["late"][1:].tolist() == [3.0, 3.0]
    assert found["early"].tolist() == [7.0, 7.0, 9.0]


def test_an_unknown_value_ends_the_one_before():
    found = bin_signals([curve((0.0, 4.0), (1.5, None), (3.5, 6.0), (9.0, 1.0))], np.arange(6.0))["s"]
    assert found[[0, 1, 3, 4]].tolist() == [4.0, 4.0, 6.0, 6.0]
    assert np.isnan(found[2])


def test_a_signal_at_a_rate_is_not_known_in_a_gap_nor_after_its_end():
    times = [k for k in range(60) if not 20 < k < 40]
    found = bin_signals([curve(*((float(k), 1.0) for k in times))], np.arange(71.0))["s"]
    truth = np.full(70, np.nan)
    truth[times] = 1.0  # at 20 and at the end, a sample holds for a usual step
    np.testing.assert_array_equal(found, truth)


def test_a_few_missing_samples_are_no_gap():
    times = [k / 10 for k in range(300) if not 100 < k < 109]
    assert np.isfinite(bin_signals([curve(*((t, 1.0) for t in times))], np.arange(0, 30, 0.5))["s"]).all()


def test_a_signal_that_is_logged_when_it_changes_has_no_gaps():
    changes = [3.0, 3.1, 3.15, 40.0, 40.2, 90.0, 91.0, 200.0]
    score = curve(*((t, float(k)) for k, t in enumerate(changes)))
    found = bin_signals([score], np.arange(0.0, 310.0, 10.0))["s"]
    assert found[5] == 4.0  # 50 to 60 s
    assert found[-1] == 7.0


def test_one_sample_or_none_and_no_bins_are_no_special_case():
    nothing = Signal("n", np.zeros(0), np.zeros(0))
    found = bin_signals([curve((1.0, 2.0)), nothing], np.array([0.0, 2.0, 4.0]))
    assert found["s"].tolist() == [2.0, 2.0]
    assert np.isnan(found["n"]).all()
    assert len(bin_signals([curve((1.0, 2.0))], np.array([0.0]))["s"]) == 0
    assert len(bin_signals([curve((1.0, 2.0))], np.zeros(0))["s"]) == 0


def test_numbers_that_no_instrument_gives_are_unknown(tmp_path):
    assert read(tmp_path, "time_s,a\n0,1e308\n1,-1e99\n")["a"] == [(0.0, None), (1.0, -1e99)]
    found = bin_signals([curve((0.0, 1e100), (1.0, -1e100), (1.5, 0.0))], np.array([0.0, 2.0]))["s"]
    np.testing.assert_allclose(found, 2.5e99)


def test_irregular_samples_agree_with_a_fine_grid():
    rng = np.random.default_rng(3)
    times = np.sort(rng.uniform(-2, 30, 500)).round(3)
    times = np.unique(times)
    values = rng.normal(size=len(times))
    found = bin_signals([Signal("s", times, values)], np.linspace(0, 30, 61))["s"]
    # Truth: what holds at each millisecond, by pandas.
    grid = pd.DataFrame({"time": np.arange(0, 30_000)})
    samples = pd.DataFrame({"time": np.round(times * 1000).astype(np.int64), "value": values})
    truth = pd.merge_asof(grid, samples, on="time").groupby(grid.time // 500).value.mean()
    np.testing.assert_allclose(found, truth.to_numpy(), rtol=1e-9)


# --- Of real size, by other writers ---------------------------------------------------------------------


def telemetry() -> pd.DataFrame:
    """A play session of two hours at 60 Hz, as engines export it."""
    rng = np.random.default_rng(7)
    n = 2 * 3600 * 60
    return pd.DataFrame({
        "time_s": np.arange(n) / 60,
        "health": np.clip(100 + np.cumsum(rng.normal(size=n)), 0, 100),
        "score": np.cumsum(rng.integers(0, 5, n)),
        "frame_time [ms]": rng.gamma(9, 1.85, n),
        "level": np.where(np.arange(n) < n // 2, "cave", "hall"),
    })  # fmt: skip


@pytest.mark.parametrize("suffix", some_slow("csv", slow=["jsonl"]))
def test_two_hours_of_telemetry_at_60_hz_by_pandas(tmp_path, suffix):
    logged, path = telemetry(), tmp_path / f"play.signals.{suffix}"
    if suffix == "csv":
        logged.to_csv(path, index=False)
    else:
        logged.to_json(path, orient="records", lines=True, double_precision=15)
    files = VideoFiles(tmp_path / "out", "play-1")
    stored = store_signals(files, path, 7200.0, lambda: pytest.fail("no start is needed"))
    assert stored.left_out == ("level",)
    signals = load_signals(files).signals
    assert [(one.name, one.title, one.unit, len(one.time_s)) for one in signals] == [
        ("health", "health", "", 432_000), ("score", "score", "", 432_000),
        ("frame_time [ms]", "frame_time", "ms", 432_000),
    ]  # fmt: skip
    found = bin_signals(signals, np.arange(7201.0))
    # All samples last equally long, so that a mean over time is a mean over rows.
    truth = logged.groupby(np.arange(len(logged)) // 60)[list(found)].mean()
    for name, values in found.items():
        np.testing.assert_allclose(values, truth[name], rtol=1e-9)


def test_a_chest_strap_app_writes_semicolons_local_times_and_an_unnamed_last_column(tmp_path):
    """The layout of an app for chest straps: a value about every second, RR intervals in some rows only."""
    start, rng = datetime(2024, 5, 12, 14, 3, 20, 512_000), np.random.default_rng(1)
    moments = [start + timedelta(seconds=k, milliseconds=int(rng.integers(-40, 40))) for k in range(1800)]
    beats = (80 + 20 * np.sin(np.arange(1800) / 90)).round().astype(int)
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";", lineterminator="\r\n")
    writer.writerow(["Phone timestamp", "HR [bpm]", "HRV [ms]", "Breathing interval [rpm]", ""])
    for k, (moment, beat) in enumerate(zip(moments, beats, strict=True)):
        interval = f"{60_000 / beat:.1f}".replace(".", ",") if k % 3 == 0 else ""
        writer.writerow([moment.isoformat(timespec="milliseconds"), beat, interval, "", ""])
    found = read(tmp_path, buffer.getvalue(), start=datetime(2024, 5, 12, 14, 3, 30))
    assert list(found) == ["HR [bpm]", "HRV [ms]"]
    assert [value for _, value in found["HR [bpm]"]] == beats.tolist()
    np.testing.assert_allclose(
        [t for t, _ in found["HR [bpm]"]],
        [(moment - datetime(2024, 5, 12, 14, 3, 30)).total_seconds() for moment in moments], atol=1e-3,
    )  # fmt: skip
    assert len(found["HRV [ms]"]) == 600
    np.testing.assert_allclose([v for _, v in found["HRV [ms]"]], 60_000 / beats[::3], atol=0.051)


# --- Stored ---------------------------------------------------------------------------------------------


def test_what_is_stored_is_a_table_that_pandas_reads(tmp_path):
    files = VideoFiles(tmp_path, "play-1")
    path = write(tmp_path, "time_s,health,mood\n1,80,\n0,100,x\n2,,3\n")
    stored = store_signals(files, path, 10.0, lambda: pytest.fail("no start is needed"))
    assert (stored.source.name, stored.start) == ("play.csv", None)
    table = pd.read_parquet(files.signals)
    assert list(table.columns) == SIGNALS.names
    assert table.drop(columns="video_id").astype({"name": str}).replace({np.nan: None}).to_numpy().tolist() == [
        ["health", 0.0, 100.0], ["health", 1.0, 80.0], ["mood", 0.0, None], ["mood", 2.0, 3.0],
    ]  # fmt: skip
    assert {*table.video_id} == {"play-1"}
    loaded = load_signals(files)
    assert {one.name: samples_of(one) for one in loaded.signals} == {
        "health": [(0.0, 100.0), (1.0, 80.0)], "mood": [(0.0, None), (2.0, 3.0)],
    }  # fmt: skip
    assert loaded.metadata == stored


def test_the_same_file_is_not_stored_again_unless_the_start_changes(tmp_path):
    files = VideoFiles(tmp_path, "play-1")
    path = write(tmp_path, "timestamp,a\n2024-05-12T12:00:01Z,1\n")
    assert store_signals(files, path, 60.0, lambda: given(NOON)) is not None
    before = files.signals.stat().st_mtime_ns
    assert store_signals(files, path, 60.0, lambda: given(NOON)) is None
    assert files.signals.stat().st_mtime_ns == before
    earlier = RecordingStart(time=NOON - timedelta(seconds=5), origin="session list")
    assert store_signals(files, path, 60.0, lambda: earlier).start == earlier
    assert load_signals(files).signals[0].time_s.tolist() == [6.0]
    assert load_signals(files).metadata.start == earlier
    write(tmp_path, "timestamp,a\n2024-05-12T12:00:02Z,1\n")
    assert store_signals(files, path, 60.0, lambda: earlier) is not None


def test_seconds_of_the_video_never_need_a_start(tmp_path):
    files = VideoFiles(tmp_path, "play-1")
    path = write(tmp_path, "time_s,a\n0,1\n")
    for _ in range(2):
        store_signals(files, path, 9.0, lambda: pytest.fail("no start is needed"))


def test_a_header_alone_removes_what_was_stored(tmp_path):
    files = VideoFiles(tmp_path, "play-1")
    store_signals(files, write(tmp_path, "time_s,a\n0,1\n"), 9.0, lambda: given(NOON))
    store_signals(files, write(tmp_path, "time_s,a\n"), 9.0, lambda: given(NOON))
    assert load_signals(files).signals == ()


def test_times_of_day_that_all_miss_the_video_are_refused_and_nothing_is_lost(tmp_path):
    files = VideoFiles(tmp_path, "play-1")
    store_signals(files, write(tmp_path, "time_s,a\n0,1\n"), 9.0, lambda: given(NOON))
    for stamps, reported in (
        (["11:00:00", "11:59:50"], "00:10.0 before its start"),
        (["12:02:00", "12:03:00"], "01:00.0 after its end"),
    ):
        rows = "".join(f"2024-05-12T{stamp}Z,1\n" for stamp in stamps)
        with pytest.raises(OptionsError, match=reported) as refused:
            store_signals(files, write(tmp_path, f"timestamp,a\n{rows}"), 60.0, lambda: given(NOON))
        assert "2024-05-12 12:00:00+00:00 (as given)" in str(refused.value)
    assert load_signals(files).signals[0].time_s.tolist() == [0.0]


@pytest.mark.parametrize(
    ("times", "reported"),
    [
        ("60 61", "the nearest is 00:00.0 after its end. time_s must be in seconds after the first frame"),
        ("-9 -2.5", "the nearest is 00:02.5 before its start. time_s must be in seconds"),
        ("5000 10000 59000", "These look like milliseconds: time_s must be in seconds"),
        ("5000 10000 99000", "time_s must be in seconds after the first frame"),
    ],
)
def test_seconds_that_all_miss_the_video_are_refused_and_nothing_is_lost(tmp_path, times, reported):
    files = VideoFiles(tmp_path, "play-1")
    store_signals(files, write(tmp_path, "time_s,a\n0,1\n"), 60.0, lambda: pytest.fail("no start"))
    path = write(tmp_path, "time_s,a\n" + "".join(f"{time},1\n" for time in times.split()))
    with pytest.raises(OptionsError) as refused:
        store_signals(files, path, 60.0, lambda: pytest.fail("no start"))
    message = str(refused.value)
    assert message.startswith(f"{path}: no value lies within the video, which lasts 01:00.0: ")
    assert reported in message
    assert "\n" not in message
    assert load_signals(files).signals[0].time_s.tolist() == [0.0]


def test_samples_outside_of_the_video_are_counted(tmp_path):
    """Of 1 Hz from -10 to 29: 10 before the start no longer hold at 0, and 10 lie after the end at 20 s."""
    files = VideoFiles(tmp_path, "play-1")
    rows = "".join(f"{k},{k},\n" for k in range(-10, 30))
    stored = store_signals(
        files, write(tmp_path, f"time_s,a,b\n{rows}"), 20.0, lambda: pytest.fail("no start")
    )
    assert (stored.n_samples, stored.n_before, stored.n_after) == (40, 10, 10)
    # Logged when it changed: the value from 3 s before the start holds until 5.
    path = write(tmp_path, "time_s,a\n-9,1\n-3,2\n5,3\n20,4\n")
    stored = store_signals(files, path, 20.0, lambda: pytest.fail("no start"))
    assert (stored.n_samples, stored.n_before, stored.n_after) == (4, 1, 1)


def test_one_warning_counts_the_samples_that_are_not_used(tmp_path, caplog):
    from ferflow.jobs.additions import add_to_all
    from ferflow.jobs.job import Additions

    write_session(tmp_path, Made(seconds=20, video_id="play"))
    path = write(tmp_path, "time_s,a\n-9,1\n-3,2\n5,3\n20.5,4\n")
    assert add_to_all(tmp_path, Additions(signals=path)) == {}
    (warning,) = (record.getMessage() for record in caplog.records if "samples" in record.getMessage())
    assert "2 of 4 samples lie outside of the video (1 before its start, 1 after its end)" in warning
    caplog.clear()
    add_to_all(tmp_path, Additions(signals=path))
    assert not caplog.records  # nothing new


def test_a_video_without_signals_has_none(tmp_path):
    assert load_signals(VideoFiles(tmp_path, "play-1")) == StoredSignals()


@pytest.mark.parametrize(
    ("name", "title", "unit"),
    [
        ("heart rate [bpm]", "heart rate", "bpm"),
        ("frame time (ms)", "frame time", "ms"),
        ("load[%]", "load", "%"),
        ("score", "score", ""),
        ("score (team A)", "score (team A)", ""),
        ("[bpm]", "[bpm]", ""),
        ("a [b] c", "a [b] c", ""),
    ],
)
def test_a_unit_is_what_stands_in_brackets_at_the_end(name, title, unit):
    signal = curve((0.0, 1.0), name=name)
    assert (signal.title, signal.unit) == (title, unit)
