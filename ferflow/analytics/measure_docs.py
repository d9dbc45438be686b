"""The tables of measures in the documents, from the registry.

    python -m ferflow.analytics.measure_docs [DOCS]

DOCS is the folder of documents, `docs` unless given. What is between the comments `BEGIN` and `END` is replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ferflow.analytics.measures import MEASURES, PRESENCE, Measure, probability_measures, shown_measures

BEGIN, END = "<!-- table: python -m ferflow.analytics.measure_docs -->", "<!-- end of table -->"
_ANY_LABEL = "<label>"


def formula_table() -> str:
    """For `numbers.md`: how the measures of one face are computed."""
    header = ("number", "on pages", "formula", "range")
    measures = [*_probabilities(), *MEASURES.values()]
    return _table(header, [(f"`{one.name}`", _title(one), one.formula, _range(one)) for one in measures])


def column_table() -> str:
    """For `tables.md`: the columns of TIMELINE that are averages."""
    measures = [PRESENCE, *MEASURES.values(), *_probabilities(), *shown_measures([_ANY_LABEL]).values()]
    return _table(
        ("column", "type", "formula"), [(f"`{one.name}`", "float32", one.formula) for one in measures]
    )


def replace_table(text: str, table: str, begin: str = BEGIN) -> str:
    """Replace the table of a document between the comments `begin` and `END`.

    Raises:
        ValueError: the document does not have both comments, in their order.
    """
    before, found, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise ValueError(f"no place for the table: write {begin} and {END} into the document.")
    return f"{before}{begin}\n{table}\n{END}{after}"


TABLES = {"numbers.md": formula_table, "tables.md": column_table}
"""By name of the document."""


def main(arguments: Sequence[str]) -> None:
    """Replace the tables of the documents in a folder."""
    folder = Path(arguments[0] if arguments else "docs")
    for name, table in TABLES.items():
        path = folder / name
        path.write_text(replace_table(path.read_text(encoding="utf-8"), table()), encoding="utf-8")


def _probabilities() -> list[Measure]:
    """One row for the labels of all models."""
    return list(probability_measures([_ANY_LABEL]).values())


def _title(measure: Measure) -> str:
    return "the label" if measure.title == _ANY_LABEL else measure.title


def _range(measure: Measure) -> str:
    low, high = (f"{bound:g}".replace("-", "−") for bound in measure.range)
    return f"[{low}, {high}]" + (f" {measure.unit}" if measure.unit else "")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    # A bar within a cell would end the cell.
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1:])
