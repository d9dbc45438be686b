"""What the user may choose about the pages of a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self, get_args

import msgspec

from ferflow.errors import OptionsError

Theme = Literal["auto", "light", "dark"]

_REMEMBERED = frozenset({"sessions", "by"})


class SavedPageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Page options as they are stored in the folder, for the next command."""

    theme: Theme = "auto"
    sessions: str | None = None
    """Absolute path."""
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """Options of the pages of a folder."""

    theme: Theme = "auto"
    """`auto` follows the system of the reader."""
    sessions: Path | None = None
    """The list of sessions; None: `sessions.csv` in the folder, if it exists."""
    by: str | None = None
    """Column of the list that makes the groups; None: `group`, if the list has it."""
    remembered: frozenset[str] = frozenset()
    """Which of `sessions` and `by` come from an earlier command. If such a list or column no longer exists, that is a
    warning; one that was given now is an error."""

    def __post_init__(self) -> None:
        if self.theme not in get_args(Theme):
            raise OptionsError(f"theme must be one of {', '.join(get_args(Theme))}, got {self.theme!r}")

    def updated(
        self, *, theme: Theme | None = None, sessions: Path | None = None, by: str | None = None
    ) -> Self:
        """These options with those given now in place of the remembered ones; None: not given."""
        given = {name for name, value in (("sessions", sessions), ("by", by)) if value is not None}
        return replace(
            self,
            theme=theme or self.theme,
            sessions=sessions if "sessions" in given else self.sessions,
            by=by if "by" in given else self.by,
            remembered=_REMEMBERED - given,
        )

    def to_saved(self) -> SavedPageOptions:
        """For storage in the folder."""
        sessions = None if self.sessions is None else str(self.sessions.absolute())
        return SavedPageOptions(theme=self.theme, sessions=sessions, by=self.by)

    @classmethod
    def from_saved(cls, saved: SavedPageOptions) -> Self:
        """Read back; all values count as remembered."""
        sessions = Path(saved.sessions) if saved.sessions else None
        return cls(theme=saved.theme, sessions=sessions, by=saved.by, remembered=_REMEMBERED)
