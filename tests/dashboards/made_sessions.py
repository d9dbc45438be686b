"""Made sessions of every kind that a page can be about, each with its page and its tables read by pandas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ferflow.analytics.people_list import PersonNames
from ferflow.analytics.signals import store_signals
from ferflow.dashboards import write_session_report
from ferflow.options import AnalyzeOptions, TimePoint
from ferflow.store.metadata import FrameCounts, ModelIdentity, RecordingStart
from ferflow.store.video_files import VideoFiles
from tests.conftest import numbered_image, slow_case, write_video
from tests.dashboards.read_page import Page
from tests.dashboards.recompute import Tables
from tests.made_records import LABELS, Made, made_tables, write_session

MARKERS = (
    (5.0, None, "clap", ""), (21.0, None, "clap", ""), (42.5, None, "clap", ""), (70.0, None, "clap", ""),
    (8.0, 19.5, "level 1", "level"), (30.0, None, "part 2", "segment"), (118.0, None, "end", ""),
)  # fmt: skip
MANY_MARKERS = (
    *((float(k), None, f"label {k % 9}", "x") for k in range(130)),
    *((float(k), k + 1.5, f"scene {k}", "scene") for k in range(45)),
    (200.0, None, "late", ""),
)  # fmt: skip
LOST = FrameCounts(n_decoded=320, n_analysed=320, n_failed=80, n_damaged=3, n_faces=313, n_people=1, n_cuts=0)
NOON = RecordingStart(time=datetime(2024, 5, 12, 12, 0, 3, tzinfo=UTC), origin="session list")
MODEL = ModelIdentity(name="mine", sha256="cd" * 32)


def with_columns(faces: pa.Table, **columns: np.ndarray) -> pa.Table:
    """FACES with some columns replaced."""
    for name, values in columns.items():
        place = faces.column_names.index(name)
        faces = faces.set_column(place, faces.schema.field(name), pa.array(values.astype(np.float32)))
    return faces


def never_at_rest(made: Made, person: int) -> tuple[pa.Table, pa.Table]:
    """A person whose face is read as angry, and neutral with a score as if at rest only a little."""
    frames, faces = made_tables(made)
    mine = faces.column("track_id").to_numpy() == person
    neutral = np.random.default_rng(0).uniform(0.06, 0.12, len(faces))
    scores = {f"prob_{label}": np.zeros(len(faces)) for label in LABELS}
    scores |= {"prob_neutral": neutral, "prob_angry": 1 - neutral}
    mixed = {name: np.where(mine, values, faces.column(name).to_numpy()) for name, values in scores.items()}
    return frames, with_columns(faces, **mixed)


def acted(made: Made, *acts: tuple[int, float, float, str]) -> tuple[pa.Table, pa.Table]:
    """People who face the camera at rest, but for acts: person, from, to, and the expression."""
    frames, faces = made_tables(made)
    person, time_s = faces.column("track_id").to_numpy(), faces.column("time_s").to_numpy()
    scores = {f"prob_{label}": np.full(len(faces), 0.94 if label == "neutral" else 0.01) for label in LABELS}
    for who, start, end, label in acts:
        here = (person == who) & (time_s >= start - 1e-9) & (time_s < end - 1e-9)
        for name in scores:
            scores[name] = np.where(here, 0.94 if name == f"prob_{label}" else 0.01, scores[name])
    straight = {"yaw": np.zeros(len(faces)), "pitch": np.zeros(len(faces))}
    return frames, with_columns(faces, **scores, **straight)


def logged(seconds: int) -> pd.DataFrame:
    """Health at 10 Hz, a heart rate each second with a gap, a small value with a sign, and scores when they change."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"time_s": np.arange(seconds * 10) / 10})
    frame["health [%]"] = np.clip(100 + np.cumsum(rng.normal(size=len(frame))), 0, 100)
    frame["heart rate [bpm]"] = np.where(frame.index % 10 == 0, rng.integers(60, 120, len(frame)), np.nan)
    frame.loc[frame.time_s.between(20, 30), "heart rate [bpm]"] = np.nan
    frame["drift 2"] = rng.normal(0, 0.03, len(frame))
    frame["score"] = np.nan
    frame.loc[rng.choice(len(frame), 9, replace=False), "score"] = np.arange(9) * 1000.0
    return frame


