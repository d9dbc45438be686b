"""How well the numbers agree with what a viewer sees, on clips whose expressions were rated by eye.

    python -m ferflow.jobs.benchmarks.validity CLIP... --truth RATINGS.csv [--model NAME] [--json FILE]

CLIP is a video or a finished output folder; RATINGS.csv is explained in `ratings`. Three definitions of "expressive"
are compared on the same faces: the product's, its earlier one (the lower quartile of a person as baseline), and the
scores taken as they are, as in the `fer` package. Then the steadiness of the product's numbers: changes of the shown
label per second, and what happens to the share of a common beginning when a clip is cut at several lengths.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ferflow.analytics.expressions import SMOOTHING_SECONDS
from ferflow.jobs.benchmarks.agreement import STATISTICS, Estimate, Windows, estimate
from ferflow.jobs.benchmarks.answers import DEFINITIONS, Answers, read_answers
from ferflow.jobs.benchmarks.ratings import Rating, people, read_ratings
from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from ferflow.store.video_files import VideoFiles

LENGTHS_S = (2.0, 5.0, 9.9, 10.2, 15.0, 30.0)
"""Where clips are cut; the earlier definition jumped at ten seconds."""


@dataclass(frozen=True, slots=True)
class Rated:
    """The answers for one clip, and which faces each of its ratings is about."""

    answers: Answers
    ratings: Sequence[Rating]
    rows: Sequence[npt.NDArray[np.bool_]]
    """Per rating, bool (N,)."""


def rate(answers: Answers, ratings: Sequence[Rating]) -> Rated:
    """Find the faces of every rating."""
    return Rated(answers, ratings, [answers.places.of(rating) for rating in ratings])


def windows(rated: Sequence[Rated], definition: str) -> Windows:
    """What a definition says of every rated window."""
    ratings = [rating for one in rated for rating in one.ratings]
    number = {person: i for i, person in enumerate(people(ratings))}
    values = [_window(one.answers, rows, definition) for one in rated for rows in one.rows]
    return Windows(
        person=np.array([number[rating.person] for rating in ratings]),
        rating=np.array([rating.expressive for rating in ratings]),
        score=np.array([score for score, _ in values]),
        share=np.array([share for _, share in values]),
    )


def _window(answers: Answers, rows: npt.NDArray[np.bool_], definition: str) -> tuple[float, float]:
    """Mean score and expressive share over the known time of these faces; NaN without any."""
    rows = rows & np.isfinite(answers.scores[definition])
    if not rows.any():
        return float("nan"), float("nan")
    seconds = answers.seconds[rows]
    return (
        float(np.average(answers.scores[definition][rows], weights=seconds)),
        float(np.average(answers.expressive[definition][rows], weights=seconds)),
    )


# --- Steadiness -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flicker:
    """Changes of a label per second of rated time."""

    resting: float
    speaking: float


def flicker(rated: Sequence[Rated], labels: str) -> Flicker:
    """Changes per second in windows rated as a resting and still face, and in those rated as speaking."""
    still = [
        (one, rows)
        for one, rating, rows in _pairs(rated)
        if rating.expressive == 0 and not rating.is_speaking
    ]
    speaking = [(one, rows) for one, rating, rows in _pairs(rated) if rating.is_speaking]
    return Flicker(_changes_per_second(still, labels), _changes_per_second(speaking, labels))


def _pairs(rated: Sequence[Rated]) -> Iterator[tuple[Answers, Rating, npt.NDArray[np.bool_]]]:
    for one in rated:
        for rating, rows in zip(one.ratings, one.rows, strict=True):
            yield one.answers, rating, rows


def _changes_per_second(parts: Sequence[tuple[Answers, npt.NDArray[np.bool_]]], labels: str) -> float:
    changes = seconds = 0.0
    for answers, rows in parts:
        rows = rows & (answers.labels["shown"] >= 0)
        changes += np.count_nonzero(np.diff(answers.labels[labels][rows]))
        seconds += answers.seconds[rows].sum()
    return float(changes / seconds) if seconds else float("nan")


@dataclass(frozen=True, slots=True)
class Cut:
    """Expressive share of the beginning of a clip, from the whole clip and from the clip that ends there."""

    clip: str
    length_s: float
    person_id: int
    whole: float
    cut: float
    settled_whole: float
    settled_cut: float
    """The same without the last quarter of a second, whose smoothed values depend on what follows."""

    @property
    def effect(self) -> float:
        """Difference over the common part."""
        return abs(self.whole - self.cut)

    @property
    def settled_effect(self) -> float:
        """Difference over the part that does not depend on what follows."""
        return abs(self.settled_whole - self.settled_cut)


def cuts(video: VideoFiles, definition: str) -> Iterator[Cut]:
    """The effect of cutting a clip at each of `LENGTHS_S`, on everybody who is there in both."""
    whole = read_answers(video)
    last_s = whole.places.time_s.max(initial=0)
    for length_s in (length for length in LENGTHS_S if length < last_s):
        cut = read_answers(video, end_s=length_s)
        for person in np.unique(cut.places.person_id):
            shares = [
                _share_until(answers, definition, int(person), end_s)
                for end_s in (length_s, length_s - SMOOTHING_SECONDS / 2)
                for answers in (whole, cut)
            ]
            if np.isfinite(shares).all():
                yield Cut(video.video_id, length_s, int(person), *shares)


def _share_until(answers: Answers, definition: str, person: int, end_s: float) -> float:
    rows = (answers.places.person_id == person) & (answers.places.time_s < end_s)
    return _window(answers, rows, definition)[1]


# --- Command --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that is printed."""

    n_windows: int
    n_people: int
    agreement: Mapping[str, Mapping[str, Estimate]]
    """By definition, then by name of the statistic."""
    n_answered: Mapping[str, int]
    flicker: Mapping[str, Flicker]
    cuts: Mapping[str, Sequence[Cut]]


