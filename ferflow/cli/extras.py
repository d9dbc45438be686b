"""Packages of extras, looked for before a command that needs them begins."""

from __future__ import annotations

import importlib.util

from ferflow.errors import OptionsError

_APP = ("fastapi", "uvicorn", "websockets", "python_multipart", "swagger_ui_bundle")


def check_app_packages(command: str) -> None:
    """Look for the packages of the extra `app`; none is imported.

    Raises:
        OptionsError: one is missing.
    """
    if any(importlib.util.find_spec(name) is None for name in _APP):
        raise OptionsError(f"{command} needs further packages. Run: pip install 'ferflow[app]'")