def clocked(seconds: int) -> pd.DataFrame:
    """Eight signals by time of day."""
    rng = np.random.default_rng(6)
    times = pd.date_range("2024-05-12T12:00:00Z", periods=seconds, freq="s")
    columns = {f"value {k}": 10.0**k * rng.random(seconds) for k in range(8)}
    return pd.DataFrame({"timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ"), **columns})


def with_faces_that_are_none(made: Made) -> tuple[pa.Table, pa.Table]:
    """A poster (track 3) and a copy (track 4); both belong to nobody. All faces are in one of two regions."""
    frames, faces = made_tables(made)
    track = faces.column("track_id").to_numpy()
    words = {3: "still", 4: "duplicate"}
    person = [None if one in (*words, -1) else one for one in track.tolist()]
    columns = {
        "not_face": [words.get(one) for one in track.tolist()],
        "region": ["bottom-right" if one == 1 else "top-left" for one in track.tolist()],
        "person_id": person,
    }
    for name, values in columns.items():
        place = faces.schema.get_field_index(name)
        field = faces.schema.field(place)
        array = pa.array(values, pa.string()).dictionary_encode() if name != "person_id" else pa.array(values)
        faces = faces.set_column(place, field, array.cast(field.type))
    return frames, faces


@dataclass(frozen=True)
class Kind:
    """A made session."""

    made: Made
    metadata: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    tables: Callable[[Made], tuple[pa.Table, pa.Table]] | None = None
    is_filmed: bool = False
    signals: Callable[[], pd.DataFrame] | None = None


SESSIONS: dict[str, Kind] = {
    "one": Kind(Made(seconds=60, markers=MARKERS[:3])),
    "six": Kind(
        Made(
            seconds=120,
            people=6,
            untracked=0.02,
            away=((40, 46),),
            holes=((90, 93),),
            small=((60, 66),),
            turned=((70, 75),),
            blurred=((80, 84),),
            sparse=((20, 35),),
            brief=2,
            unsure=1,
            markers=MARKERS,
            seed=5,
        )
    ),
    "faces that are none": Kind(
        Made(seconds=40, people=4, brief=2, untracked=0.03),
        {"options": AnalyzeOptions(region=("bottom-right", "top-left"))},
        tables=with_faces_that_are_none,
    ),
    "faces compared": Kind(
        Made(seconds=30, people=2), {"options": AnalyzeOptions(stitch="face", region=("auto",))}
    ),
    "nobody": Kind(Made(seconds=30.4, people=0)),
    "nobody ever": Kind(Made(seconds=0.1, people=0)),
    "no frames": Kind(Made(seconds=0, people=0)),
    "only untracked faces": Kind(Made(seconds=10, untracked=1.0)),
    "only small faces": Kind(Made(seconds=20, people=2, small=((0, 20),))),
    "only brief people": Kind(Made(seconds=20, people=0, brief=2)),
    "a picture": Kind(Made(seconds=0.1)),
    "six seconds": Kind(Made(seconds=6.4, people=2)),
    "no pose": Kind(Made(seconds=40, people=2, pose=False)),
    "bins of half a second": Kind(
        Made(seconds=61.3, people=3, markers=MARKERS), {"options": AnalyzeOptions(bin_seconds=0.5)}
    ),
    "bins across frames": Kind(
        Made(seconds=40, fps=7, people=2, markers=MARKERS[:3]), {"options": AnalyzeOptions(bin_seconds=0.3)}
    ),
    "variable frame rate": Kind(Made(seconds=60, people=2, sparse=((10, 22), (40, 60)))),
    "named": Kind(
        Made(seconds=40, people=4, markers=MARKERS[:2]),
        names={1: "Ada", 3: "Ada", 2: "Bo <b>", 4: "Person 9"},
    ),
    "calibrated": Kind(
        Made(seconds=40, people=2, markers=((2.0, 12.0, "Person 2", "rest"),)),
        tables=lambda made: never_at_rest(made, 2),
    ),
    "never at rest": Kind(Made(seconds=40, people=2), tables=lambda made: never_at_rest(made, 1)),
    "six labels": Kind(Made(seconds=30, labels=(*LABELS[:3], *LABELS[4:]))),
    "no neutral": Kind(Made(seconds=30, labels=LABELS[:-1])),
    "no prior": Kind(Made(seconds=30), {"model": MODEL}),
    "fer2013": Kind(Made(seconds=30), {"model": ModelIdentity(name="fer2013", sha256="ef" * 32)}),
    "part of a video": Kind(
        Made(seconds=40, holes=((0, 5.3),)),
        {"options": AnalyzeOptions(start=TimePoint(5.0), end=TimePoint(40.0), every=2), "gaps": ()},
    ),
    "lost frames": Kind(
        Made(seconds=40, holes=((5, 8), (35, 40)), warnings=("83 frames could not be decoded.",)),
        {"status": "done_with_gaps", "counts": LOST},
    ),
    "many markers": Kind(Made(seconds=150, fps=4, people=2, markers=MANY_MARKERS)),
    "a crowd": Kind(Made(seconds=1500, fps=1, people=45, markers=MARKERS)),
    "an hour": Kind(Made(seconds=3700, fps=0.4)),
    "signals": Kind(Made(seconds=60.4, people=2, markers=MARKERS[:3]), signals=lambda: logged(60)),
    "many signals": Kind(Made(seconds=1300, fps=2, markers=MARKERS[:2]), signals=lambda: clocked(1300)),
    "filmed": Kind(
        Made(
            seconds=20,
            people=2,
            brief=1,
            away=((7, 8.3),),
            small=((12, 13),),
            first_pts=700,
            markers=MARKERS[:1],
        ),
        is_filmed=True,
    ),
}


