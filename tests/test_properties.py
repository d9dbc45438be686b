"""What holds for all options, times and names, whatever they are."""

from __future__ import annotations

import json
import math
import os
import tomllib
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ferflow.errors import ModelError, OptionsError, RecordsError
from ferflow.jobs.job import Job
from ferflow.media.inputs import discover, video_id_of
from ferflow.media.video import Selection
from ferflow.models.cards import ModelCard
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.store.metadata import METADATA_KEY, read_metadata
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize, timecode

# The folder of a test outlives its examples.
settings.register_profile(
    "ferflow", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("ferflow")

NAMES = list(AnalyzeOptions.__struct_fields__)
NUMBERS = st.one_of(st.integers(-(10**400), 10**400), st.integers(-3, 300), st.floats(), st.floats(0, 100))
VALUES = st.one_of(
    NUMBERS,
    st.booleans(),
    st.text(max_size=40),
    st.none(),
    st.sampled_from(["yunet", "haar", "cpu", "onnx", "full", "every:4", "12.5", "300f", "1:30"]),
)
# What a file system takes for a name: any bytes but two, 255 of them at most.
FILE_NAMES = st.binary(min_size=1, max_size=255).filter(
    lambda name: not set(name) & {0, 0x2F} and name not in (b".", b"..")
)


def tried(what):
    """(value, None) or (None, what OptionsError says); anything else is raised."""
    try:
        return what(), None
    except OptionsError as error:
        return None, str(error)


def assert_brief(reported: str) -> None:
    """One line, not too long."""
    assert "\n" not in reported
    assert len(reported) < 300


@given(st.text(max_size=60))
def test_any_text_is_a_time_or_is_refused_in_one_line(text):
    point, reported = tried(lambda: TimePoint.parse(text))
    if point is None:
        assert_brief(reported)
        return
    assert (point.seconds is None) != (point.frame_index is None)
    assert point.seconds is None or 0 <= point.seconds < math.inf


@given(
    st.one_of(
        st.from_regex(r"[0-9]{1,12}(\.[0-9]{0,15})?|\.[0-9]{1,20}", fullmatch=True),
        st.from_regex(r"[0-9]{1,20}f", fullmatch=True),
    )
)
def test_a_time_is_read_again_as_it_was_written_down(text):
    point = TimePoint.parse(text)
    assert TimePoint.parse(str(point)) == point


@given(st.integers(0, 999), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_timecode_means_hours_minutes_and_seconds(hours, minutes, seconds, thousandths):
    point = TimePoint.parse(f"{hours}:{minutes:02d}:{seconds:02d}.{thousandths:03d}")
    assert point.seconds == pytest.approx(
        hours * 3600 + minutes * 60 + seconds + thousandths / 1000, abs=1e-6
    )


@pytest.mark.parametrize(
    "text", ["9" * 400, "9" * 5000 + "f", "1:" * 3000 + "0", "٣", "1" * 33, "99999:" + "9" * 4500]
)
def test_numbers_without_measure_are_no_times(text):
    with pytest.raises(OptionsError, match="is not a time"):
        TimePoint.parse(text)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_any_options_are_carried_out_or_refused_and_survive_being_written_down(changes):
    options, reported = tried(lambda: AnalyzeOptions().updated(**changes))
    if options is None:
        assert_brief(reported)
        return
    written = json.loads(json.dumps(options.as_dict(), allow_nan=False))
    assert AnalyzeOptions.from_dict(written) == options
    assert AnalyzeOptions.from_dict(written).digest() == options.digest()


@given(st.text(max_size=200))
def test_any_job_file_is_read_or_refused(tmp_path, text):
    job = tmp_path / "job.toml"
    job.write_text(f"inputs = 'a'\nout = 'b'\n{text}", encoding="utf-8", errors="ignore")
    read, reported = tried(lambda: Job.from_toml(job))
    if read is None:
        assert job.name in reported or "option" in reported or " must " in reported
        return
    assert not set(tomllib.loads(job.read_text("utf-8"))) - {*NAMES, *Job.__struct_fields__}
    assert read.options.every >= 1


@pytest.mark.parametrize(
    "text",
    [
        "fps = " + "9" * 5000,
        "fps = 1" + "0" * 400,
        "every = " + "[" * 100_000,
        "a=" + "{a=" * 50_000,
        "every = 1" + "0" * 400,
        "fps = inf",
        "start = nan",
    ],
)
def test_a_job_file_of_no_measure_is_refused(tmp_path, text):
    job = tmp_path / "job.toml"
    job.write_text(f"inputs = 'a'\nout = 'b'\n{text}\n")
    with pytest.raises(OptionsError) as reported:
        Job.from_toml(job)
    assert_brief(str(reported.value))


def test_a_job_file_without_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (2 << 20))
    for path in (
        Path("/dev/zero"),
        tmp_path / "pipe.toml",
        tmp_path / "large.toml",
        tmp_path,
    ):
        with pytest.raises(OptionsError, match="cannot be read as TOML"):
            Job.from_toml(path)


def test_a_missing_job_file_is_named(tmp_path):
    with pytest.raises(OptionsError, match=r"none\.toml: no such file"):
        Job.from_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "null", '"a"', '{"format": 1, "labels": 3}']
)
def test_a_card_of_no_measure_is_refused(tmp_path, text):
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(ModelError) as caught:
        ModelCard.load(path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[1]", b"3", b"null", b'"a"', b"\xff", b"{}"])
def test_a_footer_of_no_measure_is_refused(tmp_path, content):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({METADATA_KEY: content}), path)
    with pytest.raises(RecordsError):
        read_metadata(path)


