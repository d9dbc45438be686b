"""What `ferflow clips` writes next to its clips: a page, a table, chapters, and cut lists for video editors.

    check_place(folder, [cut.path for cut in cuts], overwrite=False)
    write_clip_files(folder, cuts, chosen="the strongest peaks", is_anonymous=False)

Cut lists lead to the videos that were analysed; of anonymised clips, to the clips.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ferflow.cli.common import print_message
from ferflow.errors import OptionsError
from ferflow.text import sanitize

if TYPE_CHECKING:
    from ferflow.analytics.moments import Moment
    from ferflow.store.metadata import VideoMetadata

PAGE, TABLE, EDL, OTIO = "index.html", "clips.csv", "clips.edl", "clips.otio"
_CHAPTERS = ".chapters.vtt"
_COLUMNS = ("file", "video_id", "video", "start_s", "end_s", "title")
_MOST_TABLE_BYTES = 16 << 20
_CLIP = re.compile(r"[^./\\][^/\\]*\.-?\d{8,}\.mp4")
"""Names that `CutClip` gives, so that a table of somebody else names no recording."""


@dataclass(frozen=True, slots=True)
class CutClip:
    """A clip of a session."""

    path: Path
    metadata: VideoMetadata
    start_s: float
    end_s: float
    title: str
    warning: str = ""

    @classmethod
    def around(
        cls, moment: Moment, metadata: VideoMetadata, folder: Path, before_s: float, after_s: float
    ) -> CutClip:
        """Around a moment, as far as the video reaches."""
        start_s = max(0.0, moment.start_s - before_s)
        end_s = min(moment.end_s + after_s, max(metadata.duration_s, start_s))
        name = f"{moment.video_id}.{round(moment.start_s * 1000):09d}.mp4"
        return cls(folder / name, metadata, start_s, end_s, moment.title)

    @property
    def is_outside(self) -> bool:
        """Whether it ends before the video starts, or starts where the video has ended."""
        return self.end_s < self.start_s or self.end_s == self.start_s > 0

    @property
    def video_id(self) -> str:
        """Of its video."""
        return self.metadata.video_id


def check_place(folder: Path, paths: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse to replace files; with `overwrite`, remove clips of an earlier command that are not among the new ones.

    Raises:
        OptionsError: a file is there, or the folder is one of ferflow's own.
    """
    from ferflow.store.atomic_files import remove
    from ferflow.store.output_folder import find_maker, is_output_folder

    if is_output_folder(folder) or find_maker(folder / PAGE) is not None:
        raise OptionsError(f"{sanitize(folder)}: an output folder of ferflow. Give another one with -o.")
    found = [path for path in (folder / PAGE, folder / TABLE, *paths) if os.path.lexists(path)]
    if found and not overwrite:
        raise OptionsError(
            f"{sanitize(found[0])} exists. Give --overwrite to replace it, or another folder with -o."
        )
    for name in _read_earlier(folder / TABLE):
        # Faces that an earlier command did not cover must not stay next to a page that does not show them.
        if (old := folder / name) not in paths:
            remove(old, out=folder)


def _read_earlier(table: Path) -> list[str]:
    """Names of clips in the table of an earlier command; only of files directly in its folder."""
    from ferflow.plain_file import read_plain_file

    try:
        text = read_plain_file(table, _MOST_TABLE_BYTES).decode()
        rows = list(csv.DictReader(io.StringIO(text)))
    except (OSError, ValueError, csv.Error):
        return []
    names = [row.get("file") or "" for row in rows]
    return [name for name in names if _CLIP.fullmatch(name)]


def write_clip_files(folder: Path, cuts: Sequence[CutClip], *, chosen: str, is_anonymous: bool) -> None:
    """Write all but the clips.

    Args:
        folder: of the clips.
        cuts: those that were written, by session and time.
        chosen: how they were chosen, in words.
        is_anonymous: whether faces are covered.

    Raises:
        RecordsError: a file cannot be written.
    """
    from ferflow.dashboards.exports.clip_page import PageClip, PageSession, write_clip_page

    # The table first: by it, another command knows which clips are ours.
    _write_table(folder, cuts)
    sessions = [
        PageSession(
            own[0].metadata.source.name,
            tuple(PageClip(cut.path.name, cut.title, cut.start_s, cut.end_s, cut.warning) for cut in own),
        )
        for own in _by_session(cuts)
    ]
    _write_chapters(folder, cuts)
    _write_cut_lists(folder, cuts, is_anonymous=is_anonymous)
    write_clip_page(folder / PAGE, sessions, chosen=chosen, is_anonymous=is_anonymous)


def _by_session(cuts: Iterable[CutClip]) -> list[list[CutClip]]:
    return [list(own) for _, own in groupby(cuts, key=lambda cut: cut.video_id)]


def _write_table(folder: Path, cuts: Sequence[CutClip]) -> None:
    from ferflow.analytics.csv_input import write_csv

    rows = [
        [sanitize(cell) for cell in (cut.path.name, cut.video_id, cut.metadata.source.name)]
        + [f"{cut.start_s:.3f}", f"{cut.end_s:.3f}", sanitize(cut.title)]
        for cut in cuts
    ]
    write_csv(folder / TABLE, _COLUMNS, rows, out=None)


def _write_chapters(folder: Path, cuts: Sequence[CutClip]) -> None:
    """Chapters of the videos that were analysed, a file per session."""
    from ferflow.exchange.web_vtt import escape_cue, write_cues
    from ferflow.store.atomic_files import atomic_write

    for own in _by_session(cuts):
        with atomic_write(folder / f"{own[0].video_id}{_CHAPTERS}") as part:
            write_cues([(cut.start_s, cut.end_s, escape_cue(cut.title)) for cut in own], part)


def _write_cut_lists(folder: Path, cuts: Sequence[CutClip], *, is_anonymous: bool) -> None:
    from ferflow.exchange.cut_list import Cut, write_edl, write_otio
    from ferflow.store.atomic_files import atomic_write

    listed = [
        Cut(cut.path.absolute(), 0.0, cut.end_s - cut.start_s, cut.title, cut.metadata.source.frame_rate)
        if is_anonymous
        else Cut(
            Path(cut.metadata.source.path), cut.start_s, cut.end_s, cut.title, cut.metadata.source.frame_rate
        )
        for cut in cuts
    ]
    for name, write in ((EDL, write_edl), (OTIO, write_otio)):
        try:
            with atomic_write(folder / name) as part:
                write(listed, part, "ferflow clips")
        except OptionsError as error:  # the library is missing, and clips are of use without it
            print_message(f"{name} is left out: {error}")
