"""Every number of a session, worked out from the tables of an output folder with pandas; no code of the product.

    video = Tables(out, "talk-0123abcd")
    video.timeline()      what TIMELINE should contain, from FRAMES and FACES
    video.means(rows)     means of rows of TIMELINE

Definitions: docs/numbers.md. Time is not cut into pieces here, as the product does it: how long a frame lies in a bin,
or in the window of a face, is the overlap of two intervals, for all pairs of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.signal import find_peaks

MEASURES = ["attention", "expressiveness", "engagement", "valence", "positive", "negative", "reacting"]
NEGATIVE = ["angry", "disgust", "fear", "sad"]
REASONS = ["turned", "small", "blurred", "occluded"]
PLAYABLE = ["h264", "hevc", "vp8", "vp9", "av1", "libdav1d"]
STATES = ["readable", *REASONS, "uncounted", "no_face", "excluded", "missing", "outside"]
NAN = float("nan")


def footer(path: Path) -> dict[str, Any]:
    """What a table says of its video."""
    return json.loads(pq.read_metadata(path).metadata[b"ferflow"])


def overlap(start: np.ndarray, end: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Length of the overlap of each interval [start, end) with each [low, high)."""
    return (np.minimum.outer(end, high) - np.maximum.outer(start, low)).clip(0)


def mean(values: pd.Series, weights: pd.Series) -> float:
    """Of the known values; NaN without any."""
    weights = weights[values.notna()].astype(float)
    return float((values[values.notna()] * weights).sum() / weights.sum()) if weights.sum() > 0 else NAN


