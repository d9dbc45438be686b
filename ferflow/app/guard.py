"""Who may ask, and how much: checks of every request before any of it is handled.

A page of any web site that the user visits can send requests to this machine. So a request must name this server as its
host (against DNS rebinding: a name of the attacker that leads here), and, if a page sent it, a page of this server
(against cross-site requests, also of WebSockets).
"""

from __future__ import annotations

import hmac
import ipaddress
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferflow.app.settings import (
    MOST_OTHER_BYTES,
    MOST_PICTURE_BYTES,
    MOST_VIDEO_BYTES,
    AppSettings,
    is_loopback,
)

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_REPORTS = "/folder/"
"""Pages of output folders have no origin (see `PAGE_POLICIES`), so that what they load counts as cross-site."""

_APP_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_POLICIES = {
    "/api/docs": _APP_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"),
    # An output folder may come from somebody else: its pages run their scripts without an origin, so that these can
    # ask nothing of the application.
    _REPORTS: (
        "sandbox allow-scripts allow-popups allow-downloads allow-top-navigation-by-user-activation; "
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
        "media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
"""Content security policies by the beginning of the path."""

_BODY_LIMITS = {
    # Base64 takes four bytes for three, and a form has lines around its file.
    "/api/predict": MOST_PICTURE_BYTES * 4 // 3 + MOST_OTHER_BYTES,
    "/api/activation": MOST_PICTURE_BYTES * 4 // 3 + MOST_OTHER_BYTES,
    "/api/jobs": MOST_VIDEO_BYTES + MOST_OTHER_BYTES,
}


@dataclass(frozen=True, slots=True)
class Guard:
    """Wraps the application; answers what it refuses itself."""

    app: ASGIApp
    settings: AppSettings
    folder_key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """With a token, pages of the output folder are served below it: they have no origin, so that browsers ask for what
    they load, and follow their links, without the cookie. It opens nothing else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        opened = self._open_by_folder_key(scope)
        refusal = self._refuse(scope, headers)
        if refusal is None and opened is None:
            refusal = self._ask_for_token(scope, headers)
        scope = opened or scope
        if refusal is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        elif refusal is not None:
            await refusal(scope, receive, _with_headers(scope, send))
        elif scope["type"] == "http":
            limited = _limit_body(_body_limit(scope["path"]), receive)
            await self.app(scope, limited, _with_headers(scope, send))
        else:
            await self.app(scope, receive, send)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request that another site sent or that is too large; None: it may pass."""
        host = headers.get("host", "")
        if not is_known_host(host, self.settings):
            return _error(403, "This address is not the one of ferflow. Use the address that it has printed.")
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return _error(403, "Another site sent this request, so it was refused.")
        if _is_cross_site(scope, headers):
            return _error(403, "Another site sent this request, so it was refused.")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > _body_limit(scope.get("path", "")):
            return _error(413, _too_large(_body_limit(scope["path"])))
        return None

    def _ask_for_token(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request without the token, or with the token in its address; None: it may pass."""
        if self.settings.token is None:
            return None
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        if _matches(query.pop("token", ""), self.settings.token):
            if scope["type"] == "http" and scope["method"] == "GET":
                return _move_token_to_cookie(scope, query, self.settings)
            return None
        if _matches(_bearer(headers) or _cookie(headers, self.settings), self.settings.token):
            return self._lead_to_folder(scope)
        return _error(
            401, "A token is needed: open the address that ferflow has printed, or send it as a Bearer."
        )

    def _open_by_folder_key(self, scope: Scope) -> Scope | None:
        """The request without the key of the folder; None: it has none."""
        start, _, rest = scope.get("path", "").removeprefix(_REPORTS).partition("/")
        is_reading = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if self.settings.token is None or not is_reading or not _matches(start, f"~{self.folder_key}"):
            return None
        return {**scope, "path": f"{_REPORTS}{rest}", "raw_path": quote(f"{_REPORTS}{rest}").encode()}

    def _lead_to_folder(self, scope: Scope) -> Response | None:
        """The answer to a request for a page of the output folder: its place below the key; None: another request."""
        path = scope["path"]
        if scope["type"] != "http" or not (path.startswith(_REPORTS) and path.endswith(".html")):
            return None
        return RedirectResponse(f"{_REPORTS}~{self.folder_key}/{quote(path.removeprefix(_REPORTS))}", 303)


def is_known_host(host: str, settings: AppSettings) -> bool:
    """Whether a Host header names this server.

    For other hosts than loopback any address in digits is allowed: rebinding needs a name.
    """
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not name:
        name, port = host, ""
    if port and port != str(settings.port) and settings.port:
        return False
    name = name.removeprefix("[").removesuffix("]").lower()
    if name in _LOOPBACK_NAMES or name == settings.host.lower():
        return True
    return not is_loopback(settings.host) and (_is_address(name) or name == platform.node().lower())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_cross_site(scope: Scope, headers: Headers) -> bool:
    """Whether the browser says that a page of another site asked for this, and not by a link."""
    if headers.get("sec-fetch-site") not in ("cross-site", "same-site"):
        return False
    is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    is_reading = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    return not (is_reading and (is_link or scope["path"].startswith(_REPORTS)))


def _matches(given: str, token: str) -> bool:
    """Compare in constant time, so that the time of an answer tells nothing about the token."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def _bearer(headers: Headers) -> str:
    kind, _, given = headers.get("authorization", "").partition(" ")
    return given if kind.lower() == "bearer" else ""


def _cookie_name(settings: AppSettings) -> str:
    """Browsers send the cookies of a host to all of its ports: of two applications, each has its own."""
    return f"ferflow-token-{settings.port}"


def _cookie(headers: Headers, settings: AppSettings) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(_cookie_name(settings))
    except CookieError:
        return ""
    return "" if found is None else found.value


def _move_token_to_cookie(scope: Scope, query: Mapping[str, str], settings: AppSettings) -> Response:
    """An address with a token stays in the history and in logs: go on without it."""
    path = quote(scope["path"]) if not scope["path"].startswith("//") else "/"
    answer = RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)
    # Not strict: links of reports, which have no origin, would come without it. Links of other sites come with it, too;
    # they can only read, and `_is_cross_site` refuses everything else.
    answer.set_cookie(_cookie_name(settings), settings.token or "", httponly=True, samesite="lax")
    return answer


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)


def _body_limit(path: str) -> int:
    return _BODY_LIMITS.get(path, MOST_OTHER_BYTES)


def _too_large(limit: int) -> str:
    return f"Too large: at most {limit >> 20} MiB."


def _limit_body(limit: int, receive: Receive) -> Receive:
    n_read = 0

    async def read() -> Message:
        nonlocal n_read
        message = await receive()
        n_read += len(message.get("body", b""))
        if n_read > limit:
            raise HTTPException(413, _too_large(limit), {"Connection": "close"})
        return message

    return read


def _with_headers(scope: Scope, send: Send) -> Send:
    policy = next(
        (policy for start, policy in PAGE_POLICIES.items() if scope["path"].startswith(start)), _APP_POLICY
    )

    async def write(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = policy
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
            headers["Permissions-Policy"] = "camera=(self), microphone=(), geolocation=()"
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return write
