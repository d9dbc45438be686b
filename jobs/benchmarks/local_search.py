"""How `--detect auto` compares with `--detect full`: faces, boxes, expressions, persons, and CPU time.

    python -m ferflow.jobs.benchmarks.local_search VIDEO...

Faces detected in every frame are the reference. Columns: recall of its faces at an IoU of 0.5; median IoU of those
found; faces and tracks that the reference does not have; share of the faces found whose strongest expression is the
same, and the same of a full search in which the picture is reduced one step more, which is as good a reference; frames
from the first frame of a track of the reference to the first one in which `auto` has that face, median and worst;
persons of both; mean change of a face's height from one frame to the next in percent (`full`, at the next scale, and
`auto`), which is the noise of the boxes; CPU time of detection and of the whole analysis, times as fast.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferflow.faces.detections import Detections, iou
from ferflow.faces.detector import Detector
from ferflow.faces.search_windows import Places
from ferflow.faces.yunet import decimation_factor
from ferflow.media.video import Frame, Reading, Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze
from ferflow.store.records import FaceRows, FrameRows, TrackRows
from ferflow.types import Float32Array

_LEAST_IOU = 0.5
_BOX = ["x1", "y1", "x2", "y2"]


@dataclass
class TimedDetector:
    """A detector that adds up the CPU seconds of its calls; for one thread."""

    detector: Detector
    seconds: float = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.detector, name)

    def _timed(self, function: Any, *arguments: Any) -> Any:
        started = time.thread_time()
        found = function(*arguments)
        self.seconds += time.thread_time() - started
        return found

    def detect(self, frames: Sequence[Frame], score: float | None = None) -> list[Detections]:
        """See `Detector`."""
        found: list[Detections] = self._timed(self.detector.detect, frames, score)
        return found

    def gains_near(self, width: int, height: int, places: Places | None = None) -> bool:
        """See `Detector`."""
        return self.detector.gains_near(width, height, places)

    def detect_near(self, frame: Frame, places: Places, score: float) -> Detections:
        """See `Detector`."""
        found: Detections = self._timed(self.detector.detect_near, frame, places, score)
        return found

    def find_reduced(self, frame: Frame, faces: Detections) -> Detections:
        """See `Detector`."""
        found: Detections = self._timed(self.detector.find_reduced, frame, faces)
        return found


@dataclass(frozen=True)
class Run:
    """One analysis: its number of frames, its faces, its number of persons, and CPU seconds."""

    n_frames: int
    faces: pd.DataFrame
    n_persons: int
    detection_s: float
    total_s: float
    by_frame: dict[int, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def of(cls, video: Path, options: AnalyzeOptions) -> Run:
        """Analyse a video on one thread."""
        tools = Tools.load(options)
        timed = TimedDetector(tools.detector)
        tools = Tools(timed, tools.classifier)
        started, n_frames, faces, persons = time.process_time(), 0, [], set[int]()
        for rows in analyze(video, options, tools=tools):
            if isinstance(rows, FrameRows):
                n_frames += rows.batch.num_rows
            elif isinstance(rows, FaceRows):
                faces.append(rows.batch.to_pandas())
            elif isinstance(rows, TrackRows):
                persons = {person for person in rows.batch["person_id"].to_pylist() if person}
        total = time.process_time() - started
        table = (
            pd.concat(faces) if faces else pd.DataFrame(columns=["frame_index", *_BOX, "track_id", "label"])
        )
        by_frame = {int(group["frame_index"].iloc[0]): group for _, group in table.groupby("frame_index")}
        return cls(n_frames, table, len(persons), timed.seconds, total, by_frame)

    def boxes(self, frame: int) -> Float32Array:
        """The boxes of a frame, float32 (N, 4)."""
        if frame not in self.by_frame:
            return np.zeros((0, 4), np.float32)
        boxes: Float32Array = self.by_frame[frame][_BOX].to_numpy(np.float32)
        return boxes


@dataclass
class Agreement:
    """Faces of a run that another run found, too."""

    n_true: int = 0
    n_found: int = 0
    n_false: int = 0
    n_equal: int = 0
    ious: list[float] = field(default_factory=list)
    found_frames: dict[int, list[int]] = field(default_factory=dict)
    """Frames in which a track of the reference was found, by its id."""

    @classmethod
    def between(cls, reference: Run, other: Run) -> Agreement:
        """Compare frame by frame."""
        result = cls()
        for frame in sorted(reference.by_frame.keys() | other.by_frame.keys()):
            result._add(reference, other, frame)
        return result

    def _add(self, reference: Run, other: Run, frame: int) -> None:
        overlap = iou(reference.boxes(frame), other.boxes(frame))
        self.n_true += overlap.shape[0]
        if not overlap.size:
            self.n_false += overlap.shape[1]
            return
        self.n_false += int((overlap.max(axis=0) < _LEAST_IOU).sum())
        theirs, ours = reference.by_frame[frame], other.by_frame[frame]
        for row, column in enumerate(overlap.argmax(axis=1)):
            if overlap[row, column] < _LEAST_IOU:
                continue
            self.n_found += 1
            self.ious.append(float(overlap[row, column]))
            self.n_equal += theirs["label"].iloc[row] == ours["label"].iloc[column]
            self.found_frames.setdefault(int(theirs["track_id"].iloc[row]), []).append(frame)

    def delays(self, reference: Run) -> list[int]:
        """Frames by which each track of the reference was found later than it begins."""
        tracked = reference.faces[reference.faces["track_id"] >= 0]
        return [
            min(self.found_frames.get(int(rows["track_id"].iloc[0]), [int(rows["frame_index"].max()) + 1]))
            - int(rows["frame_index"].min())
            for _, rows in tracked.groupby("track_id")
        ]


def box_noise(run: Run) -> float:
    """Mean change of the height of a track's box from one frame to the next, in percent."""
    tracked = run.faces[run.faces["track_id"] >= 0].sort_values(["track_id", "frame_index"])
    heights = pd.Series(np.log(tracked["y2"] - tracked["y1"]))
    return 100 * float(heights.groupby(tracked["track_id"]).diff().abs().mean())


