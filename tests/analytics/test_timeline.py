"""The truth here is worked out in pandas, face by face, without the product's own aggregation."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd
import pytest

from ferflow.analytics.coverage import coverage
from ferflow.analytics.frame_time import frame_seconds
from ferflow.analytics.measures import FaceValues, attention
from ferflow.analytics.peaks import peak_end, peaks, smooth
from ferflow.analytics.persons import people
from ferflow.analytics.tally import FaceScores, Scorer, Tally, tally
from ferflow.analytics.timeline import bin_of, timeline, timeline_schema
from ferflow.errors import RecordsError
from ferflow.store.schemas import faces_schema
from tests.made_records import LABELS, Made, made_tables


def score_faces(frames, faces, labels) -> FaceScores:
    """Every tracked face of one video."""
    return Scorer.of(frames, faces, labels)(faces)


MEANS = ["attention", "expressiveness", "engagement", "valence", "positive", "negative"]


def bins_of(made: Made, *, bin_seconds: float = 1.0, participants: int | None = None, tables=None):
    frames, faces = tables or made_tables(made)
    table = timeline(frames, faces, video_id=made.video_id, bin_seconds=bin_seconds, labels=made.labels,
                     participants=participants)  # fmt: skip
    assert table.schema.equals(timeline_schema(made.labels))
    assert set(table.column("video_id").to_pylist()) <= {made.video_id}
    return table.to_pandas()


def truth(made: Made, bin_seconds: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Person rows and audience rows."""
    frames, faces = (table.to_pandas() for table in made_tables(made))
    frames["bin"] = (frames.time_s / bin_seconds + 1e-9).astype(int)
    f = (
        faces[faces.track_id != -1]
        .merge(frames[["frame_index", "bin"]])
        .astype({f"prob_{n}": float for n in LABELS})
    )
    gate = lambda angle: ((35 - angle.abs()) / 20).clip(0, 1)  # noqa: E731
    f["attention"] = gate(f.yaw) * gate(f.pitch)
    activity = 1 - f.prob_neutral
    seconds = f.groupby("track_id").frame_index.transform("size") / made.fps
    baseline = activity.groupby(f.track_id).transform(lambda a: a.quantile(0.25)).where(seconds >= 10, 0)
    f["expressiveness"] = (activity - baseline).clip(lower=0)
    f["engagement"] = f.attention * f.expressiveness
    f["positive"] = f.prob_happy
    f["negative"] = f[["prob_angry", "prob_disgust", "prob_fear", "prob_sad"]].max(axis=1)
    f["valence"] = f.positive - f.negative
    probs = [f"prob_{n}" for n in LABELS]
    persons = f.groupby(["bin", "track_id"])[MEANS + probs].mean()
    over = f.assign(over=f.expressiveness >= 0.3).groupby(["bin", "track_id"]).over
    persons["reacting"] = (over.mean() >= 0.5).astype(float)
    persons["n_faces"] = f.groupby(["bin", "track_id"]).size()
    n_frames = frames.groupby("bin").size()
    persons["presence"] = persons.n_faces / n_frames.reindex(persons.index.get_level_values(0)).to_numpy()
    whole = persons.groupby("bin")[[*MEANS, "reacting", *probs]].mean()
    whole = whole.reindex(range(frames.bin.max() + 1))
    whole["n_people"] = persons.groupby("bin").size().reindex(whole.index, fill_value=0)
    whole["n_frames"] = n_frames.reindex(whole.index, fill_value=0)
    whole["presence"] = (
        frames.assign(any=frames.n_faces > 0).groupby("bin")["any"].mean().reindex(whole.index)
    )
    whole["n_faces"] = frames.groupby("bin").n_faces.sum().reindex(whole.index, fill_value=0)
    return persons.reset_index(), whole


@pytest.mark.parametrize("bin_seconds", [0.3, 1.0, 7.0])
def test_every_number_can_be_recomputed_from_the_faces_with_pandas(bin_seconds):
    made = Made(seconds=90, people=4, untracked=0.05, holes=((20, 24.5),), away=((50, 55),), seed=3)
    persons, whole = truth(made, bin_seconds)
    got = bins_of(made, bin_seconds=bin_seconds)
    audience, lanes = got[got.person_id.isna()], got[got.person_id.notna()]
    assert len(audience) == len(whole)
    np.testing.assert_allclose(audience.bin_start_s, np.arange(len(whole)) * bin_seconds)
    np.testing.assert_allclose(audience.bin_end_s - audience.bin_start_s, bin_seconds)
    for name in [*whole.columns]:
        np.testing.assert_allclose(
            audience[name].to_numpy(float), whole[name].to_numpy(float), atol=2e-6, err_msg=name
        )
    assert lanes.person_id.tolist() == persons.track_id.tolist()
    for name in [*MEANS, "reacting", "presence", "n_faces", "prob_happy", "prob_neutral"]:
        np.testing.assert_allclose(
            lanes[name].to_numpy(float), persons[name].to_numpy(float), atol=2e-6, err_msg=name
        )
    assert (lanes.n_people == 1).all()