def measure(videos: Sequence[VideoFiles], ratings: Mapping[str, Sequence[Rating]]) -> Result:
    """Compare finished videos with their ratings."""
    rated = [
        rate(answers, ratings[answers.clip])
        for answers in map(read_answers, videos)
        if answers.clip in ratings
    ]
    found = {definition: windows(rated, definition) for definition in DEFINITIONS}
    first = next(iter(found.values()))
    return Result(
        n_windows=len(first.rating),
        n_people=len(np.unique(first.person)),
        agreement={
            definition: {name: estimate(one.answered, statistic) for name, statistic in STATISTICS.items()}
            for definition, one in found.items()
        },
        n_answered={definition: len(one.answered.rating) for definition, one in found.items()},
        flicker={labels: flicker(rated, labels) for labels in ("shown", "raw")},
        cuts={
            definition: [cut for video in videos for cut in cuts(video, definition)]
            for definition in DEFINITIONS
        },
    )


def show(result: Result) -> Iterator[str]:
    """Lines for people."""
    yield f"{result.n_windows} rated windows of {result.n_people} people; 95 % intervals over resampled people"
    yield f"{'':28}{'answered':>9}" + "".join(f"{name:>22}" for name in STATISTICS)
    for definition, estimates in result.agreement.items():
        cells = (f"{one.value:8.2f} [{one.low:.2f}, {one.high:.2f}]" for one in estimates.values())
        yield f"{definition:28}{result.n_answered[definition]:9}" + "".join(f"{cell:>22}" for cell in cells)
    for labels, one in result.flicker.items():
        yield f"changes of the {labels} label per second: {one.resting:.2f} at rest, {one.speaking:.2f} speaking"
    for definition, cuts in result.cuts.items():
        if cuts:
            worst, settled = max(cuts, key=lambda cut: cut.effect), max(cut.settled_effect for cut in cuts)
            yield (
                f"{definition}: largest effect of {len(cuts)} cuts on the common part {worst.effect:.3f} "
                f"({worst.clip} at {worst.length_s:g} s), {settled:.3f} without its last {SMOOTHING_SECONDS / 2:g} s"
            )


def analyse(clips: Sequence[Path], out: Path, options: AnalyzeOptions) -> list[VideoFiles]:
    """The finished videos of folders, and those of clips, which are analysed into `out`."""
    folders, files = [clip for clip in clips if clip.is_dir()], [clip for clip in clips if not clip.is_dir()]
    if files:
        run(files, out, options, pages=False)
    return [video for folder in (*folders, out) for video in OutputFolder(folder).finished_videos()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "clips", nargs="+", type=Path, metavar="CLIP", help="video, or finished output folder"
    )
    parser.add_argument("--truth", type=Path, required=True, metavar="CSV", help="ratings")
    parser.add_argument("--model", help="as of `ferflow analyze`")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        videos = analyse(asked.clips, Path(folder), AnalyzeOptions().updated(model=asked.model))
        result = measure(videos, read_ratings(asked.truth))
    for line in show(result):
        print(line)
    if asked.json:
        asked.json.write_text(json.dumps(asdict(result), indent=1))


if __name__ == "__main__":
    main()
