"""An output folder with one of everything, the command in this process, and what a tree of files looks like."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path

from ferflow.jobs.run import run
from ferflow.options import AnalyzeOptions
from ferflow.store.output_folder import OutputFolder
from tests.render.test_people_pictures import two_people

MARKERS = "time_s,label\n0.4,joke\n"


def make_output(place: Path) -> Path:
    """Analyse a video into `place/out`, and make all that can be made without a browser; returns the folder."""
    from tests.conftest import write_video

    video, out = write_video(place / "talk.mp4", two_people(40)), place / "out"
    (place / "talk.markers.csv").write_text(MARKERS)
    run([video], out, AnalyzeOptions(min_face=24), embed_clips=True, workers=0)
    (files,) = OutputFolder(out).finished_videos()
    # Clips and pictures of an earlier state, which the next command removes.
    for old in (files.clips / "000000500.mp4", files.thumbnails / "7.jpg"):
        old.parent.mkdir(parents=True, exist_ok=True)
        old.write_bytes(b"a face")
    for name in ("csv", "figures"):
        (out / name).mkdir()
        (out / name / f"participants.{name}").write_text("earlier")
    (out / "csv" / "participants.csv").write_text("earlier")
    (out / "people.csv").write_text("video_id,track_id,name\n")
    return out


def copy_output(out: Path, place: Path) -> Path:
    """A copy of the folder and its video in another place."""
    shutil.copytree(out.parent, place, symlinks=True)
    return place / out.name


def snapshot(place: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder: kind, time of change, and content or target of a link, by path."""
    found = {}
    for where, folders, files in os.walk(place):
        for name in (*folders, *files):
            path = Path(where, name)
            status = path.lstat()
            kind = stat.S_IFMT(status.st_mode)
            content = (
                str(path.readlink())
                if stat.S_ISLNK(kind)
                else hashlib.sha256(path.read_bytes()).hexdigest()
                if stat.S_ISREG(kind)
                else sorted(child.name for child in path.iterdir())
                if stat.S_ISDIR(kind)
                else None
            )
            found[str(path.relative_to(place))] = (kind, status.st_mtime_ns, content)
    return found
