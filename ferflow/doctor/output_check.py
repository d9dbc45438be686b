"""Whether an output folder is whole, and how to make it so.

>>> for finding in examine_folder(Path("out")):
...     print(finding.level, finding.what, finding.remedy)
>>> repair(Path("out"))
['run.json: made again from the tables of 6 videos']
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ferflow.doctor.machine_check import Finding
from ferflow.errors import RecordsError
from ferflow.store.output_folder import held, is_held, leftovers, sweep
from ferflow.store.records import RecordPaths, finished_videos, read_metadata
from ferflow.store.run_manifest import NAME, RunFile

LITTLE_SPACE = 1 << 30
"""Bytes; an hour of video leaves some tens of MB of tables."""


def examine_folder(out: Path) -> Iterator[Finding]:
    """Look at what lies in an output folder; nothing is changed.

    Raises:
        RecordsError: there is no such folder.
    """
    if not out.is_dir():
        raise RecordsError(f"{out}: no such folder. Give the folder that was -o.")
    if is_held(out):
        yield Finding("note", f"a run is under way in {out}", "Wait for it: what follows may change.")
    yield from _tables(out)
    yield from _run_file(out)
    if left := leftovers(out):
        yield Finding(
            "note",
            f"{len(left)} files of a run that was cut short",
            "--repair, or the next run, removes them.",
        )
    free = shutil.disk_usage(out).free
    if free < LITTLE_SPACE:
        yield Finding("note", f"{free >> 20} MiB are free on this disk", "Free some before the next run.")


def repair(out: Path) -> list[str]:
    """Remove leftovers, and make `run.json` again where it is missing, broken or does not fit the tables.

    A broken one is kept under another name. Returns what was done, one line each.

    Raises:
        RecordsError: a run holds the folder, or its tables cannot be read.
    """
    done = []
    with held(out):
        if gone := sweep(out):
            done.append(f"removed {len(gone)} files of a run that was cut short")
        path = out / NAME
        run = _read(path)
        if run is None or _misfits(out, run):
            file = RunFile.rebuilt(out)
            if run is None and path.exists():
                path.replace(path.with_name(f"{NAME}.broken"))
                done.append(f"{NAME}: was broken, kept as {NAME}.broken")
            for entry in (run or {}).get("videos", []):
                if entry.get("status") == "failed":
                    file.note(entry)
            file.save(out)
            done.append(f"{NAME}: made again from the tables of {len(finished_videos(out))} videos")
    return done


def _tables(out: Path) -> Iterator[Finding]:
    """Each finished video: tables that can be read, as long as they say, and made alike."""
    made: set[tuple[str, str]] = set()
    n_whole = 0
    for video_id in finished_videos(out):
        paths = RecordPaths(out, video_id)
        try:
            footer = read_metadata(paths.faces)
            read_metadata(paths.frames)
            made.add((footer["options_digest"], footer["model"]["sha256"]))
            _check_rows(paths, footer)
        except (RecordsError, KeyError) as error:
            told = (
                str(error) if isinstance(error, RecordsError) else f"{paths.faces}: its footer lacks {error}"
            )
            yield Finding("problem", told, f"Remove {paths.faces}, and run the same command again.")
            continue
        n_whole += 1
        if not paths.timeline.exists():
            yield Finding(
                "note", f"{video_id} has no timeline", "The same command makes it, without analysis."
            )
    if len(made) > 1:
        yield Finding(
            "problem", f"results of {len(made)} different sets of options or models lie in one folder",
            "Analyse all videos of this folder again with --overwrite.",
        )  # fmt: skip
    yield Finding("fine" if n_whole else "note", f"{n_whole} videos with whole tables")


def _check_rows(paths: RecordPaths, footer: dict[str, Any]) -> None:
    for path, count in ((paths.frames, "n_analysed"), (paths.faces, "n_faces")):
        rows, promised = pq.read_metadata(path).num_rows, footer["counts"][count]
        if rows != promised:
            raise RecordsError(f"{path}: {rows} rows, its footer says {promised}.")


def _run_file(out: Path) -> Iterator[Finding]:
    path = out / NAME
    run = _read(path)
    if run is None:
        state = "cannot be read" if path.exists() else "is missing"
        yield Finding(
            "problem", f"{path} {state}", f"ferflow doctor {out} --repair makes it from the tables."
        )
        return
    if misfits := _misfits(out, run):
        told = f"{path} does not fit the tables: {', '.join(sorted(misfits)[:3])}"
        yield Finding("problem", told, f"ferflow doctor {out} --repair makes it from the tables.")
    if run.get("finished") is None and not is_held(out):
        yield Finding("note", "the last run was cut short", "The same command does the rest.")
    failed = [str(entry.get("source")) for entry in run["videos"] if entry.get("status") == "failed"]
    if failed:
        yield Finding("note", f"{len(failed)} inputs failed: {', '.join(failed[:3])}", f"{path} says why.")


def _read(path: Path) -> dict[str, Any] | None:
    """The run file's content, or None if it is not there or none."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_whole = isinstance(run, dict) and isinstance(run.get("videos"), list)
    return run if is_whole and all(isinstance(entry, dict) for entry in run["videos"]) else None


def _misfits(out: Path, run: dict[str, Any]) -> set[str]:
    """Ids of finished videos that the run file does not know, and of those it calls done that are not there."""
    told = {
        str(entry.get("video_id"))
        for entry in run["videos"]
        if entry.get("status") in ("done", "done_with_gaps")
    }
    failed = {str(entry.get("video_id")) for entry in run["videos"]} - told
    there = set(finished_videos(out))
    return (told - there) | (there - told - failed)
