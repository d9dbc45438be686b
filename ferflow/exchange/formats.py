"""The formats of `ferflow export`, by name. To add one: a module with a function that writes it, and a line here.

Modules are imported when they write: `ferflow --help` lists the formats.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from ferflow.exchange.libraries import check_library

if TYPE_CHECKING:
    from ferflow.exchange.destination import Destination
    from ferflow.exchange.request import ExportOptions
    from ferflow.exchange.session import Session

    Writer: TypeAlias = Callable[[Sequence[Session], Destination, ExportOptions], None]
    """Writes sessions; raises RecordsError."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format."""

    summary: str
    """What is written, for `--help`."""
    places: tuple[str, ...]
    """The files and folders that it writes, in the folder of the export."""
    module: str
    """In this package."""
    function: str
    """The writer in the module, see `Writer`."""
    library: str | None = None
    """The module that it needs, of the extra `exchange`."""

    def load(self) -> Writer:
        """The writer."""
        module = importlib.import_module(f"ferflow.exchange.{self.module}")
        return cast("Writer", getattr(module, self.function))


FORMATS: dict[str, Format] = {
    "csv": Format(
        "timeline.csv, a row per participant and second, and faces.csv, a row per frame and face",
        ("timeline.csv", "faces.csv"),
        "csv_tables",
        "write_tidy",
    ),
    "long": Format(
        "timeline_long.csv, a row per participant, second and measure",
        ("timeline_long.csv",),
        "csv_tables",
        "write_long",
    ),
    "wide": Format(
        "timeline_wide.csv, a row per session and second, participants side by side",
        ("timeline_wide.csv",),
        "csv_tables",
        "write_wide",
    ),
    "xlsx": Format(
        "an Excel workbook of sessions, people, timeline, events and markers",
        ("ferflow.xlsx",), "excel", "write_xlsx", "openpyxl",
    ),
    "vtt": Format("WebVTT subtitles and chapters, per session", ("vtt",), "web_vtt", "write_vtt"),
    "elan": Format("ELAN tiers, per session", ("elan",), "elan", "write_elan", "pympi"),
    "boris": Format("a BORIS project, and its aggregated events", ("boris",), "boris", "write_boris"),
    "bids": Format(
        "a BIDS folder: events, and the timeline as a recording of a derivative", ("bids",), "bids", "write_bids"
    ),
    "otio": Format(
        "peaks and segments as an OpenTimelineIO cut list, per session",
        ("otio",), "cut_formats", "write_otio_files", "opentimelineio",
    ),
    "edl": Format(
        "peaks and segments as a CMX 3600 EDL, per session",
        ("edl",), "cut_formats", "write_edl_files", "otio_cmx3600_adapter",
    ),
    "duckdb": Format(
        "one DuckDB file with tables and views", ("ferflow.duckdb",), "duckdb_file", "write_duckdb", "duckdb"
    ),
    "spss": Format("timeline.sav for SPSS", ("timeline.sav",), "spss", "write_sav", "pyreadstat"),
}  # fmt: skip


def write_formats(
    names: Sequence[str], sessions: Sequence[Session], to: Destination, options: ExportOptions
) -> None:
    """Write sessions in several formats.

    Raises:
        RecordsError: a file cannot be written.
    """
    for name in names:
        FORMATS[name].load()(sessions, to, options)


def check_formats(names: Sequence[str], to: Destination) -> None:
    """Refuse formats that cannot be written, before any work is done.

    Raises:
        OptionsError: a library is missing, or a file is there already.
    """
    for name in names:
        if (library := FORMATS[name].library) is not None:
            check_library(library, f"--format {name}")
    to.check(place for name in names for place in FORMATS[name].places)
