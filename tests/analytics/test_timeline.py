"""The truth here is worked out millisecond by millisecond with pandas, without the product's own aggregation."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ferflow.analytics.coverage import coverage
from ferflow.analytics.face_scores import FaceScores, Scorer
from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.measures import attention
from ferflow.analytics.peaks import peaks, smooth, strongest_moment
from ferflow.analytics.persons import people
from ferflow.analytics.sightings import find_sightings
from ferflow.analytics.tally import Tally, tally
from ferflow.analytics.timeline import bin_of, read_timeline, timeline, timeline_schema
from ferflow.errors import RecordsError
from ferflow.store.metadata import Gap, Rest, read_metadata
from ferflow.store.records import write_table
from ferflow.store.video_files import VideoFiles
from tests.by_hand import every_millisecond
from tests.made_records import LABELS, PRIOR, Made, made_basis, made_tables, write_session

MEANS = ["attention", "expressiveness", "engagement", "valence", "positive", "negative"]


def bins_of(made: Made, *, bin_seconds: float = 1.0, tables=None, **basis: object) -> pd.DataFrame:
    frames, faces = tables or made_tables(made)
    table = timeline(
        frames, faces, made_basis(made, **basis), video_id=made.video_id, bin_seconds=bin_seconds
    )
    assert table.schema.equals(timeline_schema(made.labels))
    assert set(table.column("video_id").to_pylist()) <= {made.video_id}
    return table.to_pandas()


def with_values(faces, **values):
    """FACES with some columns replaced."""
    for name, column in values.items():
        field = faces.schema.field(name)
        faces = faces.set_column(faces.column_names.index(name), field, [np.asarray(column, dtype="f4")])
    return faces


def milliseconds_of(made: Made) -> pd.DataFrame:
    return every_millisecond(made_tables(made)[1].to_pandas(), round(1000 / made.fps))


def truth(made: Made, bin_seconds: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Person rows and audience rows."""
    ms = milliseconds_of(made)
    size = round(bin_seconds * 1000)
    ms["bin"] = ms["at"] // size
    frames = made_tables(made)[0].to_pandas()
    step = round(1000 / made.fps)
    starts = (frames.time_s * 1000).round().astype(int).to_numpy()
    shown = pd.Series((starts[:, None] + np.arange(step)).ravel() // size)
    seconds = shown.value_counts().sort_index() / 1000
    with_face = pd.Series((starts[frames.n_faces > 0][:, None] + np.arange(step)).ravel() // size)
    columns = [*MEANS, *(f"prob_{n}" for n in LABELS), *(f"shown_{n}" for n in LABELS)]
    persons = ms.groupby(["bin", "person"])[columns].mean()
    persons["face_s"] = ms.groupby(["bin", "person"]).size() / 1000
    persons["readable_s"] = ms.groupby(["bin", "person"]).readable.sum() / 1000
    persons["seconds"] = seconds.reindex(persons.index.get_level_values(0)).to_numpy()
    persons["presence"] = persons.face_s / persons.seconds
    counts = persons.readable_s >= persons.seconds / 2 - 1e-9
    persons["reacting"] = (persons.engagement >= 0.5).astype(float).where(persons.engagement.notna() & counts)
    whole = persons[counts].groupby("bin")[[*columns, "reacting"]].mean()
    whole = whole.reindex(range(int(seconds.index.max()) + 1))
    whole["attention"] = persons.attention.groupby("bin").mean()
    for name in ("face_s", "readable_s"):
        whole[name] = persons.groupby("bin")[name].sum().reindex(whole.index, fill_value=0)
    whole["seconds"] = seconds.reindex(whole.index, fill_value=0)
    whole["presence"] = (with_face.value_counts() / 1000).reindex(
        whole.index, fill_value=0
    ) / whole.seconds.where(whole.seconds > 0)
    whole["n_people"] = persons.groupby("bin").size().reindex(whole.index, fill_value=0)
    whole["n_readable"] = counts.groupby("bin").sum().reindex(whole.index, fill_value=0)
    first = pd.Series(starts // size)
    whole["n_frames"] = first.value_counts().reindex(whole.index, fill_value=0)
    whole["n_faces"] = frames.n_faces.groupby(first.to_numpy()).sum().reindex(whole.index, fill_value=0)
    return persons.reset_index(), whole


def tolerance(name: str, bin_seconds: float) -> float:
    """A share of time is known to some milliseconds, since smoothed scores bend within a frame; all else exactly."""
    return min(5e-3, 5e-3 / bin_seconds) if name == "engagement" or name.startswith("shown_") else 2e-5


@pytest.mark.parametrize(("bin_seconds", "fps"), [(0.3, 10), (1.0, 12.5), (7.0, 10)])
def test_every_number_can_be_recomputed_millisecond_by_millisecond(bin_seconds, fps):
    made = Made(seconds=90, fps=fps, people=4, untracked=0.05, holes=((20, 24.8),), away=((50, 55),), seed=3,
                small=((30, 34.1),))  # fmt: skip
    persons, whole = truth(made, bin_seconds)
    got = bins_of(made, bin_seconds=bin_seconds)
    audience, lanes = got[got.person_id.isna()], got[got.person_id.notna()]
    assert len(audience) == len(whole)
    np.testing.assert_allclose(audience.bin_start_s, np.arange(len(whole)) * bin_seconds)
    np.testing.assert_allclose(audience.bin_end_s - audience.bin_start_s, bin_seconds)
    for name in whole.columns:
        np.testing.assert_allclose(
            audience[name].to_numpy(float),
            whole[name].to_numpy(float),
            atol=tolerance(name, bin_seconds),
            err_msg=name,
        )
    assert lanes.person_id.tolist() == persons.person.tolist()
    for name in persons.columns.drop(["bin", "person"]):
        np.testing.assert_allclose(
            lanes[name].to_numpy(float),
            persons[name].to_numpy(float),
            atol=tolerance(name, bin_seconds),
            err_msg=name,
        )
    assert (lanes.n_people == 1).all()


def test_a_stretch_without_frames_is_a_gap_and_not_a_zero():
    got = bins_of(Made(seconds=20, holes=((5, 8),)))
    gap = got[(got.bin_start_s >= 5) & (got.bin_start_s < 8)]
    assert len(gap) == 3
    assert gap.person_id.isna().all()
    assert (gap.n_frames == 0).all()
    assert gap[["presence", *MEANS]].isna().all(axis=None)


def test_a_picture_that_is_held_counts_for_as_long_as_it_is_shown():
    made = Made(seconds=20, holes=((5, 8),))
    got = bins_of(made, gaps=())
    held = got[got.person_id.isna() & (got.bin_start_s >= 5) & (got.bin_start_s < 8)]
    assert (held.n_frames == 0).all()
    np.testing.assert_allclose(held.seconds, 1)
    assert held.expressiveness.notna().all()


def test_a_stretch_without_anybody_has_presence_zero_and_nothing_else():
    got = bins_of(Made(seconds=20, people=2, away=((5, 8),)))
    empty = got[got.bin_start_s == 6]
    assert len(empty) == 1
    assert empty.presence.item() == 0
    assert empty.n_frames.item() == 10
    assert empty.n_people.item() == 0
    assert empty[[*MEANS, "reacting", "prob_happy"]].isna().all(axis=None)


def test_a_video_without_faces_has_audience_rows_only():
    got = bins_of(Made(seconds=5, people=0))
    assert len(got) == 5
    assert got.person_id.isna().all()
    assert (got.presence == 0).all()


def test_no_frames_at_all_make_an_empty_table():
    assert len(bins_of(Made(seconds=0, people=0))) == 0


def test_a_single_picture_has_values():
    got = bins_of(Made(seconds=0.1, seed=1), end_s=0.0)
    assert got.person_id.tolist()[1:] == [1]
    assert got[["expressiveness", "engagement", "attention"]].notna().all(axis=None)


def test_six_labels_will_do_and_what_needs_the_missing_one_is_unknown():
    six = tuple(label for label in LABELS if label != "happy")
    made = Made(seconds=12, labels=LABELS[:1] + LABELS[2:])
    assert bins_of(made).valence.notna().all()
    frames, faces = made_tables(Made(seconds=12))
    basis = made_basis(Made(seconds=12, labels=six))
    got = timeline(frames, faces.drop(["prob_happy"]), basis, video_id="x", bin_seconds=1).to_pandas()
    assert got[["positive", "valence"]].isna().all(axis=None)
    assert got.negative.notna().all()


def test_without_a_neutral_class_expressiveness_and_engagement_are_unknown():
    labels = LABELS[:-1]
    frames, faces = made_tables(Made(seconds=12))
    basis = made_basis(Made(seconds=12, labels=labels))
    got = timeline(frames, faces.drop(["prob_neutral"]), basis, video_id="x", bin_seconds=1).to_pandas()
    assert got[["expressiveness", "engagement", "reacting"]].isna().all(axis=None)
    assert got.shown_happy.notna().all()


def one_face(seconds: float = 20.0, fps: float = 10.0, **values: float):
    """A person who looks the same throughout."""
    made = Made(seconds=seconds, fps=fps)
    frames, faces = made_tables(made)
    usual = {f"prob_{label}": 0.0 for label in LABELS} | {
        "yaw": 0.0,
        "pitch": 0.0,
        "face_px": 90.0,
        "sharpness": 500.0,
    }
    return made, (
        frames,
        with_values(faces, **{k: np.full(len(faces), v) for k, v in (usual | values).items()}),
    )


def test_a_score_of_neutral_equal_to_its_prior_is_as_likely_an_expression_as_rest():
    made, tables = one_face(prob_neutral=PRIOR, prob_happy=1 - PRIOR)
    np.testing.assert_allclose(bins_of(made, tables=tables).expressiveness, 0.5, atol=1e-6)
    made, tables = one_face(prob_neutral=0.35, prob_sad=0.65)
    got = bins_of(made, tables=tables)
    np.testing.assert_allclose(got.expressiveness, 0.65 * 0.2 / (0.65 * 0.2 + 0.35 * 0.8), atol=1e-6)
    assert (got.engagement == 0).all()
    assert (got.shown_neutral == 1).all()
    unknown = bins_of(made, tables=tables, neutral_prior=None)
    np.testing.assert_allclose(unknown.expressiveness, 0.65, atol=1e-6)


@pytest.mark.parametrize("values", [{"yaw": 50.0}, {"yaw": -46.0}, {"face_px": 20.0}, {"sharpness": 10.0}])
def test_a_face_that_cannot_be_read_is_in_view_and_its_expression_is_unknown(values):
    made, tables = one_face(prob_happy=0.9, prob_neutral=0.1, **values)
    got = bins_of(made, tables=tables)
    assert (got.presence >= 0.89).all()
    assert (got.readable_s == 0).all()
    assert (got.n_readable == 0).all()
    unknown = ["expressiveness", "engagement", "valence", "reacting", "prob_happy", "shown_happy"]
    assert got[unknown].isna().all(axis=None)
    assert got.attention.notna().all()


def test_what_the_analysis_noted_about_a_face_counts_besides_its_pose_and_size():
    made, (frames, faces) = one_face(prob_happy=0.9, prob_neutral=0.1, yaw=20.0)
    t = faces.column("time_s").to_numpy()
    noted = np.select([t < 5, t < 10], ["occluded", "turned"], "").astype(object)
    noted[noted == ""] = None
    field = faces.schema.field("unreadable")
    column = pa.array(noted, pa.string()).dictionary_encode().cast(field.type)
    got = bins_of(
        made, tables=(frames, faces.set_column(faces.schema.get_field_index("unreadable"), field, column))
    )
    lane = got[got.person_id == 1].set_index("bin_start_s")
    assert (lane.readable_s[:9.0] == 0).all()
    np.testing.assert_allclose(lane.readable_s[10.0:], lane.face_s[10.0:])
    assert (lane.face_s > 0.8).all()


def test_without_a_pose_expressions_are_read_and_attention_is_unknown():
    got = bins_of(Made(seconds=20, pose=False))
    assert got.attention.isna().all()
    assert got.engagement.notna().all()


@pytest.mark.parametrize(
    ("yaw", "pitch", "wanted"),
    [(0, 0, 1), (15, -15, 1), (25, 0, 0.5), (-25, 25, 0.25), (35, 0, 0), (0, -90, 0), (np.nan, 0, np.nan)],
)
def test_attention_falls_from_fifteen_to_thirty_five_degrees(yaw, pitch, wanted):
    class Turned:
        pass

    faces = Turned()
    faces.yaw, faces.pitch = np.array([float(yaw)]), np.array([float(pitch)])
    np.testing.assert_allclose(attention(faces), [wanted])


def test_a_single_misread_frame_does_not_change_the_shown_label():
    made, (frames, faces) = one_face(prob_neutral=0.9, prob_happy=0.1)
    neutral, happy = np.full(len(faces), 0.9), np.full(len(faces), 0.1)
    neutral[50], happy[50] = 0.01, 0.99
    got = bins_of(made, tables=(frames, with_values(faces, prob_neutral=neutral, prob_happy=happy)))
    assert (got.engagement == 0).all()
    assert got.expressiveness.max() > got.expressiveness.min() + 0.05


def test_faces_on_both_sides_of_a_gap_are_smoothed_as_they_are():
    made, (frames, faces) = one_face(prob_neutral=0.9, prob_happy=0.1)
    t = faces.column("time_s").to_numpy()
    late = t >= 10
    faces = with_values(faces, prob_neutral=np.where(late, 0.01, 0.9), prob_happy=np.where(late, 0.99, 0.1))
    faces = faces.filter((t < 8) | late)
    got = bins_of(made, tables=(frames, faces))
    lane = got[got.person_id == 1].set_index("bin_start_s").engagement
    assert set(lane[:7.5]) == {0.0}
    assert set(lane[9.5:]) == {1.0}


@pytest.mark.parametrize("fps", [5, 12.5, 25, 50])
def test_numbers_do_not_depend_on_the_frame_rate(fps):
    """A smile from 4.0 to 9.0 s of 20 s."""
    made, (frames, faces) = one_face(fps=fps, prob_neutral=0.9, prob_happy=0.1)
    t = faces.column("time_s").to_numpy()
    smile = (t >= 4 - 1e-9) & (t < 9 - 1e-9)
    faces = with_values(faces, prob_neutral=np.where(smile, 0.02, 0.9), prob_happy=np.where(smile, 0.98, 0.1))
    got = bins_of(made, tables=(frames, faces))
    lane = got[got.person_id == 1]
    share = (lane.engagement * lane.readable_s).sum() / lane.readable_s.sum()
    assert share == pytest.approx(0.25, abs=0.02)


def test_people_seen_briefly_have_no_row():
    made = Made(seconds=20, people=2)
    frames, faces = made_tables(made)
    person, t = faces.column("track_id").to_numpy(), faces.column("time_s").to_numpy()
    second = t[person == 2]
    brief = faces.filter((person == 1) | (t < second[9] - 1e-9))
    assert set(bins_of(made, tables=(frames, brief)).person_id.dropna()) == {1}
    longer = faces.filter((person == 1) | (t < second[10] + 1e-9))
    assert set(bins_of(made, tables=(frames, longer)).person_id.dropna()) == {1, 2}
    unsure = with_values(faces, score=np.where(person == 2, 0.75, 0.9))
    assert set(bins_of(made, tables=(frames, unsure)).person_id.dropna()) == {1}


def test_a_stretch_at_rest_moves_the_person_it_is_about():
    """A face whose rest looks expressive: its log odds are +0.5 where -2 is usual, and the shift ends at 1.5."""
    made, tables = one_face(prob_neutral=0.15, prob_sad=0.85)
    odds = np.log(0.85 / 0.15) - np.log((1 - PRIOR) / PRIOR)
    before = bins_of(made, tables=tables)
    np.testing.assert_allclose(before.expressiveness, 1 / (1 + np.exp(-odds)), atol=1e-6)
    after = bins_of(made, tables=tables, rest=(Rest(2.0, 8.0, 1),))
    np.testing.assert_allclose(after.expressiveness, 1 / (1 + np.exp(1.5 - odds)), atol=1e-6)
    assert (before.engagement == 1).all()
    assert (after.engagement == 0).all()
    np.testing.assert_allclose(after.prob_sad, before.prob_sad)
    for other in (Rest(2.0, 8.0, 7), Rest(2.0, 3.0, 1), Rest(100.0, 110.0, None)):
        pd.testing.assert_frame_equal(bins_of(made, tables=tables, rest=(other,)), before)
    pd.testing.assert_frame_equal(bins_of(made, tables=tables, rest=(Rest(2.0, 8.0, None),)), after)


def score_faces(made: Made, tables=None) -> FaceScores:
    """Every face of one video, in one block."""
    frames, faces = tables or made_tables(made)
    (scores,) = (
        Scorer.of(frames, faces, made_basis(made))([faces])
        if len(faces) < 50
        else _joined(made, frames, faces)
    )
    return scores


def _joined(made: Made, frames, faces) -> list[FaceScores]:
    parts = list(Scorer.of(frames, faces, made_basis(made))(faces))
    names = ("frame_row", "person_id", "seconds", "readable", "label", "score")
    columns = {k: np.concatenate([part.columns[k] for part in parts]) for k in parts[0].columns}
    return [FaceScores(*(np.concatenate([getattr(part, name) for part in parts]) for name in names), columns)]


def test_shards_add_up_to_the_whole():
    scores = score_faces(Made(seconds=40, people=3))
    rng = np.random.default_rng(1)
    shard = rng.integers(0, 5, len(scores.person_id))
    whole = tally(scores.columns, scores.person_id, 4, scores.seconds)
    parts = [
        tally({name: v[shard == k] for name, v in scores.columns.items()}, scores.person_id[shard == k], 4,
              scores.seconds[shard == k])
        for k in range(5)
    ]  # fmt: skip
    total = sum(parts, start=Tally())
    for name in scores.columns:
        np.testing.assert_allclose(total.mean(name), whole.mean(name))
        np.testing.assert_allclose(total.weights[name], whole.weights[name])


def test_faces_of_another_video_are_refused():
    made = Made(seconds=10)
    frames, faces = made_tables(made)
    with pytest.raises(RecordsError, match="do not belong together"):
        timeline(frames.slice(0, 50), faces, made_basis(made), video_id="x", bin_seconds=1)


def test_a_frame_on_the_edge_belongs_to_the_bin_that_starts_there():
    assert bin_of(np.array([0.3, 0.6, 0.7, 0.1 * 3]), 0.1).tolist() == [3, 6, 7, 3]


def test_frames_stand_for_the_time_until_the_next_and_not_for_what_is_missing():
    times = np.array([0.0, 0.1, 0.2, 0.7, 5.0, 5.1])
    held = FrameTimes.from_seconds(times, end_s=5.5)
    np.testing.assert_allclose(held.seconds, [0.1, 0.1, 0.5, 4.3, 0.1, 0.4], atol=1e-9)
    lost = FrameTimes.from_seconds(times, end_s=5.5, gaps=[Gap(0.7, 5.0, 43), Gap(5.1, None, None)])
    np.testing.assert_allclose(lost.seconds, [0.1, 0.1, 0.5, 0.1, 0.1, 0.1], atol=1e-9)


def test_smoothing_leaves_out_what_is_unknown():
    values = np.array([0.0, np.nan, 1.0, np.nan, np.nan, np.nan, 0.5])
    got = smooth(values, 1.0)
    wanted = pd.Series(values).rolling(3, center=True, min_periods=1).mean()
    np.testing.assert_allclose(got, wanted)
    assert smooth(values, 5.0) is values


def moments(*at: tuple[float, float], seconds: float = 60.0, made: Made | None = None, label: str = "happy"):
    """One person, at rest but for moments given as (time, strength)."""
    made = made or Made(seconds=seconds)
    frames, faces = made_tables(made)
    t = faces.column("time_s").to_numpy()
    score = np.max([strength * np.exp(-(((t - when) / 1.5) ** 2)) for when, strength in at], axis=0)
    values = {f"prob_{name}": np.zeros(len(t)) for name in LABELS}
    values |= {
        f"prob_{label}": score,
        "prob_neutral": 1 - score,
        "yaw": np.zeros(len(t)),
        "pitch": np.zeros(len(t)),
    }
    values["sharpness"] = np.full(len(t), 300.0)
    if not made.pose:
        values |= {"yaw": np.full(len(t), np.nan), "pitch": np.full(len(t), np.nan)}
    faces = with_values(faces, **values)
    return timeline(frames, faces, made_basis(made), video_id="x", bin_seconds=1.0)


def test_peaks_are_where_the_reactions_were_put():
    table = moments((12.5, 0.99), (31.5, 0.92), (48.5, 0.97))
    found = peaks(table)
    assert [peak.time_s for peak in found] == [12.5, 31.5, 48.5]
    assert {peak.label for peak in found} == {"happy"}
    assert {peak.person_ids for peak in found} == {(1,)}
    for peak in found:
        assert peak.start_s < peak.time_s < peak.end_s
    assert len(peaks(table, most=1)) == 1


def test_a_reaction_at_either_end_is_a_peak_too():
    assert [round(peak.time_s) for peak in peaks(moments((0.5, 0.99), (59.5, 0.99)))] == [0, 60]


def test_without_pose_there_are_the_same_peaks():
    assert [peak.time_s for peak in peaks(moments((30.5, 0.99), made=Made(pose=False)))] == [30.5]


def test_faces_at_rest_have_no_peaks_and_neither_has_an_empty_picture():
    assert peaks(bins_table(Made(seconds=5, people=0))) == []
    assert peaks(moments((-1000, 0.0))) == []
    # A score that rises, but not as far as an expression.
    assert peaks(moments((30.5, 0.6))) == []
    assert strongest_moment(moments((30.5, 0.6))) is None


def bins_table(made: Made):
    frames, faces = made_tables(made)
    return timeline(frames, faces, made_basis(made), video_id="x", bin_seconds=1)


def test_a_turn_from_sad_to_happy_is_a_peak():
    made, (frames, faces) = one_face(seconds=60)
    happy = faces.column("time_s").to_numpy() >= 30
    faces = with_values(faces, prob_sad=np.where(happy, 0.02, 0.95), prob_happy=np.where(happy, 0.95, 0.02),
                        prob_neutral=np.full(len(faces), 0.03))  # fmt: skip
    table = timeline(frames, faces, made_basis(made), video_id="x", bin_seconds=1)
    turns = [peak for peak in peaks(table) if peak.curve == "valence"]
    assert len(turns) == 1
    assert turns[0].time_s == pytest.approx(30, abs=1)
    assert turns[0].height == pytest.approx(1.7, abs=0.1)


def test_the_strongest_moment_is_the_bin_in_which_the_most_people_react():
    table = bins_table(Made(seconds=90, people=4, seed=3))
    rows = table.to_pandas()
    rows = rows[rows.person_id.notna()]
    reacting = rows[rows.reacting == 1].groupby("bin_start_s").person_id.agg(list)
    most = reacting.map(len).max()
    found = strongest_moment(table)
    assert found.n_reacting == most
    assert sorted(found.person_ids) == sorted(reacting[found.time_s - 0.5])


def test_people_are_summed_up_as_pandas_would():
    made = Made(seconds=60, people=3, untracked=0.02)
    frames, faces = made_tables(made)
    sightings = find_sightings(faces, FrameTimes.from_frames(frames, end_s=made.seconds))
    got = {person.person_id: person for person in people(bins_table(made), sightings)}
    f = faces.to_pandas().query("track_id != -1")
    ms = milliseconds_of(made)
    assert set(got) == set(f.track_id)
    for track, rows in f.groupby("track_id"):
        person, mine = got[track], ms[ms.person == track]
        assert person.sighting.n_faces == len(rows)
        assert person.seconds == pytest.approx(len(rows) / made.fps)
        assert (person.sighting.first_s, person.sighting.last_s) == (rows.time_s.min(), rows.time_s.max())
        assert person.readable_s == pytest.approx(mine.readable.mean() * person.seconds)
        assert person.means["engagement"] == pytest.approx(mine.engagement.mean(), abs=5e-4)
        assert person.means["positive"] == pytest.approx(mine.positive.mean(), abs=1e-5)
        shares = mine[[f"shown_{label}" for label in LABELS]].mean()
        assert f"shown_{person.label}" == shares.idxmax()
        assert f"shown_{person.leading}" == shares.drop("shown_neutral").idxmax()


def test_coverage_counts_what_is_there():
    made = Made(seconds=30, people=2, untracked=0.2, away=((5, 10),))
    frames, faces = made_tables(made)
    f, g = frames.to_pandas(), faces.to_pandas()
    got = coverage(frames, faces)
    assert (got.n_frames, got.n_faces) == (len(f), len(g))
    assert got.n_untracked == (g.track_id == -1).sum()
    assert got.n_pose_unknown == g.yaw.isna().sum()
    assert got.n_frames_with_face == (f.n_faces > 0).sum()


@pytest.mark.parametrize("rest", [(), (Rest(3.0, 9.0, None),)])
def test_a_timeline_made_block_by_block_is_that_of_the_whole(rest):
    made = Made(seconds=40, people=3, untracked=0.05, away=((10, 15),), seed=5)
    frames, faces = made_tables(made)
    cuts = [0, 1, 7, 500, 501, len(faces)]
    parts = [faces.slice(low, high - low) for low, high in itertools.pairwise(cuts)]
    whole, by_parts = (
        timeline(frames, given, made_basis(made, rest=rest), video_id="x", bin_seconds=1.0)
        for given in (faces, parts)
    )
    assert len(whole) > 100
    pd.testing.assert_frame_equal(whole.to_pandas(), by_parts.to_pandas(), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "change", "is_refused"),
    [
        ("positive", {"positive": 1.0}, False),
        ("positive", {"positive": 1.5}, True),
        ("positive", {"positive": -0.01}, True),
        ("valence", {"valence": -1.0}, False),
        ("seconds", {"seconds": -0.5}, True),
        # Of a person, in a bin after those of the video, or between two of its bins.
        ("bin_start_s", {"bin_start_s": 6.0, "bin_end_s": 7.0}, True),
        ("bin_start_s", {"bin_start_s": 5.7, "bin_end_s": 6.7}, True),
    ],
)
def test_a_stored_timeline_with_values_that_are_not_possible_is_refused(tmp_path, name, change, is_refused):
    paths = VideoFiles(tmp_path, write_session(tmp_path, Made(seconds=6)))
    stored = read_timeline(paths)
    rows = stored.to_pylist()
    last = max(row for row, values in enumerate(rows) if values["person_id"] is not None)
    rows[last] |= change
    write_table(
        paths.timeline, pa.Table.from_pylist(rows, schema=stored.schema), read_metadata(paths.timeline)
    )
    if is_refused:
        with pytest.raises(RecordsError, match=r"possible|follow"):
            read_timeline(paths)
    else:
        assert read_timeline(paths).to_pylist()[last][name] == change[name]
