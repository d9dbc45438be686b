"""Whether the numbers of a video depend on its frame rate, which viewers hardly notice.

    python -m ferflow.jobs.benchmarks.twins CLIP... [--seconds 30] [--json FILE]

Twins of each clip are written and analysed: the same pictures at 5, 12, 25 and 50 frames per second, and a pair with a
variable and a constant rate that shows the same picture at every time. Within both groups the headline numbers should
agree.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from math import ceil, floor
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ferflow.analytics.measures import PRESENCE
from ferflow.analytics.tally import column
from ferflow.analytics.timeline import audience, person_rows, weighted_means
from ferflow.jobs.run import run
from ferflow.media.encode import VideoSettings, open_video_writer
from ferflow.media.inputs import video_id_of
from ferflow.media.video import Frame, Selection, open_video
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import read_table
from ferflow.store.video_files import VideoFiles

RATES = (5, 12, 25, 50)
"""Frames per second."""
CONSTANT_RATE = 25
"""Of the twin of the variable rate."""
SLOW_STEP = 6
"""In every other second, the variable rate keeps one frame of so many, as a webcam does in the dark."""
CRF = 12
"""Nearly lossless, so that twins do not differ by their compression."""

HEADLINES = ("engagement", "expressiveness", "attention", "valence")

Numbers: TypeAlias = dict[str, float]
"""Headline numbers by name: means weighted by time over people, and shares of readable time by shown label."""
Pictures: TypeAlias = Iterable[tuple[Fraction, Frame]]
"""Pictures, each with the time from which it is shown."""


def write_twins(
    clip: Path, folder: Path, *, seconds: float, rates: Sequence[int] = RATES
) -> dict[str, list[Path]]:
    """Write the twins of a clip's first seconds; files by group.

    Raises:
        VideoError: the clip cannot be read, or a twin cannot be written.
    """
    constant_rates = [
        _write(folder / f"{rate} fps.mp4", at_rate(read_frames(clip, seconds), rate)) for rate in rates
    ]
    variable = folder / "variable.mp4"
    _write(variable, ((frame.time, frame) for frame in drop_frames(read_frames(clip, seconds))))
    dropped = drop_frames(read_frames(clip, seconds))
    constant = _write(folder / "constant.mp4", at_rate(dropped, CONSTANT_RATE))
    return {"frame rates": constant_rates, "variable and constant": [variable, constant]}


def read_frames(clip: Path, seconds: float) -> Iterator[Frame]:
    """The frames of a clip's first seconds."""
    with open_video(clip) as video:
        for frame in video.frames(Selection()):
            if frame.time >= seconds:
                return
            yield frame


def drop_frames(frames: Iterable[Frame]) -> Iterator[Frame]:
    """A variable rate: all frames of every other second, and one of `SLOW_STEP` of the others."""
    for frame in frames:
        if int(frame.time) % 2 == 0 or frame.index % SLOW_STEP == 0:
            yield frame


def at_rate(frames: Iterable[Frame], rate: int) -> Iterator[tuple[Fraction, Frame]]:
    """The picture that is shown at each multiple of 1 / rate, up to the time of the last picture."""
    for frame, following in pairwise(chain(frames, [None])):
        if frame is None:
            continue
        first = ceil(frame.time * rate)
        end = ceil(following.time * rate) if following else floor(frame.time * rate) + 1
        for k in range(first, end):
            yield Fraction(k, rate), frame


def _write(path: Path, pictures: Pictures) -> Path:
    waiting = iter(pictures)
    first = next(waiting)
    planes = first[1].planes
    size = planes.width // 2 * 2, planes.height // 2 * 2
    with open_video_writer(path, VideoSettings(size=size, crf=CRF)) as writer:
        for time, frame in chain([first], waiting):
            writer.write(frame.bgr(size), time)
    return path


def read_numbers(video: VideoFiles) -> Numbers:
    """The headline numbers of a finished video.

    Raises:
        RecordsError: its timeline cannot be read.
    """
    table = read_table(video.timeline)
    whole, people = audience(table), weighted_means(person_rows(table))
    presence = float(np.average(column(whole, PRESENCE.name), weights=column(whole, "seconds")))
    shown = {name: value for name, value in people.items() if name.startswith("shown_")}
    return {PRESENCE.name: presence, **{name: people[name] for name in HEADLINES}, **shown}


def spread(twins: Iterable[Numbers]) -> Numbers:
    """Largest difference of each number between any two twins."""
    several = list(twins)
    return {name: float(np.ptp([one[name] for one in several])) for name in several[0]}


def compare_twins(
    clip: Path, folder: Path, *, seconds: float, rates: Sequence[int] = RATES
) -> dict[str, dict[str, Numbers]]:
    """Write and analyse the twins of a clip; their numbers by group and name of the file.

    Args:
        clip: the video.
        folder: an empty folder, for the twins and their tables.
        seconds: how much of the clip is used.
        rates: of the first group, frames per second.

    Raises:
        VideoError: the clip cannot be read, or a twin cannot be written.
    """
    groups = write_twins(clip, folder, seconds=seconds, rates=rates)
    out = OutputFolder(folder / "out")
    run([path for group in groups.values() for path in group], out.path, pages=False)
    return {
        name: {path.stem: read_numbers(out.video(video_id_of(path))) for path in group}
        for name, group in groups.items()
    }


def show(clip: str, groups: Mapping[str, Mapping[str, Numbers]]) -> Iterator[str]:
    """Lines for people: a line per twin, and per group the largest differences."""
    names = list(next(iter(next(iter(groups.values())).values())))
    yield f"{clip:34}" + "".join(f"{name.removeprefix('shown_')[:12]:>13}" for name in names)
    for group, twins in groups.items():
        for twin, numbers in twins.items():
            yield f"  {twin:32}" + "".join(f"{numbers[name]:13.3f}" for name in names)
        apart = spread(twins.values())
        yield f"  {group + ': apart by':32}" + "".join(f"{apart[name]:13.3f}" for name in names)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table per clip."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--seconds", type=float, default=30.0, help="how much of each clip is used")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(arguments)
    found = {}
    for clip in asked.clips:
        with tempfile.TemporaryDirectory() as folder:
            found[clip.stem] = compare_twins(clip, Path(folder), seconds=asked.seconds)
        print(*show(clip.stem, found[clip.stem]), sep="\n", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
