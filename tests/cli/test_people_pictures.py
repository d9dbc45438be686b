from __future__ import annotations

import pytest

from ferflow.jobs.run import run
from tests.conftest import face_frames, write_video


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    place = tmp_path_factory.mktemp("pictures")
    run([write_video(place / "a.mp4", face_frames(30))], place / "out", pages=False)
    return place / "out"


def test_thumbnails_are_made_and_forgotten(out, ferflow):
    made = ferflow("people", out, "--thumbnails")
    assert made.code == 0, made.stderr
    assert "1 thumbnail" in made.stdout
    assert len(list((out / "thumbnails").rglob("*.jpg"))) == 1
    forgotten = ferflow("people", out, "--forget")
    assert forgotten.stdout == "1 thumbnail removed.\n"
    assert not list((out / "thumbnails").rglob("*.jpg"))


def test_one_thing_at_a_time(out, ferflow):
    refused = ferflow("people", out, "--thumbnails", "--forget")
    assert refused.code == 2
    assert "give one of them" in refused.stderr


def test_a_source_that_is_gone_costs_its_own_thumbnails_only(out, ferflow):
    (source,) = out.parent.glob("a.mp4")
    moved = source.rename(source.with_name("b.mp4"))
    try:
        ended = ferflow("people", out, "--thumbnails")
    finally:
        moved.rename(source)
    assert ended.code == 0
    assert "not where it was analysed" in ended.stderr
