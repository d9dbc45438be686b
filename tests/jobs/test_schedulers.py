"""Scripts for schedulers: they run what they should whatever the paths are, and the tools for them accept them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ferflow import jobs
from ferflow.errors import OptionsError
from ferflow.jobs.schedulers.scripts import ArrayJob, write_script
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest
from tests.conftest import face_frames, write_video

HOSTILE = [
    "my list.csv", "it's.csv", 'say "no".csv', "$HOME.csv", "$(touch pwned).csv", "`touch pwned`.csv", "a\\b.csv",
    "{shard}.csv", "{{x}}.csv", "a;touch pwned.csv", "*.csv", "#.csv", "-x.csv", "ü🙂.csv", "$$(HOSTNAME).csv",
    "END_OF_SHARD",
]  # fmt: skip
SOME = ["it's.csv", "$(touch pwned).csv", "-x.csv"]
"""For manifest and output folder, while all of them are further options."""

# Shards 1 and 2 end as where some, or all, of their videos failed.
FAKE_FERFLOW = f"""#!{sys.executable}
import json, os, sys
shard = next((a for a in sys.argv if "/" in a and a.replace("/", "").isdigit()), None)
number = os.environ.get("SLURM_ARRAY_TASK_ID") or os.environ.get("JOB_COMPLETION_INDEX") or shard
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps([number, sys.argv[1:]]), file=calls)
sys.exit({{"1": 10, "1/3": 10, "2": 3, "2/3": 3}}.get(number, 0))
"""

FAKE_SBATCH = f"""#!{sys.executable}
import os, re, subprocess, sys
script = sys.stdin.read()
with open(os.environ["SUBMITTED"], "a") as file:
    print(" ".join(sys.argv[1:]), file=file)
numbers = re.search(r"^#SBATCH --array=(\\d+)-(\\d+)$", script, re.MULTILINE)
for number in range(int(numbers[1]), int(numbers[2]) + 1) if numbers else [None]:
    member = {{"ID": number, "MIN": numbers[1], "COUNT": numbers[2]}} if numbers else {{}}
    found = dict(os.environ, **{{f"SLURM_ARRAY_TASK_{{key}}": str(value) for key, value in member.items()}})
    ended = subprocess.run(["bash"], input=script, text=True, env=found)
    with open(os.environ["SUBMITTED"] + ".codes", "a") as file:
        print(ended.returncode, file=file)
