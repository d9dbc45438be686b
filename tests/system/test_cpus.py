from __future__ import annotations

import math
import os

import pytest

from ferflow.system.cpus import available_cpus, cgroup_quota


def test_a_container_with_two_and_a_half_cpus(tmp_path):
    group = tmp_path / "mount" / "app"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("250000 100000\n")
    (tmp_path / "mine").write_text("0::/app\n")
    assert cgroup_quota(tmp_path / "mount", tmp_path / "mine") == 2.5


def test_a_group_above_limits_too_and_max_is_no_limit(tmp_path):
    group = tmp_path / "mount" / "user" / "app"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("max 100000\n")
    (group.parent / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "mine").write_text("0::/user/app\n")
    assert cgroup_quota(tmp_path / "mount", tmp_path / "mine") == 1.0


@pytest.mark.parametrize(("microseconds", "expected"), [("150000", 1.5), ("-1", math.inf)])
def test_groups_of_the_first_version(tmp_path, microseconds, expected):
    group = tmp_path / "mount" / "cpu,cpuacct" / "docker"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text(microseconds)
    (group / "cpu.cfs_period_us").write_text("100000")
    (tmp_path / "mine").write_text("4:memory:/docker\n2:cpu,cpuacct:/docker\n")
    assert cgroup_quota(tmp_path / "mount", tmp_path / "mine") == expected


def test_where_nobody_limits_affinity_counts(tmp_path, monkeypatch):
    assert cgroup_quota(tmp_path, tmp_path / "gone") == math.inf
    monkeypatch.setattr("ferflow.system.cpus.cgroup_quota", lambda: math.inf)
    assert available_cpus() == len(os.sched_getaffinity(0))
    monkeypatch.setattr("ferflow.system.cpus.cgroup_quota", lambda: 0.3)
    assert available_cpus() == 1
