"""A mutation loop over everything that ferflow reads, in child processes, so that a native crash is seen too.

    python -m tests.torture.fuzz video --n 1000 --seed 7     # a thousand cases in a child, watched
    python -m tests.torture.fuzz video --seed 7 --case 123   # one again, here; its input is kept

A case is decided by (target, seed, number). Each must end in a result or in a FerflowError, in time, and within
the child's memory. A new target is one line in TARGETS: its seeds, and what reads a file.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import traceback
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

from ferflow.errors import FerflowError
from tests.torture import films
from tests.torture.films import film

SECONDS_PER_CASE = 60
MOST_MEMORY = 8 << 30
"""Address space of a child, bytes."""


@dataclass(frozen=True)
class Target:
    """Something that reads files from outside."""

    seeds: Callable[[Path], list[bytes]]
    """Sound inputs, made in a scratch folder."""
    read: Callable[[Path], object]
    """Raises FerflowError, or nothing."""
    suffix: str = ""
    is_text: bool = False
    """Changes are then kept within UTF-8, to get past the first check."""


def read_video(path: Path) -> None:
    """Decode up to 40 frames, and hold what is promised of them."""
    from ferflow.video import Selection, open_video

    with open_video(path, threads=2) as video:
        last = 0.0
        for frame in islice(video.frames(Selection()), 40):
            assert math.isfinite(frame.time_s) and frame.time_s >= last, (frame.time_s, last)
            assert frame.planes.y.size > 0 and frame.planes.y.ndim == 2
            assert 0 <= frame.planes.luma_mean() <= 255
            last = frame.time_s
        assert all(gap.end_s is None or gap.end_s >= gap.start_s for gap in video.faults.gaps), (
            video.faults.gaps
        )
        json.dumps([video.info.duration_s_from_header, video.info.frame_rate], allow_nan=False)
    assert video.rotation % 90 == 0


@cache
def _tools() -> object:
    from ferflow.faces import make_detector
    from ferflow.options import AnalyzeOptions
    from ferflow.pipeline import Tools
    from tests.conftest import MeanClassifier

    return Tools(make_detector(AnalyzeOptions()), MeanClassifier())


def read_wholly(path: Path) -> None:
    """The whole analysis, up to the tables."""
    from ferflow.options import AnalyzeOptions, TimePoint
    from ferflow.pipeline import analyze

    for batch in analyze(path, AnalyzeOptions(end=TimePoint(frame_index=40), threads=2), tools=_tools()):
        batch.validate(full=True)


def read_job(path: Path) -> None:
    from ferflow.options import AnalyzeOptions

    options = AnalyzeOptions.from_toml(path)
    again = AnalyzeOptions().updated(**json.loads(json.dumps(options.as_dict(), allow_nan=False)))
    assert again == options


def read_time(path: Path) -> None:
    from ferflow.options import TimePoint

    point = TimePoint.parse(path.read_text("utf-8", "surrogateescape"))
    assert TimePoint.parse(str(point)) == point


def read_footer(path: Path) -> None:
    from ferflow.records import read_metadata, read_table

    json.dumps(read_metadata(path))
    read_table(path, ["time_s"])


def read_metadata_of_ours(path: Path) -> None:
    """The file is what stands in the footer of a sound table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ferflow.records import METADATA_KEY, read_metadata

    table = pa.table({"a": [1]}).replace_schema_metadata({METADATA_KEY: path.read_bytes()})
    pq.write_table(table, path.with_suffix(".parquet"))
    assert isinstance(read_metadata(path.with_suffix(".parquet")), dict)


def read_card(path: Path) -> None:
    from ferflow.models.registry import resolve

    resolve(path).verify()


def of(*makers: films.Maker) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        for number, maker in enumerate(makers):
            maker(folder / f"{number}")
        return [(folder / f"{number}").read_bytes() for number in range(len(makers))]

    return seeds


