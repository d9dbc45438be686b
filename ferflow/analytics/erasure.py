"""Faces that are removed from the tables of a video on request, while those of other people stay.

The frames stay, and were analysed. Where no other face is left, the footers say so (`Erasure.alone`): the time is
neither without a face nor not analysed. FACES are replaced last, so that an interrupted erasure can be repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec.structs import replace

from ferflow.analytics.frame_time import FrameTimes
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.tally import column
from ferflow.options import AnalyzeOptions
from ferflow.regions import AUTO, Region
from ferflow.store.atomic_files import remove
from ferflow.store.metadata import Erasure, VideoMetadata, read_metadata
from ferflow.store.records import read_table, write_table
from ferflow.store.schemas import UNTRACKED, faces_schema
from ferflow.store.video_files import VideoFiles
from ferflow.types import Float64Array

_EVER = 1e300
"""No time of a video is beyond it; finite, since it is written as JSON."""


class Piece(msgspec.Struct, frozen=True):
    """A track, or the part of it that is one person."""

    track_id: int
    from_s: float = -_EVER
    to_s: float = _EVER


def find_pieces(persons: Persons, ids: Collection[int]) -> tuple[Piece, ...]:
    """The tracks of persons, also of those whom corrections drop."""
    found = []
    for track, pieces in {**persons.person_of, **persons.undropped}.items():
        starts = sorted(pieces)
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            if pieces[start] in ids:
                # The first piece begins with the track, at whatever time.
                from_s = -_EVER if start == starts[0] else start
                found.append(Piece(track, from_s, _EVER if end is None else end))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was removed from the tables of a video."""

    n_faces: int
    n_unnamed: int
    """Faces that stay and belong to no person who counts as one: whose they are is not known."""


def erase_faces(files: VideoFiles, pieces: Sequence[Piece], regions: Collection[str] = ()) -> Erased:
    """Remove faces from FRAMES and FACES; the timeline, which has to be written again, is removed.

    Args:
        files: of a finished video.
        pieces: of tracks, whose faces are removed.
        regions: names of regions of the picture, all faces in which are removed, and which lose their names.

    Raises:
        RecordsError: a table cannot be read or written.
    """
    metadata = read_metadata(files.faces)
    faces = read_table(files.faces, faces_schema(metadata.labels).names)
    gone = _find_rows(faces, pieces, regions)
    kept = _use_all_words(faces.filter(pa.array(~gone)))
    n_unnamed = int(kept.column("person_id").null_count)
    named = unname_regions(metadata.options, regions)
    if not gone.any() and named == metadata.options:
        return Erased(0, n_unnamed)
    frames = read_table(files.frames)
    before, after = (_count_faces(frames, table) for table in (faces, kept))
    # Before the tables: a page or timeline of the old ones must not lie next to new ones.
    files.remove_page()
    remove(files.timeline, out=files.out)
    facts = _describe_kept(metadata, faces, kept)
    facts = replace(
        facts,
        options=named,
        options_digest=_adapt_digest(metadata, named),
        erasure=_add_erasure(metadata, _find_stretches(frames, (before > 0) & (after == 0), metadata), gone),
    )
    place = frames.schema.get_field_index("n_faces")
    frames = frames.set_column(place, frames.schema.field(place), pa.array(after, pa.int16()))
    write_table(files.frames, frames, facts)
    write_table(files.faces, kept, facts)
    return Erased(int(gone.sum()), n_unnamed)


def count_faces(files: VideoFiles, pieces: Sequence[Piece], regions: Collection[str] = ()) -> int:
    """How many faces `erase_faces` would remove.

    Raises:
        RecordsError: FACES cannot be read.
    """
    faces = read_table(files.faces, ["track_id", "time_s", "region"])
    return int(_find_rows(faces, pieces, regions).sum())


def unname_regions(options: AnalyzeOptions, names: Collection[str]) -> AnalyzeOptions:
    """Options whose regions of these names have none."""
    if not names or AUTO in options.region:
        return options
    parsed = (Region.parse(text) for text in options.region)
    return replace(options, region=tuple(one.spec if one.name in names else str(one) for one in parsed))


def _adapt_digest(metadata: VideoMetadata, options: AnalyzeOptions) -> str:
    """The digest of changed options; that of another version of ferflow stays where nothing changed."""
    return metadata.options_digest if options == metadata.options else options.digest()


def _find_rows(faces: pa.Table, pieces: Sequence[Piece], regions: Collection[str]) -> npt.NDArray[np.bool_]:
    track, time_s = column(faces, "track_id").astype(np.int64), column(faces, "time_s")
    found = np.isin(np.array(faces.column("region").to_pylist(), dtype=object), sorted(regions))
    for piece in pieces:
        if piece.track_id != UNTRACKED:
            found |= (track == piece.track_id) & (time_s >= piece.from_s) & (time_s < piece.to_s)
    return found


def _use_all_words(table: pa.Table) -> pa.Table:
    """Dictionaries without words that no row has: a removed name would stay in them."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            words = table.column(place).cast(pa.string()).combine_chunks()
            table = table.set_column(place, field, words.dictionary_encode().cast(field.type))
    return table


def _count_faces(frames: pa.Table, faces: pa.Table) -> npt.NDArray[np.int64]:
    """Faces by row of FRAMES."""
    index = column(frames, "frame_index").astype(np.int64)
    rows = np.searchsorted(index, column(faces, "frame_index").astype(np.int64))
    return np.bincount(rows, minlength=len(index)).astype(np.int64)


def _describe_kept(metadata: VideoMetadata, faces: pa.Table, kept: pa.Table) -> VideoMetadata:
    n_persons = [len(table.column("person_id").drop_null().unique()) for table in (faces, kept)]
    counts = replace(
        metadata.counts,
        n_faces=len(kept),
        n_people=max(metadata.counts.n_people - n_persons[0] + n_persons[1], 0),
    )
    return replace(metadata, counts=counts)


def _find_stretches(
    frames: pa.Table, is_erased: npt.NDArray[np.bool_], metadata: VideoMetadata
) -> list[tuple[float, float]]:
    """The time that frames stand for, neighbours joined."""
    times = FrameTimes.from_frames(frames, end_s=metadata.duration_s, gaps=metadata.gaps)
    return _join(times.time_s[is_erased], (times.time_s + times.seconds)[is_erased])


def _join(starts: Float64Array, ends: Float64Array) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if joined and start - joined[-1][1] < 1e-9:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _add_erasure(
    metadata: VideoMetadata, stretches: Sequence[tuple[float, float]], gone: npt.NDArray[np.bool_]
) -> Erasure:
    known = metadata.erasure or Erasure(n_faces=0)
    together = np.array(sorted([*known.alone, *stretches]), dtype=np.float64).reshape(-1, 2)
    return Erasure(
        n_faces=known.n_faces + int(gone.sum()), alone=tuple(_join(together[:, 0], together[:, 1]))
    )
