"""Presets: several models made from one trained network with two heads, and the purpose of each.

FER2013's labels and the votes of FER+ disagree on a third of the faces, and no blend of the heads is best for both. A
preset states how the heads are blended; its card contains the numbers, and all cards name the same weight files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from msgspec import structs

from ferflow.errors import OptionsError
from ferflow.models.cards import ModelCard
from ferflow.models.data.dataset import Split
from ferflow.models.training.finished_run import Run
from ferflow.models.training.head_blending import best_blend, fit_temperature, selected_on
from ferflow.types import Float32Array

BY_LABELS, BY_MAJORITY = "labels", "ferplus_majority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How the heads of a run are combined into a model."""

    name: str
    """Name of the model, as in `--model NAME`."""
    share: float | None
    """Weight of the label head, 0..1; the vote head has the rest. None: chosen on the selection split."""
    tau: float | None
    """Power of the learned class prior that is divided out, 0..1. None: chosen on the selection split."""
    temperature_by: str = BY_LABELS
    """Kind of labels on which the temperature is fitted."""
    purpose: str = ""


# Shares and powers were chosen by the tables of docs/training.md ("Two heads, one network" and "Presets").
PRESETS = (
    Preset(
        name="default",
        share=0.5,
        tau=0.5,
        purpose="videos of your own: between FER2013's labels and the annotators' majority, rare classes kept",
    ),
    Preset(
        name="fer2013",
        share=1.0,
        tau=0.0,
        purpose="comparison with what is published on FER2013: agrees best with its own labels; poor in video, "
        "where it shows expressions on faces at rest",
    ),
    Preset(
        name="ferplus",
        share=0.0,
        tau=0.4,
        temperature_by=BY_MAJORITY,
        purpose="what most people would call an expression: agrees best with the majority of FER+ annotators",
    ),
)
"""Models made from a run with two heads when it is exported."""


def preset_card(preset: Preset, run: Run, parts: Split, answers: Mapping[str, Float32Array]) -> ModelCard:
    """Make the card of a preset; its files and scores are still those of the run.

    Args:
        preset: the blend.
        run: a finished run with two heads.
        parts: the data it was trained and selected on, for the prior and the temperature.
        answers: logits (N, K) by head for the selection split.

    Raises:
        OptionsError: the run was not trained on this data.
    """
    _check_data(run, parts)
    options = structs.replace(run.options, label_share=preset.share, prior_tau=preset.tau)
    chosen = best_blend(answers, parts, options)
    truth = run.options.classes.renumber(parts.selection.truths()[preset.temperature_by])
    by = (
        f"{(truth >= 0).sum()} rows by FER+ majority"
        if preset.temperature_by == BY_MAJORITY
        else "the labels"
    )
    return structs.replace(
        run.card,
        name=preset.name,
        purpose=preset.purpose,
        blend=chosen.blend,
        temperature=fit_temperature(partial(chosen, answers), truth),
        prior=chosen.prior,
        prior_note=chosen.note(run.options),
        selection=selected_on(parts.selection, run.options.describe_kept(run.epochs), f"temperature on {by}"),
    )


def own_preset(card: ModelCard, *, share: float | None, tau: float | None) -> Sequence[Preset]:
    """The blend of a user in place of the presets; None: chosen on the selection split."""
    return (Preset(name=card.name, share=share, tau=tau),)


def _check_data(run: Run, parts: Split) -> None:
    if parts.training.votes is None or len(parts.training) != run.card.rows:
        raise OptionsError(
            f"{run.card.name} was trained on {run.card.data}, {run.card.rows} rows with votes; its presets need "
            f"the same data for their prior, and this data has {len(parts.training)} training rows."
        )
