"""What a person sees while a run goes on, and the table at its end."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from tqdm import tqdm

from ferflow.store.run_manifest import TaskReport, VideoTask
from ferflow.text import shown, timecode

_STATUS_WORDS = {
    "done": "done",
    "done_with_gaps": "done with gaps",
    "skipped": "skipped, done before",
    "failed": "failed",
    "not begun": "not begun",
}


class Bars:
    """A `Listener`: one bar for the videos, one for seconds of each video under way; on stderr.

    Quiet when stderr is no terminal, except for one line about each failure or gap.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._disable = True if quiet else None  # None: tqdm decides by whether this is a terminal
        self._videos = tqdm(desc="videos", unit="video", disable=self._disable, position=0)
        self._current: dict[str, tqdm[NoReturn]] = {}

    def planned(self, tasks: Sequence[VideoTask]) -> None:
        """See `Listener`."""
        self._videos.reset(total=len(tasks))

    def started(self, task: VideoTask) -> None:
        """See `Listener`."""
        taken = {abs(bar.pos) for bar in self._current.values()}
        self._current[str(task.source)] = tqdm(
            desc=shown(task.source.name)[:40], unit="s", disable=self._disable, leave=False,
            position=next(place for place in count(1) if place not in taken),
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.1f}/{total_fmt} s [{elapsed}<{remaining}]",
        )  # fmt: skip

    def progress(self, task: VideoTask, seconds: float, of_seconds: float | None) -> None:
        """See `Listener`."""
        bar = self._current[str(task.source)]
        bar.total = round(max(of_seconds or 0.0, seconds), 1)
        bar.update(seconds - bar.n)

    def retrying(self, task: VideoTask, report: TaskReport) -> None:
        """See `Listener`."""
        self._put_away(str(task.source))

    def ended(self, report: TaskReport) -> None:
        """See `Listener`."""
        self._put_away(report.source)
        self._videos.update()
        if report.error and report.status == "failed":
            # The whole path: two folders may hold files of the same name.
            why = report.error.removeprefix(f"{report.source}: ").removeprefix(
                f"{Path(report.source).name}: "
            )
            tqdm.write(f"ferflow: failed: {shown(report.source)}: {shown(why)}", file=sys.stderr)
        if report.status != "skipped":
            for warning in report.warnings:
                tqdm.write(f"ferflow: {shown(report.source)}: {shown(warning)}", file=sys.stderr)

    def _put_away(self, source: str) -> None:
        if (bar := self._current.pop(source, None)) is not None:
            bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for source in list(self._current):
            self._put_away(source)
        self._videos.close()


class Epochs:
    """A bar for training."""

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self._bar = tqdm(
            total=total, desc="epochs", unit="epoch", disable=True if quiet else None,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.2f}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
        )  # fmt: skip

    def reached(self, epochs: float) -> None:
        """So many epochs are done, the share of the one under way included."""
        self._bar.update(epochs - self._bar.n)

    def ended(self, figures: dict[str, float]) -> None:
        """One more epoch is done; its figures are shown behind the bar."""
        self.reached(figures["epoch"])
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
    counts: Counter[str] = Counter(_word(video) for video in videos)
    total = ", ".join(
        f"{counts[status]} {words}" for status, words in _STATUS_WORDS.items() if counts[status]
    )
    return "\n".join([*(_line(row, widths) for row in rows), f"{total or 'nothing to do'}."])


def _word(video: TaskReport) -> str:
    """Passed over because it is done, and not come to, are both `skipped`; a person wants to know which."""
    return "not begun" if video.attempts == 0 else video.status


def _cells(video: TaskReport) -> list[str]:
    if video.status == "failed" or video.attempts == 0:
        return [_word(video), "", "", "", "", "", shown(video.source)]
    counts = [str(n) for n in (video.n_people, video.n_frames, video.n_faces)]
    rate = f"{video.n_frames / video.seconds:.0f}" if video.seconds else ""
    return [video.status, *counts, timecode(video.duration_s), rate, shown(video.source)]


def _line(row: list[str], widths: list[int]) -> str:
    status, *numbers, name = row
    cells = [number.rjust(width) for number, width in zip(numbers, widths[1:-1], strict=True)]
    return "  ".join([status.ljust(widths[0]), *cells, name])
