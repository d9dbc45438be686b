"""How small and how blurred a face may be before its expression is misread.

    python -m ferflow.jobs.benchmarks.readability FOLDER [--model NAME]

FOLDER holds two photographs per person, `<id>_neutral.jpg` and `<id>_happy.jpg`. Each face is made smaller, compressed
as in a video, or blurred, and read again with the same box, as the analysis would read it. For each disturbance a line
is printed: the median side of the faces in pixels, quantiles of `sharpness`, the share of neutral and of happy faces
that count as expressive, the share of people whose smile is more expressive than their neutral face, and the mean
change of expressiveness against the undisturbed photograph. The last lines show what a calibration by the own neutral
photograph changes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ferflow.analytics.expressions import NO_PRIOR, reweight
from ferflow.analytics.face_scores import LARGEST_SHIFT, RESTING_LOG_ODDS
from ferflow.analytics.measures import EXPRESSIVE_THRESHOLD, NEUTRAL_LABEL
from ferflow.faces.crops import FaceCrops, crop_faces
from ferflow.faces.detections import Detections
from ferflow.media.encode import VideoSettings, open_video_writer
from ferflow.media.planes import Planes
from ferflow.media.video import Frame, Selection, open_video
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.types import Float64Array, UInt8Array

SIZES_PX = (12, 16, 20, 24, 28, 32, 40, 48, 64, 96)
COMPRESSIONS = (23, 30)
"""CRF of H.264: usual, strong."""
BLURRED_AT_PX = 96
BLURS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1)
"""Standard deviation of a Gaussian, as a share of the face."""
MOTIONS = (0.05, 0.1, 0.15, 0.2, 0.3)
"""Distance that the face moves during the exposure, as a share of the face."""
CANVAS = (640, 360)
"""Size of the compressed picture: the smaller a face is in it, the fewer bits it gets."""
UNDISTURBED = "undisturbed"
TESTED = "40 px, H.264 crf 23"
"""Disturbance whose pictures test a calibration by the undisturbed photographs."""
BOUNDS = (0.0, 1.0, LARGEST_SHIFT, 2.0, 3.0)
"""Of the shift of a calibration; 0: none."""
N_STILL = 4
"""Frames for which each compressed face is shown; the last one is read."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture with one face."""

    name: str
    luma: UInt8Array
    """uint8 (H, W), 0-255."""
    face: Detections

    @property
    def frame(self) -> Frame:
        """As the analysis gets it."""
        return Frame(0, 0, Fraction(0), Planes(self.luma, None, None, full_range=True))


@dataclass(frozen=True, slots=True)
class Reading:
    """What the analysis says of N portraits. Arrays of length N."""

    face_px: Float64Array
    sharpness: Float64Array
    expressiveness: Float64Array

    @property
    def log_odds(self) -> Float64Array:
        """Of any expression against rest; 0 where expressiveness is a half."""
        return np.asarray(np.log(self.expressiveness / (1 - self.expressiveness)))


def read_portraits(folder: Path, tools: Tools) -> list[Portrait]:
    """The photographs of a folder by name, each with its largest face; those without a face are dropped."""
    found = []
    for path in sorted(folder.glob("*_*.jpg")):
        with open_video(path) as picture:
            frame = next(picture.frames(Selection()))
            face = tools.detector.detect([frame])[0].largest(1)
            luma = frame.planes.to_full_range(frame.planes.y).copy()
        if len(face):
            found.append(Portrait(path.stem, luma, face))
    return found


def read(portraits: Sequence[Portrait], tools: Tools) -> Reading:
    """Classify portraits as the analysis does."""
    no_track = np.zeros(1, np.int32)
    crops = sum(
        (crop_faces(one.frame, one.face, no_track, tools.crop_shape) for one in portraits),
        start=FaceCrops.empty(tools.crop_shape),
    )
    card = tools.classifier.card
    scores = dict(zip(card.labels, tools.classifier(crops.images).T.astype(np.float64), strict=True))
    neutral = reweight(scores, card.neutral_prior or NO_PRIOR)[NEUTRAL_LABEL]
    return Reading(crops.face_px.astype(np.float64), crops.sharpness.astype(np.float64), 1 - neutral)


