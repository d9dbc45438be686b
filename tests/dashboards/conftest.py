"""What several tests of pages need: made sessions, each written once, and a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ferflow.dashboards import refresh
from tests.dashboards.browse import ARGS, CHROMIUM
from tests.dashboards.made_sessions import SESSIONS, Session, read_session, some_sessions, write_kind
from tests.made_cohort import write_run
from tests.made_records import Made, write_session


@pytest.fixture(scope="session")
def made_session(tmp_path_factory) -> Callable[[str], Session]:
    """A session of a kind of `SESSIONS`, with its page."""
    written: dict[str, Session] = {}

    def get(name: str) -> Session:
        if name not in written:
            written[name] = write_kind(tmp_path_factory.mktemp("session"), name)
        return written[name]

    return get


@pytest.fixture(scope="session")
def real_sessions(analysed_clips) -> list[Session]:
    """Every real clip, with its page."""
    _, out, report = analysed_clips
    return [read_session(out, video.video_id) for video in report.videos]


@pytest.fixture(params=some_sessions(SESSIONS))
def session(request, made_session) -> Session:
    """A session of every kind."""
    return made_session(request.param)


@pytest.fixture(scope="session")
def two_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("two")
    write_run(out, [write_session(out, Made(seconds=20, people=2, video_id=name)) for name in "ab"])
    refresh(out)
    return out


@pytest.fixture
def two(two_once: Path, tmp_path: Path) -> Path:
    """Two sessions with their pages, all up to date."""
    return shutil.copytree(two_once, tmp_path, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def browser(request) -> Iterator:
    """The one Chromium of all tests."""
    if CHROMIUM is None:
        pytest.skip("no Chromium found; set FERFLOW_CHROMIUM to one")
    chromium = request.getfixturevalue("playwright").chromium.launch(executable_path=CHROMIUM, args=ARGS)
    yield chromium
    chromium.close()
