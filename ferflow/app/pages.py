"""The pages of the application, and the pages of the output folder."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from ferflow.app.expected_errors import status_of
from ferflow.app.folder_files import find_file, find_source, list_videos, read_page
from ferflow.app.page_drawing import draw_page
from ferflow.app.video_edits import check_finished
from ferflow.app.video_jobs import JobQueue
from ferflow.errors import RecordsError
from ferflow.store.output_folder import OutputFolder

router = APIRouter(include_in_schema=False)


@router.get("/")
async def start(request: Request) -> Response:
    """Drop a picture or a video."""
    return _page(request, "start")


@router.get("/jobs")
async def jobs(request: Request) -> Response:
    """The videos that were uploaded."""
    return _page(request, "jobs")


@router.get("/webcam")
async def webcam(request: Request) -> Response:
    """The faces of the webcam."""
    return _page(request, "webcam")


@router.get("/edit")
async def edit_list(request: Request) -> Response:
    """The videos that can be edited."""
    queue: JobQueue = request.app.state.jobs
    return _page(request, "edit_list", videos=await queue.pool.run(list_videos, queue.out))


@router.get("/edit/{video_id}")
async def edit(request: Request, video_id: str) -> Response:
    """Edit what the lists say about one video."""
    queue: JobQueue = request.app.state.jobs
    try:
        await queue.pool.run(check_finished, queue.out, video_id)
    except (RecordsError, OSError, ValueError) as error:
        raise HTTPException(404, "There is no finished video of this id.") from error
    return _page(request, "edit", video_id=video_id, report=_report_url(video_id))


@router.get("/api/docs")
async def docs(request: Request) -> Response:
    """The description of the API."""
    return _page(request, "docs")


@router.get("/static/swagger/{name}")
async def swagger(name: str) -> Response:
    """The page of the API, from the package `swagger-ui-bundle`."""
    from swagger_ui_bundle import swagger_ui_path

    if name not in ("swagger-ui-bundle.js", "swagger-ui.css"):
        raise HTTPException(404, "There is no such file.")
    return FileResponse(Path(swagger_ui_path) / name)


@router.get("/folder")
async def folder(request: Request) -> Response:
    """The overview; before the first video, the start page."""
    queue: JobQueue = request.app.state.jobs
    has_overview = await queue.pool.run(OutputFolder(queue.out).index.is_file)
    return RedirectResponse("/folder/index.html" if has_overview else "/", 303)


@router.get("/folder/source/{video_id}")
async def source(request: Request, video_id: str) -> Response:
    """The video of a report's player, if it is still the one that was analysed."""
    queue: JobQueue = request.app.state.jobs
    try:
        path = await queue.pool.run(find_source, queue.out, video_id)
    except RecordsError as error:
        raise HTTPException(status_of(error, 404), str(error)) from error
    if path is None:
        raise HTTPException(404, "The video is not where it was analysed.")
    return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0] or "video/mp4")


@router.get("/folder/{name:path}")
async def folder_file(request: Request, name: str) -> Response:
    """A page of the output folder, or what it loads."""
    queue: JobQueue = request.app.state.jobs
    path = await queue.pool.run(find_file, queue.out, name)
    if path is None:
        raise HTTPException(404, "There is no such file in this folder.")
    if path.suffix != ".html":
        return FileResponse(path, media_type=mimetypes.guess_type(path.name)[0])
    is_report = path.parent.name == "reports"
    return HTMLResponse(await queue.pool.run(read_page, path, path.stem if is_report else None))


def _report_url(video_id: str) -> str:
    return f"/folder/reports/{quote(video_id, safe='')}.html"


def _page(request: Request, name: str, **values: object) -> HTMLResponse:
    state = request.app.state
    return draw_page(
        name,
        state.look,
        keeps=state.keeps,
        has_folder=OutputFolder(state.jobs.out).index.is_file(),
        out=str(state.jobs.out) if state.keeps else "",
        **values,
    )
