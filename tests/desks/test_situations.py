"""The table of situations in docs/inputs.md, against the files and tables that are drawn for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.desks.situations import OTHERWISE, SITUATIONS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| (.*?) \|", DOCUMENT.partition("## By situation")[2].partition("\n## ")[0], re.MULTILINE
)[1:]


def drawn() -> list[str]:
    """Beginnings of the rows for which something is drawn."""
    of_files = [row for situation in SITUATIONS for row in situation.rows]
    return [*of_files, *OTHERWISE]


@pytest.mark.parametrize("row", ROWS)
def test_every_situation_of_the_documents_has_a_generator(row):
    assert any(row.startswith(beginning) for beginning in drawn()), "add it to tests/desks/situations.py"


@pytest.mark.parametrize("beginning", sorted(set(drawn())))
def test_every_generator_is_that_of_a_situation_of_the_documents(beginning):
    assert any(row.startswith(beginning) for row in ROWS), beginning
