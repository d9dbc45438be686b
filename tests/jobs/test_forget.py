"""Requests for erasure: nothing that names somebody stays, everybody else's numbers do, and a kill loses neither."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from ferflow import cli
from ferflow.analytics.erasure import Piece
from ferflow.dashboards import PageOptions, refresh
from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.doctor.output_check import examine_folder, repair
from ferflow.errors import OptionsError, RecordsError
from ferflow.jobs.forget import erase
from ferflow.jobs.forget.erase import carry_out, describe
from ferflow.jobs.forget.request import find_participant, find_video, read_journal
from ferflow.jobs.forget.traces import Words
from ferflow.jobs.plan import plan
from ferflow.jobs.run import run
from ferflow.jobs.uploads import remove_upload
from ferflow.media.inputs import video_id_of
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import check_records
from ferflow.store.run_manifest import RunManifest
from tests.conftest import face_frames, write_video
from tests.made_records import Made, made_tables, write_session

ZOE = "Zoë Quartz"
PANEL, SOLO, OTHER = "panel-0011aabb", "solo-2233ccdd", "other-4455eeff"
NOTES = "# A note\n![face](pictures/own.png) ![logo](pictures/shared.png)\n"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000100ffff03000006000557bfabd40000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Zoë and Bob on a panel, Zoë alone, Bob alone; pages, CSV, and all that users add."""
    out = tmp_path_factory.mktemp("forget") / "out"
    rest = ((2.0, None, f"{ZOE} laughs", "event"), (3.0, None, "applause", "event"))
    write_session(out, Made(seconds=24, people=2, video_id=PANEL, markers=rest, seed=3))
    write_session(out, Made(seconds=12, people=1, brief=1, video_id=SOLO, markers=rest, seed=4))
    write_session(out, Made(seconds=12, people=1, video_id=OTHER, seed=5))
    (out / "people.csv").write_text(
        f"video_id,track_id,name\n{PANEL},1,{ZOE}\n{PANEL},2,Bob\n{OTHER},1,Bob\n", encoding="utf-16"
    )
    (out / "corrections.csv").write_text(
        f"video_id,action,start,end,person,value,note\n# {ZOE} asked\n{PANEL},exclude,1,2,{ZOE.upper()},,\n"
        f"{PANEL},exclude,5,6,Bob,,talks to {ZOE}\n{PANEL},relabel,8,9,track_is_no_name,happy,\n{SOLO},exclude,1,2,,,\n"
    )
    (out / "coding").mkdir()
    (out / "coding" / "mk.csv").write_text(
        f"video_id;start;end;label;person\n{PANEL};0;1,5;happy;{ZOE}\n{PANEL};0;1,5;happy;Bob\n{SOLO};0;2,5;sad;\n"
    )
    (out / "sessions.csv").write_text(
        f"video,participant,group,mine\n{SOLO}.mp4,{ZOE},a,1\n/films/{PANEL}.mp4,{ZOE},b,2\n{OTHER},Bob,b,3\n"
    )
    (out / "notes" / "pictures").mkdir(parents=True)
    (out / "notes" / f"{SOLO}.md").write_text(NOTES)
    (out / "notes" / f"{OTHER}.md").write_text("![logo](pictures/shared.png)\n")
    for name in ("own", "shared"):
        (out / "notes" / "pictures" / f"{name}.png").write_bytes(PNG)
    for name in (SOLO, PANEL, OTHER):
        for place in (out / "reports" / f"{name}.clips", out / "thumbnails" / name):
            place.mkdir(parents=True)
        (out / "reports" / f"{name}.clips" / "000001000.mp4").write_bytes(b"clip")
        (out / "thumbnails" / name / "1.jpg").write_bytes(b"thumbnail")
    (out / "run.json").write_text("")
    repair(out)
    (out / "run.json.broken").write_text(f"of {ZOE}")
    refresh(out)
    write_tables(out, PageOptions())
    (out / "reports" / f"{SOLO}.pdf").write_bytes(b"pdf")
    (out / "figures").mkdir()
    (out / "figures" / f"{SOLO}.png").write_bytes(PNG)
    (out / "export" / "elan").mkdir(parents=True)
    (out / "export" / "elan" / f"{SOLO}.eaf").write_text(ZOE)
    return out


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is such: these tests flush thousands of times."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place, prefix="ferflow-forget-") as folder:
        yield Path(folder)


