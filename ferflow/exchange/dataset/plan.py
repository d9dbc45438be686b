"""Facts about each video, read before any file is written: its digest, its people, and its row in `videos`.

The plan of the last run is kept in the data set. A video whose digest is the same is not read again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ferflow.analytics.cohort import CohortVideo, part_of
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.tally import column
from ferflow.analytics.timeline import audience
from ferflow.errors import FerflowError
from ferflow.exchange.dataset.source import VideoSource
from ferflow.exchange.dataset.tables import VIDEOS
from ferflow.exchange.session_tables import to_text
from ferflow.plain_file import check_plain_file, local_path
from ferflow.store.atomic_files import atomic_write
from ferflow.store.metadata import VideoMetadata, read_metadata
from ferflow.store.records import check_records
from ferflow.types import JsonObject

log = logging.getLogger(__name__)

_PEOPLE = pa.list_(
    pa.struct(
        [
            ("person_id", pa.int32()),
            ("person", pa.string()),
            ("participant", pa.string()),
            ("group", pa.string()),
        ]
    )
)
PLAN = pa.schema([
    *VIDEOS, ("digest", pa.string()), ("stamp", pa.string()), ("labels", pa.list_(pa.string())), ("people", _PEOPLE),
])  # fmt: skip
"""A row per video, by id: its row in `videos`, and what only ferflow reads."""

_BLOCK = 1_000
"""Videos whose facts are Python objects at a time: as Arrow columns they take a tenth of the memory."""


@dataclass(frozen=True, slots=True)
class PlannedPerson:
    """A person who counts in a video."""

    person_id: int
    person: str
    """The person's name on the page of the session."""
    participant: str
    """The name from the lists; without one, video and person: nothing connects the person with other videos."""
    group: str | None


@dataclass(frozen=True, slots=True)
class PlannedVideo:
    """Facts about a video that are in its rows."""

    video_id: str
    video: str
    participant: str | None
    """If it is one."""
    group: str | None
    stimulus: str | None
    offset_s: float
    people: tuple[PlannedPerson, ...]

    def of_participant(self, participant: str) -> list[PlannedPerson]:
        """The persons who count as a participant."""
        return [one for one in self.people if one.participant == participant]


