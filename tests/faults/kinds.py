"""Which commands are disturbed, by what, and which exit codes each fault may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ferflow.options import AnalyzeOptions

OPTIONS = AnalyzeOptions(threads=1)

CODES = {
    "kill": {-9},
    "term": {0, 130},
    "stop": {0},
    "clock": {0},
    "full": {0, 3, 5, 10},
    "eio": {0, 2, 3, 5, 10},
    "memory": {0, 2, 3, 4, 5, 10},
}
"""By fault; -9 is a kill. Never 1, an error in ferflow. 0 where the fault came late, or in what is retried."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command that writes; `{out}`, `{videos}` and `{scratch}` stand for folders, `{faces}` for a data set."""

    argv: tuple[str, ...]
    needs_results: bool = True
    """It runs on a copy of a finished folder."""
    prepare: str = ""
    """What is done to that copy before: `names`, `upload` (and names), `no_manifest`, `shards`, `thumbnails`."""
    is_slow: bool = False
    """It takes many seconds: not among the quick draws."""
    kind: Literal["plain", "live", "app"] = "plain"
    """`live`: what it leaves is another recording each time. `app`: it serves until a client has asked for all."""


COMMANDS = {
    "analyze": Command(
        ("analyze", "{videos}", "-o", "{out}", "--threads", "1", "--workers", "0"), needs_results=False
    ),
    "analyze in a worker": Command(
        ("analyze", "{videos}", "-o", "{out}", "--threads", "1", "--workers", "1", "--no-report"),
        needs_results=False,
    ),
    "analyze --overwrite": Command(
        ("analyze", "{videos}", "-o", "{out}", "--threads", "1", "--workers", "0", "--overwrite")
    ),
    "analyze --shard": Command(
        ("analyze", "{videos}", "-o", "{out}", "--threads", "1", "--workers", "0", "--shard", "1/1"),
        needs_results=False,
    ),
    "merge": Command(("merge", "{out}"), prepare="shards"),
    "report": Command(("report", "{out}"), prepare="names"),
    "report --csv": Command(("report", "{out}", "--csv"), prepare="names"),
    "report --embed-clips": Command(("report", "{out}", "--embed-clips"), prepare="names"),
    "export": Command(
        ("export", "{out}", "-f", "csv,vtt,elan,duckdb,xlsx,bids", "--overwrite"), prepare="names"
    ),
    "compact": Command(("compact", "{out}"), prepare="names"),
    "annotate": Command(
        ("annotate", "{videos}", "--from", "{out}", "-o", "{scratch}", "--overwrite"), is_slow=True
    ),
    "report --single-file": Command(
        ("report", "{out}", "--single-file", "--video-mb", "0.1"), prepare="names"
    ),
    "annotate --anonymize": Command(
        ("annotate", "{videos}", "--anonymize", "blur", "-o", "{scratch}", "--overwrite"), is_slow=True
    ),
    "clips": Command(
        ("clips", "{out}", "-o", "{scratch}", "--expression", "happy", "--top", "1", "--overwrite"),
        is_slow=True,
    ),
    "people --csv": Command(("people", "{out}", "--csv", "{scratch}/list.csv")),
    "people --thumbnails": Command(("people", "{out}", "--thumbnails")),
    "people --forget": Command(("people", "{out}", "--forget"), prepare="thumbnails"),
    "forget": Command(("forget", "{out}", "--participant", "Person of a", "--yes"), prepare="upload"),
    "doctor --repair": Command(("doctor", "{out}", "--repair"), prepare="no_manifest"),
    "evaluate": Command(
        ("evaluate", "{faces}", "--json", "{scratch}/scores.json", "--report", "{scratch}/page.html"),
        needs_results=False,
    ),
    "train": Command(
        ("train", "{faces}", "-o", "{out}", "--recipe", "two-conv", "--epochs", "2", "--batch-size", "8"),
        needs_results=False,
        is_slow=True,
    ),
    "live": Command(
        ("live", "{videos}/a.mp4", "--json", "--record", "{out}", "--threads", "1"), is_slow=True, kind="live"
    ),
    "app": Command(("app", "{out}", "--port", "0", "--no-browser"), is_slow=True, kind="app"),
}
