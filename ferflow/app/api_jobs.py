"""The part of the API about videos: upload, progress, tables."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from ferflow.app.answers import JobView, TableRows, problems
from ferflow.app.expected_errors import status_of
from ferflow.app.tables import MOST_ROWS, TABLES, read_rows
from ferflow.app.video_jobs import JobQueue, VideoJob, save_upload
from ferflow.errors import OptionsError, RecordsError
from ferflow.store.output_folder import OutputFolder

router = APIRouter()

JobId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
VideoId = Annotated[str, Path(max_length=200)]
TableName = Literal["frames", "faces", "timeline", "markers", "signals"]
TableFormat = Literal["json", "parquet"]
Offset = Annotated[int, Query(ge=0, le=2**53)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]

_VIDEO_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["video"],
                    "properties": {"video": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.post(
    "/api/jobs",
    status_code=202,
    response_model=JobView,
    responses=problems(400, 413, 415, 429),
    openapi_extra=_VIDEO_BODY,
    summary="Queue a video for analysis",
)
async def create_job(request: Request) -> Response:
    """The answer comes when the upload is complete; the analysis follows in the order of the uploads."""
    jobs: JobQueue = request.app.state.jobs
    if jobs.is_full():
        raise HTTPException(429, "The queue is full. Wait until a video is done, or cancel one.")
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(415, "Send a form (multipart/form-data) with a file in its field video.")
    async with request.form(max_files=1, max_fields=4) as form:
        video = form.get("video")
        if not isinstance(video, UploadFile):
            raise HTTPException(400, "The form has no file in its field video.")
        if not video.size:
            raise HTTPException(400, "The video is empty.")
        job = jobs.new_upload(video.filename or "video")
        try:
            await jobs.pool.run(save_upload, video.file, job.path, jobs.out)
        except OptionsError as error:
            raise HTTPException(507, str(error)) from error
    await jobs.enqueue(job)
    return JSONResponse(jobs.jobs[job.id].to_json(), 202, {"Location": f"/api/jobs/{job.id}"})


@router.get("/api/jobs", response_model=list[JobView], summary="All jobs, the oldest first")
async def list_jobs(request: Request) -> Response:
    """Those of this start of the application."""
    return JSONResponse([job.to_json() for job in request.app.state.jobs.jobs.values()])


@router.get("/api/jobs/{job_id}", response_model=JobView, responses=problems(400, 404), summary="A job")
async def get_job(request: Request, job_id: JobId) -> Response:
    """How far it is."""
    return JSONResponse(_find(request, job_id).to_json())


@router.delete(
    "/api/jobs/{job_id}", response_model=JobView, responses=problems(400, 404), summary="Cancel a job"
)
async def cancel_job(request: Request, job_id: JobId) -> Response:
    """Its upload is removed; a job that has ended stays as it is."""
    _find(request, job_id)
    return JSONResponse((await request.app.state.jobs.cancel(job_id)).to_json())


@router.get(
    "/api/jobs/{job_id}/events",
    responses={**problems(400, 404), 200: {"content": {"text/event-stream": {}}}},
    summary="Progress of a job as server-sent events",
)
async def follow_job(request: Request, job_id: JobId) -> Response:
    """Each event is the job as JSON; the stream ends with the job."""
    _find(request, job_id)
    return StreamingResponse(_write_events(request.app.state.jobs, job_id), media_type="text/event-stream")


@router.get(
    "/api/jobs/{job_id}/tables/{table}", response_model=TableRows, responses=problems(400, 404),
    summary="A table of a job that is done",
)  # fmt: skip
async def get_job_table(
    request: Request,
    job_id: JobId,
    table: TableName,
    format: TableFormat = "json",  # noqa: A002 - the name in the address
    offset: Offset = 0,
    limit: Limit = 1000,
) -> Response:
    """As Parquet the whole table; as JSON some of its rows."""
    job = _find(request, job_id)
    if job.state != "done" or job.video_id is None:
        raise HTTPException(404, "This job has no tables (yet).")
    return await _answer_table(request, job.video_id, table, format, offset, limit)


@router.get("/api/videos", response_model=list[str], summary="Ids of the finished videos of the folder")
async def list_videos(request: Request) -> Response:
    """Those of `ferflow app OUT` and of the jobs that are done."""
    jobs: JobQueue = request.app.state.jobs
    return JSONResponse(await jobs.pool.run(OutputFolder(jobs.out).finished_ids))


@router.get(
    "/api/videos/{video_id}/tables/{table}", response_model=TableRows, responses=problems(400, 404),
    summary="A table of a finished video",
)  # fmt: skip
async def get_video_table(
    request: Request,
    video_id: VideoId,
    table: TableName,
    format: TableFormat = "json",  # noqa: A002 - the name in the address
    offset: Offset = 0,
    limit: Limit = 1000,
) -> Response:
    """As Parquet the whole table; as JSON some of its rows."""
    return await _answer_table(request, video_id, table, format, offset, limit)


async def _answer_table(
    request: Request, video_id: str, table: TableName, kind: str, offset: int, limit: int
) -> Response:
    jobs: JobQueue = request.app.state.jobs
    try:
        path = await jobs.pool.run(TABLES[table], jobs.out, video_id)
        if path is None:
            raise HTTPException(404, "There is no such table.")
        if kind == "parquet":
            return FileResponse(path, media_type="application/vnd.apache.parquet", filename=path.name)
        return JSONResponse(await jobs.pool.run(read_rows, path, offset, limit))
    except RecordsError as error:
        raise HTTPException(status_of(error, 404), str(error)) from error


async def _write_events(jobs: JobQueue, job_id: str) -> AsyncIterator[str]:
    async for job in jobs.follow(job_id):
        yield f"data: {json.dumps(job.to_json())}\n\n"


def _find(request: Request, job_id: str) -> VideoJob:
    jobs: JobQueue = request.app.state.jobs
    job = jobs.jobs.get(job_id)
    if job is None:
        raise HTTPException(404, "There is no such job.")
    return job
