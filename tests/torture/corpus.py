"""The torture corpus: what is put before ferflow, and what an independent reader makes of it.

A case says how many rows FRAMES must have if its maker knows; else `witness` says so, up to the damage.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import av.container

from tests.torture import broken, desks, odd, sound
from tests.torture.kinds import Case


def cases() -> list[Case]:
    """All of them; a name occurs once in its kind."""
    return [*sound.cases(), *broken.cases(), *odd.cases(), *desks.cases()]


def made(where: Path, chosen: Sequence[Case]) -> dict[str, Path]:
    """Write the inputs, a folder per kind; returns their paths by kind/name."""
    paths = {}
    for case in chosen:
        path = where / case.kind / case.name
        path.parent.mkdir(parents=True, exist_ok=True)
        case.make(path)
        paths[f"{case.kind}/{case.name}"] = path
    return paths


# PyAV 19 reads tags that are no UTF-8 without being asked, and has no such argument any more.
TAGS = {"metadata_errors": "ignore"} if hasattr(av.container.Container, "metadata_errors") else {}


def witness(path: Path, number: int | None = None) -> list[int | None]:
    """The pts of the sound frames an independent loop decodes, in order; what raises is passed over.

    Of the video stream with this number; None: of the first that is no cover picture.

    One thread, as decoders with several patch over damage differently.
    """
    found: list[int | None] = []
    try:
        with av.open(str(path), **TAGS) as file:
            stream = next(
                s
                for s in file.streams.video
                if not s.disposition & av.stream.Disposition.attached_pic and number in (None, s.index)
            )
            if stream.codec_context is None:
                return []
            stream.codec_context.thread_count = 1
            packets = list(file.demux(stream))
            if len(packets) > 1 and packets[-2].is_corrupt:
                del packets[-2]  # the file ends inside it
            for packet in packets:
                try:
                    found += [frame.pts for frame in packet.decode() if not frame.is_corrupt]
                except av.error.FFmpegError:
                    continue
    except (av.error.FFmpegError, StopIteration):
        pass
    return found
