"""What one coder saw, in `coding/<coder>.csv` of the output folder, changed one stretch at a time.

Comments, further columns and the dialect of the file stay; see `analytics.editable_csv`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ferflow.analytics.codings import MOST_CODERS, REQUIRED, describe_file, group_coding
from ferflow.analytics.correction_rows import TIMES
from ferflow.analytics.csv_input import MOST_BYTES, Row
from ferflow.analytics.editable_csv import EditableCsv, clean_text
from ferflow.app.edit_requests import AddCoding, ChangeCoding, CodingRequest, RemoveCoding
from ferflow.errors import OptionsError
from ferflow.plain_file import read_plain_file
from ferflow.store.atomic_files import atomic_write, remove
from ferflow.store.output_folder import OutputFolder

COLUMNS = ("video_id", "start", "end", "label", "person")

_CODER = re.compile(r"[\w-]{1,40}")
"""Names of new coders; they become names of files."""


@dataclass(frozen=True, slots=True)
class CoderFile:
    """The file of one coder as it is on disk; `content` None: there is none."""

    out: Path
    coder: str
    content: bytes | None

    @classmethod
    def read(cls, out: Path, coder: str) -> CoderFile:
        """Read a file, which need not be there.

        Raises:
            OptionsError: it cannot be read.
        """
        path = OutputFolder(out).coding(coder)
        try:
            return cls(out, coder, read_plain_file(path, MOST_BYTES))
        except FileNotFoundError:
            return cls(out, coder, None)
        except OSError as error:
            raise OptionsError(f"{describe_file(path)}: cannot be read ({error.strerror}).") from error

    @classmethod
    def read_all(cls, out: Path) -> list[CoderFile]:
        """Read the files of all coders; raises as `read`."""
        return [cls.read(out, path.stem) for path in OutputFolder(out).codings[:MOST_CODERS]]

    def rows(self, video_id: str) -> list[Row]:
        """The stretches of a video, as they are written.

        Raises:
            OptionsError: the file is no such list.
        """
        if self.content is None:
            return []
        return [row for row in self._parse(self._text) if row.values["video_id"] == video_id]

    def change(self, video_id: str, request: CodingRequest) -> bytes:
        """The content after a change.

        Raises:
            OptionsError: the stretch is none, or contradicts another one.
        """
        text = self._text.with_columns(COLUMNS)
        match request:
            case ChangeCoding(line=line):
                text = text.change(line, _cells(video_id, request))
            case AddCoding():
                text = text.append(_cells(video_id, request))
            case RemoveCoding(line=line):
                text = self._text.remove([line])
        group_coding(self._parse(text), describe_file(self._path))
        return text.encode()

    def write(self, content: bytes | None) -> None:
        """Write a content; None removes the file.

        Raises:
            RecordsError: it cannot be written.
        """
        if content is None:
            remove(self._path, out=self.out)
            return
        with atomic_write(self._path, out=self.out) as part:
            part.write_bytes(content)

    def undo(self, after: bytes) -> None:
        """Write back this content, if the file still is as a change left it.

        Raises:
            OptionsError: it was changed since.
        """
        if CoderFile.read(self.out, self.coder).content != after:
            raise OptionsError(
                f"{describe_file(self._path)} was changed since, so this cannot be undone. Change the stretch itself."
            )
        self.write(self.content)

    @property
    def _path(self) -> Path:
        return OutputFolder(self.out).coding(self.coder)

    @property
    def _text(self) -> EditableCsv:
        return EditableCsv.parse(self.content or b"", COLUMNS)

    def _parse(self, text: EditableCsv) -> list[Row]:
        return text.rows(describe_file(self._path), REQUIRED, TIMES)


def apply_coding(
    files: Sequence[CoderFile], out: Path, video_id: str, request: CodingRequest
) -> Callable[[], None]:
    """Carry out a change; what undoes it.

    Args:
        files: of all coders.
        out: the output folder.
        video_id: of the video that was coded.
        request: the change.

    Raises:
        OptionsError: it is wrong, or contradicts another stretch; nothing is written.
        RecordsError: the file cannot be written.
    """
    before = _find_coder(files, out, request.coder)
    after = before.change(video_id, request)
    before.write(after)
    return partial(before.undo, after)


def _find_coder(files: Sequence[CoderFile], out: Path, coder: str) -> CoderFile:
    known = next((file for file in files if file.coder == coder), None)
    if known is not None:
        return known
    if _CODER.fullmatch(coder) is None:
        raise OptionsError(
            "the coder's name needs 1 to 40 letters, digits, hyphens or underscores, since it names the file."
        )
    if len(files) >= MOST_CODERS:
        raise OptionsError(f"there are {len(files)} coders already, and no more can be compared.")
    return CoderFile(out, coder, None)


def _cells(video_id: str, request: AddCoding) -> dict[str, str]:
    cells = {name: clean_text(getattr(request, name)) for name in ("start", "end", "label", "person")}
    return {"video_id": video_id, **cells}
