"""Markers: moments and segments of a video that the user names, such as stimuli, scenes or game events.

    time_s,label,end_s,kind
    12.5,boss appears,,event
    1:30.0,level 2,2:45.0,level

`read_markers()` reads such a file into a table. `store_markers()` keeps the table in the output folder, so that a page
can be made again when the file is gone. Means over segments and curves around markers: `event_locked`.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from ferflow.analytics.csv_input import Row, is_missing, read_csv
from ferflow.analytics.limits import NO_LIMITS, Limits
from ferflow.analytics.video_times import looks_like_milliseconds, parse_seconds
from ferflow.errors import OptionsError
from ferflow.plain_file import check_plain_file
from ferflow.store.metadata import GivenFile, MarkersMetadata, read_markers_metadata
from ferflow.store.records import read_table, write_table
from ferflow.store.table_checks import refuse
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize, timecode

COLUMNS = ("time_s", "label")
REST_KIND = "rest"
"""Kind of a marker from which to which a person is at rest: the basis of a calibration, see `rest`."""
SEGMENT_KIND = "segment"
"""A marker of this kind without an end lasts until the next such marker, or until the end of the video."""
SPEECH_KIND = "speech"
"""A cue of a transcript: the page has a lane of them, and nothing else counts them as events."""
_KINDS_WITH_A_MEANING = (REST_KIND, SEGMENT_KIND, SPEECH_KIND)
SUFFIX = ".markers.csv"
"""`talk.markers.csv` in the folder of `talk.mp4` is found without being given; see `exchange.marker_files`."""
MOST_BYTES = 8 * 2**20
MOST_MARKERS = 20_000
"""A marker a second for five hours; a file with more is not a list of markers."""
LONGEST_LABEL = 300

_FIELDS = ["time_s", "end_s", "label", "kind"]

MARKERS = pa.schema(
    [
        ("video_id", pa.string()),
        ("time_s", pa.float64()),
        ("end_s", pa.float64()),
        ("label", pa.string()),
        ("kind", pa.string()),
    ]
)
"""`end_s` is null for an instant, and the end (not included) of a segment; `kind` may be empty."""


@dataclass(frozen=True, slots=True)
class Marker:
    """One instant or segment of a video."""

    time_s: float
    """Seconds after the first frame."""
    end_s: float | None
    """None for an instant."""
    label: str
    kind: str = ""
    """What sort of marker it is, such as `event`; free text."""


def read_markers(path: Path, video_id: str = "") -> pa.Table:
    """Read a file of markers.

    Args:
        path: CSV with the columns `time_s` and `label`, optionally `end_s` and `kind`; see `csv_input`.
        video_id: written into every row.

    Returns:
        A table of `MARKERS`, by time.

    Raises:
        OptionsError: unreadable, a column is missing, or a row is no marker; one line says which.
    """
    rows = read_csv(path, required=COLUMNS, numbers=("time_s", "end_s"), most_bytes=MOST_BYTES)
    return to_table(markers_of(rows, sanitize(path)), video_id)


def markers_of(rows: Sequence[Row], name: str) -> list[Marker]:
    """The markers that rows of a CSV file state, in their order.

    Args:
        rows: with `time_s` and `label`, optionally `end_s` and `kind`.
        name: of the file, for messages.

    Raises:
        OptionsError: too many rows, or one that is no marker.
    """
    if len(rows) > MOST_MARKERS:
        raise OptionsError(f"{name}: more than {MOST_MARKERS} markers. Keep those that matter.")
    return [_marker(row.values, f"{name}, line {row.line}") for row in rows]


@dataclass(frozen=True, slots=True)
class GivenMarkers:
    """What a file of the user says of a video."""

    source: Path
    markers: Sequence[Marker]
    clock: str = ""
    """The offset of the file's clock with which they were placed; see `MarkersMetadata`."""


