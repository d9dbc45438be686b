"""A recorded screen: windows with text, a chart that grows, and the camera of the person at it in a corner.

Recorders write each picture of a screen as often as their frame rate asks for, though little on it changes: the same
picture is then in the file many times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from ferflow.jobs.benchmarks.drawn_room import Room
from ferflow.types import UInt8Array

SCREEN_FPS = 5
"""Pictures of the screen per second that differ from the one before."""

_CAMERA_SHARE = 0.25
"""Of the screen's width; the camera's picture is 16:9."""
_TEXT = (
    "participants.csv", "id, age, group, condition", "1, 24, a, film first", "2, 31, b, film last",
    "3, 27, a, film first", "", "notes", "The second film starts after a pause of one minute.",
    "Questions about the film are asked in writing.", "No other person is in the room.",
)  # fmt: skip
_WALLPAPER, _PAPER, _TITLE, _INK, _ACCENT = (
    (96, 72, 48), (245, 245, 245), (205, 200, 195), (40, 40, 40), (60, 130, 220),
)  # fmt: skip
"""BGR."""
_BARS = 24


@dataclass(frozen=True, slots=True)
class Screen:
    """What is seen, and how often."""

    width: int
    height: int
    face_px: int
    """Height of the face in the camera's picture, hairline to chin, about."""
    camera_fps: int
    """Pictures of the camera per second; divides `fps`, and `SCREEN_FPS` divides it."""
    fps: int = 30
    camera_noise: float = 2.0
    """See `Room`."""

    @property
    def camera(self) -> tuple[int, int, int, int]:
        """x, y, width and height of the camera's picture: near the lower right corner."""
        width = round(self.width * _CAMERA_SHARE) // 2 * 2
        height, gap = round(width * 9 / 16) // 2 * 2, self.height // 60 * 2
        return self.width - width - gap, self.height - height - gap, width, height

    def pictures(self, count: int) -> Iterator[UInt8Array]:
        """The first pictures, BGR, uint8 (height, width, 3) each."""
        x, y, width, height = self.camera
        person = Room(width, height, 1, self.face_px, self.camera_fps, self.camera_noise)
        camera = person.pictures(-(-count * self.camera_fps // self.fps))
        windows = self._draw_windows()
        for number in range(count):
            if number % (self.fps // SCREEN_FPS) == 0:
                screen = self._draw_changes(windows.copy(), number * SCREEN_FPS // self.fps)
            if number % (self.fps // self.camera_fps) == 0:
                screen = screen.copy()
                screen[y : y + height, x : x + width] = next(camera)
            yield screen

    def _draw_windows(self) -> UInt8Array:
        """What stays: wallpaper, and two windows with titles."""
        image = np.full((self.height, self.width, 3), _WALLPAPER, np.uint8)
        for share, title in ((_EDITOR, _TEXT[0]), (_CHART, "sales by week")):
            left, top, right, bottom = self._place(share)
            cv2.rectangle(image, (left, top), (right, bottom), _PAPER, -1)
            cv2.rectangle(image, (left, top), (right, top + self._line_px), _TITLE, -1)
            self._write(image, title, left, top)
        return image

    def _draw_changes(self, image: UInt8Array, number: int) -> UInt8Array:
        """What is typed, a letter per picture, and a bar more of the chart."""
        left, top, right, bottom = self._place(_EDITOR)
        n_lines = (bottom - top) // self._line_px - 1
        for row in range(n_lines):
            text = _TEXT[row % len(_TEXT)]
            is_typed_now = row == n_lines - 1
            shown = text[: number % (len(text) + 1)] + "|" if is_typed_now else text
            self._write(image, shown, left, top + (row + 1) * self._line_px)
        left, top, right, bottom = self._place(_CHART)
        step, room = (right - left) / _BARS, bottom - top - 2 * self._line_px
        for bar in range(number % _BARS + 1):
            height = room * (0.3 + 0.6 * (bar * 7 % 11) / 11)
            corner = round(left + (bar + 0.2) * step), round(bottom - height)
            cv2.rectangle(image, corner, (round(left + (bar + 0.8) * step), bottom - 1), _ACCENT, -1)
        return image

    def _place(self, share: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
        left, top, right, bottom = share
        return (
            round(left * self.width), round(top * self.height),
            round(right * self.width), round(bottom * self.height),
        )  # fmt: skip

    @property
    def _line_px(self) -> int:
        return max(self.height // 36, 2)

    def _write(self, image: UInt8Array, text: str, left: int, top: int) -> None:
        line = self._line_px
        corner = left + line // 2, top + line * 3 // 4
        cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, line / 36, _INK, 1, cv2.LINE_AA)


_EDITOR, _CHART = (0.03, 0.05, 0.62, 0.95), (0.65, 0.05, 0.97, 0.6)
"""Left, top, right and bottom of the windows, in widths and heights of the screen."""
