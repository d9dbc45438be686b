"""The annotated picture of a live session in the browser, while the session runs.

>>> with LiveWindow("camera 0", session.labels, is_recording=False) as window:
...     print(window.address)
...     for frame in session:
...         window.show(frame, session.frame)

A server in a thread listens on loopback. The newest frame wins: a viewer gets the next one when it has drawn the last,
and what no viewer asks for is never encoded, so that the analysis does not wait.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import cv2
import uvicorn
from fastapi import FastAPI, WebSocket
from starlette.responses import HTMLResponse
from starlette.websockets import WebSocketDisconnect

from ferflow.app.guard import Guard
from ferflow.app.page_drawing import draw_page, make_look, static_router
from ferflow.app.server import listen, make_address
from ferflow.app.settings import AppSettings
from ferflow.jobs.live.stream_analyzer import LiveFrame
from ferflow.media.video import Frame
from ferflow.types import JsonObject

MOST_VIEWERS = 4
"""At the same time; each has pictures encoded for itself."""
_MOST_WIDTH = 960
_QUALITY = 85
_LOOK_S = 0.005
"""How often a viewer that waits looks for a newer frame."""
_SECONDS_TO_END = 3.0


@dataclass(frozen=True, slots=True)
class _Shown:
    result: LiveFrame
    picture: Frame

    def to_json(self) -> JsonObject:
        result, planes = self.result, self.picture.planes
        return {
            "time_s": result.time_s,
            "latency_ms": result.latency_ms,
            "dropped": result.dropped,
            "faces": [face.to_json() for face in result.faces],
            "width": planes.width,
            "height": planes.height,
        }

    def to_jpeg(self) -> bytes:
        width, height = self.picture.planes.width * self.picture.pixel_aspect, self.picture.planes.height
        factor = min(1.0, _MOST_WIDTH / width)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        _, encoded = cv2.imencode(".jpg", self.picture.bgr(size), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        return encoded.tobytes()


class LiveWindow:
    """Serves one page from the `with` block's beginning to its end."""

    def __init__(self, title: str, labels: Sequence[str], *, is_recording: bool) -> None:
        """Choose what the page says; nothing is served yet.

        Args:
            title: name of the source.
            labels: of the model.
            is_recording: whether tables are written.
        """
        self._title, self._look, self._is_recording = title, make_look(labels), is_recording
        self._newest: _Shown | None = None
        self._is_over = False
        self._n_viewers = 0
        self.address = ""
        """What is opened in a browser; its token keeps other users of this machine out."""

    def __enter__(self) -> Self:
        """Serve.

        Raises:
            OptionsError: no port is free.
        """
        token = secrets.token_urlsafe(24)
        listener = listen(AppSettings(port=0))
        settings = AppSettings(port=listener.getsockname()[1], token=token)
        self.address = make_address(settings)
        config = uvicorn.Config(
            Guard(self._make_app(), settings),
            log_level="error",
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
            ws_max_size=1 << 10,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), daemon=True, name="ferflow-window"
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        end_s = time.monotonic() + 1
        while self._n_viewers and time.monotonic() < end_s:  # time to send them the end
            time.sleep(_LOOK_S)
        self._server.should_exit = True
        self._thread.join(_SECONDS_TO_END)

    def show(self, result: LiveFrame, picture: Frame) -> None:
        """Let the next viewer who asks see this frame; called by the thread that analyses."""
        self._newest = _Shown(result, picture)

    def _make_app(self) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        app.include_router(static_router)
        app.add_api_route("/", self._page, methods=["GET"], response_model=None)
        app.add_api_websocket_route("/api/live", self._serve)
        return app

    async def _page(self) -> HTMLResponse:
        return draw_page(
            "live",
            self._look,
            source=self._title,
            is_recording=self._is_recording,
            keeps=False,
            has_folder=False,
        )

    async def _serve(self, socket: WebSocket) -> None:
        await socket.accept()
        if self._n_viewers >= MOST_VIEWERS:
            await socket.send_text(json.dumps({"over": f"{MOST_VIEWERS} windows are open already."}))
            await socket.close(1013)
            return
        self._n_viewers += 1
        viewer = _Viewer()
        reading = asyncio.create_task(viewer.read(socket))
        try:
            await self._send_frames(socket, viewer)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the page was closed
        finally:
            reading.cancel()
            self._n_viewers -= 1

    async def _send_frames(self, socket: WebSocket, viewer: _Viewer) -> None:
        sent: _Shown | None = None
        while not (self._is_over or viewer.has_left):
            shown = self._newest
            if shown is None or shown is sent or not viewer.is_ready:
                await asyncio.sleep(_LOOK_S)
                continue
            viewer.is_ready = False
            jpeg = await asyncio.to_thread(shown.to_jpeg)
            await socket.send_text(json.dumps(shown.to_json()))
            await socket.send_bytes(jpeg)
            sent = shown
        await socket.send_text(json.dumps({"over": "The session has ended."}))
        await socket.close()


@dataclass(slots=True)
class _Viewer:
    """What a page has said."""

    is_ready: bool = True
    """Whether it has drawn what it was sent."""
    has_left: bool = False

    async def read(self, socket: WebSocket) -> None:
        try:
            while True:
                await socket.receive_text()
                self.is_ready = True
        except (WebSocketDisconnect, RuntimeError, KeyError):  # closed, or something else than text came
            self.has_left = True
