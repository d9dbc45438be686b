"""Options that several commands share: how faces are found, followed and classified."""

from __future__ import annotations

from typing import Annotated

import typer

from ferflow.cli.common import DEFAULTS
from ferflow.options import BackendName, DetectorName, DeviceName, StitchName

MinFace = Annotated[
    int | None,
    typer.Option(
        help="Height of the smallest face to detect, in source pixels, 10 or more.  [default: 1/15 of the short "
        "side of the picture, at least 24]",
        metavar="PX",
    ),
]
Detector = Annotated[
    DetectorName | None,
    typer.Option(
        help=f"Face detector; haar finds fewer faces and gives no head pose.  [default: {DEFAULTS.detector}]"
    ),
]
Detect = Annotated[
    str | None,
    typer.Option(
        help="Search all of every frame for faces (full); or all of it at cuts and every 0.2 s, and around the "
        "places where faces are expected in between (auto); or every Nth frame, N up to 16, and interpolate boxes.  "
        f"[default: {DEFAULTS.detect}]",
        metavar="auto|full|every:N",
    ),
]
Score = Annotated[
    float | None,
    typer.Option(
        help=f"Ignore detections with a lower score, 0.1 to 1; no effect with haar.  [default: {DEFAULTS.score}]",
        metavar="S",
    ),
]
ExpressionModel = Annotated[
    str | None,
    typer.Option(
        help="Expression model: default, fer2013 or ferplus (see ferflow models), or the folder or card of one "
        f"that you trained.  [default: {DEFAULTS.model}]",
        metavar="NAME|PATH",
    ),
]
Participants = Annotated[
    int | None,
    typer.Option(
        help="Known number of people in each video: only the N largest faces of a frame count, and there are at "
        "most N track ids.  [default: unknown]",
        metavar="N",
    ),
]
Stitch = Annotated[
    StitchName | None,
    typer.Option(
        help="Recognise a person who returns by the colours of clothing and hair (colour), by the face (face; needs"
        f" ferflow[face], nothing of it is stored), or not at all (off).  [default: {DEFAULTS.stitch}]"
    ),
]
BinSeconds = Annotated[
    float | None,
    typer.Option(
        "--bin",
        help="Length of a timeline bin; may be changed later without a new analysis.  [default: "
        f"{DEFAULTS.bin_seconds:g}]",
        metavar="SECONDS",
    ),
]
Device = Annotated[
    DeviceName | None,
    typer.Option(
        help=f"Where faces are classified; auto: on a GPU if possible.  [default: {DEFAULTS.device}]"
    ),
]
Backend = Annotated[
    BackendName | None,
    typer.Option(
        help="Runtime: onnx, or keras (TensorFlow; needs ferflow[train]); auto: onnx, unless only TensorFlow "
        f"can use the GPU.  [default: {DEFAULTS.backend}]"
    ),
]
