"""Listen, say where, and serve until Ctrl+C."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from ferflow.app.settings import AppSettings
from ferflow.errors import OptionsError

_GRACE_SECONDS = 3
"""For answers that are on their way when the application is ended."""


def serve(settings: AppSettings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: where and what.
        announce: called with the address, once the port is this process's own and requests wait to be answered.

    Raises:
        OptionsError: the address cannot be used.
        RecordsError: another application shows the output folder, or it cannot be written.
        ModelError: the model does not exist.
        OSError, MemoryError: the output folder cannot be read, or a process not be started.
    """
    with contextlib.ExitStack() as stack:
        if settings.out is not None:
            stack.enter_context(_lock_folder(settings.out))
        listener = stack.enter_context(listen(settings))
        settings = replace(settings, port=listener.getsockname()[1])
        announce(make_address(settings))
        _run(settings, listener)


def _lock_folder(out: Path) -> contextlib.AbstractContextManager[None]:
    from ferflow.store.output_folder import OutputFolder

    return OutputFolder(out).lock_app()


def make_address(settings: AppSettings) -> str:
    """What is opened in a browser."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    shown = f"[{host}]" if ":" in host else host
    token = "" if settings.token is None else f"?token={settings.token}"
    return f"http://{shown}:{settings.port}/{token}"


def listen(settings: AppSettings) -> socket.socket:
    """Open the port.

    Raises:
        OptionsError: it is taken, or the host is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol stated, asyncio switches Nagle's algorithm off; without it each answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise OptionsError(
                f"port {settings.port} is in use, perhaps by another ferflow app. Give --port 0 for any free one."
            ) from error
        reason = getattr(error, "strerror", None) or error
        raise OptionsError(f"{settings.host}, port {settings.port}: cannot be used ({reason}).") from error
    return listener


def _run(settings: AppSettings, listener: socket.socket) -> None:
    # Imported when the address has been printed: they take half a second.
    import uvicorn

    from ferflow.app.application import make_routes, open_app
    from ferflow.app.guard import Guard

    routes = make_routes(settings)

    class Server(uvicorn.Server):
        """Ends on a signal without raising it again: Ctrl+C is how this command ends."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            def end(number: int, frame: FrameType | None) -> None:
                self.handle_exit(number, frame)

            before = {number: signal.signal(number, end) for number in _list_signals()}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        async def serve(self, sockets: list[socket.socket] | None = None) -> None:
            # Not by the lifespan of ASGI, in which what goes wrong ends as a traceback in the log.
            with self.capture_signals():
                async with open_app(routes):
                    await super().serve(sockets)

    config = uvicorn.Config(
        Guard(routes, settings),
        log_level="error",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ws_max_size=8 << 20,
        ws_max_queue=2,
    )
    Server(config).run(sockets=[listener])


def _list_signals() -> list[signal.Signals]:
    """By which the application is ended: Ctrl+C, SIGTERM, and a closed terminal unless `nohup` ignores that."""
    hang_up = [
        signal.Signals[name] for name in ("SIGHUP",) if name in signal.Signals.__members__
    ]  # not on Windows
    heard = [number for number in hang_up if signal.getsignal(number) is not signal.SIG_IGN]
    return [signal.SIGINT, signal.SIGTERM, *heard]


def open_browser(address: str) -> None:
    """Open the address as soon as it answers, in a thread; a machine without a browser is no error."""
    import webbrowser

    place = urlsplit(address)

    def wait_and_open() -> None:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection((place.hostname or "", place.port or 80), timeout=5).close()
                webbrowser.open(address)
                return
            time.sleep(0.1)

    threading.Thread(target=wait_and_open, daemon=True, name="ferflow-browser").start()
