"""What the timeline of a finished video should be computed with."""

from __future__ import annotations

from ferflow.analytics.face_scores import Basis
from ferflow.analytics.person_faces import Persons
from ferflow.analytics.rest import load_rest
from ferflow.models.registry import find_neutral_prior
from ferflow.store.metadata import read_metadata


def find_basis(persons: Persons) -> Basis:
    """The prior of the model that the video was analysed with, and the stretches marked as rest.

    Raises:
        RecordsError: a table cannot be read.
    """
    metadata = read_metadata(persons.paths.faces)
    return Basis.of(metadata, find_neutral_prior(metadata.model), load_rest(persons))