@pytest.fixture
def out(finished, memory) -> Path:
    return shutil.copytree(finished, memory / "out")


def ferflow(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["ferflow", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def texts_of(out: Path) -> dict[str, str]:
    """All that can be read in a folder by any program: names, bytes, and cells and footers of Parquet, decoded."""
    found = {}
    for path in sorted(out.rglob("*")):
        name, text = path.relative_to(out).as_posix(), ""
        if path.is_file() and name != "assets/plotly.min.js":
            content = path.read_bytes()
            text = content.decode("utf-8", "replace") + content.decode("utf-16", "replace")
            text += content.decode("latin-1")
            if path.suffix == ".parquet":
                rows = duckdb.sql(f"select * from '{path}'").fetchall()
                text += f"{rows!r} {pq.read_metadata(path).metadata!r} {pq.read_schema(path)!r}"
                text += str(pq.read_metadata(path).metadata.get(b"ferflow", b"").decode("unicode_escape"))
        found[name] = name + "\n" + text
    return found


def named_in(out: Path, word: str) -> list[str]:
    """Files with a word, however its accents are spelled."""
    forms = {unicodedata.normalize(form, word).casefold() for form in ("NFC", "NFD")}
    forms |= {one.encode("unicode_escape").decode() for one in forms}
    return [name for name, text in texts_of(out).items() if any(form in text.casefold() for form in forms)]


def timeline_of(out: Path, video_id: str, person: int) -> pd.DataFrame:
    """Without how many people there are in all."""
    found = pd.read_parquet(out / "timeline" / f"{video_id}.parquet").drop(columns=["n_people", "n_readable"])
    return found[found["person_id"] == person].reset_index(drop=True)


def test_a_participant_leaves_no_trace_and_everybody_else_stays(out, monkeypatch, capsys):
    assert {f"reports/{SOLO}.html", "people.csv", f"markers/{PANEL}.parquet"} <= set(named_in(out, ZOE))
    before = {path: path.read_bytes() for path in out.rglob(f"{OTHER}.parquet")}
    bob = timeline_of(out, PANEL, 2)
    faces = duckdb.sql(f"select * from '{out}/faces/{PANEL}.parquet' where track_id = 2").fetchall()
    assert ferflow(monkeypatch, "forget", out, "--participant", ZOE, "--yes") == 0, capsys.readouterr()
    shown = capsys.readouterr()
    assert f"{SOLO}: the whole session" in shown.out
    assert "the video itself" not in shown.out  # /films does not exist
    assert named_in(out, ZOE) == []
    assert named_in(out, SOLO) == []
    assert {path: path.read_bytes() for path in before} == before
    # But for the last digit of float32: rows are summed in other blocks.
    pd.testing.assert_frame_equal(timeline_of(out, PANEL, 2), bob, rtol=3e-7, atol=1e-9)
    assert duckdb.sql(f"select * from '{out}/faces/{PANEL}.parquet'").fetchall() == faces
    assert OutputFolder(out).finished_ids() == [OTHER, PANEL]
    assert [one.what for one in examine_folder(out) if one.level == "problem"] == []
    done = refresh(out)
    assert not done.failed
    assert not done.written
    assert ferflow(monkeypatch, "report", out) == 0
    # Once more, as when a lab goes through all its folders.
    assert ferflow(monkeypatch, "forget", out, "--participant", ZOE, "--yes") == 0
    assert "nothing in" in capsys.readouterr().err


def test_lists_lose_the_rows_about_a_participant_and_no_others(out):
    carry_out(OutputFolder(out), find_participant(OutputFolder(out), ZOE).request)
    assert (out / "people.csv").read_text(
        "utf-16"
    ) == f"video_id,track_id,name\n{PANEL},2,Bob\n{OTHER},1,Bob\n"
    assert (out / "corrections.csv").read_text() == (
        f"video_id,action,start,end,person,value,note\n{PANEL},exclude,5,6,Bob,,\n"
        f"{PANEL},relabel,8,9,track_is_no_name,happy,\n"
    )
    assert (
        out / "coding" / "mk.csv"
    ).read_text() == f"video_id;start;end;label;person\n{PANEL};0;1,5;happy;Bob\n"
    # The row of the panel also says what holds for Bob.
    assert (out / "sessions.csv").read_text() == (
        f"video,participant,group,mine\n/films/{PANEL}.mp4,,b,2\n{OTHER},Bob,b,3\n"
    )


def test_pictures_clips_and_exports_go_and_those_of_others_stay(out):
    carry_out(OutputFolder(out), find_participant(OutputFolder(out), ZOE).request)
    pictures = {
        path.relative_to(out).as_posix() for path in out.rglob("*") if path.suffix in (".mp4", ".jpg", ".png")
    }
    assert pictures == {
        f"reports/{OTHER}.clips/000001000.mp4", f"thumbnails/{OTHER}/1.jpg", "notes/pictures/shared.png",
    }  # fmt: skip
    assert not [*out.rglob("*.pdf")]
    assert (out / "csv" / "participants.csv").exists()
    labels = pq.read_table(out / "markers" / f"{PANEL}.parquet").column("label").to_pylist()
    assert labels == ["applause"]


def test_erased_time_is_neither_without_a_face_nor_not_analysed(out):
    frames = f"{out}/frames/{PANEL}.parquet"
    n_frames = len(pq.read_table(frames))
    alone = duckdb.sql(
        f"select sum(0.1) from (select frame_index from '{out}/faces/{PANEL}.parquet' group by 1 "
        "having bool_and(track_id = 1))"
    ).fetchall()[0][0]
    without = duckdb.sql(f"select sum(0.1) from '{frames}' where n_faces = 0").fetchall()[0][0]
    (out / "corrections.csv").unlink()  # which exclude other time
    carry_out(OutputFolder(out), find_participant(OutputFolder(out), ZOE).request)
    metadata = check_records(OutputFolder(out).video(PANEL))
    assert len(pq.read_table(frames)) == n_frames == metadata.counts.n_analysed
    assert sum(end - start for start, end in metadata.erasure.alone) == pytest.approx(float(alone), abs=0.05)
    assert metadata.counts.n_people == 1
    page = (out / "reports" / f"{PANEL}.html").read_text()
    assert "Somebody was removed from this session on request." in page
    quality = pd.read_csv(out / "csv" / "quality.csv").set_index("video_id").loc[PANEL]
    assert quality["seconds_excluded"] == pytest.approx(float(alone), abs=0.05), quality
    assert quality["seconds_no_face"] == pytest.approx(float(without), abs=0.05)
    entry = next(one for one in RunManifest.load(out / "run.json").videos if one.video_id == PANEL)
    assert (entry.n_faces, entry.n_people) == (metadata.counts.n_faces, 1)


def test_a_session_is_removed_by_id_file_name_or_path(out):
    folder = OutputFolder(out)
    for text in (SOLO, f"{SOLO}.mp4", f"/films/{SOLO}.mp4"):
        assert [one.video_id for one in find_video(folder, text).sessions] == [SOLO]
    (out / f"{SOLO}.markers.csv").write_text("time_s,label\n1,set while it was recorded\n")
    carry_out(folder, find_video(folder, f"{SOLO}.mp4"))
    assert named_in(out, SOLO) == []
    assert folder.finished_ids() == [OTHER, PANEL]
    assert named_in(out, ZOE)  # of the panel
    with pytest.raises(RecordsError, match="leads out"):
        find_video(folder, "../other")


def test_after_all_sessions_are_forgotten_report_and_doctor_still_work(out, monkeypatch):
    for video_id in (SOLO, PANEL, OTHER):
        assert ferflow(monkeypatch, "forget", out, "--video", video_id, "--yes") == 0
    assert RunManifest.load(out / "run.json").videos == []
    assert ferflow(monkeypatch, "report", out) == 0
    assert ferflow(monkeypatch, "doctor", out) == 0


STEPS = ("remove_products", "remove_session_files", "erase_faces", "_clean_tables", "write_lists", "update_timeline",
         "_clean_manifest", "refresh", "write_tables", "remove_journal")  # fmt: skip
QUICK = {
    ("remove_session_files", True),
    ("erase_faces", True),
    ("write_lists", False),
    ("remove_journal", False),
}


@pytest.mark.parametrize(
    ("step", "after"),
    [
        pytest.param(step, after, marks=[] if (step, after) in QUICK else pytest.mark.slow)
        for step in STEPS
        for after in (False, True)
    ],
)
def test_an_erasure_that_is_interrupted_is_completed_by_the_next(out, monkeypatch, step, after):
    if step not in ("refresh", "write_tables"):  # without pages, which take a second
        (out / "index.html").unlink()
        shutil.rmtree(out / "csv")

    def interrupt(*given, **named):
        if after:
            real(*given, **named)
        raise KeyboardInterrupt

    folder = OutputFolder(out)
    request = find_participant(folder, ZOE).request
    with monkeypatch.context() as patch:
        real = getattr(erase, step)
        patch.setattr(erase, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            carry_out(folder, request)
    if (step, after) != ("remove_journal", True):
        assert read_journal(folder) == request
        assert any("forget was interrupted" in one.what for one in examine_folder(out))
    # Bob is the only person on the panel now, and the session list still calls that person Zoë.
    assert ferflow(monkeypatch, "forget", out, "--participant", ZOE, "--yes") == 0
    assert named_in(out, ZOE) == []
    assert folder.finished_ids() == [OTHER, PANEL]
    tracks = duckdb.sql(f"select distinct track_id from '{out}/faces/{PANEL}.parquet'").fetchall()
    assert tracks == [(2,)]
    assert [one.what for one in examine_folder(out) if one.level == "problem"] == []


def test_a_dry_run_and_a_missing_confirmation_change_nothing(out, monkeypatch, capsys):
    before = texts_of(out)
    assert ferflow(monkeypatch, "forget", out, "--participant", ZOE, "--dry-run") == 0
    assert "people.csv: 1 row\n" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))  # no terminal
    assert ferflow(monkeypatch, "forget", out, "--participant", ZOE) == 2
    assert "--yes" in capsys.readouterr().err
    assert texts_of(out) == before


def test_a_name_that_is_not_here_is_said_with_similar_ones(out, monkeypatch, capsys):
    assert ferflow(monkeypatch, "forget", out, "--participant", "zoe quartz", "--yes") == 0
    assert f"Similar names here: {ZOE}." in capsys.readouterr().err
    with pytest.raises(OptionsError, match="another person in each session"):
        find_participant(OutputFolder(out), "Person 2")


def test_what_the_user_wrote_elsewhere_is_named_and_makes_the_exit_code_10(out, monkeypatch, capsys):
    (out / "notes.md").write_text(f"We thank {ZOE}.")
    (out / "analysis").mkdir()
    (out / "analysis" / f"{SOLO}.R").write_text("x <- 1")
    assert ferflow(monkeypatch, "forget", out, "--participant", ZOE, "--yes") == 10
    shown = capsys.readouterr().err
    assert "notes.md: still names them" in shown
    assert f"analysis/{SOLO}.R: still names them" in shown
    assert (out / "notes.md").read_text() == f"We thank {ZOE}."


def test_a_session_whose_markers_cannot_be_read_is_named_and_the_others_lose_the_person(
    out, monkeypatch, capsys
):
    (out / "markers" / f"{PANEL}.parquet").write_bytes(b"PAR1 damaged")
    assert ferflow(monkeypatch, "forget", out, "--participant", ZOE, "--yes") == 10
    assert f"{PANEL}: " in capsys.readouterr().err
    assert SOLO not in OutputFolder(out).finished_ids()
    assert read_journal(OutputFolder(out)) is None


def test_the_script_of_the_pages_names_nobody(out, monkeypatch, capsys):
    """It has words such as Ada."""
    script = out / "assets" / "plotly.min.js"
    assert Words.any_of(["Ada"]).are_in(script.read_text())
    assert ferflow(monkeypatch, "forget", out, "--participant", "Ada", "--yes") == 0
    script.write_text("Ada" + script.read_text()[3:])  # of the same size, so that it is not written again
    assert ferflow(monkeypatch, "forget", out, "--participant", "Ada", "--yes") == 10
    assert "plotly.min.js: still names them" in capsys.readouterr().err


def test_a_list_that_cannot_be_read_is_refused_before_anything_is_removed(out, monkeypatch):
    (out / "coding" / "mk.csv").write_text("nothing\n")
    before = texts_of(out)
    assert ferflow(monkeypatch, "forget", out, "--video", SOLO, "--yes") == 2
    assert texts_of(out) == before


def test_an_unfinished_video_is_forgotten_too(out):
    """Only markers and rows of lists are left of it."""
    (out / "faces" / f"{SOLO}.parquet").unlink()
    folder = OutputFolder(out)
    assert describe(folder, find_video(folder, SOLO))
    carry_out(folder, find_video(folder, SOLO))
    assert named_in(out, SOLO) == []


def test_words_are_found_as_words_in_any_spelling():
    words = Words.any_of(["Ann", "a<b", "talk-01234567", "Zoë"])
    for text in (
        "so ANN said",
        "x a&lt;b",
        '"zo\\u00eb"',
        unicodedata.normalize("NFD", "Zoë"),
        "talk-01234567.html",
    ):
        assert words.are_in(text), text
    for text in ("Annette", "annual", "talk-01234567-2", "Zoe", ""):
        assert not words.are_in(text), text


@pytest.fixture(scope="module")
def analysed(tmp_path_factory) -> Path:
    """Two videos of one face each, analysed, next to the folder of results."""
    place = tmp_path_factory.mktemp("analysed")
    videos = [write_video(place / f"{name}.mp4", face_frames(n)) for name, n in (("ada", 30), ("bob", 26))]
    run(videos, place / "out", AnalyzeOptions(), pages=False)
    return place


def test_a_forgotten_video_does_not_come_back_with_the_next_run(analysed, tmp_path, monkeypatch, caplog):
    place = shutil.copytree(analysed, tmp_path / "it")
    (ada,) = [name for name in OutputFolder(place / "out").finished_ids() if name.startswith("ada")]
    # The footer names the place of the first analysis.
    (place / "out").rename(analysed / "moved")
    out = analysed / "moved"
    try:
        assert ferflow(monkeypatch, "forget", out, "--participant", "ada", "--yes") == 0
        assert named_in(out, "ada-") == []
        for overwrite in (False, True):
            tasks = plan([place], out, AnalyzeOptions(), overwrite=overwrite)
            assert [task.source.name for task in tasks] == ["bob.mp4"]
        (place / "ada.mp4").rename(place / "renamed.mp4")
        assert [task.source.name for task in plan([place], out, AnalyzeOptions())] == ["bob.mp4"]
        assert "forgotten in this folder on request" in caplog.text
        assert ferflow(monkeypatch, "analyze", place, "-o", out, "--no-report", "--workers", 0) == 0
        assert named_in(out, "renamed") == named_in(out, ada) == []
        (out / "forgotten.json").unlink()
        assert len(plan([place], out, AnalyzeOptions())) == 2
    finally:
        shutil.rmtree(out)


def test_a_session_from_which_somebody_was_removed_is_not_analysed_again(analysed, tmp_path, caplog):
    out = shutil.copytree(analysed / "out", tmp_path / "out")
    (video_id,) = [name for name in OutputFolder(out).finished_ids() if name.startswith("bob")]
    files = OutputFolder(out).video(video_id)
    erase.erase_faces(files, [erase_piece(files)])
    assert read_metadata(files.faces).erasure is not None
    tasks = plan([analysed / "bob.mp4"], out, AnalyzeOptions())
    assert [task.is_finished for task in tasks] == [True]
    assert plan([analysed / "bob.mp4"], out, AnalyzeOptions(), overwrite=True) == []
    assert "a new analysis would find that face again" in caplog.text


def erase_piece(files) -> Piece:
    track = pq.read_table(files.faces).column("track_id").to_numpy()
    return Piece(int(np.unique(track[track >= 0])[0]))


def test_a_name_of_a_region_leaves_the_footers(tmp_path):
    """As of `--region`: participants who share a picture."""
    out = tmp_path / "out"
    made = Made(seconds=8, people=2, video_id=PANEL)
    frames, faces = made_tables(made)
    names = pa.array([ZOE if one == 1 else "Bob" for one in faces.column("track_id").to_pylist()])
    place = faces.schema.get_field_index("region")
    field = faces.schema.field(place)
    faces = faces.set_column(place, field, names.dictionary_encode().cast(field.type))
    options = replace(AnalyzeOptions(detector="yunet"), region=(f"{ZOE}=left", "Bob=right"))
    write_session(out, made, tables=(frames, faces), options=options, options_digest=options.digest())
    repair(out)
    folder = OutputFolder(out)
    carry_out(folder, find_participant(folder, ZOE).request)
    assert named_in(out, ZOE) == []
    metadata = read_metadata(folder.video(PANEL).faces)
    assert metadata.options.region == ("left", "Bob=right")
    assert metadata.options_digest == metadata.options.digest()


JOB = "0123456789abcdef"


def write_upload(out: Path, people: int, name: str = "solo.mp4") -> tuple[Path, str]:
    """A session whose video was uploaded to the application, in a folder that was moved later; video and id."""
    upload = out / "uploads" / JOB / name
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"a video" * 1000)
    upload.with_name(f"{upload.stem}.markers.csv").write_text("time_s,label\n1,boss\n")
    (upload.parent / f".{upload.stem}.markers.csv.4000000.tmp").write_text("time_s,la")
    facts = {"path": f"/before/uploads/{JOB}/{name}", "name": name, "size": upload.stat().st_size}
    video_id = write_session(out, Made(seconds=12, people=people, video_id=video_id_of(upload), source=facts))
    repair(out)
    return upload, video_id