def test_a_stretch_without_frames_is_a_gap_and_not_a_zero():
    got = bins_of(Made(seconds=20, holes=((5, 8),)))
    gap = got[(got.bin_start_s >= 5) & (got.bin_start_s < 8)]
    assert len(gap) == 3
    assert gap.person_id.isna().all()
    assert (gap.n_frames == 0).all()
    assert gap[["presence", *MEANS]].isna().all(axis=None)


def test_a_stretch_without_anybody_has_presence_zero_and_nothing_else():
    got = bins_of(Made(seconds=20, people=2, away=((5, 8),)))
    empty = got[got.bin_start_s == 6]
    assert len(empty) == 1
    assert empty.presence.item() == 0
    assert empty.n_frames.item() == 10
    assert empty.n_people.item() == 0
    assert empty[[*MEANS, "reacting", "prob_happy"]].isna().all(axis=None)


def test_a_sole_participant_who_is_away_counts_as_inattentive():
    made = Made(seconds=20, away=((5, 8.5),), holes=((12, 14),))
    got = bins_of(made, participants=1)
    lane, whole = (
        got[got.person_id == 1].set_index("bin_start_s"),
        got[got.person_id.isna()].set_index("bin_start_s"),
    )
    assert len(lane) == 18
    away = lane.loc[6]
    assert (away.attention, away.engagement, away.presence, away.n_people, away.n_faces) == (0, 0, 0, 0, 0)
    assert np.isnan([away.expressiveness, away.valence, away.reacting, away.prob_happy]).all()
    assert whole.loc[6].attention == 0
    _, faces = (table.to_pandas() for table in made_tables(made))
    half = faces[(faces.time_s >= 8) & (faces.time_s < 9)]
    gate = lambda a: ((35 - a.abs()) / 20).clip(0, 1)  # noqa: E731
    known = (gate(half.yaw) * gate(half.pitch)).dropna()
    n_away = 10 - len(half)
    assert n_away >= 5
    assert lane.loc[8].attention == pytest.approx(known.sum() / (len(known) + n_away), abs=1e-6)
    several = bins_of(made)
    assert np.isnan(several[several.bin_start_s == 6].attention).all()


def test_a_sole_participant_never_seen_still_has_rows():
    got = bins_of(Made(seconds=3, people=0), participants=1)
    assert got.person_id.dropna().tolist() == [1, 1, 1]
    assert (got.presence == 0).all()


def test_without_any_pose_attention_is_unknown_even_while_the_sole_participant_is_away():
    got = bins_of(Made(seconds=20, pose=False, away=((5, 8),)), participants=1)
    assert got[["attention", "engagement"]].isna().all(axis=None)
    assert got.expressiveness.notna().any()


def test_a_video_without_faces_has_audience_rows_only():
    got = bins_of(Made(seconds=5, people=0))
    assert len(got) == 5
    assert got.person_id.isna().all()
    assert (got.presence == 0).all()


def test_no_frames_at_all_make_an_empty_table():
    assert len(bins_of(Made(seconds=0, people=0))) == 0


def test_six_labels_will_do_and_what_needs_the_missing_one_is_unknown():
    six = tuple(label for label in LABELS if label != "happy")
    got = bins_of(Made(seconds=12, labels=LABELS[:1] + LABELS[2:]))
    assert got.valence.notna().all()
    frames, faces = made_tables(Made(seconds=12))
    got = timeline(frames, faces.drop(["prob_happy"]), video_id="x", bin_seconds=1, labels=six).to_pandas()
    assert got[["positive", "valence"]].isna().all(axis=None)
    assert got.negative.notna().all()


def test_somebody_seen_briefly_has_no_baseline_and_somebody_seen_for_long_has():
    frames, faces = made_tables(Made(seconds=9.8))
    short = score_faces(frames, faces, LABELS).columns
    np.testing.assert_allclose(short["expressiveness"], 1 - short["prob_neutral"])
    frames, faces = made_tables(Made(seconds=30))
    long = score_faces(frames, faces, LABELS).columns
    assert (long["expressiveness"] == 0).mean() == pytest.approx(0.25, abs=0.02)


