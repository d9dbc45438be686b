"""Stretches in which people are at rest, as the markers of a video state them: the basis of a calibration.

A marker of kind `rest` with an end is such a stretch. If its label is the name of a person, it is about that person,
else about everybody in view. One that was given as `NAME=START-END` is about nobody in a video without that person.
"""

from __future__ import annotations

from ferflow.analytics.markers import REST_KIND, Marker, load_markers, markers_in, parse_rest
from ferflow.analytics.person_faces import Persons
from ferflow.store.metadata import Rest, read_markers_metadata
from ferflow.store.video_files import VideoFiles


def load_rest(persons: Persons) -> tuple[Rest, ...]:
    """The stretches at rest that are stored for a video, by start; empty without any.

    Raises:
        RecordsError: a table cannot be read.
    """
    paths = persons.paths
    markers = [marker for marker in markers_in(load_markers(paths)) if marker.kind == REST_KIND]
    if not markers:
        return ()
    by_name = {persons.name_of(person): person for person in persons.ids}
    of_others = {marker for marker in _named_by_option(paths) if marker.label not in by_name}
    return tuple(
        Rest(marker.time_s, marker.end_s, by_name.get(marker.label))
        for marker in markers
        if marker.end_s is not None and marker not in of_others
    )


def _named_by_option(paths: VideoFiles) -> list[Marker]:
    """The stretches that were given for one person, for the videos of a run that may each show other people."""
    given = [parse_rest(text) for text in read_markers_metadata(paths.markers).rest]
    return [marker for marker in given if marker.label != REST_KIND]
