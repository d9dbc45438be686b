"""Made-up cohorts: many sessions in groups, one session with many people, a test of a trailer, play sessions.

Nobody was filmed. `python -m tests.made_cohort FOLDER` writes an output folder with pages for each.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ferflow.store.video_files import VideoFiles
from tests.made_records import Made, write_session


def forty_sessions(
    out: Path, *, seconds: float = 90.0, n: int = 40, fps: float = 5.0, stimulus: str = ""
) -> list[str]:
    """A session each of `n` participants in three groups of unequal size, listed in `sessions.csv`."""
    groups = ["calm", "drama", "quiz show"]
    rows, videos = ["video,participant,group,age,stimulus"], []
    for k in range(n):
        video_id = f"session-{k + 1:02d}"
        write_session(out, Made(seconds=seconds, fps=fps, video_id=video_id, seed=k, people=1))
        videos.append(video_id)
        rows.append(f"{video_id},p{k + 1:02d},{groups[(k * k) % 7 % 3]},{20 + k},{stimulus}")
    (out / "sessions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_run(out, videos)
    return videos


def one_audience(out: Path, *, people: int = 40, seconds: float = 120.0, fps: float = 4.0) -> str:
    """One session of an audience."""
    video_id = write_session(out, Made(seconds=seconds, fps=fps, people=people, video_id="audience"))
    write_run(out, [video_id])
    return video_id


def write_run(out: Path, videos: list[str]) -> None:
    """`run.json` as a run leaves it."""
    listed = [{"video_id": video_id, "source": f"/films/{video_id}.mp4", "status": "done", "warnings": [],
               "n_people": _count_people(out, video_id)} for video_id in videos]  # fmt: skip
    run = {
        "schema_version": 1,
        "ferflow_version": "0.1.0",
        "options": {},
        "started": "2026-01-02T03:04:05+00:00",
        "videos": listed,
    }
    (out / "run.json").write_text(json.dumps(run), encoding="utf-8")


def _count_people(out: Path, video_id: str) -> int:
    path = VideoFiles(out, video_id).timeline
    return (
        len(pq.read_table(path, columns=["person_id"]).column(0).drop_null().unique()) if path.exists() else 0
    )


TRAILER = """time_s,label,end_s,kind
0,opening,8,segment
8,car chase,24,segment
24,dinner,44,segment
44,reveal,60,segment
15,crash,,event
33,punchline,,event
"""


def trailer_test(
    out: Path, *, n: int = 8, stimulus: str = "trailer.mp4", first: int = 0, seconds: float = 60.0
) -> None:
    """`n` people in two groups watch one trailer, each in front of an own camera that starts up to 5 s earlier.

    The last one leaves in the middle; of Fred only 4 s can be seen, and of Gina no face.
    """
    rows = []
    for k in range(n):
        early = float(k % 3) * 2.5
        away = ((early + 31, early + seconds),) if k == n - 1 else ()
        # The camera starts earlier, so everything that the trailer causes comes later in its video.
        made = Made(
            seconds=early + seconds, fps=8, video_id=f"p{first + k + 1:02d}", seed=first + k, away=away
        )
        rows.append(
            [
                write_session(out, made),
                NAMES[(first + k) % len(NAMES)],
                ("first cut", "new cut")[k % 2],
                early,
            ]
        )
    if not first:
        fred = Made(seconds=seconds, fps=8, video_id="p90", seed=90, away=((4, seconds),))
        gina = Made(seconds=seconds, fps=8, video_id="p91", people=0)
        rows += [
            [write_session(out, fred), "Fred", "first cut", 0],
            [write_session(out, gina), "Gina", "new cut", 0],
        ]
    path = out / "sessions.csv"
    text = (
        path.read_text(encoding="utf-8") if path.exists() else "video,participant,group,offset_s,stimulus\n"
    )
    text += "".join(f"{video},{who},{group},{early:g},{stimulus}\n" for video, who, group, early in rows)
    path.write_text(text, encoding="utf-8")
    write_run(out, [line.split(",")[0] for line in text.splitlines()[1:]])


NAMES = ("Ada", "Ben", "Chloé", "Dana", "Emil", "Farid", "Grete", "Hana")


def draw_stimulus(path: Path, *, seconds: int = 60, fps: int = 5) -> Path:
    """A small video in which a bar moves from left to right once, and the brightness changes with each scene."""
    from fractions import Fraction

    from tests.conftest import write_video

    images = []
    for k in range(seconds * fps):
        image = np.full((90, 160, 3), (40, 90, 60, 140)[k * 4 // (seconds * fps)], np.uint8)
        x = round(k / (seconds * fps) * 150)
        image[20:70, x : x + 10] = (230, 200, 60)
        images.append(image)
    return write_video(path, images, pts=list(range(len(images))), time_base=Fraction(1, fps))


def play_sessions(out: Path, *, n: int = 6) -> None:
    """Sessions of different length in which a boss appears at other times in each; nothing is shared but the marker."""
    rows = ["video,participant,group"]
    for k in range(n):
        seconds = 70.0 + 15 * k
        # `Made` shows joy at .3, .55 and .8 of the length: the fights start a second before.
        fights = tuple(
            (share * seconds - 1, share * seconds + 6, "boss_fight", "") for share in (0.3, 0.55, 0.8)
        )
        made = Made(seconds=seconds, fps=6, video_id=f"play-{k + 1}", seed=40 + k, markers=fights)
        rows.append(f"{write_session(out, made)},{NAMES[k]},{('novice', 'expert')[k % 2]}")
    (out / "sessions.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_run(out, [row.split(",")[0] for row in rows[1:]])


def main(folder: Path) -> None:
    """Write all made-up cohorts, with pages."""
    from ferflow.dashboards import refresh

    trailer = folder / "trailer"
    trailer_test(trailer)
    draw_stimulus(trailer / "trailer.mp4")
    (trailer / "trailer.markers.csv").write_text(TRAILER)
    two = folder / "two stimuli"
    trailer_test(two, n=5)
    trailer_test(two, n=4, stimulus="Concert", first=5, seconds=45)
    draw_stimulus(two / "trailer.mp4")
    play_sessions(folder / "play")
    forty_sessions(folder / "forty", seconds=60, stimulus="quiz")
    one_audience(folder / "audience", people=12, seconds=60)
    write_run(folder / "single", [write_session(folder / "single", Made(seconds=40))])
    for out in sorted(path for path in folder.iterdir() if path.is_dir()):
        refresh(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
