"""How well identities hold, against boxes whose persons are known.

    python -m ferflow.jobs.benchmarks.identity clips/*.gif --truth clips/gt
    python -m ferflow.jobs.benchmarks.identity --recordings RECORDINGS --clips FOLDER

The truth of `walk.gif` is `walk.txt`, see `identity_truth`. With `--recordings`, clips are made in FOLDER first, see
`identity_clips`. IDF1 and identity switches are those of persons; in brackets, IDF1 of tracks. A person who covers two
people is a false merge, a further person of the same people a split. `--every` measures sparse sampling as well.
`--bytetrack` adds the IDF1 of the tracks of ByteTrack on the same detections, and needs the package `supervision`.
"""

from __future__ import annotations

import argparse
import importlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import motmetrics
import numpy as np
from scipy.optimize import linear_sum_assignment

from ferflow.faces.detections import iou
from ferflow.faces.detector import Detector, KeyFrameDetector, make_detector
from ferflow.faces.embeddings import FaceDescriber
from ferflow.faces.frame_sample import FrameSampler, sample_frames
from ferflow.faces.people import People
from ferflow.jobs.benchmarks.identity_clips import make_clips
from ferflow.jobs.benchmarks.identity_truth import Boxes, Truth, read_truth
from ferflow.media.video import Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import make_describer
from ferflow.store.schemas import UNTRACKED

LEAST_IOU = 0.5
"""Overlap from which a predicted box is the true one (MOT Challenge)."""
LEAST_SHARE = 0.1
"""Share of the boxes of one of the people from which a person covers them."""

_METRICS = ["idf1", "num_switches", "mota", "recall", "precision", "num_false_positives", "num_misses"]


@dataclass(frozen=True, slots=True)
class Tracked:
    """The faces of the frames of a clip, by frame index."""

    tracks: dict[int, Boxes]
    persons: dict[int, Boxes]
    """Without those seen only briefly."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Quality of the identities of one clip; ratios in [0, 1], MOTA may be negative."""

    idf1: float
    n_switches: int
    mota: float
    recall: float
    precision: float
    n_false: int
    n_missed: int


@dataclass(frozen=True, slots=True)
class Merges:
    """Who was taken for whom in one clip."""

    n_people: int
    """In the truth."""
    n_persons: int
    """Found."""
    n_false_merges: int
    n_splits: int


def find_people(
    clip: Path, options: AnalyzeOptions, detector: Detector, describer: FaceDescriber | None = None
) -> Tracked:
    """Find, track and stitch the faces of a clip, as an analysis does."""
    people = People(options, options.regions, describer)
    tracks: dict[int, Boxes] = {}
    with open_video(clip) as video:
        detect = KeyFrameDetector(detector, options, options.regions)
        samples = sample_frames(video.frames(Selection.of(options)), FrameSampler(regions=options.regions))
        for tracked in people.track((sample, detect(sample)) for sample in samples):
            boxes = Boxes(tracked.faces.xyxy, tracked.track_id)
            tracks[tracked.sample.frame.index] = boxes[tracked.track_id != UNTRACKED]
        person_of = {track.track_id: track.person_id for track in people.finish(end_s=video.end_s)}
    persons = {index: _rename(boxes, person_of) for index, boxes in tracks.items()}
    return Tracked(tracks, persons)


def _rename(boxes: Boxes, person_of: dict[int, int | None]) -> Boxes:
    ids = np.array([person_of[track] or UNTRACKED for track in boxes.ids.tolist()], np.int32)
    return replace(boxes, ids=ids)[ids != UNTRACKED]


def score(found: dict[int, Boxes], truth: Truth) -> Identity:
    """Compare the boxes of the analysed frames of a clip, by frame index, with the truth."""
    events = motmetrics.MOTAccumulator()
    for index, boxes in found.items():
        wanted, ignored = truth.get(index, (Boxes.empty(), Boxes.empty()))
        boxes = _drop_ignored(boxes, wanted, ignored)
        # Its own overlap function calls what numpy 2 no longer has.
        distances = 1 - iou(wanted.xyxy, boxes.xyxy).astype(np.float64)
        distances[distances > 1 - LEAST_IOU] = np.nan
        events.update(wanted.ids, boxes.ids, distances, frameid=index)
    table = motmetrics.metrics.create().compute(events, metrics=_METRICS)
    values = {name: table[name].iloc[0] for name in _METRICS}
    return Identity(
        idf1=float(values["idf1"]),
        n_switches=int(values["num_switches"]),
        mota=float(values["mota"]),
        recall=float(values["recall"]),
        precision=float(values["precision"]),
        n_false=int(values["num_false_positives"]),
        n_missed=int(values["num_misses"]),
    )


