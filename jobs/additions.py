"""What users add to a video besides its analysis: markers, signals, and clips of its peaks."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path

from ferflow.analytics.markers import (
    SPEECH_KIND,
    GivenMarkers,
    Marker,
    parse_rest,
    read_stored_footer,
    store_markers,
)
from ferflow.analytics.peaks import peaks
from ferflow.analytics.rest import describe_unknown_names, find_rest_problems
from ferflow.analytics.signal_input import find_signals_file, read_signal_file
from ferflow.analytics.signals import describe_start, store_signals, stored_metadata
from ferflow.analytics.timeline import person_timeline
from ferflow.analytics.wall_clock import parse_clock
from ferflow.errors import OptionsError, RecordsError
from ferflow.exchange.file_clock import parse_clock_map
from ferflow.exchange.marker_files import (
    find_marker_file,
    find_transcript_file,
    read_marker_file,
    read_transcript_file,
)
from ferflow.exchange.obs import has_chapters
from ferflow.jobs.job import Additions
from ferflow.jobs.lists import find_session_list, read_name_lists, read_names, read_persons, read_session
from ferflow.jobs.timelines import update_timeline
from ferflow.media.creation_time import read_creation_time
from ferflow.render.clips import write_clips
from ferflow.store.atomic_files import is_disk_full
from ferflow.store.failure_kinds import describe_failure
from ferflow.store.metadata import RecordingStart, SignalsMetadata, read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import count_people
from ferflow.store.run_manifest import RunManifest
from ferflow.store.video_files import VideoFiles
from ferflow.system.child_process import call_in_child
from ferflow.text import sanitize

log = logging.getLogger(__name__)

CLOCK_COLUMN = "markers_offset"
"""Of the session list: the clock of the file of markers of a video; see `exchange.file_clock`."""


def check_additions(additions: Additions) -> None:
    """Refuse files that are meant for all videos, before any work is done.

    Raises:
        OptionsError: one of them cannot be used.
    """
    if additions.markers is not None:
        read_marker_file(additions.markers)
    if additions.markers_offset is not None:
        parse_clock_map(additions.markers_offset)
    if additions.speech is not None:
        read_transcript_file(additions.speech)
    for stretch in additions.rest or ():
        parse_rest(stretch)
    if additions.signals is not None:
        read_signal_file(additions.signals)


def add_to_video(
    source: Path, files: VideoFiles, additions: Additions, bin_seconds: float | None = None
) -> None:
    """Store markers and signals of a finished video, update its timeline and cut its clips, as far as that is not done.

    Those of an earlier run stay when there is no longer a file of them. What is wrong with one addition does not
    prevent the others.

    Args:
        source: the video; files of markers and signals are looked for next to it.
        files: its files.
        additions: what to add.
        bin_seconds: length of the bins of its timeline; None: as they are.

    Raises:
        RecordsError: the records cannot be read, or make no timeline.
        OptionsError: a file of markers or signals cannot be used.
        VideoError: clips are requested, but the video is missing.
    """
    with ExitStack() as steps:  # each runs, even after one has raised; the last one to raise is reported
        if additions.embed_clips:
            steps.callback(_add_clips, files, additions)
        # Before the clips, which are of its peaks, and after the markers, of which some are a calibration.
        steps.callback(update_timeline, files, bin_seconds, sessions=additions.sessions)
        steps.callback(_add_signals, source, files, additions)
        steps.callback(_add_markers, source, files, additions)


def add_to_all(out: Path, additions: Additions) -> dict[str, str]:
    """The same for every finished video of a folder, which must be locked, without analysing anything.

    Returns:
        Why not, by video id; what is wrong with one video costs no other.

    Raises:
        RecordsError: `run.json` cannot be read or written.
    """
    failed, folder = {}, OutputFolder(out)
    for files in folder.finished_videos():
        source = Path(files.video_id)
        try:
            source = Path(read_metadata(files.faces).source.path)
            add_to_video(source, files, additions)
        except Exception as error:
            if is_disk_full(error):  # nothing else can be written, either
                raise
            failed[files.video_id] = describe_failure(source, error)
    _update_manifest(folder)
    return failed


def warn_of_rest(folder: OutputFolder, video_ids: Collection[str], sessions: Path | None = None) -> None:
    """Warn of stretches at rest that calibrate no person, a line each.

    Args:
        folder: the output folder.
        video_ids: finished videos of this run.
        sessions: the session list; None: that of the folder.
    """
    lists = read_name_lists(folder.path, folder.find_sources(), sessions)
    found = []
    for files in folder.finished_videos():
        if files.video_id in video_ids and files.markers.exists():
            # A table that cannot be read is reported with the video.
            with suppress(RecordsError):
                found.append(find_rest_problems(read_persons(files, lists.of(files.video_id))))
    for line in (*(line for one in found for line in one.lines), *describe_unknown_names(found)):
        log.warning("%s", line)


def _update_manifest(folder: OutputFolder) -> None:
    """Let `run.json` count the people of the timelines as they are now."""
    manifest = RunManifest.load(folder.manifest)
    if manifest is None:
        return
    changed = [
        manifest.note_people(files.video_id, count_people(files)) for files in folder.finished_videos()
    ]
    if any(changed):
        manifest.save(folder.manifest)


def _add_markers(source: Path, files: VideoFiles, additions: Additions) -> None:
    file = (
        additions.markers
        or find_listed_markers(source, files, additions.sessions)
        or find_marker_file(source)
        or (source if additions.chapters and call_in_child(has_chapters, source) else None)
    )
    transcript = additions.speech or find_transcript_file(source)
    given = None if file is None else _read_markers(file, _find_clock(source, files, additions))
    speech = None if transcript is None else GivenMarkers(transcript, read_transcript_file(transcript))
    if given is not None and given.markers and all(one.kind == SPEECH_KIND for one in given.markers):
        given, speech = None, given  # a transcript in the place of markers
    duration_s = read_metadata(files.faces).duration_s if given is not None else math.inf
    store_markers(files, given, additions.rest, speech, duration_s=duration_s)


def _read_markers(file: Path, clock: str) -> GivenMarkers:
    """The markers of a file at the times of the video."""
    place: Callable[[Marker], Marker] = parse_clock_map(clock).place if clock else _keep
    return GivenMarkers(file, [place(one) for one in read_marker_file(file)], clock)


def _keep(marker: Marker) -> Marker:
    return marker


def _find_clock(source: Path, files: VideoFiles, additions: Additions) -> str:
    """The offset of the markers' clock: as given, else of the session list, else as given before; empty: none."""
    if additions.markers_offset is not None:
        return additions.markers_offset.strip()
    try:
        listed = read_session(files, source, additions.sessions).values.get(CLOCK_COLUMN, "")
    except OptionsError:
        listed = ""  # what reads the list for the pages reports it
    return listed or read_stored_footer(files).clock


