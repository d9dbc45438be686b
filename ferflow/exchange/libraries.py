"""Libraries of formats, which the extra `exchange` brings; imported where they are used."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from ferflow.errors import OptionsError


def check_library(name: str, purpose: str) -> None:
    """Refuse work for which a library is missing, without importing it.

    Args:
        name: of its module.
        purpose: what it is needed for, such as `--format xlsx`.

    Raises:
        OptionsError: it is not installed.
    """
    try:
        is_there = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        is_there = False
    if not is_there:
        raise OptionsError(f"{purpose} needs {name}. Install it: pip install 'ferflow[exchange]'")


def load_library(name: str, purpose: str) -> ModuleType:
    """Import a library; raises as `check_library`."""
    check_library(name, purpose)
    return importlib.import_module(name)
