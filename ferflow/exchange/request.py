"""What is asked for in an export."""

from __future__ import annotations

from dataclasses import dataclass

from ferflow.exchange.person_events import NO_BOUNDS, EventBounds


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """How sessions are exported."""

    bounds: EventBounds = NO_BOUNDS
    """Which expressions become events."""
    excel: bool = False
    """CSV files start with a byte order mark, by which Excel knows UTF-8."""