def count_merges(found: dict[int, Boxes], truth: Truth) -> Merges:
    """Count false merges and splits; arguments as of `score`."""
    n_boxes: Counter[int] = Counter()
    n_covered: Counter[tuple[int, int]] = Counter()
    for index, boxes in found.items():
        wanted = truth.get(index, (Boxes.empty(), Boxes.empty()))[0]
        n_boxes.update(wanted.ids.tolist())
        for one, person in _match(wanted, boxes):
            n_covered[int(wanted.ids[one]), int(boxes.ids[person])] += 1
    pairs = [(one, person) for (one, person), n in n_covered.items() if n >= LEAST_SHARE * n_boxes[one]]
    of_person, of_one = Counter(person for _, person in pairs), Counter(one for one, _ in pairs)
    return Merges(
        n_people=len(n_boxes),
        n_persons=len({int(i) for boxes in found.values() for i in boxes.ids}),
        n_false_merges=sum(n - 1 for n in of_person.values()),
        n_splits=sum(n - 1 for n in of_one.values()),
    )


def _match(wanted: Boxes, boxes: Boxes) -> list[tuple[int, int]]:
    overlap = iou(wanted.xyxy, boxes.xyxy)
    pairs = zip(*linear_sum_assignment(-overlap), strict=True)
    return [(int(i), int(j)) for i, j in pairs if overlap[i, j] >= LEAST_IOU]


def _drop_ignored(boxes: Boxes, wanted: Boxes, ignored: Boxes) -> Boxes:
    every = Boxes.concatenate([wanted, ignored])
    keep = np.ones(len(boxes.ids), np.bool_)
    for row, one in _match(boxes, every):
        keep[row] = one < len(wanted.ids)
    return boxes[keep]


def track_with_bytetrack(clip: Path, options: AnalyzeOptions, detector: Detector) -> dict[int, Boxes]:
    """Track the same detections with ByteTrack, at its defaults but for the score of certain detections."""
    supervision: Any = importlib.import_module("supervision")
    tracks: dict[int, Boxes] = {}
    with open_video(clip) as video:
        rate = (video.info.frame_rate or 25.0) / options.every
        tracker = supervision.ByteTrack(track_activation_threshold=options.score, frame_rate=rate)
        for frame in video.frames(Selection.of(options)):
            (found,) = detector.detect([frame], 0.3)
            named = tracker.update_with_detections(
                supervision.Detections(xyxy=found.xyxy, confidence=found.score)
            )
            tracks[frame.index] = Boxes(named.xyxy.astype(np.float32), named.tracker_id.astype(np.int32))
    return tracks


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per clip."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path, metavar="CLIP")
    parser.add_argument("--truth", type=Path, metavar="FOLDER", help="<clip>.txt per clip")
    parser.add_argument("--recordings", type=Path, metavar="FOLDER", help="make clips from these, too")
    parser.add_argument("--made", type=Path, metavar="FOLDER", help="where the made clips are, or will be")
    parser.add_argument("--every", type=int, nargs="+", default=[1], help="analyse every Nth frame")
    parser.add_argument("--min-face", type=int, help="as of `ferflow analyze`")
    parser.add_argument("--stitch", help="as of `ferflow analyze`")
    parser.add_argument("--region", type=lambda text: (text,), help="as of `ferflow analyze`; one")
    parser.add_argument("--bytetrack", action="store_true", help="compare with ByteTrack")
    chosen = parser.parse_args(arguments)
    clips = [(clip, chosen.truth / f"{clip.stem}.txt") for clip in chosen.clips]
    if chosen.made is not None:
        made = make_clips(chosen.recordings, chosen.made) if chosen.recordings else _list_made(chosen.made)
        clips += [(clip, chosen.made / "gt" / f"{clip.stem}.txt") for clip in made]
    options = AnalyzeOptions().updated(min_face=chosen.min_face, stitch=chosen.stitch, region=chosen.region)
    detector = make_detector(options)
    describer = make_describer(options)
    print(_HEADING + ("  ByteTrack" if chosen.bytetrack else ""))
    for every in chosen.every:
        for clip, truth in clips:
            found = find_people(clip, options.updated(every=every), detector, describer)
            line = format_line(clip, every, found, read_truth(truth))
            if chosen.bytetrack:
                tracks = track_with_bytetrack(clip, options.updated(every=every), detector)
                line += f"  {score(tracks, read_truth(truth)).idf1:9.3f}"
            print(line, flush=True)


_HEADING = f"{'clip':40} every people persons merges splits   IDF1  (tracks) switches   MOTA recall precision"


def _list_made(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != "gt")


def format_line(clip: Path, every: int, found: Tracked, known: Truth) -> str:
    """A line of the table."""
    persons, tracks = score(found.persons, known), score(found.tracks, known)
    merges = count_merges(found.persons, known)
    return (
        f"{clip.stem[-40:]:40} {every:5d} {merges.n_people:6d} {merges.n_persons:7d} "
        f"{merges.n_false_merges:6d} {merges.n_splits:6d}  {persons.idf1:5.3f}   ({tracks.idf1:5.3f}) "
        f"{persons.n_switches:8d} {persons.mota:6.3f} {persons.recall:6.3f} {persons.precision:9.3f}"
    )


if __name__ == "__main__":
    main()
