"""Objects of S3, Google Cloud Storage and Azure by their address: the one place that knows the client library.

>>> list(list_objects(parse_address("s3://bucket/videos")))
[(Address('s3', 'bucket', 'videos/a.mp4'), ObjectStat(size=1048576, etag='"0f"'))]

The library (obstore) reads credentials and endpoints from the usual environment; none pass through here. Its errors
name URLs and bodies of answers, so they are reduced to a code before anything else sees them.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from ipaddress import ip_address
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import unquote, urlsplit

from ferflow.errors import FerflowError, OptionsError
from ferflow.text import sanitize

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

_T = TypeVar("_T")

SCHEMES = {"s3": "Amazon S3 or compatible", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}

REQUEST_SECONDS = 60
"""Longest time of one request, with its answer."""
RETRY_SECONDS = 60
"""Time in which a request is repeated after a failure of the store or of the network, with growing pauses."""
FIRST_PAUSE_SECONDS = 0.2
_RETRIES = 5

# One slash is what a path keeps of two.
_ADDRESS = re.compile(r"(s3|gs|az):/{1,2}(?!/)", re.IGNORECASE | re.ASCII)
_BUCKET = re.compile(r"[A-Za-z0-9][\w.-]{0,254}", re.ASCII)
_SIGNATURE = re.compile(
    r"\?.*\b(x-amz-\w+|x-goog-\w+|signature|sig|awsaccesskeyid|googleaccessid|token)=",
    re.IGNORECASE | re.DOTALL,
)
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3}(?: [A-Z][A-Za-z ]{0,30})?)")
_BAD_KEY = re.compile(r'Path "([^"]*)": ', re.DOTALL)
_REASONS = {
    "NoSuchBucket": (errno.ENOENT, "there is no such bucket"),
    "NoSuchKey": (errno.ENOENT, "there is no such object"),
    "AccessDenied": (errno.EACCES, "the store refuses access (AccessDenied)"),
    "SlowDown": (errno.EREMOTEIO, "the store asks to slow down"),
}
_NETWORK = (
    ("instance metadata", "no credentials in the environment"),
    ("credential", "no credentials in the environment"),
    ("169.254.", "no credentials in the environment"),
    ("connection refused", "connection refused"),
    ("dns error", "unknown host"),
    ("timed out", "no answer in time"),
    ("operation timed out", "no answer in time"),
    ("connection reset", "connection lost"),
    ("error sending request", "connection failed"),
    ("body", "the answer was cut off"),
)
_CUT_OFF = (errno.EREMOTEIO, "the store cannot be reached: the answer was cut off")
_PAUSES_SECONDS = (0.1, 1.0, 5.0)
"""Parts of the library's messages, and what they mean."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where an object, or what lies below a prefix, is stored."""

    scheme: str
    bucket: str
    key: str
    """Without slashes at its ends; empty: all of the bucket."""

    def __str__(self) -> str:
        """As the user writes it, such as `s3://bucket/key`."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.key}" if self.key else "")

    def __truediv__(self, name: str) -> Self:
        """What lies below this prefix."""
        return type(self)(self.scheme, self.bucket, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def path(self) -> Path:
        """The address as a path, which is how it goes through what takes paths; `parse_address` reads it back."""
        return Path(str(self))

    def is_below(self, other: Address) -> bool:
        """Whether it is `other` or lies below it."""
        if (self.scheme, self.bucket) != (other.scheme, other.bucket):
            return False
        return not other.key or self.key == other.key or self.key.startswith(f"{other.key}/")


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What a store says about an object."""

    size: int
    etag: str
    """Another one after the object was replaced."""
    mtime: float = 0.0
    """When it was stored, in seconds since 1970."""


class ChangedObjectError(OSError):
    """The object is no longer the one that was asked for."""


def is_object(path: object) -> bool:
    """Whether a path or text is an address of a store, also after it was made a path."""
    return _ADDRESS.match(str(path)) is not None


