"""What makes the values of a model card unusable: a card may come from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ferflow.models.cards import ModelCard, WeightFile
    from ferflow.models.heads import Blend

FILES = ("onnx", "onnx_float", "keras")
"""What a card may list: the network that the CPU serves, the same in float32 where that one is int8, and the Keras
weights both were made from."""


def problem_of(card: ModelCard) -> str | None:
    """Return what is wrong with a card's values, or None."""
    texts = (card.name, card.purpose, card.recipe, card.data, card.prior_note, card.selection, card.note)
    counts = (card.input_size, card.channels, card.rows, card.leaks, card.seed)
    checks = {
        "names, labels and notes must be text": all(isinstance(text, str) for text in (*texts, *card.labels)),
        "sizes and counts must be whole numbers": all(type(count) is int for count in counts),
        "labels must be two or more, all different": len(set(card.labels)) == len(card.labels) > 1,
        "input_size must be 16 to 512 and channels 1 or 3": _within(card.input_size, 16, 512)
        and card.channels in (1, 3),
        "blend must be empty, or hold a share in 0..1 and two shifts per label": _is_blend(
            card.blend, len(card.labels)
        ),
        "temperature must be a number above 0, at most 100": _within(card.temperature, 1e-3, 100),
        "prior must be empty or hold a share per label, sum 1": _is_prior(card.prior, len(card.labels)),
        "scores must be an object": isinstance(card.scores, Mapping),
        f"files must name weights for some of {', '.join(FILES)}": bool(card.files)
        and card.files.keys() <= set(FILES),
        "onnx_float is the twin of an onnx file": not card.is_int8 or "onnx" in card.files,
        "merged must name classes that are no labels, and the labels they count as": _is_merged(card),
        "each file must be a plain file name with its sha256": all(map(_is_file, card.files.values())),
    }
    return next((complaint for complaint, holds in checks.items() if not holds), None)


def _within(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_prior(prior: tuple[float, ...], classes: int) -> bool:
    if not prior:
        return True
    return (
        len(prior) == classes and all(_within(share, 0, 1) for share in prior) and abs(sum(prior) - 1) < 1e-3
    )


def _is_blend(blend: Blend | None, classes: int) -> bool:
    if blend is None:
        return True
    shifts = (blend.label_shift, blend.vote_shift)
    return _within(blend.share, 0, 1) and all(
        len(shift) == classes and all(_within(part, -100, 100) for part in shift) for shift in shifts
    )


def _is_merged(card: ModelCard) -> bool:
    return isinstance(card.merged, Mapping) and all(
        isinstance(name, str) and name not in card.labels and label in card.labels
        for name, label in card.merged.items()
    )


def _is_file(file: WeightFile) -> bool:
    # A plain name: a card from elsewhere must not reach out of its own folder.
    return (
        isinstance(file.file, str)
        and file.file not in ("", ".", "..")
        and not set("/\\\0") & set(file.file)
        and isinstance(file.sha256, str)
        and len(file.sha256) == 64
    )
