"""Frames with what is computed from them before detection: cuts, brightness, and whether the detector runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ferflow.faces.regions import split_frame
from ferflow.faces.shot_detector import Change, ShotCutDetector
from ferflow.media.video import Frame
from ferflow.regions import Region


@dataclass(frozen=True, slots=True)
class FrameSample:
    """A frame, and what was computed from it before detection."""

    frame: Frame
    cuts: tuple[Change, ...]
    """Whether the frame starts a new shot, per region."""
    luma_mean: float
    """0-255."""
    is_key: bool = True
    """The detector runs on it."""

    @property
    def is_cut(self) -> bool:
        """Whether a new shot starts in any region."""
        return any(self.cuts)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.frame.planes.width, self.frame.planes.height


def sample_frames(
    frames: Iterable[Frame], *, regions: Sequence[Region] = (), detect_stride: int = 1
) -> Iterator[FrameSample]:
    """Look for cuts, and choose the frames on which the detector runs: every Nth, and where the picture changes.

    Raises:
        VideoError: a region is outside of the picture.
    """
    detectors = [ShotCutDetector() for _ in regions or (None,)]
    last_size, n_since_key = None, 0
    for frame in frames:
        parts = split_frame(frame, regions)
        cuts = tuple(shots.update(part.frame.planes.y) for shots, part in zip(detectors, parts, strict=True))
        sample = FrameSample(frame, cuts, frame.planes.luma_mean())
        # Also at a cut: faces of the old shot must not be interpolated into the new one.
        is_key = sample.is_cut or sample.size != last_size or n_since_key % detect_stride == 0
        n_since_key = 1 if is_key else n_since_key + 1
        last_size = sample.size
        yield replace(sample, is_key=is_key)
        del frame, parts, sample  # they would stay in memory while the next one is decoded