def parse_address(text: object) -> Address:
    """Read an address, also one that was made a path.

    Raises:
        OptionsError: it is none that can be used. The message does not repeat secrets that it may hold.
    """
    given = str(text)
    if (start := _ADDRESS.match(given)) is None:
        raise OptionsError(f"{sanitize(given)[:80]}: not an address of a store ({', '.join(SCHEMES)}).")
    scheme, (bucket, _, key) = start[1].lower(), given[start.end() :].partition("/")
    if "@" in bucket or ":" in bucket or _SIGNATURE.search(given):
        raise OptionsError(
            f"an address of {scheme}:// holds a password or a signature. Give the plain address; credentials are "
            "read from the environment."
        )
    if not _BUCKET.fullmatch(bucket):
        raise OptionsError(f"{scheme}://{sanitize(bucket)[:80]}: no name of a bucket.")
    key = key.strip("/")
    if any(part in ("", ".", "..") for part in key.split("/")) and key:
        raise OptionsError(
            f"{scheme}://{bucket}/{sanitize(key)[:80]}: keys with empty parts, `.` or `..` cannot be used. Rename the "
            "object."
        )
    return Address(scheme, bucket, key)


def source_text(path: Path) -> str:
    """A source as text: an address gets back the slash that a path does not keep."""
    return str(parse_address(path)) if is_object(path) else str(path)


def absolute_source(path: Path) -> str:
    """As `source_text`, with a path from the root."""
    return source_text(path if is_object(path) else path.absolute())


def redact_address(text: object) -> str:
    """An address for a message, without a password and without a query, which may be a signature."""
    plain = re.sub(r"(?<=:/)/?[^/@]*@", "/...@", str(text))
    return sanitize(plain.partition("?")[0])[:200]


def file_address_to_path(text: str) -> str:
    """`file:///a%20b` as the path `/a b`; other texts as they are."""
    start = re.match(r"file://(?:localhost)?(?=/)", text, re.IGNORECASE)
    if start is None:
        return text
    path = unquote(text[start.end() :])
    return path[1:] if re.match(r"/[A-Za-z]:/", path) else path  # a drive of Windows


def stat_object(address: Address) -> ObjectStat:
    """Ask for the size and version of an object.

    Raises:
        OSError: there is none, no permission, or no answer; `strerror` says why.
    """
    import obstore

    with _plain_errors(address):
        store = _open(address)
        found = _wait(lambda: obstore.head(store, address.key))
    return _describe(found)


def exists(address: Address) -> bool:
    """Whether there is such an object.

    Raises:
        OSError: as `stat_object`, for other reasons.
    """
    try:
        stat_object(address)
    except FileNotFoundError:
        return False
    return True


def list_objects(prefix: Address) -> Iterator[tuple[Address, ObjectStat]]:
    """All objects below a prefix, in the order of their keys.

    Raises:
        OSError: as `stat_object`.
    """
    import obstore

    with _plain_errors(prefix):
        store = _open(prefix)
        chunks = _wait(lambda: list(obstore.list(store, prefix.key or None)))
    found = [(one["path"], _describe(one)) for chunk in chunks for one in chunk]
    for key, stat in sorted(found, key=lambda one: one[0]):
        yield Address(prefix.scheme, prefix.bucket, key), stat


def read_object(address: Address) -> bytes:
    """All bytes of a small object.

    Raises:
        OSError: as `stat_object`.
    """
    return read_version(address)[0]


def read_version(address: Address) -> tuple[bytes, str]:
    """As `read_object`, with the ETag of what was read."""
    import obstore

    with _plain_errors(address):
        store = _open(address)

        def get() -> tuple[bytes, str]:
            found = obstore.get(store, address.key)
            return bytes(found.bytes()), found.meta["e_tag"] or ""

        return _wait(get)


def read_range(address: Address, start: int, length: int, etag: str | None = None) -> bytes:
    """`length` bytes from `start` on; both within the object.

    Args:
        address: of the object.
        start: from 0.
        length: at least 1.
        etag: the version that must still be there; None or empty: any.

    Raises:
        ChangedObjectError: it has another version.
        OSError: as `stat_object`.
    """
    import obstore

    options: obstore.GetOptions = {"range": (start, start + length)}
    if etag:
        options["if_match"] = etag
    with _plain_errors(address):
        store = _open(address)
        content = _wait(lambda: bytes(obstore.get(store, address.key, options=options).bytes()))
    if len(content) != length:
        raise OSError(errno.EREMOTEIO, "the answer was cut off", str(address))
    return content


def download(address: Address, target: Path) -> None:
    """Copy an object to a file; one that is interrupted leaves an incomplete file.

    Raises:
        OSError: as `stat_object`, or the file cannot be written.
    """
    import obstore

    with _plain_errors(address):
        store = _open(address)

        def get() -> bool:
            found = obstore.get(store, address.key)
            with target.open("wb") as file:
                n_bytes = sum(file.write(chunk) for chunk in found.stream(min_chunk_size=4 << 20))
            return n_bytes == found.meta["size"]

        is_whole = _wait(get)
    if not is_whole:
        raise OSError(errno.EREMOTEIO, "the answer was cut off", str(address))


