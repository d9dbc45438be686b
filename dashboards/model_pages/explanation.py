"""The page of `ferflow explain`: crops, feature maps, evidence by location, and how each score is computed.

One self-contained file: pictures are embedded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ferflow import palette
from ferflow.dashboards.model_pages.data_uri import enlarge, png_uri
from ferflow.dashboards.shared.number_format import UNKNOWN, percent, pluralize, sanitize, timecode
from ferflow.dashboards.shared.page import render, template_text, write_text
from ferflow.models.cards import ModelCard
from ferflow.models.class_activation import HeadAnswer, Inspection
from ferflow.models.heads import LABEL_HEAD, VOTE_HEAD
from ferflow.render.explain import Moment
from ferflow.types import Float32Array, UInt8Array
from ferflow.version import __version__

MOST_FACES = 6
"""Per frame, the largest first."""
MOST_MAPS = 24
"""Per stage, the strongest first."""
MAP_PX, CROP_PX, EVIDENCE_PX = 56, 192, 128
MAPS_PER_ROW = 12


_FOR, _AGAINST = np.array([240, 140, 20], np.float32), np.array([40, 110, 235], np.float32)
"""Orange and blue, RGB."""

_HEADS = {LABEL_HEAD: "label head", VOTE_HEAD: "vote head"}

_WHY = {
    "picture": "the picture",
    "asked for": "requested frame",
    "first face": "first frame with a face; two frames per second were examined",
    "most expressive": "most expressive frame; two frames per second were examined",
}


@dataclass(frozen=True, slots=True)
class _Part:
    """What one head says about one label: evidence + bias = logit, and its softmax."""

    evidence: str
    bias: str
    logit: str
    share: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ScoreRow:
    label: str
    colour: str
    width: float
    """Of its bar, percent."""
    share: str
    parts: list[_Part]
    """By head."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    label: str
    share: str
    image: str
    """Data URI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    name: str
    size: str
    n_shown: int
    image: str
    """Data URI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Face:
    number: int
    crop: str
    """Data URI."""
    px: str
    answer: str
    heads: list[str]
    scores: list[_ScoreRow]
    evidence: list[_Evidence]
    stages: list[_Stage]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """One frame of the video, or the picture."""

    title: str
    why: str
    preview: str
    """Data URI."""
    hidden: int
    """Faces that are left out."""
    faces: list[_Face]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    name: str
    lead: str
    frames: list[_Frame]
    blend: str
    """Empty: the network has one head."""
    mixes: bool
    """Whether more than one head counts."""
    temperature: str
    has_evidence: bool
    prior: str
    """Empty: unknown."""


def write_explanation(
    path: Path, name: str, card: ModelCard, found: Sequence[tuple[Moment, list[Inspection]]]
) -> None:
    """Write the page about frames of `name` and how a model sees their faces."""
    write_text(path, render_explanation(name, card, found), out=None)


def render_explanation(name: str, card: ModelCard, found: Sequence[tuple[Moment, list[Inspection]]]) -> str:
    """Render the page as HTML; the same faces give the same text."""
    faces = sum(len(seen) for _, seen in found)
    page = _Page(
        name=sanitize(name),
        lead=f"{pluralize(faces, 'face')} as the model {sanitize(card.name)} ({card.recipe}, float32) sees "
        f"{'it' if faces == 1 else 'them'} · {card.input_size} pixels, gray",
        frames=[_frame(moment, seen, card) for moment, seen in found],
        blend="" if card.blend is None else str(card.blend),
        mixes=sum(share > 0 for share in card.shares.values()) > 1,
        temperature=f"{card.temperature:g}",
        has_evidence=any(part.evidence is not None for _, seen in found for part in seen),
        prior=", ".join(f"{label} {percent(share)}" for label, share in card.prior_by_label.items()),
    )
    return render(
        "explanation.html.j2", page=page, version=__version__, more_style=template_text("models.css"),
        shows_faces=True,
    )  # fmt: skip


def _frame(moment: Moment, seen: list[Inspection], card: ModelCard) -> _Frame:
    order = np.argsort(-moment.crops.face_px, kind="stable")[:MOST_FACES]
    return _Frame(
        title="The picture" if moment.why == "picture" else timecode(moment.time_s),
        why=_WHY[moment.why],
        preview=png_uri(moment.preview),
        hidden=len(seen) - len(order),
        faces=[
            _face(seen[i], card, number, float(moment.crops.face_px[i])) for number, i in enumerate(order, 1)
        ],
    )


