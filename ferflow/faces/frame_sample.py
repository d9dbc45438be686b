"""Frames with what is computed from them before detection: cuts, brightness, and whether the detector runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ferflow.faces.regions import split_frame
from ferflow.faces.shot_detector import Change, ShotCutDetector
from ferflow.media.video import Frame
from ferflow.regions import Region
from ferflow.types import UInt8Array

_BRIGHTNESS_LEVELS = 8.0
"""Change of the mean luma (0-255) since the last key frame that makes a frame a key frame."""


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
    thumbs: tuple[UInt8Array, ...] = ()
    """Thumbnails of the luma, uint8 (36, 64), per region."""

    @property
    def is_cut(self) -> bool:
        """Whether a new shot starts in any region."""
        return any(self.cuts)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.frame.planes.width, self.frame.planes.height


class FrameSampler:
    """Looks for cuts, and chooses the key frames, on which the detector runs: every Nth, and where the picture changes.

    It has state: one per video or stream.
    """

    def __init__(
        self,
        *,
        regions: Sequence[Region] = (),
        detect_stride: int = 1,
        key_seconds: float | None = None,
    ) -> None:
        """Make a sampler for one video.

        Args:
            regions: the parts of the picture in which cuts are looked for.
            detect_stride: every Nth frame is a key frame.
            key_seconds: in place of the stride: longest time between key frames, and a change of brightness makes one.
        """
        self._regions, self._detect_stride, self._key_seconds = regions, detect_stride, key_seconds
        self._detectors = [ShotCutDetector() for _ in regions or (None,)]
        self._last_size: tuple[int, int] | None = None
        self._n_since_key = 0
        self._last_s = self._key_s = self._key_luma = 0.0

    def sample(self, frame: Frame) -> FrameSample:
        """The next frame, with what is computed from it.

        Raises:
            VideoError: a region is outside of the picture.
        """
        parts = split_frame(frame, self._regions)
        cuts = tuple(
            shots.update(part.frame.planes.y) for shots, part in zip(self._detectors, parts, strict=True)
        )
        thumbs = tuple(shots.thumb for shots in self._detectors)
        sample = FrameSample(frame, cuts, frame.planes.luma_mean(), thumbs=thumbs)
        # Also at a cut: faces of the old shot must not be interpolated into the new one.
        is_key = sample.is_cut or sample.size != self._last_size or self._is_due(sample)
        if is_key:
            self._n_since_key, self._key_s, self._key_luma = 0, frame.time_s, sample.luma_mean
        self._n_since_key += 1
        self._last_s, self._last_size = frame.time_s, sample.size
        return replace(sample, is_key=is_key)

    def _is_due(self, sample: FrameSample) -> bool:
        if self._key_seconds is None:
            return self._n_since_key % self._detect_stride == 0
        # The next frame will probably come after the same time as this one, and must not be later than that.
        now_s = sample.frame.time_s
        next_s = now_s + (now_s - self._last_s)
        is_late = next_s - self._key_s > self._key_seconds * 1.01
        return is_late or abs(sample.luma_mean - self._key_luma) > _BRIGHTNESS_LEVELS


def sample_frames(
    frames: Iterable[Frame],
    *,
    regions: Sequence[Region] = (),
    detect_stride: int = 1,
    key_seconds: float | None = None,
) -> Iterator[FrameSample]:
    """See `FrameSampler`.

    Raises:
        VideoError: a region is outside of the picture.
    """
    sampler = FrameSampler(regions=regions, detect_stride=detect_stride, key_seconds=key_seconds)
    for frame in frames:
        yield sampler.sample(frame)
        del frame  # it would stay in memory while the next one is decoded
