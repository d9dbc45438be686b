"""Whether tables, PDF, pictures and pages for a mail that were exported from a folder still say what its pages say.

`.pages/` holds a digest of what each page was made from; of each export it holds the digests of its pages at that time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ferflow.dashboards.exports.csv_tables import write_tables
from ferflow.dashboards.shared.page import write_text
from ferflow.dashboards.shared.page_digests import read_status
from ferflow.dashboards.shared.settings import PageOptions
from ferflow.store.atomic_files import remove
from ferflow.store.output_folder import OVERVIEW_CONTENT, OutputFolder
from ferflow.text import pluralize, sanitize

PICTURE_FORMATS = ("png", "svg")


def record_tables(folder: OutputFolder) -> None:
    """Note that the tables as CSV are those of the pages."""
    _record(folder, "csv", _digest_all(folder))


def record_pictures(folder: OutputFolder, formats: Iterable[str]) -> None:
    """Note that the figures of these formats are those of the pages."""
    for name in formats:
        _record(folder, f"figures.{name}", _digest_all(folder))


def record_pdf(folder: OutputFolder, page: Path) -> None:
    """Note that the PDF of a page was printed from it."""
    _record(folder, page.with_suffix(".pdf").name, _read_page(folder, page))


def is_pdf_current(folder: OutputFolder, page: Path) -> bool:
    """Whether a page has a PDF that was printed from its present state."""
    pdf = page.with_suffix(".pdf")
    return pdf.exists() and read_status(folder, pdf.name) == _read_page(folder, page) != ""


def record_mail(folder: OutputFolder, page: Path, made_with: object) -> None:
    """Note that a page for a mail says what a page says.

    Args:
        folder: the output folder.
        page: its own page.
        made_with: options of the page for a mail.
    """
    _record(folder, f"mail.{page.name}", f"{_read_page(folder, page)} {made_with!r}")


def forget_mail(folder: OutputFolder, page: Path) -> None:
    """Remove the record of a page for a mail; called before the page is written, so that no record outlives its page.

    Args:
        folder: the output folder.
        page: its own page.
    """
    remove(folder.page_status(f"mail.{page.name}"), out=folder.path)


def is_mail_current(folder: OutputFolder, page: Path, made_with: object) -> bool:
    """Whether a page has one for a mail of its present state, made with these options."""
    digest = _read_page(folder, page)
    is_there = digest != "" and (folder.mail / page.name).exists()
    return is_there and read_status(folder, f"mail.{page.name}") == f"{digest} {made_with!r}"


def update_exports(out: Path, options: PageOptions) -> list[str]:
    """Write the tables as CSV again if the folder has such of an earlier state.

    PDF and pictures take a browser and minutes, so they are not made again unasked.

    Returns:
        Warnings: of `write_tables`, and one if there are PDF or pictures of an earlier state.

    Raises:
        OptionsError, RecordsError: as `csv_tables.write_tables`.
    """
    folder = OutputFolder(out)
    warnings = list[str]()
    if _has_outdated_tables(folder):
        warnings = write_tables(out, options)
        record_tables(folder)
    return [*warnings, *describe_outdated(folder)]


def _has_outdated_tables(folder: OutputFolder) -> bool:
    return folder.csv_tables.is_dir() and read_status(folder, "csv") != _digest_all(folder)


def find_outdated(folder: OutputFolder) -> list[Path]:
    """The folder of tables, PDF, pages for a mail and pictures, as far as they are of an earlier state of the pages."""
    pages = [folder.index, *sorted((folder.path / "reports").glob("*.html"))]
    found = [
        pdf
        for page in pages
        if (pdf := page.with_suffix(".pdf")).exists() and not is_pdf_current(folder, page)
    ]
    found += [
        folder.mail / page.name
        for page in pages
        if (folder.mail / page.name).exists()
        and read_status(folder, f"mail.{page.name}").partition(" ")[0] != _read_page(folder, page)
    ]
    if _has_outdated_tables(folder):
        found.append(folder.csv_tables)
    for name in PICTURE_FORMATS:
        if read_status(folder, f"figures.{name}") != _digest_all(folder):
            found += sorted(folder.figures.glob(f"*.{name}"))
    return found


def describe_outdated(folder: OutputFolder) -> list[str]:
    """A warning if there are exports of an earlier state of the pages."""
    outdated = find_outdated(folder)
    if not outdated:
        return []
    kinds = sorted(
        {"single-file" if path.parent == folder.mail else path.suffix[1:] or path.name for path in outdated}
    )
    first, number = outdated[0].relative_to(folder.path), pluralize(len(outdated), "export")
    return [
        f"{number} of an earlier state of the pages (first: {sanitize(first)}). Make them again: "
        f"ferflow report {sanitize(folder.path)} {' '.join(f'--{kind}' for kind in kinds)}"
    ]


def _record(folder: OutputFolder, name: str, digest: str) -> None:
    write_text(folder.page_status(name), digest, out=folder.path)


def _read_page(folder: OutputFolder, page: Path) -> str:
    # The overview says when the last run started, of which no export is outdated.
    return read_status(folder, OVERVIEW_CONTENT if page == folder.index else page.name)


def _digest_all(folder: OutputFolder) -> str:
    """Of what all pages were made from."""
    pages = [folder.index, *(files.report for files in folder.finished_videos())]
    text = "\n".join(f"{page.name} {_read_page(folder, page)}" for page in pages)
    return hashlib.sha256(text.encode()).hexdigest()
