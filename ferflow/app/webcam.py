"""The faces of a webcam: frames come over a WebSocket as JPEG, faces go back as JSON; nothing is stored.

Each connection has a child process with the tracks of its own. The newest frame wins: one that has not been analysed
when the next one comes is dropped.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ferflow.app.expected_errors import EXPECTED_ERRORS, describe_error
from ferflow.app.picture_calls import as_file
from ferflow.app.picture_pool import PicturePool, make_child
from ferflow.errors import FerflowError
from ferflow.jobs.live.stream_analyzer import StreamAnalyzer
from ferflow.options import AnalyzeOptions
from ferflow.pipeline import Tools
from ferflow.single_picture import read_picture
from ferflow.system.resident_child import ResidentChild
from ferflow.types import JsonObject

MOST_WEBCAMS = 4
"""At the same time; each has a process."""
MOST_FRAME_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class WebcamReader:
    """What the child process of a connection keeps."""

    options: AnalyzeOptions
    analyzer: StreamAnalyzer

    @classmethod
    def load(cls, options: AnalyzeOptions) -> WebcamReader:
        """Load detector and classifier; raises as `Tools.load`."""
        return cls(options, StreamAnalyzer(Tools.load(options), options))

    def answer(self, content: bytes, time_s: float, folder: Path) -> JsonObject:
        """The faces of the next frame and the size of its picture, or why there are none, as JSON."""
        try:
            with as_file(content, folder) as path:
                frame = read_picture(path, self.options)
            found = self.analyzer.analyze(frame, time_s)
        except FerflowError as error:
            return {"error": str(error)}
        faces: JsonObject = {"faces": [face.to_json() for face in found.faces]}
        return found.to_json() | faces | {"width": frame.planes.width, "height": frame.planes.height}


class WebcamDesk:
    """The connections of all webcams."""

    def __init__(self, pool: PicturePool) -> None:
        self._pool = pool
        self._n_open = 0

    async def serve(self, socket: WebSocket) -> None:
        """Answer the frames of one connection until it ends."""
        if self._n_open >= MOST_WEBCAMS:
            await socket.accept()
            await _send(socket, {"error": f"{MOST_WEBCAMS} webcams are open already. Close one of them."})
            await socket.close(1013)
            return
        self._n_open += 1
        child = make_child(partial(WebcamReader.load, self._pool.options))
        try:
            await socket.accept()
            await self._pool.run(child.start)
            await _send(socket, {"ready": True})
            await self._answer(socket, child)
        except EXPECTED_ERRORS as error:
            await _send(socket, {"error": describe_error(error)})
        finally:
            self._n_open -= 1
            await asyncio.shield(self._pool.run(child.close))

    async def _answer(self, socket: WebSocket, child: ResidentChild[WebcamReader]) -> None:
        """Answer the newest frame, again and again.

        Raises:
            ChildDiedError: a frame has crashed the decoder.
        """
        newest = _Newest()
        reading = asyncio.create_task(_read(socket, newest))
        started = time.monotonic()
        try:
            while (content := await newest.take()) is not None:
                came = time.monotonic()
                answer = await self._pool.run(
                    child.call, WebcamReader.answer, content, came - started, self._pool.folder
                )
                # With the way to the child and back, and frames that were dropped before they got there.
                took_ms = round((time.monotonic() - came) * 1000, 2)
                await _send(socket, answer | {"latency_ms": took_ms, "dropped": newest.n_dropped})
        finally:
            reading.cancel()


class _Newest:
    """The newest frame; those that were not taken are counted."""

    def __init__(self) -> None:
        self.n_dropped = 0
        self._content: bytes | None = None
        self._has_ended = False
        self._changed = asyncio.Event()

    def put(self, content: bytes) -> None:
        self.n_dropped += self._content is not None
        self._content = content
        self._changed.set()

    def end(self) -> None:
        self._has_ended = True
        self._changed.set()

    async def take(self) -> bytes | None:
        """Wait for the next frame; None: there is no more."""
        await self._changed.wait()
        content, self._content = self._content, None
        if not self._has_ended:
            self._changed.clear()
        return None if self._has_ended else content


async def _read(socket: WebSocket, newest: _Newest) -> None:
    try:
        while True:
            content = await socket.receive_bytes()
            if 0 < len(content) <= MOST_FRAME_BYTES:
                newest.put(content)
    except (WebSocketDisconnect, RuntimeError, KeyError):  # closed, or a text came
        pass
    finally:
        newest.end()


async def _send(socket: WebSocket, answer: JsonObject) -> None:
    if (
        socket.client_state is WebSocketState.CONNECTED
        and socket.application_state is WebSocketState.CONNECTED
    ):
        await socket.send_text(json.dumps(answer))
