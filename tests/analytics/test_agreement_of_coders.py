"""Human coders compared with the model and with each other; truth by pandas, and from the literature."""

from __future__ import annotations

import codecs
import math
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ferflow.analytics.agreement import Confusion
from ferflow.cli import app
from ferflow.dashboards import load_names, refresh
from ferflow.dashboards.session_report.session_data import load_session
from ferflow.store.video_files import VideoFiles
from tests.by_hand import every_millisecond
from tests.dashboards.read_page import Page
from tests.made_cohort import write_run
from tests.made_records import LABELS, Made, write_session

MADE = Made(seconds=40, people=2, video_id="talk", turned=((30, 33),))
FIRST = (
    "talk,1,9.5,neutral,Person 1", "talk,9.5,15,happy,Person 1", "talk,15,29,neutral,Person 1",
    "talk,29,34,surprise,Person 1", "talk,2,20,neutral,Person 2",
)  # fmt: skip
SECOND = ("talk,0,12,neutral,Person 1", "talk,12,16,happy,Person 1", "talk,16,40,contempt,Person 1")


@pytest.fixture
def talk(tmp_path):
    write_run(tmp_path, [write_session(tmp_path, MADE)])
    return tmp_path


def code(out, coder: str, *rows: str, header="video_id,start,end,label,person") -> None:
    (out / "coding").mkdir(exist_ok=True)
    (out / "coding" / f"{coder}.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def agreement(out):
    return load_session(out, "talk", load_names(out).of("talk")).agreement


def coded_by_hand(ms: pd.DataFrame, rows: tuple[str, ...]) -> pd.Series:
    """The coder's label of each millisecond: a frame has the label of the stretch in which it starts."""
    frame_at = ms["at"] // 100 * 100
    label = pd.Series("", index=ms.index)
    for row in rows:
        _, start, end, text, person = row.split(",")
        mine = (
            (ms.person == int(person[-1]))
            & (frame_at >= float(start) * 1000)
            & (frame_at < float(end) * 1000)
        )
        label[mine] = text
    return label


def kappa_by_hand(table: pd.DataFrame) -> tuple[float, float]:
    labels = sorted({*table.index, *table.columns})
    shares = table.reindex(index=labels, columns=labels, fill_value=0.0) / table.to_numpy().sum()
    observed = np.diag(shares).sum()
    chance = (shares.sum(axis=0) * shares.sum(axis=1)).sum()
    return observed, (observed - chance) / (1 - chance)


def milliseconds(out) -> pd.DataFrame:
    ms = every_millisecond(pd.read_parquet(VideoFiles(out, "talk").faces), 100)
    return ms.reset_index(drop=True)


def test_kappa_is_that_of_published_examples():
    # Cohen 1960, table 1, as proportions: p_o = .29, kappa = -.092 (rounded there).
    cohen = Confusion(("1", "2", "3"), np.array([[0.25, 0.13, 0.12], [0.12, 0.02, 0.16], [0.03, 0.15, 0.02]]))
    assert cohen.observed == pytest.approx(0.29)
    assert cohen.kappa == pytest.approx((0.29 - 0.35) / 0.65, abs=1e-9)
    assert Confusion(("a", "b"), np.array([[3.0, 0.0], [0.0, 4.0]])).kappa == 1
    assert math.isnan(Confusion(("a", "b"), np.array([[3.0, 0.0], [0.0, 0.0]])).kappa)
    assert math.isnan(Confusion(("a",), np.zeros((1, 1))).kappa)


def test_a_coder_and_the_model_agree_as_pandas_finds(talk):
    code(talk, "MK", *FIRST)
    (found,) = agreement(talk).with_model
    ms = milliseconds(talk)
    ms["coder"] = coded_by_hand(ms, FIRST)
    both = ms[(ms.coder != "") & ms.readable]
    table = both.groupby("coder")[[f"shown_{label}" for label in LABELS]].sum() / 1000
    table.columns = LABELS
    for i, first in enumerate(found.confusion.labels):
        for j, second in enumerate(found.confusion.labels):
            expected = table.loc[first, second] if first in table.index else 0.0
            assert found.confusion.seconds[i, j] == pytest.approx(expected, abs=0.02), (first, second)
    observed, kappa = kappa_by_hand(table)
    assert found.confusion.observed == pytest.approx(observed, abs=1e-3)
    assert found.confusion.kappa == pytest.approx(kappa, abs=2e-3)
    assert found.unread_s == pytest.approx(((ms.coder != "") & ~ms.readable).sum() / 1000)
    assert found.unread_s > 2
    same = both.apply(lambda row: row[f"shown_{row.coder}"], axis=1).groupby(both["at"] // 1000).mean()
    assert np.isnan(found.by_bin[0])
    assert found.by_bin[same.index] == pytest.approx(same.to_numpy(), abs=5e-3)


def test_two_coders_agree_as_pandas_finds_also_on_labels_that_the_model_lacks(talk):
    code(talk, "MK", *FIRST)
    code(talk, "ZT", *SECOND)
    (found,) = agreement(talk).between_coders
    assert found.coders == ("MK", "ZT")
    ms = milliseconds(talk)
    first, second = coded_by_hand(ms, FIRST), coded_by_hand(ms, SECOND)
    both = (first != "") & (second != "")
    table = pd.crosstab(first[both], second[both]) / 1000
    observed, kappa = kappa_by_hand(table)
    assert found.confusion.total_s == pytest.approx(both.sum() / 1000)
    assert found.confusion.observed == pytest.approx(observed, abs=1e-6)
    assert found.confusion.kappa == pytest.approx(kappa, abs=1e-6)
    assert "contempt" in found.confusion.labels


def test_the_page_shows_kappa_the_tables_and_time_and_no_other_number_changes(talk):
    refresh(talk)
    before = Page(VideoFiles(talk, "talk").report.read_text(encoding="utf-8")).parts
    code(talk, "MK", *FIRST)
    code(talk, "ZT", *SECOND)
    assert [path.name for path in refresh(talk).written] == ["talk.html", "index.html"]
    after = Page(VideoFiles(talk, "talk").report.read_text(encoding="utf-8")).parts
    said = re.sub(r"\s+", " ", " ".join(after.pop("coding")))
    found = agreement(talk)
    for one in found.with_model:
        assert f"Cohen's kappa is {one.confusion.kappa:.2f}.".replace("-", "−") in said
        assert f"Both say the same in {one.confusion.observed * 100:.0f}\u202f%" in said or "same in" in said
    assert "MK and ZT" in said
    assert "the model reads no expression" in said
    assert {
        name: text for name, text in after.items() if name in ("cards", "people", "expressions", "quality")
    } == {
        name: text for name, text in before.items() if name in ("cards", "people", "expressions", "quality")
    }
    assert refresh(talk).written == ()


def test_corrections_count_in_what_is_compared_but_a_relabel_does_not(talk):
    code(talk, "MK", *FIRST)
    whole = agreement(talk).with_model[0].confusion
    (talk / "corrections.csv").write_text(
        "video_id,action,start,end,person,value\ntalk,relabel,1,20,Person 1,fear\n"
    )
    assert agreement(talk).with_model[0].confusion.kappa == whole.kappa
    (talk / "corrections.csv").write_text("video_id,action,start,end,person\ntalk,exclude,1,9.5,\n")
    ms = milliseconds(talk)
    coder = coded_by_hand(ms, FIRST)
    left = (coder != "") & ms.readable & ~((ms["at"] >= 1000) & (ms["at"] < 9500))
    assert agreement(talk).with_model[0].confusion.total_s == pytest.approx(left.sum() / 1000, abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ("talk,1,5,happy,Person 1", "talk,4,6,sad,Person 1"),
            "coding/MK.csv: line 3 (relabel person 1 as sad",
        ),
        (("talk,1,,happy,",), "coding/MK.csv: line 2: a coded stretch needs start, end and label."),
        (("talk,5,1,happy,",), "coding/MK.csv: line 2: end (1) must lie after start (5)."),
    ],
)
def test_a_wrong_row_is_named(talk, rows, message):
    code(talk, "MK", *rows)
    done = CliRunner().invoke(app, ["report", str(talk)])
    assert done.exit_code != 0
    assert message in str(done.exception or "") + done.output


def test_a_file_as_a_german_spreadsheet_writes_it_is_read_and_unknown_persons_are_counted(talk):
    (talk / "coding").mkdir()
    rows = [
        "video_id;Start;End;Label;Person;Dauer",
        "talk;0:01,5;2,5;Happy;Person 1;1,0",
        "talk;3;4;sad;Zed;1,0",
    ]
    (talk / "coding" / "Zoë.csv").write_bytes(codecs.BOM_UTF8 + "\r\n".join(rows).encode())
    (found,) = agreement(talk).with_model
    assert (found.coder, found.n_unknown) == ("Zoë", 1)
    assert found.confusion.total_s == pytest.approx(1.0, abs=0.2)


def test_names_of_coders_and_labels_are_escaped(talk):
    code(talk, "<b>x", "talk,1,9,<script>alert(1)</script>,")
    refresh(talk)
    html = VideoFiles(talk, "talk").report.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "<b>x" not in html