def test_a_session_takes_the_video_that_was_uploaded_with_it(memory, monkeypatch, capsys):
    out = memory / "out"
    upload, video_id = write_upload(out, people=1)
    copy = shutil.copy(upload, memory / "copy.mp4")
    # Once more, waiting for the application.
    again = shutil.copytree(upload.parent, out / "uploads" / "fedcba9876543210") / upload.name
    (other := out / "uploads" / "0000000000000000" / "other.mp4").parent.mkdir()
    other.write_bytes(b"another video")
    before = texts_of(out)
    assert ferflow(monkeypatch, "forget", out, "--video", upload.name, "--dry-run") == 0
    line = f"uploads/{JOB}/solo.mp4: the video that was uploaded to ferflow app, and its markers"
    assert line in capsys.readouterr().out
    assert texts_of(out) == before
    assert ferflow(monkeypatch, "forget", out, "--video", upload.name, "--yes") == 0
    shown = capsys.readouterr()
    assert line in shown.out
    assert "the video itself" not in shown.out
    assert [path for path in (out / "uploads").rglob("*") if path.is_file()] == [other]
    assert not upload.parent.exists()
    assert not again.parent.exists()
    assert plan([copy], out, AnalyzeOptions()) == []
    # One that was never analysed, too.
    assert ferflow(monkeypatch, "forget", out, "--video", "other.mp4", "--yes") == 0
    assert not other.exists()
    assert named_in(out, video_id) == []