def test_somebody_who_reacts_half_of_the_time_is_not_erased_by_the_baseline():
    frames, faces = made_tables(Made(seconds=60))
    neutral = np.where(np.arange(len(faces)) % 2, 0.1, 0.9).astype(np.float32)
    faces = faces.set_column(faces.column_names.index("prob_neutral"), "prob_neutral", [neutral])
    expressive = score_faces(frames, faces, LABELS).columns["expressiveness"]
    assert expressive.max() == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(
    ("yaw", "pitch", "wanted"),
    [(0, 0, 1), (15, -15, 1), (25, 0, 0.5), (-25, 25, 0.25), (35, 0, 0), (0, -90, 0), (np.nan, 0, np.nan)],
)
def test_attention_falls_from_fifteen_to_thirty_five_degrees(yaw, pitch, wanted):
    got = attention(FaceValues(np.array([float(yaw)]), np.array([float(pitch)]), {}, np.zeros(1)))
    np.testing.assert_allclose(got, [wanted])


def test_shards_add_up_to_the_whole():
    frames, faces = made_tables(Made(seconds=40, people=3))
    scores: FaceScores = score_faces(frames, faces, LABELS)
    rng = np.random.default_rng(1)
    shard = rng.integers(0, 5, len(scores.track_id))
    whole = tally(scores.columns, scores.track_id, 4)
    parts = [
        tally({name: v[shard == k] for name, v in scores.columns.items()}, scores.track_id[shard == k], 4)
        for k in range(5)
    ]
    total = sum(parts, start=Tally())
    for name in scores.columns:
        np.testing.assert_allclose(total.mean(name), whole.mean(name))
        np.testing.assert_array_equal(total.counts[name], whole.counts[name])


def test_the_order_of_the_faces_does_not_matter():
    made = Made(seconds=20, people=3)
    frames, faces = made_tables(made)
    mixed = faces.take(np.random.default_rng(0).permutation(len(faces)))
    pd.testing.assert_frame_equal(bins_of(made), bins_of(made, tables=(frames, mixed)), rtol=1e-5)


def test_faces_of_another_video_are_refused():
    frames, faces = made_tables(Made(seconds=10))
    with pytest.raises(RecordsError, match="do not belong together"):
        timeline(frames.slice(0, 50), faces, video_id="x", bin_seconds=1, labels=LABELS)


def test_a_frame_on_the_edge_belongs_to_the_bin_that_starts_there():
    assert bin_of(np.array([0.3, 0.6, 0.7, 0.1 * 3]), 0.1).tolist() == [3, 6, 7, 3]


def test_frames_stand_for_the_time_until_the_next_and_holes_for_none():
    seconds = frame_seconds(np.array([0.0, 0.1, 0.2, 0.7, 5.0, 5.1]))
    np.testing.assert_allclose(seconds, [0.1, 0.1, 0.5, 0.1, 0.1, 0.1], atol=1e-9)


def test_smoothing_leaves_out_what_is_unknown():
    values = np.array([0.0, np.nan, 1.0, np.nan, np.nan, np.nan, 0.5])
    got = smooth(values, 1.0)
    wanted = pd.Series(values).rolling(3, center=True, min_periods=1).mean()
    np.testing.assert_allclose(got, wanted)
    assert smooth(values, 5.0) is values


def moments(*at: tuple[float, float], seconds: float = 60.0, made: Made | None = None):
    """One person, neutral but for happy moments given as (time, strength)."""
    made = made or Made(seconds=seconds)
    frames, faces = made_tables(made)
    t = faces.column("time_s").to_numpy()
    happy = np.max([strength * np.exp(-(((t - when) / 1.5) ** 2)) for when, strength in at], axis=0)
    values = {f"prob_{label}": np.zeros(len(t)) for label in LABELS}
    values |= {
        "prob_happy": happy,
        "prob_neutral": 1 - happy,
        "yaw": np.zeros(len(t)),
        "pitch": np.zeros(len(t)),
    }
    if not made.pose:
        values |= {"yaw": np.full(len(t), np.nan), "pitch": np.full(len(t), np.nan)}
    for name, column in values.items():
        faces = faces.set_column(
            faces.column_names.index(name), faces_schema(LABELS).field(name), [column.astype("f4")]
        )
    return frames, timeline(frames, faces, video_id="x", bin_seconds=1.0, labels=LABELS)


