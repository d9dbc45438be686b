"""What the user may choose about the pages of a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import msgspec

from ferflow.dashboards.shared.embedded_image import embed_image
from ferflow.errors import OptionsError
from ferflow.text import sanitize

Theme = Literal["auto", "light", "dark"]

MOST_TITLE_LETTERS = 200
MOST_LOGO_BYTES = 512 * 2**10
"""Every page contains the logo."""

_REMEMBERED = frozenset({"sessions", "by", "corrections"})


class SavedPageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Page options as they are stored in the folder, for the next command."""

    theme: Theme = "auto"
    sessions: str | None = None
    """Absolute path, as that of the corrections."""
    corrections: str | None = None
    by: str | None = None
    title: str = ""
    logo: Annotated[str, msgspec.Meta(pattern="^(data:image/|$)")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """Options of the pages of a folder."""

    theme: Theme = "auto"
    """`auto` follows the system of the reader."""
    sessions: Path | None = None
    """The list of sessions; None: `sessions.csv` in the folder, if it exists."""
    corrections: Path | None = None
    """The list of corrections; None: `corrections.csv` in the folder, if it exists."""
    by: str | None = None
    """Column of the list that makes the groups; None: `group`, if the list has it."""
    title: str = ""
    """Of the report; empty: none."""
    logo: str = ""
    """A picture as a data URI, see `read_logo`; empty: none."""
    remembered: frozenset[str] = frozenset()
    """Which of `sessions`, `corrections` and `by` come from an earlier command. If such a list or column no longer
    exists, that is a warning; one that was given now is an error."""

    def __post_init__(self) -> None:
        if self.theme not in get_args(Theme):
            raise OptionsError(f"theme must be one of {', '.join(get_args(Theme))}, got {self.theme!r}")

    def updated(
        self,
        *,
        theme: Theme | None = None,
        sessions: Path | None = None,
        corrections: Path | None = None,
        by: str | None = None,
        title: str | None = None,
        logo: Path | None = None,
    ) -> Self:
        """These options with those given now in place of the remembered ones; None: not given.

        Raises:
            OptionsError: the title is empty or too long, or the logo cannot be used.
        """
        chosen = (("sessions", sessions), ("corrections", corrections), ("by", by))
        given = {name for name, value in chosen if value is not None}
        return replace(
            self,
            theme=theme or self.theme,
            sessions=sessions if "sessions" in given else self.sessions,
            corrections=corrections if "corrections" in given else self.corrections,
            by=by if "by" in given else self.by,
            title=self.title if title is None else check_title(title),
            logo=self.logo if logo is None else read_logo(logo),
            remembered=_REMEMBERED - given,
        )

    def to_saved(self) -> SavedPageOptions:
        """For storage in the folder."""
        return SavedPageOptions(
            theme=self.theme, sessions=_save_path(self.sessions), corrections=_save_path(self.corrections),
            by=self.by, title=self.title, logo=self.logo,
        )  # fmt: skip

    @classmethod
    def from_saved(cls, saved: SavedPageOptions) -> Self:
        """Read back; all values count as remembered."""
        sessions, corrections = (Path(text) if text else None for text in (saved.sessions, saved.corrections))
        return cls(
            theme=saved.theme,
            sessions=sessions,
            corrections=corrections,
            by=saved.by,
            title=saved.title,
            logo=saved.logo,
            remembered=_REMEMBERED,
        )


def _save_path(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def check_title(title: str) -> str:
    """A title in one line.

    Raises:
        OptionsError: it is empty or too long.
    """
    line = " ".join(sanitize(title.replace("\n", " ")).split())
    if not line:
        raise OptionsError("the title is empty. Give a text.")
    if len(line) > MOST_TITLE_LETTERS:
        raise OptionsError(f"the title has {len(line)} letters; at most {MOST_TITLE_LETTERS} are possible.")
    return line


def read_logo(path: Path) -> str:
    """A logo as a data URI: PNG, JPEG or SVG.

    Raises:
        OptionsError: it cannot be read, is too large, or is no such picture.
    """
    try:
        return embed_image(path, most_bytes=MOST_LOGO_BYTES)
    except OptionsError as error:
        raise OptionsError(f"logo {sanitize(path)}: {error}") from error