def store_markers(
    paths: VideoFiles,
    given: GivenMarkers | None,
    rest: Sequence[str] | None = None,
    speech: GivenMarkers | None = None,
    *,
    duration_s: float = math.inf,
) -> bool:
    """Store the markers of a video in the output folder, and return whether they differ from those stored before.

    Args:
        paths: of the video.
        given: a file of markers; None: those stored before stay.
        rest: stretches at rest, as `parse_rest` reads them; None: those given before stay.
        speech: a transcript; None: the one stored before stays.
        duration_s: length of the video.

    Raises:
        OptionsError: as `read_markers` and `parse_rest`, or all times look like milliseconds; what was stored before
            stays.
    """
    before, footer = _load_stored(paths), read_stored_footer(paths)
    at_rest = tuple(footer.rest if rest is None else rest)
    earlier = [one for one in markers_in(before) if one not in {parse_rest(text) for text in footer.rest}]
    markers = [one for one in earlier if one.kind != SPEECH_KIND]
    spoken = [one for one in earlier if one.kind == SPEECH_KIND]
    made_of = replace(footer, rest=at_rest)
    if given is not None:
        _check_unit(given.source, given.markers, duration_s)
        markers = list(given.markers)
        made_of = replace(made_of, source=_describe_file(given.source), clock=given.clock)
    if speech is not None:
        spoken, made_of = list(speech.markers), replace(made_of, speech=_describe_file(speech.source))
    table = to_table([*markers, *spoken, *map(parse_rest, at_rest)], paths.video_id)
    # An equal table is not written again: its new time would make the page stale.
    if table.equals(before) and (not len(table) or made_of.clock == footer.clock):
        return False
    write_table(paths.markers, table, made_of)
    return True


def read_stored_footer(paths: VideoFiles) -> MarkersMetadata:
    """What the stored markers of a video were made of; without any, of nothing.

    Raises:
        RecordsError: the table is there but cannot be read.
    """
    if not paths.markers.exists():
        return MarkersMetadata(video_id=paths.video_id)
    return read_markers_metadata(paths.markers)


def _check_unit(source: Path, markers: Sequence[Marker], duration_s: float) -> None:
    times = [marker.time_s for marker in markers]
    if looks_like_milliseconds(times, duration_s):
        raise OptionsError(
            f"{sanitize(source)}: no marker lies within the video, which lasts {timecode(duration_s)}: the first is at "
            f"{min(filter(None, times)):g} s. These look like milliseconds: time_s must be in seconds."
        )


def parse_rest(text: str) -> Marker:
    """Read a stretch at rest: `0:00-0:10`, or `Ada=0:00-0:10` for one person.

    Raises:
        OptionsError: anything else.
    """
    name, _, times = text.rpartition("=")
    start, separator, end = times.partition("-")
    where = f"rest {sanitize(text[:60])!r}"
    if not separator:
        raise OptionsError(f"{where}: give start and end, such as 0:00-0:10, or NAME=0:00-0:10.")
    label = unicodedata.normalize("NFC", name.strip())  # as names in lists are read
    return _marker({"time_s": start, "end_s": end, "label": label, "kind": REST_KIND}, where)


def load_markers(paths: VideoFiles) -> pa.Table:
    """Load the markers stored for a video, a table of `MARKERS` by time; empty if there are none.

    Raises:
        RecordsError: the table is there but cannot be read.
    """
    found = _load_stored(paths)
    return found.filter(pc.not_equal(found.column("kind"), SPEECH_KIND))


def load_speech(paths: VideoFiles) -> list[Marker]:
    """Load the cues of the transcript of a video, by time; raises as `load_markers`."""
    found = _load_stored(paths)
    return [
        one
        for one in markers_in(found.filter(pc.equal(found.column("kind"), SPEECH_KIND)))
        if one.end_s is not None
    ]


def _load_stored(paths: VideoFiles) -> pa.Table:
    if not paths.markers.exists():
        return MARKERS.empty_table()
    # Raises for a table of another schema, whose columns may mean something else.
    metadata = read_markers_metadata(paths.markers)
    table = _read_stored(paths)
    try:
        for text in metadata.rest:
            parse_rest(text)
    except OptionsError as error:
        raise refuse(paths.markers, str(error).removesuffix(".")) from error
    ends, kinds = table.column("end_s"), table.column("kind")
    is_rest = pc.equal(kinds, REST_KIND)
    if (
        pc.any(pc.less_equal(ends, table.column("time_s"))).as_py()
        or pc.any(pc.and_(is_rest, ends.is_null())).as_py()
    ):
        raise refuse(paths.markers, "a marker that ends before it starts, or a rest without an end")
    return table


