"""Decoding alone: which threads pay for which codec, and what `--fps` saves on long groups of pictures.

    python -m ferflow.jobs.benchmarks.decoding [--seconds 4] [--rounds 5] [--scene 720p]

The first table compares FFmpeg's ways to use threads with one thread, by codec; ferflow uses the one called FRAME. The
second one compares `--fps` with decoding every frame, by the distance of key frames, and with seeking to the key frame
before each frame that is wanted. Each round measures all settings in turn. Of each setting the least time counts: other
load on the machine can only add time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import av

from ferflow.jobs.benchmarks.clip import SCENES
from ferflow.media.container import DECODER_OPTIONS, Container
from ferflow.media.decode_report import Lost, NoTimestamps
from ferflow.media.frame_skipping import SkippedFrame
from ferflow.media.video import Selection, open_video
from ferflow.system.cpus import available_cpus
from ferflow.system.scheduling import keep_scheduling
from ferflow.types import UInt8Array

THREAD_TYPES = ("FRAME", "SLICE", "AUTO")

GROUPS_S = (10, 2, 1)
"""Seconds between key frames: x264's default at 25 frames a second, streams and screen recorders, telephones."""

_LONG_S = 20
"""Length of the clip for groups; it shows the same few seconds again and again."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """FFmpeg's encoder of one codec."""

    name: str
    suffix: str = "mkv"
    pix_fmt: str = "yuv420p"
    megabits_per_s: float | None = None
    options: tuple[tuple[str, str], ...] = ()


ENCODERS = {
    "H.264": Encoder("libx264", options=(("preset", "fast"),)),
    "HEVC": Encoder("libx265", options=(("preset", "veryfast"), ("x265-params", "log-level=none"))),
    "VP9": Encoder(
        "libvpx-vp9",
        options=(("deadline", "realtime"), ("cpu-used", "6"), ("tile-columns", "2"), ("row-mt", "1")),
        megabits_per_s=3,
    ),
    "AV1": Encoder("libsvtav1", options=(("preset", "10"),)),
    "MPEG-2": Encoder("mpeg2video", megabits_per_s=8),
    "MJPEG": Encoder("mjpeg", pix_fmt="yuvj420p", megabits_per_s=30),
    "ProRes": Encoder("prores_ks", suffix="mov", pix_fmt="yuv422p10le"),
}


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one pass over a clip."""

    wall_s: float
    cpu_s: float
    n_decoded: int


def encode(path: Path, pictures: Sequence[UInt8Array], encoder: Encoder, fps: int) -> Path:
    """Write BGR pictures."""
    with av.open(str(path), "w") as out:
        stream = cast(av.VideoStream, out.add_stream(encoder.name, rate=fps))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = encoder.pix_fmt
        stream.options = dict(encoder.options)
        if encoder.megabits_per_s is not None:
            stream.bit_rate = round(encoder.megabits_per_s * 1e6)
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            with keep_scheduling():  # SVT-AV1 changes that of all threads
                packets = stream.encode(frame)
            out.mux(packets)
        out.mux(stream.encode(None))
    return path


def measure(decode: Callable[[], int]) -> Timing:
    """Run one pass, which returns the number of frames that it decoded."""
    wall, cpu = time.perf_counter(), time.process_time()
    n_decoded = decode()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu, n_decoded)


def decode_with(path: Path, threads: int, thread_type: str) -> int:
    """Decode every frame with FFmpeg's threads of one type."""
    with av.open(str(path)) as opened:
        stream = opened.streams.video[0]
        stream.thread_type = thread_type
        stream.codec_context.thread_count = threads
        stream.codec_context.options = DECODER_OPTIONS.get(stream.codec_context.name, {})
        return sum(1 for _ in opened.decode(stream))


def decode_selected(path: Path, fps: float) -> int:
    """Decode what ferflow decodes with `--fps`."""
    source = Container(path)
    try:
        source.skip_frames(fps, 0.0)
        others = (SkippedFrame, Lost, NoTimestamps)
        return sum(not isinstance(event, others) for event in source.decode())
    finally:
        source.close()


