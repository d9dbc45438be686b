"""The part of the API about single pictures."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ferflow.app.answers import Activations, Prediction, picture_body, problems
from ferflow.app.expected_errors import status_of
from ferflow.app.picture_calls import map_activation, read_content, show_content
from ferflow.app.picture_pool import PicturePool
from ferflow.app.settings import MOST_PICTURE_BYTES
from ferflow.errors import ChildDiedError, DecodeError, VideoError
from ferflow.types import JsonObject

router = APIRouter()

_BOX: JsonObject = {
    "xyxy": {"type": "string", "description": "Box of the face as /api/predict answers: x1,y1,x2,y2."}
}


@router.post(
    "/api/predict",
    response_model=Prediction,
    responses=problems(400, 413, 415),
    openapi_extra=picture_body(),
    summary="The faces of a picture and their expressions",
)
async def predict(request: Request) -> Response:
    """Pictures are independent of one another; nothing is stored."""
    pool: PicturePool = request.app.state.pool
    content, _ = await _read_picture(request)
    with _PictureErrors():
        found = await pool.ask(read_content, content, pool.folder)
    return JSONResponse(
        {
            "faces": [face.to_json() for face in found.faces],
            "model": request.app.state.model,
            "width": found.width,
            "height": found.height,
        }
    )


@router.post(
    "/api/activation",
    response_model=Activations,
    responses=problems(400, 413, 415),
    openapi_extra=picture_body(fields=_BOX),
    summary="Class-activation maps of one face of a picture",
)
async def activation(request: Request) -> Response:
    """The picture is sent again, since none is kept."""
    pool: PicturePool = request.app.state.pool
    content, box = await _read_picture(request)
    xyxy = _parse_box(box)
    with _PictureErrors():
        maps = await pool.ask(map_activation, content, xyxy, pool.folder)
    return JSONResponse({"maps": [asdict(each) for each in maps]})


@router.post("/api/picture", include_in_schema=False)
async def picture(request: Request) -> Response:
    """A picture as JPEG, for browsers that do not read its format."""
    pool: PicturePool = request.app.state.pool
    content, _ = await _read_picture(request)
    with _PictureErrors():
        return Response(await pool.ask(show_content, content, pool.folder), media_type="image/jpeg")


async def _read_picture(request: Request) -> tuple[bytes, object]:
    """The picture of a form or of JSON, and its field `xyxy`.

    Raises:
        HTTPException: 400, 413 or 415.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        content, box = await _read_form(request)
    elif kind == "application/json":
        content, box = await _read_json(request)
    else:
        raise HTTPException(415, "Send a form (multipart/form-data) or JSON with a field image.")
    if len(content) > MOST_PICTURE_BYTES:
        raise HTTPException(413, f"Too large: a picture may have {MOST_PICTURE_BYTES >> 20} MiB.")
    if not content:
        raise HTTPException(400, "The picture is empty.")
    return content, box


async def _read_form(request: Request) -> tuple[bytes, object]:
    async with request.form(max_files=1, max_fields=4) as form:
        image, box = form.get("image"), form.get("xyxy")
        if not isinstance(image, UploadFile):
            raise HTTPException(400, "The form has no file in its field image.")
        return await image.read(), box


async def _read_json(request: Request) -> tuple[bytes, object]:
    try:
        sent = json.loads(await request.body())
        text = sent["image"]
        _, is_uri, after = text.partition(";base64,")
        return base64.b64decode(after if is_uri else text, validate=True), sent.get("xyxy")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error) as error:
        raise HTTPException(400, 'Not JSON of the form {"image": "<base64>"}.') from error


def _parse_box(given: object) -> tuple[float, float, float, float]:
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, list) or len(parts) != 4:
        raise HTTPException(400, "xyxy must be x1,y1,x2,y2.")
    try:
        x1, y1, x2, y2 = map(float, parts)
    except (TypeError, ValueError, OverflowError) as error:
        raise HTTPException(400, "xyxy must be x1,y1,x2,y2.") from error
    is_sane = all(math.isfinite(value) and abs(value) < 1e5 for value in (x1, y1, x2, y2))
    if not is_sane or x2 - x1 < 1 or y2 - y1 < 1:
        raise HTTPException(400, "xyxy must be a box in pixels of the picture.")
    return x1, y1, x2, y2


class _PictureErrors:
    """Turns what is wrong with a picture into an answer."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case DecodeError() | ChildDiedError():
                raise HTTPException(status_of(error, 400), str(error)) from error
            case VideoError():
                raise HTTPException(status_of(error, 415), str(error)) from error
            case MemoryError():
                raise HTTPException(413, "The picture takes too much memory to decode.") from error
