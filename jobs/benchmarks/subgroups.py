"""How well neutral faces and smiles are told apart, by gender, age and ethnicity as people name their own.

    python -m ferflow.jobs.benchmarks.subgroups FOLDER [--model NAME]

FOLDER holds photographs, two of each person, and `labels.csv`: file (`<id>_...`), label (`neutral` or `happy`), age,
gender, ethnicity. A line per group gives the number of people; neutral recall, the share of neutral photographs whose
label is neutral; paired, the share of people whose smile has a higher probability of happy than their own neutral face;
and AUC, how often a smile has a higher one than a neutral face of anybody in the group. Shares have Wilson's interval,
AUC the 95 % interval of 2000 resamples of people. Recall of happy is not given: smiles of photographs differ in
strength between people, and so it would be about them.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ferflow.analytics.intervals import Interval, share_interval
from ferflow.analytics.measures import NEUTRAL_LABEL
from ferflow.errors import OptionsError
from ferflow.faces.crops import crop_faces
from ferflow.media.video import Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.types import Float64Array

SMILE = "happy"
AGES = ((0, 25), (25, 35), (35, 200))
"""Years from, and below."""
N_SAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Subject:
    """One person and what the model says of both photographs."""

    groups: tuple[str, ...]
    """What the person belongs to: "all", and a gender, an age and an ethnicity."""
    is_neutral: bool
    """Whether the neutral photograph's most probable label is neutral."""
    at_rest: float
    """Probability of happy in the neutral photograph, in [0, 1]."""
    smiling: float
    """The same in the other one."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one group."""

    n: int
    neutral_recall: Interval
    paired: Interval
    """Share of people whose smile scores above their own neutral face; a tie is none."""
    auc: float
    auc_low: float
    auc_high: float


def auc(smiling: Float64Array, at_rest: Float64Array) -> float:
    """How often a value of the first is above one of the second; a tie is half."""
    return float((np.sign(smiling[:, None] - at_rest).mean() + 1) / 2)


def summarise(subjects: Sequence[Subject], *, seed: int = 0) -> Figures:
    """The figures of one group, at least one person."""
    smiling, at_rest = (
        np.array(values) for values in zip(*((one.smiling, one.at_rest) for one in subjects), strict=True)
    )
    n, draw = len(subjects), np.random.default_rng(seed)
    drawn = [draw.integers(n, size=n) for _ in range(N_SAMPLES)]
    low, high = np.quantile([auc(smiling[rows], at_rest[rows]) for rows in drawn], [0.025, 0.975])
    return Figures(
        n,
        share_interval([float(one.is_neutral) for one in subjects]),
        share_interval((smiling > at_rest).astype(float)),
        auc(smiling, at_rest),
        float(low),
        float(high),
    )


def by_group(subjects: Sequence[Subject]) -> dict[str, Figures]:
    """Figures of all people, then of each group, by name."""
    names = sorted({name for one in subjects for name in one.groups}, key=lambda name: (name != "all", name))
    return {name: summarise([one for one in subjects if name in one.groups]) for name in names}


def read_subjects(folder: Path, tools: Tools) -> list[Subject]:
    """Classify the photographs of a folder; a person without a face in one of two is left out.

    Raises:
        OptionsError: the folder has no `labels.csv`.
    """
    if not (table := folder / "labels.csv").is_file():
        raise OptionsError(f"{table}: no such file. It names the photographs and the people.")
    pairs: dict[str, dict[str, Mapping[str, str]]] = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            pairs.setdefault(row["file"].split("_")[0], {})[row["label"]] = row
    found = []
    for pair in pairs.values():
        if {NEUTRAL_LABEL, SMILE} <= pair.keys():
            rest, smile = (
                _probabilities(folder / pair[name]["file"], tools) for name in (NEUTRAL_LABEL, SMILE)
            )
            if rest is not None and smile is not None:
                label = max(rest, key=lambda name: rest[name])
                found.append(Subject(_groups(pair[SMILE]), label == NEUTRAL_LABEL, rest[SMILE], smile[SMILE]))
    return found


def _groups(row: Mapping[str, str]) -> tuple[str, ...]:
    given = {
        key: "" if (value := row[key].strip()) == "NA" else value for key in ("gender", "ethnicity", "age")
    }
    named = [f"{key} {given[key].replace('_', ' ')}" for key in ("gender", "ethnicity") if given[key]]
    ages = [_age_name(*span) for span in AGES if given["age"] and span[0] <= float(given["age"]) < span[1]]
    return ("all", *named, *(f"age {name}" for name in ages))


def _age_name(low: int, high: int) -> str:
    if not low:
        return f"below {high}"
    return f"{low} to {high - 1}" if high < AGES[-1][1] else f"{low} and above"


def _probabilities(path: Path, tools: Tools) -> dict[str, float] | None:
    """Of the labels, for the largest face of a photograph; None without a face."""
    with open_video(path) as picture:
        frame = next(picture.frames(Selection()))
    face = tools.detector.detect([frame])[0].largest(1)
    if not len(face):
        return None
    crops = crop_faces(frame, face, np.zeros(1, np.int32), tools.crop_shape)
    return dict(zip(tools.classifier.card.labels, tools.classifier(crops.images)[0].tolist(), strict=True))


def show(figures: Mapping[str, Figures]) -> Iterator[str]:
    """A table in Markdown."""
    yield "| group | n | neutral recall | smile above own neutral | AUC |"
    yield "|---|---|---|---|---|"
    for name, one in figures.items():
        neutral, paired = (_share(part) for part in (one.neutral_recall, one.paired))
        area = f"{one.auc:.2f} ({one.auc_low:.2f} to {one.auc_high:.2f})"
        yield f"| {name} | {one.n} | {neutral} | {paired} | {area} |"


def _share(interval: Interval) -> str:
    return f"{interval.mean:.0%} ({interval.low:.0%} to {interval.high:.0%})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", default=AnalyzeOptions().model)
    parsed = parser.parse_args(arguments)
    for line in show(by_group(read_subjects(parsed.folder, Tools.load(AnalyzeOptions(model=parsed.model))))):
        print(line)


if __name__ == "__main__":
    main()
