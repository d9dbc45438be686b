"""The arithmetic of the benchmark of subgroups, computed by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferflow.jobs.benchmarks.subgroups import Subject, auc, by_group, read_subjects, show, summarise
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from tests.conftest import portrait


def test_figures_of_four_people_by_hand():
    people = [
        Subject(("all", "gender female"), is_neutral=True, at_rest=0.1, smiling=0.9),
        Subject(("all", "gender female"), is_neutral=True, at_rest=0.2, smiling=0.8),
        Subject(("all", "gender male"), is_neutral=False, at_rest=0.5, smiling=0.6),
        Subject(("all", "gender male"), is_neutral=True, at_rest=0.3, smiling=0.2),
    ]
    found = by_group(people)
    assert list(found) == ["all", "gender female", "gender male"]
    assert found["all"].n == 4
    assert found["all"].neutral_recall.mean == 0.75
    assert found["all"].paired.mean == 0.75
    # Of 16 pairs .9, .8 and .6 are above all four, .2 is above .1 and ties with .2.
    assert found["all"].auc == (12 + 1 + 0.5) / 16
    assert found["gender female"].auc == 1
    assert found["gender male"].auc == 0.5  # .6 above .5 and .3; .2 above neither
    assert found["gender male"].neutral_recall.mean == 0.5
    # Wilson's interval of 2 of 2 (Wilson, 1927): 1 / (1 + 1.96^2 / 2) to 1.
    assert found["gender female"].paired.low == pytest.approx(1 / (1 + 1.959964**2 / 2), abs=1e-6)
    assert found["gender female"].paired.high == 1


def test_a_tie_is_half_of_an_auc_and_no_higher_smile():
    assert auc(np.array([0.5]), np.array([0.5])) == 0.5
    assert summarise([Subject(("all",), is_neutral=True, at_rest=0.5, smiling=0.5)]).paired.mean == 0


def test_the_interval_of_an_auc_contains_it():
    draw = np.random.default_rng(1)
    values = [(float(a), float(b)) for a, b in zip(draw.random(40), 0.3 + draw.random(40), strict=True)]
    found = summarise([Subject(("all",), is_neutral=True, at_rest=a, smiling=b) for a, b in values])
    assert found.auc_low < found.auc < found.auc_high


def test_photographs_and_people_are_read_from_the_table(tmp_path):
    (tmp_path / "labels.csv").write_text(
        "file,label,age,gender,ethnicity\n"
        "01_a.png,neutral,24,female,west_asian\n01_b.png,happy,24,female,west_asian\n02_a.png,neutral,NA,NA,NA\n"
    )
    for name in ("01_a.png", "01_b.png", "02_a.png"):
        cv2.imwrite(str(tmp_path / name), portrait()[..., ::-1])
    tools = Tools.load(AnalyzeOptions())
    (one,) = read_subjects(tmp_path, tools)  # the second has no smile
    assert one.groups == ("all", "gender female", "ethnicity west asian", "age below 25")
    assert one.at_rest == one.smiling > 0.5  # the same photograph, of a smile
    assert not one.is_neutral
    assert len(list(show(by_group([one])))) == 2 + 4
    with (tmp_path / "labels.csv").open("a") as file:
        file.write("02_a.png,happy,NA,NA,NA\n")
    _, other = read_subjects(tmp_path, tools)
    assert other.groups == ("all",)
