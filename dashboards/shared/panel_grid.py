"""Where the panels of a figure with several small charts lie, and what plotly calls their axes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Panel:
    """One small chart."""

    axis: str
    """What follows `x` and `y` in the names of its axes; plotly calls the first ones `x` and `y`, without a number."""
    domain: list[float]
    """From the bottom to the top, as shares of the plot."""
    span: list[float]
    """From the left to the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelGrid:
    """Rows of panels, a title above each row."""

    n_rows: int
    n_columns: int
    row_px: int
    title_px: int
    bottom_px: int
    gap: float
    """Between the panels of a row, as a share of the width."""

    @property
    def height_px(self) -> int:
        """Of the figure."""
        return (self.row_px + self.title_px) * self.n_rows + self.bottom_px

    def panel(self, row: int, column: int) -> Panel:
        """The panel in a row, from the top, and a column, from the left; both from 0."""
        plot_px = self.height_px - self.bottom_px
        top = 1 - (row * (self.row_px + self.title_px) + self.title_px) / plot_px
        width = (1 - (self.n_columns - 1) * self.gap) / self.n_columns
        left = column * (width + self.gap)
        number = row * self.n_columns + column
        # Rounding may lead to just below 0, which plotly refuses.
        domain = [max(0.0, top - self.row_px / plot_px), top]
        return Panel("" if number == 0 else str(number + 1), domain, [left, left + width])
