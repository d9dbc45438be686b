"""Where the rows of a chart with one time axis lie, on screen and on paper."""

from __future__ import annotations

from collections.abc import Mapping, Set

PAPER_PX = (880, 780, 700, 630, 570, 520, 470)
"""Rows and titles on paper at most. The first fills an A4 sheet, with the heading of the section; the others are for
the rest of a sheet on which something else comes first."""
PAPER_TITLE_PX = 32
PAPER_SCALE = 0.73
"""Of rows on paper, unless curves must be lower for the sheet."""
LOWEST_PAPER_SCALE, LEGIBLE_PAPER_SCALE = 0.3, 0.42
"""Of curves on a sheet of their own, and on the rest of a sheet: rather than lower, they get a sheet of their own."""


class RowLayout:
    """Where each row lies: a title, then its plot, from the top down."""

    def __init__(
        self, heights_px: Mapping[str, int], *, title_px: int, bottom_px: int, slider_px: int = 0
    ) -> None:
        self.plot_px = sum(heights_px.values()) + title_px * len(heights_px)
        self.bottom_px = bottom_px
        self.height_px = self.plot_px + bottom_px + slider_px
        self.domains: dict[str, tuple[float, float]] = {}
        """Bottom and top of each row, as shares of the plot."""
        top = 0
        for row, height in heights_px.items():
            top += title_px
            # Domains are shares of the plot from the bottom; rounding may lead to just below 0, which plotly refuses.
            self.domains[row] = (max(0.0, 1 - (top + height) / self.plot_px), 1 - top / self.plot_px)
            top += height
        # plotly calls its first axis `y`, without a number.
        self.axes = {row: "y" if k == 0 else f"y{k + 1}" for k, row in enumerate(heights_px)}

    def as_meta(self) -> dict[str, object]:
        """For the page's script: height in pixels without the slider, and bottom and top of each row by its axis."""
        domains = {self.axes[row]: [round(end, 4) for end in ends] for row, ends in self.domains.items()}
        return {"height": self.plot_px + self.bottom_px, "domains": domains}


def lay_out_on_paper(
    heights_px: Mapping[str, int], fixed: Set[str], *, bottom_px: int, most_px: int = PAPER_PX[0]
) -> list[RowLayout]:
    """The rows on paper, for a sheet of their own and then, ever lower, for a part of one.

    Args:
        heights_px: of the rows on screen.
        fixed: rows that have one height on every sheet, so that lanes stay legible. Curves become lower.
        bottom_px: height of the tick labels.
        most_px: of rows and titles on a sheet of their own: what the rest of the section leaves.
    """
    layouts: list[RowLayout] = []
    lanes = {row: round(PAPER_SCALE * height) for row, height in heights_px.items() if row in fixed}
    curves = sum(height for row, height in heights_px.items() if row not in fixed)
    for height_px in (most_px, *(one for one in PAPER_PX if one < most_px)):
        left = height_px - PAPER_TITLE_PX * len(heights_px) - sum(lanes.values())
        scale = min(PAPER_SCALE, left / curves) if curves else 1.0
        if layouts and scale < LEGIBLE_PAPER_SCALE:
            break
        rows = {
            row: lanes.get(row) or round(max(LOWEST_PAPER_SCALE, scale) * height)
            for row, height in heights_px.items()
        }
        layout = RowLayout(rows, title_px=PAPER_TITLE_PX, bottom_px=bottom_px)
        if not layouts or layout.height_px < layouts[-1].height_px:
            layouts.append(layout)
    return layouts
