"""Find a model by name or path, and refuse it unless its files are those that its card was made for.

    card = resolve("default")               # shipped with ferflow
    card = resolve("run")                   # a folder written by `ferflow train` or `ferflow models export`
    card = resolve("run/card.json")

A shipped model is `NAME.json` in `ferflow/models/weights` and the files it names, which several models may share.
Replacing these files replaces the model; no code refers to them.
"""

from __future__ import annotations

from pathlib import Path

from ferflow.errors import ModelError
from ferflow.models.cards import ModelCard
from ferflow.store.metadata import ModelIdentity

DEFAULT_MODEL = "default"
CARD_FILE = "card.json"
SHIPPED = Path(__file__).parent / "weights"
POOR_IN_VIDEO = {
    "fer2013": "Model fer2013 is meant for comparisons with the FER2013 benchmark. In video it shows expressions on "
    "many faces at rest; the model default agrees much better with what is visible.",
}
"""Shipped models whose numbers agree poorly with what is visible in video, and what users are told. Measured by
`jobs.benchmarks.validity`, see docs/numbers.md."""


def list_models() -> list[str]:
    """Names of the shipped models, sorted."""
    return sorted(path.stem for path in SHIPPED.glob("*.json"))


def resolve(name_or_path: str | Path) -> ModelCard:
    """Return the card of a model after checking its files.

    Args:
        name_or_path: a shipped model's name, a card (.json), or a folder with `card.json` in it; in a folder of
            presets without one, `default.json` is used.

    Raises:
        ModelError: no such model, an invalid card, or a missing, damaged or exchanged file.
    """
    card = ModelCard.load(_card_path(name_or_path))
    card.verify()
    return card


def _card_path(name_or_path: str | Path) -> Path:
    # Names first: a folder called `default` in the current folder must not change what `--model default` means.
    if isinstance(name_or_path, str) and name_or_path in list_models():
        return SHIPPED / f"{name_or_path}.json"
    path = Path(name_or_path)
    for card in (path / CARD_FILE, path / f"{DEFAULT_MODEL}.json"):
        if card.is_file():
            return card
    if path.suffix == ".json" and path.is_file():
        return path
    raise ModelError(
        f"{str(name_or_path)!r} is not a model. Give a name ({', '.join(list_models()) or 'none shipped'}), "
        f"a card (.json) or a folder with a {CARD_FILE}."
    )


def find_neutral_prior(model: ModelIdentity) -> float | None:
    """Share of neutral that a model's scores assume, in (0, 1); None: unknown.

    As the footer states it. Footers of an earlier version do not; then as the card of the shipped model with these
    files states it, or else that of the shipped model of this name.
    """
    if model.neutral_prior is not None:
        return model.neutral_prior
    cards = [ModelCard.load(_card_path(name)) for name in list_models()]
    same = [card for card in cards if card.sha256 == model.sha256] or [
        c for c in cards if c.name == model.name
    ]
    return same[0].neutral_prior if same else None
