"""Formats of other tools, in and out: a short file each. `docs/exchange.md` is about their use."""
