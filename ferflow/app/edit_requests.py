"""The changes that the edit mode asks for, as JSON says them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

Line = Annotated[int, Meta(ge=1, le=10**9)]
Number = Annotated[int, Meta(ge=0, le=10**9)]
Seconds = Annotated[float, Meta(ge=0, le=10**9)]
Text = Annotated[str, Meta(max_length=1000)]


class _Request(msgspec.Struct, frozen=True, kw_only=True, tag_field="edit", forbid_unknown_fields=True):
    version: str
    """Of what the page has shown; another one means that somebody else has edited in between."""


class NamePersons(_Request, tag="name", frozen=True, kw_only=True):
    """Give persons one name: one is named, several are merged."""

    persons: Annotated[list[Number], Meta(min_length=1, max_length=1000)]
    name: Text


class NameTrack(_Request, tag="split", frozen=True, kw_only=True):
    """Give a track, or what follows from a time of it, to a person."""

    track_id: Number
    name: Text
    from_s: Seconds = 0.0


class AddCorrection(_Request, tag="correct", frozen=True, kw_only=True):
    """Add a row to corrections.csv."""

    action: Text
    start: Text = ""
    end: Text = ""
    person: Text = ""
    value: Text = ""
    note: Text = ""


class ChangeCorrection(AddCorrection, tag="change", frozen=True, kw_only=True):
    """Change the row that ends on a line."""

    line: Line


class RemoveCorrection(_Request, tag="remove", frozen=True, kw_only=True):
    """Remove the row that ends on a line."""

    line: Line


class AddMarker(_Request, tag="mark", frozen=True, kw_only=True):
    """Add a marker."""

    time_s: Seconds
    label: Annotated[str, Meta(min_length=1, max_length=1000)]
    end_s: Seconds | None = None
    kind: Text = ""


class ChangeMarker(AddMarker, tag="move", frozen=True, kw_only=True):
    """Change the marker of a line, as when it is moved."""

    line: Line


class RemoveMarker(_Request, tag="unmark", frozen=True, kw_only=True):
    """Remove the marker of a line."""

    line: Line


class AddCoding(_Request, tag="code", frozen=True, kw_only=True):
    """Add a stretch to the file of a coder."""

    coder: Text
    start: Text
    end: Text
    label: Text
    person: Text = ""


class ChangeCoding(AddCoding, tag="recode", frozen=True, kw_only=True):
    """Change the stretch of a line."""

    line: Line


class RemoveCoding(_Request, tag="uncode", frozen=True, kw_only=True):
    """Remove the stretch of a line."""

    coder: Text
    line: Line


ListRequest: TypeAlias = NamePersons | NameTrack | AddCorrection | ChangeCorrection | RemoveCorrection
MarkerRequest: TypeAlias = AddMarker | ChangeMarker | RemoveMarker
CodingRequest: TypeAlias = AddCoding | ChangeCoding | RemoveCoding
EditRequest: TypeAlias = ListRequest | MarkerRequest | CodingRequest
