"""How pages of the application are made, and the scripts and styles that they load."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Sequence
from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

from ferflow.dashboards.shared.page import inline_json, render_template, template_text
from ferflow.palette import colours, stacked
from ferflow.types import JsonObject
from ferflow.version import __version__

static_router = APIRouter(include_in_schema=False)

_HERE = Path(__file__).parent
_STATIC = {path.name: path for path in (_HERE / "static").iterdir()}


@static_router.get("/static/{name}")
async def static(name: str) -> Response:
    """Scripts and styles."""
    if name == "style.css":  # that of the reports
        return Response(str(template_text("style.css")), media_type="text/css")
    if name in _STATIC:
        return FileResponse(_STATIC[name], media_type=mimetypes.guess_type(name)[0])
    raise HTTPException(404, "There is no such file.")


@static_router.get("/favicon.ico")
async def icon() -> Response:
    """Browsers ask for it."""
    return FileResponse(_STATIC["icon.svg"], media_type="image/svg+xml")


def make_look(labels: Sequence[str]) -> JsonObject:
    """How the scripts of pages show expressions: their labels, the order of bars, and their colours."""
    names = list(labels)
    return {"labels": [*names], "stacked": [*stacked(names)], "colours": {**colours(names)}}


def draw_page(name: str, look: JsonObject, **values: object) -> HTMLResponse:
    """A page of the application.

    Args:
        name: of its template.
        look: of `make_look`.
        **values: of its template.
    """
    return HTMLResponse(
        render_template(
            str(_HERE / "templates" / f"{name}.html.j2"),
            page=name,
            version=__version__,
            look=inline_json(json.dumps(look)),
            base=str(_HERE / "templates" / "app.html.j2"),
            **values,
        )
    )
