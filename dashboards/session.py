"""Everything a session's page tells, gathered from the three tables of one video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ferflow.people import EVERYBODY_UNNAMED, People, merged, person_timeline
from ferflow.records import RecordPaths, read_metadata, read_table
from ferflow.summaries import Coverage, Peak, Person, audience, coverage, peak_end, peaks, people
from ferflow.tally import FloatArray, column

SMALL_FACE_PX = 30.0
"""Below this side in pixels of the source, a face is a guess: the models see 48 px or more."""

BLURRY_BELOW = 80.0
"""Variance of the Laplacian (Pech-Pacheco et al., 2000) of a 48 px crop in 0-255: that of a sharp face that
was blurred by 1.5 px of the 48."""

PersonNames = Mapping[int, tuple[str, str]]
"""Track to (key, name) of the person: tracks of one key are one person."""

_FACE_COLUMNS = ["frame_index", "track_id", "yaw", "pitch", "face_px", "sharpness"]


@dataclass(frozen=True, slots=True)
class Together:
    """The bin in which most people react."""

    time_s: float
    n_reacting: int
    n_people: int


@dataclass(frozen=True, slots=True)
class Session:
    """One analysed video."""

    video_id: str
    footer: dict[str, Any]
    """What the analysis noted about itself; see `records.read_metadata`."""
    labels: list[str]
    timeline: pa.Table
    people: list[Person]
    peaks: list[Peak]
    coverage: Coverage
    frame_step_s: float
    """Usual time between two analysed frames; NaN for a single one."""
    n_small: int
    """Faces below `SMALL_FACE_PX`."""
    face_px: tuple[float, float, float]
    """Lower quartile, median and upper quartile of the sides of the crops, in pixels of the source; NaN without."""
    n_blurry: int
    """Faces less sharp than `BLURRY_BELOW`."""
    sharpness: float
    """Median sharpness of the faces; NaN without."""
    names: People = field(default=EVERYBODY_UNNAMED)

    def name_of(self, track_id: int) -> str:
        """What a person is called on the page."""
        return self.names.name(track_id)

    @property
    def name(self) -> str:
        """The file's name, as it was found."""
        return str(self.footer.get("source", {}).get("name") or self.video_id)

    @property
    def audience(self) -> pa.Table:
        """A row per bin."""
        return audience(self.timeline)

    @property
    def bin_seconds(self) -> float:
        """Length of a bin; NaN without any."""
        whole = self.audience
        if not len(whole):
            return float("nan")
        return float(whole.column("bin_end_s")[0].as_py() - whole.column("bin_start_s")[0].as_py())

    @property
    def duration_s(self) -> float | None:
        """Length of the video as far as it was read; None if unknown."""
        value = self.footer.get("duration_s")
        return None if value is None else float(value)

    @property
    def pose_known(self) -> bool:
        """Whether there is any attention to speak of."""
        return bool(np.isfinite(self.values("attention")).any())

    @property
    def peak_end(self) -> float:
        """`(peak happy + end happy) / 2` of the audience."""
        return peak_end(self.timeline)

    def values(self, name: str) -> FloatArray:
        """A column of the audience, float64 (bins,), NaN where unknown."""
        return column(self.audience, name)

    def mean(self, name: str) -> float:
        """Mean of a column over the audience's bins in which it is known, each bin once; NaN if never."""
        values = self.values(name)
        known = values[np.isfinite(values)]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def together(self) -> Together | None:
        """The bin in which most people react, of equals the one with the largest share; None if none does."""
        share, present = self.values("reacting"), self.values("n_people")
        if not np.isfinite(share).any():
            return None
        reacting = np.round(np.nan_to_num(share * present))
        k = int(np.lexsort((-np.arange(len(share)), np.nan_to_num(share), reacting))[-1])
        middle = float(self.audience.column("bin_start_s")[k].as_py()) + self.bin_seconds / 2
        return Together(middle, int(reacting[k]), int(present[k])) if reacting[k] else None

    @property
    def most_at_once(self) -> int:
        """Most people seen within one bin."""
        present = self.values("n_people")
        return int(present.max()) if len(present) else 0


def load_session(out: Path, video_id: str, people_names: PersonNames | None = None) -> Session:
    """Gather one video.

    Args:
        out: the output folder.
        video_id: of a finished video.
        people_names: names of people, and which tracks are one of them; None: each track is a person.

    Raises:
        RecordsError: a table is missing, unreadable, or of another schema version.
    """
    paths = RecordPaths(out, video_id)
    footer = read_metadata(paths.faces)
    labels = [str(label) for label in footer.get("labels", [])]
    frames = read_table(paths.frames)
    faces = read_table(paths.faces, [*_FACE_COLUMNS, *(f"prob_{label}" for label in labels)])
    names = People({track: name for track, (_, name) in (people_names or {}).items()})
    persons, timeline = merged(faces, names), person_timeline(paths, names)
    time_s, heights, sharpness = (
        column(frames, "time_s"),
        column(faces, "face_px"),
        column(faces, "sharpness"),
    )
    quartiles = np.quantile(heights, [0.25, 0.5, 0.75]) if len(heights) else np.full(3, np.nan)
    return Session(
        video_id=video_id,
        footer=footer,
        labels=labels,
        timeline=timeline,
        people=people(frames, persons, labels),
        peaks=peaks(timeline),
        coverage=coverage(frames, persons),
        frame_step_s=float(np.median(np.diff(time_s))) if len(time_s) > 1 else float("nan"),
        n_small=int((heights < SMALL_FACE_PX).sum()),
        face_px=(float(quartiles[0]), float(quartiles[1]), float(quartiles[2])),
        n_blurry=int((sharpness < BLURRY_BELOW).sum()),
        sharpness=float(np.median(sharpness)) if len(sharpness) else float("nan"),
        names=names,
    )