print("4711;cluster" if "--parsable" in sys.argv else "Submitted batch job 4712")
"""


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """A folder with stand-ins of ferflow and sbatch on PATH."""
    (tmp_path / "bin").mkdir()
    for name, text in (("ferflow", FAKE_FERFLOW), ("sbatch", FAKE_SBATCH)):
        (program := tmp_path / "bin" / name).write_text(text)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("SUBMITTED", str(tmp_path / "submitted"))
    (tmp_path / "work").mkdir()
    return tmp_path


def calls(machine: Path) -> list[tuple[str | None, list[str]]]:
    """Which shard was asked for, and the arguments of ferflow."""
    return [tuple(json.loads(line)) for line in (machine / "calls").read_text().splitlines()]


def run(
    machine: Path, *command: str, text: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=text, cwd=machine / "work", capture_output=True, text=True, check=False, timeout=120,
        env=dict(os.environ, **environment),
    )  # fmt: skip


def as_path(path: str) -> str:
    """What does not begin as an option does."""
    return f"./{path}" if path.startswith("-") else path


@pytest.mark.parametrize("path", SOME)
def test_slurm_runs_an_array_and_then_joins_whatever_the_paths_are(machine, path):
    script = write_script(
        "slurm", ArrayJob(manifest=path, out=f"out {path}", shards=3, options=tuple(HOSTILE))
    )
    assert run(machine, "bash", "-n", text=script).returncode == 0
    done = run(machine, "bash", text=script)
    assert done.returncode == 0, done.stderr
    arguments = ["analyze", "--manifest", as_path(path), "--out", f"out {path}", *HOSTILE, "--shard", "auto"]
    assert calls(machine) == [*((number, arguments) for number in "123"), (None, ["merge", f"out {path}"])]
    assert (machine / "submitted").read_text().splitlines() == ["--parsable", "--dependency=afterany:4711"]
    assert list((machine / "work").iterdir()) == []


@pytest.mark.slow
def test_the_array_analyses_each_video_of_the_list_once_and_says_which_failed(machine):
    """Slurm is a stand-in that runs one job after the other; ferflow is the real one."""
    (machine / "bin" / "ferflow").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ferflow "$@"\n'
    )
    work = machine / "work"
    for number in range(3):
        write_video(work / f"it's {number}.mp4", face_frames(5 + number))
    (work / "bad.mp4").write_text("Dear diary")
    (work / "my list.csv").write_text("video\nit's 0.mp4\nit's 1.mp4\nbad.mp4\nit's 2.mp4\n")
    array = ArrayJob(manifest="my list.csv", out="the $OUT", shards=5, options=("--no-report",))
    done = run(machine, "bash", text=write_script("slurm", array))
    assert done.returncode == 0, done.stderr
    codes = (machine / "submitted.codes").read_text().split()
    assert (sorted(codes[:-1]), codes[-1]) == (["0", "0", "0", "0", "3"], "10")
    manifest = RunManifest.load(OutputFolder(work / "the $OUT").manifest)
    assert manifest is not None
    assert [(Path(video.source).name, video.status) for video in manifest.videos] == [
        ("it's 0.mp4", "done"), ("it's 1.mp4", "done"), ("bad.mp4", "failed"), ("it's 2.mp4", "done"),
    ]  # fmt: skip


def test_slurm_gets_what_is_asked_for():
    array = ArrayJob(
        manifest="a", out="b", shards=64, cpus=8, memory_gib=12, hours=48, gpus=2, image="my image.sif"
    )
    script = write_script("slurm", array)
    for line in ("--array=1-64", "--cpus-per-task=8", "--mem=12G", "--time=48:00:00", "--gres=gpu:2"):
        assert f"\n#SBATCH {line}\n" in script
    assert "exec apptainer exec --nv 'my image.sif' ferflow analyze" in script
    assert "exec apptainer exec --nv 'my image.sif' ferflow merge b" in script


def slurm_answers() -> bool:
    ping = shutil.which("scontrol")
    return (
        ping is not None and subprocess.run([ping, "ping"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not slurm_answers(), reason="no controller of Slurm answers")
def test_slurm_itself_accepts_the_jobs(tmp_path):
    script = write_script("slurm", ArrayJob(manifest="a.csv", out="out", shards=2, hours=1))
    for part in re.findall(r"<<'(END_OF_\w+)'\n(.*?)\n\1\n", script, re.DOTALL):
        done = subprocess.run(
            ["sbatch", "--test-only"], input=part[1], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("scheduler", ["slurm", "kubernetes", "snakemake"])
@pytest.mark.parametrize("path", ["a\nb.csv", "a\rb", "a\0b", "a\u2028b", "a\u202eb", "a\udcffb"])
def test_a_path_with_a_line_break_is_refused(scheduler, path):
    with pytest.raises(OptionsError, match="has a line break or another character") as reported:
        write_script(scheduler, ArrayJob(manifest=f"/data/{path}", out="/data/out"))
    assert "\n" not in str(reported.value)


@pytest.mark.parametrize("name", ["", "Ferflow", "a b", "1st", "a" * 41, "a-", "a\n", "$(x)"])
def test_a_name_that_is_none_for_a_job_is_refused(name):
    with pytest.raises(OptionsError, match="is not a valid name"):
        ArrayJob(manifest="a", out="b", name=name)
    with pytest.raises(OptionsError, match="is not a valid name"):
        ArrayJob(manifest="a", out="b", claim=name)


def jobs_of(**fields: object) -> list[dict]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    array = ArrayJob(**{"manifest": "/data/list.csv", "out": "/data/out", "image": "ferflow:1", **fields})
    return list(yaml.safe_load_all(write_script("kubernetes", array)))


def expand(text: str, variables: dict[str, str]) -> str:
    """An argument as Kubernetes expands it: `$$` is `$`, and `$(NAME)` a variable if there is one."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)


def run_pod(machine: Path, job: dict, **environment: str) -> int:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    command = [
        expand(text, {"HOME": "/tmp", "HOSTNAME": "pod"}) for text in container["command"] + container["args"]
    ]
    return run(machine, *command, **environment).returncode


@pytest.mark.parametrize("path", SOME)
def test_kubernetes_runs_each_shard_and_then_joins_whatever_the_paths_are(machine, path):
    shards, merge = jobs_of(
        manifest=f"/data/{path}", out=f"/data/out {path}", shards=3, options=tuple(HOSTILE)
    )
    # Index from 0: shard 1 of 3 is the pod with index 0. The stand-in knows the index only.
    codes = [run_pod(machine, shards, JOB_COMPLETION_INDEX=str(index)) for index in range(3)]
    assert codes == [0, 0, 0]  # the stand-in ended with 0, 10 and 3
    assert run_pod(machine, merge) == 0
    options = ["--out", f"/data/out {path}", *HOSTILE, "--shard", "auto/3"]
    arguments = ["analyze", "--manifest", f"/data/{path}", *options]
    assert calls(machine) == [
        *((number, arguments) for number in "012"),
        (None, ["merge", f"/data/out {path}"]),
    ]
    assert list((machine / "work").iterdir()) == []


def test_another_exit_code_of_a_pod_is_kept(machine):
    (machine / "bin" / "ferflow").write_text("#!/bin/sh\nexit 5\n")
    shards, _ = jobs_of()
    assert run_pod(machine, shards) == 5


