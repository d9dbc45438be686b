"""What the page of one session needs to know of its stimulus: the markers next to its video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ferflow.analytics.markers import find_markers_file, read_markers
from ferflow.analytics.session_list import UNLISTED, SessionRow, read_sessions
from ferflow.analytics.stimuli import Stimulus, find_stimulus
from ferflow.analytics.stimulus_markers import StimulusMarkers
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.errors import OptionsError, RecordsError
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
            return StimulusMarkers(read_markers(self.markers_file), self.offset_s, self.name)
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
    markers = find_markers_file(stimulus.path) if stimulus.path is not None else None
    return SessionStimulus(stimulus.name, row.offset_s, markers)


def locate(text: str, out: Path, options: PageOptions, source: str) -> Stimulus:
    """The stimulus that a session list or a job names, for one video: where its path may start."""
    listed = (options.sessions or OutputFolder(out).session_list).parent
    return find_stimulus(text, [listed, out, Path(source).parent])


def _listed(files: VideoFiles, options: PageOptions, source: str) -> SessionRow:
    path = options.sessions or OutputFolder(files.out).session_list
    if not path.exists():
        return UNLISTED
    return read_sessions(path, {files.video_id: source}).of(files.video_id)


def _stored(files: VideoFiles) -> str | None:
    run = RunManifest.load(OutputFolder(files.out).manifest)
    return run.stimuli.get(files.video_id) if run is not None else None
