"""Made-up FRAMES and FACES for tests of what comes after them: nobody was filmed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from ferflow.analytics.face_scores import Basis
from ferflow.analytics.markers import MARKERS
from ferflow.options import AnalyzeOptions
from ferflow.store.metadata import (
    FrameCounts,
    Gap,
    GivenFile,
    MarkersMetadata,
    ModelIdentity,
    SourceInfo,
    VideoMetadata,
)  # fmt: skip
from ferflow.store.records import FaceRows, FrameRows, RecordsWriter
from ferflow.store.schemas import FRAMES, faces_schema
from ferflow.store.video_files import VideoFiles

PRIOR = 0.2
"""Of neutral, of the made model."""

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@dataclass(frozen=True)
class Made:
    """What to make up."""

    seconds: float = 60.0
    fps: float = 10.0
    people: int = 1
    video_id: str = "made-0123abcd"
    labels: tuple[str, ...] = LABELS
    pose: bool = True
    untracked: float = 0.0
    """Share of faces that no track has."""
    holes: tuple[tuple[float, float], ...] = ()
    """Seconds in which no frame could be read."""
    away: tuple[tuple[float, float], ...] = ()
    """Seconds without anybody."""
    seed: int = 0
    small: tuple[tuple[float, float], ...] = ()
    """Seconds in which faces are 20 px high."""
    turned: tuple[tuple[float, float], ...] = ()
    """Seconds in which heads are turned by 60 degrees."""
    blurred: tuple[tuple[float, float], ...] = ()
    """Seconds in which faces are blurred."""
    sparse: tuple[tuple[float, float], ...] = ()
    """Seconds of which only every fourth frame is there, shown for four times as long (variable frame rate)."""
    brief: int = 0
    """People, besides the others, who are in view for half a second each."""
    unsure: int = 0
    """People, besides the others, of whom the detector is never certain."""
    markers: tuple[tuple[float, float | None, str, str], ...] = ()
    """(time_s, end_s, label, kind)."""
    source: dict = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    first_pts: int = 0
    top: float = 200.0
    """Upper edge of all faces, pixels."""


def made_tables(made: Made) -> tuple[pa.Table, pa.Table]:
    """FRAMES and FACES."""
    rng = np.random.default_rng(made.seed)
    index = np.arange(round(made.seconds * made.fps))
    time_s = index / made.fps
    keep = np.ones(len(index), dtype=bool)
    for start, end in made.holes:
        keep &= (time_s < start) | (time_s >= end)
    for start, end in made.sparse:
        keep &= (time_s < start) | (time_s >= end) | (index % 4 == 0)
    index, time_s = index[keep], time_s[keep]
    n_people = made.people + made.brief + made.unsure
    parts = [_person_rows(made, person, time_s, rng) for person in range(n_people)]
    row = np.concatenate([part["row"] for part in parts]) if parts else np.zeros(0, dtype=int)
    order = np.argsort(row, kind="stable")
    columns = (
        {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]} if parts else {}
    )
    return _frames(made, index, time_s, row), _faces(made, index, time_s, columns)


def with_counts(frames: pa.Table, faces: pa.Table) -> pa.Table:
    """FRAMES with the numbers of these faces."""
    counts = np.zeros(len(frames), dtype=np.int16)
    index = frames.column("frame_index").to_numpy()
    np.add.at(counts, np.searchsorted(index, faces.column("frame_index").to_numpy()), 1)
    place = frames.column_names.index("n_faces")
    return frames.set_column(place, frames.schema.field(place), pa.array(counts))


def write_session(
    out: Path, made: Made, *, tables: tuple[pa.Table, pa.Table] | None = None, **metadata: object
) -> str:
    """Write both tables as the pipeline does (`tables`, or those of `made`), and the timeline; the video's id."""
    from ferflow.analytics import timeline as room
    from ferflow.analytics.person_faces import Persons
    from ferflow.models.timeline_basis import find_basis
    from ferflow.store.records import write_table

    frames, faces = tables or made_tables(made)
    frames = with_counts(frames, faces)
    paths = VideoFiles(out, made.video_id)
    facts = replace(footer(made, frames, faces), **metadata)
    with RecordsWriter(paths, made.labels) as writer:
        for batch in frames.to_batches():
            writer.write(FrameRows(batch))
        for batch in faces.to_batches():
            writer.write(FaceRows(batch))
        writer.finish(facts)
    if made.markers:
        rows = [dict(zip(MARKERS.names, (made.video_id, *marker), strict=True)) for marker in made.markers]
        source = GivenFile(name="made.csv", sha256="cd" * 32)
        origin = MarkersMetadata(video_id=made.video_id, source=source)
        write_table(paths.markers, pa.Table.from_pylist(rows, schema=MARKERS), origin)
    room.write_timeline(paths, find_basis(Persons.of(paths)), facts.options.bin_seconds)
    return made.video_id


