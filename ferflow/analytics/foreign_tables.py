"""Tables that other programs write, recognised by their header: what they are, and how to turn them into markers."""

from __future__ import annotations

from collections.abc import Sequence


def describe_foreign_table(header: Sequence[str]) -> str:
    """Which program writes tables with such a header, and what to do with one; empty for an unknown header.

    Args:
        header: names of columns, in lower case.
    """
    names = set(header)
    first = header[0] if header else ""
    if first.startswith("observation id") or ("behavior" in names and names & {"time", "start (s)"}):
        return (
            "an export of BORIS. Take Observations, Export aggregated events, which has starts with their stops, in "
            "seconds, and rename its columns: Behavior to label, Start (s) to time_s, Stop (s) to end_s."
        )
    # Exports of several files name the first one in a line of its own.
    if first.strip('"').startswith("#file:") or any(
        name.startswith(("begin time -", "end time -")) for name in header
    ):
        return (
            "an export of ELAN. Export one file as tab-delimited text, with column labels and times as ss.msec, and "
            "rename: Begin Time - ss.msec to time_s, End Time - ss.msec to end_s, the tier's column to label."
        )
    if "psychopyversion" in names or any(name.endswith((".thisn", ".thisrepn")) for name in header):
        return (
            "a data file of PsychoPy. Make a table of one row per event: its column *.started, less that of the "
            "recording's start, as time_s, *.stopped as end_s, and the condition as label."
        )
    if {"onset", "duration"} <= names:
        return (
            "a table of BIDS events. Rename onset to time_s and trial_type to label, and write onset + duration as "
            "end_s; onset must count from the start of the video."
        )
    return ""
