"""Video files in, honest facial-expression data and readable reports out.

>>> import ferflow
>>> report = ferflow.run(["sessions/"], "out")
>>> faces = ferflow.load_faces("out")
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferflow.version import __version__

# ferflow sends no data to anybody, and neither may the libraries that it uses. From version 1.29 on, official builds of
# ONNX Runtime report to their maker which models are loaded, and Ray reports how it is used. Each reads its variable
# once, when it starts, so both are set before either is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

# In a checkout, the folders `jobs` and `dashboards` are next to this package; installed, they are inside it. With the
# checkout's root in the package's path, `ferflow.jobs` is found in both.
if (Path(__file__).parents[1] / "jobs" / "run.py").exists() and not (Path(__file__).parent / "jobs").exists():
    __path__.append(str(Path(__file__).parents[1]))

if TYPE_CHECKING:
    from ferflow.faces.face_result import FaceResult
    from ferflow.jobs.job import Job
    from ferflow.jobs.live.session import Live
    from ferflow.jobs.live.stream_analyzer import LiveFrame
    from ferflow.jobs.run import run, run_events
    from ferflow.jobs.run_events import RunReport
    from ferflow.options import AnalyzeOptions, TimePoint
    from ferflow.pipeline import analyze
    from ferflow.single_picture import predict
    from ferflow.store.load import load_faces, load_frames, load_timeline
    from ferflow.store.records import FaceRows, FrameRows, TrackRows

_HOMES = {
    "AnalyzeOptions": "ferflow.options",
    "FaceResult": "ferflow.faces.face_result",
    "FaceRows": "ferflow.store.records",
    "FrameRows": "ferflow.store.records",
    "Job": "ferflow.jobs.job",
    "Live": "ferflow.jobs.live.session",
    "LiveFrame": "ferflow.jobs.live.stream_analyzer",
    "RunReport": "ferflow.jobs.run_events",
    "TimePoint": "ferflow.options",
    "TrackRows": "ferflow.store.records",
    "analyze": "ferflow.pipeline",
    "load_faces": "ferflow.store.load",
    "load_frames": "ferflow.store.load",
    "load_timeline": "ferflow.store.load",
    "predict": "ferflow.single_picture",
    "run": "ferflow.jobs.run",
    "run_events": "ferflow.jobs.run",
}

__all__ = [
    "AnalyzeOptions",
    "FaceResult",
    "FaceRows",
    "FrameRows",
    "Job",
    "Live",
    "LiveFrame",
    "RunReport",
    "TimePoint",
    "TrackRows",
    "__version__",
    "analyze",
    "load_faces",
    "load_frames",
    "load_timeline",
    "predict",
    "run",
    "run_events",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import ferflow` and `ferflow --help` take no time."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ferflow' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
