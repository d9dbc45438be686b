"""The torture corpus through the real command: one process, every file its documented outcome."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ferflow.media.inputs import VIDEO_SUFFIXES
from tests.conftest import some_slow
from tests.torture import cage, corpus, desks, kinds
from tests.torture.films import film
from tests.torture.verdict import complaints, table

ROOT = Path(__file__).parents[2]
TABLES = ("frames", "faces", "timeline")


def analysed(inputs: list[str], out: Path, *options: str, **process) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; -- as names may begin with a dash."""
    command = [sys.executable, "-m", "ferflow", "analyze", "-o", str(out), *options, "--", *inputs]
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=280, check=False,
        env=cage.a_users_environment(), **process,
    )  # fmt: skip


def entries(out: Path) -> dict[str, dict]:
    videos = json.loads((out / "run.json").read_text(encoding="utf-8"))["videos"]
    return {video["source"]: video for video in videos}


def outcomes(
    folder: Path, cases: list[kinds.Case], *options: str
) -> tuple[list[str], Path, subprocess.CompletedProcess[str]]:
    """Make the inputs, analyse them all in one go, and say what is wrong with how they ended."""
    inputs, out = folder / "in", folder / "out"
    paths = corpus.made(inputs, cases)
    # What a folder does not show must be named.
    named = [
        str(path)
        for path in paths.values()
        if not path.is_dir() and (path.name.startswith(".") or path.suffix.lower() not in VIDEO_SUFFIXES)
    ]
    done = analysed(
        [str(inputs), *named], out, *options, preexec_fn=cage.without_network if cage.KNOWN else None
    )
    found = entries(out)
    wrong = [
        f"{key!r} {complaint}"
        for case in cases
        for key in [f"{case.kind}/{case.name}"]
        for complaint in complaints(case, paths[key], found.get(str(paths[key])), out)
    ]
    return wrong, out, done


@pytest.mark.parametrize("n_pages", some_slow(1, slow=[None]))
def test_every_file_ends_as_documented_and_has_the_rows_a_witness_counts(tmp_path, n_pages):
    """With `n_pages`, every fifth file of large kinds is tried, and that many pages of each kind and all of odd names
    are looked at; None: all files and all pages, made by the run itself.
    """
    cases = [case for case in corpus.cases() if not case.is_slow]
    cases = thinned(cases) if n_pages else cases
    wrong, out, done = outcomes(tmp_path, cases, *(["--no-report"] if n_pages else []))
    assert wrong == []
    assert len(cases) > (110 if n_pages else 250)
    assert {case.kind for case in cases} == kinds.KINDS.keys() - {"barred"}
    assert done.returncode == 10
    assert "Traceback" not in done.stderr + done.stdout
    assert "unexpected" not in done.stderr
    if n_pages:
        make_pages(tmp_path, cases, n_pages)
    stray = [path.name for path in out.rglob("*") if not re.fullmatch(r"[\w.-]+", path.name)]
    assert stray == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    assert_harmless(out, at_least=30 if n_pages else 200)


MOST_OF_A_SMALL_KIND = 8


def thinned(cases: list[kinds.Case]) -> list[kinds.Case]:
    """All of small kinds and of odd names, every fifth of the others."""
    n_of_kind, seen = Counter(case.kind for case in cases), Counter()
    kept = []
    for case in cases:
        is_small = case.kind == "names" or n_of_kind[case.kind] <= MOST_OF_A_SMALL_KIND
        if is_small or seen[case.kind] % 5 == 0:
            kept.append(case)
        seen[case.kind] += 1
    return kept


def make_pages(folder: Path, cases: list[kinds.Case], n_pages: int) -> None:
    """Pages of some files of each kind and of all with odd names; the tables of the others are removed before."""
    kept, n_kept, found = set(), Counter(), entries(folder / "out")
    for case in cases:
        entry = found[str(folder / "in" / case.kind / case.name)]
        n_kept[case.kind] += entry["status"] != kinds.FAILED
        if case.kind == "names" or n_kept[case.kind] <= n_pages:
            kept.add(entry["video_id"])
    for path in (folder / "out").glob("*/*.parquet"):
        if path.stem not in kept:
            path.unlink()
    command = [sys.executable, "-m", "ferflow", "report", folder / "out"]
    subprocess.run(command, check=True, capture_output=True, env=cage.a_users_environment())


