"""Stretches in which people are at rest, as the markers of a video state them: the basis of a calibration.

A marker of kind `rest` with an end is such a stretch. If its label is the name of a person, it is about that person,
else about everybody in view.
"""

from __future__ import annotations

from ferflow.analytics.markers import REST_KIND, load_markers, markers_in
from ferflow.analytics.person_names import PersonNames, person_faces
from ferflow.store.metadata import Rest
from ferflow.store.schemas import UNTRACKED
from ferflow.store.video_files import VideoFiles


def load_rest(paths: VideoFiles, names: PersonNames) -> tuple[Rest, ...]:
    """The stretches at rest that are stored for a video, by start; empty without any.

    Raises:
        RecordsError: a table cannot be read.
    """
    markers = [marker for marker in markers_in(load_markers(paths)) if marker.kind == REST_KIND]
    if not markers:
        return ()
    persons = {person for block in person_faces(paths, names)("track_id")
               for person in block.column("track_id").unique().to_pylist()} - {UNTRACKED}  # fmt: skip
    by_name = {names.name_of(person): person for person in sorted(persons)}
    return tuple(
        Rest(marker.time_s, marker.end_s, by_name.get(marker.label))
        for marker in markers
        if marker.end_s is not None
    )
