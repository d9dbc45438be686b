"""Every change in an output folder stays in it, whatever links it contains.

An output folder may come from somebody else. A link in the place of one of its folders would make ferflow write and
delete where the link leads, so it is refused. A link in the place of a file is no danger: files are replaced and
removed by name (`store.atomic_files`), which changes the link and not what it leads to.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ferflow.errors import RecordsError


def check_contained(path: Path, out: Path) -> None:
    """Refuse a path below an output folder on the way to which there is anything but folders.

    Called where the path is used, since a link may be put there at any time. Folders that do not exist yet are fine,
    and the output folder itself may be reached through links.

    Args:
        path: of a file, which need not exist and may be a link.
        out: the output folder, as the path begins.

    Raises:
        RecordsError: the path leads, or may lead, elsewhere.
        OSError: a folder on the way may not be read.
    """
    place, below = out, path.relative_to(out).parts
    if ".." in below:
        raise RecordsError(f"{path}: leads out of {out}.")
    for name in below[:-1]:
        place /= name
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISLNK(mode):
            raise RecordsError(
                f"{place}: leads out of {out} (a link to {place.readlink()}). Remove it, or use another -o."
            )
        if not stat.S_ISDIR(mode):
            raise RecordsError(f"{place}: not a folder. Remove it, or use another -o.")
