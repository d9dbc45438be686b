"""Videos that were uploaded to the application: copies of its own, in `OUT/uploads/<job>/<name>`.

The editor writes markers next to them.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ferflow.analytics.markers import SUFFIX as MARKERS_SUFFIX
from ferflow.errors import VideoError
from ferflow.media.inputs import video_id_of
from ferflow.store.atomic_files import is_temporary, remove, remove_folder
from ferflow.store.contained import check_contained
from ferflow.store.output_folder import OutputFolder


def list_uploads(folder: OutputFolder) -> list[Path]:
    """The videos, sorted by name.

    Raises:
        RecordsError: the folder of uploads leads out of the output folder.
    """
    check_contained(folder.uploads / "job" / "file", folder.path)
    return sorted(
        path
        for path in folder.uploads.glob("*/*")
        if path.is_file()
        and not path.is_symlink()
        and not path.parent.is_symlink()
        and not path.name.endswith(MARKERS_SUFFIX)
        and not is_temporary(path)
    )


def identify_uploads(folder: OutputFolder) -> dict[Path, str]:
    """The videos with the ids of their sessions, finished or not; raises as `list_uploads`."""
    found = {}
    for path in list_uploads(folder):
        with suppress(OSError, VideoError):
            found[path] = video_id_of(path)
    return found


def list_files_of(upload: Path) -> list[Path]:
    """A video, and what ferflow wrote next to it, as far as they are there; the video last."""
    found = [path for path in sorted(upload.parent.glob("*")) if _is_next_to(upload, path)]
    return [*found, upload] if upload.exists() or upload.is_symlink() else found


def _is_next_to(upload: Path, path: Path) -> bool:
    markers = upload.stem + MARKERS_SUFFIX
    return path.name == markers or (is_temporary(path) and path.name.startswith(f".{markers}."))


def remove_upload(upload: Path, out: Path) -> None:
    """Remove a video, what ferflow wrote next to it, and its folder if nothing else is in it.

    Raises:
        RecordsError: a file cannot be removed, or leads out of the output folder.
    """
    check_contained(upload, out)
    for path in list_files_of(upload):
        remove(path, out=out)
    if upload.parent.is_dir():
        remove_folder(upload.parent, out=out)