@dataclass(frozen=True, slots=True)
class Plan:
    """Facts about all videos."""

    table: pa.Table
    """Has the columns `PLAN`."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why a video is left out, by id."""
    changed: Set[str] = frozenset()
    """Ids of the videos that are new or differ from the last plan."""

    def __len__(self) -> int:
        """Number of videos."""
        return len(self.table)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of all models, each once."""
        found = pc.list_flatten(self.table.column("labels")).unique().to_pylist()
        return tuple(found)

    def digests(self) -> dict[str, str]:
        """Digest of each video, by id."""
        return dict(
            zip(*(self.table.column(name).to_pylist() for name in ("video_id", "digest")), strict=True)
        )

    def sources(self) -> dict[str, tuple[str, str]]:
        """Stamp and path of each video whose path is valid text, by id."""
        columns = (self.table.column(name).to_pylist() for name in ("video_id", "stamp", "path"))
        return {video_id: (stamp, path) for video_id, stamp, path in zip(*columns, strict=True) if stamp}

    def list_entries(self) -> Iterator[tuple[str, str]]:
        """Participant and video of each pair that has rows, by video."""
        people = self.table.column("people").combine_chunks()
        parents = pc.list_parent_indices(people).to_numpy()
        names = pc.list_flatten(people).field("participant").to_pylist()
        ids = self.table.column("video_id").to_pylist()
        yield from dict.fromkeys((name, ids[row]) for name, row in zip(names, parents.tolist(), strict=True))

    def read(self, place: int) -> PlannedVideo:
        """Facts about the video in a row."""
        row = self.table.slice(place, 1).select(_OF_ROWS).to_pylist()[0]
        people = tuple(PlannedPerson(**one) for one in row.pop("people"))
        return PlannedVideo(**row, people=people)

    def without(self, video_id: str, reason: str) -> Plan:
        """The plan of the other videos."""
        others = self.table.filter(pc.not_equal(self.table.column("video_id"), video_id))
        return replace(self, table=others, failed={**self.failed, video_id: reason})

    def save(self, path: Path, out: Path) -> None:
        """Write the plan for the next run.

        Raises:
            RecordsError: it cannot be written.
        """
        with atomic_write(path, out=out) as part:
            pq.write_table(self.table, local_path(part), compression="zstd")


_OF_ROWS = ["video_id", "video", "participant", "group", "stimulus", "offset_s", "people"]

NO_PLAN = Plan(PLAN.empty_table())


def read_plan(path: Path) -> Plan:
    """The plan of the last run; an empty one if there is none that can be read, so that every video is read again."""
    try:
        check_plain_file(path)
        table = pq.read_table(local_path(path))
    except (OSError, pa.ArrowException) as error:
        log.debug("%s: %s", path, error)
        return NO_PLAN
    return Plan(table) if table.schema.equals(PLAN) else NO_PLAN


def make_plan(source: VideoSource, last: Plan) -> Plan:
    """Look at every video, and read those that are new or have changed.

    All of their tables are read, so that a bad one is known before any file is written.
    """
    digests, place = last.digests(), {video_id: k for k, video_id in enumerate(_ids_of(last.table))}
    kept, changed, failed, parts = [], set[str](), dict[str, str](), list[pa.Table]()
    rows: list[JsonObject] = []
    for video_id in source.ids:
        digest = source.digest(video_id)
        if digests.get(video_id) == digest:
            kept.append(place[video_id])
            continue
        try:
            rows.append(_describe(source, video_id, digest))
        except FerflowError as error:
            failed[video_id] = str(error)
            continue
        changed.add(video_id)
        if len(rows) >= _BLOCK:
            parts.append(pa.Table.from_pylist(rows, schema=PLAN))
            rows = []
    parts += [pa.Table.from_pylist(rows, schema=PLAN), last.table.take(pa.array(kept, pa.int64()))]
    table = pa.concat_tables(parts).sort_by("video_id").combine_chunks()
    return Plan(table, failed, changed)


def _ids_of(table: pa.Table) -> list[str]:
    ids: list[str] = table.column("video_id").to_pylist()
    return ids


def _describe(source: VideoSource, video_id: str, digest: str) -> JsonObject:
    persons = source.read_persons(video_id)
    check_records(persons.paths)
    video, metadata = source.describe(persons), read_metadata(persons.paths.faces)
    people = [_describe_person(video, person) for person in video.person_ids]
    participants = {str(one["participant"]) for one in people}
    return {
        **_describe_video(video, metadata, persons),
        "participant": participants.pop() if len(participants) == 1 else None,
        "digest": digest,
        # A path that is not valid text is stored in another form, and must be read from the footer again.
        "stamp": source.stamp(video_id) if to_text(metadata.source.path) == metadata.source.path else "",
        "labels": list(metadata.labels),
        "people": people,
    }


def _describe_video(video: CohortVideo, metadata: VideoMetadata, persons: Persons) -> JsonObject:
    rows, source, counts = audience(video.timeline), metadata.source, metadata.counts
    seconds, presence = column(rows, "seconds"), column(rows, "presence")
    gaps_s = (
        (metadata.duration_s if gap.end_s is None else gap.end_s) - gap.start_s for gap in metadata.gaps
    )
    return {
        "video_id": video.video_id,
        "video": to_text(video.name),
        "group": _clean(video.group),
        "stimulus": _clean(video.stimulus.name if video.stimulus else None),
        "offset_s": video.session.offset_s,
        "status": metadata.status,
        "duration_s": metadata.duration_s,
        "fps": source.frame_rate,
        "width": source.width,
        "height": source.height,
        "n_frames": counts.n_analysed,
        "n_failed": counts.n_failed,
        "n_damaged": counts.n_damaged,
        "n_faces": counts.n_faces,
        "n_people": len(video.person_ids),
        "n_gaps": len(metadata.gaps),
        "gap_s": float(sum(max(gap, 0.0) for gap in gaps_s)),
        "analysed_s": float(seconds.sum()),
        "face_s": float(np.nan_to_num(presence * seconds).sum()),
        "bin_seconds": read_metadata(persons.paths.timeline).bin_seconds,
        "model": metadata.model.name,
        "path": to_text(source.path),
    }


def _describe_person(video: CohortVideo, person: int) -> JsonObject:
    part = part_of(video, person, is_alone=False)
    named = part.name if len(part.key) == 1 else f"{video.video_id}/{person}"
    return {
        "person_id": person,
        "person": to_text(video.names.name_of(person)),
        "participant": to_text(named),
        "group": _clean(part.group),
    }


def _clean(text: str | None) -> str | None:
    return None if text is None else to_text(text)
