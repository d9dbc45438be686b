"""Signals: continuous values from a session besides its video, on the video's clock.

`signal_input` reads a file of them. `store_signals()` keeps it in the output folder, so that a page can be made again
when the file is gone. `bin_signals()` gives a signal the bins of a timeline:

>>> health = Signal("health", np.array([0.0, 1.5, 2.0]), np.array([100.0, 80.0, np.nan]))
>>> bin_signals([health], np.array([0.0, 1.0, 2.0]))["health"].tolist()
[100.0, 90.0]
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from ferflow.analytics.frame_time import usual_step
from ferflow.analytics.signal_input import MOST_BYTES, SignalFile, read_signal_file
from ferflow.analytics.tally import column, ratio
from ferflow.analytics.timeline import audience
from ferflow.analytics.video_times import looks_like_milliseconds
from ferflow.errors import OptionsError, RecordsError
from ferflow.plain_file import check_plain_file
from ferflow.store.metadata import GivenFile, RecordingStart, SignalsMetadata, read_signals_metadata
from ferflow.store.records import read_table, write_table
from ferflow.store.table_checks import refuse
from ferflow.store.video_files import VideoFiles
from ferflow.text import sanitize, timecode
from ferflow.types import Float64Array

GAP_STEPS = 10.0
GAP_SECONDS = 1.0
"""A step longer than this many usual steps, and than this, is a gap: the logger or the sensor was off."""
STEADY_SHARE = 0.9
STEADY_STEPS = 2.0
"""A signal with at least this share of its steps no longer than this many usual steps was logged at a rate. Of steps at
random (exponentially distributed) it is three quarters: such a signal was logged when it changed."""
LEAST_STEPS = 10
"""Fewer steps tell no rate."""

COLUMN_PREFIX = "signal:"
"""Before the name of a signal where it stands among names of measures; no measure has a colon in its name."""

SIGNALS = pa.schema(
    [
        ("video_id", pa.string()),
        ("name", pa.dictionary(pa.int16(), pa.string())),
        ("time_s", pa.float64()),
        ("value", pa.float64()),
    ]
)
"""A row per sample, by signal in the order of the file, then by time. `value` is null where it is not known."""

_UNIT = re.compile(r"(.*\S)\s*(?:\[([^\[\]]{1,20})\]|\(([^\s()]{1,12})\))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of a video. Arrays are float64 (N,)."""

    name: str
    time_s: Float64Array
    """Ascending, each once; may lie before the first frame or after the last."""
    value: Float64Array
    """NaN where not known."""

    @property
    def column(self) -> str:
        """Its name where it stands among names of measures."""
        return COLUMN_PREFIX + self.name

    @property
    def title(self) -> str:
        """Its name without the unit."""
        return split_unit(self.name)[0]

    @property
    def unit(self) -> str:
        """Its unit; may be empty."""
        return split_unit(self.name)[1]


def split_unit(name: str) -> tuple[str, str]:
    """Title and unit of a signal; the unit is what its name has in brackets at the end, as in "heart rate [bpm]"."""
    match = _UNIT.fullmatch(name)
    return (match[1], (match[2] or match[3]).strip()) if match else (name, "")


@dataclass(frozen=True, slots=True)
class BinnedSignal:
    """A signal in the bins of a timeline; adds up over bins and over sessions. Arrays are float64 (bins,)."""

    sums: Float64Array
    """Integral over the time of the bin in which the signal is known."""
    seconds: Float64Array
    """That time."""


@dataclass(frozen=True, slots=True)
class StoredSignals:
    """Signals of a video, and where they came from."""

    signals: tuple[Signal, ...] = ()
    metadata: SignalsMetadata | None = None
    """None: there are none."""


def hold_until(signal: Signal) -> Float64Array:
    """When each sample ends to hold, float64 (N,): when the next one comes.

    The last sample of a signal that was logged at a rate, and the one before a gap, hold for a usual step (the
    median). A signal that was logged when it changed has no gaps, and its last sample holds for ever.
    """
    steps = np.diff(signal.time_s)
    usual = usual_step(signal.time_s)
    if len(steps) < LEAST_STEPS or np.mean(steps <= STEADY_STEPS * usual) < STEADY_SHARE:
        return np.append(signal.time_s[1:], np.inf)[: len(signal.time_s)]
    is_gap = steps > max(GAP_SECONDS, GAP_STEPS * usual)
    return np.asarray(signal.time_s + np.append(np.where(is_gap, usual, steps), usual))


