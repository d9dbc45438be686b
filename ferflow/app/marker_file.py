"""The markers of a video in `<stem>.markers.csv` next to it, changed one at a time.

Comments, further columns and the dialect of the file stay; see `analytics.editable_csv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ferflow.analytics.csv_input import MOST_BYTES
from ferflow.analytics.editable_csv import EditableCsv, clean_text
from ferflow.analytics.list_edits import format_seconds
from ferflow.analytics.markers import COLUMNS, SUFFIX, Marker, markers_of
from ferflow.app.edit_requests import AddMarker, ChangeMarker, MarkerRequest, RemoveMarker
from ferflow.errors import OptionsError
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write
from ferflow.text import sanitize

_COLUMNS = ("time_s", "label", "end_s", "kind")


@dataclass(frozen=True, slots=True)
class MarkerFile:
    """A file of markers as it is on disk; `content` None: there is none."""

    path: Path
    content: bytes | None

    @classmethod
    def of(cls, video: Path) -> MarkerFile:
        """Read that of a video.

        Raises:
            OptionsError: it cannot be read.
        """
        return cls.read(video.with_name(video.stem + SUFFIX))

    @classmethod
    def read(cls, path: Path) -> MarkerFile:
        """Read a file, which need not be there; raises as `of`."""
        try:
            return cls(path, read_plain_file(path, MOST_BYTES))
        except FileNotFoundError:
            return cls(path, None)
        except OSError as error:
            raise OptionsError(f"{sanitize(path)}: cannot be read ({error.strerror}).") from error

    def markers(self) -> list[tuple[int, Marker]]:
        """The markers, each with the line of its row.

        Raises:
            OptionsError: a row is no marker.
        """
        return [] if self.content is None else _parse(self._text, self.path.name)

    def change(self, request: MarkerRequest) -> bytes:
        """The content after a change.

        Raises:
            OptionsError: there is no such row, or it would be no marker.
        """
        match request:
            case ChangeMarker(line=line):
                text = self._text.with_columns(_COLUMNS).change(line, _cells(request))
            case AddMarker():
                text = self._text.with_columns(_COLUMNS).append(_cells(request))
            case RemoveMarker(line=line):
                text = self._text.remove([line])
        _parse(text, self.path.name)
        return text.encode()

    def write(self, content: bytes | None) -> None:
        """Write a content; None leaves the header, since without a file the markers stored before would stay."""
        with atomic_write(self.path) as part:
            part.write_bytes(EditableCsv.parse(b"", _COLUMNS).encode() if content is None else content)

    @property
    def _text(self) -> EditableCsv:
        return EditableCsv.parse(self.content or b"", _COLUMNS)


def _parse(text: EditableCsv, name: str) -> list[tuple[int, Marker]]:
    rows = text.rows(name, COLUMNS, ("time_s", "end_s"))
    return [(row.line, marker) for row, marker in zip(rows, markers_of(rows, name), strict=True)]


def _cells(request: AddMarker) -> dict[str, str]:
    return {
        "time_s": format_seconds(request.time_s),
        "label": clean_text(request.label),
        "end_s": "" if request.end_s is None else format_seconds(request.end_s),
        "kind": clean_text(request.kind),
    }