@pytest.mark.slow
def test_every_container_cut_at_every_tenth_and_more_bits_flipped(tmp_path):
    wrong, _, done = outcomes(tmp_path, [case for case in corpus.cases() if case.is_slow])
    assert wrong == []
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.slow
def test_damaged_files_of_a_desk_cost_only_themselves(tmp_path):
    cases = [case for case in desks.cases() if not case.is_slow]
    intact = [case for case in cases if case.kind != "desks-damaged"]
    wrong, alone, _ = outcomes(tmp_path / "alone", intact)
    assert wrong == []
    wrong, among, _ = outcomes(tmp_path / "among", cases)
    assert wrong == []
    for case in intact:
        pairs = zip(tables_of(alone, case), tables_of(among, case), strict=True)
        assert all(one.equals(other) for one, other in pairs), case.name


def tables_of(out: Path, case: kinds.Case) -> list[pd.DataFrame]:
    """The rows of all tables of an input, without its name, which contains that of its folder."""
    video_id = entries(out)[str(out.parent / "in" / case.kind / case.name)]["video_id"]
    tables = [pq.read_table(out / kind / f"{video_id}.parquet", partitioning=None) for kind in TABLES]
    return [table.drop_columns(["video_id"]).to_pandas() for table in tables]


def test_the_documents_say_what_the_corpus_shows():
    text = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
    assert table() in text, "docs/inputs.md: replace its table by what tests.torture.verdict.table() gives"


class Page(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs


def assert_harmless(out: Path, *, at_least: int) -> None:
    """No name made an element, a handler or an address of its own in any of so many pages."""
    pages = {path.name: Page(path.read_text(encoding="utf-8")) for path in out.rglob("*.html")}
    reports = {name: page for name, page in pages.items() if name != "index.html"}
    assert len(reports) > at_least
    has_people = {f"{video['video_id']}.html": video["n_people"] > 0 for video in entries(out).values()}
    for kind in (False, True):
        alike = [page for name, page in reports.items() if has_people[name] == kind]
        assert len({page.elements.count("script") for page in alike}) == 1
    for name, page in pages.items():
        assert "img" not in page.elements, name
        for attribute, value in page.attributes:
            assert not attribute.startswith("on"), (name, attribute)
            assert (
                not re.match(r"\s*(javascript|data|https?|//)", value or "", re.I) or attribute == "xmlns"
            ), (name, value)


def barred(folder: Path) -> Iterator[Path]:
    """A film that may not be read, a folder that may not be entered, one that may not be listed."""
    for name in ("film.mp4", "shut/film.mp4", "dark/film.mp4"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        film()(path)
        yield path
    (folder / "film.mp4").chmod(0)
    (folder / "shut").chmod(0)
    (folder / "dark").chmod(0o300)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="capabilities are Linux's")
def test_what_may_not_be_read_is_named_and_the_rest_is_done(tmp_path):
    paths = list(barred(tmp_path / "in"))
    film()(tmp_path / "in" / "free.mp4")
    dropped = cage.like_anybody_else if os.geteuid() == 0 else None
    try:
        done = analysed(
            [str(tmp_path / "in"), *map(str, paths)], tmp_path / "out", "--no-report", preexec_fn=dropped
        )
    except subprocess.SubprocessError:
        pytest.skip("root may not give up its right to read everything here")
    finally:
        for name in ("shut", "dark"):
            (tmp_path / "in" / name).chmod(0o700)
    found = {
        Path(source).relative_to(tmp_path / "in").as_posix(): video
        for source, video in entries(tmp_path / "out").items()
    }
    assert "Traceback" not in done.stderr
    assert found.pop("free.mp4")["status"] == "done"
    assert found.pop("dark/film.mp4")["status"] == "done"  # it may be entered by who knows the name
    assert found.keys() == {"film.mp4", "shut", "dark", "shut/film.mp4"}
    for video in found.values():
        assert re.search(kinds.KINDS["barred"].reported, video["error"])
