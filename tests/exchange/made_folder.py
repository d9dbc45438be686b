"""An output folder of made-up sessions with everything that exports must honour: names, merges, corrections, groups."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tests.by_hand import every_millisecond
from tests.made_cohort import write_run
from tests.made_records import Made, write_session

HOSTILE = "=cmd|' /C calc'!A0"
"""A name that a spreadsheet would run, and that no other format may choke on."""
PEOPLE = f"""video_id,track_id,name
one-00000001,1,Ada
one-00000001,2,Ada
one-00000001,4,"{HOSTILE}"
"""
CORRECTIONS = """video_id,action,start,end,person,value,note
one-00000001,exclude,16,18,,,break
one-00000001,exclude,26,28,Person 3,,
one-00000001,drop,,,track 5,,a poster
two-00000002,relabel,3,6,,happy,seen
"""
SESSIONS = """video,participant,group,offset_s,stimulus
one-00000001,,exp,0,trailer
two-00000002,Böb,ctrl,2.5,trailer
"""
ONE = Made(
    seconds=40, people=5, video_id="one-00000001", holes=((5, 7.2),), away=((12, 15),), small=((20, 23),), brief=1,
    markers=((3.0, None, "clap", ""), (8.0, 14.0, "scene <A> & \u201cB\u201d", "segment")),
)  # fmt: skip
TWO = Made(seconds=30, people=1, video_id="two-00000002", seed=3)
EMPTY = Made(seconds=5, people=0, video_id="empty-00000003")


def make_folder(out: Path) -> Path:
    """Three sessions: five people (two of them merged, one dropped), one person, nobody."""
    write_run(out, [write_session(out, made) for made in (ONE, TWO, EMPTY)])
    for name, text in (("people", PEOPLE), ("corrections", CORRECTIONS), ("sessions", SESSIONS)):
        (out / f"{name}.csv").write_text(text, encoding="utf-8")
    return out


def recompute_one(out: Path) -> pd.DataFrame:
    """The bins of the first session, worked out from FACES millisecond by millisecond: name, second and measures."""
    faces = pd.read_parquet(out / "faces" / "one-00000001.parquet")
    lengths = faces.track_id.map(faces.track_id.value_counts())
    faces = faces.assign(length=lengths, track_id=faces.track_id.replace({2: 1}))
    faces = faces[faces.track_id.isin([1, 3, 4])]
    # Of two faces of one person in a frame, that of the longer track.
    faces = faces.sort_values(["frame_index", "length"], ascending=[True, False])
    faces = faces.drop_duplicates(["frame_index", "track_id"]).sort_values(["frame_index", "track_id"])
    ms = every_millisecond(faces, 100).reset_index(drop=True)
    is_out = ms["at"].between(16_000, 17_999) | ((ms.person == 3) & ms["at"].between(26_000, 27_999))
    ms = ms[~is_out].reset_index(drop=True)
    ms["second"] = ms["at"] // 1000
    names = {1: "Ada", 3: "Person 3", 4: HOSTILE}
    values = [
        "engagement", "expressiveness", "positive", "negative", "valence", "attention", "prob_happy", "shown_happy"
    ]  # fmt: skip
    found = ms.groupby([ms.person.map(names), "second"])[values].mean()
    found["face_s"] = ms.groupby([ms.person.map(names), "second"]).size() / 1000
    found["readable_s"] = ms[ms.readable.astype(bool)].groupby([ms.person.map(names), "second"]).size() / 1000
    return found.fillna({"readable_s": 0.0})
