"""Tables from anywhere: a bad one costs its own video, which is named, and `ferflow doctor` finds it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from ferflow.analytics.markers import MARKERS
from ferflow.analytics.readability import REASONS
from ferflow.analytics.signals import SIGNALS
from ferflow.analytics.timeline import timeline_schema
from ferflow.doctor.output_check import examine_folder
from ferflow.jobs.run import run
from ferflow.store.schemas import FRAMES, UNREADABLE, faces_schema
from ferflow.store.table_checks import COLUMNS
from tests.command import Command, Result
from tests.conftest import face_frames, some_of, write_video
from tests.hostile.bad_tables import BAD_FOOTERS, CASES

RESULTS = ("frames", "faces")
HARMLESS = ("signals: flipped at the start", "signals: huge value", "signals: no rows")
"""Another possible value."""
QUICK = sorted(CASES)[::24]


@dataclass(frozen=True)
class Folder:
    """Three videos, the second of which is to be spoilt, and their output folder."""

    path: Path
    bad: str
    """Id of the second."""

    @property
    def out(self) -> Path:
        return self.path / "out"

    def videos(self) -> list[Path]:
        return [self.path / f"{name}.mp4" for name in ("a", "bad", "c")]

    def good_files(self) -> dict[str, str]:
        """Digest of each table and page of the other two."""
        found = [path for path in self.out.rglob("*-*") if path.suffix in (".parquet", ".html")]
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in found
            if self.bad not in path.name
        }


@pytest.fixture(scope="session")
def sound(tmp_path_factory) -> Folder:
    path = tmp_path_factory.mktemp("sound")
    for number, name in enumerate(("a", "bad", "c")):
        write_video(path / f"{name}.mp4", face_frames(8 + number, size=(160, 120)))
    markers, signals = path / "bad.markers.csv", path / "bad.signals.csv"
    markers.write_text("time_s,label,end_s,kind\n0.1,boss,,event\n0.16,level,0.3,segment\n0.02,,0.06,rest\n")
    signals.write_text("time_s,heart,score\n0,60,1\n0.1,61,2\n0.2,62,3\n")
    report = run([path], path / "out")
    assert [video.status for video in report.videos] == ["done"] * 3
    # From now on only the output folder knows them.
    markers.unlink()
    signals.unlink()
    shutil.copytree(path / "out", path / "kept")
    return Folder(path, report.videos[1].video_id)


@pytest.fixture
def folder(sound) -> Folder:
    """The output folder as the analysis left it, in its place: pages have links to the videos."""
    shutil.rmtree(sound.out)
    shutil.copytree(sound.path / "kept", sound.out)
    return sound


def spoil(folder: Folder, case: str) -> str:
    """Do the damage; the room of the table."""
    room, damage = CASES[case]
    damage(folder.out / room / f"{folder.bad}.parquet")
    return room


def assert_is_named(folder: Folder, done: Result, code: int) -> None:
    assert done.code == code, done.text
    assert folder.bad in done.text
    assert "unexpected" not in done.text
    assert "fault" not in done.text


@pytest.mark.parametrize("case", some_of(CASES, 6))
def test_doctor_finds_each_bad_table_and_says_what_to_do(folder, case):
    room = spoil(folder, case)
    findings = [finding for finding in examine_folder(folder.out) if finding.level == "problem"]
    found = [finding.what for finding in findings]
    # A timeline is made again from the other two tables where its footer does not fit them: no problem.
    if not found and (room == "timeline" or case in HARMLESS):
        return
    assert [what.startswith(f"{folder.bad}: ") for what in found] == [True], found
    assert any(word in findings[0].remedy for word in ("--overwrite", "Remove", "Move", "--bin")), found


def assert_costs_one_video(ferflow: Command, folder: Folder, case: str) -> None:
    good, room = folder.good_files(), spoil(folder, case)
    people = ferflow("people", folder.out)
    if room in RESULTS:
        assert_is_named(folder, people, 10)
    else:
        assert people.code in (0, 10), people.text
    assert len([line for line in people.text.splitlines() if line.startswith(("a-", "c-"))]) == 2
    report = ferflow("report", folder.out)
    if report.code == 0:
        assert room not in RESULTS
        assert [one for one in examine_folder(folder.out) if one.level == "problem"] == []
        return
    assert_is_named(folder, report, 10)
    again = ferflow("analyze", *folder.videos(), "-o", folder.out, "--workers", "0")
    assert_is_named(folder, again, 10)
    assert folder.good_files() == good
    # What doctor and the messages advise.
    repaired = ferflow(
        "analyze", *folder.videos(), "-o", folder.out, "--workers", "0", "--overwrite", "--no-report"
    )
    if room in RESULTS:
        assert repaired.code == 0, repaired.text
        assert ferflow("doctor", folder.out).code == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", some_of(QUICK, 2))
def test_a_bad_table_costs_its_own_video_only(ferflow, folder, case):
    assert_costs_one_video(ferflow, folder, case)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", sorted(set(CASES) - set(QUICK)))
def test_every_other_bad_table_costs_its_own_video_only(ferflow, folder, case):
    assert_costs_one_video(ferflow, folder, case)


def test_a_sound_folder_has_no_problem(ferflow, folder):
    assert [one for one in examine_folder(folder.out) if one.level == "problem"] == []
    assert ferflow("doctor", folder.out).code == 0
    assert ferflow("people", folder.out).code == 0


@pytest.mark.parametrize("case", [f"faces: {name}" for name in BAD_FOOTERS][::6])
def test_repair_leaves_out_a_bad_video_and_lists_the_others(ferflow, folder, case):
    (folder.out / "run.json").unlink()
    spoil(folder, case)
    done = ferflow("doctor", folder.out, "--repair")
    assert_is_named(folder, done, 5)
    # Of labels, only the columns of the tables say that they are wrong.
    assert re.search(r"rebuilt from the tables of [23] videos", done.text)
    listed = json.loads((folder.out / "run.json").read_text())["videos"]
    assert {"a.mp4", "c.mp4"} <= {Path(entry["source"]).name for entry in listed}


def test_reasons_of_the_analysis_are_those_that_tables_may_hold():
    assert UNREADABLE == REASONS


def test_every_column_of_every_table_has_a_rule_of_its_type():
    schemas = {"frames": FRAMES, "faces": faces_schema(()), "markers": MARKERS, "signals": SIGNALS}
    for room, schema in schemas.items():
        types = dict(zip(schema.names, schema.types, strict=True))
        assert {name: rule.kind for name, rule in COLUMNS[room].items()} == types
    timeline = timeline_schema(())
    assert all(timeline.field(name).type == rule.kind for name, rule in COLUMNS["timeline"].items())
    assert isinstance(timeline, pa.Schema)
