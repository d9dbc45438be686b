"""Which faces the headlines leave out, and why; and which parts of the picture and the recording count."""

from __future__ import annotations

from ferflow.analytics.person_faces import Overlap
from ferflow.analytics.sightings import Sighting
from ferflow.dashboards.session_report.session_data import Session
from ferflow.dashboards.shared.number_format import join_words, pluralize, sanitize, timecode


def build_left_out(session: Session) -> str | None:
    """A sentence for each; None if every face counts, and the whole picture and recording."""
    sentences = [*_describe_faces(session), *_describe_regions(session), *_describe_counted(session)]
    return " ".join(sentences) or None


def _describe_faces(session: Session) -> list[str]:
    found = session.left_out
    parts = [
        _part(found.brief, ("person", "people"), "seen only briefly or unclearly"),
        _part(found.still, ("still picture", "still pictures"), "of a face, such as a poster or a slide"),
        _part(found.duplicate, ("copy", "copies"), "of a face that is shown a second time"),
        _part(found.by_corrections, ("track", "tracks"), "that corrections.csv leaves out"),
        *map(_describe_second_face, found.second),
    ]
    if found.n_unassigned:
        one = found.n_unassigned == 1
        parts.append(
            f"{pluralize(found.n_unassigned, 'face')} that {'belongs' if one else 'belong'} to no person: not found "
            f"again in the next pictures ({timecode(found.unassigned_s)})"
        )
    named = [part for part in parts if part]
    return [f"Left out of these numbers: {join_words(named)}."] if named else []


def _part(tracks: tuple[Sighting, ...], noun: tuple[str, str], why: str) -> str:
    """`2 people seen only briefly or unclearly (00:01.3 together)`; empty without any."""
    if not tracks:
        return ""
    seconds = timecode(sum(one.seconds for one in tracks))
    return f"{pluralize(len(tracks), *noun)} {why} ({seconds}{' together' if len(tracks) > 1 else ''})"


def _describe_second_face(one: Overlap) -> str:
    return (
        f"second face of {sanitize(one.name)}, for {one.seconds:.1f} s: "
        f"{'two' if len(one.tracks) == 2 else len(one.tracks)} tracks of this name are in view at the same time"
    )


def _describe_regions(session: Session) -> list[str]:
    if not session.metadata.options.region:
        return []
    if not session.regions:
        return ["No part of the picture was set apart in it, so all of it was analysed."]
    parts = "this part" if len(session.regions) == 1 else "these parts"
    names = join_words([sanitize(name) for name in session.regions])
    return [
        f"Only {parts} of the picture {'was' if len(session.regions) == 1 else 'were'} analysed: {names}."
    ]


def _describe_counted(session: Session) -> list[str]:
    """Which part of the recording the numbers are about."""
    start_s, end_s = session.limits.start_s, session.limits.end_s
    excluded = [
        f"{timecode(start)} to {timecode(min(end, session.end_s))}"
        for start, end in session.limits.excluded
        if start < session.end_s
    ]
    of_corrections = (
        [f"No number is of {join_words(excluded)}, which corrections.csv excludes."] if excluded else []
    )
    parts = [
        *([f"from {timecode(start_s)} on"] if start_s > 0 else []),
        *([f"up to {timecode(end_s)}"] if end_s < session.end_s else []),
    ]
    if not parts:
        return of_corrections
    return [
        *of_corrections,
        f"All numbers are of this recording {' and '.join(parts)}, as the session list says. The rest of the chart is "
        "marked as outside.",
    ]
