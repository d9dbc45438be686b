"""Videos of sessions from which somebody was removed on request (`ferflow forget`): the source still shows them."""

from __future__ import annotations

from ferflow.errors import VideoError
from ferflow.store.metadata import VideoMetadata


def check_shows_nobody_removed(metadata: VideoMetadata, *, is_covered: bool = False) -> None:
    """Refuse to make a video that would show somebody who was removed from the session.

    Args:
        metadata: of the session.
        is_covered: whether all faces are covered, but for those of people who were named. Somebody who was removed
            cannot be named, and is covered.

    Raises:
        VideoError: it would.
    """
    if metadata.erasure is not None and not is_covered:
        raise VideoError(
            f"{metadata.source.name}: somebody was removed from this session on request, and a video of it would show "
            "them. Cover faces: --anonymize of ferflow annotate, ferflow clips and ferflow report --single-file."
        )
