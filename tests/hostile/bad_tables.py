"""What damage, mistakes and malice make of the tables of a video: each a change of its files, made with pyarrow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Damage = Callable[[Path], None]
"""Changes a file."""

KEY = b"ferflow"


def stored_footer(path: Path) -> bytes:
    return pq.read_metadata(path).metadata[KEY]


def columns(change: Callable[[pa.Table], pa.Table]) -> Damage:
    """Change the rows; the footer stays."""

    def damage(path: Path) -> None:
        changed = change(pq.read_table(path, partitioning=None))
        pq.write_table(changed.replace_schema_metadata({KEY: stored_footer(path)}), path)

    return damage


def replaced(name: str, make: Callable[[np.ndarray], object], kind: pa.DataType | None = None) -> Damage:
    """Change the values of a column, and its type if one is given."""

    def change(table: pa.Table) -> pa.Table:
        place = table.column_names.index(name)
        values = np.array(table.column(name).to_pylist(), dtype=object)
        wanted = kind or table.schema.field(name).type
        return table.set_column(place, name, pa.array(list(make(values)), wanted))

    return columns(change)


def one(name: str, value: object, row: int = 1) -> Damage:
    """Change one value of a column."""

    def make(values: np.ndarray) -> np.ndarray:
        values[row] = value
        return values

    return replaced(name, make)


def every(name: str, value: object, kind: pa.DataType | None = None) -> Damage:
    return replaced(name, lambda values: [value] * len(values), kind)


def footer(**changes: object) -> Damage:
    """Change values of the footer, by path: `source__time_base`."""

    def damage(path: Path) -> None:
        content = json.loads(stored_footer(path))
        for name, value in changes.items():
            *folders, last = name.split("__")
            place = content
            for folder in folders:
                place = place[folder]
            place[last] = value
        other_footer(json.dumps(content).encode())(path)

    return damage


def raw(change: Callable[[bytearray], bytes | bytearray]) -> Damage:
    return lambda path: path.write_bytes(change(bytearray(path.read_bytes()))) and None


def flipped(place: float) -> Damage:
    def change(content: bytearray) -> bytearray:
        at = int(len(content) * place)
        content[at : at + 24] = bytes(byte ^ 0x55 for byte in content[at : at + 24])
        return content

    return raw(change)


def other_footer(content: bytes) -> Damage:
    def damage(path: Path) -> None:
        pq.write_table(pq.read_table(path, partitioning=None).replace_schema_metadata({KEY: content}), path)

    return damage


def shuffled(table: pa.Table) -> pa.Table:
    return table.take(pa.array(list(range(len(table)))[::-1]))


def doubled(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(0, 1), table])


BAD_FOOTERS: dict[str, Damage] = {
    "no source": footer(source=None),
    "time base of nothing": footer(source__time_base="1/0"),
    "time base without end": footer(source__time_base="1e99999999"),
    "negative time base": footer(source__time_base="-1/25"),
    "negative count": footer(counts__n_faces=-1),
    "count of text": footer(counts__n_analysed="3"),
    "huge count": footer(counts__n_analysed=10**400),
    "counts of more rows": footer(counts__n_faces=10**9, counts__n_analysed=10**9),
    "no duration": footer(duration_s=None),
    "NaN duration": footer(duration_s=float("nan")),
    "huge duration": footer(duration_s=1e308),
    "long duration": footer(duration_s=1e290),
    "labels of another model": footer(labels=["angry", "neutral"]),
    "too many labels": footer(labels=[f"label {n}" for n in range(1000)]),
    "no labels": footer(labels=[]),
    "equal labels": footer(labels=["happy"] * 7),
    "labels that are no list": footer(labels="happy"),
    "id of another video": footer(video_id="other-0123abcd"),
    "id that leads out": footer(video_id="../../etc/passwd"),
    "options that are none": footer(options={"every": -3}),
    "options of another type": footer(options=[]),
    "bins without length": footer(options__bin_seconds=0),
    "gaps that are none": footer(gaps=[{"start_s": "x"}]),
    "NaN gap": footer(gaps=[{"start_s": float("nan"), "end_s": None, "n_frames": 1}]),
    "size of nothing": footer(source__width=0),
    "other status": footer(status="perfect"),
    "a schema to come": footer(schema_version=99),
    "schema of text": footer(schema_version="2"),
    "a list": other_footer(b"[]"),
    "null": other_footer(b"null"),
    "no JSON": other_footer(b"\xff\xfe{"),
    "deep JSON": other_footer(b"[" * 100_000),
    "empty footer": other_footer(b""),
}

BAD_FRAMES: dict[str, Damage] = {
    "no time": columns(lambda table: table.drop_columns(["time_s"])),
    "no frame_index": columns(lambda table: table.drop_columns(["frame_index"])),
    "no is_cut": columns(lambda table: table.drop_columns(["is_cut"])),
    "text in time": every("time_s", "x", pa.string()),
    "text in frame_index": every("frame_index", "x", pa.string()),
    "time as list": every("time_s", [1.0], pa.list_(pa.float64())),
    "NaN time": one("time_s", float("nan")),
    "infinite time": one("time_s", float("inf")),
    "no value in time": one("time_s", None),
    "huge time": one("time_s", 1e300, row=-1),
    "negative time": one("time_s", -5.0, row=0),
    "decreasing times": columns(shuffled),
    "duplicate frame": columns(doubled),
    "one number for all frames": every("frame_index", 0),
    "null frame_index": one("frame_index", None),
    "negative frame_index": one("frame_index", -7, row=0),
    "negative size": every("width", -1),
    "negative n_faces": every("n_faces", -1),
    "null n_faces": every("n_faces", None),
    "wrong n_faces": every("n_faces", 3),
    "luma of nothing": every("luma_mean", float("inf")),
    "text in is_cut": every("is_cut", "x", pa.string()),
    "id of another video": every("video_id", "other-0123abcd"),
    "number in video_id": every("video_id", 3, pa.int64()),
}

BAD_FACES: dict[str, Damage] = {
    "no probability": columns(lambda table: table.drop_columns(["prob_happy"])),
    "no track_id": columns(lambda table: table.drop_columns(["track_id"])),
    "no score": columns(lambda table: table.drop_columns(["score"])),
    "no landmarks": columns(lambda table: table.drop_columns(["landmarks"])),
    "no face_px": columns(lambda table: table.drop_columns(["face_px"])),
    "no yaw": columns(lambda table: table.drop_columns(["yaw"])),
    "text in probability": every("prob_happy", "x", pa.string()),
    "text in score": every("score", "x", pa.string()),
    "text in track_id": every("track_id", "x", pa.string()),
    "text in x1": every("x1", "x", pa.string()),
    "number in region": every("region", 3, pa.int32()),
    "number in unreadable": every("unreadable", 3, pa.int32()),
    "probability above 1": one("prob_happy", 7.0),
    "negative probability": one("prob_happy", -0.5),
    "NaN probability": one("prob_happy", float("nan")),
    "null probability": one("prob_happy", None),
    "infinite probability": one("prob_happy", float("inf")),
    "probabilities of nothing": every("prob_neutral", 0.0),
    "NaN score": one("score", float("nan")),
    "huge score": one("score", 1e30),
    "NaN box": one("x1", float("nan")),
    "infinite box": one("x2", float("inf")),
    "infinite yaw": one("yaw", float("inf")),
    "huge yaw": one("yaw", 1e30),
    "infinite face_px": one("face_px", float("inf")),
    "negative face_px": every("face_px", -3.0),
    "negative sharpness": one("sharpness", -1.0),
    "null track_id": one("track_id", None),
    "negative track_id": every("track_id", -9),
    "huge track_id": every("track_id", 2**31 - 1),
    "huge person_id": every("person_id", 2**31 - 1),
    "negative person_id": every("person_id", -(2**31)),
    "unknown not_face": every("not_face", "monkey"),
    "unknown unreadable": every("unreadable", "monkey"),
    "unknown label": every("label", "monkey"),
    "faces of frames that are not there": every("frame_index", 10**6),
    "null frame_index": one("frame_index", None),
    "decreasing frames": columns(shuffled),
    "times of other frames": every("time_s", 99.0),
    "NaN time": one("time_s", float("nan")),
    "same face twice": columns(doubled),
    "no rows, but counted": columns(lambda table: table.slice(0, 0)),
    "no columns": columns(lambda table: table.select([])),
    "another table": columns(lambda table: pa.table({"a": [1, 2, 3]})),
}

BAD_TIMELINES: dict[str, Damage] = {
    "no engagement": columns(lambda table: table.drop_columns(["engagement"])),
    "no person_id": columns(lambda table: table.drop_columns(["person_id"])),
    "no bin_start_s": columns(lambda table: table.drop_columns(["bin_start_s"])),
    "no seconds": columns(lambda table: table.drop_columns(["seconds"])),
    "text in engagement": every("engagement", "x", pa.string()),
    "text in person_id": every("person_id", "x", pa.string()),
    "text in bin_start_s": every("bin_start_s", "x", pa.string()),
    "NaN bin": one("bin_start_s", float("nan")),
    "huge bin": one("bin_start_s", 1e300, row=-1),
    "null bin": one("bin_start_s", None),
    "infinite engagement": every("engagement", float("inf")),
    "engagement above 1": every("engagement", 8.0),
    "negative seconds": every("seconds", -1.0),
    "decreasing bins": columns(shuffled),
    "no audience": every("person_id", 1),
    "no rows": columns(lambda table: table.slice(0, 0)),
    "another table": columns(lambda table: pa.table({"a": [1, 2, 3]})),
    "bins of no length": footer(bin_seconds=0),
    "NaN bins": footer(bin_seconds=float("nan")),
    "tiny bins": footer(bin_seconds=1e-300),
    "other bins": footer(bin_seconds=1e5),
    "basis of text": footer(basis="x"),
    "prior of 2": footer(basis__neutral_prior=2),
    "huge rest": footer(basis__rest=[{"start_s": 1e308, "end_s": 0}]),
    "shift of everybody": footer(basis__shifts=[{"person_id": 10**30, "log_odds": 1}]),
}

BAD_MARKERS: dict[str, Damage] = {
    "no label": columns(lambda table: table.drop_columns(["label"])),
    "text in time": every("time_s", "x", pa.string()),
    "number in label": every("label", 3, pa.int64()),
    "NaN time": one("time_s", float("nan")),
    "infinite time": one("time_s", float("inf")),
    "null time": one("time_s", None),
    "null label": one("label", None),
    "end before start": every("end_s", -5.0),
    "rest of text": footer(rest=["x"]),
    "rest without end": every("kind", "rest"),
    "source of text": footer(source="x"),
    "a schema to come": footer(schema_version=99),
    "another table": columns(lambda table: pa.table({"a": [1, 2, 3]})),
}

BAD_SIGNALS: dict[str, Damage] = {
    "no value": columns(lambda table: table.drop_columns(["value"])),
    "text in value": every("value", "x", pa.string()),
    "text in time": every("time_s", "x", pa.string()),
    "name that is no dictionary": every("name", "x", pa.string()),
    "null name": one("name", None),
    "NaN time": one("time_s", float("nan")),
    "infinite time": one("time_s", float("inf")),
    "decreasing times": columns(shuffled),
    "infinite value": one("value", float("inf")),
    "huge value": every("value", 1e308),
    "start without zone": footer(start={"time": "x", "origin": "option"}),
    "a schema to come": footer(schema_version=99),
    "another table": columns(lambda table: pa.table({"a": [1, 2, 3]})),
    "no rows": columns(lambda table: table.slice(0, 0)),
}

BAD_FILES: dict[str, Damage] = {
    "empty": raw(lambda content: b""),
    "text": raw(lambda content: b"Dear diary"),
    "half": raw(lambda content: content[: len(content) // 2]),
    "no last byte": raw(lambda content: content[:-1]),
    "without its end": raw(lambda content: content[:-8]),
    "flipped at the start": flipped(0.02),
    "flipped in the middle": flipped(0.3),
    "flipped near the end": flipped(0.9),
    "magic only": raw(lambda content: b"PAR1PAR1"),
    "footer of 4 GB": raw(lambda content: content[:-8] + b"\xff\xff\xff\x7fPAR1"),
}

CASES: dict[str, tuple[str, Damage]] = {
    f"{room}: {name}": (room, damage)
    for rooms, damages in (
        (("frames", "faces", "timeline"), BAD_FOOTERS | BAD_FILES),
        (("markers", "signals"), BAD_FILES),
        (("frames",), BAD_FRAMES),
        (("faces",), BAD_FACES),
        (("timeline",), BAD_TIMELINES),
        (("markers",), BAD_MARKERS),
        (("signals",), BAD_SIGNALS),
    )
    for room in rooms
    for name, damage in damages.items()
}
"""By room and name: which of the tables of a video is changed, and how."""