def test_the_jobs_for_kubernetes_say_what_is_asked_for():
    shards, merge = jobs_of(
        shards=64, cpus=8, memory_gib=12, hours=2, gpus=1, name="study", claim="films", mount="/data"
    )
    assert [job["metadata"]["name"] for job in (shards, merge)] == ["study", "study-merge"]
    assert (shards["spec"]["completionMode"], shards["spec"]["completions"]) == ("Indexed", 64)
    assert merge["spec"]["suspend"] is True
    pod = shards["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    limits = {"cpu": "8", "memory": "12Gi", "nvidia.com/gpu": "1"}
    assert (container["resources"]["limits"], pod["activeDeadlineSeconds"]) == (limits, 7200)
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "films"}
    for job in (shards, merge):
        pod = job["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_schema_of_kubernetes_accepts_the_jobs():
    validator = pytest.importorskip(
        "kubernetes_validate.utils", reason="kubernetes-validate is not installed"
    )
    for job in [*jobs_of(), *jobs_of(gpus=1, options=("--fps", "5"))]:
        for version in (validator.all_versions()[0], validator.latest_version()):
            validator.validate(job, version, strict=True)


@pytest.mark.parametrize("path", ["list.csv", "/other/list.csv", "/data/../list.csv", "/database/list.csv"])
def test_paths_outside_of_the_mounted_volume_are_refused(path):
    with pytest.raises(OptionsError, match="must lie in /data"):
        write_script("kubernetes", ArrayJob(manifest=path, out="/data/out", image="x"))
    with pytest.raises(OptionsError, match="must lie in /data"):
        write_script("kubernetes", ArrayJob(manifest="/data/list.csv", out=path, image="x"))


needs_snakemake = pytest.mark.skipif(shutil.which("snakemake") is None, reason="Snakemake is not installed")


def snakefile(machine: Path, **fields: object) -> Path:
    (path := machine / "Snakefile").write_text(
        write_script("snakemake", ArrayJob(**fields)), encoding="utf-8"
    )
    return path


@needs_snakemake
def test_snakemake_plans_a_job_per_shard_and_one_that_joins(machine):
    (machine / "work" / "list.csv").touch()
    path = snakefile(machine, manifest="list.csv", out="out", shards=3, gpus=1, image="docker://ferflow:1")
    done = run(machine, "snakemake", "-n", "--cores", "4", "--snakefile", str(path))
    assert done.returncode == 0, done.stderr
    # Snakemake 7 adds columns with the numbers of threads.
    assert re.search(r"^shard\s+3\b", done.stdout, re.MULTILINE)
    assert re.search(r"^merge\s+1\b", done.stdout, re.MULTILINE)


@needs_snakemake
@pytest.mark.parametrize(
    "path", ["list.csv", *(pytest.param(path, marks=pytest.mark.slow) for path in HOSTILE)]
)
def test_snakemake_runs_each_shard_and_then_joins(machine, path):
    if "{" in path:
        with pytest.raises(OptionsError, match="has a brace"):
            snakefile(machine, manifest=path, out="out")
        return
    (machine / "work" / path).touch()
    given = snakefile(machine, manifest=path, out=f"out {path}", shards=3, cpus=1, options=tuple(HOSTILE))
    done = run(machine, "snakemake", "--cores", "1", "--snakefile", str(given))
    assert done.returncode == 0, done.stderr
    *shards, merge = calls(machine)
    assert merge == (None, ["merge", f"out {path}"])
    arguments = ["analyze", "--manifest", as_path(path), "--out", f"out {path}", *HOSTILE, "--shard"]
    assert sorted(shards) == [(f"{number}/3", [*arguments, f"{number}/3"]) for number in (1, 2, 3)]


def test_a_snakefile_is_python_but_for_its_rules():
    """Where Snakemake is not installed: the assignments, and the names of the rules."""
    text = write_script(
        "snakemake", ArrayJob(manifest="it's.csv", out='say "no"', shards=3, options=("--fps", "5"))
    )
    values: dict[str, object] = {}
    exec("\n".join(re.findall(r"^[A-Z]+ = .*$", text, re.MULTILINE)), values)
    assert (values["MANIFEST"], values["OUT"], values["OPTIONS"]) == ("it's.csv", 'say "no"', "--fps 5")
    assert re.findall(r"^rule (\w+):$", text, re.MULTILINE) == ["all", "shard", "merge"]


def test_the_command_prints_a_script_with_sensible_defaults(ferflow):
    script = ferflow(
        "template", "slurm", "--manifest", "my list.csv", "-o", "out", "--shards", "8", "--", "--fps", "5"
    )
    assert script.code == 0
    line = "exec ferflow analyze --manifest 'my list.csv' --out out --fps 5 --shard auto\n"
    assert line in script.stdout
    assert "#SBATCH --array=1-8\n" in script.stdout
    for name in ("slurm", "kubernetes", "snakemake"):
        assert ferflow("template", name).code == 0
    assert ferflow("template", "kubernetes", "--manifest", "a.csv").code == 2
    assert ferflow("template", "slurm", "--manifest", "a\nb").code == 2


@pytest.mark.parametrize("name", ["recorded-sessions", "audience-engagement", "game-test-playback"])
def test_the_command_prints_the_job_files(ferflow, name):
    text = (Path(jobs.__file__).parent / f"{name}.toml").read_text(encoding="utf-8")
    assert ferflow("template", "job", name).stdout == text
