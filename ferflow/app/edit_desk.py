"""The edits of all users: one after another, what undoes each, and pages that follow them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ferflow.app.edit_requests import EditRequest
from ferflow.app.picture_pool import PicturePool
from ferflow.app.video_edits import EditedVideo, draw_thumbnails, update_pages
from ferflow.errors import FerflowError, OptionsError
from ferflow.system.resident_child import ResidentChild
from ferflow.types import JsonObject

MOST_UNDO = 100
_SECONDS_BEFORE_PAGES = 0.5
"""Changes follow one another while somebody works; pages are written when there is a pause."""
_SECONDS_FOR_PAGES = 600.0
_MOST_KEPT_THUMBNAILS = 4


class OutdatedError(OptionsError):
    """What was edited is no longer as the page has shown it."""


@dataclass(slots=True)
class EditDesk:
    """Used by the event loop alone."""

    out: Path
    pool: PicturePool
    _undo: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _thumbnails: dict[tuple[str, str], dict[int, bytes]] = field(default_factory=dict)
    _pages: asyncio.Task[None] | None = None
    _problem: str | None = None
    _writer: ResidentChild[Path] | None = None

    async def show(self, video_id: str) -> JsonObject:
        """All that the edit page shows; raises as `EditedVideo.read`."""
        video = await self.pool.run(EditedVideo.read, self.out, video_id)
        return await self.pool.run(video.to_json) | self._status(video_id)

    async def edit(self, video_id: str, request: EditRequest) -> JsonObject:
        """Carry out a change; what is shown afterwards.

        Raises:
            OutdatedError: something else was changed in the meantime.
            OptionsError, RecordsError: it cannot be done; nothing is written.
        """
        async with self._one_at_a_time:
            video = await self.pool.run(EditedVideo.read, self.out, video_id)
            if request.version != video.version:
                raise OutdatedError(
                    "the lists were changed in the meantime. The page shows them as they are now; repeat the change."
                )
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

    async def thumbnail(self, video_id: str, person: int) -> bytes | None:
        """A picture of a person, JPEG; None: there is none.

        Raises:
            VideoError: the video is not where it was analysed.
        """
        video = await self.pool.run(EditedVideo.read, self.out, video_id)
        key = (video_id, video.lists.version)
        async with self._one_at_a_time:
            if key not in self._thumbnails:
                found = await self.pool.ask(draw_thumbnails, self.out, video_id)
                self._thumbnails[key] = found
                for old in list(self._thumbnails)[:-_MOST_KEPT_THUMBNAILS]:
                    del self._thumbnails[old]
        return self._thumbnails[key].get(person)

    async def stop(self) -> None:
        """Write the pages that are still to be written."""
        if self._pages is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._pages
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close)

    def _status(self, video_id: str) -> JsonObject:
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
        await asyncio.sleep(_SECONDS_BEFORE_PAGES)
        if before is not None and not before.done():
            await before
        if self._pages is not asyncio.current_task():
            return  # a later change writes them
        if self._writer is None:
            self._writer = ResidentChild(partial(Path, self.out), seconds_per_call=_SECONDS_FOR_PAGES)
        try:
            self._problem = await self.pool.run(self._writer.call, update_pages)
        except FerflowError as error:
            self._problem = str(error)
