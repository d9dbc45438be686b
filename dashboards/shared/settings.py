"""How pages are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

from ferflow.errors import OptionsError

Theme = Literal["auto", "light", "dark"]

_REMEMBERED = frozenset({"sessions", "by"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """What the user may choose about the pages of a folder."""

    theme: Theme = "auto"
    """`auto` follows the reader's system."""
    sessions: Path | None = None
    """The list of sessions; None: `sessions.csv` in the folder, if there is one."""
    by: str | None = None
    """Column of the list that makes the groups; None: `group`, if there is one."""
    remembered: frozenset[str] = frozenset()
    """Which of `sessions` and `by` were asked for an earlier time and not now: a list that has vanished since, or has
    no such column any more, is told of and not refused."""

    def __post_init__(self) -> None:
        if self.theme not in get_args(Theme):
            raise OptionsError(f"theme must be one of {', '.join(get_args(Theme))}, got {self.theme!r}")

    def updated(
        self, *, theme: Theme | None = None, sessions: Path | None = None, by: str | None = None
    ) -> Self:
        """These, but for what is asked for now; None: nothing is."""
        given = {name for name, value in (("sessions", sessions), ("by", by)) if value is not None}
        return replace(
            self,
            theme=theme or self.theme,
            sessions=sessions if "sessions" in given else self.sessions,
            by=by if "by" in given else self.by,
            remembered=_REMEMBERED - given,
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        sessions = None if self.sessions is None else str(self.sessions.absolute())
        return {"theme": self.theme, "sessions": sessions, "by": self.by}

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Read back `as_dict()`; what cannot be understood gives the defaults."""
        try:
            sessions = values["sessions"]
            return cls(
                theme=values["theme"],
                sessions=Path(sessions) if sessions else None,
                by=values["by"],
                remembered=_REMEMBERED,
            )
        except (KeyError, TypeError, OptionsError):
            return cls()