def _videos() -> Callable[[Path], list[bytes]]:
    hundredths = {"pts": range(0, 24, 4), "time_base": films.Fraction(1, 100), "n": 6}
    return of(
        film(n=6, muxer="mp4"), film(n=6, muxer="mp4", container={"movflags": "frag_keyframe+empty_moov"}),
        film(n=6, muxer="mov", rotation=90), film(n=6, muxer="matroska"), film(n=6, muxer="mpegts"), film(n=6, muxer="flv"),
        film("libx265", n=6, muxer="mp4"), film("libvpx-vp9", n=6, muxer="webm"), film("libsvtav1", n=6, muxer="matroska"),
        film("libvpx", n=6, muxer="ivf"), film("mpeg4", n=6, muxer="avi"), film("mjpeg", "yuvj420p", n=6, muxer="avi"),
        film("mpeg2video", n=6, muxer="mpeg"), film("wmv2", n=6, muxer="asf"), film("ffv1", n=6, muxer="nut"),
        film("prores_ks", "yuv422p10le", n=3, muxer="mov"), film("gif", "rgb8", muxer="gif", **hundredths), film("apng", "rgb24", n=4, muxer="apng"),
        film("h263", n=4, size=(176, 144), muxer="3gp"), film("wrapped_avframe", n=3, muxer="yuv4mpegpipe"), film("png", "rgba", n=3, muxer="mov"),
        film("qtrle", "rgb24", n=4, muxer="mov"), film("huffyuv", "yuv422p", n=3, muxer="avi"), film("libx265", "yuv420p10le", n=4, muxer="matroska"), films.annex_b,
        film("dvvideo", size=(720, 576), n=1, muxer="avi"), film("jpeg2000", "rgb24", n=3, muxer="matroska"),
    )  # fmt: skip


def _stills(folder: Path) -> list[bytes]:
    return [films.still(1, suffix=suffix) for suffix in (".png", ".jpg", ".bmp", ".webp", ".tiff")]


def _tables(folder: Path) -> list[bytes]:
    from tests.made_records import Made, write_session

    name = write_session(folder, Made(seconds=2))
    return [(folder / room / f"{name}.parquet").read_bytes() for room in ("frames", "faces")]


def _footers(folder: Path) -> list[bytes]:
    from tests.made_records import Made, write_session
    from ferflow.records import read_metadata

    name = write_session(folder, Made(seconds=2))
    return [json.dumps(read_metadata(folder / "faces" / f"{name}.parquet")).encode()]


def _cards(folder: Path) -> list[bytes]:
    from ferflow.models.registry import SHIPPED

    return [path.read_bytes() for path in sorted(SHIPPED.glob("*.json"))]


