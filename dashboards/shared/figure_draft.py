"""A plotly figure in parts, built at once.

A `plotly.graph_objects.Figure` checks and copies all of its layout with each change, which takes as long as all other
work of a page. A draft keeps the parts as they are given, and plotly checks them once, in `build`.

>>> draft = FigureDraft()
>>> draft.add_scatter(x=[0, 1], y=[2, 3], yaxis="y2")
>>> draft.update_layout({"yaxis2": {"range": [0, 5]}}, height=300)
>>> figure = draft.build()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ferflow.dashboards.shared.figure_values import PlotlyAttributes

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True, slots=True)
class FigureDraft:
    """Traces, shapes, annotations and layout under plotly's own names."""

    _traces: list[PlotlyAttributes] = field(default_factory=list)
    _shapes: list[PlotlyAttributes] = field(default_factory=list)
    _annotations: list[PlotlyAttributes] = field(default_factory=list)
    _layout: dict[str, object] = field(default_factory=dict)

    def add_scatter(self, **attributes: object) -> None:
        """Add a trace of lines, areas or points; later ones are drawn above earlier ones."""
        self._traces.append({"type": "scatter", **attributes})

    def add_heatmap(self, **attributes: object) -> None:
        """Add a trace of coloured cells."""
        self._traces.append({"type": "heatmap", **attributes})

    def add_shape(self, **attributes: object) -> None:
        """Add a line or a rectangle."""
        self._shapes.append(attributes)

    def add_annotation(self, **attributes: object) -> None:
        """Add a text."""
        self._annotations.append(attributes)

    def update_layout(self, changes: Mapping[str, object] | None = None, **more: object) -> None:
        """Set attributes of the layout; the attributes of an axis that is there already are kept, unless given."""
        for name, value in {**(changes or {}), **more}.items():
            before = self._layout.get(name)
            if isinstance(before, Mapping) and isinstance(value, Mapping):
                value = {**before, **value}
            self._layout[name] = value

    def build(self) -> Figure:
        """The figure.

        Raises:
            ValueError: plotly does not know an attribute, or it cannot have that value.
        """
        from plotly.graph_objects import Figure

        layout = {**self._layout, "shapes": self._shapes, "annotations": self._annotations}
        return Figure(
            data=self._traces, layout={name: value for name, value in layout.items() if value != []}
        )