def find_listed_markers(source: Path, files: VideoFiles, sessions: Path | None) -> Path | None:
    """The file of markers that the session list names for a video; None: none, or no list that can be used.

    Raises:
        OptionsError: there is no such file.
    """
    path = find_session_list(files.out, sessions)
    if path is None:
        return None
    try:
        named = read_session(files, source, path).markers
    except OptionsError:
        return None  # what reads the list for the pages reports it
    if named is None:
        return None
    # Lists come from Windows, too.
    found = [folder / named.replace("\\", "/") for folder in (path.parent, source.parent)]
    for file in found:
        if os.path.isfile(file):  # noqa: PTH113 - Path.is_file raises for a name that is too long
            return file
    raise OptionsError(
        f"{sanitize(path)}: markers of {sanitize(source.name)}: no file {sanitize(named)}. Give its path from the "
        "folder of the list, or in full."
    )


def _add_signals(source: Path, files: VideoFiles, additions: Additions) -> None:
    file = additions.signals or find_signals_file(source)
    if file is not None:
        duration_s = read_metadata(files.faces).duration_s
        stored = store_signals(files, file, duration_s, lambda: _find_start(source, files, additions))
        if stored is not None:
            _report_stored(source, stored)


def _add_clips(files: VideoFiles, additions: Additions) -> None:
    # The peaks that the page shows: those of persons, merged by name.
    persons = read_persons(files, read_names(files, additions.sessions))
    call_in_child(write_clips, files, peaks(person_timeline(persons)))


def _find_start(source: Path, files: VideoFiles, additions: Additions) -> RecordingStart:
    """When the recording of a video started.

    Raises:
        OptionsError: it is not known.
    """
    if additions.signals_start is not None:
        return RecordingStart(time=additions.signals_start, origin="option")
    if (listed := _start_in_list(source, files, additions.sessions)) is not None:
        return RecordingStart(time=listed, origin="session list")
    # One given earlier holds until another is given, like the page options.
    before = stored_metadata(files)
    if before is not None and before.start is not None and before.start.origin == "option":
        return before.start
    if (created := call_in_child(read_creation_time, source)) is not None:
        return RecordingStart(time=created, origin="video file")
    raise OptionsError(
        f"{sanitize(source.name)}: its signals have times of day, but when its recording started is not known. Give "
        "--signals-start TIME, or a column recording_start in the session list, or the signals with a column time_s."
    )


def _start_in_list(source: Path, files: VideoFiles, sessions: Path | None) -> datetime | None:
    text = read_session(files, source, sessions).values.get("recording_start")
    if not text:
        return None
    try:
        return parse_clock(text)
    except OptionsError as error:
        raise OptionsError(f"session list: recording_start of {sanitize(source.name)}: {error}") from error


def _report_stored(source: Path, stored: SignalsMetadata) -> None:
    """Say what was assumed."""
    name = f"{sanitize(source.name)}: signals of {sanitize(stored.source.name)}"
    if stored.left_out:
        shown = ", ".join(sanitize(column) for column in stored.left_out[:5])
        log.warning("%s: columns without usable numbers are left out (%s).", name, shown)
    if stored.n_before or stored.n_after:
        log.warning(
            "%s: %d of %d samples lie outside of the video (%d before its start, %d after its end) and are not used.",
            name, stored.n_before + stored.n_after, stored.n_samples, stored.n_before, stored.n_after,
        )  # fmt: skip
    if stored.start is not None:
        # Only the file's own time is a guess.
        level = logging.WARNING if stored.start.origin == "video file" else logging.INFO
        when = describe_start(stored.start, stored.assumed_zone)
        log.log(level, "%s: the recording started at %s. Another time: --signals-start.", name, when)
