"""Proposes who is the same person in several videos of a folder, by their faces; a person has to confirm it.

Faces are cut again from the sources and described by SFace, in memory only: nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ferflow.analytics.person_faces import Persons
from ferflow.errors import FerflowError
from ferflow.faces.embeddings import FACES_PER_TRACK, FaceDescriber
from ferflow.faces.face_alignment import align
from ferflow.faces.stitching import COSINE_SCALE, link_groups
from ferflow.render.portraits import best_faces, read_portraits
from ferflow.store.video_files import VideoFiles
from ferflow.types import Float32Array, Float64Array


@dataclass(frozen=True, slots=True)
class SeenPerson:
    """A person of one video."""

    video_id: str
    person_id: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """Persons of different videos who look like one."""

    persons: tuple[SeenPerson, ...]
    similarity: float
    """Smallest cosine similarity of two of them, in [-1, 1]; different people are mostly below 0.3."""


@dataclass(frozen=True, slots=True)
class Matches:
    """What was found."""

    proposals: tuple[Proposal, ...]
    """The most alike first."""
    problems: tuple[str, ...]
    """A line for each video whose faces could not be read."""


def match_people(videos: Sequence[VideoFiles], describer: FaceDescriber) -> Matches:
    """Compare the persons of several videos."""
    known: dict[SeenPerson, Float32Array] = {}
    problems = []
    for files in videos:
        try:
            known |= _describe(files, describer)
        except FerflowError as error:
            problems.append(str(error))
    return Matches(tuple(propose(known)), tuple(problems))


def propose(known: Mapping[SeenPerson, Float32Array]) -> list[Proposal]:
    """Groups of persons of different videos, from descriptions of length 1: average linkage, as within a video."""
    persons = list(known)
    if len(persons) < 2:
        return []
    rows = np.array([known[person] for person in persons], np.float64)
    similarity = rows @ rows.T
    distance = (1 - similarity) / COSINE_SCALE
    videos = np.array([person.video_id for person in persons])
    # Two persons of one video were told apart when it was analysed.
    distance[videos[:, None] == videos[None]] = np.inf
    groups = [group for group in link_groups(distance, np.ones(len(persons))) if len(group) > 1]
    found = [
        Proposal(tuple(persons[row] for row in sorted(group)), _least(similarity, group)) for group in groups
    ]
    return sorted(found, key=lambda proposal: -proposal.similarity)


def _least(similarity: Float64Array, group: list[int]) -> float:
    return float(similarity[np.ix_(group, group)].min())


def _describe(files: VideoFiles, describer: FaceDescriber) -> dict[SeenPerson, Float32Array]:
    """The mean description of the best faces of each person."""
    described: dict[SeenPerson, list[Float32Array]] = {}
    for portrait in read_portraits(files, best_faces(Persons.of(files), count=FACES_PER_TRACK)):
        image = align(portrait.frame, portrait.place.landmarks)
        if image is not None:
            person = SeenPerson(files.video_id, portrait.place.owner_id)
            described.setdefault(person, []).append(describer.embed(image[None])[0])
    means = {person: np.mean(rows, axis=0) for person, rows in described.items()}
    return {person: mean / max(float(np.linalg.norm(mean)), 1e-9) for person, mean in means.items()}
