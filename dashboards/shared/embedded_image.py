"""Pictures that the user gives, checked and put into a page as data URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
from pathlib import Path
from xml.parsers import expat

from ferflow.errors import OptionsError, VideoError
from ferflow.plain_file import TooLargeError, read_plain_file
from ferflow.system.child_process import call_in_child
from ferflow.text import sanitize

_SVG_ELEMENT = "http://www.w3.org/2000/svg svg"
_FIRST_BYTES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


class _EntityError(Exception):
    """An SVG declares entities."""


def embed_image(path: Path, *, most_bytes: int) -> str:
    """A PNG, JPEG or SVG picture as a data URI, with its bytes as they are.

    A browser runs no script of a picture in an `img` element and loads nothing that it refers to.

    Args:
        path: the file.
        most_bytes: its size at most.

    Raises:
        OptionsError: it cannot be read, is too large, or is no such picture; one line that does not name the file.
    """
    content = _read(path, most_bytes)
    return f"data:{_media_type(path, content)};base64,{base64.b64encode(content).decode('ascii')}"


def _read(path: Path, most_bytes: int) -> bytes:
    try:
        return read_plain_file(path, most_bytes)
    except TooLargeError as error:
        raise OptionsError(f"{error.strerror}. Save it with fewer pixels.") from error
    except OSError as error:
        raise OptionsError(f"cannot be read ({error.strerror}). Check the path.") from error


def _media_type(path: Path, content: bytes) -> str:
    for first, media_type in _FIRST_BYTES.items():
        if content.startswith(first):
            _check_decodes(path)
            return media_type
    _check_svg(content)
    return "image/svg+xml"


def _check_decodes(path: Path) -> None:
    try:
        has_picture = call_in_child(_has_picture, path)
    except VideoError as error:
        raise OptionsError(f"the picture is damaged or too large ({sanitize(error)})") from error
    if not has_picture:
        raise OptionsError("the picture is damaged. Save it again.")


def _has_picture(path: Path) -> bool:
    from ferflow.media.video import Selection, open_video  # here: only the child needs a decoder

    with open_video(path, threads=1) as video:
        return next(iter(video.frames(Selection())), None) is not None


def _check_svg(content: bytes) -> None:
    """Refuse what is not well-formed XML with `svg` at its root: a browser would show a broken picture."""
    elements: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, _attributes: elements.append(name)
    # Entities that refer to one another grow exponentially when they are expanded, here and in the browser.
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(content, True)
    except _EntityError as error:
        raise OptionsError("the SVG declares entities. Export it as plain SVG, or as PNG.") from error
    # LookupError, ValueError: an encoding that Python does not know.
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise OptionsError("no PNG, JPEG or SVG picture. Convert it to one of these.") from error
    if elements[0] != _SVG_ELEMENT:
        raise OptionsError("no PNG, JPEG or SVG picture. Convert it to one of these.")


def _refuse_entity(*_: object) -> None:
    raise _EntityError
