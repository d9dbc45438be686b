"""The columns of measures in the page's tables of people and segments."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from ferflow.analytics.measures import Measure, page_measures
from ferflow.dashboards.shared.number_format import format_measure


def measure_headings() -> tuple[Markup, ...]:
    """Headings of the columns, as HTML."""
    soft_hyphen = Markup("&shy;")
    return tuple(soft_hyphen.join(measure.column_heading.split("\u00ad")) for measure in _columns())


def measure_cells(means: Mapping[str, float]) -> tuple[str, ...]:
    """A row of the columns: means by name, as the page writes them."""
    return tuple(format_measure(measure, means[measure.name]) for measure in _columns())


def _columns() -> list[Measure]:
    return [measure for measure in page_measures() if measure.has_column]