def bin_signals(signals: Sequence[Signal], edges: Float64Array) -> dict[str, Float64Array]:
    """Means of signals over bins, weighted by time: a sample holds until the next one, see `hold_until`.

    Args:
        signals: of a video.
        edges: float64 (bins + 1,), ascending; a bin is [edge, next edge).

    Returns:
        By name, float64 (bins,); NaN where the signal is not known at any time of the bin.
    """
    summed = sum_bins(signals, edges)
    return {name: ratio(binned.sums, binned.seconds) for name, binned in summed.items()}


def sum_bins(signals: Sequence[Signal], edges: Float64Array) -> dict[str, BinnedSignal]:
    """The same before the division, by name; arguments as of `bin_signals`."""
    return {signal.name: _sum_bins(signal, edges) for signal in signals}


def sum_timeline_bins(
    signals: Sequence[Signal], timeline: pa.Table, start_s: float, end_s: float
) -> dict[str, BinnedSignal]:
    """Signals in the bins of a timeline, by name, within a part of the video.

    Args:
        signals: of the video.
        timeline: TIMELINE of it.
        start_s: where the part starts.
        end_s: where it ends, at the end of the video at the latest; a signal may go on, but is then about something
            else.
    """
    return sum_bins(signals, np.clip(_edges(timeline), start_s, max(start_s, end_s)))


def signal_columns(signals: Sequence[Signal], timeline: pa.Table) -> dict[str, Float64Array]:
    """Signals as columns next to a timeline's, for curves around markers and of cohorts.

    Args:
        signals: of the video.
        timeline: TIMELINE of it.

    Returns:
        By `Signal.column`, float64 (bins of the audience,).
    """
    binned = bin_signals(signals, _edges(timeline))
    return {signal.column: binned[signal.name] for signal in signals}


def _edges(timeline: pa.Table) -> Float64Array:
    rows = audience(timeline)
    return np.append(column(rows, "bin_start_s"), column(rows, "bin_end_s")[-1:])


def _sum_bins(signal: Signal, edges: Float64Array) -> BinnedSignal:
    n_bins = max(len(edges) - 1, 0)
    ends = hold_until(signal)
    # Pieces within which neither the bin nor the sample changes. Most samples end where the next one starts.
    early = ends[:-1] < signal.time_s[1:]
    cuts = np.concatenate([edges, signal.time_s, ends[:-1][early], ends[-1:]])
    cuts = np.unique(cuts[(cuts >= edges[0]) & (cuts <= edges[-1])]) if n_bins else edges[:0]
    starts, seconds = cuts[:-1], np.diff(cuts)
    sample = np.searchsorted(signal.time_s, starts, side="right") - 1
    known = (sample >= 0) & (starts < ends[sample]) if len(ends) else np.zeros(len(starts), dtype=bool)
    known[known] = np.isfinite(signal.value[sample[known]])
    starts, seconds, values = starts[known], seconds[known], signal.value[sample[known]]
    bins = np.searchsorted(edges, starts, side="right") - 1
    sums, total = np.bincount(bins, values * seconds, n_bins), np.bincount(bins, seconds, n_bins)
    return BinnedSignal(sums.astype(np.float64), total.astype(np.float64))


def store_signals(
    paths: VideoFiles, source: Path, duration_s: float, find_start: Callable[[], RecordingStart]
) -> SignalsMetadata | None:
    """Store the signals of a file in the output folder.

    Args:
        paths: of the video.
        source: the file of signals.
        duration_s: length of the video.
        find_start: returns when the recording started; called only if the file has times of day.

    Returns:
        What was stored; None: it was stored before.

    Raises:
        OptionsError: as `read_signal_file`; the start is not known; or all times lie outside of the video. What was
            stored before stays.
    """
    given = GivenFile(name=source.name, sha256=_sha256(source))
    stored = stored_metadata(paths)
    if (
        stored is not None
        and stored.source == given
        and (stored.start is None or stored.start == find_start())
    ):
        return None
    file = read_signal_file(source)
    start = find_start() if file.needs_start else None
    signals = place_signals(file, start)
    if signals:
        _check_overlap(file, signals, start, duration_s)
    metadata = SignalsMetadata(
        video_id=paths.video_id,
        source=given,
        start=start,
        assumed_zone=None if start is None else file.assumed_zone(start.time),
        left_out=file.left_out,
        n_samples=sum(len(one.time_s) for one in signals),
        n_before=sum(int((hold_until(one) <= 0).sum()) for one in signals),
        n_after=sum(int((one.time_s >= duration_s).sum()) for one in signals),
    )
    write_table(paths.signals, _table(signals, paths.video_id), metadata)
    return metadata


