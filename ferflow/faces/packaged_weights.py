"""Weights of detectors and recognisers that other packages ship."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from ferflow.errors import ModelError


@dataclass(frozen=True, slots=True)
class PackagedWeights:
    """A file of an installed package."""

    network: str
    """Name of the network, for messages."""
    package: str
    file: str
    """Path of the file in the package's installation."""
    sha256: str
    """Of the file that this version of ferflow was tested with."""
    install: str
    """The command that installs the package."""
    repair: str
    """The command that replaces a file with another content."""

    def path(self) -> Path:
        """The path of the file, verified.

        Raises:
            ModelError: the package is not installed, or the file has another sha256.
        """
        try:
            path = Path(str(importlib.metadata.distribution(self.package).locate_file(self.file)))
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except (importlib.metadata.PackageNotFoundError, OSError) as error:
            raise ModelError(f"{self.network} weights not found ({error}). Run: {self.install}") from error
        if found != self.sha256:
            raise ModelError(
                f"{path.name}: sha256 {found[:12]} is not {self.sha256[:12]}. Run: {self.repair}"
            )
        return path
