"""What the page of one session needs to know of its stimulus: the markers next to its video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ferflow.analytics.session_list import UNLISTED, SessionRow, read_sessions
from ferflow.analytics.stimuli import Stimulus, find_stimulus
from ferflow.analytics.stimulus_markers import StimulusMarkers
from ferflow.dashboards.shared.placed_sessions import read_placed_sessions
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.errors import OptionsError, RecordsError
from ferflow.exchange.marker_files import find_marker_file, read_marker_table
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.run_manifest import RunManifest
from ferflow.store.video_files import VideoFiles


@dataclass(frozen=True, slots=True)
class SessionStimulus:
    """The stimulus of one session."""

    name: str = ""
    """Empty: none."""
    offset_s: float = 0.0
    markers_file: Path | None = None
    """Next to the stimulus; None: none."""

    def load_markers(self) -> StimulusMarkers:
        """Its markers; none if the file cannot be used, which the overview reports."""
        if self.markers_file is None:
            return StimulusMarkers()
        try:
            return StimulusMarkers(read_marker_table(self.markers_file), self.offset_s, self.name)
        except OptionsError:
            return StimulusMarkers()


def find_session_stimulus(files: VideoFiles, options: PageOptions) -> SessionStimulus:
    """Find the stimulus of a session; none where a list cannot be used, which the overview reports.

    Args:
        files: of a finished video.
        options: of the pages; they may name a session list.

    Raises:
        RecordsError: its table of faces cannot be read.
    """
    source = read_metadata(files.faces).source.path
    try:
        row, stored = _listed(files, options, source), _stored(files)
    except (OptionsError, RecordsError):
        return SessionStimulus()
    text = row.stimulus or stored
    if not text:
        return SessionStimulus()
    stimulus = locate(text, files.out, options, source)
    markers = find_marker_file(stimulus.path) if stimulus.path is not None else None
    return SessionStimulus(stimulus.name, row.offset_s, markers)


def locate(text: str, out: Path, options: PageOptions, source: str) -> Stimulus:
    """The stimulus that a session list or a job names, for one video: where its path may start."""
    listed = (options.sessions or OutputFolder(out).session_list).parent
    return find_stimulus(text, [listed, out, Path(source).parent])


def _listed(files: VideoFiles, options: PageOptions, source: str) -> SessionRow:
    path = options.sessions or OutputFolder(files.out).session_list
    if not path.exists():
        return UNLISTED
    row = read_sessions(path, {files.video_id: source}).of(files.video_id)
    if row.part is None:
        return row
    # The place of a part follows from the others.
    folder = OutputFolder(files.out)
    return read_placed_sessions(path, files.out, folder.find_sources()).of(files.video_id)


def _stored(files: VideoFiles) -> str | None:
    path = OutputFolder(files.out).manifest
    try:
        stat = path.stat()
    except OSError:
        return None
    return _stimuli_as_of(path, (stat.st_ino, stat.st_size, stat.st_mtime_ns)).get(files.video_id)


# Asked for each page, and a manifest of two thousand videos is a megabyte.
@lru_cache(maxsize=2)
def _stimuli_as_of(path: Path, _stamp: tuple[int, ...]) -> Mapping[str, str]:
    run = RunManifest.load(path)
    return run.stimuli if run is not None else {}
