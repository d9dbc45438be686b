"""ELAN: a file per session, with tiers of expressions and of reasons per person, and a tier per kind of marker."""

from __future__ import annotations

import mimetypes
from collections.abc import Collection, Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from ferflow.analytics.markers import Marker, markers_in
from ferflow.exchange.cut_list import to_url
from ferflow.exchange.destination import Destination
from ferflow.exchange.libraries import load_library
from ferflow.exchange.plain_text import clean_line, clean_text
from ferflow.exchange.request import ExportOptions
from ferflow.exchange.session import Session

LIBRARY = "pympi"
MARKERS_TIER = "markers"
"""Of markers without a kind."""
REASONS = "{} (no expression)"

Annotation: TypeAlias = tuple[int, int, str]
"""Start and end in milliseconds, and the text."""


def write_elan(sessions: Sequence[Session], to: Destination, options: ExportOptions) -> None:
    """`elan/<video_id>.eaf`."""
    pympi = load_library(LIBRARY, "--format elan")
    for session in sessions:
        file = pympi.Elan.Eaf(author="ferflow")
        file.remove_tier("default")
        source = Path(session.metadata.source.path)
        file.add_linked_file(to_url(source), mimetype=mimetypes.guess_type(source.name)[0] or "video/mp4")
        for person in session.people:
            events = [one for one in session.events if one.person_id == person.person_id]
            for kind, name in (("expression", person.name), ("state", REASONS.format(person.name))):
                rows = [_annotate(one.start_s, one.end_s, one.label) for one in events if one.kind == kind]
                _add_tier(file, name, rows, participant=person.participant)
        for name, rows in tiers_of_markers(markers_in(session.video.markers)).items():
            _add_tier(file, name, rows)
        with to.write("elan", f"{session.video_id}.eaf") as part:
            file.to_file(str(part))


def tiers_of_markers(markers: Iterable[Marker]) -> dict[str, list[Annotation]]:
    """Annotations by name of the tier: a tier per kind, and further ones for markers that overlap.

    A moment is an annotation of a millisecond: ELAN knows no shorter one. What lies before the start is cut.
    """
    found: dict[str, list[Annotation]] = {}
    for one in sorted(markers, key=lambda marker: marker.time_s):
        start, end, text = _annotate(
            one.time_s, one.time_s + 0.001 if one.end_s is None else one.end_s, one.label
        )
        if end <= 0:
            continue
        full = [name for name, rows in found.items() if rows[-1][1] > max(0, start)]
        name = _find_free_name(one.kind or MARKERS_TIER, full)
        found.setdefault(name, []).append((max(0, start), end, text))
    return found


def _annotate(start_s: float, end_s: float, text: str) -> Annotation:
    start = round(start_s * 1000)
    return start, max(start + 1, round(end_s * 1000)), clean_text(text)


def _add_tier(file: Any, name: str, rows: Iterable[Annotation], *, participant: str | None = None) -> None:
    tier = _find_free_name(clean_line(name), file.get_tier_names())
    file.add_tier(tier, part=None if participant is None else clean_line(participant))
    last = 0
    for start, end, text in rows:
        # Rounded, one may begin a millisecond before the other ends.
        if end > (start := max(start, last)):
            file.add_annotation(tier, start, end, text)
            last = end


def _find_free_name(name: str, taken: Collection[str]) -> str:
    """The name, with a number if it is taken."""
    names = (name if number == 1 else f"{name} {number}" for number in count(1))
    return next(one for one in names if one not in taken)