@pytest.mark.parametrize("after", [False, True])
def test_an_upload_goes_when_an_interrupted_erasure_is_completed(memory, monkeypatch, capsys, after):
    out = memory / "out"
    upload, video_id = write_upload(out, people=1)
    copy = shutil.copy(upload, memory / "copy.mp4")

    def interrupt(*given):
        if after:
            remove_upload(*given)
        raise KeyboardInterrupt

    request = find_video(OutputFolder(out), video_id)
    with monkeypatch.context() as patch:
        patch.setattr(erase, "remove_upload", interrupt)
        with pytest.raises(KeyboardInterrupt):
            carry_out(OutputFolder(out), request)
    assert upload.exists() is not after
    # It is not analysed again meanwhile.
    assert plan([copy], out, AnalyzeOptions()) == []
    assert ferflow(monkeypatch, "forget", out, "--video", video_id, "--yes") == 0
    shown = capsys.readouterr()
    assert "it is completed first" in shown.err
    assert "not where it was analysed" not in shown.out + shown.err
    assert not upload.parent.exists()
    assert read_journal(OutputFolder(out)) is None


def test_the_upload_of_a_session_that_others_share_stays_and_is_named(memory, monkeypatch, capsys):
    out = memory / "out"
    upload, video_id = write_upload(out, people=2)
    (out / "people.csv").write_text(f"video_id,track_id,name\n{video_id},1,{ZOE}\n{video_id},2,Bob\n")
    assert ferflow(monkeypatch, "forget", out, "--participant", ZOE, "--yes") == 0
    assert f"{upload}: the video itself." in capsys.readouterr().out
    assert upload.exists()


