"""Lab Streaming Layer: the faces and markers of a live session, for recorders in a laboratory's network.

Stream `ferflow`, type `Expressions`: a sample per face of each analysed frame, with the moment of its frame; in a frame
without a face one sample with track id -1, and NaN in what belongs to a face. Stream `ferflow-markers`, type `Markers`.

Other programs of the network can find and read these streams; nothing is sent to anybody who does not ask.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ferflow.errors import OptionsError
from ferflow.faces.face_result import FaceResult
from ferflow.jobs.live.stream_analyzer import LiveFrame
from ferflow.store.schemas import UNTRACKED

_PLACE = ("x1", "y1", "x2", "y2", "score")
_POSE = ("yaw", "pitch", "roll")
_CONFIG_FILES = ("lsl_api.cfg", "~/lsl_api/lsl_api.cfg", "/etc/lsl_api/lsl_api.cfg")
"""Where liblsl looks for its configuration."""


class LslOutlet:
    """The two streams."""

    def __init__(self, labels: Sequence[str], source_id: str, *, verbose: bool = False) -> None:
        """Announce the streams.

        Args:
            labels: of the model.
            source_id: by which a recorder recognises the streams after an interruption.
            verbose: let liblsl print how it is configured, too.

        Raises:
            OptionsError: pylsl is not installed, or its library is missing.
        """
        self._lsl = _import_pylsl()
        if not verbose:
            _print_warnings_only(self._lsl)
        self._labels = tuple(labels)
        channels = (
            "frame_index",
            "time_s",
            "track_id",
            *_PLACE,
            *(f"prob_{name}" for name in labels),
            *_POSE,
        )
        info = self._lsl.StreamInfo(
            "ferflow", "Expressions", len(channels), 0.0, self._lsl.cf_double64, f"{source_id}-expressions"
        )
        described = info.desc().append_child("channels")
        for name in channels:
            described.append_child("channel").append_child_value("label", name)
        self._faces = self._lsl.StreamOutlet(info)
        markers = self._lsl.StreamInfo(
            "ferflow-markers", "Markers", 1, 0.0, self._lsl.cf_string, f"{source_id}-markers"
        )
        self._markers = self._lsl.StreamOutlet(markers)

    def send(self, frame: LiveFrame) -> None:
        """Publish the faces of a frame."""
        at = self._lsl.local_clock() - frame.latency_ms / 1000
        for face in frame.faces or (None,):
            self._faces.push_sample(self._values(frame, face), at)

    def send_marker(self, label: str) -> None:
        """Publish a marker at this moment."""
        self._markers.push_sample([label])

    def _values(self, frame: LiveFrame, face: FaceResult | None) -> list[float]:
        of_frame = [float(frame.frame_index), frame.time_s]
        if face is None:
            return [*of_frame, UNTRACKED, *[math.nan] * (len(_PLACE) + len(self._labels) + len(_POSE))]
        track = UNTRACKED if face.track_id is None else face.track_id
        pose = [math.nan if angle is None else angle for angle in (face.yaw, face.pitch, face.roll)]
        probs = [face.probs[label] for label in self._labels]
        return [*of_frame, track, *face.xyxy, face.score, *probs, *pose]


def _print_warnings_only(lsl: Any) -> None:
    """Let liblsl keep its messages about its version and configuration to itself."""
    # A laboratory's own file says how its network is found, and would not be read any more.
    has_file = any(Path(path).expanduser().is_file() for path in _CONFIG_FILES)
    if not has_file and not os.environ.get("LSLAPICFG"):
        with contextlib.suppress(AttributeError, NotImplementedError):  # liblsl before 1.17.7
            lsl.set_config_content("[log]\nlevel = -1\n")


def _import_pylsl() -> Any:
    try:
        return importlib.import_module("pylsl")
    except (ImportError, RuntimeError, OSError) as error:  # the package, or its native library
        raise OptionsError(
            "--lsl needs the Lab Streaming Layer. Run: pip install 'ferflow[lsl]'; where its library is missing, "
            "install liblsl."
        ) from error
