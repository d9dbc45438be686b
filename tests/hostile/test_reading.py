"""Pipes, devices, folders and files without end in the places of files: a line at once, and no memory."""

from __future__ import annotations

import json
import os
import resource
import struct
import zlib
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import pytest

from ferflow.errors import VideoError
from ferflow.media import fingerprint as fingerprints
from ferflow.media.fingerprint import content_sha256
from ferflow.media.png_chunks import MOST_UNPACKED_BYTES, check_png
from ferflow.plain_file import read_plain_file
from ferflow.store.output_folder import OutputFolder
from tests.conftest import some_of
from tests.hostile.outputs import copy_output

MIB = 1 << 20


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 10 << 30)


KINDS = {
    "pipe": pipe,
    "folder": Path.mkdir,
    "endless": endless,
    "huge": huge,
    "dangling": lambda path: path.symlink_to(path.parent / "nowhere"),
    "circle": lambda path: path.symlink_to(path),
}


@pytest.fixture
def flat_memory():
    """The memory of this process grows by less than 300 MiB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10 < 300


@pytest.mark.parametrize("kind", KINDS)
def test_the_seam_reads_regular_files_of_a_limited_size_only(tmp_path, kind, flat_memory):
    KINDS[kind](tmp_path / "file")
    with pytest.raises(OSError, match=r"regular file|larger than 1 MiB|No such file|Too many") as refused:
        read_plain_file(tmp_path / "file", MIB)
    assert refused.value.strerror
    (tmp_path / "plain").write_bytes(b"x" * MIB)
    assert len(read_plain_file(tmp_path / "plain", MIB)) == MIB
    (tmp_path / "plain").write_bytes(b"x" * (MIB + 1))
    with pytest.raises(OSError, match="larger than"):
        read_plain_file(tmp_path / "plain", MIB)


FILES = ("people.csv", "corrections.csv", "coding/MK.csv", "sessions.csv", "run.json", ".pages/options.json",
         ".pages/index.html.json", "notes.md", "notes/ID.md", "faces/ID.parquet", "frames/ID.parquet",
         "timeline/ID.parquet", "markers/ID.parquet", "signals/ID.parquet", "../talk.markers.csv",
         "../talk.signals.csv", "../talk.signals.jsonl")  # fmt: skip

OF_EACH_READER = ("people.csv", "run.json", "faces/ID.parquet")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(
            name,
            kind,
            marks=[] if (place % 2 == 0 and kind == "pipe") or name in OF_EACH_READER else pytest.mark.slow,
        )
        for place, name in enumerate(FILES)
        for kind in ("pipe", "endless", "huge", "folder")
    ],
)
def test_commands_neither_wait_nor_fill_the_memory(tmp_path, whole_output, ferflow, name, kind, flat_memory):
    out = copy_output(whole_output, tmp_path / "it")
    (video,) = OutputFolder(out).finished_ids()
    path = out / name.replace("ID", video)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    KINDS[kind](path)
    for command in (("report", out, "--csv"), ("people", out), ("doctor", out)):
        ended = ferflow(*command)
        assert ended.code in (0, 2, 3, 5, 10), (command, ended)
        assert "unexpected" not in ended.text, (command, ended)
        assert "Traceback" not in ended.text


@pytest.mark.timeout(60)
def test_an_erasure_names_a_pipe_that_it_cannot_search(tmp_path, whole_output, ferflow):
    out = copy_output(whole_output, tmp_path / "it")
    for name in ("x.parquet", "x.txt"):
        os.mkfifo(out / name)
    ended = ferflow("forget", out, "--video", "talk.mp4", "--yes")
    assert ended.code == 10
    for name in ("x.parquet", "x.txt"):
        assert f"{name}: could not be searched" in ended.text


@pytest.mark.parametrize("name", ["sessions.csv", "people.csv", "coding/MK.csv", "forgotten.json"])
def test_the_doctor_names_a_list_that_other_commands_refuse(tmp_path, whole_output, ferflow, name):
    out = copy_output(whole_output, tmp_path / "it")
    (out / "coding").mkdir()
    (out / name).write_text("no such list")
    ended = ferflow("doctor", out)
    assert ended.code == 5
    assert name in ended.text


@pytest.mark.parametrize("kind", some_of(list(KINDS), 3))
@pytest.mark.parametrize("option", ["--sessions", "--markers", "--signals", "--logo"])
def test_files_that_the_user_names_are_refused_in_one_line(tmp_path, whole_output, ferflow, kind, option):
    out = copy_output(whole_output, tmp_path / "it")
    KINDS[kind](tmp_path / "given.csv")
    ended = ferflow("report", out, option, tmp_path / "given.csv")
    assert ended.code == 2
    assert len(ended.text.splitlines()) == 1, ended


@pytest.mark.parametrize("kind", KINDS)
def test_job_files_and_cards_are_refused_in_one_line(tmp_path, face_video, ferflow, kind):
    given = tmp_path / "given.json"
    KINDS[kind](given)
    analyze = "analyze", face_video, "-o", tmp_path / "out", "--model", given, "-q"
    for command, code in (("run", given), 2), (analyze, 4):
        ended = ferflow(*command)
        assert ended.code in (code, 2), ended
        assert len(ended.text.splitlines()) == 1, ended


DEEP = {
    "list": lambda n: "[" * n + "]" * n,
    "object": lambda n: '{"a":' * n + "1" + "}" * n,
    "in videos": lambda n: '{"schema_version": 2, "videos": ' + "[" * n + "]" * n + "}",
    "in a field": lambda n: json.dumps({"videos": [], "stimuli": 0}).replace("0", "[" * n + "]" * n),
}


@pytest.mark.parametrize("kind", some_of(list(DEEP), 2))
@pytest.mark.parametrize("depth", [pytest.param(900, marks=pytest.mark.slow), 100_000])
def test_deeply_nested_json_is_one_line(tmp_path, whole_output, ferflow, kind, depth):
    out = copy_output(whole_output, tmp_path / "it")
    (out / "run.json").write_text(DEEP[kind](depth))
    ended = ferflow("report", out)
    assert (ended.code, len(ended.text.splitlines())) == (5, 1), ended
    assert "not a run manifest" in ended.text
    assert "run.json cannot be read" in ferflow("doctor", out).text
    (out / ".pages" / "options.json").write_text(DEEP[kind](depth))
    assert ferflow("doctor", out, "--repair").code == 0
    assert ferflow("report", out).code == 0


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    rows = zlib.compress(b"".join(b"\0" + bytes([k, 100, 100]) * 64 for k in range(48)))
    every = (
        (b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0)),
        *chunks,
        (b"IDAT", rows),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in every
    )


@cache
def packed(size: int) -> bytes:
    pack = zlib.compressobj(9)
    return b"".join(pack.compress(bytes(MIB)) for _ in range(size // MIB)) + pack.flush()


BOMBS = {
    "text": lambda: png((b"zTXt", b"k\0\0" + packed(256 * MIB))),
    "profile": lambda: png((b"iCCP", b"p\0\0" + packed(256 * MIB))),
    "many": lambda: png(*[(b"zTXt", b"k\0\0" + packed(8 * MIB))] * 20),
    "second picture": lambda: png() + png((b"zTXt", b"k\0\0" + packed(256 * MIB))),
}
"""Made where they are needed: each takes seconds, also where tests are only collected."""


@pytest.mark.parametrize("kind", some_of(list(BOMBS), 2))
def test_a_picture_whose_text_unpacks_to_gigabytes_is_refused(tmp_path, ferflow, kind, flat_memory):
    path = tmp_path / "bomb.png"
    path.write_bytes(BOMBS[kind]())
    with pytest.raises(VideoError, match=f"more than {MOST_UNPACKED_BYTES >> 20} MiB"):
        check_png(path)
    ended = ferflow("analyze", path, "-o", tmp_path / "out", "--workers", 1)
    assert ended.code == 3
    assert "unpacks to more than" in ended.text


@pytest.mark.parametrize("place", [0, 8])
@pytest.mark.parametrize("ending", some_of(["mov", "avi", "nut"], 2))
def test_a_video_of_pictures_whose_text_unpacks_to_gigabytes_is_refused(
    tmp_path, ferflow, ending, place, flat_memory
):
    path, bomb = tmp_path / f"bomb.{ending}", BOMBS["text"]()
    with av.open(path, "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for number in range(12):
            packet = av.Packet(bomb if number == place else png())
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 10), True
            packet.pts = packet.dts = number
            container.mux(packet)
    ended = ferflow("analyze", path, "-o", tmp_path / "out", "--workers", 1)
    assert ended.code == 3
    assert "unpacks to more than" in ended.text


@pytest.mark.parametrize("end", [None, 60, -3])
def test_a_picture_with_text_of_usual_size_passes_whole_or_cut(tmp_path, end):
    path = tmp_path / "fine.png"
    path.write_bytes(png((b"zTXt", b"k\0\0" + packed(MIB)), (b"iCCP", b"not packed"))[:end])
    check_png(path)


def test_the_hash_of_a_file_of_any_size_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "MOST_HASHED_BYTES", 2 * MIB)
    path = tmp_path / "a.mp4"
    path.write_bytes(b"x" * MIB)
    os.truncate(path, 1 << 40)  # without a bound, it takes half an hour
    before = content_sha256(path)
    assert content_sha256(path) == before
    os.truncate(path, (1 << 40) + 1)
    assert content_sha256(path) != before
    os.truncate(path, 1 << 40)
    with path.open("rb+") as file:
        file.write(b"y")
    assert content_sha256(path) != before
