"""The synthetic records of the tests, which are not installed."""

from __future__ import annotations

import importlib
from types import ModuleType


def import_made_records() -> ModuleType:
    """The module `tests.made_records`.

    Raises:
        SystemExit: it cannot be imported, as outside of a checkout.
    """
    try:
        return importlib.import_module("tests.made_records")
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"The synthetic records come from tests/, which cannot be imported ({error}). Run this in a checkout."
        ) from error