def event_markers(markers: pa.Table, limits: Limits = NO_LIMITS) -> pa.Table:
    """The markers of what happens: without the stretches at rest, which say something about the person.

    Args:
        markers: MARKERS of a video.
        limits: those that start outside are left out, too.
    """
    found = markers.filter(pc.not_equal(markers.column("kind"), REST_KIND))
    if limits == NO_LIMITS:  # one before the start of the video may still reach into it
        return found
    return found.filter(pa.array(limits.is_inside(found.column("time_s").to_numpy())))


def markers_in(table: pa.Table) -> list[Marker]:
    """The rows of a table of MARKERS, in their order."""
    return [Marker(**row) for row in table.select(_FIELDS).to_pylist()]


def to_table(markers: Iterable[Marker], video_id: str = "") -> pa.Table:
    """A table of `MARKERS`, by time."""
    rows = [
        {"video_id": video_id, **asdict(marker)} for marker in sorted(markers, key=lambda one: one.time_s)
    ]
    return pa.Table.from_pylist(rows, schema=MARKERS)


def normalize_kind(text: str) -> str:
    """A kind as it is stored: without spaces around it; `rest` and `segment` in lower case, whatever their spelling."""
    plain = text.strip()
    return plain.casefold() if plain.casefold() in _KINDS_WITH_A_MEANING else plain


def times_by_label(markers: pa.Table) -> dict[str, list[float]]:
    """Times of the markers of each label; labels with most markers first, then by name."""
    found: dict[str, list[float]] = {}
    for label, time_s in zip(
        markers.column("label").to_pylist(), markers.column("time_s").to_pylist(), strict=True
    ):
        found.setdefault(label, []).append(time_s)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _read_stored(paths: VideoFiles) -> pa.Table:
    table = read_table(paths.markers, MARKERS.names).replace_schema_metadata(None)
    # Tables of earlier versions have kinds as they were typed.
    kinds = [normalize_kind(kind or "") for kind in table.column("kind").to_pylist()]
    return table.set_column(
        table.column_names.index("kind"), MARKERS.field("kind"), pa.array(kinds, pa.string())
    )


def _marker(row: dict[str, str], where: str) -> Marker:
    label, kind = row.get("label", ""), normalize_kind(_given(row, "kind"))
    if kind == REST_KIND:
        label = label or REST_KIND
    if not label:
        raise OptionsError(f"{where}: a marker without a label. Name it, or delete the line.")
    if len(label) > LONGEST_LABEL or len(kind) > LONGEST_LABEL:
        raise OptionsError(f"{where}: a label of more than {LONGEST_LABEL} characters. Shorten it.")
    start = parse_seconds(row.get("time_s", ""), f"{where}: time_s")
    end = parse_seconds(given_end, f"{where}: end_s") if (given_end := _given(row, "end_s")) else None
    if kind == REST_KIND and end is None:
        raise OptionsError(f"{where}: a marker of kind rest needs end_s, the time at which the rest ends.")
    if end == start and kind != REST_KIND:
        end = None  # how BORIS and BIDS write an instant
    if end is not None and end <= start:
        raise OptionsError(f"{where}: end_s ({end:g}) must lie after time_s ({start:g}).")
    return Marker(start, end, label, kind)


def _given(row: dict[str, str], name: str) -> str:
    """A cell that may be missing."""
    text = row.get(name, "")
    return "" if is_missing(text) else text


def _describe_file(path: Path) -> GivenFile:
    check_plain_file(path)
    with path.open("rb") as file:  # of any size: a recording with chapters
        return GivenFile(name=path.name, sha256=hashlib.file_digest(file, "sha256").hexdigest())
