"""Notes that the user writes for the readers of a page: Markdown, made safe, with its pictures inside.

`notes.md` in the output folder is for the overview, `notes/<video_id>.md` for the page of a video. HTML in them is
shown as text. Links lead to http, https and mailto addresses and to relative paths; pictures are files in the output
folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from ferflow.dashboards.shared.embedded_image import embed_image
from ferflow.errors import OptionsError
from ferflow.plain_file import TooLargeError, read_plain_file
from ferflow.text import sanitize

MOST_NOTES_BYTES = 256 * 2**10
"""Size of the text; about a hundred pages."""
MOST_IMAGE_BYTES = 4 * 2**20
MOST_IMAGES_BYTES = 20 * 2**20
"""Of all pictures of one page, encoded: a mail must still take the page."""

_SCHEMES = ("http", "https", "mailto")


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of one page."""

    html: Markup = field(default_factory=Markup)
    """Empty without notes."""
    problems: tuple[str, ...] = ()
    """What is not shown, and why, a line each."""


NO_NOTES = Notes()


def load_notes(path: Path, *, page: Path, out: Path, single: bool = False, pictures: bool = True) -> Notes:
    """The notes of a page; what is wrong with them is in `problems` and costs nothing else.

    Args:
        path: the Markdown file; it need not exist.
        page: the page that shows them, which relative links are rewritten for.
        out: the output folder, which pictures must lie in.
        single: the page is sent without other files: links to files are text.
        pictures: show them; otherwise their descriptions are shown.
    """
    if not os.path.lexists(path):
        return NO_NOTES
    name = sanitize(path.relative_to(out))
    try:
        text = _read(path)
    except OptionsError as error:
        return Notes(problems=(f"{name}: {error}",))
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    references = _References(path, page, out, single=single, pictures=pictures)
    tokens = parser.parse(text)
    for token in tokens:
        _lower_heading(token)
        if token.children:
            token.children = references.check(token.children)
    html = Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704 - HTML in the text is escaped
    return Notes(html, tuple(f"{name}: {problem}" for problem in references.problems))


def find_pictures(path: Path, out: Path) -> list[Path]:
    """Files of the output folder that notes show as pictures, also those that cannot be shown; none without notes."""
    try:
        tokens = (
            MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).parse(_read(path))
        )
    except OptionsError:
        return []
    images = [child for token in tokens for child in token.children or () if child.type == "image"]
    urls = [_split(str(image.attrs["src"])) for image in images]
    paths = [
        Path(os.path.normpath(path.parent / unquote(url.path)))
        for url in urls
        if url.path and not (url.scheme or url.netloc or "\0" in unquote(url.path))
    ]
    return [one for one in dict.fromkeys(paths) if one.is_relative_to(out) and os.path.lexists(one)]


def _read(path: Path) -> str:
    try:
        return read_plain_file(path, MOST_NOTES_BYTES).decode("utf-8-sig")
    except TooLargeError as error:
        raise OptionsError(f"{error.strerror}. Keep what readers need.") from error
    except OSError as error:
        raise OptionsError(f"cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise OptionsError("not UTF-8 text. Save it as UTF-8.") from error


def _lower_heading(token: Token) -> None:
    """Put headings below the page's own, which is the only one of the first level."""
    if token.type in ("heading_open", "heading_close"):
        token.tag = f"h{min(6, int(token.tag[1:]) + 1)}"


class _References:
    """Links and pictures of one text: those that are allowed are adapted to the page, the others become text."""

    def __init__(self, path: Path, page: Path, out: Path, *, single: bool, pictures: bool) -> None:
        self._single, self._pictures = single, pictures
        self.problems: list[str] = []
        self._folder, self._out = path.parent, out
        self._from_page = quote(os.path.relpath(path.parent, page.parent).replace(os.sep, "/"))
        self._bytes_left = MOST_IMAGES_BYTES

    def check(self, tokens: list[Token]) -> list[Token]:
        """The tokens of one paragraph, without the links and pictures that are refused."""
        kept: list[Token] = []
        is_refused = False
        for token in tokens:
            if token.type == "image":
                token = self._check_image(token)
            elif token.type == "link_open":
                is_refused = not self._check_link(token)
            # Links do not contain links.
            if not (is_refused and token.type in ("link_open", "link_close")):
                kept.append(token)
        return kept

    def _check_link(self, token: Token) -> bool:
        url = str(token.attrs["href"])
        parts = _split(url)
        if parts.scheme in _SCHEMES:
            token.attrSet("rel", "noreferrer")
        elif parts.scheme or parts.netloc or parts.path.startswith("/"):
            self.problems.append(
                f"link to {sanitize(unquote(url))}: not shown as a link. Use http, https, mailto or a relative path."
            )
            return False
        elif parts.path and self._single:
            return False
        elif parts.path:
            # With a folder in front, no browser can take a name for a scheme.
            token.attrSet("href", f"{self._from_page}/{url}")
        return True

    def _check_image(self, token: Token) -> Token:
        url = str(token.attrs["src"])
        if not self._pictures:
            return Token("text", "", 0, content=f"[{token.content}]")
        try:
            token.attrSet("src", self._embed(url))
        except OptionsError as error:
            self.problems.append(f"picture {sanitize(unquote(url))[:200]}: {error}")
            return Token("text", "", 0, content=f"[{token.content}]")
        return token

    def _embed(self, url: str) -> str:
        parts = _split(url)
        if parts.scheme or parts.netloc:
            raise OptionsError("not loaded: pages contain files of the output folder only.")
        path = self._folder / unquote(parts.path)
        if not _is_in(path, self._out):
            raise OptionsError("not in the output folder. Copy it there.")
        uri = embed_image(path, most_bytes=MOST_IMAGE_BYTES)
        if len(uri) > self._bytes_left:
            raise OptionsError(
                f"all pictures together take more than {MOST_IMAGES_BYTES >> 20} MiB of the page."
            )
        self._bytes_left -= len(uri)
        return uri


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # half an IPv6 address; no scheme that is allowed
        return SplitResult("invalid", "", url, "", "")


def _is_in(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    # A null character in the path, or links in a circle.
    except (ValueError, OSError, RuntimeError):
        return False