def _face(seen: Inspection, card: ModelCard, number: int, face_px: float) -> _Face:
    colours = palette.colours(list(card.labels))
    order = np.argsort(-seen.probs, kind="stable")
    return _Face(
        number=number,
        crop=png_uri(enlarge(seen.crop, CROP_PX)),
        px=f"{face_px:.0f}",
        answer=sanitize(card.labels[order[0]]),
        heads=[f"{percent(answer.share)} {_HEADS.get(name, name)}" for name, answer in seen.answers.items()],
        scores=[_score_row(seen, card, int(k), colours[card.labels[k]]) for k in order],
        evidence=_evidence(seen, card, order),
        stages=[_stage(name, maps) for name, maps in seen.stages.items()],
    )


def _score_row(seen: Inspection, card: ModelCard, k: int, colour: str) -> _ScoreRow:
    """Show how one score is computed: what each head says, and the mean of that."""
    return _ScoreRow(
        label=sanitize(card.labels[k]),
        colour=colour,
        width=round(100 * float(seen.probs[k]), 1),
        share=percent(float(seen.probs[k])),
        parts=[_part(answer, k) for answer in seen.answers.values()],
    )


def _part(answer: HeadAnswer, k: int) -> _Part:
    return _Part(
        evidence=UNKNOWN if answer.evidence is None else _format_signed(answer.evidence[k].mean()),
        bias=UNKNOWN if answer.bias is None else _format_signed(answer.bias[k]),
        logit=_format_signed(answer.logits[k]),
        share=percent(float(answer.probs[k])),
    )


def _evidence(seen: Inspection, card: ModelCard, order: npt.NDArray[np.intp]) -> list[_Evidence]:
    images = draw_evidence(seen)
    if images is None:
        return []
    return [_Evidence(sanitize(card.labels[k]), percent(float(seen.probs[k])), images[k]) for k in order]


def draw_evidence(seen: Inspection) -> list[str] | None:
    """Draw each label's evidence over the crop, on one scale: orange for the label, blue against it.

    Returns:
        Data URIs of PNG, in the card's order of labels; None: the network does not end in an average.
    """
    evidence = seen.evidence
    if evidence is None:
        return None
    # One scale for all labels, so that their colours can be compared.
    most = float(np.abs(evidence).max()) or 1.0
    return [png_uri(_overlay(seen.crop, part / most)) for part in evidence]


def _overlay(crop: UInt8Array, evidence: Float32Array) -> UInt8Array:
    """Draw evidence (H, W), -1..1, in colour over a gray crop (S, S): RGB."""
    side = (EVIDENCE_PX, EVIDENCE_PX)
    gray = enlarge(crop, EVIDENCE_PX).astype(np.float32)[..., None].repeat(3, axis=2)
    # Each value is about a square of the crop: OpenCV places it at the centre of that square when it enlarges.
    smooth = np.asarray(cv2.resize(evidence.astype(np.float32), side, interpolation=cv2.INTER_CUBIC))
    strength = np.clip(np.abs(smooth), 0, 1)[..., None] * 0.75
    colour = np.where(smooth[..., None] > 0, _FOR, _AGAINST)
    mixed: UInt8Array = np.clip(gray * (1 - strength) + colour * strength, 0, 255).astype(np.uint8)
    return mixed


def _stage(name: str, maps: Float32Array) -> _Stage:
    """Draw the strongest maps of a stage as one picture, each scaled to its own range."""
    strength = maps.reshape(len(maps), -1).std(axis=1)
    order = np.argsort(-strength, kind="stable")[:MOST_MAPS]
    _, height, width = maps.shape
    return _Stage(
        # The exported network calls the output of an activation `layer/relu`.
        name=name.split("/")[0],
        size=f"{len(maps)} maps of {width} x {height}",
        n_shown=len(order),
        image=png_uri(_arrange([_stretch(maps[i]) for i in order])),
    )


def _stretch(values: Float32Array) -> UInt8Array:
    low, high = float(values.min()), float(values.max())
    gray = ((values - low) / max(high - low, 1e-9) * 255).astype(np.uint8)
    return np.asarray(cv2.resize(gray, (MAP_PX, MAP_PX), interpolation=cv2.INTER_NEAREST), np.uint8)


def _arrange(pictures: list[UInt8Array]) -> UInt8Array:
    """Arrange pictures of one size in rows, with a gap between them."""
    columns = min(MAPS_PER_ROW, len(pictures))
    rows = -(-len(pictures) // columns)
    step = MAP_PX + 4
    canvas = np.full((rows * step - 4, columns * step - 4), 128, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * step, i % columns * step
        canvas[y : y + MAP_PX, x : x + MAP_PX] = picture
    return canvas


def _format_signed(value: np.floating) -> str:
    return f"{value:+.2f}".replace("-", "−")
