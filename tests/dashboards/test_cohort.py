"""The overview of many: every number again with pandas from the Parquet, and by hand."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest

from ferflow.analytics.cohort import band, comparison
from ferflow.dashboards import PageOptions, write_index
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.overview.overview_data import load_folder
from ferflow.errors import OptionsError
from tests.made_cohort import forty_sessions, interval_by_hand, one_audience
from tests.made_records import Made, write_session

HOSTILE = "<img src=x onerror=\"alert(1)\"> '=cmd' \u202egpj"


@pytest.fixture(scope="module")
def forty(tmp_path_factory):
    out = tmp_path_factory.mktemp("forty")
    forty_sessions(out, seconds=40)
    write_tables(out, PageOptions())
    return out


def table(out, name) -> pd.DataFrame:
    return pd.read_csv(out / "csv" / f"{name}.csv", encoding="utf-8-sig")


def persons(out) -> pd.DataFrame:
    """The persons' rows of every timeline, with what the list of sessions says."""
    bins = pd.concat([pd.read_parquet(path) for path in sorted((out / "timeline").glob("*.parquet"))])
    listed = pd.read_csv(out / "sessions.csv").rename(columns={"video": "video_id"})
    return bins[bins.person_id.notna()].merge(listed, on="video_id")


# --- Numbers ----------------------------------------------------------------------------------------------


def test_the_table_of_groups_is_what_pandas_finds(forty):
    means = persons(forty).groupby(["group", "participant"])[["engagement", "valence", "reacting"]].mean()
    got = table(forty, "groups").set_index(["group", "measure"])
    for group in ("calm", "drama", "quiz show"):
        for measure in ("engagement", "valence", "reacting"):
            values = means.loc[group, measure].tolist()
            mean, low, high = interval_by_hand(values)
            row = got.loc[(group, measure)]
            assert row.n == len(values)
            assert [row["mean"], row.low_95, row.high_95] == pytest.approx([mean, low, high], abs=2e-4)


def test_curves_and_their_bands_are_what_pandas_finds(forty):
    rows = persons(forty).query("group == 'drama'")
    got = table(forty, "curves").query("group == 'drama' and measure == 'engagement'").set_index("start_s")
    assert len(got) == 40
    for start in (0.0, 12.0, 33.0):
        values = rows[rows.bin_start_s == start].engagement.dropna().tolist()
        mean, low, high = interval_by_hand(values)
        row = got.loc[start]
        assert row.n == len(values)
        assert [row["mean"], row.low_95, row.high_95] == pytest.approx([mean, low, high], abs=2e-4)


def test_differences_and_effect_sizes_are_what_their_formulas_say(forty):
    means = persons(forty).groupby(["group", "participant"]).engagement.mean()
    a, b = means["calm"].to_numpy(), means["drama"].to_numpy()
    row = table(forty, "comparisons").query(
        "measure == 'engagement' and first == 'calm' and second == 'drama'"
    ).iloc[0]  # fmt: skip
    n, m = len(a), len(b)
    pooled = np.sqrt((np.sum((a - a.mean()) ** 2) + np.sum((b - b.mean()) ** 2)) / (n + m - 2))
    pairs = np.sign(a[:, None] - b[None, :])
    assert (row.n_first, row.n_second) == (n, m)
    assert row.difference == pytest.approx(a.mean() - b.mean(), abs=1e-6)
    assert row.hedges_g == pytest.approx(
        (a.mean() - b.mean()) / pooled * (1 - 3 / (4 * (n + m - 2) - 1)), abs=1e-5
    )
    assert row.cliffs_delta == pytest.approx(pairs.mean(), abs=1e-6)
    assert row.low_95 < row.difference < row.high_95


def test_a_comparison_worked_out_by_hand():
    """Means 2 and 4, both variances 1: s = 1, g = -2 (1 - 3 / 15) = -1.6; seven pairs below, one above, one tie."""
    found = comparison("engagement", ("a", [1.0, 2.0, 3.0]), ("b", [3.0, 4.0, 5.0]))
    assert found.difference == pytest.approx(-2)
    assert found.hedges_g == pytest.approx(-1.6)
    assert found.cliffs_delta == pytest.approx(-8 / 9)
    half = 2.776 * np.sqrt(1 / 3 + 1 / 3)
    assert (found.low, found.high) == pytest.approx((-2 - half, -2 + half), abs=1e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("first", "is_known"), [([0.5, 0.5], False), ([0.5, 0.5 + 1e-9], False), ([0.5, 0.6], True)]
)
def test_groups_whose_values_are_nearly_equal_have_no_interval_and_warn_of_nothing(first, is_known):
    found = comparison("engagement", ("a", first), ("b", [0.4, 0.4 + 1e-9]))
    assert found.difference == pytest.approx(np.mean(first) - 0.4)
    assert np.isfinite([found.low, found.high, found.hedges_g]).tolist() == [is_known] * 3


def test_one_participant_has_a_mean_and_no_band():
    found = band(np.array([[0.2, np.nan], [0.4, 0.5]]))
    assert found.n.tolist() == [2, 1]
    assert found.mean == pytest.approx([0.3, 0.5])
    assert np.isfinite(found.low[0])
    assert np.isnan(found.low[1])


