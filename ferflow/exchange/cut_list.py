"""Cut lists for video editors: stretches of videos one after the other, as OpenTimelineIO and as CMX 3600 EDL.

>>> write_otio([Cut(Path("/films/talk.mp4"), 12.0, 15.5, "Ada: happy", 29.97)], Path("talk.otio"), "Talk")
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ferflow.exchange.libraries import load_library
from ferflow.exchange.plain_text import clean_line

LIBRARY = "opentimelineio"
EDL_LIBRARY = "otio_cmx3600_adapter"

RATES = (24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60000 / 1001, 60.0)
"""Frames per second for which editors have time codes."""
USUAL_RATE = 25.0
_LONGEST_REEL = 8
_LONGEST_TITLE = 70
"""Characters of the title of an EDL, by its specification."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch of a video."""

    video: Path
    start_s: float
    end_s: float
    """Seconds after the first frame; the end is not included."""
    label: str
    frame_rate: float | None = None
    """Of the video; None: not known."""


def write_otio(cuts: Sequence[Cut], path: Path, title: str) -> None:
    """Write a timeline of cuts as OpenTimelineIO JSON; without cuts it is empty.

    Raises:
        OptionsError: the library is missing.
    """
    otio = load_library(LIBRARY, "an OTIO file")
    timeline = _build_timeline(otio, cuts, title, [one.frame_rate or USUAL_RATE for one in cuts])
    path.write_text(otio.adapters.write_to_string(timeline, "otio_json"), encoding="utf-8")


def write_edl(cuts: Sequence[Cut], path: Path, title: str) -> None:
    """Write cuts as an EDL. Its time codes have one frame rate: that of the first video if editors know it, else 25.

    Raises:
        OptionsError: the library is missing.
    """
    otio = load_library(LIBRARY, "an EDL")
    load_library(EDL_LIBRARY, "an EDL")
    if not cuts:  # of which the adapter makes an error
        path.write_text(f"TITLE: {_shorten(title)}\n", encoding="utf-8")
        return
    rate = find_rate(next((one.frame_rate for one in cuts if one.frame_rate), None))
    timeline = _build_timeline(otio, cuts, _shorten(title), [rate] * len(cuts))
    for clip, cut in zip(timeline.find_clips(), cuts, strict=True):
        # The adapter would keep spaces of the file's name, and they separate the columns.
        clip.metadata["cmx_3600"] = {"reel": _make_reel(cut.video)}
    text = otio.adapters.write_to_string(timeline, "cmx_3600", rate=rate)
    path.write_text(text, encoding="utf-8")


def find_rate(frame_rate: float | None) -> float:
    """The rate of time codes of a video: its own if editors know it, else the usual one."""
    nearest = min(RATES, key=lambda rate: abs(rate - (frame_rate or USUAL_RATE)))
    return nearest if frame_rate and abs(nearest - frame_rate) < 0.0005 * nearest else USUAL_RATE


def _build_timeline(otio: ModuleType, cuts: Sequence[Cut], title: str, rates: Sequence[float]) -> Any:
    timeline = otio.schema.Timeline(name=clean_line(title))
    track = otio.schema.Track(name="V1", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    for cut, rate in zip(cuts, rates, strict=True):
        track.append(_build_clip(otio, cut, rate))
    return timeline


def _build_clip(otio: ModuleType, cut: Cut, rate: float) -> Any:
    # Whole frames: editors cut nowhere else. At least one.
    first = round(cut.start_s * rate)
    n_frames = max(1, round(cut.end_s * rate) - first)
    stretch = otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, rate), otio.opentime.RationalTime(n_frames, rate)
    )
    media = otio.schema.ExternalReference(target_url=to_url(cut.video))
    media.name = clean_line(cut.video.name)
    return otio.schema.Clip(name=clean_line(cut.label), media_reference=media, source_range=stretch)


def to_url(path: Path) -> str:
    """A `file:` URL of an absolute path, also of one that is no valid text or of another system."""
    try:
        return path.as_uri()
    except ValueError:  # a relative path, such as one of Windows seen from here
        return clean_line(str(path))


def _make_reel(video: Path) -> str:
    """Name of a reel, as old editors read it; AX: unnamed."""
    return re.sub(r"[^A-Za-z0-9]", "", video.stem)[:_LONGEST_REEL] or "AX"


def _shorten(title: str) -> str:
    # An EDL is ASCII in upper and lower case, and its title one line.
    plain = re.sub(r"[^\x20-\x7e]", "_", title)
    return plain[:_LONGEST_TITLE]