def test_peaks_are_where_the_reactions_were_put():
    _, table = moments((12.5, 0.9), (31.5, 0.6), (48.5, 0.8))
    found = peaks(table)
    assert [peak.time_s for peak in found] == [12.5, 31.5, 48.5]
    assert {peak.label for peak in found} == {"happy"}
    assert {peak.track_ids for peak in found} == {(1,)}
    assert {peak.curve for peak in found} == {"engagement"}
    assert found[0].height > found[2].height > found[1].height
    for peak in found:
        assert peak.start_s < peak.time_s < peak.end_s
    assert [peak.time_s for peak in peaks(table, most=1)] == [12.5]


def test_a_reaction_at_either_end_is_a_peak_too():
    _, table = moments((0.5, 0.9), (59.5, 0.9))
    assert [round(peak.time_s) for peak in peaks(table)] == [0, 60]


def test_of_two_close_peaks_the_higher_stays():
    _, table = moments((20.5, 0.6), (24.5, 0.9))
    assert [peak.time_s for peak in peaks(table)] == [24.5]


def test_without_pose_peaks_are_found_on_expressiveness_and_say_so():
    _, table = moments((30.5, 0.9), made=Made(pose=False))
    assert [(peak.time_s, peak.curve) for peak in peaks(table)] == [(30.5, "expressiveness")]


def test_an_even_curve_has_no_peaks_and_neither_has_nobody():
    frames, faces = made_tables(Made(seconds=5, people=0))
    assert peaks(timeline(frames, faces, video_id="x", bin_seconds=1, labels=LABELS)) == []
    _, table = moments((-1000, 0.0))
    assert peaks(table) == []


def test_peak_end_takes_the_happiest_and_the_last():
    _, table = moments((30.5, 0.8), seconds=60)
    curve = (
        table.to_pandas().query("person_id.isna()").prob_happy.rolling(3, center=True, min_periods=1).mean()
    )
    assert peak_end(table) == pytest.approx((curve.max() + curve.iloc[-1]) / 2, abs=1e-6)
    frames, faces = made_tables(Made(seconds=5, people=0))
    assert np.isnan(peak_end(timeline(frames, faces, video_id="x", bin_seconds=1, labels=LABELS)))


def test_people_are_summed_up_as_pandas_would():
    made = Made(seconds=60, people=3, untracked=0.02)
    frames, faces = made_tables(made)
    f = faces.to_pandas().query("track_id != -1")
    got = {person.track_id: person for person in people(frames, faces, LABELS)}
    assert set(got) == set(f.track_id)
    for track, rows in f.groupby("track_id"):
        person = got[track]
        assert person.n_faces == len(rows)
        assert person.seconds == pytest.approx(len(rows) / made.fps)
        assert (person.first_s, person.last_s) == (rows.time_s.min(), rows.time_s.max())
        assert person.pose_known == pytest.approx(rows.yaw.notna().mean())
        assert person.means["positive"] == pytest.approx(rows.prob_happy.mean(), abs=1e-6)
        means = rows[[f"prob_{label}" for label in LABELS]].mean()
        assert f"prob_{person.label}" == means.idxmax()
        assert f"prob_{person.leading}" == means.drop("prob_neutral").idxmax()


def test_coverage_counts_what_is_there():
    made = Made(seconds=30, people=2, untracked=0.2, away=((5, 10),))
    frames, faces = made_tables(made)
    f, g = frames.to_pandas(), faces.to_pandas()
    got = coverage(frames, faces)
    assert (got.n_frames, got.n_faces) == (len(f), len(g))
    assert got.n_untracked == (g.track_id == -1).sum()
    assert got.n_pose_unknown == g.yaw.isna().sum()
    assert got.share == pytest.approx((f.n_faces > 0).mean())


@pytest.mark.slow
def test_an_hour_of_eight_people_takes_seconds():
    made = Made(seconds=3600, fps=30, people=8)
    tables = made_tables(made)
    start = time.perf_counter()
    bins_of(made, tables=tables)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("participants", [None, 1])
def test_a_timeline_made_block_by_block_is_that_of_the_whole(participants):
    made = Made(seconds=40, people=3, untracked=0.05, away=((10, 15),), seed=5)
    frames, faces = made_tables(made)
    cuts = [0, 1, 7, 500, 501, len(faces)]
    parts = [faces.slice(low, high - low) for low, high in itertools.pairwise(cuts)]
    whole, by_parts = (
        timeline(frames, given, video_id="x", bin_seconds=1.0, labels=LABELS, participants=participants)
        for given in (faces, parts)
    )
    assert len(whole) > 100
    pd.testing.assert_frame_equal(whole.to_pandas(), by_parts.to_pandas(), rtol=1e-6)