@given(name=FILE_NAMES)
def test_any_file_name_gets_names_that_every_file_system_takes(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"content")
    try:
        video_id = video_id_of(path)
        (found,) = discover([path], out=tmp_path / "out")
    finally:
        path.unlink()
    assert found.problem is None
    assert found.path == path
    assert video_id.encode().isascii() or video_id.isprintable()
    assert not set(video_id) & set("/\\\0\n\r\t :*?\"<>|'")
    assert not video_id.startswith((".", "-"))
    for made in (VideoFiles(tmp_path, video_id).faces, VideoFiles(tmp_path, video_id).report):
        assert made.parent.parent == tmp_path
        assert len(f".{made.name}.tmp".encode()) <= 255


@given(st.text(max_size=100).filter(lambda text: text != ""))
def test_anything_that_is_typed_is_found_or_refused(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    assume(not os.path.lexists(text) and not text.startswith("/"))
    for found in discover([text], out=tmp_path):
        assert found.problem is not None


def test_patterns_do_not_follow_links_in_circles(tmp_path):
    """Two of them in each folder would make a search by name double with each level, without end."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.mp4").touch()
    (tmp_path / "deep" / ".b.mp4").touch()
    for name in ("one", "two", "three"):
        (tmp_path / "deep" / name).symlink_to(tmp_path)
    found = discover([str(tmp_path / "**" / "*.mp4")], out=tmp_path / "out")
    assert [item.path.relative_to(tmp_path).as_posix() for item in found] == ["deep/a.mp4"]
    hidden = discover([str(tmp_path / "deep" / ".*.mp4")], out=tmp_path / "out")
    assert [item.path.name for item in hidden] == [".b.mp4"]


@given(st.text(max_size=100))
def test_what_is_shown_has_no_control_characters(text):
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in sanitize(text))
    assert len(sanitize(text)) == len(text)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_timecodes_are_in_the_order_of_their_times(a, b):
    def seconds(code: str) -> float:
        return sum(float(part) * 60**power for power, part in enumerate(reversed(code.split(":"))))

    low, high = sorted((a, b))
    assert seconds(timecode(low)) <= seconds(timecode(high))
    assert seconds(timecode(a)) == pytest.approx(a, abs=0.051)


STEPS = st.lists(st.floats(0, 5), max_size=200)


@given(STEPS, st.floats(0.01, 100))
def test_at_most_one_frame_is_taken_per_cell_of_time_and_the_first_always(steps, fps):
    selection, now, taken = Selection(fps=fps), 0.0, []
    for index, step in enumerate([0.0, *steps]):
        now += step
        if selection.takes(index, now, 0.0):
            taken.append(now)
    cells = [int(time_s * fps + 1e-6) for time_s in taken]
    assert taken[0] == 0.0
    assert len(set(cells)) == len(cells)


@given(STEPS, st.integers(1, 50), st.integers(0, 100), st.integers(0, 100))
def test_each_nth_frame_of_a_range_is_taken(steps, every, first, last):
    selection = Selection(every=every, start=TimePoint(frame_index=first), end=TimePoint(frame_index=last))
    taken = []
    for index in range(len(steps)):
        if selection.is_over(index, 0.0):
            break
        if selection.takes(index, 0.0, 0.0):
            taken.append(index)
    assert taken == list(range(min(len(steps), last)))[first::every]
