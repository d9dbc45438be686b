"""The timeline as a page draws it: neighbouring bins are joined where there are too many to see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from ferflow.analytics.coverage import COVERAGE_TIMELINE
from ferflow.analytics.measures import NEUTRAL_LABEL, REACTING_THRESHOLD, timeline_measures
from ferflow.analytics.persons import Person
from ferflow.analytics.signals import bin_signals
from ferflow.analytics.tally import column, ratio
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.bins import join_bins
from ferflow.types import Float64Array

MOST_BINS = 1200
"""Bins drawn at most: about as many as a page is pixels wide, and few enough to draw an hour at once."""
MOST_LANES = 16
"""People with a lane of their own, the longest seen first."""


_WEIGHTS = {"presence": "seconds", "attention": "face_s"}
"""Time by which a measure of a bin counts in a drawn one, where it is not the readable time."""


@dataclass(frozen=True, slots=True)
class Downsampled:
    """Curves and lanes; a drawn bin is `step` bins of the table."""

    step: int
    """Bins per drawn bin."""
    step_s: float
    audience: dict[str, Float64Array]
    coverage: dict[str, Float64Array]
    """Share of each drawn bin's time, by the columns of `coverage.COVERAGE_TIMELINE`."""
    lanes: list[Person]
    end_s: float
    """Where the time axis ends: at the end of the video, which may lie within the last bin."""
    leading: Float64Array
    """(lanes, drawn bins): index into the labels of the one shown longest, their number where the person is in view but
    no face can be read, NaN where the person is not in view."""
    signals: dict[str, Float64Array]
    """By name, those that are shown."""

    @property
    def n(self) -> int:
        """Number of drawn bins."""
        return len(self.audience["n_frames"])


def downsample(session: Session) -> Downsampled:
    """Join bins: at most `MOST_BINS`, and none shorter than the time between two analysed frames."""
    rows, bin_seconds = session.audience, session.bin_seconds
    frame_step_s = 0.0 if math.isnan(session.frame_step_s) else session.frame_step_s
    # If bins are shorter than the time between frames, every other bin is empty and would look like a gap in the
    # video. 1e-6 absorbs floating point: 3 * 0.1 / 0.1 is above 3.
    step = max(1, math.ceil(len(rows) / MOST_BINS), math.ceil(frame_step_s / bin_seconds - 1e-6))
    joined = {
        name: join_bins(column(rows, name), step, column(rows, _WEIGHTS.get(name, "readable_s")))
        for name in timeline_measures(session.labels)
    }
    joined["n_frames"] = np.nan_to_num(join_bins(column(rows, "n_frames"), step))
    # `people` has the longest in view first; lanes are in the order of appearance.
    lanes = sorted(session.people[:MOST_LANES], key=lambda person: person.person_id)
    leading = np.array([_leading_label(session, person.person_id, step, len(rows)) for person in lanes])
    coverage = _shares_of_coverage(session, step)
    edges = np.append(column(rows, "bin_start_s")[::step], column(rows, "bin_end_s")[-1:])
    signals = bin_signals(session.shown_signals, edges)
    return Downsampled(step, step * bin_seconds, joined, coverage, lanes, session.end_s, leading, signals)


def _shares_of_coverage(session: Session, step: int) -> dict[str, Float64Array]:
    """Share of each drawn bin's time by state; of the last bin, as far as the video reaches into it."""
    seconds = {
        name: np.nan_to_num(join_bins(column(session.coverage_timeline, name), step))
        for name in COVERAGE_TIMELINE.names[1:]
    }
    total = np.sum(list(seconds.values()), axis=0)
    return {name: np.nan_to_num(ratio(values, total)) for name, values in seconds.items()}


def _leading_label(session: Session, track_id: int, step: int, n_bins: int) -> Float64Array:
    """A lane of `Downsampled.leading`, float64 (drawn bins,)."""
    rows = session.timeline.filter(pc.equal(session.timeline.column("person_id"), track_id))
    bins = np.round(column(rows, "bin_start_s") / session.bin_seconds).astype(int)
    means, seconds = np.full((n_bins, len(session.labels)), np.nan), np.zeros(n_bins)
    for k, label in enumerate(session.labels):
        means[bins, k] = column(rows, f"shown_{label}")
    seconds[bins] = column(rows, "readable_s")
    in_view_s = np.full(n_bins, np.nan)
    in_view_s[bins] = column(rows, "face_s")
    joined = np.stack([join_bins(means[:, k], step, seconds) for k in range(len(session.labels))], axis=1)
    readable = np.isfinite(joined).any(axis=1)
    in_view = np.isfinite(join_bins(in_view_s, step))
    scores = np.nan_to_num(joined, nan=-1.0)
    if NEUTRAL_LABEL in session.labels:
        # As `reacting`: expressions that take half of the time together are not at rest, whichever leads.
        neutral = session.labels.index(NEUTRAL_LABEL)
        scores[:, neutral] = np.where(scores[:, neutral] > 1 - REACTING_THRESHOLD, 2.0, -0.5)
    found = np.argmax(scores, axis=1).astype(float)
    return np.where(readable, found, np.where(in_view, float(len(session.labels)), np.nan))
