from __future__ import annotations

import pytest

from ferflow.errors import OptionsError
from ferflow.options import AnalyzeOptions, TimePoint


@pytest.mark.parametrize(
    ("text", "seconds", "frame_index"),
    [
        ("12.5", 12.5, None),
        ("0", 0.0, None),
        (".5", 0.5, None),
        ("300f", None, 300),
        ("1:30", 90.0, None),
        ("1:30.25", 90.25, None),
        ("01:02:03.5", 3723.5, None),
        ("90:00", 5400.0, None),
    ],
)
def test_times_are_seconds_frames_or_timecodes(text, seconds, frame_index):
    assert TimePoint.parse(text) == TimePoint(seconds, frame_index)


@pytest.mark.parametrize("text", ["", "abc", "-1", "1:60", "1:2:3:4", "1.5f", "nan", "inf", "1e3", "1:-2"])
def test_what_is_no_time_is_refused_with_examples(text):
    with pytest.raises(OptionsError, match="timecode"):
        TimePoint.parse(text)


@pytest.mark.parametrize(
    ("bad", "reported"),
    [
        ({"every": 0}, "every must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size"),
        ({"chunk_frames": -1}, "chunk_frames"),
        ({"participants": 0}, "participants"),
        ({"fps": 0.0}, "fps"),
        ({"fps": float("nan")}, "fps"),
        ({"bin_seconds": -1.0}, "bin_seconds"),
        ({"score": 1.5}, "score"),
        ({"score": 0.0}, "score"),
        ({"threads": 1000}, "threads"),
        ({"start": TimePoint(5.0), "end": TimePoint(3.0)}, "must lie after"),
        ({"start": TimePoint(None, 30), "end": TimePoint(None, 30)}, "must lie after"),
        ({"min_face": 3}, "min_face"),
        ({"every": 2, "fps": 5.0}, "one of them"),
        ({"detector": "mtcnn"}, "yunet, haar"),
        ({"device": "tpu"}, "auto, cpu, gpu"),
        ({"detect": "every:0"}, "detect must be auto, full or every:N with N from 1 to 16, got 'every:0'"),
        ({"detect": "every:17"}, "from 1 to 16"),
        ({"detect": "some"}, "auto, full or every:N"),
        ({"start": "1:30"}, "start must be of type TimePoint"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_when_it_is_said(bad, reported):
    with pytest.raises(OptionsError, match=reported):
        AnalyzeOptions(**bad)


def test_an_unknown_option_is_named_in_one_short_line_however_long_it_is():
    with pytest.raises(OptionsError) as error:
        AnalyzeOptions.from_dict({"[" * 3000 + "\n": 1})
    assert str(error.value).startswith("unknown option '[[[")
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


def test_the_digest_follows_what_changes_results_and_nothing_else():
    base = AnalyzeOptions()
    assert (
        base.digest() == AnalyzeOptions(batch_size=7, chunk_frames=1, bin_seconds=5.0, device="cpu").digest()
    )
    assert base.digest() != AnalyzeOptions(score=0.6).digest()
    assert (
        AnalyzeOptions(end=TimePoint(12345.678)).digest() != AnalyzeOptions(end=TimePoint(12345.7)).digest()
    )
    assert base.digest() != AnalyzeOptions(start=TimePoint(1.0)).digest()


def test_a_stride_of_one_is_full_detection():
    assert AnalyzeOptions(detect="every:1") == AnalyzeOptions(detect="full")
    assert [AnalyzeOptions(detect=detect).detect_stride for detect in ("auto", "full", "every:4")] == [
        1,
        1,
        4,
    ]


@pytest.mark.parametrize("chosen", [{"stream": 0}, {"rotate": "90"}, {"rotate": "file"}, {"zero": "audio"}])
def test_which_pictures_are_read_and_when_is_in_the_digest(chosen):
    assert AnalyzeOptions(**chosen).digest() != AnalyzeOptions().digest()


def test_equal_options_have_equal_digests_whatever_the_type_of_a_number():
    assert AnalyzeOptions(fps=5) == AnalyzeOptions(fps=5.0)
    assert AnalyzeOptions(fps=5).digest() == AnalyzeOptions(fps=5.0).digest()


# Digests as version 0.1.0 computed them before `detect_every` became `detect`.
@pytest.mark.parametrize(
    ("options", "digest"),
    [
        (AnalyzeOptions(detect="full"), "c383c43d4f00234b"),
        (AnalyzeOptions(detect="every:4", fps=5.0), "1f4aa0023d5953eb"),
        (
            AnalyzeOptions(detect="full", start=TimePoint(1.5), end=TimePoint(None, 300), min_face=40),
            "28e380c04fe3fe1f",
        ),
    ],
)
def test_digests_are_those_of_schema_1(options, digest):
    assert options.digest() == digest


def test_options_of_a_footer_of_schema_1_are_read():
    written = AnalyzeOptions(fps=5.0, start=TimePoint(1.5)).as_dict()
    del written["detect"]
    read = AnalyzeOptions.from_dict(written | {"detect_every": 4})
    assert read == AnalyzeOptions(fps=5.0, start=TimePoint(1.5), detect="every:4")
    assert AnalyzeOptions.from_dict(written | {"detect_every": 1}).detect == "full"
