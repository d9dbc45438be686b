"""What a person sees while a run goes on, and the table at its end."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tqdm import tqdm

from ferflow.tasks import TaskReport, VideoTask
from ferflow.text import shown, timecode

_STATUS_WORDS = {
    "done": "done",
    "done_with_gaps": "done with gaps",
    "skipped": "skipped, done before",
    "failed": "failed",
}


class Bars:
    """A `Listener`: one bar for the videos, one for seconds of the current video; on stderr.

    Quiet when stderr is no terminal, except for one line about each failure or gap.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        disable = True if quiet else None  # None: tqdm decides by whether this is a terminal
        self._videos = tqdm(desc="videos", unit="video", disable=disable, position=0)
        self._current = tqdm(
            desc="", unit="s", disable=disable, position=1, leave=False,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total_fmt} s [{elapsed}<{remaining}]",
        )  # fmt: skip

    def planned(self, n_videos: int) -> None:
        """See `Listener`."""
        self._videos.reset(total=n_videos)

    def started(self, task: VideoTask) -> None:
        """See `Listener`."""
        self._current.reset()
        self._current.total = None  # `reset` would keep that of the video before
        self._current.set_description_str(shown(task.source.name)[:40])

    def progress(self, seconds: float, of_seconds: float | None) -> None:
        """See `Listener`."""
        self._current.total = round(max(of_seconds or 0.0, seconds), 1)
        self._current.update(seconds - self._current.n)

    def ended(self, report: TaskReport) -> None:
        """See `Listener`."""
        self._videos.update()
        if report.error:
            # The whole path: two folders may hold files of the same name.
            why = report.error.removeprefix(f"{report.source}: ").removeprefix(
                f"{Path(report.source).name}: "
            )
            tqdm.write(f"ferflow: failed: {shown(report.source)}: {shown(why)}", file=sys.stderr)
        if report.status != "skipped":
            for warning in report.warnings:
                tqdm.write(f"ferflow: {shown(report.source)}: {shown(warning)}", file=sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._current.close()
        self._videos.close()


class Epochs:
    """A bar for training."""

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self._bar = tqdm(total=total, desc="epochs", unit="epoch", disable=True if quiet else None)

    def ended(self, figures: dict[str, float]) -> None:
        """One more epoch is done; its figures are shown behind the bar."""
        self._bar.update(figures["epoch"] - self._bar.n)
        self._bar.set_postfix(loss=figures.get("loss"), accuracy=figures.get("accuracy"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


def summary(videos: Sequence[TaskReport]) -> str:
    """A table of how each input ended, as text."""
    header = ["status", "people", "frames", "faces", "length", "frames/s", "video"]
    rows = [header, *(_cells(video) for video in videos)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    counts: Counter[str] = Counter(video.status for video in videos)
    total = ", ".join(
        f"{counts[status]} {words}" for status, words in _STATUS_WORDS.items() if counts[status]
    )
    return "\n".join([*(_line(row, widths) for row in rows), f"{total or 'nothing to do'}."])


def _cells(video: TaskReport) -> list[str]:
    if video.status == "failed":
        return [video.status, "", "", "", "", "", shown(video.source)]
    counts = [str(n) for n in (video.n_people, video.n_frames, video.n_faces)]
    rate = f"{video.n_frames / video.seconds:.0f}" if video.seconds else ""
    return [video.status, *counts, timecode(video.duration_s), rate, shown(video.source)]


def _line(row: list[str], widths: list[int]) -> str:
    status, *numbers, name = row
    cells = [number.rjust(width) for number, width in zip(numbers, widths[1:-1], strict=True)]
    return "  ".join([status.ljust(widths[0]), *cells, name])
