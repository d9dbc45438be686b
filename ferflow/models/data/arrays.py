"""Arrays in npz files: data sets, checkpoints and answers of teachers, which may all come from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ferflow.plain_file import check_plain_file

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile


def open_arrays(path: Path) -> NpzFile:
    """Open an npz of plain arrays; the caller closes it.

    Raises:
        OSError: missing, or not a regular file: a pipe would block the process.
        Exception: not an npz; zipfile, zlib and NumPy each have their own errors.
    """
    check_plain_file(path)
    archive: NpzFile = np.load(path, allow_pickle=False)  # no pickles: they can run code
    return archive
