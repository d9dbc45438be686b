"""Formats of other tools: what is written is read again by the library of each format."""