class Tables:
    """One video of an output folder. Tracks of one name are one person, whose id is the lowest of theirs."""

    def __init__(self, out: Path, video_id: str, names: Mapping[int, str] | None = None) -> None:
        self.names = dict(names or {})
        self.frames, self.faces, self.stored = (
            pd.read_parquet(out / f"{table}/{video_id}.parquet") for table in ("frames", "faces", "timeline")
        )
        self.facts = footer(out / f"faces/{video_id}.parquet")
        self.footer = footer(out / f"timeline/{video_id}.parquet")
        given = out / f"markers/{video_id}.parquet"
        nothing = pd.DataFrame(columns=["time_s", "end_s", "label", "kind"])
        self.markers = pd.read_parquet(given) if given.exists() else nothing
        stored = out / f"signals/{video_id}.parquet"
        self.samples = (
            pd.read_parquet(stored) if stored.exists() else pd.DataFrame(columns=["name", "time_s", "value"])
        )
        self.signal_footer = footer(stored) if stored.exists() else None
        self.labels = list(self.facts["labels"])
        self.bin_s = float(self.footer["bin_seconds"])
        self.is_joined = len(set(self.names.values())) < len(self.names)
        self._complete()

    def _complete(self) -> None:
        """Columns that everything else needs."""
        frames, faces = self.frames, self.faces
        frames["seconds"] = self._frame_seconds()
        row = pd.Series(frames.index, index=frames.frame_index)
        faces["row"] = row.reindex(faces.frame_index).to_numpy()
        faces["start"] = frames.time_s.reindex(faces.row).to_numpy()
        faces["seconds"] = frames.seconds.reindex(faces.row).to_numpy()
        faces["person"] = self._persons()
        noted = faces.unreadable.astype(object)
        seen = np.select([faces.yaw.abs() > 45, faces.face_px < 28, faces.sharpness < 50], REASONS[:3], "")
        faces["reason"] = noted.where(noted.notna(), pd.Series(seen, index=faces.index))
        faces["known"] = (faces.reason == "") & faces[self.probs].notna().all(axis=1)
        gate = lambda angle: ((35 - angle.abs()) / 20).clip(0, 1)  # noqa: E731
        faces["attention"] = gate(faces.yaw.astype(float)) * gate(faces.pitch.astype(float))

    @property
    def probs(self) -> list[str]:
        return [f"prob_{label}" for label in self.labels]

    @property
    def shown(self) -> list[str]:
        return [f"shown_{label}" for label in self.labels]

    @property
    def duration_s(self) -> float:
        return float(self.facts["duration_s"])

    @property
    def is_playable(self) -> bool:
        """Whether the video is where it was analysed, and browsers play its format."""
        source = self.facts["source"]
        known = any(name in source["format"] for name in ("mp4", "webm", "matroska"))
        return known and source["codec"] in PLAYABLE and Path(source["path"]).exists()

    @property
    def analysed_s(self) -> float:
        return float(self.frames.seconds.sum())

    def _frame_seconds(self) -> np.ndarray:
        """How long each frame is shown: until the next, or the end; one usual step at most where frames are missing."""
        starts = self.frames.time_s.to_numpy()
        if not len(starts):
            return starts
        usual = float(np.median(np.diff(starts))) if len(starts) > 1 else 0.04
        end = self.duration_s if self.duration_s > starts[-1] else starts[-1] + usual
        seconds = np.diff(np.append(starts, end))
        for gap in self.facts["gaps"]:
            gap_end = np.inf if gap["end_s"] is None else gap["end_s"]
            before = (starts < gap_end) & (starts + seconds > gap["start_s"])
            seconds[before] = np.minimum(seconds[before], usual)
        return seconds

    # --- People ---------------------------------------------------------------------------------------------

    def _persons(self) -> pd.Series:
        """Of each face; -1: of nobody. A person has one face in a frame: that of the track with the most faces.

        Tracks are of the persons that FACES name; names join them. A person has the lowest id of the first track.
        """
        tracks = self.faces.track_id
        stitched = self.faces.person_id.astype(float).fillna(-1).astype(int)
        if not len(stitched) or stitched.max() < 0:
            stitched = tracks
        person_of = dict(zip(tracks, stitched, strict=True))
        name_of = {person_of[track]: name for track, name in sorted(self.names.items()) if track in person_of}
        lowest: dict[str, int] = {}
        found = {-1: -1}
        for track in sorted(set(tracks) - {-1}):
            name = self.names.get(track) or name_of.get(person_of[track]) or f"person {person_of[track]}"
            found[track] = lowest.setdefault(name, person_of[track])
        person = tracks.map(found)
        self.owner = person.copy()
        if self.is_joined:
            order = self.faces.assign(person=person, length=tracks.map(tracks.value_counts()))
            order = order[order.person != -1]
            order = order.sort_values(["length", "track_id"], ascending=[False, True], kind="stable")
            person[order.index[order.duplicated(["frame_index", "person"])]] = -1
        return person

    def _sight(self, by: str) -> pd.DataFrame:
        """When each person, or track, is in view, by id."""
        mine = self.faces[self.faces[by] != -1].groupby(by)
        found = mine.agg(first_s=("start", "min"), last_s=("start", "max"), seconds=("seconds", "sum"),
                         n_faces=("start", "size"), score=("score", "max"))  # fmt: skip
        least = min(1.0, self.analysed_s / 2) - 1e-6
        return found.assign(brief=(found.seconds < least) | (found.score < np.float32(0.8)))

    @cached_property
    def sightings(self) -> pd.DataFrame:
        return self._sight("person")

    @property
    def people(self) -> list[int]:
        """Ids of the people who are not seen only briefly, the longest in view first."""
        rows = self.sightings[~self.sightings.brief]
        return sorted(rows.index, key=lambda person: (-rows.seconds[person], person))

    @cached_property
    def left_out(self) -> dict[str, pd.DataFrame]:
        """Tracks that count in no headline: still pictures, duplicates, and those seen briefly."""
        tracks, kind = self._sight("track_id"), self.faces.groupby("track_id").not_face.first().astype(object)
        counted = set(self.faces.track_id[self.faces.person.isin(self.people)])
        is_brief = tracks.brief & kind.reindex(tracks.index).isna() & ~tracks.index.isin(counted)
        return {"brief": tracks[is_brief]} | {
            name: tracks[(kind.reindex(tracks.index) == name).to_numpy(bool)]
            for name in ("still", "duplicate")
        }

    @property
    def brief(self) -> pd.DataFrame:
        return self.left_out["brief"]

    @property
    def of_nobody(self) -> pd.DataFrame:
        """All other faces that belong to no person who counts."""
        explained = [track for rows in self.left_out.values() for track in rows.index]
        others = ~self.faces.person.isin(self.people) & ~self.faces.track_id.isin(explained)
        return self.faces[others & ~self.faces.index.isin(self.second.index)]

    @property
    def second(self) -> pd.DataFrame:
        """Faces of tracks of people who count that are not counted, since the person has another in the frame."""
        faces = self.faces.assign(owner=self.owner)
        return faces[(faces.person == -1) & faces.owner.isin(self.people)]

    def name_of(self, person: int) -> str:
        """The name given; else of the only person that of the file, without its ending."""
        usual = f"Person {person}" if len(self.people) != 1 else Path(self.facts["source"]["name"]).stem
        return self.names.get(person, usual)

    @cached_property
    def most_at_once(self) -> tuple[int, float]:
        """The largest number of people in a frame, and the time of the first such frame."""
        counted = self.faces[self.faces.person.isin(self.people)].groupby("row").size()
        if not len(counted):
            return 0, NAN
        return int(counted.max()), float(self.frames.time_s[counted.idxmax()])

    # --- From faces to bins ---------------------------------------------------------------------------------

    @property
    def prior(self) -> float:
        """Of neutral; without one, scores are taken as they are."""
        prior = self.footer["basis"]["neutral_prior"]
        return 0.5 if prior is None else prior

    def _log_odds(self, faces: pd.DataFrame) -> pd.Series:
        rest = faces.prob_neutral.astype(float).clip(1e-7, 1 - 1e-7)
        return np.log((1 - rest) / rest) - np.log((1 - self.prior) / self.prior)

    @cached_property
    def shifts(self) -> dict[int, float]:
        """Calibration of each person: the weighted median of the log odds at rest, above those of a usual face."""
        found = {}
        for person, faces in self.faces[self.faces.known & (self.faces.person != -1)].groupby("person"):
            here = pd.Series(False, index=faces.index)
            for rest in self.footer["basis"].get("rest", []):
                if rest["person_id"] in (None, person):
                    here |= (faces.start >= rest["start_s"]) & (faces.start < rest["end_s"])
            mine = faces[here]
            if mine.seconds.sum() >= 2:
                odds = self._log_odds(mine).sort_values()
                below = mine.seconds[odds.index].cumsum()
                found[person] = float(np.clip(odds[below >= below.iloc[-1] / 2].iloc[0] + 2.0, -1.5, 1.5))
        return found

    def _scores(self, faces: pd.DataFrame, person: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Of one person's faces: scores with rest and expression equally likely, and these smoothed."""
        raw = faces[self.probs].astype(float).set_axis(self.labels, axis=1)
        if "neutral" in self.labels:
            expressive = 1 / (1 + np.exp(self.shifts.get(person, 0.0) - self._log_odds(faces)))
            raw = raw.mul(expressive / (1 - raw.neutral.clip(1e-7, 1 - 1e-7)), axis=0).assign(
                neutral=1 - expressive
            )
        return raw, self._smooth(raw, faces, 0.5)

    def _share_at_rest(self, raw: pd.DataFrame, faces: pd.DataFrame) -> np.ndarray:
        """Share of each frame's time in which smoothed neutral, drawn through five of its times, is above one half."""
        if "neutral" not in raw:
            return np.where(faces.known, 0.0, NAN)
        ends = [
            self._smooth(raw[["neutral"]], faces, place).neutral.to_numpy() for place in np.linspace(0, 1, 5)
        ]
        shares = []
        for a, b in pairwise(ends):
            with np.errstate(divide="ignore", invalid="ignore"):
                crossing = np.clip((0.5 - a) / (b - a), 0, 1)
            shares.append(np.where(a == b, a > 0.5, np.where(b > a, 1 - crossing, crossing)))
        return np.where(faces.known, np.mean(shares, axis=0), NAN)

    @staticmethod
    def _smooth(raw: pd.DataFrame, faces: pd.DataFrame, place: float) -> pd.DataFrame:
        """Means over half a second around a time of each face's frame: 0 is its beginning, 1 its end."""
        known, start = faces.known.to_numpy(), faces.start.to_numpy()
        end, middle = start + faces.seconds.to_numpy(), start + faces.seconds.to_numpy() * place
        smoothed = np.full(raw.shape, NAN)
        for rows in np.array_split(np.flatnonzero(known), len(known) // 500 + 1):
            weights = overlap(middle[rows] - 0.25, middle[rows] + 0.25, start[known], end[known])
            smoothed[rows] = weights @ raw[known].to_numpy() / weights.sum(axis=1, keepdims=True)
        return pd.DataFrame(smoothed, columns=raw.columns, index=faces.index)

    def _measures(self, faces: pd.DataFrame, person: int) -> pd.DataFrame:
        """Of one person's faces: everything that TIMELINE has the means of."""
        raw, scores = self._scores(faces, person)
        at_rest = self._share_at_rest(raw, faces)
        unknown = pd.Series(NAN, index=faces.index)
        found = pd.DataFrame({"attention": faces.attention})
        found["expressiveness"] = 1 - scores.neutral if "neutral" in scores else unknown
        found["engagement"] = 1 - at_rest if "neutral" in scores else unknown
        found["positive"] = scores.happy if "happy" in scores else unknown
        found["negative"] = scores[[label for label in NEGATIVE if label in scores]].max(axis=1)
        found["valence"] = found.positive - found.negative
        others = scores.drop(columns="neutral", errors="ignore")
        label = others.fillna(-1).idxmax(axis=1)
        for name in self.labels:
            found[f"prob_{name}"] = faces[f"prob_{name}"].astype(float).where(faces.known)
            found[f"shown_{name}"] = at_rest if name == "neutral" else (1 - at_rest) * (label == name)
        return found

    def shown_label(self, person: int) -> pd.Series:
        """Place of the shown label among the labels, of each of a person's faces; NaN where unknown."""
        _, scores = self._scores(self.faces[self.faces.person == person], person)
        label = scores.drop(columns="neutral", errors="ignore").fillna(-1).idxmax(axis=1)
        if "neutral" in scores:
            label = label.mask(scores.neutral > 0.5, "neutral")
        return label.map(self.labels.index).where(scores.notna().all(axis=1))

    @cached_property
    def shares(self) -> np.ndarray:
        """Seconds of each frame in each bin."""
        ends = (self.frames.time_s + self.frames.seconds).to_numpy()
        n_bins = int(np.ceil(ends[-1] / self.bin_s - 1e-9)) if len(ends) else 0
        low = np.arange(n_bins) * self.bin_s
        return overlap(self.frames.time_s.to_numpy(), ends, low, low + self.bin_s)

    def timeline(self) -> pd.DataFrame:
        """What TIMELINE should contain."""
        first = np.floor(self.frames.time_s.to_numpy() / self.bin_s + 1e-9).astype(int)
        parts = [self._rows_of(person, first) for person in sorted(self.people)]
        people = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        everybody = self._audience(people, first)
        found = pd.concat([everybody, people], ignore_index=True) if len(people) else everybody
        found["bin_start_s"], found["bin_end_s"] = found["bin"] * self.bin_s, (found["bin"] + 1) * self.bin_s
        return found.sort_values(["bin", "person_id"], na_position="first").reset_index(drop=True)

    def _rows_of(self, person: int, first: np.ndarray) -> pd.DataFrame:
        faces = self.faces[self.faces.person == person]
        shares = self.shares[faces.row]
        measures = self._measures(faces, person)
        values, known = measures.fillna(0).to_numpy(), measures.notna().to_numpy(float)
        with np.errstate(invalid="ignore"):
            means = pd.DataFrame((shares.T @ values) / (shares.T @ known), columns=measures.columns)
        means["seconds"], means["face_s"] = self.shares.sum(axis=0), shares.sum(axis=0)
        means["readable_s"] = shares.T @ faces.known.to_numpy(float)
        counts = means.readable_s >= means.seconds / 2 - 1e-9
        means["reacting"] = (means.engagement >= 0.5).astype(float).where(means.engagement.notna() & counts)
        means["presence"] = means.face_s / means.seconds
        means["n_frames"] = np.bincount(first, minlength=len(means))
        means["n_faces"] = np.bincount(first[faces.row], minlength=len(means))
        means["n_people"], means["n_readable"] = 1, counts.astype(int)
        means["bin"], means["person_id"] = means.index, person
        return means[means.face_s > 1e-9]

    def _audience(self, people: pd.DataFrame, first: np.ndarray) -> pd.DataFrame:
        bins = range(self.shares.shape[1])
        names = [*MEASURES, *self.probs, *self.shown]
        groups = people.groupby("bin") if len(people) else None
        if groups:
            found = people[people.n_readable > 0].groupby("bin")[names].mean().reindex(bins)
            found["attention"] = groups.attention.mean()
        else:
            found = pd.DataFrame(NAN, index=bins, columns=names)
        for name in ("face_s", "readable_s", "n_people", "n_readable"):
            found[name] = groups[name].sum().reindex(bins, fill_value=0) if groups else 0
        found["seconds"] = self.shares.sum(axis=0)
        with_face = (self.frames.n_faces > 0).to_numpy(float)
        found["presence"] = (with_face @ self.shares) / found.seconds.where(found.seconds > 0)
        found["n_frames"] = np.bincount(first, minlength=len(found))
        found["n_faces"] = np.bincount(first[self.faces.row], minlength=len(found))
        return found.assign(bin=found.index, person_id=NAN)

    # --- From bins to the video -----------------------------------------------------------------------------

    @cached_property
    def bins(self) -> pd.DataFrame:
        """TIMELINE; where tracks are joined it is not on disk, since names may change."""
        if not self.is_joined:
            return self.stored.astype(dict.fromkeys([*MEASURES, *self.probs, *self.shown], float))
        found = self.timeline()
        single = [*MEASURES, "presence", *self.probs, *self.shown]
        return found.astype(dict.fromkeys(single, np.float32)).astype(dict.fromkeys(single, float))

    @cached_property
    def whole(self) -> pd.DataFrame:
        """The audience, a row per bin."""
        return self.bins[self.bins.person_id.isna()].reset_index(drop=True)

    @cached_property
    def lanes(self) -> pd.DataFrame:
        """The rows of people."""
        return self.bins[self.bins.person_id.notna()]

    @property
    def readable_s(self) -> float:
        """Person-seconds."""
        return float(self.lanes.readable_s.sum())

    def means(self, rows: pd.DataFrame, part: pd.Series | float = 1.0) -> dict[str, float]:
        """Of rows of people, of each of which a part counts."""
        names = [*MEASURES, *self.probs, *self.shown]
        weights = {name: rows["face_s" if name == "attention" else "readable_s"] * part for name in names}
        return {name: mean(rows[name], weights[name]) for name in names}

    @staticmethod
    def leading(values: Mapping[str, float], *, neutral: bool = False) -> str | None:
        """The label that is shown for the longest time."""
        named = {name[6:]: value for name, value in values.items() if name.startswith("shown_") and value > 0}
        found = pd.Series(named, dtype=float).drop([] if neutral else ["neutral"], errors="ignore")
        return None if found.empty else str(found.idxmax())

    # --- Time by what is known of it ------------------------------------------------------------------------

    @cached_property
    def state(self) -> pd.Series:
        """Of each frame."""
        faces = self.faces[self.faces.person.isin(self.people)]
        readable = faces.groupby("row").reason.agg(lambda reasons: (reasons == "").any())
        largest = faces.loc[faces.groupby("row").face_px.idxmax()].set_index("row").reason
        found = largest.mask(readable, "readable").reindex(self.frames.index)
        return found.fillna(pd.Series(np.where(self.frames.n_faces > 0, "uncounted", "no_face")))

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """Seconds of each bin by state."""
        starts, ends = self.frames.time_s.to_numpy(), (self.frames.time_s + self.frames.seconds).to_numpy()
        low = np.arange(self.shares.shape[1]) * self.bin_s
        found = {state: (self.state == state).to_numpy(float) @ self.shares for state in STATES[:-3]}
        found["excluded"] = np.zeros(len(low))  # these videos have no corrections
        between = overlap(ends[:-1], starts[1:], low, low + self.bin_s).sum(axis=0)
        before = overlap(np.zeros(len(starts[:1])), starts[:1], low, low + self.bin_s).sum(axis=0)
        is_chosen = self.facts["options"].get("start") is not None
        found["missing"] = between if is_chosen else between + before
        found["outside"] = before if is_chosen else before * 0
        return pd.DataFrame(found)

    # --- Moments --------------------------------------------------------------------------------------------

    @property
    def strongest(self) -> dict[str, Any] | None:
        """The bin in which the most people react; of several, the most expressive one."""
        if not self.reacting.any():
            return None
        top = self._strongest_of(self.whole)
        row = self.whole.loc[top]
        return self._at(top) | {"n_reacting": int(self.reacting[top]), "n_readable": int(row.n_readable)}

    @cached_property
    def reacting(self) -> pd.Series:
        """Number of people who react in each bin."""
        return (self.whole.reacting * self.whole.n_readable).fillna(0).round()

    def _strongest_of(self, bins: pd.DataFrame) -> int:
        """A bin of which the video has less than half does not count, if there is another one."""
        bins = bins.assign(n=self.reacting, is_whole=bins.seconds >= self.bin_s / 2)
        order = ["is_whole", "n", "expressiveness"]
        return int(bins.fillna({"expressiveness": 0}).sort_values(order, kind="stable").index[-1])

    @property
    def last_s(self) -> float:
        """Where the analysed time ends."""
        last = self.whole.iloc[-1]
        return min(last.bin_end_s, last.bin_start_s + last.seconds)

    def _at(self, k: int) -> dict[str, Any]:
        """Who reacts in a bin, and what they show."""
        row = self.whole.loc[k]
        here = self.lanes[(self.lanes.bin_start_s == row.bin_start_s) & (self.lanes.reacting == 1)]
        labels = [self.leading(shown) for shown in here[self.shown].to_dict("records")]
        shown = Counter(label for label in labels if label).most_common()
        label = shown[0][0] if shown else self.leading(row[self.shown].astype(float))
        time_s = (row.bin_start_s + min(row.bin_end_s, self.last_s)) / 2
        return {
            "time_s": time_s,
            "label": label,
            "shown": shown,
            "people": [int(one) for one in here.person_id],
        }

    @cached_property
    def peaks(self) -> list[dict[str, Any]]:
        """In order of time."""
        whole = self.whole
        turns = self._turns()
        found = [
            *self._tops("reacting", whole.reacting, 0.1),
            *self._tops("expressiveness", whole.expressiveness, 0.1),
            *(peak | {"height": turns[peak["bin"]]} for peak in self._tops("valence", turns.abs(), 0.5)),
        ]
        kept: list[dict[str, Any]] = []
        for peak in sorted(found, key=lambda one: -one["prominence"]):
            if all(abs(peak["time_s"] - other["time_s"]) >= 5 for other in kept):
                kept.append(peak)
        return sorted(kept[:8], key=lambda one: one["time_s"])

    def _turns(self) -> pd.Series:
        """Change of net positivity from the three seconds before a bin to those from it on, where its sign changes."""
        n, values = max(1, round(3 / self.bin_s)), self.whole.valence
        after = values[::-1].rolling(n, min_periods=1).mean()[::-1]
        before = values.rolling(n, min_periods=1).mean().shift(1)
        turns = (before * after < 0) & (before.abs() >= 0.2) & (after.abs() >= 0.2)
        return (after - before).where(turns, 0.0).where(before.notna() & after.notna())

    def _tops(self, curve: str, values: pd.Series, least: float) -> list[dict[str, Any]]:
        known = np.flatnonzero(values.notna())
        if not len(known):
            return []
        half = max(0, round((3 / self.bin_s - 1) / 2))
        smooth = values.rolling(2 * half + 1, center=True, min_periods=1).mean()
        bridged = np.interp(values.index, known, smooth[known])
        held = np.pad(bridged, 1, constant_values=bridged.min())
        spacing = max(1, round(5 / self.bin_s))
        tops, facts = find_peaks(held, prominence=least, distance=spacing, width=0, rel_height=0.5)
        rises, found = facts["prominences"], []
        for n, k in enumerate(tops - 1):
            start, end = ((facts[f"{side}_ips"][n] - 0.5) * self.bin_s for side in ("left", "right"))
            start, end = max(0.0, start), min(end, self.last_s)
            within = (self.whole.bin_start_s + self.bin_s > start) & (self.whole.bin_start_s < end)
            if curve == "valence":
                k = int(values[within].idxmax())
            elif within.any():
                k = self._strongest_of(self.whole[within])
            at = self._at(k)
            if rises[n] < 0.2 * rises.max() or not (at["people"] or curve == "valence"):
                continue
            span = min(start, k * self.bin_s), min(max(end, (k + 1) * self.bin_s), self.last_s)
            found.append(
                at | {"bin": k, "curve": curve, "height": values[k], "prominence": rises[n], "span": span}
            )
        return found

    # --- Markers --------------------------------------------------------------------------------------------

    @property
    def end_s(self) -> float:
        """Where the video ends."""
        last = float(self.whole.bin_end_s.iloc[-1]) if len(self.whole) else 0.0
        return min(last, self.duration_s) if self.duration_s else last

    @property
    def is_open_segment(self) -> pd.Series:
        """Markers that last until the next such marker."""
        return self.markers.end_s.isna() & (self.markers.kind == "segment")

    @property
    def instants(self) -> pd.DataFrame:
        return self.markers[self.markers.end_s.isna() & ~self.is_open_segment]

    @cached_property
    def segments(self) -> list[dict[str, Any]]:
        """By start, with means."""
        end = float(self.whole.bin_end_s.iloc[-1])
        rows = self.markers.copy()
        starts = [*sorted(set(rows.time_s[self.is_open_segment])), end]
        rows["end_s"] = [
            min(later for later in starts if later > row.time_s or later == end) if is_open else row.end_s
            for row, is_open in zip(rows.itertuples(), self.is_open_segment, strict=True)
        ]
        rows["end_s"] = rows.end_s.astype(float).clip(upper=end)
        rows = rows[rows.end_s.notna() & (rows.time_s < rows.end_s)].sort_values(
            ["time_s", "end_s"], kind="stable"
        )
        return [self._segment(row) for row in rows.itertuples()]

    def _segment(self, row: Any) -> dict[str, Any]:
        def part(bins: pd.DataFrame) -> pd.Series:
            inside = bins.bin_end_s.clip(upper=row.end_s) - bins.bin_start_s.clip(lower=row.time_s)
            return inside.clip(lower=0) / (bins.bin_end_s - bins.bin_start_s)

        lanes, whole = self.lanes, self.whole
        return self.means(lanes, part(lanes)) | {
            "label": row.label, "kind": row.kind, "start_s": row.time_s, "end_s": row.end_s,
            "n_people": lanes.person_id[part(lanes) > 0].nunique(),
            "presence": mean(whole.presence, whole.seconds * part(whole)),
        }  # fmt: skip

    @property
    def presence(self) -> float:
        """Share of the analysed time with any face."""
        return mean(self.whole.presence, self.whole.seconds)

    @property
    def lags(self) -> np.ndarray:
        """Seconds from a marker at which its curve is read."""
        step = self.bin_s * max(1, np.ceil(0.1 / self.bin_s - 1e-9))
        return np.arange(np.ceil(-5 / step - 1e-9), np.floor(10 / step + 1e-9) + 1) * step

    @cache  # noqa: B019 - a few tables in a test
    def around(self, measure: str) -> dict[str, pd.DataFrame]:
        """By label, those with most markers first: a measure or signal by marker (rows) and lag (columns)."""
        inside = self.markers[
            (self.markers.time_s < self.whole.bin_end_s.iloc[-1]) & (self.markers.kind != "rest")
        ]
        order = sorted(inside.label.value_counts().items(), key=lambda item: (-item[1], item[0]))
        is_signal = measure in self.signal_names
        values = pd.Series(self.signal_bins(measure)) if is_signal else self.whole[measure]
        found = {}
        for label, _ in order:
            times = inside.time_s[inside.label == label].to_numpy()
            bins = np.floor((times[:, None] + self.lags) / self.bin_s + 1e-9).astype(int)
            found[label] = pd.DataFrame([values.reindex(row).to_numpy() for row in bins], columns=self.lags)
        return found

    # --- Signals --------------------------------------------------------------------------------------------

    @property
    def signal_names(self) -> list[str]:
        """In the order of the file."""
        return list(dict.fromkeys(self.samples.name.astype(str)))

    @property
    def shown_signals(self) -> list[str]:
        """The first six with a value within the video."""
        return [name for name in self.signal_names if not np.isnan(self.signal_bins(name)).all()][:6]

    @cache  # noqa: B019
    def signal_bins(self, name: str, step: int = 1) -> np.ndarray:
        """Mean of a signal over each so many bins, weighted by time; a sample holds until the next one."""
        mine = self.samples[self.samples.name.astype(str) == name]
        known = mine.value.notna().to_numpy()
        start, end = mine.time_s.to_numpy(), self._held_until(mine.time_s.to_numpy())
        low = self.whole.bin_start_s.to_numpy()[::step]
        high = np.append(low[1:], self.whole.bin_end_s.iloc[-1:])
        shares = overlap(start[known], end[known], low, high)
        with np.errstate(invalid="ignore"):
            return (mine.value[known].to_numpy() @ shares) / shares.sum(axis=0)

    @staticmethod
    def _held_until(times: np.ndarray) -> np.ndarray:
        """Of what is logged at a steady rate, a pause of more than ten usual steps and one second is a gap."""
        steps = np.diff(times)
        usual = np.median(steps) if len(steps) else NAN
        if len(steps) < 10 or (steps <= 2 * usual).mean() < 0.9:
            return np.append(times[1:], np.inf)
        return times + np.append(np.where(steps > max(1, 10 * usual), usual, steps), usual)
