"""Frames with what is computed from them before detection: cuts, brightness, and whether the detector runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ferflow.faces.regions import split_frame
from ferflow.faces.shot_detector import Change, ShotCutDetector
from ferflow.media.planes import Planes
from ferflow.media.video import Frame
from ferflow.regions import Region
from ferflow.types import UInt8Array

_MOST_BETWEEN_KEYS = 12
"""Most frames from one key frame to the next, as these are kept in memory: 0.2 s at 60 frames per second."""
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
    """All of it is searched for faces; other frames get theirs with the help of the key frames around them."""
    is_repeat: bool = False
    """Its planes equal those of the last frame, so that its faces do, too."""
    is_as_key: bool = False
    """Its planes equal those of the last key frame."""
    is_alone: bool = False
    """It and the frames before and after it are key frames, so that nothing is searched between them."""
    thumbs: tuple[UInt8Array, ...] = ()
    """Thumbnails of the luma, uint8 (36, 64), per region."""

    @property
    def is_searched(self) -> bool:
        """Whether the detector runs on all of it."""
        return self.is_key and not self.is_as_key

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
        finds_repeats: bool = False,
    ) -> None:
        """Make a sampler for one video.

        Args:
            regions: the parts of the picture in which cuts are looked for.
            detect_stride: every Nth frame is a key frame.
            key_seconds: in place of the stride: longest time between key frames, and a change of brightness makes one.
            finds_repeats: look for frames with the picture of the one before.
        """
        self._finds_repeats = finds_repeats
        self._last_planes: Planes | None = None
        self._is_held = self._is_as_key = False
        self.n_repeated = 0
        """Frames with the picture of the one before."""
        self._regions, self._detect_stride, self._key_seconds = regions, detect_stride, key_seconds
        self._detectors = [ShotCutDetector() for _ in regions or (None,)]
        self._last_size: tuple[int, int] | None = None
        self._n_since_key = 0
        self._last_s = self._key_s = self._key_luma = self._last_luma = 0.0

    def sample(self, frame: Frame) -> FrameSample:
        """The next frame, with what is computed from it.

        Raises:
            VideoError: a region is outside of the picture.
        """
        was_held, last = self._is_held, self._last_planes
        self._is_held = self._repeats_last(frame.planes)
        if self._is_held and last is not None:
            # One picture in memory, and what is computed from it can be recognised as computed.
            frame = replace(frame, planes=last)
            cuts, luma_mean = tuple(shots.repeat() for shots in self._detectors), self._last_luma
        else:
            parts = split_frame(frame, self._regions)
            cuts = tuple(
                shots.update(part.frame.planes.y) for shots, part in zip(self._detectors, parts, strict=True)
            )
            luma_mean = self._last_luma = frame.planes.luma_mean()
        thumbs = tuple(shots.thumb for shots in self._detectors)
        sample = FrameSample(frame, cuts, luma_mean, thumbs=thumbs)
        # Also at a cut: faces of the old shot must not be interpolated into the new one.
        # A picture after one that was held will probably be held, too, and its repeats then need no search.
        is_next = self._key_seconds is not None and was_held and not self._is_held
        is_key = sample.is_cut or sample.size != self._last_size or self._is_due(sample) or is_next
        is_as_key = self._is_held and self._is_as_key
        self._is_as_key = is_key or is_as_key
        if is_key:
            self._n_since_key, self._key_s, self._key_luma = 0, frame.time_s, sample.luma_mean
        self._n_since_key += 1
        self._last_s, self._last_size = frame.time_s, sample.size
        return replace(sample, is_key=is_key, is_repeat=self._is_held, is_as_key=is_as_key)

    def _repeats_last(self, planes: Planes) -> bool:
        if not self._finds_repeats:
            return False
        is_repeat = self._last_planes is not None and planes.equals(self._last_planes)
        if not is_repeat:
            self._last_planes = planes
        self.n_repeated += is_repeat
        return is_repeat

    def _is_due(self, sample: FrameSample) -> bool:
        if self._key_seconds is None:
            return self._n_since_key % self._detect_stride == 0
        # The next frame will probably come after the same time as this one, and must not be later than that.
        now_s = sample.frame.time_s
        next_s = now_s + (now_s - self._last_s)
        is_late = next_s - self._key_s > self._key_seconds * 1.01
        is_brighter = abs(sample.luma_mean - self._key_luma) > _BRIGHTNESS_LEVELS
        return is_late or is_brighter or self._n_since_key >= _MOST_BETWEEN_KEYS


def sample_frames(frames: Iterable[Frame], sampler: FrameSampler) -> Iterator[FrameSample]:
    """See `FrameSampler`.

    Raises:
        VideoError: a region is outside of the picture.
    """
    for frame in frames:
        yield sampler.sample(frame)
        del frame  # it would stay in memory while the next one is decoded


def mark_alone(samples: Iterable[FrameSample]) -> Iterator[FrameSample]:
    """The same frames, one later, with `FrameSample.is_alone`; the first and the last one have no neighbour."""
    before, now = True, None
    for sample in samples:
        if now is not None:
            yield replace(now, is_alone=before and now.is_key and sample.is_searched)
            before = now.is_key
        now = sample
        del sample  # its frame would stay in memory while the next one is decoded
    if now is not None:
        yield replace(now, is_alone=before and now.is_key)
