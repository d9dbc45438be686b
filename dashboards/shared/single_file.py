"""What a page that needs no other file has inside, in place of links to them."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from functools import cache
from typing import Self

from markupsafe import Markup

from ferflow.dashboards.shared.page import template_text


@dataclass(frozen=True, slots=True)
class SingleFile:
    """For the templates."""

    plotly: Markup
    """The script that draws charts, compressed by gzip, in base64: 1.9 MB in place of 4.8."""
    loader: Markup
    """The script that unpacks it."""
    statement: str
    """Which faces the page shows, in a sentence."""

    @classmethod
    def stating(cls, statement: str) -> Self:
        """With everything but the statement."""
        return cls(_pack_plotly(), template_text("single_file.js"), statement)


@cache
def _pack_plotly() -> Markup:
    # Plotly's "basic" bundle is smaller, but has no heatmap, which draws the lanes of people, and no wheel brings it.
    from plotly.offline import get_plotlyjs

    packed = gzip.compress(get_plotlyjs().encode(), 9, mtime=0)
    return Markup(base64.b64encode(packed).decode())  # noqa: S704 - base64 alone
