"""The part of the API for the edit mode."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Request
from starlette.responses import JSONResponse, Response

from ferflow.app.answers import problems
from ferflow.app.edit_desk import EditDesk
from ferflow.app.edit_requests import EditRequest
from ferflow.app.expected_errors import status_of
from ferflow.app.video_edits import OutdatedError
from ferflow.errors import OptionsError, RecordsError, VideoError

router = APIRouter()

VideoId = Annotated[str, Path(max_length=200)]

_NO_PICTURE = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1 1'><path fill='#888' d='M0 0h1v1H0z'/></svg>"
)

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "required": ["edit", "version"]}}},
    }
}


@router.get(
    "/api/videos/{video_id}/edit", responses=problems(400, 404), summary="What can be edited of a video"
)
async def show_edit(request: Request, video_id: VideoId) -> Response:
    """People, tracks, corrections and markers, each as the lists on disk say it, and their version."""
    desk: EditDesk = request.app.state.edits
    with _EditErrors():
        return JSONResponse(await desk.show(video_id))


@router.post(
    "/api/videos/{video_id}/edits", responses=problems(400, 404, 409), openapi_extra=_BODY,
    summary="Change people.csv, corrections.csv or the markers of a video",
)  # fmt: skip
async def make_edit(request: Request, video_id: VideoId) -> Response:
    """See docs/app.md for the changes; 409 where the lists are no longer those of the version."""
    desk: EditDesk = request.app.state.edits
    try:
        change = msgspec.json.decode(await request.body(), type=EditRequest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise HTTPException(400, f"Not a change: {error}") from error
    with _EditErrors():
        return JSONResponse(await desk.edit(video_id, change))


@router.post("/api/videos/{video_id}/undo", responses=problems(400, 404), summary="Undo the last change")
async def undo_edit(request: Request, video_id: VideoId) -> Response:
    """Of this video, since the application was started."""
    desk: EditDesk = request.app.state.edits
    with _EditErrors():
        return JSONResponse(await desk.undo(video_id))


@router.get("/api/videos/{video_id}/edit/status", include_in_schema=False)
async def show_status(request: Request, video_id: VideoId) -> Response:
    """Whether the pages follow what was changed."""
    desk: EditDesk = request.app.state.edits
    return JSONResponse(desk.status(video_id))


@router.get("/api/videos/{video_id}/thumbnails/{kind}/{number}", include_in_schema=False)
async def thumbnail(
    request: Request,
    video_id: VideoId,
    kind: Literal["person", "track"],
    number: Annotated[int, Path(ge=0, le=10**9)],
) -> Response:
    """A picture of a person or a track, cut from the video; a gray one if it has no face that can be shown."""
    desk: EditDesk = request.app.state.edits
    with _EditErrors():
        picture = await desk.thumbnail(video_id, (kind, number))
    if picture is None:
        return Response(_NO_PICTURE, media_type="image/svg+xml")
    return Response(picture, media_type="image/jpeg")


@router.get("/api/videos/{video_id}/frame", include_in_schema=False)
async def frame(
    request: Request, video_id: VideoId, time_s: Annotated[float, Query(ge=0, le=10**7)] = 0.0
) -> Response:
    """The picture at a time, for videos that browsers do not play."""
    desk: EditDesk = request.app.state.edits
    with _EditErrors():
        return Response(await desk.frame(video_id, time_s), media_type="image/jpeg")


class _EditErrors:
    """Turns what is wrong with a change into an answer."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case OutdatedError():
                raise HTTPException(409, str(error)) from error
            case OptionsError():
                raise HTTPException(status_of(error, 400), str(error)) from error
            case RecordsError() | VideoError():
                raise HTTPException(status_of(error, 404), str(error)) from error