def test_the_page_has_the_numbers_of_the_tables(forty):
    html = write_index(forty).read_text(encoding="utf-8")
    means = persons(forty).groupby("participant").engagement.mean()
    card = re.search(r"Mean engagement</div><div class=\"value\">([\d.]+)", html)[1]
    assert card == f"{means.mean():.2f}"
    means = re.findall(r'data-engagement="([\d.e-]+)"', html)
    bins = pd.concat([pd.read_parquet(path) for path in (forty / "timeline").glob("*.parquet")])
    whole = bins[bins.person_id.isna()].groupby("video_id").engagement.mean().sort_values(ascending=False)
    assert [float(one) for one in means] == pytest.approx(whole.tolist(), rel=1e-4)


def test_forty_people_in_one_video_are_forty_participants(tmp_path):
    video_id = one_audience(tmp_path, seconds=40)
    folder = load_folder(tmp_path, PageOptions())
    bins = pd.read_parquet(tmp_path / "timeline" / f"{video_id}.parquet")
    seen = bins[bins.person_id.notna()].groupby("person_id").presence.sum()
    assert folder.cohort.n_participants + folder.cohort.n_brief == len(seen)
    assert folder.cohort.n_participants == (seen >= 10).sum()


def test_a_participant_of_several_videos_counts_once(tmp_path):
    for k in range(3):
        write_session(tmp_path, Made(seconds=20, video_id=f"v{k}", seed=k))
    (tmp_path / "sessions.csv").write_text("video,participant,group\nv0,ann,x\nv1.mp4,ann,x\nv2,bo,y\n")
    cohort = load_folder(tmp_path, PageOptions()).cohort
    assert [(one.name, one.video_ids) for one in cohort.participants] == [
        ("ann", ("v0", "v1")),
        ("bo", ("v2",)),
    ]
    bins = pd.concat([pd.read_parquet(tmp_path / "timeline" / f"v{k}.parquet") for k in (0, 1)])
    assert cohort.participants[0].mean("valence") == pytest.approx(
        bins[bins.person_id.isna()].valence.mean(), abs=1e-6
    )


def test_sessions_are_aligned_by_their_offsets(tmp_path):
    for name in ("a", "b"):
        write_session(tmp_path, Made(seconds=30, video_id=name))
    (tmp_path / "sessions.csv").write_text(
        "video;participant;offset_s\na;p;0\nb;q;00:05,5\n".replace("00:05,5", "5")
    )
    first, later = load_folder(tmp_path, PageOptions()).cohort.participants
    assert later.curve("valence")[:20] == pytest.approx(first.curve("valence")[5:25], nan_ok=True)


# --- The page ---------------------------------------------------------------------------------------------


def test_forty_sessions_fit_into_a_megabyte_and_two_renders_are_the_same_bytes(forty):
    page = write_index(forty)
    first = page.read_bytes()
    assert len(first) <= 1_000_000
    assert write_index(forty).read_bytes() == first


def test_hostile_names_of_people_groups_and_columns_are_text(tmp_path):
    for name in ("a", "b"):
        write_session(tmp_path, Made(seconds=20, video_id=name, source={"name": HOSTILE}))
    with (tmp_path / "sessions.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [["video", "participant", HOSTILE], ["a", HOSTILE, HOSTILE], ["b", "</script>", "<b>"]]
        csv.writer(file).writerows(rows)
    html = write_index(tmp_path, PageOptions(by=HOSTILE)).read_text(encoding="utf-8")
    assert "<img" not in html
    assert html.count("</script>") == len(re.findall(r"<script[ >]", html))
    assert "&lt;b&gt;" in html
    assert "</script>" not in re.search(r'id="cohort-figure">(.*?)</script>', html, re.S)[1]
    assert "\u202e" not in html
    json.loads(re.search(r'id="cohort-figure">(.*?)</script>', html, re.S)[1])


def test_cells_that_a_spreadsheet_would_run_are_made_harmless(tmp_path):
    write_session(tmp_path, Made(seconds=20, video_id="a"))
    (tmp_path / "sessions.csv").write_text('video,participant,group\na,"=HYPERLINK(1)",g\n')
    write_tables(tmp_path, PageOptions())
    assert not re.search(r"(^|,)\"?=", (tmp_path / "csv" / "participants.csv").read_text("utf-8-sig"), re.M)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("name,group\na,x\n", "video"),
        ("video,group\na,x\na,y\n", "listed twice"),
        ("video,offset_s\na,soon\n", "offset_s"),
        ("video,group\na,x,y,z\n", "line 2"),
        (b"video,group\na,\xff\n", "UTF-8"),
    ],
)
def test_a_broken_list_of_sessions_says_where_and_why(tmp_path, text, why):
    write_session(tmp_path, Made(seconds=3, video_id="a"))
    path = tmp_path / "sessions.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(OptionsError, match=why) as reported:
        load_folder(tmp_path, PageOptions())
    assert "\n" not in str(reported.value)
    folder = load_folder(tmp_path, PageOptions(), forgiving=True)
    assert len(folder.finished) == 1
    assert why in folder.warnings[0]


def test_an_unknown_column_to_group_by_names_those_there_are(tmp_path):
    write_session(tmp_path, Made(seconds=3, video_id="a"))
    (tmp_path / "sessions.csv").write_text("video,team\na,x\n")
    with pytest.raises(OptionsError, match="team"):
        load_folder(tmp_path, PageOptions(by="nope"))
