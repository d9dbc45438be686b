from __future__ import annotations

import math
import os

import pytest

from ferflow.system.cgroup import ControlGroups
from ferflow.system.cpus import available_cpus


def test_a_container_with_two_and_a_half_cpus(tmp_path):
    group = tmp_path / "mount" / "app"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("250000 100000\n")
    (tmp_path / "mine").write_text("0::/app\n")
    assert ControlGroups(tmp_path / "mount", tmp_path / "mine").cpu_quota() == 2.5


def test_a_group_above_limits_too_and_max_is_no_limit(tmp_path):
    group = tmp_path / "mount" / "user" / "app"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("max 100000\n")
    (group.parent / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "mine").write_text("0::/user/app\n")
    assert ControlGroups(tmp_path / "mount", tmp_path / "mine").cpu_quota() == 1.0


@pytest.mark.parametrize(("microseconds", "expected"), [("150000", 1.5), ("-1", math.inf)])
def test_groups_of_the_first_version(tmp_path, microseconds, expected):
    group = tmp_path / "mount" / "cpu,cpuacct" / "docker"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text(microseconds)
    (group / "cpu.cfs_period_us").write_text("100000")
    (tmp_path / "mine").write_text("4:memory:/docker\n2:cpu,cpuacct:/docker\n")
    assert ControlGroups(tmp_path / "mount", tmp_path / "mine").cpu_quota() == expected


def test_without_a_quota_affinity_counts(tmp_path, monkeypatch):
    assert ControlGroups(tmp_path, tmp_path / "gone").cpu_quota() == math.inf
    monkeypatch.setattr(ControlGroups, "cpu_quota", lambda _: math.inf)
    assert available_cpus() == len(os.sched_getaffinity(0))
    monkeypatch.setattr(ControlGroups, "cpu_quota", lambda _: 0.3)
    assert available_cpus() == 1


@pytest.mark.parametrize(
    ("line", "folder", "names"),
    [
        ("0::/app", "app", ("memory.max", "memory.current", "inactive_file")),
        (
            "4:memory:/app",
            "memory/app",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ),
    ],
)
def test_free_memory_is_the_limit_less_what_is_used_and_not_cache(tmp_path, line, folder, names):
    group = tmp_path / "mount" / folder
    group.mkdir(parents=True)
    (group / names[0]).write_text("1000\n")
    (group / names[1]).write_text("700\n")
    (group / "memory.stat").write_text(f"anon 600\n{names[2]} 100\n")
    (tmp_path / "mine").write_text(line + "\n")
    assert ControlGroups(tmp_path / "mount", tmp_path / "mine").free_memory() == 400
    (group / names[1]).write_text("5000\n")
    assert ControlGroups(tmp_path / "mount", tmp_path / "mine").free_memory() == 0


def test_without_a_limit_of_memory_all_of_it_is_free(tmp_path):
    (tmp_path / "mine").write_text("0::/app\n")
    assert ControlGroups(tmp_path, tmp_path / "mine").free_memory() == math.inf