def next_scale(video: Path) -> AnalyzeOptions:
    """Options of a full search with a picture that is reduced by one step more than by default."""
    options = AnalyzeOptions()
    with open_video(video, Reading.of(options)) as opened:
        factor = decimation_factor(options, next(iter(opened.frames(Selection.of(options)))))
    return options.updated(min_face=16 * (factor + 1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row per video."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--end", default=None, help="analyse up to this time")
    parser.add_argument("--fps", type=float, default=None, help="analyse this many frames a second")
    chosen = parser.parse_args(arguments)
    print(
        "| video | faces a frame | recall | IoU | false faces | tracks | same expression | at the next scale | "
        "delay, frames | persons | noise, % | detection | analysis |\n|" + "---|" * 13
    )
    for video in chosen.videos:
        limits = {"threads": 1, "fps": chosen.fps} | ({} if chosen.end is None else {"end": chosen.end})
        full = Run.of(video, AnalyzeOptions().updated(detect="full", **limits))
        auto = Run.of(video, AnalyzeOptions().updated(detect="auto", **limits))
        near = Run.of(video, next_scale(video).updated(detect="full", **limits))
        print(_row(video.name, full, auto, near), flush=True)


def _row(name: str, full: Run, auto: Run, near: Run) -> str:
    found, scale = Agreement.between(full, auto), Agreement.between(full, near)
    delays = found.delays(full) or [0]
    tracks = [run.faces["track_id"].loc[lambda ids: ids >= 0].nunique() for run in (full, auto)]
    cells = [
        name,
        f"{len(full.faces) / full.n_frames:.2f}",
        _share(found.n_found, found.n_true),
        f"{np.median(found.ious):.3f}" if found.ious else "",
        str(found.n_false),
        f"{tracks[0]} and {tracks[1]}",
        _share(found.n_equal, found.n_found),
        _share(scale.n_equal, scale.n_found),
        f"{np.median(delays):.0f}, {max(delays)}",
        f"{full.n_persons} and {auto.n_persons}",
        f"{box_noise(full):.2f}, {box_noise(near):.2f} and {box_noise(auto):.2f}",
        f"{full.detection_s / auto.detection_s:.2f}",
        f"{full.total_s / auto.total_s:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else ""


if __name__ == "__main__":
    main()