# --- Disturbances ---------------------------------------------------------------------------------------


def resize(portrait: Portrait, scale: float) -> Portrait:
    """The portrait at a share of its size; never larger."""
    height, width = portrait.luma.shape
    size = round(width * min(scale, 1)), round(height * min(scale, 1))
    luma = cv2.resize(portrait.luma, size, interpolation=cv2.INTER_AREA)
    factor = np.array([size[0] / width, size[1] / height], np.float32)
    face = portrait.face
    xyxy = (face.xyxy.reshape(-1, 2, 2) * factor).reshape(-1, 4)
    return Portrait(
        portrait.name,
        luma.astype(np.uint8, copy=False),
        Detections(xyxy, face.score, face.landmarks * factor),
    )


def compress(portraits: Sequence[Portrait], crf: int) -> list[Portrait]:
    """The portraits as they are after compression, each in a corner of a picture that is otherwise gray."""
    width, height = CANVAS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portraits.mp4"
        with open_video_writer(path, VideoSettings(size=CANVAS, crf=crf)) as writer:
            for i, one in enumerate(portraits):
                canvas = np.full((height, width, 3), 110, np.uint8)
                part = one.luma[:height, :width]
                canvas[: part.shape[0], : part.shape[1]] = part[..., None]
                for k in range(i * N_STILL, (i + 1) * N_STILL):
                    writer.write(canvas, Fraction(k, 25))
        pictures = list(_last_pictures(path))
    return [replace(one, luma=luma) for one, luma in zip(portraits, pictures, strict=True)]


def _last_pictures(path: Path) -> Iterator[UInt8Array]:
    with open_video(path) as video:
        for frame in video.frames(Selection()):
            if frame.index % N_STILL == N_STILL - 1:
                yield frame.planes.to_full_range(frame.planes.y).copy()


def blur(portrait: Portrait, share: float) -> Portrait:
    """Out of focus by a share of `BLURRED_AT_PX`."""
    blurred = cv2.GaussianBlur(portrait.luma, (0, 0), share * BLURRED_AT_PX)
    return replace(portrait, luma=blurred.astype(np.uint8, copy=False))


def smear(portrait: Portrait, share: float, *, vertical: bool) -> Portrait:
    """As if the face had moved by a share of `BLURRED_AT_PX` during the exposure."""
    length = max(1, round(share * BLURRED_AT_PX))
    kernel = np.full((length, 1) if vertical else (1, length), 1 / length, np.float32)
    return replace(portrait, luma=cv2.filter2D(portrait.luma, -1, kernel).astype(np.uint8, copy=False))


def disturbances(portraits: Sequence[Portrait], tools: Tools) -> Iterator[tuple[str, Sequence[Portrait]]]:
    """The portraits disturbed in each of the ways, by name."""

    def at_size(side: float) -> list[Portrait]:
        return [resize(one, side / _side(one, tools)) for one in portraits]

    yield UNDISTURBED, portraits
    for side in SIZES_PX:
        small = at_size(side)
        yield f"{side} px", small
        for crf in COMPRESSIONS:
            yield f"{side} px, H.264 crf {crf}", compress(small, crf)
    usual = at_size(BLURRED_AT_PX)
    for share in BLURS:
        yield f"blurred by {share:.0%} of the face", [blur(one, share) for one in usual]
    for vertical, way in ((False, "sideways"), (True, "up or down")):
        for share in MOTIONS:
            yield f"moved {way} by {share:.0%}", [smear(one, share, vertical=vertical) for one in usual]


def _side(portrait: Portrait, tools: Tools) -> float:
    top, bottom = portrait.face.xyxy[0, [1, 3]]
    return float(bottom - top) * tools.detector.crop_side


# --- Results --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the table."""

    face_px: float
    """Median."""
    sharpness: tuple[float, float, float]
    """Quantiles 10 %, 50 %, 90 %."""
    neutral_expressive: float
    happy_expressive: float
    """Shares of the faces."""
    own_smile_above: float
    """Share of people whose smile is more expressive than their own neutral face."""
    change: float
    """Mean absolute change of expressiveness against the undisturbed photograph."""


