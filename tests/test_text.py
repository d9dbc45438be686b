from __future__ import annotations

import pytest

from ferflow.text import sanitize, timecode


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "00:00.0"), (59.94, "00:59.9"), (59.96, "01:00.0"), (61.25, "01:01.3"), (3600, "1:00:00.0"),
        (0.3, "00:00.3"), (7325.5, "2:02:05.5"), (None, "–"), (float("nan"), "–"),
    ],
)  # fmt: skip
def test_time_codes(seconds, text):
    assert timecode(seconds) == text


def test_foreign_names_cannot_steer_a_terminal_or_a_line():
    assert sanitize("a\nb\x1b[31m\u202egnp.\udc80 ü🎬") == "a\ufffdb\ufffd[31m\ufffdgnp.\ufffd ü🎬"
