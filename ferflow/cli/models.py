"""`ferflow models`: list models and recipes, export a trained model."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from typer.core import TyperGroup

from ferflow.cli.models_export import export_model
from ferflow.cli.printing import echo
from ferflow.types import JsonObject

if TYPE_CHECKING:
    from ferflow.models.cards import ModelCard
    from ferflow.models.training.recipes import Recipe


class _ListByDefault(TyperGroup):
    """`ferflow models` and `ferflow models NAME` are short for `ferflow models list [NAME]`."""

    # Any: some versions of Typer bring a click of their own, whose Context is another class.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `list` where the arguments name no subcommand and do not ask for help."""
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["list", *args]
        return super().parse_args(ctx, args)


models = typer.Typer(
    name="models",
    cls=_ListByDefault,
    help="List models and recipes, or export a trained model.\n\n"
    "`ferflow models [MODEL]...` is short for `ferflow models list [MODEL]...`.",
    add_completion=False,
    rich_markup_mode=None,
)


models.command("export")(export_model)


@models.command("list")
def list_models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL", help="Names, cards or folders of training runs.  [default: shipped models]"
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print complete cards as JSON; without MODEL, all recipes, too.")
    ] = False,
) -> None:
    """List models with their cards, and training recipes.

    Recipes are what `ferflow train --recipe` takes; they are listed if no MODEL is given. Every weight file is first
    checked against the sha256 in its card.
    """
    from ferflow.models.registry import list_models, resolve
    from ferflow.models.training.recipes import RECIPES

    cards = [resolve(name) for name in names or list_models()]
    if as_json:
        listed: JsonObject = {"models": [_table(card) for card in cards]}
        if not names:
            listed["recipes"] = {name: _recipe_table(recipe) for name, recipe in RECIPES.items()}
        echo(*json.dumps(listed, indent=1).split("\n"))
        return
    echo("Models (--model NAME)", "")
    for card in cards:
        echo(*_card_lines(card), "")
    if not names:
        echo("Recipes (ferflow train --recipe NAME)", "")
        for name, recipe in RECIPES.items():
            echo(*_recipe_lines(name, recipe))


def _card_lines(card: ModelCard) -> list[str]:
    sizes = [
        f"{kind} {card.path(kind).stat().st_size / 1e6:.2f} MB{' (int8)' if kind == 'onnx' and card.is_int8 else ''}"
        for kind in card.files
    ]
    lines = [f"  {card.name}  recipe {card.recipe}, sha256 {card.sha256[:16]}…"]
    lines += _wrapped(f"for: {card.purpose}") if card.purpose else []
    lines += [f"      {kind}: {scores}" for kind, scores in card.scores.by_kind().items()]
    prior = ", ".join(f"{label} {share:.2f}" for label, share in card.prior_by_label.items())
    facts = {
        "files": ", ".join(sizes),
        "expressions": ", ".join(card.labels)
        + "".join(f" ({a} counts as {b})" for a, b in card.merged.items()),
        "heads": "" if card.blend is None else str(card.blend),
        "temperature": f"{card.temperature:g}",
        "prior assumed": prior or "unknown",
        "trained on": f"{card.data}, {card.rows} rows, {card.leaks} leaking rows left out, seed {card.seed}",
        "selected on": card.selection,
        "note": card.note,
    }
    return lines + [line for name, text in facts.items() if text for line in _wrapped(f"{name}: {text}")]


def _recipe_lines(name: str, recipe: Recipe) -> list[str]:
    published = f"  [published: {recipe.published}]" if recipe.published else ""
    return [f"  {name}{published}", *_wrapped(recipe.description)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 8)


def _table(card: ModelCard) -> JsonObject:
    return {**msgspec.to_builtins(card, enc_hook=str), "sha256": card.sha256}


def _recipe_table(recipe: Recipe) -> JsonObject:
    """A recipe as JSON, with those options only that differ from the defaults."""
    from ferflow.models.networks import NETWORKS
    from ferflow.models.training.options import TrainOptions

    options = msgspec.to_builtins(recipe.options)
    usual = msgspec.to_builtins(TrainOptions(name=recipe.options.name))
    return {
        "trunk": msgspec.to_builtins(NETWORKS[recipe.options.recipe]),
        "description": recipe.description,
        "options": {name: value for name, value in options.items() if value != usual[name]},
        "published": recipe.published,
    }