_SLOW = ("a crowd", "many signals", "bins across frames")


def some_sessions(names: Iterable[str]) -> list[object]:
    """Kinds of sessions as parameters of a test; `make test-all` alone runs those that take seconds."""
    return [slow_case(name) if name in _SLOW else name for name in names]


@dataclass(frozen=True)
class Session:
    """A session's page, and its tables."""

    video: Tables
    page: Page
    path: Path


def write_kind(out: Path, name: str) -> Session:
    """Write the tables and the page of a kind of `SESSIONS`."""
    kind = SESSIONS[name]
    made = kind.made if not kind.is_filmed else _filmed(out, kind.made)
    tables = kind.tables(made) if kind.tables else None
    video_id = write_session(out, made, tables=tables, **kind.metadata)
    if kind.signals:
        source = out / "play 7.csv"
        kind.signals().to_csv(source, index=False)
        store_signals(VideoFiles(out, video_id), source, made.seconds, lambda: NOON)
    return read_session(out, video_id, kind.names)


def read_session(out: Path, video_id: str, names: Mapping[int, str] | None = None) -> Session:
    """Write the page of a finished video and read it."""
    given = PersonNames({person: {0.0: name} for person, name in (names or {}).items()})
    path = write_session_report(out, video_id, given)
    return Session(Tables(out, video_id, names), Page(path.read_text(encoding="utf-8")), path)


def _filmed(out: Path, made: Made) -> Made:
    """The same with a video that browsers play, whose first picture comes late."""
    pts = [made.first_pts + 100 * k for k in range(round(made.seconds * 10))]
    out.mkdir(parents=True, exist_ok=True)
    path = write_video(out / "film.mp4", [numbered_image(k // 4) for k in range(len(pts))], pts=pts)
    source = {"path": str(path), "name": path.name, "size": path.stat().st_size, "width": 320, "height": 240,
              "time_base": Fraction(1, 1000)}  # fmt: skip
    return replace(made, source=source)