def place_signals(file: SignalFile, start: RecordingStart | None) -> tuple[Signal, ...]:
    """The signals of a file on the clock of a video.

    Args:
        file: the file's contents.
        start: of the recording; not used where the file has seconds of the video.
    """
    seconds = file.seconds(start.time if start is not None else None)
    return tuple(_in_order(name, seconds[found.rows], found.values) for name, found in file.samples.items())


def stored_metadata(paths: VideoFiles) -> SignalsMetadata | None:
    """What the table of signals of a video says of itself; None if there is none, or it is damaged."""
    try:
        return read_signals_metadata(paths.signals)
    except RecordsError:
        return None


def load_signals(paths: VideoFiles) -> StoredSignals:
    """Load the signals stored for a video.

    Raises:
        RecordsError: the table is there but cannot be read.
    """
    if not paths.signals.exists():
        return StoredSignals()
    metadata = read_signals_metadata(paths.signals)
    table = read_table(paths.signals, ["name", "time_s", "value"]).combine_chunks()
    names = table.column("name").combine_chunks()
    codes, times, values = names.indices.to_numpy(), column(table, "time_s"), column(table, "value")
    # Rows of a signal are adjacent.
    bounds = [0, *(np.flatnonzero(np.diff(codes)) + 1), len(codes)]
    parts = [slice(a, b) for a, b in pairwise(bounds) if b > a]
    words = names.dictionary.to_pylist()
    if any((np.diff(times[part]) <= 0).any() for part in parts):
        raise refuse(paths.signals, "samples that are not in order")
    return StoredSignals(
        tuple(Signal(words[codes[part.start]], times[part], values[part]) for part in parts), metadata
    )


def _in_order(name: str, seconds: Float64Array, values: Float64Array) -> Signal:
    """Samples by time; of several at one time, the last one of the file counts."""
    order = np.argsort(seconds, kind="stable")
    times = seconds[order]
    last = np.append(np.diff(times) > 0, True)[: len(times)]
    return Signal(name, times[last], values[order][last])


def _table(signals: Sequence[Signal], video_id: str) -> pa.Table:
    lengths = [len(signal.time_s) for signal in signals]
    codes = np.repeat(np.arange(len(signals), dtype=np.int16), lengths)
    names = pa.DictionaryArray.from_arrays(codes, pa.array([one.name for one in signals], pa.string()))
    columns = {
        "video_id": pa.array([video_id] * len(codes), pa.string()),
        "name": names,
        "time_s": np.concatenate([np.zeros(0), *(one.time_s for one in signals)]),
        "value": pa.array(np.concatenate([np.zeros(0), *(one.value for one in signals)]), from_pandas=True),
    }
    return pa.table(columns, schema=SIGNALS)


def _check_overlap(
    file: SignalFile, signals: Sequence[Signal], start: RecordingStart | None, duration_s: float
) -> None:
    first = min(float(one.time_s[0]) for one in signals)
    last = max(float(one.time_s[-1]) for one in signals)
    if first < duration_s and last >= 0:
        return
    how_far = (
        f"{timecode(first - duration_s)} after its end"
        if last >= 0
        else f"{timecode(-last)} before its start"
    )
    what = f"{file.file}: no value lies within the video, which lasts {timecode(duration_s)}: the nearest is {how_far}"
    if start is not None:
        raise OptionsError(
            f"{what}, if the recording started at {describe_start(start, file.assumed_zone(start.time))}. Check "
            "--signals-start and time zones."
        )
    if looks_like_milliseconds([first, last], duration_s):
        raise OptionsError(f"{what}. These look like milliseconds: time_s must be in seconds.")
    raise OptionsError(f"{what}. time_s must be in seconds after the first frame of this video.")


def describe_start(start: RecordingStart, assumed_zone: str | None = None) -> str:
    """When a recording started, who says so, and what was assumed about time zones."""
    origin = {
        "option": "as given",
        "session list": "column recording_start of the session list",
        "video file": "creation time in the video file",
    }[start.origin]
    zone = f"; times without a zone are taken as {assumed_zone}" if assumed_zone else ""
    return f"{start.time.isoformat(sep=' ', timespec='seconds')} ({origin}{zone})"


def _sha256(path: Path) -> str:
    try:
        check_plain_file(path, MOST_BYTES)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise OptionsError(f"{sanitize(path)}: cannot be read ({error.strerror}). Check the path.") from error
