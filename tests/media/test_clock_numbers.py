"""Times and ends of videos by arithmetic: timestamps are given to the clock directly, no file is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
import pytest

from ferflow.media.clock import Clock, TimedFrame, longest_hold_s
from ferflow.media.decode_report import DecodeReport, Lost
from ferflow.media.frame_skipping import SkippedFrame
from ferflow.media.video import Reading, Selection, open_video
from tests.conftest import numbered_image, write_video
from tests.media.test_video import read

MS = Fraction(1, 1000)


def run(
    times_ms: Sequence[int], durations_ms: Sequence[int] | None = None, clock: Clock | None = None
) -> tuple[list[TimedFrame], Clock]:
    clock = clock or Clock(MS)
    durations = durations_ms or [0] * len(times_ms)
    frames = [SkippedFrame(pts, MS, length) for pts, length in zip(times_ms, durations, strict=True)]
    return [one for one in clock.run(frames) if isinstance(one, TimedFrame)], clock


def seconds(found: Sequence[TimedFrame]) -> list[float]:
    return [float(one.time) for one in found]


@pytest.mark.parametrize(
    ("times_ms", "durations_ms", "end_s"),
    [
        ([0, 40, 80], None, 0.12),
        ([0, 40, 80, 120, 60_120], None, 60.16),  # held for a minute: the last one is not
        ([0, 40, 80, 180, 300], None, 0.4),  # the median of the last three steps: 40, 100, 120
        ([0, 40, 80], [40, 40, 500], 0.58),  # the file says how long
        ([0, 40, 80], [40, 40, 10], 0.12),  # a file that says less is not believed
        ([0], [40], 0.04),
        ([0, 40, 80], [40, 40, 601_000], 0.12),  # until after a jump
        ([5000, 5040, 5080], None, 0.12),
    ],
)  # fmt: skip
def test_the_last_frame_is_shown_as_long_as_the_file_says_or_as_frames_usually_are(
    times_ms, durations_ms, end_s
):
    assert run(times_ms, durations_ms)[1].end_s == pytest.approx(end_s)


@pytest.mark.parametrize(("container", "most_s"), [("matroska,webm", 600), ("mpegts", 10), ("mpeg", 10)])
def test_a_step_is_a_jump_from_a_length_on_that_depends_on_the_container(container, most_s):
    for hold_ms, is_jump in ((most_s * 1000, False), (most_s * 1000 + 1, True)):
        clock = Clock(MS, longest_hold_s=longest_hold_s(container))
        times_ms = [*range(0, 1000, 40), *range(960 + hold_ms, 960 + hold_ms + 800, 40)]
        found, clock = run(times_ms, clock=clock)
        jumps = [(float(one.time), one.jump_s) for one in found if one.jump_s is not None]
        assert jumps == ([(1.0, Fraction(hold_ms, 1000))] if is_jump else [])
        shift_s = hold_ms / 1000 - 0.04 if is_jump else 0.0
        assert found[-1].time == pytest.approx(times_ms[-1] / 1000 - shift_s)
        assert clock.end_s == pytest.approx(times_ms[-1] / 1000 - shift_s + 0.04)


def test_time_continues_by_the_usual_step_after_a_jump_back():
    found, clock = run([*range(10_000, 11_000, 50), *range(3000, 4000, 50)])
    assert seconds(found) == pytest.approx([0.05 * i for i in range(40)])
    assert [one.jump_s for one in found if one.jump_s is not None] == [Fraction(3000 - 10_950, 1000)]
    assert clock.end_s == pytest.approx(2.0)


def test_the_usual_step_is_the_median_of_nine():
    # Four of the last nine steps are long, then five.
    steps = [40, 40, 40, 40, 40, 40, 300, 300, 300, 300]
    assert run(np.cumsum([0, *steps]).tolist())[1].usual_step_s == Fraction(40, 1000)
    assert run(np.cumsum([0, *steps, 300]).tolist())[1].usual_step_s == Fraction(300, 1000)


def test_two_strays_are_spread_evenly_and_losses_stay_in_their_place():
    frames = [SkippedFrame(pts, MS, 0) for pts in (0, 40, 80, 120, 90_000, 91_000, 240, 280)]
    events = list(Clock(MS).run([*frames[:5], Lost(1), *frames[5:]]))
    assert isinstance(events[5], Lost)
    found = [one for one in events if isinstance(one, TimedFrame)]
    assert seconds(found) == pytest.approx([0.04 * i for i in range(8)])
    assert [one.is_stray for one in found] == [False] * 4 + [True] * 2 + [False] * 2


def test_repeated_timestamps_are_counted_in_a_row():
    clock = Clock(MS)
    counts = []
    for event in clock.run([SkippedFrame(pts, MS, 0) for pts in (0, 0, 0, 40, 40, 80)]):
        assert isinstance(event, TimedFrame)
        counts.append(clock.n_at_one_time)
    assert counts == [1, 2, 3, 1, 2, 1]


def test_a_lead_of_the_sound_moves_all_times_but_not_what_the_header_counts():
    clock = Clock(MS, lead_s=Fraction(3, 2))
    found, clock = run([200, 240, 280], clock=clock)
    assert seconds(found) == pytest.approx([1.5, 1.54, 1.58])
    assert clock.end_s == pytest.approx(1.62)
    assert clock.own_end_s == pytest.approx(0.12)


def test_times_are_exact_after_ten_hours():
    # 29.97 frames per second, counted in 90 kHz: 3003 units a frame.
    tick, n = Fraction(1, 90_000), 10 * 3600 * 30
    frames = (SkippedFrame(1000 + 3003 * i, tick, 3003) for i in range(0, n, 250))
    (last,) = deque(Clock(tick).run(frames), maxlen=1)
    assert last.time == Fraction(3003 * (n - 250), 90_000)


@pytest.mark.parametrize(
    ("header_s", "end_s", "is_truncated"),
    [
        (10.0, 9.51, False), (10.0, 9.49, True), (100.0, 99.51, False), (100.0, 99.49, True),
        (3600.0, 3582.1, False), (3600.0, 3581.9, True), (3600.0, 3601.0, False), (None, 1.0, False),
    ],
)  # fmt: skip
def test_a_header_may_round_by_half_a_second_or_half_a_percent(header_s, end_s, is_truncated):
    report = DecodeReport()
    report.add_usable(end_s - 0.04)
    report.check_end(end_s, header_s)
    assert any("truncated" in text for text in report.warnings) == is_truncated
    assert [(gap.start_s, gap.end_s) for gap in report.gaps] == [(end_s - 0.04, None)] * is_truncated


@pytest.mark.parametrize(
    ("rotation", "size", "aspect"), [(0, (96, 48), 2.0), (90, (48, 96), 0.5), (180, (96, 48), 2.0)]
)
def test_a_rotated_video_of_wide_pixels_has_high_ones(tmp_path, rotation, size, aspect):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        if rotation:
            stream.set_display_rotation(rotation)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 96, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    frames, video = read(path)
    assert video.size == size
    assert [frame.pixel_aspect for frame in frames] == [aspect] * 3
    with open_video(path, Reading(turn=90)) as turned:  # chosen by the user, clockwise, instead
        assert next(turned.frames(Selection())).pixel_aspect == 0.5


def test_a_thousand_frames_at_one_time_end_the_video(monkeypatch, tmp_path):
    from ferflow.media import video as module
    from tests.conftest import numbered_image, write_video

    monkeypatch.setattr(module, "MAX_FRAMES_AT_ONE_TIME", 4)
    # The container of numbered images has no equal times; Matroska has.
    pts = [0, 40, 80, 80, 80, 80, 120, 160]
    frames, video = read(
        write_video(tmp_path / "a.mkv", [numbered_image(i) for i in range(8)], pts=pts, codec="ffv1")
    )
    assert [frame.pts for frame in frames] == [0, 40, 80, 80, 80]
    assert "4 frames in a row have the same timestamp" in str(video.report.warnings)
    assert [(gap.start_s, gap.end_s) for gap in video.report.gaps] == [(0.08, None)]


@pytest.mark.parametrize(("return_ms", "n_strays"), [(1240, 3), (1320, 0)])
def test_strays_return_within_some_usual_steps_for_each_of_them(return_ms, n_strays):
    # Three strays and the step after them: 8 * 4 * 0.04 s = 1.28 s after the last frame.
    before, strays = range(0, 1040, 40), range(50_000, 50_120, 40)
    after = range(1000 + return_ms, 1000 + return_ms + 800, 40)
    found, _ = run([*before, *strays, *after])
    assert sum(one.is_stray for one in found) == n_strays
    if n_strays:
        step_s = return_ms / 1000 / 4
        assert seconds(found)[26:29] == pytest.approx([1 + step_s, 1 + 2 * step_s, 1 + 3 * step_s])


@pytest.mark.parametrize(("back_ms", "is_stray"), [(500, False), (3000, True)])
def test_a_short_step_back_is_damage_and_no_stray(back_ms, is_stray):
    times_ms = [*range(0, 10_000, 40)]
    times_ms[200] -= back_ms
    found, _ = run(times_ms)
    assert [one.is_stray for one in found] == [number == 200 and is_stray for number in range(250)]
    assert seconds(found) == sorted(seconds(found))


def test_a_jump_at_the_first_step_is_bridged_by_the_rate_of_the_header(tmp_path):
    hour_ms = 3_600_000
    pts = [0, *(hour_ms + 40 * number for number in range(1, 6))]
    video = write_video(tmp_path / "jump.mkv", [numbered_image(number) for number in range(6)], pts=pts)
    with open_video(video) as opened:
        assert opened.info.frame_rate == 25
        assert [frame.time_s for frame in opened.frames(Selection())] == pytest.approx(
            [0.04 * number for number in range(6)]
        )
