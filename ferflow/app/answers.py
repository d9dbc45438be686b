"""What the API takes and answers, as its description shows it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from ferflow.types import JsonObject


class Problem(BaseModel):
    """Why a request has no other answer."""

    error: str


class Face(BaseModel):
    """A face in a picture; see docs/app.md."""

    xyxy: list[float] = Field(
        description="Box in pixels of the upright picture; right and lower edge exclusive."
    )
    score: float
    label: str = Field(description="The expression with the largest probability.")
    probs: dict[str, float]
    yaw: float | None = Field(description="Degrees; null where unknown.")
    pitch: float | None
    roll: float | None
    unreadable: str | None = Field(
        description="Why the expression cannot be read: turned, small, blurred, occluded."
    )
    landmarks: list[list[float]] = Field(
        default=[], description="Eyes, nose, corners of the mouth; absent without."
    )


class Prediction(BaseModel):
    """The faces of a picture, the leftmost first."""

    faces: list[Face]
    model: str
    width: int = Field(description="Of the upright picture, pixels.")
    height: int


class ActivationMap(BaseModel):
    """Where the evidence for a label lies in a face."""

    label: str
    probability: float
    image: str = Field(description="PNG as a data URI; orange for the label, blue against it.")


class Activations(BaseModel):
    """Maps of all labels, the most probable first; none for networks that do not end in an average."""

    maps: list[ActivationMap]


class JobView(BaseModel):
    """A video that was uploaded."""

    id: str
    name: str
    state: str = Field(description="queued, running, done, failed or cancelled.")
    seconds: float = Field(description="Of video, analysed so far.")
    of_seconds: float | None
    video_id: str | None
    report: str | None = Field(description="Path of its page, once it is done.")
    error: str | None
    warnings: list[str]


class TableRows(BaseModel):
    """Rows of a table."""

    columns: list[str]
    rows: list[list[Any]]
    n_rows: int = Field(description="Of the whole table.")


def problem(status: int, message: str) -> JSONResponse:
    """An answer that says what is wrong."""
    return JSONResponse({"error": message}, status)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the description of a route: which errors it answers with, besides those of every route."""
    return {status: {"model": Problem} for status in (*statuses, 403, 500, 503, 507)}


def picture_body(*, fields: JsonObject | None = None) -> dict[str, Any]:
    """For the description of a route: a picture as a form or as JSON, with further fields."""
    image = {"type": "string", "format": "binary", "description": "A JPEG, PNG, WebP, BMP or TIFF."}
    text = {"type": "string", "format": "byte", "description": "The same in base64."}
    content = {
        kind: {
            "schema": {
                "type": "object",
                "required": ["image"],
                "properties": {"image": value, **(fields or {})},
            }
        }
        for kind, value in (("multipart/form-data", image), ("application/json", text))
    }
    return {"requestBody": {"required": True, "content": content}}
