"""Markers of a stimulus in the sessions that share it.

They are written next to the video of the stimulus, at its times, and hold for every session: at the session's own time,
`offset_s` later. They are never stored with a session, since the session list may change.

>>> scenes = StimulusMarkers(read_markers(Path("trailer.markers.csv")), offset_s=2.5, name="trailer.mp4")
>>> scenes.merge_into(load_markers(files))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from ferflow.analytics.markers import MARKERS, Marker, markers_in


@dataclass(frozen=True, slots=True)
class StimulusMarkers:
    """The markers of the stimulus of one session."""

    markers: pa.Table = field(default_factory=MARKERS.empty_table)
    """MARKERS at the times of the stimulus."""
    offset_s: float = 0.0
    """Time in the session's video at which the stimulus starts."""
    name: str = ""
    """Of the stimulus."""

    @property
    def labels(self) -> frozenset[str]:
        """Their labels: in the merged table, all markers with one of these are the stimulus'."""
        return frozenset(self.markers.column("label").to_pylist())

    def merge_into(self, own: pa.Table) -> pa.Table:
        """MARKERS of a session with those of its stimulus, by time; they replace its own ones of the same labels."""
        if not len(self.markers):
            return own
        labels = self.labels
        kept = [marker for marker in markers_in(own) if marker.label not in labels]
        moved = [self._at_session_time(marker) for marker in markers_in(self.markers)]
        return _to_table([*kept, *moved])

    def _at_session_time(self, marker: Marker) -> Marker:
        end_s = None if marker.end_s is None else marker.end_s + self.offset_s
        return replace(marker, time_s=marker.time_s + self.offset_s, end_s=end_s)


def _to_table(markers: Sequence[Marker]) -> pa.Table:
    rows = [
        {"video_id": "", "time_s": one.time_s, "end_s": one.end_s, "label": one.label, "kind": one.kind}
        for one in sorted(markers, key=lambda one: one.time_s)
    ]
    return pa.Table.from_pylist(rows, schema=MARKERS)
