"""Live sessions that are recorded; truth: what `analyze` finds in the same file, and what is on the disk."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ferflow
from ferflow.analytics.markers import read_markers
from ferflow.doctor.output_check import examine_folder, repair
from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs import finished_video
from ferflow.jobs.live import recording
from ferflow.jobs.live.session import Live
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import FaceRows, FrameRows, check_records, read_table
from ferflow.store.run_manifest import RunManifest


def record(path: Path, out: Path, tools: Tools | None = None, **choices) -> Live:
    with Live(path, record=out, tools=tools, **choices) as live:
        for _ in live:
            pass
    return live


@pytest.fixture(scope="module")
def recorded(face_video, tools, tmp_path_factory):
    out = tmp_path_factory.mktemp("live") / "out"
    with Live(face_video, record=out, tools=tools) as live:
        for number, frame in enumerate(live):
            if number == 5:
                moment = live.mark("boss, appears")
                assert abs(moment - frame.time_s) < 1  # the clip goes on while the frame is looked at
    return out, live


def tables_of(path: Path, options: AnalyzeOptions, tools: Tools) -> tuple[pa.Table, pa.Table]:
    rows = list(analyze(path, options, tools=tools))
    return tuple(  # type: ignore[return-value]
        pa.Table.from_batches([one.batch for one in rows if isinstance(one, kind)])
        for kind in (FrameRows, FaceRows)
    )


def rows_at(table: pa.Table, indices: list[int]) -> pa.Table:
    return table.filter(pa.array(np.isin(table.column("frame_index").to_numpy(), indices)))


def test_the_tables_are_those_of_the_analysis_of_the_same_frames(recorded, face_video, tools):
    out, live = recorded
    (files,) = OutputFolder(out).finished_videos()
    check_records(files)
    frames, faces = read_table(files.frames), read_table(files.faces)
    indices = frames.column("frame_index").to_pylist()
    assert len(indices) + live.capture.counts.n_dropped == 30
    all_frames, all_faces = tables_of(face_video, AnalyzeOptions(detect="full"), tools)
    for name in ("frame_index", "pts", "time_s", "n_faces", "luma_mean", "width"):
        assert frames.column(name).to_pylist() == rows_at(all_frames, indices).column(name).to_pylist()
    expected = rows_at(all_faces, indices)
    for name in ("frame_index", "x1", "y2", "score", "yaw", "prob_happy", "label", "face_px"):
        assert faces.column(name).to_pylist() == expected.column(name).to_pylist()
    # The first face has an id, too, though its track was confirmed by the second.
    assert faces.column("track_id").to_pylist() == expected.column("track_id").to_pylist()


def test_a_recording_has_a_timeline_a_page_and_an_entry_in_the_manifest(recorded):
    out, live = recorded
    folder = OutputFolder(out)
    (files,) = folder.finished_videos()
    assert files.timeline.exists()
    page = files.report.read_text(encoding="utf-8")
    assert "boss, appears" in page
    assert folder.index.exists()
    (entry,) = RunManifest.load(folder.manifest).videos
    assert (entry.video_id, entry.status, entry.n_people) == (files.video_id, "done", 1)
    assert live.report == entry
    metadata = read_metadata(files.faces)
    assert metadata.source.name.startswith("face.mp4 20")
    assert not folder.recordings.exists()
    assert [finding.level for finding in examine_folder(out) if finding.level != "fine"] in ([], ["note"])


def test_markers_are_a_file_that_ferflow_reads(recorded):
    _, live = recorded
    table = read_markers(live.recording.markers)
    assert table.column("label").to_pylist() == ["boss, appears"]
    assert table.column("kind").to_pylist() == ["key"]


def test_dropped_frames_are_said(tools, face_video, tmp_path):
    with Live(face_video, record=tmp_path / "out", tools=tools) as live:
        for number, _ in enumerate(live):
            if number == 2:
                time.sleep(0.4)  # a consumer that is busy
    n_dropped = live.capture.counts.n_dropped
    assert n_dropped >= 5
    (files,) = OutputFolder(tmp_path / "out").finished_videos()
    (warning,) = read_metadata(files.faces).warnings
    assert warning.startswith(f"live: {n_dropped} of 30 frames were dropped")
    assert read_table(files.frames).num_rows == 30 - n_dropped


def test_a_session_ends_after_the_seconds_that_it_is_given(tools, face_video, tmp_path):
    live = record(face_video, tmp_path / "out", tools, seconds=0.5)
    (files,) = OutputFolder(tmp_path / "out").finished_videos()
    times = read_table(files.frames).column("time_s").to_pylist()
    assert 0.3 < times[-1] < 0.5
    assert live.is_over


def test_a_folder_of_other_options_is_refused_before_the_source_is_opened(tools, face_video, tmp_path):
    record(face_video, tmp_path / "out", tools, seconds=0.2)
    with pytest.raises(RecordsError, match="other options") as error:
        Live(face_video, AnalyzeOptions(min_face=50), record=tmp_path / "out", tools=tools)
    assert str(error.value).endswith("Use another -o, or the options of that folder.")


def test_a_folder_that_is_locked_is_refused(tools, face_video, tmp_path):
    folder = OutputFolder(tmp_path / "out")
    with folder.lock(), pytest.raises(RecordsError, match="another ferflow"):
        record(face_video, folder.path, tools)


def test_two_sessions_of_one_folder_are_two_videos(tools, face_video, tmp_path):
    for _ in range(2):
        record(face_video, tmp_path / "out", tools, seconds=0.2)
    assert len(OutputFolder(tmp_path / "out").finished_ids()) == 2


def test_a_session_without_a_frame_leaves_no_video(tools, tmp_path):
    live = Live("rtmp://127.0.0.1:1/none", record=tmp_path / "out", tools=tools)
    with pytest.raises(ferflow.errors.VideoError, match="refused"):
        list(live)
    assert OutputFolder(tmp_path / "out").finished_ids() == []


def test_a_session_can_be_used_once(tools, face_video):
    live = Live(face_video, tools=tools, seconds=0.1)
    assert list(live)
    assert list(live) == []
    with pytest.raises(OptionsError, match="once"):
        live.__enter__()


def test_a_marker_before_the_first_frame_has_no_time(tools, face_video):
    with pytest.raises(OptionsError, match="no frame"):
        Live(face_video, tools=tools).mark("early")


@pytest.fixture(scope="module")
def killed(face_video, tmp_path_factory):
    """A folder in which a recording was killed, with a marker set before."""
    out = tmp_path_factory.mktemp("killed") / "out"
    code = (
        "import sys, ferflow\n"
        "with ferflow.Live(sys.argv[1], record=sys.argv[2]) as live:\n"
        "    for number, frame in enumerate(live):\n"
        "        if number == 3: live.mark('mark')\n"
    )
    video = tmp_path_factory.mktemp("long") / "long.mp4"
    command = ["ffmpeg", "-v", "error", "-stream_loop", "9", "-i", str(face_video), "-c", "copy", str(video)]
    subprocess.run(command, check=True)
    process = subprocess.Popen([sys.executable, "-c", code, str(video), str(out)])
    end_s = time.monotonic() + 60
    while not list(out.glob("live/*/000001/faces/*.parquet")) and time.monotonic() < end_s:
        time.sleep(0.05)
    running = {path.relative_to(out) for path in out.rglob("*.parquet")}
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return out, running


def test_a_recording_can_be_read_while_it_runs(killed):
    out, running = killed
    (path,) = (out / path for path in running if path.parts[-2] == "faces" and path.parts[0] == "live")
    assert pq.read_table(path).num_rows > 10


def test_a_recording_that_was_killed_is_mended_and_reported(killed, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(killed[0], out)
    levels = {finding.what: finding.level for finding in examine_folder(out)}
    assert any(
        "1 live recording not finished" in what and level == "problem" for what, level in levels.items()
    )
    done = repair(out)
    assert any("tables made of 00:0" in line for line in done)
    (files,) = OutputFolder(out).finished_videos()
    metadata = check_records(files)
    assert metadata.counts.n_analysed > 10
    assert metadata.counts.n_people == 1
    assert any("interrupted" in warning for warning in metadata.warnings)
    assert [finding for finding in examine_folder(out) if finding.level == "problem"] == []
    assert not OutputFolder(out).recordings.exists()
    command = [sys.executable, "-m", "ferflow", "report", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    page = files.report.read_text(encoding="utf-8")
    assert "mark" in page
    manifest = json.loads((out / "run.json").read_text())
    assert [entry["status"] for entry in manifest["videos"]] == ["done"]
    assert repair(out) == []


@pytest.mark.parametrize("name", ["bring_up_to_date", "write_pages", "_note_in_manifest"])
def test_what_could_not_be_written_after_the_tables_is_made_by_the_repair(
    name, tools, face_video, tmp_path, monkeypatch
):
    def fail(*_: object) -> None:
        raise RecordsError("the disk is full")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(recording, name, fail)
        with pytest.raises(RecordsError, match="full"):
            record(face_video, out, tools, seconds=0.3)
    (files,) = OutputFolder(out).finished_videos()
    assert any("not finished" in finding.what for finding in examine_folder(out))
    repair(out)
    assert [finding for finding in examine_folder(out) if finding.level == "problem"] == []
    assert files.timeline.exists()
    assert files.report.exists()
    assert OutputFolder(out).index.exists()
    assert RunManifest.load(OutputFolder(out).manifest).done_ids == {files.video_id}


def test_a_recording_without_its_page_ends_with_the_way_to_make_it(
    ferflow, face_video, tmp_path, monkeypatch
):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(finished_video, "derive", fail)
        done = ferflow("live", face_video, "--seconds", "0.3", "--record", out)
    assert done.code == 5
    assert done.stderr.splitlines()[-1].endswith(
        f"no space left for its tables. Free some and run ferflow doctor {out} --repair."
    )
    assert ferflow("doctor", out, "--repair").code == 0
    (files,) = OutputFolder(out).finished_videos()
    assert files.report.exists()


def test_a_broken_segment_ends_what_is_mended(killed, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(killed[0], out)
    (first,) = out.glob("live/*/000001")
    copied = first.with_name("000002")
    shutil.copytree(first, copied, dirs_exist_ok=True)
    for path in copied.rglob("faces/*.parquet"):
        path.write_bytes(b"PAR1 of a full disk")
    assert any("tables made of" in line for line in repair(out))
    (files,) = OutputFolder(out).finished_videos()
    check_records(files)


def test_an_interrupted_recording_leads_nowhere_else(killed, tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    shutil.copytree(killed[0], out)
    shutil.move(out / "live", elsewhere)
    (out / "live").symlink_to(elsewhere)
    with pytest.raises(RecordsError, match="leads out"):
        repair(out)
    assert any(elsewhere.rglob("*.parquet"))


def test_no_picture_of_the_past_stays_in_memory(tools, face_video, tmp_path):
    pictures = []
    with Live(face_video, tools=tools, record=tmp_path / "out") as live:
        for _ in live:
            pictures.append(weakref.ref(live.frame.planes.y))
            # The last one, the one that waits for its ids, and the one in work.
            assert sum(picture() is not None for picture in pictures) <= 3
    assert len(pictures) > 10
