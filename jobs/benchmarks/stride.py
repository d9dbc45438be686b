"""What `--detect every:N` costs in faces, and what it saves.

    python -m ferflow.jobs.benchmarks.stride VIDEO... [--every 2 3 5 10]

Faces detected in every frame are the reference. A reference face counts as found if a face of the
same frame overlaps it by at least 0.5; a face that overlaps none counts as false.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferflow.faces.detections import iou
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools, analyze
from ferflow.store.records import FaceRows
from ferflow.types import Float32Array

LEAST_IOU = 0.5

Boxes = dict[int, Float32Array]
"""xyxy, float32 (N, 4), by frame index."""


def find_boxes(video: Path, options: AnalyzeOptions, tools: Tools) -> tuple[Boxes, float]:
    """Find the faces of a video; also returns the processor seconds that it took."""
    started, found = time.process_time(), defaultdict(list)
    for rows in analyze(video, options, tools=tools):
        if isinstance(rows, FaceRows):
            batch = rows.batch
            xyxy = np.stack([batch[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)
            for index, box in zip(batch["frame_index"].to_pylist(), xyxy, strict=True):
                found[index].append(box)
    seconds = time.process_time() - started
    return {index: np.array(boxes, np.float32) for index, boxes in found.items()}, seconds


def count_agreement(reference: Boxes, boxes: Boxes) -> tuple[int, int, int]:
    """Count reference faces found, reference faces, and false faces."""
    nothing = np.zeros((0, 4), np.float32)
    n_found = n_false = 0
    for index in reference.keys() | boxes.keys():
        overlap = iou(reference.get(index, nothing), boxes.get(index, nothing)) >= LEAST_IOU
        n_found += int(overlap.any(axis=1).sum())
        n_false += int((~overlap.any(axis=0)).sum())
    return n_found, sum(map(len, reference.values())), n_false


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per stride, over all videos."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument(
        "--every", nargs="+", type=int, default=[2, 3, 5, 10], metavar="N", help="strides to measure"
    )
    chosen = parser.parse_args(arguments)
    tools = Tools.load(AnalyzeOptions())
    references = {video: find_boxes(video, AnalyzeOptions(), tools) for video in chosen.videos}
    print("every  recall  false per true  CPU time")
    for stride in chosen.every:
        found = true = false = 0
        spent = spent_before = 0.0
        for video, (reference, seconds) in references.items():
            boxes, now = find_boxes(video, AnalyzeOptions(detect=f"every:{stride}"), tools)
            counts = count_agreement(reference, boxes)
            found, true, false = found + counts[0], true + counts[1], false + counts[2]
            spent, spent_before = spent + now, spent_before + seconds
        print(
            f"{stride:5d}  {found / true:6.3f}  {false / true:14.3f}  {spent / spent_before:7.0%}", flush=True
        )


if __name__ == "__main__":
    main()
