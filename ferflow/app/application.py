"""The application: routes, what they share, and its start and end.

>>> app = make_app(AppSettings(out=Path("out")))
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ferflow.app import api_edits, api_jobs, api_pictures, pages
from ferflow.app.answers import problem
from ferflow.app.edit_desk import EditDesk
from ferflow.app.guard import Guard
from ferflow.app.page_drawing import make_look, static_router
from ferflow.app.picture_pool import PicturePool
from ferflow.app.scratch import make_scratch
from ferflow.app.settings import AppSettings
from ferflow.app.video_jobs import JobQueue
from ferflow.app.webcam import WebcamDesk
from ferflow.models.registry import resolve
from ferflow.version import __version__

_ABOUT = (
    "Faces in pictures and videos, and the expressions that they show. An expression is a movement of the face, not "
    "proof of a feeling. Everything stays on this machine."
)


def make_app(settings: AppSettings) -> Guard:
    """The application as an ASGI callable, behind its guard.

    Raises:
        ModelError: the model does not exist.
    """
    card = resolve(settings.options.model)
    app = FastAPI(
        title="ferflow",
        version=__version__,
        description=_ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.openapi_version = "3.0.3"  # the one that the page of swagger-ui-bundle draws
    app.state.settings, app.state.model = settings, card.name
    app.state.look = make_look(card.labels)
    app.state.keeps = settings.out is not None
    app.include_router(api_pictures.router)
    app.include_router(api_jobs.router)
    app.include_router(api_edits.router)
    app.include_router(pages.router)
    app.include_router(static_router)
    app.add_api_websocket_route("/api/webcam", _webcam)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(Exception, _answer_unexpected)
    return Guard(app, settings)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: AppSettings = app.state.settings
    # Uploads and frames lie here while they are read; without an output folder, so do results.
    with make_scratch() as folder:
        pool = PicturePool(settings.options, folder)
        jobs = JobQueue(settings.out or folder / "results", settings.options, pool)
        edits = EditDesk(jobs.out, pool)
        app.state.pool, app.state.jobs, app.state.edits = pool, jobs, edits
        app.state.webcams = WebcamDesk(pool)
        pool.warm_up()
        await jobs.start()
        try:
            yield
        finally:
            await jobs.stop()
            await edits.stop()
            await asyncio.to_thread(pool.close)


async def _webcam(socket: WebSocket) -> None:
    await socket.app.state.webcams.serve(socket)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = problem(error.status_code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


async def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return problem(400, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}")


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    return problem(500, f"unexpected {type(error).__name__}; see the terminal")