def test_a_journal_cannot_name_a_file_outside_of_the_uploads(memory):
    out = memory / "out"
    _, video_id = write_upload(out, people=1)
    (out / "mine.txt").write_text("mine")
    for name in ("../mine.txt", "a/../../mine.txt", "/etc/passwd", "mine.txt"):
        (out / ".forget.json").write_text(
            json.dumps({"sessions": [{"video_id": video_id, "uploads": [name]}]})
        )
        with pytest.raises(RecordsError):
            carry_out(OutputFolder(out), read_journal(OutputFolder(out)))
        assert (out / "mine.txt").exists()


def test_a_page_says_that_its_player_still_shows_who_was_removed(memory, monkeypatch):
    out, video = memory / "out", memory / "talk.mp4"
    video.write_bytes(b"a video")
    facts = {
        "path": str(video),
        "name": video.name,
        "size": video.stat().st_size,
        "format": "mov,mp4",
        "codec": "h264",
    }
    video_id = write_session(out, Made(seconds=12, people=2, video_id="talk-0011aabb", source=facts))
    (out / "people.csv").write_text(f"video_id,track_id,name\n{video_id},1,{ZOE}\n{video_id},2,Bob\n")
    repair(out)
    refresh(out)
    page = out / "reports" / f"{video_id}.html"
    sentence = "The player shows the video itself, which still shows that person."
    assert sentence not in page.read_text()
    assert ferflow(monkeypatch, "forget", out, "--participant", ZOE, "--yes") == 0
    assert '<video id="video"' in page.read_text()
    assert sentence in page.read_text()
    video.unlink()
    refresh(out)
    assert "Somebody was removed from this session" in page.read_text()
    assert sentence not in page.read_text()