def decode_by_seeking(path: Path, fps: float, seconds: float) -> int:
    """Seek to the key frame before each frame that is wanted, and decode up to it."""
    n_decoded, source = 0, Container(path)
    try:
        for number in range(int(seconds * fps)):
            wanted = int(number / fps / source.info.time_base)
            for event in source.decode(wanted):
                if isinstance(event, av.VideoFrame):
                    n_decoded += 1
                    if (event.pts or 0) >= wanted:
                        break
    finally:
        source.close()
    return n_decoded


def time_rounds(passes: Mapping[str, Callable[[], int]], rounds: int) -> dict[str, list[Timing]]:
    """Time all passes in turn, so that other load on the machine meets all of them; the first round is a warm-up."""
    timings: dict[str, list[Timing]] = {name: [] for name in passes}
    for number in range(rounds + 1):
        for name, decode in passes.items():
            timing = measure(decode)
            if number:
                timings[name].append(timing)
    return timings


def ratio(one: Sequence[Timing], other: Sequence[Timing]) -> str:
    """How many times as fast the second setting is, and how much processor time it takes, both of the first."""
    speed = min(each.wall_s for each in one) / min(each.wall_s for each in other)
    cpu = min(each.cpu_s for each in other) / min(each.cpu_s for each in one)
    return f"{speed:.2f} ({cpu:.2f})"


def compare_threads(folder: Path, pictures: Sequence[UInt8Array], fps: int, rounds: int) -> None:
    """Print a line per codec."""
    threads = available_cpus() + 1
    print(f"times as fast as one thread (its processor time = 1), {threads} threads")
    print(f"| codec | decoder | one thread, frames/s | {' | '.join(THREAD_TYPES)} |")
    print("|---|---|---|" + "---|" * len(THREAD_TYPES))
    for codec, encoder in ENCODERS.items():
        path = encode(folder / f"{encoder.name}.{encoder.suffix}", pictures, encoder, fps)
        with open_video(path) as video:
            decoder = video.info.codec
        alone = {"one": partial(decode_with, path, 1, "FRAME")}
        timings = time_rounds(
            alone | {kind: partial(decode_with, path, threads, kind) for kind in THREAD_TYPES}, rounds
        )
        one = timings["one"]
        rate = max(each.n_decoded / each.wall_s for each in one)
        print(
            f"| {codec} | {decoder} | {rate:.0f} | "
            + " | ".join(ratio(one, timings[kind]) for kind in THREAD_TYPES)
            + " |",
            flush=True,
        )


def compare_selections(
    folder: Path, pictures: Sequence[UInt8Array], fps: int, rounds: int, selected_fps: float
) -> None:
    """Print a line per distance of key frames."""
    long = [pictures[number % len(pictures)] for number in range(_LONG_S * fps)]
    print(
        f"\n--fps {selected_fps:g}: times as fast as every frame (its processor time = 1), share of frames decoded"
    )
    print("| key frame every | --fps | seeking |\n|---|---|---|")
    for group_s in GROUPS_S:
        options = (("preset", "fast"), ("g", str(group_s * fps)), ("sc_threshold", "0"))
        path = encode(folder / f"group{group_s}.mp4", long, Encoder("libx264", options=options), fps)
        timings = time_rounds(
            {
                "every": partial(count_frames, path),
                "fps": partial(decode_selected, path, selected_fps),
                "seek": partial(decode_by_seeking, path, selected_fps, _LONG_S),
            },
            rounds,
        )
        cells = [
            f"{ratio(timings['every'], timings[name])}, {timings[name][0].n_decoded / len(long):.0%}"
            for name in ("fps", "seek")
        ]
        print(f"| {group_s} s | {' | '.join(cells)} |", flush=True)


def count_frames(path: Path) -> int:
    """Decode every frame as ferflow does."""
    with open_video(path) as video:
        return sum(1 for _ in video.frames(Selection()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the clips and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scene", choices=SCENES, default="720p")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the clips of the first table")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fps", type=float, default=1.0, help="of the second table")
    given = parser.parse_args(arguments)
    drawing = SCENES[given.scene].drawing
    pictures = list(drawing.pictures(round(given.seconds * drawing.fps)))
    with tempfile.TemporaryDirectory() as folder:
        compare_threads(Path(folder), pictures, drawing.fps, given.rounds)
        compare_selections(Path(folder), pictures, drawing.fps, given.rounds, given.fps)


if __name__ == "__main__":
    main()