def made_basis(made: Made, **chosen: object) -> Basis:
    """What the measures of a made video are computed with."""
    usual = {
        "neutral_prior": PRIOR if "neutral" in made.labels else None,
        "end_s": made.seconds,
        "gaps": gaps_of(made),
    }
    return Basis(made.labels, **(usual | chosen))


def gaps_of(made: Made) -> tuple[Gap, ...]:
    """The holes as a footer names them: from the last frame before to the first one after."""
    step = 1 / made.fps
    return tuple(
        Gap(math.ceil(start / step - 1e-9) * step - step, math.ceil(end / step - 1e-9) * step, None)
        for start, end in made.holes
    )


def footer(made: Made, frames: pa.Table, faces: pa.Table) -> VideoMetadata:
    """Metadata as the pipeline writes it."""
    tracks = faces.column("track_id").to_numpy()
    return VideoMetadata(
        ferflow_version="0.1.0",
        video_id=made.video_id,
        labels=made.labels,
        model=ModelIdentity(name="default", sha256="ab" * 32,
                            neutral_prior=PRIOR if "neutral" in made.labels else None),
        detector=ModelIdentity(name="yunet" if made.pose else "haar", sha256="8f23" * 16),
        options=AnalyzeOptions(detector="yunet" if made.pose else "haar"),
        options_digest="0011223344556677",
        source=source_info(**{"path": f"/films/{made.video_id}.mp4", "name": f"{made.video_id}.mp4",
                              "frame_rate": made.fps, "duration_s_from_header": made.seconds} | made.source),
        counts=FrameCounts(n_decoded=len(frames), n_analysed=len(frames), n_failed=0, n_faces=len(faces),
                           n_people=len(np.unique(tracks[tracks >= 0])), n_cuts=0),
        status="done",
        warnings=made.warnings,
        duration_s=made.seconds,
        gaps=gaps_of(made),
    )  # fmt: skip


def source_info(**facts: object) -> SourceInfo:
    """Of a film that was there; some facts may be given."""
    usual = {"path": "/films/a.mp4", "name": "a.mp4", "size": 12_345_678, "mtime": 1_750_000_000.0,
             "format": "mov,mp4", "codec": "h264", "pix_fmt": "yuv420p", "width": 1280, "height": 720, "rotation": 0,
             "time_base": Fraction(1, 12800), "frame_rate": 25.0, "duration_s_from_header": None}  # fmt: skip
    return SourceInfo(**(usual | facts))


