"""Finds the frame of a picture in a picture: the camera of a player in a game capture, of a speaker beside slides.

Such a frame stays at its place while everything else changes, so its straight edges are in every sample of the video,
and inside of it there is a face.
"""

from __future__ import annotations

from pathlib import Path

from ferflow.faces.detector import Detector
from ferflow.options import AnalyzeOptions
from ferflow.regions import Region


def find_picture_in_picture(path: Path, options: AnalyzeOptions, detector: Detector) -> Region | None:
    """Find the frame; None where there is none that is plain."""
    return None
