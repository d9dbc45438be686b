"""The videos that an address of a store names: one object, all below a prefix, or those that match a pattern.

>>> list(expand_address("s3://bucket/videos/day*/", skipped=None, suffixes={".mp4"}))
[FoundObject(path=PosixPath('s3:/bucket/videos/day1/a.mp4'), ...)]
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ferflow.errors import OptionsError
from ferflow.store.object_store import (
    Address,
    ObjectStat,
    check_usable,
    exists,
    list_objects,
    parse_address,
    permit,
    relative_name,
)
from ferflow.store.published import MARKER
from ferflow.text import sanitize


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One input in a store, or what is wrong with it."""

    path: Path
    size: int | None = None
    """Bytes; None: not known yet."""
    problem: str | None = None


def expand_address(text: str, *, skipped: Address | None, suffixes: Set[str]) -> Iterator[FoundObject]:
    """The objects that an address names, in the order of their keys; a problem where there are none.

    Hidden parts of keys (`.name`) below a prefix and what ferflow wrote are passed over, as in a folder.

    Args:
        text: the address.
        skipped: the output folder of the run, if it is in a store.
        suffixes: of videos, with a dot, in lower case.

    Raises:
        OptionsError: stores cannot be used at all, as without the library.
    """
    try:
        address = parse_address(text)
    except OptionsError as error:
        # Not the text: it may hold a secret.
        yield FoundObject(Path("address"), problem=str(error))
        return
    permit(address)
    check_usable(address)
    try:
        if glob.has_magic(address.key) and not exists(address):
            yield from _match(address, skipped, suffixes)
        elif not text.endswith("/") and address.key and exists(address):
            yield FoundObject(address.path)
        else:
            yield from _list_prefix(address, skipped, suffixes)
    except OSError as error:
        yield FoundObject(
            Path(text), problem=f"{sanitize(text)}: {error.strerror}. Check the address and the credentials."
        )


def _list_prefix(prefix: Address, skipped: Address | None, suffixes: Set[str]) -> Iterator[FoundObject]:
    listed = list(list_objects(prefix))
    found = list(_choose_videos(listed, prefix, skipped, suffixes))
    for address, stat in found:
        yield FoundObject(address.path, stat.size)
    if not found:
        why = "no videos below this prefix" if listed else "no object of this name, and nothing below it"
        if skipped is not None and prefix.is_below(skipped):
            why = "lies in the output folder of the run"
        yield FoundObject(prefix.path, problem=f"{prefix}: {why}. Check the address.")


def _match(pattern: Address, skipped: Address | None, suffixes: Set[str]) -> Iterator[FoundObject]:
    parts = pattern.key.split("/")
    n_plain = next(n for n, part in enumerate(parts) if glob.has_magic(part))
    base = Address(pattern.scheme, pattern.bucket, "/".join(parts[:n_plain]))
    rest = parts[n_plain:]
    is_any = False
    listed = list(list_objects(base))
    # A pattern of names takes what it matches, whatever its suffix is, like a file that is given by name.
    named = {address for address, _ in listed if _matches(relative_name(address, base).parts, rest)}
    below = set(_choose_videos(listed, base, skipped, suffixes))
    own = _find_own_folders(listed, skipped)
    for address, stat in listed:
        parts_of_key = relative_name(address, base).parts
        is_named = address in named and not _is_hidden(parts_of_key, rest) and not _is_below(address, own)
        is_in_matching_folder = (address, stat) in below and any(
            _matches(parts_of_key[:n], rest) for n in range(1, len(parts_of_key))
        )
        if is_named or is_in_matching_folder:
            is_any = True
            yield FoundObject(address.path, stat.size)
    if not is_any:
        yield FoundObject(
            pattern.path,
            problem=f"{pattern}: the pattern matches no object. Check it, and quote it in the shell.",
        )


def _choose_videos(
    listed: Sequence[tuple[Address, ObjectStat]], prefix: Address, skipped: Address | None, suffixes: Set[str]
) -> Iterator[tuple[Address, ObjectStat]]:
    own = _find_own_folders(listed, skipped)
    for address, stat in listed:
        name = relative_name(address, prefix)
        is_video = PurePosixPath(address.name).suffix.lower() in suffixes
        if is_video and not _is_hidden(name.parts, ()) and not _is_below(address, own):
            yield address, stat


def _find_own_folders(listed: Sequence[tuple[Address, ObjectStat]], skipped: Address | None) -> list[Address]:
    """Output folders among listed objects, by what ferflow leaves in each; what is in them is no input."""
    keys = {address.key for address, _ in listed}
    found = [skipped] if skipped is not None else []
    for address, _ in listed:
        folder = address.key.removesuffix(address.name).rstrip("/")
        join = f"{folder}/" if folder else ""
        is_own = address.name == MARKER or (
            address.name == "run.json" and any(key.startswith(f"{join}faces/") for key in keys)
        )
        if is_own:
            found.append(Address(address.scheme, address.bucket, folder))
    return found


def _is_below(address: Address, folders: Sequence[Address]) -> bool:
    return any(address.is_below(folder) for folder in folders)


def _is_hidden(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    names_hidden = any(part.startswith(".") for part in pattern)
    return not names_hidden and any(part.startswith(".") for part in parts)


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a key match those of a pattern; `**` stands for any number of parts."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[n:], pattern[1:]) for n in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
