"""The application: routes, what they share, and its start and end.

>>> app = make_app(AppSettings(out=Path("out")))
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ferflow.app import api_edits, api_jobs, api_pictures, pages
from ferflow.app.answers import problem
from ferflow.app.edit_desk import EditDesk
from ferflow.app.expected_errors import EXPECTED_ERRORS, describe_error, status_of
from ferflow.app.guard import Guard
from ferflow.app.page_drawing import make_look, static_router
from ferflow.app.picture_pool import PicturePool
from ferflow.app.scratch import make_scratch
from ferflow.app.settings import AppSettings
from ferflow.app.video_jobs import JobQueue
from ferflow.app.webcam import WebcamDesk
from ferflow.models.registry import resolve
from ferflow.text import sanitize
from ferflow.version import __version__

log = logging.getLogger(__name__)

_ABOUT = (
    "Faces in pictures and videos, and the expressions that they show. An expression is a movement of the face, not "
    "proof of a feeling. Everything stays on this machine."
)


def make_app(settings: AppSettings) -> Guard:
    """The application as an ASGI callable, behind its guard; raises as `make_routes`."""
    return Guard(make_routes(settings), settings)


def make_routes(settings: AppSettings) -> FastAPI:
    """The application without its guard; it has to be open while it answers, see `open_app`.

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
        lifespan=open_app,
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
    for kind in EXPECTED_ERRORS:
        app.add_exception_handler(kind, _answer_expected)
    app.add_exception_handler(Exception, _answer_unexpected)
    app.add_middleware(_EndBrokenAnswers)
    return app


@asynccontextmanager
async def open_app(app: FastAPI) -> AsyncIterator[None]:
    """What the routes share: processes, queues, a temporary folder.

    Raises:
        RecordsError, OSError, MemoryError: the output folder cannot be read, or a process not be started.
    """
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


async def _answer_expected(request: Request, error: Exception) -> Response:
    log.warning("%s %s: %s", request.method, sanitize(request.url.path), describe_error(error))
    return problem(status_of(error, 500), describe_error(error))


class _EndBrokenAnswers:
    """Ends the connection where a file can no longer be read after the beginning of the answer was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except RuntimeError as error:  # in which Starlette wraps errors that come too late to be answered
            if not isinstance(cause := error.__cause__, EXPECTED_ERRORS):
                raise
            log.warning("%s: the answer is incomplete: %s", sanitize(scope["path"]), describe_error(cause))


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    return problem(500, f"unexpected {type(error).__name__}; see the terminal")