def texts(*contents: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [content.encode() for content in contents]


JOB = """every = 2\nstart = "0:10"\nend = "1:30.5"\nmin_face = 40\ndetector = "haar"\nscore = 0.8\nparticipants = 1\nthreads = 2
bin_seconds = 0.5\nsequence_fps = 25\nbatch_size = 32\n"""

TARGETS = {
    "video": Target(_videos(), read_video, ".mp4"),
    "analysis": Target(_videos(), read_wholly, ".mp4"),
    "still": Target(_stills, read_video, ".png"),
    "job": Target(
        texts(JOB, 'fps = 5\nend = "300f"\n', "model = 'x'\nfps = 1e300\n"), read_job, ".toml", is_text=True
    ),
    "time": Target(texts("12.5", "300f", "1:30.5", "00:01:30.25"), read_time, is_text=True),
    "footer": Target(_tables, read_footer, ".parquet"),
    "metadata": Target(_footers, read_metadata_of_ours, ".json", is_text=True),
    "card": Target(_cards, read_card, ".json", is_text=True),
}


def read_control(path: Path) -> None:
    """What the loop must notice: death, silence, an error that is none of ferflow's."""
    match path.read_bytes()[:1]:
        case b"d":
            os.abort()
        case b"s":
            threading.Event().wait()
        case b"e":
            raise KeyError("spoilt")


CONTROL = "control"
TARGETS[CONTROL] = Target(texts("fine"), read_control)

_ODD = [0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]
_TOKENS = [
    b"nan", b"-inf", b"1e999", b"9" * 400, b"[" * 2000, b'{"a":' * 500, b"\0", b"\xff\xfe", b"\n", b'"', b"'", b"true", b"null", b"-1", b"{}", b"[]",
    b"moov", b"mdat", b"RIFF", b"../", b"\xe2\x80\xae", "٣".encode(), b"f", b":", b".",
]  # fmt: skip


def mutated(content: bytes, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """A few changes of random kinds at random places."""
    result = bytearray(content)
    for _ in range(int(rng.integers(1, 7))):
        at = int(rng.integers(len(result) + 1))
        length = int(rng.integers(1, max(len(result) // 4, 2)))
        match int(rng.integers(9)):
            case 0 if at < len(result):
                result[at] ^= 1 << int(rng.integers(8))
            case 1 if at < len(result):
                result[at] = int(rng.integers(256))
            case 2:
                value, order = int(rng.choice(_ODD)), rng.choice(["big", "little"])
                result[at : at + 4] = value.to_bytes(4, order)
            case 3:
                del result[at : at + length]
            case 4:
                result[at:at] = result[at : at + length]
            case 5:
                result[at : at + length] = bytes(len(result[at : at + length]))
            case 6:
                del result[at:]
            case 7:
                result[at:at] = _TOKENS[int(rng.integers(len(_TOKENS)))]
            case 8:
                other = others[int(rng.integers(len(others)))]
                start = int(rng.integers(len(other) + 1))
                result[at : at + length] = other[start : start + length]
    return bytes(result)


@cache
def seeds_of(name: str) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return TARGETS[name].seeds(Path(folder))


def case_of(name: str, seed: int, number: int) -> bytes:
    """The input that (target, seed, number) stand for."""
    if name == CONTROL:
        return b"ffdfsfef"[number % 8 : number % 8 + 1]
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed, number])
    seeds = seeds_of(name)
    content = mutated(seeds[number % len(seeds)], seeds, rng)
    return content.decode(errors="ignore").encode() if TARGETS[name].is_text else content


def run_here(name: str, seed: int, numbers: Sequence[int], folder: Path) -> None:
    """In the child: say what is tried, and what went wrong with it."""
    target = TARGETS[name]
    path = folder / f"case{target.suffix}"
    for number in numbers:
        print("case", number, flush=True)
        path.write_bytes(case_of(name, seed, number))
        try:
            target.read(path)
        except FerflowError as error:
            if "\n" in str(error) or len(str(error)) > 1500:
                print("wrong", number, f"message of {len(str(error))} characters", flush=True)
        except BaseException:
            print("wrong", number, traceback.format_exc().replace("\n", " | ")[-600:], flush=True)
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True)


@dataclass
class Findings:
    """What a run of a target came to."""

    n_cases: int = 0
    wrong: list[str] = field(default_factory=list)
    """One line per crash, hang, or error that is none of ferflow's."""
    peak_mib: int = 0


def fuzz(
    name: str, seed: int, n: int, *, per_child: int = 500, seconds: float = SECONDS_PER_CASE
) -> Findings:
    """Run `n` cases in children; one that dies or is silent for too long is told with its case, and replaced."""
    found, number = Findings(), 0
    while number < n:
        number = _child(name, seed, number, min(number + per_child, n), found, seconds)
    return found


def _child(name: str, seed: int, start: int, stop: int, found: Findings, seconds: float) -> int:
    """Returns the number of the next case."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.torture.fuzz", name, "--seed", str(seed), "--range", str(start), str(stop)]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
    ) as child:
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_pump, args=(child.stdout, lines), daemon=True).start()
        at = start - 1
        try:
            while line := lines.get(timeout=seconds):
                word, value, *rest = line.split(" ", 2)
                if word == "case":
                    at, found.n_cases = int(value), found.n_cases + 1
                elif word == "wrong":
                    found.wrong.append(f"{name} --seed {seed} --case {value}: {rest[0].strip()}")
                elif word == "peak":
                    found.peak_mib = max(found.peak_mib, int(value))
        except queue.Empty:
            child.kill()
            found.wrong.append(f"{name} --seed {seed} --case {at}: hangs")
            return at + 1
        if child.wait() != 0 and at < start:
            raise RuntimeError(f"{' '.join(command)} does not start")
        if child.returncode != 0:
            found.wrong.append(f"{name} --seed {seed} --case {at}: ended by {child.returncode}")
            return at + 1
    return stop


def _pump(stream: Iterable[str], lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--case", type=int)
    parser.add_argument("--range", type=int, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case is not None:
        folder = Path(tempfile.mkdtemp())
        run_here(asked.target, asked.seed, [asked.case], folder)
        print(*folder.iterdir())
    elif asked.range:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        with tempfile.TemporaryDirectory() as folder:
            run_here(asked.target, asked.seed, range(*asked.range), Path(folder))
    else:
        found = fuzz(asked.target, asked.seed, asked.n)
        print(*found.wrong, sep="\n")
        print(
            f"{found.n_cases} cases of {asked.target}, seed {asked.seed}: {len(found.wrong)} wrong, peak {found.peak_mib} MiB"
        )


if __name__ == "__main__":
    main()
