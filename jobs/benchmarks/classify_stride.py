"""What it would cost to classify the faces of a track in every K-th frame only.

    python -m ferflow.jobs.benchmarks.classify_stride OUT [--every 2 3 5]

OUT is an output folder in which each face was classified, so that nothing is analysed here. Of each track, the faces of
every K-th frame keep their probabilities, and those between get the mean of their neighbours', weighted by time; after
the last kept face, its probabilities stay. Columns: share of the faces that would be classified; share of the others
whose strongest expression would be the same; mean absolute change of the probability of the strongest expression of
the others; 95th percentile, over seconds of tracks, of the largest change of a mean probability, as a timeline shows
it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.store.records import read_table
from ferflow.types import Float64Array, Int64Array


@dataclass(frozen=True, slots=True)
class Track:
    """The classified faces of one track, in order of time."""

    frame_index: Int64Array
    """int64 (N,)"""
    time_s: Float64Array
    """float64 (N,), seconds"""
    probs: Float64Array
    """float64 (N, K), per label, each row sums to 1"""


def read_tracks(out: Path) -> Iterator[Track]:
    """The tracks of all videos of an output folder.

    Raises:
        RecordsError: a table cannot be read.
    """
    for files in OutputFolder(out).finished_videos():
        table, labels = read_table(files.faces), read_metadata(files.faces).labels
        if not len(table):
            continue
        columns = [table[f"prob_{label}"].to_numpy() for label in labels]
        probs = np.stack(columns, axis=1).astype(np.float64)
        track_id = table["track_id"].to_numpy()
        order = np.lexsort((table["frame_index"].to_numpy(), track_id))
        starts = np.flatnonzero(np.diff(track_id[order], prepend=-1))
        for rows in np.split(order, starts[1:]):
            index, time_s = table["frame_index"].to_numpy()[rows], table["time_s"].to_numpy()[rows]
            yield Track(index.astype(np.int64), time_s, probs[rows])


def classify_some(track: Track, every: int) -> tuple[Float64Array, Int64Array]:
    """Probabilities if only some faces were classified, float64 (N, K), and the rows of those faces."""
    frames = (track.frame_index - track.frame_index[0]) // every
    kept = np.flatnonzero(np.diff(frames, prepend=-1))
    labels = range(track.probs.shape[1])
    columns = [np.interp(track.time_s, track.time_s[kept], track.probs[kept, label]) for label in labels]
    return np.stack(columns, axis=1), kept


@dataclass(slots=True)
class Cost:
    """Sums over tracks."""

    n_faces: int = 0
    n_classified: int = 0
    n_same: int = 0
    change: float = 0.0
    of_seconds: list[float] = field(default_factory=list)
    """Of each second of each track, the largest change of a mean probability."""

    def add(self, track: Track, every: int) -> None:
        """Count one more track."""
        probs, kept = classify_some(track, every)
        between = np.ones(len(probs), np.bool_)
        between[kept] = False
        strongest = track.probs.argmax(axis=1)
        rows = np.arange(len(probs))
        changes = np.abs(probs - track.probs)
        self.n_faces += len(probs)
        self.n_classified += len(kept)
        self.n_same += int((probs.argmax(axis=1) == strongest)[between].sum())
        self.change += float(changes[rows, strongest][between].sum())
        seconds = np.floor(track.time_s).astype(np.int64)
        means = [(probs - track.probs)[seconds == second].mean(axis=0) for second in np.unique(seconds)]
        self.of_seconds.extend(float(np.abs(mean).max()) for mean in means)

    def describe(self) -> str:
        """Cells of a row of the table."""
        n_between = self.n_faces - self.n_classified
        return (
            f"{self.n_classified / self.n_faces:.2f} | {self.n_same / n_between:.4f} |"
            f" {self.change / n_between:.3f} | {np.percentile(self.of_seconds, 95):.3f}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row per K, over all videos of a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--every", nargs="+", type=int, default=[2, 3, 5], metavar="K")
    chosen = parser.parse_args(arguments)
    tracks = list(read_tracks(chosen.out))
    print(
        "| classified in | faces classified | same expression | change of its probability | change of a second |"
    )
    print("|---|---|---|---|---|")
    for every in chosen.every:
        cost = Cost()
        for track in tracks:
            cost.add(track, every)
        print(f"| every {every}. frame | {cost.describe()} |")


if __name__ == "__main__":
    main()