def _person_rows(
    made: Made, person: int, time_s: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Seen in one or two stretches; moments of expression with one another and alone; looks away at times."""
    length = made.seconds
    seen = np.ones(len(time_s), dtype=bool)
    if person:
        start, end = sorted(rng.uniform(0, length, 2))
        seen &= (time_s >= start * 0.5) & (time_s < end + (length - end) * 0.5)
    for start, end in made.away:
        seen &= (time_s < start) | (time_s >= end)
    if made.people <= person < made.people + made.brief:
        start = (person + 0.5) / (made.people + made.brief) * length
        seen &= (time_s >= start) & (time_s < start + 0.5)
    seen &= rng.random(len(time_s)) > 0.02
    row = np.flatnonzero(seen)
    t = time_s[row]
    logits = np.zeros((len(row), len(made.labels)))
    logits[:, -1] += 2.6
    logits += np.cumsum(rng.normal(0, 0.02, logits.shape), axis=0) + rng.normal(0, 0.15, logits.shape)
    moments = rng.uniform(0, length, max(1, round(length / 20)))
    shared = np.arange(0.3, 1, 0.25) * length
    for k, moment in enumerate([*shared, *moments]):
        label = made.labels[3] if k < len(shared) else made.labels[rng.integers(len(made.labels))]
        width, strength = rng.uniform(1, 3), rng.uniform(2, 5)
        logits[:, made.labels.index(label)] += strength * np.exp(-(((t - moment) / width) ** 2))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    yaw = (
        8 * np.sin(t / 7 + person)
        + 25 * np.exp(-(((t - rng.uniform(0, length)) / 3) ** 2))
        + rng.normal(0, 2, len(t))
    )
    pitch = 5 * np.cos(t / 5 + person) + rng.normal(0, 2, len(t))
    unknown = (rng.random(len(t)) < 0.03) | (not made.pose)
    size = max(90 - 5 * person, 20) + rng.normal(0, 2, len(t))
    for start, end in made.small:
        size = np.where((t >= start) & (t < end), 20.0, size)
    for start, end in made.turned:
        yaw = np.where((t >= start) & (t < end), 60.0, yaw)
    track = np.where(rng.random(len(t)) < made.untracked, -1, person + 1)
    sharpness = rng.uniform(60, 900, len(t))
    for start, end in made.blurred:
        sharpness = np.where((t >= start) & (t < end), 20.0, sharpness)
    score = 0.75 if person >= made.people + made.brief else 0.9
    return {
        "row": row, "track_id": track, "yaw": np.where(unknown, np.nan, yaw), "pitch": np.where(unknown, np.nan, pitch),
        "face_px": size, "sharpness": sharpness, "score": np.full(len(t), score),
        "x1": 60 + 140.0 * person + 10 * np.sin(t),
        **{f"prob_{label}": probs[:, k] for k, label in enumerate(made.labels)},
    }  # fmt: skip


def _frames(made: Made, index: np.ndarray, time_s: np.ndarray, row: np.ndarray) -> pa.Table:
    return pa.table(
        {"video_id": [made.video_id] * len(index), "frame_index": index, "pts": made.first_pts + index * 512,
         "time_s": time_s, "n_faces": np.bincount(row, minlength=len(index)), "luma_mean": np.full(len(index), 0.5),
         "is_cut": np.zeros(len(index), dtype=bool), "width": np.full(len(index), made.source.get("width", 1280)),
         "height": np.full(len(index), made.source.get("height", 720))}
    ).cast(FRAMES)  # fmt: skip


def _faces(made: Made, index: np.ndarray, time_s: np.ndarray, columns: dict[str, np.ndarray]) -> pa.Table:
    schema = faces_schema(made.labels)
    if not columns:
        return schema.empty_table()
    row = columns["row"]
    probs = np.stack([columns[f"prob_{label}"] for label in made.labels], axis=1)
    values = {
        "video_id": [made.video_id] * len(row), "frame_index": index[row], "pts": made.first_pts + index[row] * 512,
        "time_s": time_s[row], "y1": np.full(len(row), made.top), "x2": columns["x1"] + columns["face_px"] * 0.8,
        "y2": made.top + columns["face_px"], "roll": np.zeros(len(row)), **columns,
    }  # fmt: skip
    landmarks = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(len(row) * 10), pa.float32()), 10)
    label = pa.DictionaryArray.from_arrays(pa.array(probs.argmax(axis=1), pa.int8()), pa.array(made.labels))
    arrays = {"landmarks": landmarks, "label": label}
    person = pa.array(values["track_id"]).cast(pa.int32())
    arrays["person_id"] = pc.if_else(pc.less(person, 0), None, person)
    for name in ("region", "not_face", "unreadable"):
        arrays[name] = pa.nulls(len(row), schema.field(name).type)
    for name in schema.names:
        if name not in arrays:
            arrays[name] = pa.array(values[name], from_pandas=True).cast(schema.field(name).type)
    return pa.table({name: arrays[name] for name in schema.names}, schema=schema)
