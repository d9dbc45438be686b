"""Markers from ELAN: a file of annotations (.eaf), or an export as tab-delimited text.

Each annotation is a segment: its text is the label, the name of its tier the kind; one without text has the name of the
tier as label. An annotation of a millisecond is a moment, as our own export writes moments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias
from xml.etree.ElementTree import Element

from ferflow.analytics.markers import Marker
from ferflow.analytics.video_times import parse_seconds
from ferflow.errors import OptionsError
from ferflow.exchange.foreign_marker import check_number, make_marker
from ferflow.exchange.safe_xml import parse_xml

Span: TypeAlias = tuple[float, float]
"""Start and end in milliseconds."""

MOMENT_MS = 1
_MOST_LINKS = 50
"""Of annotations that refer to each other."""
_UNITS = {"hh:mm:ss.ms": 1.0, "ss.msec": 1.0, "msec": 0.001}
_NO_TIERS = ("tier", "participant", "annotation", "file path", "file")
_TIME_HEADER = re.compile(r"(begin|end|duration)( time)? - (hh:mm:ss\.ms|ss\.msec|msec|.*)")


def read_eaf(content: bytes, name: str) -> list[Marker]:
    """The annotations of all tiers.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        OptionsError: no such file, or its times are not in milliseconds.
    """
    root = parse_xml(content, name)
    if root.tag != "ANNOTATION_DOCUMENT":
        raise OptionsError(f"{name}: XML, but no file of ELAN (ANNOTATION_DOCUMENT).")
    header = root.find("HEADER")
    unit = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if unit != "milliseconds":
        raise OptionsError(
            f"{name}: its times are in {unit[:40]!r}, not in milliseconds. Save it with a newer ELAN."
        )
    return check_number(_find_annotations(root, name), name)


def _find_annotations(root: Element, name: str) -> Iterator[Marker]:
    slots, origin_ms = _read_slots(root, name), _read_origin(root, name)
    spans: dict[str, Span] = {}
    for one in root.iter("ALIGNABLE_ANNOTATION"):
        first, last = (slots.get(one.get(f"TIME_SLOT_REF{k}", "")) for k in (1, 2))
        if first is None or last is None:
            raise OptionsError(f"{name}: annotation {one.get('ANNOTATION_ID', '')[:40]!r} has no time.")
        spans[one.get("ANNOTATION_ID", "")] = first, last
    links = {
        one.get("ANNOTATION_ID", ""): one.get("ANNOTATION_REF", "") for one in root.iter("REF_ANNOTATION")
    }
    for tier in root.iter("TIER"):
        kind = tier.get("TIER_ID", "")
        for annotation in tier.iter("ANNOTATION"):
            for one in annotation:
                span = _follow(one.get("ANNOTATION_ID", ""), spans, links, name)
                text = (one.findtext("ANNOTATION_VALUE") or "").strip()
                yield _make(
                    span[0] + origin_ms, span[1] + origin_ms, text, kind, f"{name}, tier {kind[:40]!r}"
                )


def _follow(key: str, spans: Mapping[str, Span], links: Mapping[str, str], name: str) -> Span:
    """Times of an annotation, or of the one that it refers to."""
    for _ in range(_MOST_LINKS):
        if key in spans:
            return spans[key]
        if key not in links:
            break
        key = links[key]
    raise OptionsError(f"{name}: annotation {key[:40]!r} refers to none that has a time.")


def _make(start_ms: float, end_ms: float, text: str, kind: str, where: str) -> Marker:
    end_s = None if end_ms - start_ms <= MOMENT_MS else end_ms / 1000
    return make_marker(start_ms / 1000, end_s, text or kind or "annotation", kind, where)


def _read_origin(root: Element, name: str) -> float:
    """By how much the first media file starts before time 0 of the annotations, milliseconds."""
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    return 0.0 if media is None else _parse_ms(media.get("TIME_ORIGIN", "0"), name)


def _read_slots(root: Element, name: str) -> dict[str, float]:
    """Milliseconds of each time slot; those without a time lie evenly between their neighbours, as ELAN shows them."""
    order = [(one.get("TIME_SLOT_ID", ""), one.get("TIME_VALUE")) for one in root.iter("TIME_SLOT")]
    known = [(k, _parse_ms(value, name)) for k, (_, value) in enumerate(order) if value is not None]
    found = {order[k][0]: value for k, value in known}
    for (k, before), (j, after) in pairwise(known):
        for n in range(k + 1, j):
            found[order[n][0]] = before + (after - before) * (n - k) / (j - k)
    return found


def _parse_ms(text: str, name: str) -> float:
    try:
        return float(int(text))
    except (ValueError, OverflowError):
        raise OptionsError(f"{name}: {text[:40]!r} is no time in milliseconds.") from None


# --- Tab-delimited text -------------------------------------------------------------------------------------------


def is_elan_table(text: str) -> bool:
    """Whether a text is an export of ELAN with names of columns, or with the line that names its file."""
    first = text[:4096].lstrip().casefold().removeprefix('"')
    return first.startswith("#file:") or any(map(_is_header, text[:65536].splitlines()[:20]))


def read_elan_table(text: str, name: str) -> list[Marker]:
    """The annotations of a tab-delimited export.

    Raises:
        OptionsError: several files in one, without times, or a cell is no time.
    """
    if sum(line.lstrip('"').casefold().startswith("#file:") for line in text.splitlines()) > 1:
        raise OptionsError(f"{name}: annotations of several files. Export one file of ELAN at a time.")
    lines = [
        (k, line.split("\t"))
        for k, line in enumerate(text.splitlines(), 1)
        if line.strip() and line.lstrip('"')[:1] != "#"
    ]
    header = next((cells for _, cells in lines if _is_header("\t".join(cells))), None)
    rows = [(k, cells) for k, cells in lines if cells is not header]
    if header is None:
        return check_number(_read_unnamed(rows, name), name)
    return check_number(_read_named(header, rows, name), name)


def _is_header(line: str) -> bool:
    return any(_TIME_HEADER.fullmatch(cell.strip().casefold()) for cell in line.split("\t"))


def _read_named(header: Sequence[str], rows: Sequence[tuple[int, list[str]]], name: str) -> Iterator[Marker]:
    times: dict[str, tuple[int, float]] = {}
    tiers: dict[int, str] = {}
    place = {cell.strip().casefold(): k for k, cell in enumerate(header)}
    for k, cell in enumerate(header):
        found = _TIME_HEADER.fullmatch(cell.strip().casefold())
        if found and found[3] in _UNITS:
            times.setdefault(found[1], (k, _UNITS[found[3]]))
        elif not found and cell.strip() and cell.strip().casefold() not in _NO_TIERS:
            tiers[k] = cell.strip()
    if not {"begin", "end"} <= times.keys():
        raise OptionsError(
            f"{name}: no begin and end times in seconds or milliseconds. Export both as ss.msec."
        )
    for line, cells in rows:
        padded = [*cells, *[""] * (len(header) - len(cells))]
        where = f"{name}, line {line}"
        start, end = (_parse_time(padded[times[key][0]], times[key][1], where) for key in ("begin", "end"))
        if "annotation" in place:
            kind = padded[place["tier"]].strip() if "tier" in place else ""
            yield _make(start, end, padded[place["annotation"]].strip(), kind, where)
        for k, kind in tiers.items():
            if "annotation" not in place and padded[k].strip():
                yield _make(start, end, padded[k].strip(), kind, where)


def _read_unnamed(rows: Sequence[tuple[int, list[str]]], name: str) -> Iterator[Marker]:
    """Tier, participant, times in one or several forms, and the text."""
    for line, cells in rows:
        where = f"{name}, line {line}"
        plain = [cell for cell in cells[2:-1] if re.fullmatch(r"[0-9:]*[0-9]\.[0-9]+", cell.strip())]
        chosen = [cell for cell in plain if ":" not in cell] or plain
        if len(chosen) < 2:
            raise OptionsError(
                f"{where}: no begin and end times. Export with column labels, and times as ss.msec."
            )
        start, end = (_parse_time(cell, 1.0, where) for cell in chosen[:2])
        yield _make(start, end, cells[-1].strip(), cells[0].strip(), where)


def _parse_time(text: str, unit_s: float, where: str) -> float:
    """Milliseconds of a cell."""
    if unit_s != 1.0:
        return _parse_ms(text.strip(), where)
    return round(parse_seconds(text, where) * 1000, 3)
