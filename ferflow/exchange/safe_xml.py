"""XML of others: without a document type, so that no entity is defined, fetched or multiplied."""

from __future__ import annotations

from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ferflow.errors import OptionsError

DEEPEST = 100
"""Elements within each other; a file of ELAN has five."""


class _RefusedError(Exception):
    """Something in the file that no file of the kind has; the message completes a sentence."""


def parse_xml(content: bytes, name: str) -> Element:
    """The root of a document.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        OptionsError: no XML, with a document type, or too deep.
    """
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise _RefusedError(f"more than {DEEPEST} elements within each other")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse_type(*declared: object) -> NoReturn:
        raise _RefusedError("a document type (DOCTYPE), which may define entities")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse_type
    try:
        parser.Parse(content, True)
        return builder.close()
    except _RefusedError as error:
        raise OptionsError(
            f"{name}: refused: it has {error}. Save it again in the program that wrote it."
        ) from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise OptionsError(
            f"{name}: no sound XML ({error}). Save it again in the program that wrote it."
        ) from error
