"""What the footer of each table on disk says of its video: typed, validated when it is read and when it is written.

>>> read_metadata(Path("out/faces/talk-0123abcd.parquet")).counts.n_faces
120
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ferflow.errors import RecordsError
from ferflow.options import AnalyzeOptions
from ferflow.plain_file import check_plain_file, local_path
from ferflow.store.schemas import READABLE_VERSIONS, SCHEMA_VERSION
from ferflow.store.table_checks import refuse
from ferflow.text import sanitize
from ferflow.types import JsonObject

METADATA_KEY = b"ferflow"

MOST_BINS = 1_000_000
"""Eleven days of seconds. A single broken timestamp could otherwise require more bins than fit into memory."""

_LARGEST = 2**53
"""Up to here JSON readers of every language agree about integers."""
_FRACTION = re.compile(r"[1-9]\d{0,9}(?:/[1-9]\d{0,9})?", re.ASCII)
"""Bounded: `Fraction("1e999999999")` would fill the memory."""

Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
Pixels = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Number = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
"""Finite."""
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e300)]
"""Finite."""
Text = Annotated[str, msgspec.Meta(min_length=1)]
VideoId = Annotated[str, msgspec.Meta(pattern=r"\A(?!\.{1,2}\Z)[^/\\\x00]*\Z")]
"""A plain file name, or empty: it must not lead out of the output folder."""


class ModelIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """An expression model or a face detector."""

    name: Text
    sha256: str
    """Of its files."""
    neutral_prior: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    """Share of neutral that an expression model's scores assume; None: unknown, or an earlier version's footer."""


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The video as it was when it was analysed."""

    path: str
    """Absolute."""
    name: str
    size: Count
    """Bytes."""
    mtime: Number
    """Seconds since 1970."""
    format: str
    """FFmpeg's name of the container, as are those of codec and pixel format."""
    codec: str
    pix_fmt: str
    width: Pixels
    """After rotation."""
    height: Pixels
    rotation: Annotated[int, msgspec.Meta(ge=-360, le=360)]
    """Degrees, as the file says."""
    time_base: Fraction
    """Seconds per unit of pts."""
    frame_rate: Number | None
    """Per second, as the header says; None: it does not say."""
    duration_s_from_header: Number | None
    stream: Count | None = None
    """Number of the analysed stream in the file, as FFmpeg counts; None: images, or an earlier version's footer."""
    other_streams: tuple[str, ...] = ()
    """The file's other video streams, in words."""
    turned: Annotated[int, msgspec.Meta(ge=0, le=270)] | None = None
    """Degrees clockwise by which the stored picture was turned in place of what the file says; None: as the file
    says."""
    hwaccel: str | None = None
    """Kind of device that decoded the video, or the part of it before the warning that says so, by FFmpeg's name; None:
    software alone."""
    signature: str | None = None
    """Of sizes and times of change, see `media.fingerprint`; None: an analysis that did not note it."""
    sha256: str | None = None
    """Of the content."""


class FrameCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, in numbers."""

    n_decoded: Count
    n_analysed: Count
    """Rows of FRAMES."""
    n_failed: Count
    """Frames that could not be decoded."""
    n_damaged: Count = 0
    """Frames that were decoded, but damaged, and so not analysed."""
    n_repeated: Count = 0
    """Frames whose picture equals that of the frame before, as in screen recordings; they have its faces."""
    n_faces: Count
    """Rows of FACES."""
    n_people: Count
    """Persons who are seen for longer than briefly; tracks in schema 1."""
    n_cuts: Count


class Gap(msgspec.Struct, frozen=True):
    """A stretch of a video from which nothing could be analysed."""

    start_s: Number
    """Time of the last usable frame before it; 0 where there is none."""
    end_s: Number | None
    """Time of the first usable frame after it; None: it reaches to the end."""
    n_frames: Count | None
    """Frames known to be lost; None: unknown."""
    jump_s: Number | None = None
    """By how much the file's timestamps jump here, as after a pause of the recording; time does not jump with them.
    None: they do not."""


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """Faces of a person that were removed from the tables on request, see `ferflow.jobs.forget`."""

    n_faces: Count
    alone: tuple[tuple[Seconds, Seconds], ...] = ()
    """Stretches [start, end) in which no other face is left: erased, not without a face."""


class Rest(msgspec.Struct, frozen=True):
    """A stretch in which a person is at rest, as the user says; for calibration."""

    start_s: Seconds
    end_s: Seconds
    person_id: int | None = None
    """None: everybody in view."""


class Shift(msgspec.Struct, frozen=True):
    """The calibration of a person: log odds that are subtracted from theirs."""

    person_id: int
    log_odds: Number


class TimelineBasis(msgspec.Struct, frozen=True, kw_only=True):
    """What a timeline was computed with, besides the records of its video."""

    definition: int
    """Number of the definition of its measures, see `analytics.measures.DEFINITION`."""
    neutral_prior: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None
    """See `ModelIdentity`; None: unknown, and scores are taken as they are."""
    rest: tuple[Rest, ...] = ()
    shifts: tuple[Shift, ...] = ()


class VideoMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What FRAMES, FACES and TIMELINE of a video say of it and of its analysis."""

    schema_version: int = SCHEMA_VERSION
    ferflow_version: str
    video_id: VideoId
    labels: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
    """Of the model, in its order."""
    model: ModelIdentity
    detector: ModelIdentity
    options: AnalyzeOptions
    options_digest: str
    """Equal for options that give equal FRAMES and FACES."""
    source: SourceInfo
    counts: FrameCounts
    status: Literal["done", "done_with_gaps"]
    warnings: tuple[str, ...] = ()
    """One line each."""
    gaps: tuple[Gap, ...] = ()
    """In order of time; empty: each frame was analysed."""
    duration_s: Seconds
    """Length of the video as far as it was read."""
    bin_seconds: Annotated[float, msgspec.Meta(gt=0, le=1e6)] | None = None
    """Length of the bins; in TIMELINE only, None elsewhere."""
    basis: TimelineBasis | None = None
    """In TIMELINE only, None elsewhere and in those of earlier versions."""
    erasure: Erasure | None = None
    """None: nothing was removed."""

    def __post_init__(self) -> None:
        """Refuse what would make two columns of one name, or more bins than fit into memory.

        Raises:
            ValueError: two labels are equal, or there are more than `MOST_BINS`.
        """
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("two labels are equal")
        if self.bin_seconds is not None and self.duration_s > MOST_BINS * self.bin_seconds:
            raise ValueError(f"more than {MOST_BINS} bins")


class GivenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the user gave."""

    name: str
    sha256: str


class MarkersMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of the table of markers of a video."""

    schema_version: int = SCHEMA_VERSION
    video_id: VideoId
    source: GivenFile | None = None
    """None: no file, only stretches at rest."""
    rest: tuple[str, ...] = ()
    """Stretches at rest that were given as an option, as `analytics.rest.parse_rest` reads them; also rows of the
    table."""
    clock: str = ""
    """The offset of the file's clock that was given, as `exchange.file_clock` reads it; empty: none."""
    speech: GivenFile | None = None
    """The transcript, whose cues are rows of kind `speech`."""


class RecordingStart(msgspec.Struct, frozen=True, kw_only=True):
    """When the first frame of a video was recorded."""

    time: datetime
    """With a time zone, or local time."""
    origin: Literal["option", "session list", "video file"]
    """Who says so."""


class SignalsMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of the table of signals of a video."""

    schema_version: int = SCHEMA_VERSION
    video_id: VideoId
    source: GivenFile
    start: RecordingStart | None
    """What times of day were counted from; None: the file has seconds of the video."""
    assumed_zone: str | None = None
    """Time zone of the computer, such as "UTC+02:00", where the times or the start had none; None: none assumed."""
    left_out: tuple[str, ...] = ()
    """Columns of the file without any number."""
    n_samples: int = 0
    n_before: int = 0
    """Samples whose value no longer holds when the video starts."""
    n_after: int = 0
    """Samples after its end."""


Metadata = VideoMetadata | MarkersMetadata | SignalsMetadata
_S = TypeVar("_S", bound=msgspec.Struct)


def read_metadata(path: Path) -> VideoMetadata:
    """What a table of FRAMES, FACES or TIMELINE says of its video.

    Raises:
        RecordsError: not a Parquet file of ours, of another schema version, or a fact is missing or invalid.
    """
    return _read(path, VideoMetadata)


def read_markers_metadata(path: Path) -> MarkersMetadata:
    """What a table of markers says of itself. Raises as `read_metadata`."""
    return _read(path, MarkersMetadata)


def read_signals_metadata(path: Path) -> SignalsMetadata:
    """What a table of signals says of itself. Raises as `read_metadata`."""
    return _read(path, SignalsMetadata)


def encode_metadata(metadata: Metadata) -> bytes:
    """JSON for the footer, validated: what is written can be read.

    Raises:
        RecordsError: a value is not valid.
    """
    # A new timeline takes the metadata of its FACES table, which may be of schema 1; the new table is not.
    content = to_json_values(msgspec.structs.replace(metadata, schema_version=SCHEMA_VERSION))
    try:
        from_json_values(content, type(metadata))
        # Python's own JSON: file names that are no valid text become escapes, which msgspec refuses.
        return json.dumps(content, allow_nan=False).encode()
    except ValueError as error:
        raise RecordsError(f"{metadata.video_id}: its metadata is invalid ({error}). Report it.") from error


def _read(path: Path, kind: type[_S]) -> _S:
    try:
        check_plain_file(path)
        status = path.stat()
    except OSError as error:
        raise _refuse_footer(path, error) from error
    # A page asks for the same footer dozens of times.
    found: _S = _read_as_of(
        path, kind, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    )
    return found


def _refuse_footer(path: Path, error: Exception) -> RecordsError:
    return RecordsError(
        f"{path}: not a table written by ferflow ({type(error).__name__}). Move it away, or use --overwrite."
    )


@lru_cache(maxsize=1024)
def _read_as_of(path: Path, kind: type[_S], stamp: tuple[int, ...]) -> _S:
    """Read a footer; `stamp` changes when the file does."""
    try:
        content = json.loads((pq.read_metadata(local_path(path)).metadata or {})[METADATA_KEY])
    except (OSError, pa.ArrowException, KeyError, ValueError, RecursionError) as error:
        raise _refuse_footer(path, error) from error
    # Before the other facts, so that a table of a newer ferflow is refused for its version, not for an unknown value.
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(content, dict) and version not in READABLE_VERSIONS:
        raise RecordsError(
            f"{path}: schema {str(version)[:20]}, this ferflow reads up to {SCHEMA_VERSION}. "
            "Analyse again with --overwrite."
        )
    try:
        found = from_json_values(content, kind)
    except ValueError as error:
        raise refuse(path, f"invalid metadata ({_one_line(error)})") from error
    if (video_id := getattr(found, "video_id", path.stem)) != path.stem:
        raise refuse(path, f"a table of another video, {_one_line(video_id)}")
    return found


def _one_line(text: object) -> str:
    """The start of a message or value that may quote the content of a file."""
    return sanitize(str(text)[:200])


def to_json_values(record: msgspec.Struct) -> JsonObject:
    """A record as JSON has it."""
    content: JsonObject = msgspec.to_builtins(record, enc_hook=_encode_fraction)
    if isinstance(options := getattr(record, "options", None), AnalyzeOptions):
        content["options"] = options.as_dict()
    if isinstance(record, VideoMetadata):
        for name in ("bin_seconds", "basis", "erasure"):
            if content[name] is None:
                del content[name]
    return content


def from_json_values(content: object, kind: type[_S]) -> _S:
    """A record from what JSON says, validated.

    Raises:
        ValueError: a value is missing or invalid; the message names it.
    """
    if isinstance(content, dict) and isinstance(options := content.get("options"), dict):
        # Options have a reader of their own: times are text, and schema 1 had other names.
        content = content | {"options": AnalyzeOptions.from_dict(options)}
    return msgspec.convert(content, kind, dec_hook=_decode_fraction)


def _encode_fraction(value: object) -> str:
    if isinstance(value, Fraction):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no form in JSON")


def _decode_fraction(kind: type, value: object) -> object:
    if kind is Fraction and isinstance(value, str) and _FRACTION.fullmatch(value):
        return Fraction(value)
    raise ValueError(f"expected a positive fraction, got {str(value)[:40]!r}")
