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


class FrameSampler:
    """Looks for cuts, and chooses the frames on which the detector runs: every Nth, and where the picture changes.

    It has state: one per video or stream.
    """

    def __init__(self, *, regions: Sequence[Region] = (), detect_stride: int = 1) -> None:
        self._regions, self._detect_stride = regions, detect_stride
        self._detectors = [ShotCutDetector() for _ in regions or (None,)]
        self._last_size: tuple[int, int] | None = None
        self._n_since_key = 0

    def sample(self, frame: Frame) -> FrameSample:
        """The next frame, with what is computed from it.

        Raises:
            VideoError: a region is outside of the picture.
        """
        parts = split_frame(frame, self._regions)
        cuts = tuple(
            shots.update(part.frame.planes.y) for shots, part in zip(self._detectors, parts, strict=True)
        )
        sample = FrameSample(frame, cuts, frame.planes.luma_mean())
        # Also at a cut: faces of the old shot must not be interpolated into the new one.
        is_key = (
            sample.is_cut or sample.size != self._last_size or self._n_since_key % self._detect_stride == 0
        )
        self._n_since_key = 1 if is_key else self._n_since_key + 1
        self._last_size = sample.size
        return replace(sample, is_key=is_key)


def sample_frames(
    frames: Iterable[Frame], *, regions: Sequence[Region] = (), detect_stride: int = 1
) -> Iterator[FrameSample]:
    """See `FrameSampler`.

    Raises:
        VideoError: a region is outside of the picture.
    """
    sampler = FrameSampler(regions=regions, detect_stride=detect_stride)
    for frame in frames:
        yield sampler.sample(frame)
        del frame  # it would stay in memory while the next one is decoded
