"""The simulation of many machines, against sums and closed forms."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ferflow.errors import OptionsError
from ferflow.jobs.benchmarks.scaling import measure
from ferflow.jobs.benchmarks.scaling.__main__ import main
from ferflow.jobs.benchmarks.scaling.costs import cost_of_hour, pack_gpu
from ferflow.jobs.benchmarks.scaling.model import (
    Assumptions,
    Cluster,
    Measured,
    MeasuredRun,
    MeasuredScene,
    Scenario,
    Videos,
    draw_videos,
    make_cluster,
    split_by_size,
)
from ferflow.jobs.benchmarks.stages import STAGES
from ferflow.system.cpus import available_cpus

pytest.importorskip("simpy", reason="simulates with SimPy")

from ferflow.jobs.benchmarks.scaling.runs import simulate_measured, simulate_run
from ferflow.jobs.benchmarks.scaling.simulation import Outcome, simulate

POLICIES = ["shards", "machines", "queue", "copies"]
FAST = 1e12
"""Bytes per second at which reading takes no time."""


def make_videos(cpu_s, read_bytes=0.0) -> Videos:
    cpu_s = np.asarray(cpu_s, float)
    n = len(cpu_s)
    return Videos(
        hours=cpu_s / 100,
        read_bytes=np.broadcast_to(np.asarray(read_bytes, float), n).copy(),
        cpu_s=cpu_s,
        is_bad=np.zeros(n, bool),
    )


def make_machines(n_workers, **settings) -> Cluster:
    values = {
        "speeds": (1.0,) * n_workers, "workers_per_node": 4, "node_bytes_per_s": FAST, "store_bytes_per_s": FAST,
        "start_s": 0.0, "publish_s": 0.0, "list_s": 0.0, "identify_s": 0.0,
    }  # fmt: skip
    return Cluster(**(values | settings))


def check_accounts(videos: Videos, cluster: Cluster, outcome: Outcome) -> None:
    """Every video has one result, and every second of every worker is accounted for."""
    assert (outcome.n_results == 1).all()
    assert min(outcome.used_s.values()) >= 0
    assert sum(outcome.used_s.values()) == pytest.approx(len(cluster.speeds) * outcome.seconds)


@pytest.mark.parametrize("policy", POLICIES)
def test_one_worker_takes_the_sum_of_all(policy):
    videos = make_videos([5, 3, 8], read_bytes=[100, 200, 300])
    cluster = make_machines(
        1, start_s=2.0, publish_s=0.25, list_s=0.3, identify_s=0.5, node_bytes_per_s=100.0
    )
    outcome = simulate(videos, cluster, policy, seed=0)
    planning_s, reading_s, analysis_s = 3 * 0.8, 6.0, 16 + 3 * 0.25
    # Inputs are planned while models are loaded.
    assert outcome.seconds == pytest.approx(max(2.0, planning_s) + reading_s + analysis_s)
    assert outcome.used_s["reading"] == pytest.approx(reading_s)
    assert outcome.used_s["useful"] == pytest.approx(analysis_s)
    assert outcome.read_bytes == 600
    check_accounts(videos, cluster, outcome)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("n_videos", "n_workers"), [(12, 4), (13, 4), (3, 8)])
def test_equal_videos_take_as_many_rounds_as_the_fullest_worker_has(policy, n_videos, n_workers):
    videos, cluster = make_videos([10.0] * n_videos, read_bytes=1.0), make_machines(n_workers)
    outcome = simulate(videos, cluster, policy, seed=0)
    assert outcome.seconds == pytest.approx(10 * math.ceil(n_videos / n_workers))
    assert outcome.used_s["useful"] == pytest.approx(10 * n_videos)
    check_accounts(videos, cluster, outcome)


@pytest.mark.parametrize("policy", POLICIES)
def test_where_the_store_is_the_limit_a_run_takes_bytes_over_bandwidth(policy):
    videos = make_videos([0.001] * 400, read_bytes=1000.0)
    cluster = make_machines(32, store_bytes_per_s=2000.0, node_bytes_per_s=1000.0)
    outcome = simulate(videos, cluster, policy, seed=0)
    assert outcome.seconds == pytest.approx(400 * 1000 / 2000, rel=0.01)
    assert outcome.used_s["reading"] / (32 * outcome.seconds) > 0.95
    check_accounts(videos, cluster, outcome)


def test_where_the_network_of_machines_is_the_limit_each_reads_at_its_own_rate():
    # 8 machines of 4 workers; the store could serve 10 of them.
    videos = make_videos([0.001] * 320, read_bytes=1000.0)
    cluster = make_machines(32, store_bytes_per_s=10_000.0, node_bytes_per_s=1000.0)
    outcome = simulate(videos, cluster, "queue", seed=0)
    assert outcome.seconds == pytest.approx(320 * 1000 / 8000, rel=0.01)


def test_machines_that_read_at_once_share_the_store_equally():
    # Alone on its machine each; 100 bytes/s shared by two until 150 bytes each have arrived, then by one, whose own
    # network has 60.
    videos = make_videos([0.0, 0.0], read_bytes=[150.0, 210.0])
    cluster = make_machines(2, workers_per_node=1, store_bytes_per_s=100.0, node_bytes_per_s=60.0)
    outcome = simulate(videos, cluster, "shards", seed=0)
    assert outcome.seconds == pytest.approx(150 / 50 + 60 / 60)
    assert outcome.used_s["idle"] == pytest.approx(1.0)


@pytest.mark.parametrize("policy", ["shards", "queue"])
def test_kills_lengthen_a_run_by_what_is_expected(policy):
    # Attempts of s seconds that are killed at a rate k take (exp(k s) - 1) / k until one succeeds.
    videos, rate = make_videos([1800.0] * 4000), 0.5
    cluster = make_machines(8, kills_per_hour=rate)
    outcome = simulate(videos, cluster, policy, seed=1)
    k = rate / 3600
    expected_s = (math.exp(k * 1800) - 1) / k
    busy_s = outcome.used_s["useful"] + outcome.used_s["killed"]
    # The standard deviation of the sum of 4000 such times is below 1 % of it.
    assert busy_s / 4000 == pytest.approx(expected_s, rel=0.03)
    assert outcome.n_retries / 4000 == pytest.approx(math.exp(k * 1800) - 1, rel=0.08)
    assert outcome.used_s["useful"] == pytest.approx(1800 * 4000)
    assert outcome.lost_share == pytest.approx(1 - 1800 / expected_s, abs=0.02)
    check_accounts(videos, cluster, outcome)


def test_a_killed_shard_starts_and_plans_again():
    videos = make_videos([600.0] * 200)
    cluster = make_machines(1, kills_per_hour=1.0, replace_s=100.0, start_s=7.0, list_s=0.01, identify_s=0.09)
    outcome = simulate(videos, cluster, "shards", seed=3)
    assert outcome.n_killed > 10
    assert outcome.used_s["down"] == pytest.approx(100.0 * outcome.n_killed)
    # A start that is killed itself is shorter.
    starts = (outcome.n_killed + 1) * 200 * 0.1
    assert starts * 0.9 < outcome.used_s["starting"] <= starts
    check_accounts(videos, cluster, outcome)


@pytest.mark.parametrize("policy", POLICIES)
def test_everything_at_once_leaves_one_result_a_video_and_accounts_for_all_time(policy):
    assumed = Assumptions(
        kills_per_hour=2.0, slow_share=0.3, bad_share=0.2, store_mb_per_s=300.0, cpus_per_node=4.0
    )
    scenario = Scenario(measured=MEASURED, scene=SCENE, assumed=assumed, seed=5)
    run = simulate_run(policy, 20, 600, scenario)
    check_accounts(run.videos, run.cluster, run.outcome)
    used = run.outcome.used_s
    assert min(used[use] for use in ("useful", "reading", "killed", "bad", "starting", "down", "idle")) > 0
    assert (used["copies"] > 0) == (policy == "copies")
    assert used["bad"] < run.videos.is_bad.sum() * (MEASURED.video_cpu_s + MEASURED.publish_s) * 2.5
    assert 0 < run.efficiency < used["useful"] / (20 * run.outcome.seconds) < 1
    assert run.outcome.n_killed >= run.outcome.n_retries > 0


def test_a_seed_gives_the_same_run_and_another_seed_another():
    def seconds(seed):
        scenario = Scenario(
            measured=MEASURED, scene=SCENE, assumed=Assumptions(kills_per_hour=1.0, slow_share=0.2), seed=seed
        )
        return simulate_run("copies", 16, 300, scenario).outcome.seconds

    assert seconds(0) == seconds(0) != seconds(1)


def test_a_copy_of_what_a_slow_worker_began_ends_the_run():
    # The slow worker needs 100 s; the other one is free after 10 s, begins the same video and ends it after 20 s.
    videos, cluster = make_videos([10.0, 10.0]), make_machines(2, speeds=(0.1, 1.0))
    without = simulate(videos, cluster, "queue", seed=0)
    with_copies = simulate(videos, cluster, "copies", seed=0)
    assert (without.seconds, with_copies.seconds) == (pytest.approx(100), pytest.approx(20))
    assert with_copies.n_copies == 1
    assert with_copies.used_s["copies"] == pytest.approx(20)  # all that the slow one did
    check_accounts(videos, cluster, with_copies)


def test_a_queue_evens_out_what_shards_by_size_cannot_know():
    scenario = Scenario(
        measured=MEASURED, scene=SCENE, assumed=Assumptions(slow_share=0.1, kills_per_hour=0.0)
    )
    shards, machines, queue = (
        simulate_run(policy, 32, 1600, scenario) for policy in ("shards", "machines", "queue")
    )
    assert queue.efficiency > machines.efficiency > shards.efficiency + 0.1
    assert shards.largest_loss[0] == "waiting for the last"


@pytest.mark.parametrize(
    ("setting", "limit"),
    [("store_mb_per_s=1", "store"), ("node_mb_per_s=0.5", "network"), ("slow_share=0", "CPUs")],
)
def test_the_limit_of_a_run_is_named(setting, limit):
    assumed = Assumptions(kills_per_hour=0.0).updated([setting])
    run = simulate_run("queue", 16, 400, Scenario(measured=MEASURED, scene=SCENE, assumed=assumed))
    assert run.limit == limit
    assert (run.largest_loss[0] == "storage") == (limit != "CPUs")


def test_parts_are_planned_in_parallel_and_a_queue_is_planned_by_one():
    videos = make_videos([10.0] * 80, read_bytes=1.0)
    cluster = make_machines(8, list_s=0.1, identify_s=1.0)  # two machines of four workers
    planning_s = {
        policy: simulate(videos, cluster, policy, seed=0).seconds - 80 / 8 * 10 for policy in POLICIES
    }
    listing_s = 80 * 0.1
    assert planning_s == pytest.approx(
        {
            "shards": listing_s + 10,
            "machines": listing_s + 40,
            "queue": listing_s + 80,
            "copies": listing_s + 80,
        }
    )


def test_parts_by_size_differ_by_less_than_the_largest_item():
    sizes = np.random.default_rng(0).lognormal(0, 1.2, 500)
    parts = split_by_size(sizes, np.argsort(-sizes), 7)
    assert sorted(index for part in parts for index in part) == list(range(500))
    loads = [sizes[part].sum() for part in parts]
    # Largest first: the difference is at most the last item added to the fullest part.
    assert max(loads) - min(loads) <= max(sizes[part[-1]] for part in parts)


def stage_ms(**given):
    return dict.fromkeys(("decode", "planes", "detect", "track", "crop", "write", "other"), 0.0) | given


SCENE = MeasuredScene(
    name="talk", frames_per_s=25.0, megabits_per_s=2.0, faces_per_frame=2.0,
    stages_cpu_ms=stage_ms(decode=2.0, detect=1.0, crop=1.0, classify=4.0), written_bytes_per_frame=100.0,
)  # fmt: skip
MEASURED = Measured(
    machine="made up", date="2026-01-01", load=0.0, start_s=1.5, video_cpu_s=0.5, publish_s=0.25,
    written_bytes_per_video=20_000.0, list_s=1e-4, identify_s=1e-3, scenes=(SCENE,), run_scene=SCENE,
    run_videos=8, run_video_s=20.0,
    runs=(MeasuredRun(workers=1, wall_s=40.0, cpu_s=41.5), MeasuredRun(workers=2, wall_s=20.0, cpu_s=47.0)),
)  # fmt: skip


def test_drawn_videos_have_the_stated_distribution():
    assumed = Assumptions(median_minutes=6.0, length_sigma=0.8, bad_share=0.1, longest_hours=1000.0)
    videos = draw_videos(40_000, Scenario(measured=MEASURED, scene=SCENE, assumed=assumed))
    assert np.median(videos.hours) == pytest.approx(0.1, rel=0.03)
    assert videos.hours.mean() == pytest.approx(0.1 * math.exp(0.8**2 / 2), rel=0.03)
    assert videos.is_bad.mean() == pytest.approx(0.1, abs=0.01)
    # 8 ms a frame and 90,000 frames an hour; 2 Mbit/s.
    good = ~videos.is_bad
    assert (videos.cpu_s - 0.5)[good].sum() / videos.hours[good].sum() == pytest.approx(720, rel=0.03)
    assert videos.read_bytes.sum() / videos.hours.sum() == pytest.approx(0.9e9, rel=0.03)


def test_workers_share_machines_whose_cpus_slow_each_other_down():
    assumed = Assumptions(slow_share=0.0, cpus_per_node=16.0)
    scenario = Scenario(measured=MEASURED, scene=SCENE, assumed=assumed)
    assert make_cluster(1, scenario).speeds == (1.0,)
    cluster = make_cluster(20, scenario)
    assert cluster.n_nodes == 2
    assert cluster.speeds == pytest.approx([1 / 1.1] * 20)


def test_measured_runs_are_simulated_as_they_were_run():
    simulated = simulate_measured(MEASURED)
    # 8 videos of 500 frames at 8 ms, half a second of CPU each, and a quarter of waiting; the start.
    assert simulated[1].outcome.seconds == pytest.approx(1.5 + 8 * (4.0 + 0.5 + 0.25), rel=1e-3)
    assert simulated[2].outcome.seconds == pytest.approx(1.5 + 4 * (4.5 * 1.1 + 0.25), rel=1e-3)


def test_costs_of_an_hour_are_those_of_its_frames_and_a_part_of_its_video():
    assumed = Assumptions(cpu_price=0.036, read_passes=2.0)
    half_hours = replace(make_videos([1.0, 1.0]), hours=np.array([0.25, 0.75]))
    scenario = Scenario(measured=MEASURED, scene=SCENE, assumed=assumed)
    cost = cost_of_hour(scenario, half_hours, efficiency=0.5)
    assert cost.cpu_s == pytest.approx(720 + 2 * 0.5)
    assert cost.read_bytes == pytest.approx(2 * 0.9e9)
    assert cost.written_bytes == pytest.approx(90_000 * 100 + 2 * 20_000)
    assert cost.money == pytest.approx(721 / 3600 / 0.5 * 0.036)


def test_a_gpu_serves_as_many_cpus_as_its_rate_allows():
    # A CPU that does not classify takes 4 ms for a frame of two faces: 500 faces/s.
    few = pack_gpu(SCENE, Assumptions(gpu_faces_per_s=20_000.0, cpus_per_node=10.0, cpu_price=0.05))
    assert (few.faces_per_cpu_s, few.cpus_per_gpu, few.gpu_busy) == pytest.approx((500, 40, 0.25))
    # Twice as fast as without: worth as much as the ten CPUs.
    assert (few.times_as_fast, few.worth) == pytest.approx((2.0, 0.5))
    assert few.worth_full == pytest.approx(40 * 0.05)  # as the 40 CPUs that it makes twice as fast
    many = pack_gpu(SCENE, Assumptions(gpu_faces_per_s=4_000.0, cpus_per_node=10.0))
    assert (many.gpu_busy, many.times_as_fast) == pytest.approx((1.0, 0.8 * 2.0))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("colour=1", "with a name of median_minutes"),
        ("bad_share=1", "at least 0 and below 1"),
        ("cpu_price=0", "a positive number"),
        ("cpus_per_node=many", "a positive number"),
        ("store_mb_per_s=inf", "a positive number"),
        ("slow_share", "at least 0 and below 1"),
    ],
)
def test_an_impossible_assumption_is_refused(setting, message):
    with pytest.raises(OptionsError, match=message):
        Assumptions().updated([setting])


def test_the_command_prints_measured_and_simulated_figures(tmp_path, capsys):
    measure.write_measured(tmp_path / "figures.json", MEASURED)
    main(
        ["--measured", str(tmp_path / "figures.json"), "--scene", "talk", "--workers", "1", "4", "--videos", "20",
         "--policy", "queue", "--set", "kills_per_hour=0", "--set", "slow_share=0"]
    )  # fmt: skip
    printed = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()]
    assert ["kills_per_hour", "0"] in [row[:2] for row in rows]
    one, four = (row for row in rows if row[0] == "queue")
    assert one[1:3] == ["1", "20"]
    assert float(one[5]) > 0.9
    assert float(one[4]) > 2 * float(four[4])
    assert "no GPU was measured" in printed
    # Decoding, detection and classification of 90,000 frames.
    assert ["talk", "180", "90", "360"] in [[row[0], *row[2:5]] for row in rows if len(row) == 9]


def test_figures_that_are_missing_or_not_ours_are_refused_in_one_line(tmp_path):
    (tmp_path / "other.json").write_text("{}")
    for name, message in (("none.json", "cannot be read"), ("other.json", "not figures of --measure")):
        with pytest.raises(SystemExit, match=f"{name}: {message}"):
            main(["--measured", str(tmp_path / name)])


def test_stored_figures_can_be_read():
    stored = measure.read_measured(measure.STORED)
    assert {run.workers for run in stored.runs} == {1, 2}
    assert all(scene.cpu_ms > 0 for scene in stored.scenes)


@pytest.mark.slow
def test_this_machine_can_be_measured(tmp_path):
    tiny = measure.Plan(
        scenes=["360p"], scene_s=0.5, short_s=0.4, n_short=2, run_s=1.0, n_run=2, rounds=1, n_inputs=20
    )
    measured = measure.measure(tiny)
    measure.write_measured(tmp_path / "figures.json", measured)
    assert measure.read_measured(tmp_path / "figures.json") == measured
    (scene,) = measured.scenes
    assert (scene.name, scene.frames_per_s, scene.faces_per_frame) == ("360p", 30.0, 1.0)
    assert set(scene.stages_cpu_ms) == set(STAGES)
    assert 0.1 < scene.cpu_ms < 1000
    assert [run.workers for run in measured.runs] == [1, 2][: min(2, available_cpus())]
    assert min(measured.start_s, measured.publish_s, measured.list_s, measured.identify_s) > 0
    assert measured.identify_s > measured.list_s  # which opens no file


WITHOUT_SIMPY = """
import sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name == "simpy":
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent)
from ferflow.jobs.benchmarks.scaling.__main__ import main
main([])
"""


def test_without_simpy_it_says_what_to_install():
    done = subprocess.run([sys.executable, "-c", WITHOUT_SIMPY], capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].endswith("Run: pip install simpy")
    assert "Traceback" not in done.stderr