def put_object(address: Address, content: bytes | Path) -> None:
    """Store an object, in place of one that may be there.

    Raises:
        OSError: as `stat_object`.
    """
    import obstore

    with _plain_errors(address):
        store = _open(address)
        _wait(lambda: obstore.put(store, address.key, content))


def create_object(address: Address, content: bytes) -> bool:
    """Store an object if there is none (If-None-Match); whether it is the content that is there now.

    The answer to a first try may be lost, and the second then finds the object of the first: so what is there is
    compared with what was to be stored. Contents of different writers must differ.

    Raises:
        OSError: as `stat_object`; also after no answer, when it is unknown whether the object was stored.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    with _plain_errors(address):
        store = _open(address)
        try:
            _wait(lambda: obstore.put(store, address.key, content, mode="create", use_multipart=False))
        except (AlreadyExistsError, PreconditionError):
            return read_object(address) == content
    return True


def keeps_created(address: Address, other: bytes) -> bool:
    """Whether the store keeps an object that is created a second time: some servers ignore the condition.

    Args:
        address: of an object that is there.
        other: content that it does not have; on such a server, it has it afterwards.

    Raises:
        OSError: as `stat_object`.
    """
    return not create_object(address, other)


def update_object(address: Address, content: bytes, etag: str) -> bool:
    """Replace an object if it still has this ETag (If-Match); whether it did.

    Raises:
        OSError: as `stat_object`.
    """
    import obstore
    from obstore.exceptions import PreconditionError

    with _plain_errors(address):
        store = _open(address)
        try:
            _wait(lambda: obstore.put(store, address.key, content, mode={"e_tag": etag}, use_multipart=False))
        except (PreconditionError, FileNotFoundError):
            return exists(address) and read_object(address) == content
    return True


def copy_object(source: Address, target: Address) -> None:
    """Copy an object within its bucket, on the server.

    Raises:
        OSError: as `stat_object`.
    """
    import obstore

    with _plain_errors(source):
        store = _open(source)
        _wait(lambda: obstore.copy(store, source.key, target.key))


def delete_objects(addresses: Sequence[Address]) -> None:
    """Remove objects of one bucket; one that is not there counts as removed.

    Raises:
        OSError: as `stat_object`.
    """
    import obstore

    for address in addresses:
        with suppress(FileNotFoundError), _plain_errors(address):
            store = _open(address)
            _wait(partial(obstore.delete, store, address.key))


def _wait(request: Callable[[], _T]) -> _T:
    """Carry out requests so that a signal ends the waiting for them.

    Python handles a signal between two of its own instructions, in its main thread, and the library waits for the
    network in one: so the main thread waits for another thread instead.
    """
    if threading.current_thread() is not threading.main_thread():
        return _repeat_if_cut(request)
    return _start_requests().submit(_repeat_if_cut, request).result()


def _repeat_if_cut(request: Callable[[], _T]) -> _T:
    """Carry out a request again whose answer was cut off: the library repeats only those without an answer.

    Every request here may be repeated; `create_object` and `update_object` recognise their own content.
    """
    from obstore.exceptions import GenericError

    for pause_s in _PAUSES_SECONDS:
        try:
            return request()
        except GenericError as error:
            if _explain(str(error)) != _CUT_OFF:
                raise
            time.sleep(pause_s)
    return request()


@lru_cache(maxsize=1)
def _start_requests() -> ThreadPoolExecutor:
    # Two: after an interruption, one may still wait for an answer.
    return ThreadPoolExecutor(2, thread_name_prefix="ferflow-store")


def _describe(meta: ObjectMeta) -> ObjectStat:
    return ObjectStat(meta["size"], meta["e_tag"] or "", meta["last_modified"].timestamp())


def check_usable(address: Address) -> None:
    """Refuse a store that cannot be opened: without the library, or by an address without encryption.

    Raises:
        OptionsError: it cannot.
    """
    _open(address)


def permit(address: Address) -> None:
    """Allow this process to connect to the store and bucket of an address that its user has given.

    Addresses are also in files of output folders, which may come from somebody else: reading such a folder must not
    make ferflow send requests, signed by its user, to a store that its user has not named.
    """
    _permitted.add((address.scheme, address.bucket))


_permitted: set[tuple[str, str]] = set()


def _open(address: Address) -> ObjectStore:
    if (address.scheme, address.bucket) not in _permitted:
        raise OSError(errno.EACCES, "in a store that this command was not given", str(address))
    return _open_bucket(address.scheme, address.bucket)


@lru_cache(maxsize=16)
def _open_bucket(scheme: str, bucket: str) -> ObjectStore:
    if importlib.util.find_spec("obstore") is None:
        raise OptionsError(f"{scheme}:// needs the library obstore: pip install 'ferflow[objectstore]'")
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        return from_url(
            f"{scheme}://{bucket}",
            client_options={
                "allow_http": _may_use_http(scheme),
                "timeout": timedelta(seconds=REQUEST_SECONDS),
                "connect_timeout": timedelta(seconds=10),
            },
            retry_config={
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=RETRY_SECONDS),
                "backoff": {
                    "init_backoff": timedelta(seconds=FIRST_PAUSE_SECONDS),
                    "max_backoff": timedelta(seconds=10),
                    "base": 2,
                },
            },
        )
    except FerflowError:  # some are a ValueError, too
        raise
    except (BaseError, ValueError) as error:
        raise OptionsError(
            f"{scheme}://{bucket}: cannot be opened with the settings of the environment ({type(error).__name__}). "
            "Check its endpoint, region and credentials."
        ) from None


def _may_use_http(scheme: str) -> bool:
    """Whether requests without encryption are allowed: to this machine, or where the environment says so.

    Raises:
        OptionsError: the environment names another machine without encryption, and does not allow it.
    """
    if scheme != "s3":
        return False
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    endpoint = next((text for name in names if (text := os.environ.get(name))), "")
    if urlsplit(endpoint).scheme.lower() != "http":
        return False
    if _is_loopback(urlsplit(endpoint).hostname or ""):
        return True
    if os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes", "on"):
        return True
    raise OptionsError(
        "the endpoint of s3:// in the environment has no encryption (http) and is not this machine. Use https, or set "
        "AWS_ALLOW_HTTP=true."
    )


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host.lower() == "localhost"


@contextmanager
def _plain_errors(address: Address) -> Iterator[None]:
    """Errors of the library as those of the system, without addresses of requests and bodies of answers."""
    from obstore import exceptions

    try:
        yield
    except FerflowError:  # some are a ValueError, too
        raise
    except FileNotFoundError as error:
        if error.errno is not None:  # of the disk; the library's has a message only
            raise
        number, reason = _explain(str(error)) or (errno.ENOENT, "")
        why = reason if reason and number == errno.ENOENT else "there is no such object"
        raise OSError(errno.ENOENT, why, str(address)) from None
    except exceptions.PreconditionError:
        raise ChangedObjectError(errno.ESTALE, "it has changed", str(address)) from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        code = _CODE.search(str(error))
        detail = f" ({code[1]})" if code else ""
        raise OSError(errno.EACCES, f"the store refuses access{detail}", str(address)) from None
    except (exceptions.InvalidPathError, ValueError) as error:
        raise OSError(errno.EINVAL, _describe_bad_key(str(error)), str(address)) from None
    except exceptions.BaseError as error:
        number, reason = _explain(str(error)) or (errno.EREMOTEIO, "the store cannot be reached")
        raise OSError(number, reason, str(address)) from None


def _describe_bad_key(message: str) -> str:
    """One such key makes the library refuse the whole listing, so it is named."""
    found = _BAD_KEY.search(message)
    key = f" ({sanitize(found[1])[:120]})" if found else ""
    return f"there is an object whose key has control characters or empty parts{key}; rename it, or name other prefixes"


def _explain(message: str) -> tuple[int, str] | None:
    """Number and text of a system error for a message of the library; only known parts of the message are used."""
    if (code := _CODE.search(message)) is not None:
        return _REASONS.get(code[1], (errno.EREMOTEIO, f"the store answers {code[1]}"))
    if (status := _STATUS.search(message)) is not None:
        return errno.EREMOTEIO, f"the store answers {status[1].strip()}"
    lower = message.lower()
    return next(
        (
            (errno.EREMOTEIO, f"the store cannot be reached: {text}")
            for part, text in _NETWORK
            if part in lower
        ),
        None,
    )


def relative_name(address: Address, prefix: Address) -> PurePosixPath:
    """Where an object lies below a prefix."""
    return PurePosixPath(address.key[len(prefix.key) :].lstrip("/"))
