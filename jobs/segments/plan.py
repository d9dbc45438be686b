"""Where the segments of a video begin, and what must be the same when a run that was interrupted goes on."""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from ferflow.jobs.segments.observe import NextCut
from ferflow.jobs.video_job import identify_detector, identify_model
from ferflow.media.fingerprint import Fingerprint
from ferflow.media.parts import Part
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write
from ferflow.store.metadata import VideoMetadata, from_json_values, to_json_values
from ferflow.store.segment_files import MOST_PLAN_BYTES, SegmentFiles
from ferflow.version import __version__

_TOLERANCE = 0.1
"""Of a segment: a video that is longer by less is not split for it."""
_MOST_ROUNDS = 4
"""Segments per worker from which on one more or less does not keep workers waiting for the last one."""
_LEAST_SHARE = 0.25
"""Of the length that is asked for, to which segments are shortened so that each worker has as many."""


class SegmentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The segments of a video."""

    basis: str
    """Hash of what results depend on; see `basis_of`."""
    source: str
    """Path of the video; `segment_files.find_segmented` reads it."""
    signature: str
    """Of the source, see `media.fingerprint`."""
    sha256: str
    of_seconds: float | None
    """Duration of the video as its header states it; None: unknown."""
    parts: tuple[Part, ...]

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the source."""
        return Fingerprint(self.signature, self.sha256)


class SegmentState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a finished segment besides its tables."""

    basis: str
    digest: str
    """Of its tables, see `SegmentFiles.digest`."""
    metadata: dict[str, Any]
    """Those of a video that consists of it; frames are counted from the start of the file."""
    regions: tuple[str, ...]
    """In which faces were looked for, as options have them; empty: all of the picture."""
    next_cuts: tuple[NextCut, ...]
    """See `observe.PartObserver`."""

    @property
    def video(self) -> VideoMetadata:
        """Its metadata."""
        return from_json_values(self.metadata, VideoMetadata)


def count_segments(length_s: float, minutes: float, n_workers: int) -> int:
    """Into how many segments a stretch of video is split; 1: it is not.

    None is much longer than asked for. They are of equal length, and their number is a multiple of the number of
    workers where a worker gets few of them: otherwise all others would wait for the last ones.
    """
    count = math.ceil(length_s / (minutes * 60) - _TOLERANCE)
    if count <= 1:
        return 1
    if count >= _MOST_ROUNDS * n_workers:
        return count
    even = math.ceil(count / n_workers) * n_workers
    return max(count, min(even, int(length_s / (minutes * 60 * _LEAST_SHARE))))


def basis_of(options: AnalyzeOptions, tools: Tools, minutes: float, sha256: str) -> str:
    """Hash of what the files of segments depend on.

    Args:
        options: of the video.
        tools: detector and classifier.
        minutes: length of segments that is asked for.
        sha256: of the content of the video.
    """
    models = [to_json_values(identify_model(tools)), to_json_values(identify_detector(tools))]
    # `detect` is in the digest only as far as it changes the tables of one version.
    content = [__version__, options.digest(), options.detect, models, minutes, sha256]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def load_plan(files: SegmentFiles, basis: str | None = None) -> SegmentPlan | None:
    """The plan of a video; None: there is none, it cannot be read, or is of other options or another content."""
    plan = _load(files.plan, SegmentPlan)
    return plan if plan is not None and basis in (None, plan.basis) else None


def save_plan(files: SegmentFiles, plan: SegmentPlan) -> None:
    """Write it."""
    with atomic_write(files.plan, out=files.out) as part:
        part.write_bytes(msgspec.json.encode(plan))


def load_state(files: SegmentFiles, number: int, basis: str) -> SegmentState | None:
    """What is known of a segment; None: it is not finished, is of another plan, or its tables were changed since."""
    state: SegmentState | None = _load(files.state(number), SegmentState)
    with suppress(OSError):
        if state is not None and state.basis == basis and state.digest == files.digest(number):
            return state
    return None


def save_state(files: SegmentFiles, number: int, state: SegmentState) -> None:
    """Write it, after the tables of the segment: this finishes it."""
    with atomic_write(files.state(number), out=files.out) as part:
        part.write_bytes(json.dumps(structs.asdict(state)).encode())


def _load(path: Path, kind: type[Any]) -> Any:
    with suppress(OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return msgspec.json.decode(read_plain_file(path, MOST_PLAN_BYTES), type=kind)
    return None
