"""A small copy of a video, for a page that has everything inside: few pixels, no sound, of a limited size."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ferflow.errors import VideoError
from ferflow.render.clips import fit_size, thin_out
from ferflow.render.removed_people import check_shows_nobody_removed
from ferflow.store.atomic_files import remove, temporary_path
from ferflow.store.metadata import VideoMetadata
from ferflow.system.child_process import call_in_child
from ferflow.text import timecode

if TYPE_CHECKING:
    from ferflow.media.video import Frame

_HEIGHTS = (360, 270, 180, 120)
"""Pixels, the first that the bit rate is enough for."""
_MOST_FPS = 15.0
_BITS_PER_PIXEL = 0.05
"""Below it, x264 at `medium` shows blocks in place of faces."""
_LEAST_BITS_PER_SECOND = 12_000
_SHARE = 0.9
"""Of the size that is asked of the encoder: it keeps a bit rate only about."""
_ATTEMPTS = 3
_LONGEST = Fraction(10**9)
"""Seconds; no video is as long."""


def copy_in_child(metadata: VideoMetadata, most_bytes: int, place: Path, anonymize: bool = False) -> bytes:
    """`copy_small` in a process of its own, in which a crash of a decoder costs nothing else."""
    content: bytes = call_in_child(copy_small, metadata, most_bytes, place, anonymize)
    return content


def copy_small(metadata: VideoMetadata, most_bytes: int, place: Path, anonymize: bool = False) -> bytes:
    """A copy of an analysed video as MP4 (H.264, upright, square pixels).

    Args:
        metadata: of the video.
        most_bytes: its size at most.
        place: a file in a folder of the output folder; there the copy is written under a temporary name, which
            `OutputFolder.remove_leftovers` knows, and removed.
        anonymize: cover all faces, and check that none is left; see `render.anonymize`.

    Raises:
        VideoError: the video is no longer at its path, cannot be read, or is too long for so few bytes; somebody was
            removed from its session, or a face may still show.
    """
    source, out = Path(metadata.source.path), place.parents[1]
    if not source.is_file():
        raise VideoError(f"{source.name}: not where it was analysed, so no copy of it can be made.")
    check_shows_nobody_removed(metadata, is_covered=anonymize)
    wanted = _SHARE * 8 * most_bytes / max(metadata.duration_s, 1.0)
    path, covered = temporary_path(place), temporary_path(place.with_name(f"covered.{place.name}"))
    if wanted < _LEAST_BITS_PER_SECOND:
        raise _refuse_size(metadata, most_bytes)
    try:
        if anonymize:
            _cover_faces(metadata, covered, out)
        for _ in range(_ATTEMPTS):
            if wanted < _LEAST_BITS_PER_SECOND:
                break
            _encode(metadata, covered if anonymize else None, path, int(wanted))
            size = path.stat().st_size
            if size <= most_bytes:
                return path.read_bytes()
            wanted *= _SHARE * most_bytes / size
    finally:
        remove(path, out=out, durable=False)
        remove(covered, out=out, durable=False)
    raise _refuse_size(metadata, most_bytes)


def _refuse_size(metadata: VideoMetadata, most_bytes: int) -> VideoError:
    least_mb = math.ceil(_LEAST_BITS_PER_SECOND * metadata.duration_s / 8 / _SHARE / 1e5) / 10
    return VideoError(
        f"{metadata.source.name}: {most_bytes / 1e6:g} MB are too few for {metadata.duration_s:.0f} s of video. Allow "
        f"at least {least_mb:g} MB, or no video."
    )


def _cover_faces(metadata: VideoMetadata, path: Path, out: Path) -> None:
    from ferflow.media.video import Reading
    from ferflow.render.anonymize import Anonymized, AnonymizeRequest, anonymize_video
    from ferflow.render.rewrite import WHOLE, Rewrite

    request = AnonymizeRequest(
        source=Path(metadata.source.path),
        stretch=WHOLE,
        wanted=Rewrite(target=path, out=out),
        method="blur",
        reading=Reading.again(metadata.options, metadata.source),
    )
    *_, made = anonymize_video(request)
    if isinstance(made, Anonymized) and made.residues:
        raise VideoError(
            f"{metadata.source.name}: a face may still show at {timecode(made.residues[0].time_s)} of the covered "
            "copy, so it is left out."
        )


def _encode(metadata: VideoMetadata, covered: Path | None, path: Path, bits_per_second: int) -> None:
    """Encode the video, or its covered copy."""
    from ferflow.media.encode import VideoSettings, open_video_writer
    from ferflow.media.video import Reading, open_video

    source = covered or Path(metadata.source.path)
    reading = Reading() if covered else Reading.again(metadata.options, metadata.source)
    with open_video(source, reading) as video:
        frames = thin_out(video.frames_between(Fraction(0), _LONGEST), _MOST_FPS)
        first = next(frames, None)
        if first is None:
            raise VideoError(f"{Path(metadata.source.path).name}: no frame of it can be read any more.")
        settings = VideoSettings(
            size=_choose_size(first, bits_per_second), bits_per_second=bits_per_second, preset="medium"
        )
        with open_video_writer(path, settings, out=path.parents[1]) as writer:
            writer.write(first.bgr(settings.size), Fraction(0))
            for frame in frames:
                writer.write(frame.bgr(settings.size), frame.time)


def _choose_size(frame: Frame, bits_per_second: int) -> tuple[int, int]:
    for most_height in _HEIGHTS:
        width, height = fit_size(frame, most_height)
        if width * height * _MOST_FPS * _BITS_PER_PIXEL <= bits_per_second:
            break
    return width, height