def test_videos_that_were_made_into_the_folder_are_named(out, monkeypatch, capsys):
    (best := out / "best").mkdir()
    for name in (f"{PANEL}.000001000.mp4", f"{SOLO}.000001000.mp4", f"{OTHER}.000001000.mp4",
                 f"{SOLO}.anonymized.mp4", "mine.mp4"):  # fmt: skip
        (best / name).write_bytes(b"a video")
    source = read_metadata(OutputFolder(out).video(PANEL).faces).source.path
    (best / f"{Path(source).stem}.annotated.mp4").write_bytes(b"a video")
    (best / f"{Path(source).stem}.anonymized.mp4").write_bytes(b"a video")
    assert ferflow(monkeypatch, "forget", out, "--participant", ZOE, "--yes") == 10
    shown = capsys.readouterr().err
    lines = [line.removeprefix("ferflow: ") for line in shown.splitlines() if "may show them" in line]
    may_show = [line.split(": was made")[0] for line in lines]
    assert may_show == [
        str(best / f"{PANEL}.000001000.mp4"), str(best / f"{Path(source).stem}.annotated.mp4"),
    ]  # fmt: skip
    assert f"{SOLO}.000001000.mp4: still names them" in shown
    assert (best / f"{PANEL}.000001000.mp4").exists()
