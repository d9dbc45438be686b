"""The edits of all users: one after another, what undoes each, and pages that follow them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from ferflow.analytics.list_edits import Lists
from ferflow.app.edit_pictures import Owner, cut_face, find_faces, show_frame
from ferflow.app.edit_requests import EditRequest
from ferflow.app.expected_errors import EXPECTED_ERRORS, describe_error
from ferflow.app.picture_pool import PicturePool
from ferflow.app.video_edits import EditedVideo, OutdatedError, check_finished, update_pages
from ferflow.errors import OptionsError
from ferflow.render.portraits import FacePlace
from ferflow.store.metadata import read_metadata
from ferflow.store.output_folder import OutputFolder
from ferflow.system.resident_child import ResidentChild
from ferflow.types import JsonObject

K = TypeVar("K")
V = TypeVar("V")

MOST_UNDO = 100
_SECONDS_BEFORE_PAGES = 0.5
"""Changes follow one another while somebody works; pages are written when there is a pause."""
_SECONDS_BETWEEN_TRIES = 0.5
_SECONDS_FOR_PAGES = 600.0
_MOST_KEPT_THUMBNAILS = 500
"""Of about five kilobytes each."""
_MOST_KEPT_FACES = 4


@dataclass(slots=True)
class EditDesk:
    """Used by the event loop alone."""

    out: Path
    pool: PicturePool
    _undo: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _one_search_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _faces: dict[tuple[str, ...], dict[Owner, FacePlace]] = field(default_factory=dict)
    _thumbnails: dict[tuple[str, float, tuple[float, ...]], bytes] = field(default_factory=dict)
    _pages: asyncio.Task[None] | None = None
    _problem: str | None = None
    _is_ending: bool = False
    _writer: ResidentChild[Path] | None = None

    async def show(self, video_id: str) -> JsonObject:
        """All that the edit page shows; raises as `EditedVideo.read`."""
        video = await self.pool.run(EditedVideo.read, self.out, video_id)
        return await self.pool.run(video.to_json) | self.status(video_id)

    async def edit(self, video_id: str, request: EditRequest) -> JsonObject:
        """Carry out a change; what is shown afterwards.

        Raises:
            OutdatedError: something else was changed in the meantime.
            OptionsError, RecordsError: it cannot be done; nothing is written.
        """
        async with self._one_at_a_time:
            video = await self.pool.run(EditedVideo.read, self.out, video_id)
            if request.version != video.version:
                raise OutdatedError
            steps = self._undo.setdefault(video_id, [])
            steps.append(await self.pool.run(video.apply, request))
            del steps[:-MOST_UNDO]
        self._update_pages()
        return await self.show(video_id)

    async def undo(self, video_id: str) -> JsonObject:
        """Undo the last change of a video that was made here.

        Raises:
            OptionsError: there is none, or its file was changed since.
        """
        async with self._one_at_a_time:
            steps = self._undo.get(video_id)
            if not steps:
                raise OptionsError("there is nothing to undo.")
            # Removed in any case: one that cannot be undone must not block those before it.
            await self.pool.run(steps.pop())
        self._update_pages()
        return await self.show(video_id)

    async def thumbnail(self, video_id: str, owner: Owner) -> bytes | None:
        """A picture of a person or a track, JPEG; None: there is none.

        Raises:
            RecordsError, OptionsError: as `EditedVideo.read`.
            VideoError: the video is not where it was analysed.
        """
        place = (await self._find_faces(video_id)).get(owner)
        if place is None:
            return None
        key = (video_id, place.time_s, tuple(place.xyxy.tolist()))
        if key not in self._thumbnails:
            self._thumbnails[key] = await self.pool.ask(cut_face, self.out, video_id, place)
            _drop_oldest(self._thumbnails, _MOST_KEPT_THUMBNAILS)
        return self._thumbnails[key]

    async def frame(self, video_id: str, time_s: float) -> bytes:
        """The picture at a time, JPEG; raises as `thumbnail`."""
        await self.pool.run(check_finished, self.out, video_id)
        return await self.pool.ask(show_frame, self.out, video_id, time_s)

    async def _find_faces(self, video_id: str) -> dict[Owner, FacePlace]:
        # Not the lock of changes: a search takes a second per hour of video.
        async with self._one_search_at_a_time:
            files = await self.pool.run(check_finished, self.out, video_id)
            metadata = await self.pool.run(read_metadata, files.faces)
            lists = await self.pool.run(Lists.read, self.out)
            # A person who was removed on request in the meantime is not shown again.
            key = (video_id, lists.version, repr(metadata.erasure))
            if key not in self._faces:
                self._faces[key] = await self.pool.run(find_faces, self.out, video_id)
                _drop_oldest(self._faces, _MOST_KEPT_FACES)
            return self._faces[key]

    async def stop(self) -> None:
        """Write the pages that are still to be written, if nobody else is writing there."""
        self._is_ending = True
        if self._pages is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._pages
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close)

    def status(self, video_id: str) -> JsonObject:
        """How many changes can be undone, and whether the pages follow those that were made."""
        is_busy = self._pages is not None and not self._pages.done()
        return {
            "n_undo": len(self._undo.get(video_id, [])),
            "pages": "updating" if is_busy else "failed" if self._problem else "current",
            "problem": self._problem,
        }

    def _update_pages(self) -> None:
        before = self._pages
        self._pages = asyncio.create_task(self._write_pages(before))

    async def _write_pages(self, before: asyncio.Task[None] | None) -> None:
        """Write them when there is a pause, and note what went wrong: no request waits for it."""
        try:
            await self._try_to_write_pages(before)
        except EXPECTED_ERRORS as error:
            self._problem = describe_error(error)

    async def _try_to_write_pages(self, before: asyncio.Task[None] | None) -> None:
        await asyncio.sleep(_SECONDS_BEFORE_PAGES)
        if before is not None and not before.done():
            await before
        # A video that is analysed here takes minutes, and another program may write here, too.
        while await self.pool.run(OutputFolder(self.out).is_locked) and not self._is_ending:
            await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
        if self._pages is not asyncio.current_task():
            return  # a later change writes them
        if self._writer is None:
            self._writer = ResidentChild(partial(Path, self.out), seconds_per_call=_SECONDS_FOR_PAGES)
        self._problem = await self.pool.run(self._writer.call, update_pages)


def _drop_oldest(kept: dict[K, V], most: int) -> None:
    for key in list(kept)[:-most]:
        del kept[key]