def pair_up(names: Sequence[str], values: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Values (P,) of the neutral and of the happy faces of the people with both."""
    of = dict(zip(names, values, strict=True))
    people = [name.removesuffix("_neutral") for name in names if name.endswith("_neutral")]
    both = [person for person in people if f"{person}_happy" in of]
    neutral, happy = (np.array([of[f"{person}_{kind}"] for person in both]) for kind in ("neutral", "happy"))
    return neutral, happy


def summarise(names: Sequence[str], reading: Reading, undisturbed: Reading) -> Summary:
    """Sum up a reading of all portraits of these names."""
    neutral, happy = pair_up(names, reading.expressiveness)
    low, middle, high = np.quantile(reading.sharpness, [0.1, 0.5, 0.9])
    return Summary(
        face_px=float(np.median(reading.face_px)),
        sharpness=(float(low), float(middle), float(high)),
        neutral_expressive=float((neutral >= EXPRESSIVE_THRESHOLD).mean()),
        happy_expressive=float((happy >= EXPRESSIVE_THRESHOLD).mean()),
        own_smile_above=float((happy > neutral).mean()),
        change=float(np.abs(reading.expressiveness - undisturbed.expressiveness).mean()),
    )


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Shares of the faces that count as expressive when people are calibrated by their own neutral photograph."""

    bound: float
    """Of the shift, log odds."""
    neutral_expressive: float
    happy_expressive: float


def calibrate(
    names: Sequence[str], undisturbed: Reading, tested: Reading, bound: float, *, reference: float
) -> Calibrated:
    """Calibrate by the undisturbed neutral photographs, and test on other pictures of the same people.

    Args:
        names: of the portraits.
        undisturbed: reading whose neutral faces show each person at rest.
        tested: reading of the pictures that are counted.
        bound: of the shift, log odds.
        reference: log odds of a typical face at rest.
    """
    at_rest, _ = pair_up(names, undisturbed.log_odds)
    neutral, happy = pair_up(names, tested.log_odds)
    shift = np.clip(at_rest - reference, -bound, bound)
    return Calibrated(bound, float((neutral >= shift).mean()), float((happy >= shift).mean()))


def show(name: str, summary: Summary) -> str:
    """A line for people."""
    sharpness = "/".join(f"{value:.0f}" for value in summary.sharpness)
    return (
        f"{name:30}{summary.face_px:7.0f}{sharpness:>18}{summary.neutral_expressive:10.2f}"
        f"{summary.happy_expressive:8.2f}{summary.own_smile_above:8.2f}{summary.change:8.3f}"
    )


def show_calibration(names: Sequence[str], undisturbed: Reading, tested: Reading) -> Iterator[str]:
    """Lines for people."""
    at_rest, _ = pair_up(names, undisturbed.log_odds)
    quantiles = ", ".join(f"{value:.1f}" for value in np.quantile(at_rest, [0.05, 0.25, 0.5, 0.75, 0.95]))
    yield f"log odds of neutral faces, quantiles 5, 25, 50, 75, 95 %: {quantiles}"
    yield f"calibrated by the own neutral face, tested on {TESTED}, reference {RESTING_LOG_ODDS:g}:"
    for bound in BOUNDS:
        one = calibrate(names, undisturbed, tested, bound, reference=RESTING_LOG_ODDS)
        yield f"  shift up to {bound:g}: neutral {one.neutral_expressive:.2f}, happy {one.happy_expressive:.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line per disturbance, then the effect of a calibration."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", help="as of `ferflow analyze`")
    asked = parser.parse_args(arguments)
    tools = Tools.load(AnalyzeOptions().updated(model=asked.model))
    portraits = read_portraits(asked.folder, tools)
    names = [one.name for one in portraits]
    readings: dict[str, Reading] = {}
    print(f"{len(names)} faces")
    print(f"{'':30}{'px':>7}{'sharpness':>18}{'neutral':>10}{'happy':>8}{'own':>8}{'change':>8}")
    for name, disturbed in disturbances(portraits, tools):
        readings[name] = read(disturbed, tools)
        print(show(name, summarise(names, readings[name], readings[UNDISTURBED])), flush=True)
    print(*show_calibration(names, readings[UNDISTURBED], readings[TESTED]), sep="\n")


if __name__ == "__main__":
    main()
